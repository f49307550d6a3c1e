//! Every list that is offered is read from its index in the order of its pages, however many rows there are: no sort,
//! no scan that filters.

use super::{super::tests::plan, *};

#[test]
fn lists_of_all_jobs_and_of_a_batch_have_their_index() {
    for (filter, index) in [
        ("", "sqlite_autoindex_jobs_1 (id<?)"),
        (OF_BATCH, "jobs_by_batch (batch=? AND id<?)"),
    ] {
        assert_eq!(
            plan(&in_order_of_ids_sql(filter)),
            format!("SEARCH jobs USING INDEX {index}")
        );
    }
}

#[test]
fn the_walks_of_a_merged_list_read_nothing_but_the_index() {
    assert_eq!(
        plan(WALK),
        "SEARCH jobs USING COVERING INDEX jobs_by_owner_status (owner=? AND status=? AND id<?)"
    );
}

#[test]
fn owners_are_found_by_steps() {
    let plan = plan(OWNERS);
    assert!(
        plan.contains("SEARCH jobs USING COVERING INDEX jobs_by_owner_status (owner>?)"),
        "{plan}"
    );
    assert!(!plan.contains("SCAN jobs"), "{plan}");
}
