//! Every list that is offered is read from its index in the order of its pages, however many rows there are: no sort,
//! no scan that filters.

use midjourney_core::{
    id::BatchId,
    job::{Owner, Status},
};

use super::*;

fn plan(db: &Connection, sql: &str) -> String {
    let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    plan.raw_query()
        .mapped(|row| row.get::<_, String>(3))
        .collect::<rusqlite::Result<Vec<_>>>()
        .unwrap()
        .join("; ")
}

#[test]
fn each_filter_has_its_index() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(include_str!("../migrations/0001_jobs.sql"))
        .unwrap();
    let (owner, status) = (Some(Owner::local()), Some(Status::Failed));
    let batch = Some(BatchId::from_bytes([0; 16]));
    for (owner, status, batch, index) in [
        (None, None, None, "sqlite_autoindex_jobs_1 (id<?)"),
        (owner.clone(), None, None, "jobs_by_owner (owner=? AND id<?)"),
        (None, status, None, "jobs_by_status (status=? AND id<?)"),
        (
            owner.clone(),
            status,
            None,
            "jobs_by_owner_status (owner=? AND status=? AND id<?)",
        ),
        (None, None, batch, "jobs_by_batch (batch=? AND id<?)"),
        (None, status, batch, "jobs_by_batch (batch=? AND id<?)"),
    ] {
        let mut query = JobQuery::newest(50);
        query.owner = owner;
        query.status = status;
        query.batch = batch;
        assert_eq!(
            plan(&db, &jobs_sql(&query)),
            format!("SEARCH jobs USING INDEX {index}")
        );
    }
}

#[test]
fn a_batch_with_more_filters_is_read_without_a_sort() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(include_str!("../migrations/0001_jobs.sql"))
        .unwrap();
    for status in [None, Some(Status::Failed)] {
        let mut query = JobQuery::newest(50);
        query.owner = Some(Owner::local());
        query.batch = Some(BatchId::from_bytes([0; 16]));
        query.status = status;
        let plan = plan(&db, &jobs_sql(&query));
        assert_eq!(plan, "SEARCH jobs USING INDEX jobs_by_batch (batch=? AND id<?)");
    }
}

#[test]
fn claims_and_waits_read_only_what_is_not_over() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(include_str!("../migrations/0001_jobs.sql"))
        .unwrap();
    for sql in [CLAIMABLE, NEXT_DUE] {
        let plan = plan(&db, sql);
        assert!(
            plan.contains("USING COVERING INDEX jobs_by_wake (account=?"),
            "{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
