//! `kill -9` under a load of submits: how long until the program is ready again, and whether it has all it acknowledged.

use std::{path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::{Bench, for_each},
    connection::Connection,
    fill::Filled,
    load::{Strength, load},
    numbers::{figure, millis},
    programs::{Program, Server},
    submit::Submits,
    surface::{Surface, get},
    table::{Figures, Table},
};

/// Under load until then.
const BEFORE_THE_KILL: Duration = Duration::from_millis(1_500);

pub(crate) fn restart(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let live = bench.options.number("live", 100_000)?;
    let finished = bench.options.number("finished", 0)?;
    let takes_part = |program: &Program| matches!(program.name, "ours" | "limit");
    let programs: Vec<_> = bench
        .programs
        .iter()
        .filter(|program| takes_part(program))
        .collect();
    let filled = for_each(programs, |program| Filled::with_finished(bench, program, live, 0))?;
    bench.in_turn(table, takes_part, |program| {
        let data = TempDir::new()?;
        let store = filled.get(program.name).ok_or("nothing is filled")?;
        let server = store.start(program, data.path())?;
        killed(bench, program, store, server, data.path())
    })?;
    if finished > 0 {
        growth(bench, table, finished)?;
    }
    Ok(())
}

fn killed(bench: &Bench, program: &Program, store: &Filled, server: Server, data: &Path) -> Outcome<Figures> {
    let submits = Submits::usual(&server, u64::MAX)?;
    let strength = Strength::new(64, 2 * BEFORE_THE_KILL);
    let address = server.address;
    bench.runtime.block_on(async {
        let loaded = load(address, strength, Arc::clone(&submits) as _);
        let killed = async {
            tokio::time::sleep(BEFORE_THE_KILL).await;
            drop(server);
        };
        let (loaded, ()) = tokio::join!(loaded, killed);
        loaded
    })?;
    let acknowledged = submits.acknowledged();
    let server = store.start_in(program, data)?;
    let ready = millis(server.ready_after);
    let lost = bench.runtime.block_on(missing(&server, &acknowledged))?;
    println!(
        "{}, killed after {} submits on {} live jobs: ready after {ready:.1} ms, {lost} lost, {:.0} MiB",
        program.name,
        acknowledged.len(),
        store.ids.len(),
        server.process.memory() / 1024.0,
    );
    let mut figures = vec![("restart".to_owned(), ready)];
    if program.surface == Surface::Ours {
        figures.push(("lost".to_owned(), figure(lost)));
    }
    Ok(figures)
}

/// How many acknowledged jobs the program does not know.
pub(crate) async fn missing(server: &Server, acknowledged: &[(u64, String)]) -> Outcome<usize> {
    let mut connection = Connection::open(server.address).await?;
    let mut missing = 0;
    for (_, id) in acknowledged {
        let request = get(server.address, &format!("{}/{id}", server.surface.jobs()), "");
        missing += usize::from(connection.ask(&request).await?.status != 200);
    }
    Ok(missing)
}

/// A thousand live jobs with and without finished ones beside them.
fn growth(bench: &Bench, table: &mut Table, finished: u64) -> Outcome<()> {
    let ours = bench.ours()?;
    let alone = Filled::with_finished(bench, ours, 1_000, 0)?;
    let beside = Filled::with_finished(bench, ours, 1_000, finished)?;
    for round in 1..=bench.rounds {
        let start = |store: &Filled| {
            let data = TempDir::new()?;
            // Twice: the first one opens what the copying left, the second what a kill leaves.
            drop(store.start(ours, data.path())?);
            Outcome::Ok(millis(store.start_in(ours, data.path())?.ready_after))
        };
        let (alone, beside) = (start(&alone)?, start(&beside)?);
        println!(
            "round {round} ours: 1,000 live jobs {alone:.1} ms, with {finished} finished {beside:.1} ms"
        );
        table.note("restart_growth", beside / alone);
    }
    Ok(())
}
