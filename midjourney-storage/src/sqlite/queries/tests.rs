//! What runs all the time reads what it needs and no more, however long the history is.

use super::*;

/// How SQLite would answer `sql`.
pub(super) fn plan(sql: &str) -> String {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(include_str!("../migrations/0001_jobs.sql"))
        .unwrap();
    let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    plan.raw_query()
        .mapped(|row| row.get::<_, String>(3))
        .collect::<rusqlite::Result<Vec<_>>>()
        .unwrap()
        .join("; ")
}

#[test]
fn claims_and_waits_read_only_what_is_not_over() {
    for sql in [CLAIMABLE, NEXT_DUE] {
        let plan = plan(sql);
        assert!(
            plan.contains("USING COVERING INDEX jobs_by_wake (account=?"),
            "{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn events_are_read_from_where_the_reader_is() {
    for sql in [events_sql(), history_sql()] {
        let plan = plan(&sql);
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
