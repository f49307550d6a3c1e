//! `simulate`: an imitation of an upstream, until it is stopped.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use midjourney_core::clock::SystemClock;

use super::{
    args::SimulateArgs,
    output::{Failure, say},
    serve::StopRequests,
};
use crate::simulate::{Script, Simulation, SimulationOptions};

pub(super) fn run(args: SimulateArgs) -> Result<ExitCode, Failure> {
    let mut options = SimulationOptions::new(args.dialect);
    options.listen = args.listen;
    options.duration = Duration::from_millis(args.duration_ms);
    options.seed = args.seed;
    if let Some(path) = args.script {
        options.script = script(&path)?;
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("the runtime cannot start", error))?
        .block_on(serve(options))
}

fn script(path: &Path) -> Result<Script, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Script::read(&text).map_err(|error| wrong(&midjourney_core::error::Chain(&error)))
}

async fn serve(options: SimulationOptions) -> Result<ExitCode, Failure> {
    let simulation = Simulation::start(options, Arc::new(SystemClock))
        .map_err(|error| Failure::failed("nothing can be imitated", error))?;
    let mut requests = StopRequests::listen();
    // The first line, for programs that start this one.
    say(simulation.url());
    requests.next().await;
    simulation
        .stop()
        .await
        .map_err(|error| Failure::failed("serving failed", error))?;
    Ok(ExitCode::SUCCESS)
}
