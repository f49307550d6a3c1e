//! `backup` and `migrate`: everything into one file and back, or to other stores.

use std::process::ExitCode;

use midjourney_core::{
    clock::{Clock as _, SystemClock},
    config::Environment,
};
use midjourney_storage::{
    Search, Settings, Stores,
    backup::{BackupError, BackupFile, Report, migrate},
};

use super::{
    args::{BackupArgs, BackupCommand, MigrateArgs},
    context::Context,
    output::{Failure, note, say, say_json},
};

pub(super) async fn run(context: &Context, command: BackupCommand) -> Result<ExitCode, Failure> {
    match command {
        BackupCommand::Create { file, recipient } => {
            let stores = open(&context.settings).await?;
            let made = BackupFile::at(&file)
                .sealed_for(recipient)
                .create(&stores, SystemClock.now())
                .await;
            tell(context, "backed up", made)
        }
        BackupCommand::Verify(args) => tell(context, "good", backup(args).verify().await),
        BackupCommand::Restore(args) => {
            let stores = open(&context.settings).await?;
            tell(context, "restored", backup(args).restore(&stores).await)
        }
    }
}

pub(super) async fn run_migrate(context: &Context, args: MigrateArgs) -> Result<ExitCode, Failure> {
    let target = Settings::load(
        Some(&args.to),
        args.to_data_dir,
        Search::WorkingDirectory,
        &Environment::of_process(),
    )
    .map_err(|error| Failure::usage(midjourney_core::error::Chain(&error).to_string()))?;
    let (from, to) = (open(&context.settings).await?, open(&target).await?);
    note(format_args!("from {} to {}", from.database, to.database));
    tell(context, "copied", migrate(&from, &to).await)
}

fn backup(args: BackupArgs) -> BackupFile {
    BackupFile::at(args.file).opened_with(args.identity)
}

async fn open(settings: &Settings) -> Result<Stores, Failure> {
    Stores::open(&settings.config, &settings.data_dir)
        .await
        .map_err(|error| Failure::failed("the stores cannot be opened", error))
}

fn tell(context: &Context, done: &str, report: Result<Report, BackupError>) -> Result<ExitCode, Failure> {
    let report = report.map_err(|error| Failure::failed("nothing was done", error))?;
    if context.json {
        say_json(&report)?;
    } else {
        say(format_args!(
            "{done}: {} jobs, {} rows, {} files, {} bytes",
            report.jobs, report.rows, report.files, report.bytes
        ));
    }
    for key in &report.lost {
        note(format_args!(
            "warning: the file {key} is gone or damaged and not among them"
        ));
    }
    Ok(if report.lost.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}
