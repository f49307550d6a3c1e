//! A job, shown as a task.

use midjourney_core::{
    error::Error,
    image::{Image, ImageKind},
    job::{Action, Event, EventKind, Failure, ImageQuery, Job, JobState, Stage, Status},
};
use serde_json::{Map, Value};

use super::{
    buttons,
    window::{self, Window},
    wire::{Task, TaskImage},
};
use crate::http::{App, links::Signer};

/// How many of a job's first events are looked at for its first submit: it is the second, unless the job is cancelled.
const FIRST_EVENTS: usize = 4;

/// How a job is, or was.
#[derive(Clone, Copy, Debug)]
struct Glance<'a> {
    status: Status,
    stage: Option<Stage>,
    progress: Option<u8>,
    failure: Option<&'a Failure>,
}

/// `job` as it is now.
pub(super) async fn task(app: &App, signer: &Signer, job: &Job) -> Result<Task, Error> {
    let now = Glance {
        status: job.status(),
        stage: job.life.state.stage(),
        progress: job.life.state.progress(),
        failure: job.life.failure(),
    };
    build(app, signer, job, now).await
}

/// `job` as it was when `event` happened.
pub(super) async fn task_at(app: &App, signer: &Signer, job: &Job, event: &Event) -> Result<Task, Error> {
    let then = Glance {
        status: event.status,
        stage: event.stage,
        progress: event.progress,
        failure: event.failure.as_ref(),
    };
    build(app, signer, job, then).await
}

async fn build(app: &App, signer: &Signer, job: &Job, glance: Glance<'_>) -> Result<Task, Error> {
    let images = if glance.status == Status::Completed {
        app.gateway.images(&ImageQuery::of(job.id)).await?.items
    } else {
        Vec::new()
    };
    let first = app.gateway.history(job.id, 0, FIRST_EVENTS).await?;
    let started = first.iter().find(|event| event.kind == EventKind::Submitting);
    let ended = matches!(
        glance.status,
        Status::Failed | Status::Expired | Status::Cancelled
    );
    let (texts, seed) = match &job.life.state {
        JobState::Completed { texts, seed, .. } if glance.status == Status::Completed => {
            (texts.as_slice(), *seed)
        }
        _ => (&[][..], None),
    };
    let shown = images
        .iter()
        .find(|image| image.kind == ImageKind::Grid)
        .or_else(|| images.first());
    let single = |image: &&Image| image.kind == ImageKind::Single;
    let link = |image: &Image| signer.image(image.id);
    Ok(Task {
        id: window::name(job),
        action: action(job.request.action),
        status: status(glance),
        prompt: job.request.prompt.clone(),
        prompt_en: job.request.prompt.clone(),
        description: description(job),
        state: job.request.echo.state.clone(),
        submit_time: job.life.created.as_millis(),
        start_time: started.map(|event| event.at.as_millis()),
        finish_time: glance.status.is_final().then(|| job.life.entered.as_millis()),
        image_url: shown.map(link),
        image_urls: images
            .iter()
            .filter(single)
            .map(|image| TaskImage {
                url: link(image),
                thumbnail: link(image),
            })
            .collect(),
        progress: progress(glance),
        fail_reason: glance.failure.filter(|_| ended).map(reason),
        buttons: if glance.status == Status::Completed {
            buttons::buttons(&app.gateway, job, &images)
        } else {
            Vec::new()
        },
        properties: properties(job, final_prompt(job, texts)),
        seed: seed.map(|seed| seed.to_string()),
    })
}

/// A window that nobody has confirmed yet, on a button of `parent`.
pub(super) fn waiting(id: String, window: &Window, parent: &Job) -> Task {
    let action = match buttons::press(&window.button).map(|pressed| pressed.deed) {
        Some(buttons::Deed::CustomZoom) => "ZOOM",
        Some(buttons::Deed::Inpaint) => "INPAINT",
        Some(buttons::Deed::Suggestion(_)) => "IMAGINE",
        Some(buttons::Deed::Act(_)) | None => "VARIATION",
    };
    let prompt = parent.request.prompt.clone();
    let mut properties = Map::new();
    properties.insert("finalPrompt".to_owned(), prompt.clone().into());
    properties.insert("notifyHook".to_owned(), window.echo.notify.clone().into());
    properties.insert("remix".to_owned(), true.into());
    Task {
        id,
        action,
        status: "MODAL",
        prompt_en: prompt.clone(),
        prompt,
        description: format!("waits for submit/modal: {}", window.button),
        state: window.echo.state.clone(),
        submit_time: window.opened().as_millis(),
        start_time: None,
        finish_time: None,
        image_url: None,
        image_urls: Vec::new(),
        progress: "0%".to_owned(),
        fail_reason: None,
        buttons: Vec::new(),
        properties,
        seed: None,
    }
}

/// The words that most of the proxy's lines have: `ZOOM` and `PAN` are what the documented line calls what another one
/// calls `OUTPAINT`.
const fn action(action: Action) -> &'static str {
    match action {
        Action::Upscale { .. } => "UPSCALE",
        Action::Variation { .. } | Action::Remix { .. } => "VARIATION",
        Action::Reroll => "REROLL",
        Action::Zoom { .. } => "ZOOM",
        Action::Pan { .. } => "PAN",
        Action::Inpaint => "INPAINT",
        Action::Edit => "EDIT",
        Action::Retexture => "RETEXTURE",
        Action::Blend { .. } => "BLEND",
        Action::Describe => "DESCRIBE",
        Action::Shorten => "SHORTEN",
        Action::Animate { .. } => "VIDEO",
        Action::Extend { .. } => "VIDEO_EXTEND",
        _ => "IMAGINE",
    }
}

/// Windows that an upstream opens are answered by the engine, so they are no `MODAL` for the client to answer.
const fn status(glance: Glance<'_>) -> &'static str {
    match (glance.status, glance.stage) {
        (Status::Pending, _) => "NOT_START",
        (Status::Processing, Some(Stage::Submitting | Stage::SubmitUnknown | Stage::Submitted)) => {
            "SUBMITTED"
        }
        (Status::Processing, _) => "IN_PROGRESS",
        (Status::Completed, _) => "SUCCESS",
        (Status::Failed | Status::Expired, _) => "FAILURE",
        (Status::Cancelled, _) => "CANCEL",
    }
}

/// 100 % are told together with `SUCCESS` alone: there are clients that look at nothing else.
fn progress(glance: Glance<'_>) -> String {
    match glance.status {
        Status::Pending => "0%".to_owned(),
        Status::Processing => format!("{}%", glance.progress.unwrap_or(0).min(99)),
        Status::Completed => "100%".to_owned(),
        Status::Failed | Status::Expired | Status::Cancelled => String::new(),
    }
}

fn reason(failure: &Failure) -> String {
    match &failure.upstream_text {
        Some(text) => format!("{}: {text}", failure.message),
        None => failure.message.clone(),
    }
}

fn description(job: &Job) -> String {
    let (action, prompt) = (job.request.action.name(), &job.request.prompt);
    match job.request.parent {
        None => format!("/{action} {prompt}").trim_end().to_owned(),
        Some(parent) if parent.index == 0 => format!("/{action} of {}", parent.job),
        Some(parent) => format!("/{action} of picture {} of {}", parent.index, parent.job),
    }
}

/// What a client reads as the outcome in words: the prompt as sent, or the texts that the task gave.
fn final_prompt(job: &Job, texts: &[String]) -> String {
    let numbered = || {
        let items = texts
            .iter()
            .enumerate()
            .map(|(at, text)| format!("{} {text}", keycap(at + 1)));
        items.collect::<Vec<_>>().join("\n\n")
    };
    match job.request.action {
        _ if texts.is_empty() => job.request.prompt.clone(),
        Action::Shorten => format!(
            "## Important tokens\n\n{}\n\n## Shortened prompts\n\n{}",
            job.request.prompt,
            numbered()
        ),
        _ => numbered(),
    }
}

/// `1️⃣`, `2️⃣` and so on.
fn keycap(number: usize) -> String {
    if number == 10 {
        return "🔟".to_owned();
    }
    number
        .to_string()
        .chars()
        .flat_map(|digit| [digit, '\u{fe0f}', '\u{20e3}'])
        .collect()
}

fn properties(job: &Job, final_prompt: String) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut put = |name: &str, value: Value| properties.insert(name.to_owned(), value);
    put("finalPrompt", final_prompt.into());
    put("notifyHook", job.request.echo.notify.clone().into());
    put("messageHash", buttons::mark(job.id).into());
    put("flags", 0.into());
    put("discordInstanceId", job.account.as_str().into());
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_keycaps() {
        assert_eq!(keycap(1), "1️⃣");
        assert_eq!(keycap(10), "🔟");
        assert_eq!(keycap(12), "1️⃣2️⃣");
    }
}
