//! Callbacks: taken in for the first time, sent again, and forged.

use std::sync::Arc;

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::{Bench, for_each},
    callbacks::{Callbacks, Proof, Signer},
    load::{Load, Requests, Strength, load},
    programs::{Program, Server},
    surface::Surface,
    table::{Figures, Table},
    underway::{Job, UnderWay},
};

pub(crate) fn ingest(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let jobs = bench.options.number("jobs", 12_000)?;
    let under_way = for_each(&bench.programs, |program| UnderWay::make(bench, program, jobs))?;
    bench.in_turn(
        table,
        |_| true,
        |program| {
            let under_way = under_way.get(program.name).ok_or("no jobs are under way")?;
            rates(bench, program, under_way)
        },
    )
}

fn rates(bench: &Bench, program: &Program, under_way: &UnderWay) -> Outcome<Figures> {
    let data = TempDir::new()?;
    let server = under_way.start(program, data.path())?;
    let connections = bench.options.number("conns", 64)?;
    let span = bench.span()?;
    let run = |requests: Arc<dyn Requests>| {
        let strength = Strength::new(connections, span);
        bench
            .runtime
            .block_on(load(server.address, strength, requests))?
            .unbroken()
    };
    let signer = Arc::new(Signer::new(program.surface));

    let (first, others) = under_way.jobs.split_at(under_way.jobs.len() / 4);
    accepted(run(Arc::new(Callbacks::new(
        &signer,
        &first.into(),
        Proof::Right,
    )))?)?;
    let fresh = Arc::new(Callbacks::new(&signer, &others.into(), Proof::Right));
    let before = server.process.cpu();
    let taken_in = accepted(run(Arc::clone(&fresh) as _)?)?;
    let cpu = (server.process.cpu() - before) / taken_in.took.as_secs_f64();
    let rate = taken_in.per_second();
    say(program, &server, "fresh", &taken_in, cpu);

    let sent: Arc<[Job]> = others.iter().take(fresh.sent()).cloned().collect();
    let again = Callbacks::new(&signer, &sent, Proof::Right).endless();
    let repeated = accepted(run(again)?)?;
    say(program, &server, "repeated", &repeated, 0.0);

    // What a peer only verifies is measured against what ours refuses.
    let (proof, expected) = match program.surface {
        Surface::Ours => (Proof::Forged, "refused"),
        Surface::Peer => (Proof::VerifiedOnly, "verified"),
    };
    let forged = Callbacks::new(&signer, &under_way.jobs, proof).endless();
    let refused = run(forged)?;
    say(program, &server, expected, &refused, 0.0);
    let all_refused = refused.refused == refused.times.len();
    let rejected = refused.answers_per_second();
    let mut figures = vec![("callback".to_owned(), rate), ("rejected".to_owned(), rejected)];
    match program.surface {
        Surface::Ours if !all_refused => return Err("a forged callback was taken in".into()),
        Surface::Ours => {
            figures.push(("callback_hmac".to_owned(), rate));
            figures.push(("repeated".to_owned(), repeated.per_second() / rate));
        }
        Surface::Peer => figures.push(("callback_hmac".to_owned(), rejected)),
    }
    Ok(figures)
}

fn accepted(load: Load) -> Outcome<Load> {
    match load.refused {
        0 => Ok(load),
        refused => Err(format!("{refused} of {} callbacks were refused", load.times.len()).into()),
    }
}

fn say(program: &Program, server: &Server, what: &str, load: &Load, cpu: f64) {
    let rate = load.answers_per_second();
    println!(
        "{}, {what}: {rate:.0} callbacks/s, p50 {:.2} ms, p99 {:.2} ms, {:.1} µs of processor each, {:.0} MiB",
        program.name,
        load.quantile(0.5),
        load.quantile(0.99),
        cpu / rate * 1e6,
        server.process.memory() / 1024.0,
    );
}
