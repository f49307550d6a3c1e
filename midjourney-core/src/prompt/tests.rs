//! The prompt language held to its promises: tables of bad and real prompts, properties, bounds.

mod bad;
mod bounds;
mod properties;
mod table;
mod wild;

use super::*;

fn look(source: &str) -> Report {
    check(source, Table::builtin(), &CheckOptions::default())
}

fn jobs(source: &str) -> Vec<ExpandedPrompt> {
    let report = look(source);
    assert!(report.is_valid(), "{source}\n{}", report.diagnostics());
    report.into_valid().unwrap().expand(1000).unwrap()
}

fn texts(source: &str) -> Vec<String> {
    jobs(source).iter().map(|job| job.text().to_owned()).collect()
}
