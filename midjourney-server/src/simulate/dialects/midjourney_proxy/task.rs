//! A task as this family tells it.

use midjourney_core::{
    clock::Timestamp,
    image::ImageKind,
    job::{Action, Failure, FailureKind, RemoteStatus, UpscaleMode},
};
use serde_json::{Map, Value, json};

use super::{Variety, buttons};
use crate::simulate::backend::Seen;

/// Whether a task gave four pictures in one.
pub(super) fn is_grid(task: &Seen) -> bool {
    !task.links(ImageKind::Grid).is_empty()
}

/// The task as fetching it and callbacks have it.
pub(super) fn json(variety: Variety, task: &Seen, at: Timestamp) -> Value {
    let submitted = task.submitted.as_millis();
    let (status, progress, reason) = told(variety, &task.status);
    let grid = task.links(ImageKind::Grid);
    let singles = task.links(ImageKind::Single);
    let image = grid.first().or_else(|| singles.first()).copied();
    let finished = task.is_over().then(|| at.as_millis());
    let text = texts(&task.status);
    let plain = task.order.prompt.split(" --").next().unwrap_or_default();
    let mut body = json!({
        "id": task.id,
        "action": action(variety, task.order.action),
        "status": status,
        "prompt": if text.is_empty() { plain } else { text.as_str() },
        "promptEn": if text.is_empty() { plain } else { text.as_str() },
        "description": format!("/imagine {plain}"),
        "state": task.order.mark,
        "submitTime": submitted,
        "startTime": submitted + 1,
        "finishTime": finished,
        "imageUrl": image,
        "progress": progress,
        "failReason": reason,
        "properties": {
            "finalPrompt": if text.is_empty() { task.order.prompt.as_str() } else { text.as_str() },
            "discordInstanceId": "1100000000000000001",
            "notifyHook": task.order.callback,
        },
    });
    if let Some(body) = body.as_object_mut() {
        add(variety, task, &singles, body);
    }
    body
}

/// What the newer lines tell beside that.
fn add(variety: Variety, task: &Seen, singles: &[&str], body: &mut Map<String, Value>) {
    if variety == Variety::Java {
        return;
    }
    let buttons = buttons::of(task).into_iter().map(|button| {
        json!({"customId": button.id, "label": button.label, "emoji": button.emoji, "type": 2, "style": 2})
    });
    body.insert("buttons".to_owned(), buttons.collect());
    let links = |urls: &[&str]| -> Value {
        let links = urls.iter().map(|url| json!({"url": url, "thumbnail": url}));
        links.collect()
    };
    let is_video = matches!(task.order.action, Action::Animate { .. } | Action::Extend { .. });
    // Resellers have the route for videos as well, and hand on what it gives.
    if is_video && matches!(variety, Variety::TrueAi | Variety::NewApi) {
        body.insert("videoUrl".to_owned(), json!(singles.first()));
        body.insert("videoUrls".to_owned(), links(singles));
    }
    if variety != Variety::TrueAi {
        return;
    }
    if !is_video && is_grid(task) {
        body.insert("imageUrls".to_owned(), links(singles));
    }
    let parent = task.order.parent.as_ref().map(|(parent, _)| parent);
    body.insert("parentId".to_owned(), json!(parent));
    body.insert("botType".to_owned(), json!("MID_JOURNEY"));
    body.insert("seed".to_owned(), Value::Null);
    body.insert("isCompleted".to_owned(), json!(task.is_over()));
}

/// The words for a status, its progress and the reason of a failure.
fn told(variety: Variety, status: &RemoteStatus) -> (&'static str, Option<String>, Option<String>) {
    let percent = |percent: u8| Some(format!("{percent}%"));
    match status {
        RemoteStatus::Waiting if variety == Variety::NewApi => ("NOT_START", None, None),
        RemoteStatus::Running { progress } => ("IN_PROGRESS", percent(progress.unwrap_or_default()), None),
        RemoteStatus::AwaitingInput => ("MODAL", percent(0), None),
        RemoteStatus::Succeeded(_) => ("SUCCESS", percent(100), None),
        RemoteStatus::Cancelled => ("CANCEL", percent(0), None),
        RemoteStatus::Failed(failure) => {
            let progress = match variety {
                Variety::Java => Some(String::new()),
                Variety::NewApi => percent(100),
                _ => percent(62),
            };
            ("FAILURE", progress, Some(reason(failure)))
        }
        _ => ("SUBMITTED", percent(0), None),
    }
}

fn reason(failure: &Failure) -> String {
    match failure.kind {
        FailureKind::Moderated => "[Banned prompt detected] The word `sim` is not allowed.".to_owned(),
        _ => "[Internal Server Error] sim:fail".to_owned(),
    }
}

/// What a task gave in words: numbered parts with empty lines between them.
fn texts(status: &RemoteStatus) -> String {
    let RemoteStatus::Succeeded(result) = status else {
        return String::new();
    };
    let parts = ["1️⃣", "2️⃣", "3️⃣", "4️⃣"].iter().zip(&result.texts);
    let parts: Vec<_> = parts.map(|(number, text)| format!("{number} {text}")).collect();
    parts.join("\n\n")
}

/// The word for what was done. The lines know more or fewer of them.
const fn action(variety: Variety, action: Action) -> &'static str {
    let trueai = matches!(variety, Variety::TrueAi);
    match action {
        Action::Upscale {
            mode: UpscaleMode::Cutout,
        } => "UPSCALE",
        Action::Variation { strength: None } => "VARIATION",
        Action::Reroll => "REROLL",
        Action::Blend { .. } => "BLEND",
        Action::Describe => "DESCRIBE",
        Action::Shorten => "SHORTEN",
        Action::Edit => "EDIT",
        Action::Retexture => "RETEXTURE",
        Action::Animate { .. } => "VIDEO",
        Action::Extend { .. } => "VIDEO_EXTEND",
        Action::Inpaint if trueai => "INPAINT",
        Action::Zoom { .. } if trueai => "OUTPAINT",
        Action::Upscale { .. } if trueai => "UPSCALE_HD",
        Action::Imagine => "IMAGINE",
        _ if trueai => "ACTION",
        Action::Upscale { .. } => "UPSCALE",
        Action::Zoom { .. } => "ZOOM",
        Action::Pan { .. } => "PAN",
        _ => "VARIATION",
    }
}
