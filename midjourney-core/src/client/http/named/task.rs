//! What the tasks of several upstreams have in common, and how it is read.

use serde::de::DeserializeOwned;

use crate::{
    client::{
        ClientError,
        http::{List, Loose, Text, mask, web_link},
    },
    image::ImageKind,
    job::{Failure, FailureKind, RemoteImage},
};

/// The longest callback that is read, in bytes.
const MAX_CALLBACK: usize = 1024 * 1024;

/// The longest text of a result, in bytes.
const MAX_TEXT: usize = 2_000;

/// How many texts are kept of a result.
const MAX_TEXTS: usize = 8;

/// What an upstream posted, as JSON; its default where it is JSON of another kind.
pub(in crate::client) fn callback<T: Default + DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    if body.len() > MAX_CALLBACK {
        return Err(bad_callback("the callback is longer than 1 MiB"));
    }
    serde_json::from_slice::<Loose<T>>(body)
        .map(|Loose(value)| value)
        .map_err(|error| bad_callback("the callback is not JSON").with_source(error))
}

/// A callback that cannot be understood.
pub(in crate::client) fn bad_callback(message: &str) -> ClientError {
    ClientError::refused(Failure::new(FailureKind::BadAnswer, message))
}

/// An address of the web.
pub(in crate::client) fn link(text: &Text) -> Option<String> {
    web_link(text.as_str()).map(str::to_owned)
}

/// The addresses in a list, each once, at most four: what is beyond is no picture of a grid.
pub(in crate::client) fn links(list: &List<Text>) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    for url in list.0.iter().filter_map(link) {
        if !links.contains(&url) {
            links.push(url);
        }
    }
    links.truncate(4);
    links
}

/// The pictures of a task: a grid with its parts where there are any, or one single picture.
pub(in crate::client) fn pictures(
    whole: Option<String>,
    mut parts: Vec<String>,
    grid: bool,
) -> Vec<RemoteImage> {
    let single = |url: String, index| RemoteImage::new(url, ImageKind::Single, index);
    if !grid {
        let picture = whole.or_else(|| parts.into_iter().next());
        return picture.map(|url| single(url, 1)).into_iter().collect();
    }
    // Some lists hold the grid itself, alone or among its parts.
    parts.retain(|part| whole.as_ref() != Some(part));
    let singles = parts.into_iter().zip(1..).map(|(url, index)| single(url, index));
    let grid = whole.map(|url| RemoteImage::new(url, ImageKind::Grid, 0));
    singles.chain(grid).collect()
}

/// The videos of a task by their places, at most four.
pub(in crate::client) fn videos(list: &List<Text>) -> Vec<RemoteImage> {
    let placed = list.0.iter().take(4).zip(1..);
    placed
        .filter_map(|(url, index)| Some(RemoteImage::new(link(url)?, ImageKind::Single, index)))
        .collect()
}

/// The texts of a result, bounded and without secrets.
pub(in crate::client) fn texts<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    secrets: &[&str],
) -> Vec<String> {
    let cut = |line: &str| {
        let mut text = String::new();
        for c in line.chars().filter(|c| !c.is_control()) {
            if text.len() + c.len_utf8() > MAX_TEXT {
                break;
            }
            text.push(c);
        }
        text
    };
    lines
        .into_iter()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| cut(&mask(line, secrets)))
        .take(MAX_TEXTS)
        .collect()
}

/// Percent as numbers, texts and texts with a sign give them.
pub(in crate::client) fn progress(text: &Text) -> Option<u8> {
    let text = text.as_str();
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let whole = number.split('.').next().unwrap_or(number);
    whole.parse().ok().filter(|percent| *percent <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> List<Text> {
        List(entries.iter().map(|entry| Text((*entry).to_owned())).collect())
    }

    #[test]
    fn a_grid_has_its_parts_and_a_single_picture_is_one() {
        let (whole, parts) = ("https://cdn/w.png", ["https://cdn/1.png", "https://cdn/2.png"]);
        let told = |whole: Option<&str>, parts: &[&str], grid| {
            let all = pictures(whole.map(str::to_owned), links(&list(parts)), grid);
            all.into_iter()
                .map(|image| (image.url, image.kind, image.index))
                .collect::<Vec<_>>()
        };
        let (single, grid) = (ImageKind::Single, ImageKind::Grid);
        let one = |url: &str, kind, index| (url.to_owned(), kind, index);
        let both = vec![
            one(parts[0], single, 1),
            one(parts[1], single, 2),
            one(whole, grid, 0),
        ];
        assert_eq!(told(Some(whole), &parts, true), both);
        assert_eq!(
            told(
                Some(whole),
                &[whole, parts[0], parts[0], parts[1], "ftp://x", ""],
                true
            ),
            both
        );
        assert_eq!(told(Some(whole), &[], true), [one(whole, grid, 0)]);
        assert_eq!(told(Some(whole), &parts, false), [one(whole, single, 1)]);
        assert_eq!(told(None, &parts, false), [one(parts[0], single, 1)]);
        assert_eq!(told(None, &[], false), []);
        let five: Vec<String> = (1..=5).map(|n| format!("https://cdn/{n}.png")).collect();
        let five: Vec<&str> = five.iter().map(String::as_str).collect();
        assert_eq!(told(None, &five, true).len(), 4);
    }

    #[test]
    fn texts_are_bounded_and_hide_secrets() {
        let long = "é".repeat(3_000);
        let lines = ["", " a secret fox ", "b\u{7}c", &long];
        let texts = texts(lines.into_iter().chain(std::iter::repeat_n("x", 90)), &["secret"]);
        assert_eq!(texts.len(), MAX_TEXTS);
        assert_eq!(texts[..2], ["a *** fox", "bc"]);
        assert!(texts.iter().all(|text| text.len() <= MAX_TEXT));
    }

    #[test]
    fn progress_is_read_as_it_comes() {
        for (text, percent) in [
            ("31%", Some(31)),
            ("0", Some(0)),
            ("100", Some(100)),
            ("46.5", Some(46)),
            ("", None),
            ("101", None),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(progress(&Text(text.to_owned())), percent, "{text}");
        }
    }
}
