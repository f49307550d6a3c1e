//! The pictures of a finished task, or its videos.

use super::{
    buttons,
    wire::{Link, Task},
};
use crate::{
    client::http::{List, Loose, web_link},
    image::ImageKind,
    job::RemoteImage,
};

/// The pictures of a finished task: a grid with its singles where the line gives them, or one single. Videos are numbered
/// like singles, and the picture beside them only shows how they begin.
pub(super) fn images(task: &Task) -> Vec<RemoteImage> {
    let whole = link(task.image_url.as_str());
    let parts = links(&task.image_urls);
    let mut videos = links(&task.video_urls);
    if videos.is_empty() {
        videos.extend(link(task.video_url.as_str()));
    }
    if !videos.is_empty() || task.action.as_str().to_ascii_uppercase().starts_with("VIDEO") {
        let numbered = videos.iter().zip(1..);
        return numbered
            .map(|(url, index)| RemoteImage::new(url.as_str(), ImageKind::Single, index))
            .collect();
    }
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
    let parts = if parts.len() == 1 && whole.is_some() {
        Vec::new()
    } else {
        parts
    };
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

fn link(url: &str) -> Option<String> {
    web_link(url).map(str::to_owned)
}

/// The addresses in a list, each once, four at most.
fn links(list: &List<Loose<Link>>) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    for Loose(Link { url }) in &list.0 {
        links.extend(link(url.as_str()).filter(|url| !links.contains(url)));
    }
    links.truncate(4);
    links
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
