//! The whole way of a job: from the request to the answer of the upstream that takes it.

use std::sync::Arc;

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::Bench,
    load::{Strength, load},
    submit::Submits,
    surface::Surface,
    table::Table,
    underway::UnderWay,
    upstream::Upstream,
};

/// Ours accepts at once and submits behind, so it is given so many jobs and the time of the last one counts; a peer submits
/// before it acknowledges, so its acknowledgements are counted.
pub(crate) fn path(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let jobs = bench.options.number("jobs", 10_000)?;
    let takes_part = |name: &str| matches!(name, "ours" | "limit");
    bench.in_turn(
        table,
        |program| takes_part(program.name),
        |program| {
            let rate = match program.surface {
                Surface::Ours => UnderWay::make(bench, program, jobs)?.per_second,
                Surface::Peer => {
                    let data = TempDir::new()?;
                    let upstream = Upstream::open(1)?;
                    let server = program.start_calling(data.path(), &upstream)?;
                    let submits = Submits::usual(&server, u64::MAX)?;
                    let strength = Strength::new(64, bench.span()?);
                    let requests = Arc::clone(&submits) as _;
                    bench
                        .runtime
                        .block_on(load(server.address, strength, requests))?
                        .unbroken()?
                        .per_second()
                }
            };
            Ok(vec![("path".to_owned(), rate)])
        },
    )
}
