//! A task as it is told.

use std::time::Duration;

use midjourney_core::{
    clock::Timestamp,
    image::ImageKind,
    job::{Action, FailureKind, RemoteStatus},
};
use serde_json::{Value, json};

use super::{GENERATE, image_of, names::NAMES};
use crate::simulate::backend::Seen;

/// Seconds, with a fraction.
fn seconds(at: Timestamp) -> f64 {
    Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or_default()).as_secs_f64()
}

/// A task and, once it is over, what it gave.
pub(super) fn record(task: &Seen, at: Timestamp) -> Value {
    let state = match task.status {
        RemoteStatus::Waiting => "pending",
        RemoteStatus::Succeeded(_) => "finished",
        RemoteStatus::Failed(_) | RemoteStatus::Cancelled => "failed",
        _ => "generating",
    };
    let index = task.order.parent.as_ref().map_or(0, |(_, index)| *index);
    let action = NAMES.spell(task.order.action, index);
    let done = matches!(task.status, RemoteStatus::Succeeded(_));
    let ended = task.is_over().then(|| seconds(at));
    let kind = match task.order.action {
        Action::Edit => "edits",
        Action::Animate { .. } | Action::Extend { .. } => "videos",
        _ => "imagine",
    };
    json!({
        "_id": task.id,
        "id": task.id,
        "type": kind,
        "created_at": seconds(task.submitted),
        "finished_at": ended,
        "duration": ended.map(|ended| ended - seconds(task.submitted)),
        "hold": false,
        "image_id": (done && kind != "videos").then(|| image_of(&task.id)),
        "state": state,
        "request": {"prompt": task.order.prompt, "action": action.as_deref().unwrap_or(GENERATE)},
        "response": answer(task),
    })
}

/// What a task gave; `None` before it is over.
pub(super) fn answer(task: &Seen) -> Option<Value> {
    let (code, message) = match &task.status {
        RemoteStatus::Succeeded(_) => {
            let (grid, singles) = (task.links(ImageKind::Grid), task.links(ImageKind::Single));
            let whole = grid.first().or_else(|| singles.first());
            if matches!(task.order.action, Action::Animate { .. } | Action::Extend { .. }) {
                return Some(json!({
                    "success": true,
                    "task_id": task.id,
                    "trace_id": task.id,
                    "video_id": image_of(&task.id),
                    "video_urls": singles,
                    "image_url": whole,
                    "progress": 100,
                }));
            }
            let split = task.order.parts && !grid.is_empty();
            return Some(json!({
                "success": true,
                "task_id": task.id,
                "trace_id": task.id,
                "image_id": image_of(&task.id),
                "image_url": whole,
                "raw_image_url": whole,
                "progress": 100,
                "actions": NAMES.offered(task),
                "sub_image_urls": if split { singles } else { Vec::new() },
            }));
        }
        RemoteStatus::Failed(failure) if failure.kind == FailureKind::Moderated => {
            ("bad_request", "Banned prompt detected")
        }
        RemoteStatus::Failed(_) | RemoteStatus::Cancelled => ("api_error", "fetch failed"),
        _ => return None,
    };
    Some(json!({
        "success": false,
        "task_id": task.id,
        "trace_id": task.id,
        "error": {"code": code, "message": message},
    }))
}
