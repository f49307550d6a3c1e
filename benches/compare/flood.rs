//! A flood of forged callbacks beside good ones: what it costs, and whether the good ones notice.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::Bench,
    callbacks::{Callbacks, Proof, Signer},
    connection::Connection,
    load::{Load, Strength, load},
    numbers::figure,
    surface::get,
    underway::UnderWay,
};

/// How many good callbacks there are in a second.
const GOOD: f64 = 20.0;

/// What ours does with a flood; peers keep no record of what they refuse, so there is nothing to compare.
pub(crate) fn flood(bench: &Bench) -> Outcome<()> {
    let ours = bench.ours()?;
    let span = Duration::from_secs(bench.options.number("secs", 30)?);
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let rate = bench.options.number("rate", 2_000)? as f64;
    let under_way = UnderWay::make(bench, ours, bench.options.number("jobs", 2_000)?)?;
    let data = TempDir::new()?;
    let server = under_way.start(ours, data.path())?;
    let signer = Arc::new(Signer::new(ours.surface));
    // Half of the good ones come before the flood, to tell what they take without it.
    let (before, meanwhile) = under_way.jobs.split_at(under_way.jobs.len() / 2);
    let good = |jobs: &[_]| Arc::new(Callbacks::new(&signer, &jobs.into(), Proof::Right));
    let forged = Callbacks::new(&signer, &under_way.jobs, Proof::Forged).endless();
    let strength = |connections, rate| Strength {
        rate: Some(rate),
        ..Strength::new(connections, span)
    };

    bench.runtime.block_on(async {
        let alone = load(server.address, strength(4, GOOD), good(before))
            .await?
            .unbroken()?;
        let (cpu, memory) = (server.process.cpu(), server.process.memory());
        let (forged, beside) = tokio::join!(
            load(server.address, strength(64, rate), forged),
            load(server.address, strength(4, GOOD), good(meanwhile)),
        );
        let (forged, beside) = (forged?.unbroken()?, beside?.unbroken()?);
        let cpu = (server.process.cpu() - cpu) / forged.took.as_secs_f64();
        if forged.refused != forged.times.len() {
            return Err("a forged callback was taken in".into());
        }
        for (when, load) in [("alone", &alone), ("beside the flood", &beside)] {
            if load.refused > 0 {
                return Err(format!("{} good callbacks were refused", load.refused).into());
            }
            println!("good ones {when}: {}", told(load));
        }
        println!(
            "forged: {}, {:.0} % of a processor, {:.1} MiB more memory",
            told(&forged),
            cpu * 100.0,
            (server.process.memory() - memory) / 1024.0,
        );
        let mut connection = Connection::open(server.address).await?;
        let status = get(server.address, "/webhooks/status", "");
        let answer = connection.ask(&status).await?;
        println!("recorded: {}", String::from_utf8_lossy(answer.body));
        Ok(())
    })
}

fn told(load: &Load) -> String {
    let seconds = load.took.as_secs_f64();
    format!(
        "{} in {seconds:.0} s ({:.0} a second), p50 {:.2} ms, p99 {:.2} ms",
        load.times.len(),
        figure(load.times.len()) / seconds,
        load.quantile(0.5),
        load.quantile(0.99),
    )
}
