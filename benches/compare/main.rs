//! Our programs beside peers: the peers run in turn with ours inside every round, and what counts are the ratios.
//!
//! ```text
//! compare submit --ours target/release/midjourney --limit-server 'limits serve --db {data}/peer.db --addr {addr}'
//! compare start  --ours target/release/midjourney-mcp --peer mcpempty
//! ```
//!
//! Each works without peers too. Everything stays on loopback and is bounded in time. On Linux the servers are pinned to
//! one processor and the load to another (`taskset`); on a machine that others use, run the whole under `chrt -r 1`.

#![expect(clippy::disallowed_methods, reason = "measuring is asking the clock")]

mod bench;
mod callbacks;
mod chaos;
mod connection;
mod fill;
mod flood;
mod goals;
mod idle;
mod ingest;
mod load;
mod numbers;
mod options;
mod path;
mod process;
mod programs;
mod reads;
mod restart;
mod soak;
mod start;
mod submit;
mod surface;
mod table;
mod underway;
mod upstream;
mod waiters;

use std::{error::Error, path::Path};

use self::{bench::Bench, options::Options, table::Table};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
compare WHAT --ours PROGRAM [--limit-server 'PROGRAM ARGS'] [--fastapi 'PROGRAM ARGS'] [--rounds N] [--secs N]
             [--server-cpu N] [--load-cpu N] [--log FILE] [--write FILE]

submit   acknowledged submits of one job each [--conns 1,64,256] [--upstream simulator|hangs] [--prompt TEXT]
ingest   callbacks of 2 KiB that end a job each, fresh, repeated and forged [--conns N] [--jobs N]
flood    2,000 forged callbacks a second beside good ones, [--secs 30] of each [--rate N] [--jobs N]
path     jobs from their request to the answer of an upstream that takes them at once [--jobs N]
poll     looks at one job [--conns N] [--jobs 1000,1000000]
list     pages of fifty jobs: the newest, from the middle, by each filter [--conns N] [--jobs 1000,1000000]
waiters  [--waiters 10000] of a job each by long poll, SSE and WebSocket [--ways poll,sse,ws]: memory, and when they hear of
         the end [--callbacks N] [--rate N]; and all of one job
restart  from the start after `kill -9` under load to being ready [--live 100000] [--finished N]
idle     from the start to the first answer, and memory at rest
soak     half the peak for some minutes [--minutes 10] [--stored 100000]
chaos    kill -9 at odd moments beside an upstream that goes wrong, and exact accounts at the end [--kills 10]
         [--requests 400] [--seed N]
all      everything that has a goal but soak, which needs --minutes N; with --write FILE as a page
start    from the start of a process to its answer to the MCP request `initialize` [--peer PROGRAM] [--runs N]

In the line of a peer, {addr}, {port} and {data} are filled in with where to listen and where to keep data, {upstream}
with the upstream to call, and {commit} of --fastapi with `each` and `group`: it is two peers.
--upstream hangs: ours talks to an upstream that never answers, so that its engine soon rests and only the submits are
measured.";

fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_default();
    let options = Options::read(words)?;
    process::pin_self(options.text("load-cpu", "1"));
    if what == "start" {
        return start::start(&options);
    }
    let bench = Bench::new(options)?;
    let mut table = Table::default();
    match what.as_str() {
        "submit" => submit::submit(&bench, &mut table)?,
        "ingest" => ingest::ingest(&bench, &mut table)?,
        "flood" => return flood::flood(&bench),
        "waiters" => waiters::waiters(&bench, &mut table)?,
        "restart" => restart::restart(&bench, &mut table)?,
        "idle" => idle::idle(&bench, &mut table)?,
        "soak" => soak::soak(&bench, &mut table)?,
        "chaos" => chaos::chaos(&bench, &mut table)?,
        "all" => all(&bench, &mut table)?,
        "path" => path::path(&bench, &mut table)?,
        "poll" => reads::poll(&bench, &mut table)?,
        "list" => reads::list(&bench, &mut table)?,
        _ => return Err(USAGE.into()),
    }
    println!("\n{}\n{}", table.plain(), table.markdown(false));
    if let Some(path) = bench.options.get("write") {
        table::write(&table::page(&table, bench.rounds), Path::new(path))?;
    }
    Ok(())
}

/// One after the other; what fails is told and leaves its rows empty.
fn all(bench: &Bench, table: &mut Table) -> Outcome<()> {
    type Measure = fn(&Bench, &mut Table) -> Outcome<()>;
    let mut all: Vec<(&str, Measure)> = vec![
        ("submit", submit::submit),
        ("path", path::path),
        ("ingest", ingest::ingest),
        ("poll", reads::poll),
        ("list", reads::list),
        ("waiters", waiters::waiters),
        ("idle", idle::idle),
        ("restart", restart::restart),
        ("chaos", chaos::chaos),
    ];
    if bench.options.get("minutes").is_some() {
        all.push(("soak", soak::soak));
    }
    for (name, measure) in all {
        println!("\n{name}");
        if let Err(error) = measure(bench, table) {
            println!("{name} failed: {error}");
        }
    }
    Ok(())
}
