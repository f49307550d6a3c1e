//! A new database and nothing to do: the time to the first answer, and the memory at rest.

use std::time::Duration;

use tempfile::TempDir;

use crate::{Outcome, bench::Bench, numbers::millis, table::Table};

pub(crate) fn idle(bench: &Bench, table: &mut Table) -> Outcome<()> {
    bench.in_turn(
        table,
        |_| true,
        |program| {
            let data = TempDir::new()?;
            let server = program.start(data.path(), None)?;
            std::thread::sleep(Duration::from_secs(1));
            let (before, span) = (server.process.cpu(), Duration::from_secs(1));
            std::thread::sleep(span);
            let cpu = (server.process.cpu() - before) / span.as_secs_f64() * 100.0;
            Ok(vec![
                ("cold".to_owned(), millis(server.ready_after)),
                ("idle_memory".to_owned(), server.process.memory() / 1024.0),
                ("idle_cpu".to_owned(), cpu),
            ])
        },
    )
}
