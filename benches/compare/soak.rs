//! Half the peak for some minutes: whether the rate lasts, and what the log of the database and the memory come to.

use std::{fs, path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::Bench,
    fill::Filled,
    load::{Strength, load},
    numbers::figure,
    submit::Submits,
    table::Table,
};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn soak(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let minutes = bench.options.number("minutes", 10)?;
    let jobs = bench.options.number("stored", 100_000)?;
    let ours = bench.ours()?;
    let data = TempDir::new()?;
    let server = Filled::make(bench, ours, jobs)?.start(ours, data.path())?;
    let submits = Submits::usual(&server, u64::MAX)?;
    let run = |strength| {
        bench
            .runtime
            .block_on(load(server.address, strength, Arc::clone(&submits) as _))?
            .unbroken()
    };
    run(Strength::new(64, Duration::from_secs(1)))?;
    let peak = run(Strength::new(64, Duration::from_secs(3)))?.per_second();
    println!("peak {peak:.0} submits/s, asked for {:.0}", peak / 2.0);
    let (mut first, mut most) = (None, 0.0_f64);
    for minute in 1..=minutes {
        let half = Strength {
            rate: Some(peak / 2.0),
            ..Strength::new(64, MINUTE)
        };
        let done = run(half)?;
        let (rate, memory, log) = (
            done.per_second(),
            server.process.memory() / 1024.0,
            log_size(data.path())?,
        );
        most = most.max(log);
        println!(
            "minute {minute}: {rate:.0} submits/s, p50 {:.2} ms, p99 {:.2} ms, refused {}, {memory:.0} MiB of memory, \
             {log:.1} MiB of log",
            done.quantile(0.5),
            done.quantile(0.99),
            done.refused,
        );
        let (first_rate, first_memory) = *first.get_or_insert((rate, memory));
        if minute == minutes {
            table.note("soak_rate", rate / first_rate);
            table.note("soak_memory", memory / first_memory);
            table.note("soak_wal", most);
        }
    }
    Ok(())
}

/// MiB of the log of the database. It does not shrink while the program runs.
fn log_size(data: &Path) -> Outcome<f64> {
    let mut bytes = 0;
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry
            .path()
            .extension()
            .is_some_and(|kind| kind.to_string_lossy().ends_with("-wal"))
        {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(figure(usize::try_from(bytes)?) / 1024.0 / 1024.0)
}
