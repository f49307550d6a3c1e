//! The command line. Each command is one module; none holds more logic than showing what the gateway says.
//!
//! What is asked for goes to standard output, everything else to standard error. Exit status: 0 done, 1 it failed,
//! 2 it was asked wrongly and nothing was done or spent, 130 interrupted.

mod accounts;
mod actions;
mod args;
mod backup;
mod callbacks;
mod context;
mod doctor;
mod draw;
mod images;
mod jobs;
mod output;
mod progress;
mod serve;
#[cfg(feature = "simulator")]
mod simulate;
mod webhooks;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::{
    args::{Cli, Command},
    context::Context,
    output::Failure,
};

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    match run(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    if let Command::Completions { shell } = &cli.command {
        clap_complete::generate(*shell, &mut Cli::command(), "midjourney", &mut std::io::stdout());
        return Ok(ExitCode::SUCCESS);
    }
    #[cfg(feature = "simulator")]
    if let Command::Simulate(args) = cli.command {
        // Stands for somebody else's gateway, so it needs no configuration of ours.
        return simulate::run(args);
    }
    let context = Context::load(&cli)?;
    let workers = context.settings.config.server.workers;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let (Command::Serve(_), Some(workers)) = (&cli.command, workers) {
        runtime.worker_threads(workers);
    }
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("the runtime cannot start", error))?;
    let done = runtime.block_on(dispatch(cli.command, &context));
    // Somebody may sit in a blocking read, such as of a terminal; that must not hold up the exit.
    runtime.shutdown_background();
    done
}

async fn dispatch(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Imagine(args) => draw::imagine(context, args).await,
        Command::Act(command) => actions::run(context, command).await,
        Command::Jobs(command) => jobs::run(context, command).await,
        Command::Images(command) => images::run(context, command).await,
        Command::Backup(command) => backup::run(context, command).await,
        Command::Migrate(args) => backup::run_migrate(context, args).await,
        Command::Serve(args) => serve::run(context, args).await,
        Command::Accounts => accounts::run(context).await,
        Command::Webhooks(command) => webhooks::run(context, command).await,
        Command::Doctor => doctor::run(context).await,
        #[cfg(feature = "simulator")]
        Command::Simulate(_) => Ok(ExitCode::SUCCESS),
        Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}
