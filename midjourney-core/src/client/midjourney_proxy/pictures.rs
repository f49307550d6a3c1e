//! The pictures of a finished task.

use super::{
    buttons,
    wire::{Link, Task},
};
use crate::{client::http::Loose, image::ImageKind, job::RemoteImage};

/// The longest address of a picture.
const MAX_URL: usize = 4_096;

/// The pictures of a finished task: a grid with its singles where the line gives them, or one single.
pub(super) fn images(task: &Task) -> Vec<RemoteImage> {
    let link = |url: &str| {
        let web = url.starts_with("https://") || url.starts_with("http://");
        (web && url.len() <= MAX_URL).then(|| url.to_owned())
    };
    let whole = link(task.image_url.as_str());
    let mut parts: Vec<String> = Vec::new();
    for Loose(Link { url }) in &task.image_urls.0 {
        parts.extend(link(url.as_str()).filter(|url| !parts.contains(url)));
    }
    parts.truncate(4);
    let single = |url: &String, index: u8| RemoteImage::new(url.as_str(), ImageKind::Single, index);
    if !is_grid(task, parts.len()) {
        return whole
            .iter()
            .chain(&parts)
            .take(1)
            .map(|url| single(url, 1))
            .collect();
    }
    // One link in the list is the grid again.
    if parts.len() == 1 && whole.is_some() {
        parts.clear();
    }
    let whole = whole.filter(|whole| !parts.contains(whole));
    let singles = parts.iter().zip(1..).map(|(url, index)| single(url, index));
    singles
        .chain(
            whole
                .iter()
                .map(|url| RemoteImage::new(url.as_str(), ImageKind::Grid, 0)),
        )
        .collect()
}

/// Whether a task's picture shows several. Its buttons know best: trueai calls every follow-up `ACTION`.
fn is_grid(task: &Task, parts: usize) -> bool {
    let mut jobs = task
        .buttons
        .0
        .iter()
        .map(|Loose(button)| button.custom_id.as_str())
        .filter(|id| id.starts_with("MJ::JOB::"))
        .peekable();
    if jobs.peek().is_some() {
        return jobs.any(buttons::is_of_grid);
    }
    match task.action.as_str().to_ascii_uppercase().as_str() {
        "IMAGINE" | "VARIATION" | "REROLL" | "BLEND" | "ZOOM" | "PAN" | "OUTPAINT" | "INPAINT" => true,
        action if action.starts_with("UPSCALE") || action.starts_with("SWAP") => false,
        _ => parts > 1,
    }
}
