//! Accept, follow, list the files: what every command that draws does.

use std::{path::Path, process::ExitCode, time::Duration};

use futures_util::future::join_all;
use midjourney_core::{
    engine::Engine,
    error::Error,
    gateway::{Accepted, Gateway, Imagine, JobView},
    id::JobId,
    image::{Image, ImageKind},
    job::{ImageQuery, Job, Status},
    link::image_path,
};
use midjourney_storage::Assembled;

use super::{
    actions::picture,
    args::{FollowArgs, ImagineArgs},
    context::Context,
    images::export,
    output::{Failure, note, say, say_json},
    progress::{Line, Progress},
};

/// How long running work may take to come to rest when a person does not want to wait.
const HURRY: Duration = Duration::from_secs(10);
/// The exit status of a process that was interrupted, as shells have it.
const INTERRUPTED: u8 = 130;

pub(super) async fn imagine(context: &Context, args: ImagineArgs) -> Result<ExitCode, Failure> {
    let request = Imagine::new(args.prompt)
        .with_version(args.model)
        .with_key(args.follow.idempotency_key.clone());
    follow(context, args.follow, async |gateway| {
        let mut images = Vec::new();
        for image in args.image {
            images.push(picture(gateway, image).await?);
        }
        Ok(gateway.imagine(request.with_images(images)).await?)
    })
    .await
}

/// Accepts, follows and lists what comes of it.
pub(super) async fn follow(
    context: &Context,
    args: FollowArgs,
    accept: impl AsyncFnOnce(&Gateway) -> Result<Accepted, Failure>,
) -> Result<ExitCode, Failure> {
    let assembled = context.assemble().await?;
    let gateway = assembled.gateway.clone();
    let accepted = accept(&gateway).await?;
    if !context.json {
        if gateway.default_capabilities().simulated {
            note("simulated upstream: the pictures are made up, nothing is sent or spent");
        }
        for warning in &accepted.warnings {
            note(format_args!("warning: {}", warning.message));
        }
        accepted.jobs.iter().for_each(|job| say(job.id));
    }
    if args.no_wait {
        return finish(context, &assembled, &accepted.jobs, None).await;
    }
    // Only now: a prompt that is refused starts nothing.
    let engine = gateway.start_engine(assembled.engine);
    let progress = Progress::new(context.json);
    let waits = accepted
        .jobs
        .iter()
        .map(|job| wait(&gateway, job.id, progress.line(job.id), context.json));
    let outcome = tokio::select! {
        done = tokio::time::timeout(args.timeout, join_all(waits)) => done.ok(),
        _ = tokio::signal::ctrl_c() => {
            engine.shutdown(HURRY).await;
            for job in &accepted.jobs {
                note(format_args!("interrupted; the job goes on: midjourney jobs wait {}", job.id));
            }
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    rest(engine, assembled.rest).await;
    let Some(outcome) = outcome else {
        for job in &accepted.jobs {
            note(format_args!(
                "not finished in time; the job goes on: midjourney jobs wait {}",
                job.id
            ));
        }
        return Ok(ExitCode::FAILURE);
    };
    let jobs = outcome.into_iter().collect::<Result<Vec<_>, _>>()?;
    finish(context, &assembled, &jobs, args.output.as_deref()).await
}

/// Lets the engine finish what it has begun, which may be the jobs of others; a second Ctrl-C ends that too.
pub(super) async fn rest(engine: Engine, limit: Duration) {
    tokio::select! {
        rested = engine.shutdown(limit) => if !rested {
            note("a call to the upstream was cut off; whichever process works next looks what came of it");
        },
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn wait(gateway: &Gateway, id: JobId, line: Line, quiet: bool) -> Result<Job, Error> {
    let mut watch = gateway.watch(id, 0).await?;
    while let Some(event) = watch.next().await? {
        if !quiet {
            line.tell(&event);
        }
    }
    gateway.job(id).await
}

/// Lists what came of the jobs.
pub(super) async fn finish(
    context: &Context,
    assembled: &Assembled,
    jobs: &[Job],
    output: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let gateway = &assembled.gateway;
    let mut views = Vec::new();
    for job in jobs {
        let view = gateway.view(job).await?;
        if let Some(folder) = output {
            for image in gateway.images(&ImageQuery::of(job.id)).await?.items {
                export(gateway, &image, folder, !context.json).await?;
            }
        } else if !context.json {
            show_files(assembled, gateway, job, &view).await?;
        }
        views.push(view);
    }
    if context.json {
        say_json(&serde_json::json!({ "jobs": views }))?;
    }
    let failed = jobs
        .iter()
        .any(|job| job.status().is_final() && job.status() != Status::Completed);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Where somebody finds the picture: its file, or its address at the HTTP server.
fn place(assembled: &Assembled, image: &Image) -> String {
    match &assembled.images {
        Some(folder) => folder.join(image.key.as_str()).display().to_string(),
        None => image_path(image.id),
    }
}

async fn show_files(
    assembled: &Assembled,
    gateway: &Gateway,
    job: &Job,
    view: &JobView,
) -> Result<(), Failure> {
    if let Some(failure) = &view.failure
        && job.status().is_final()
    {
        note(format_args!(
            "{} {}: {} ({}; spent: {})",
            job.id, view.status, failure.message, failure.code, failure.spent
        ));
        if let Some(text) = &failure.upstream_text {
            note(format_args!("  the upstream said: {text}"));
        }
    }
    view.texts.iter().for_each(say);
    for image in gateway.images(&ImageQuery::of(job.id)).await?.items {
        if image.kind == ImageKind::Grid {
            continue;
        }
        let size = image
            .size
            .map_or_else(String::new, |(width, height)| format!("{width}x{height}  "));
        let simulated = if view.simulated { "  simulated" } else { "" };
        say(format_args!(
            "{}  {size}{} bytes{simulated}",
            place(assembled, &image),
            image.bytes
        ));
    }
    Ok(())
}
