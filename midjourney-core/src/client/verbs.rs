//! What `LegNext`, `YouChuan` and `EvoLink` have in common: the verbs of Midjourney's partner interface.
//!
//! Their routes, field names, numbers and envelopes differ, and stay with each of them. Shared here is only what the wire
//! facts give alike for all three: a task and a picture counted from 0, one text of at most 8,192 characters, links
//! rather than bytes, and what plain HTTP statuses mean.

mod allowed;
mod answer;
mod canvas;
mod fields;
mod films;
mod numbers;
mod pictures;
pub(super) mod version;
mod words;

pub(super) use self::numbers::Plan;
pub(super) use self::{
    answer::{callback, fetched, submitted},
    fields::Fields,
    pictures::{films, link, links, singles},
    words::{failed, judge},
};
pub(super) use self::{canvas::with_pictures, numbers::Numbers};
pub(super) use super::http::named::allowed::unsupported;
use super::http::{Caller, named::wording::has_own_prompt};
use crate::{
    client::{ClientError, ParentTask},
    job::{Action, Failure, FailureKind, JobRequest, Zoom},
    key::Secret,
};

/// The longest text, in characters ("`text` (1-8192)", wire facts of `YouChuan`, `LegNext` and `EvoLink`).
const MAX_TEXT: usize = 8_192;

/// How far a pan reaches: half the picture again, as Midjourney's own button does ("`fraction` 0.5", wire facts of the web
/// interface). `YouChuan` and `LegNext` take 1.1 to 3.0; for `EvoLink` an example has 2.
pub(super) const PAN_SCALE: f64 = 1.5;

/// The key, which these upstreams all require.
pub(super) async fn key(caller: &Caller) -> Result<Secret, ClientError> {
    let missing = || Failure::new(FailureKind::AccountBlocked, "there is no key for this upstream");
    let key = caller.key(false).await?;
    key.ok_or_else(|| ClientError::refused(missing()))
}

/// The finished task that a follow-up starts from.
pub(super) fn task<'a>(
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
) -> Result<&'a ParentTask, Failure> {
    parent.filter(|_| request.parent.is_some()).ok_or_else(|| {
        unsupported(format!(
            "a {} needs a finished picture to start from",
            request.action
        ))
    })
}

/// The picture that a follow-up starts from, counted from 0 ("image index 0-based", table of traps).
pub(super) fn picture(request: &JobRequest) -> Result<u8, Failure> {
    match request.parent.map(|parent| parent.index) {
        Some(index @ 1..=4) => Ok(index - 1),
        index => Err(unsupported(format!(
            "there is no picture {}; pictures are counted 1 to 4",
            index.unwrap_or_default()
        ))),
    }
}

/// The text that a follow-up brings along itself. The parent's need not be said again.
pub(super) fn own_prompt<'a>(request: &'a JobRequest, parent: &ParentTask) -> Option<&'a str> {
    has_own_prompt(request, parent).then_some(request.prompt.as_str())
}

/// `text`, where it is neither missing nor too long.
pub(super) fn text(text: &str) -> Result<&str, Failure> {
    let invalid = |message: String| Err(Failure::new(FailureKind::InvalidPrompt, message));
    match text.chars().count() {
        0 => invalid("this upstream needs a text".to_owned()),
        1..=MAX_TEXT => Ok(text),
        length => invalid(format!(
            "the prompt has {length} characters with its links; this upstream takes {MAX_TEXT}"
        )),
    }
}

/// `text` from outside, cut to the longest that is taken back.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The `scale` of an outpaint ("`scale` 1.1-2.0", wire facts); `None` for what no scale says.
pub(super) fn scale(zoom: Zoom) -> Option<f64> {
    match zoom {
        Zoom::OneAndAHalf => Some(1.5),
        Zoom::Double => Some(2.0),
        Zoom::Custom(hundredths @ 110..=200) => Some(f64::from(hundredths) / 100.0),
        Zoom::Custom(_) | Zoom::Square => None,
    }
}

/// Why `action` cannot be done, naming what can: other varieties of it or, without any, the other actions.
pub(super) fn lacking(action: Action, can: impl Fn(Action) -> bool) -> Failure {
    let all = || Action::ALL.into_iter().filter(|other| can(*other));
    let mut there: Vec<String> = all()
        .filter(|other| other.name() == action.name())
        .map(|other| other.to_string())
        .collect();
    if there.is_empty() {
        there = all().map(|other| other.name().to_owned()).collect();
        there.dedup();
    }
    if there.is_empty() {
        there.push("nothing else".to_owned());
    }
    unsupported(format!(
        "there is no {action} here; there is {}",
        there.join(", ")
    ))
}
