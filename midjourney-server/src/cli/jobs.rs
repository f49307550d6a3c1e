//! `jobs`: list, show, follow and settle.

use std::process::ExitCode;

use midjourney_core::job::{Job, JobQuery, Resolution, Retention, Stage, UpstreamId};

use super::{
    args::{Decision, JobsCommand},
    context::Context,
    draw::{finish, rest},
    output::{Failure, note, say, say_json},
};

pub(super) async fn run(context: &Context, command: JobsCommand) -> Result<ExitCode, Failure> {
    match command {
        JobsCommand::List {
            status,
            batch,
            limit,
            after,
        } => {
            let mut query = JobQuery::newest(usize::from(limit));
            (query.status, query.batch, query.after) = (status, batch, after);
            list(context, &query).await
        }
        JobsCommand::Show { job } => {
            let assembled = context.assemble().await?;
            let job = assembled.gateway.job(job).await?;
            if context.json {
                say_json(&assembled.gateway.view(&job).await?)?;
            } else {
                say(line(&job));
                finish(context, &assembled, &[job], None).await?;
            }
            Ok(ExitCode::SUCCESS)
        }
        JobsCommand::Wait { job, timeout } => {
            let (assembled, engine) = context.working().await?;
            let job = assembled.gateway.wait(job, timeout).await?;
            rest(engine, assembled.rest).await;
            if !job.status().is_final() {
                note(format_args!(
                    "not finished in time; the job goes on: midjourney jobs wait {}",
                    job.id
                ));
                return Ok(ExitCode::FAILURE);
            }
            finish(context, &assembled, &[job], None).await
        }
        JobsCommand::Watch { job } => {
            let (assembled, engine) = context.working().await?;
            let mut watch = assembled.gateway.watch(job, 0).await?;
            while let Some(event) = watch.next().await? {
                if context.json {
                    say(event.json());
                } else {
                    let progress = event
                        .progress
                        .map_or_else(String::new, |percent| format!(" {percent} %"));
                    say(format_args!(
                        "{:>4} {} {}{progress}",
                        event.sequence,
                        event.at,
                        event.kind.name()
                    ));
                }
            }
            rest(engine, assembled.rest).await;
            Ok(ExitCode::SUCCESS)
        }
        JobsCommand::Seed { job } => {
            let seed = context.gateway().await?.seed(job).await?;
            if context.json {
                say_json(&serde_json::json!({ "job": job, "seed": seed }))?;
            } else if let Some(seed) = seed {
                say(seed);
            } else {
                note(format_args!("the seed of {job} cannot be told"));
            }
            Ok(if seed.is_some() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        JobsCommand::Clean { dry_run } => clean(context, dry_run).await,
        JobsCommand::Cancel { job } => changed(context, context.gateway().await?.cancel(job).await?).await,
        JobsCommand::Resolve(args) => {
            let gateway = context.gateway().await?;
            changed(
                context,
                gateway.resolve(args.job, resolution(args.decision)).await?,
            )
            .await
        }
    }
}

fn resolution(decision: Decision) -> Resolution {
    match decision {
        Decision { adopt: Some(id), .. } => Resolution::Adopt {
            upstream_id: UpstreamId::new(id),
        },
        Decision { resubmit: true, .. } => Resolution::Resubmit,
        Decision { .. } => Resolution::GiveUp,
    }
}

async fn list(context: &Context, query: &JobQuery) -> Result<ExitCode, Failure> {
    let gateway = context.gateway().await?;
    let page = gateway.jobs(query).await?;
    if context.json {
        let mut views = Vec::new();
        for job in &page.items {
            views.push(gateway.view(job).await?);
        }
        say_json(&serde_json::json!({ "jobs": views, "next": page.next }))?;
        return Ok(ExitCode::SUCCESS);
    }
    page.items.iter().for_each(|job| say(line(job)));
    if let Some(next) = page.next {
        note(format_args!("more: --after {next}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn changed(context: &Context, job: Job) -> Result<ExitCode, Failure> {
    if context.json {
        say_json(&context.gateway().await?.view(&job).await?)?;
    } else {
        say(line(&job));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(job: &Job) -> String {
    let stage = job.life.state.stage().map_or(job.status().name(), Stage::name);
    let prompt: String = job.request.prompt.chars().take(60).collect();
    format!(
        "{}  {stage:<14}  {:<9}  {}  {prompt}",
        job.id,
        job.request.action.name(),
        job.life.created
    )
}

async fn clean(context: &Context, dry_run: bool) -> Result<ExitCode, Failure> {
    let cleaned = context.gateway().await?.clean(dry_run).await?;
    if context.json {
        say_json(&serde_json::json!({
            "dry_run": dry_run,
            "jobs": cleaned.jobs,
            "images": cleaned.images,
            "uploads": cleaned.uploads,
            "bytes": cleaned.bytes,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if dry_run {
        cleaned.jobs.iter().for_each(say);
    }
    let what = if dry_run { "would go" } else { "removed" };
    note(format_args!(
        "{what}: {} jobs, {} images, {} uploads; {} bytes",
        cleaned.jobs.len(),
        cleaned.images.len(),
        cleaned.uploads.len(),
        cleaned.bytes
    ));
    if context.settings.config.retention() == Retention::default() {
        note(
            "everything is kept for ever: see `retention` and `storage.retention_days` of the configuration",
        );
    }
    Ok(ExitCode::SUCCESS)
}
