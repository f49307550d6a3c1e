//! The tables of a job database, with what all kinds of it have in common.

/// A table: its columns as they travel, and those that its rows are ordered by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
    pub(crate) order: &'static [&'static str],
}

impl Table {
    /// The place of a column among those that travel.
    pub(crate) fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| *name == column)
    }

    /// The columns, with commas.
    pub(crate) fn list(&self) -> String {
        self.columns.join(", ")
    }
}

/// Every table, what others refer to first. Numbers that databases give rows by themselves do not travel.
pub(crate) const TABLES: &[&Table] = &[
    &JOBS,
    &EVENTS,
    &IMAGES,
    &UPLOADS,
    &CALLBACKS,
    &SUBSCRIPTIONS,
    &DELIVERIES,
    &LEFTOVERS,
    &SPENDING,
    &TALLIES,
];

const JOBS: Table = Table {
    name: "jobs",
    columns: &[
        "row",
        "id",
        "owner",
        "account",
        "batch",
        "status",
        "holds_slot",
        "due",
        "wake_at",
        "lease_epoch",
        "lease_until",
        "version",
        "sequence",
        "created_at",
        "updated_at",
        "task",
        "cost",
        "charge",
        "charged_at",
        "idempotency_key",
        "digest",
        "ordinal",
        "request",
        "life",
    ],
    order: &["row"],
};

const EVENTS: Table = Table {
    name: "events",
    columns: &["position", "job", "sequence", "at", "body"],
    order: &["position"],
};

/// Pictures.
pub(crate) const IMAGES: Table = Table {
    name: "images",
    columns: &[
        "id",
        "job",
        "owner",
        "kind",
        "number",
        "key",
        "digest",
        "bytes",
        "media_type",
        "width",
        "height",
        "source_url",
        "created_at",
        "pinned",
        "tags",
    ],
    order: &["id"],
};

/// Pictures that callers brought along.
pub(crate) const UPLOADS: Table = Table {
    name: "uploads",
    columns: &[
        "id",
        "owner",
        "key",
        "digest",
        "bytes",
        "media_type",
        "width",
        "height",
        "created_at",
    ],
    order: &["id"],
};

const CALLBACKS: Table = Table {
    name: "callbacks",
    columns: &[
        "id",
        "received_at",
        "account",
        "job",
        "task",
        "verdict",
        "detail",
        "bytes",
        "source",
        "mark",
    ],
    order: &["id"],
};

const SUBSCRIPTIONS: Table = Table {
    name: "subscriptions",
    columns: &[
        "id",
        "owner",
        "url",
        "events",
        "since",
        "created_at",
        "disabled_at",
        "disabled_why",
        "generation",
        "rotated_at",
        "failing_since",
        "paused_until",
    ],
    order: &["id"],
};

const DELIVERIES: Table = Table {
    name: "deliveries",
    columns: &[
        "id",
        "owner",
        "subscription",
        "lane",
        "job",
        "kind",
        "created_at",
        "state",
        "state_at",
        "why",
        "attempts",
        "last_at",
        "last_status",
        "last_pause",
        "last_error",
        "epoch",
        "leased_until",
        "wake_at",
        "address",
        "body",
    ],
    order: &["id"],
};

const LEFTOVERS: Table = Table {
    name: "leftovers",
    columns: &["key"],
    order: &["key"],
};

const SPENDING: Table = Table {
    name: "spending",
    columns: &["purse", "day", "amount"],
    order: &["purse", "day"],
};

const TALLIES: Table = Table {
    name: "tallies",
    columns: &["what", "name", "number"],
    order: &["what", "name"],
};

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Columns by table, as the schema has them.
    fn columns(schema: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for table in schema.split("CREATE TABLE ").skip(1) {
            let (name, rest) = table.split_once(" (").unwrap();
            let body = rest.split("\n)").next().unwrap();
            let known = tables.entry(name.to_owned()).or_default();
            for line in body.lines().map(str::trim) {
                let word = line.split(' ').next().unwrap_or_default();
                let own = word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !word.is_empty();
                let made = line.contains("GENERATED ALWAYS")
                    || (word == "row" && line.contains("INTEGER PRIMARY") && name != "jobs");
                if own && !made {
                    known.insert(word.to_owned());
                }
            }
        }
        tables
    }

    /// Whoever adds a column or a table has it travel too, or says here why not.
    #[test]
    fn every_column_of_every_table_travels() {
        let sqlite = concat!(
            include_str!("../sqlite/migrations/0001_jobs.sql"),
            include_str!("../sqlite/migrations/0002_uploads.sql"),
            include_str!("../sqlite/migrations/0003_callbacks.sql"),
            include_str!("../sqlite/migrations/0004_deliveries.sql")
        );
        let postgres = include_str!("../postgres/migrations/0001_schema.sql");
        let travelling: BTreeMap<String, BTreeSet<String>> = TABLES
            .iter()
            .map(|table| {
                let columns = table.columns.iter().map(|column| (*column).to_owned());
                (table.name.to_owned(), columns.collect())
            })
            .collect();
        assert_eq!(columns(sqlite), travelling);
        let mut there = columns(postgres);
        // Kept in files beside SQLite; they travel by themselves.
        there.remove("own_secrets");
        // Filed anew.
        there.remove("library");
        // What nodes know their own transactions by.
        there.remove("commits");
        assert_eq!(there, travelling);
    }
}
