//! Which verb does what is asked, and with which body (`types/requests.py` of the vendor's client).

use crate::{
    client::{
        ClientError, ParentTask, Submission,
        http::{Caller, films::fits},
        verbs::{self, Fields, Numbers, Plan, lacking, link, links, text, unsupported},
    },
    job::{Action, Direction, Failure, FailureKind, JobRequest, RemoteAction, Shape, Strength, UpscaleMode},
};

/// The longest link to a picture that is painted or retextured (`imgUrl`, "max 1024").
const MAX_LINK: usize = 1_024;

/// How many offers a refusal names.
const MAX_NAMED: usize = 20;

/// The numbers of this upstream. Its pans and remixes count otherwise than `YouChuan`'s.
pub(super) const NUMBERS: Numbers = Numbers {
    // "`type` 0 subtle / 1 creative"
    upscale: |mode| match mode {
        UpscaleMode::Subtle => Some(0),
        UpscaleMode::Creative => Some(1),
        _ => None,
    },
    // "`direction` 0 up, 1 down, 2 left, 3 right"
    pan: |direction| match direction {
        Direction::Up => 0,
        Direction::Down => 1,
        Direction::Left => 2,
        Direction::Right => 3,
    },
    // "Remix mode (0=Low, 1=High)", `resources/midjourney.py`
    remix: |strength| match strength {
        Strength::Strong => 1,
        _ => 0,
    },
    lacks: |_, _| false,
    // "`extend-video`: `prompt` optional"
    extends_with_prompt: false,
};

/// The verb that does `action`.
fn verb(action: Action, follow_up: bool) -> Option<&'static str> {
    match action {
        Action::Blend { .. } => Some("blend"),
        Action::Describe => Some("describe"),
        Action::Shorten => Some("shorten"),
        _ => NUMBERS.verb(action, follow_up),
    }
}

/// Whether there is a verb for `action`.
pub(super) fn supports(action: Action) -> bool {
    verb(action, false).is_some()
}

/// How `request` is sent, or why it cannot be.
pub(super) fn plan(request: &JobRequest, parent: Option<&ParentTask>) -> Result<Plan, Failure> {
    let action = request.action;
    let verb = verb(action, parent.is_some()).ok_or_else(|| lacking(action, supports))?;
    if let Some(parent) = parent {
        fits(action, parent)?;
        offered(verb, request, parent)?;
    }
    let fields = match action {
        Action::Blend { shape } => Fields::default().with(
            "aspect_ratio",
            match shape {
                Shape::Portrait => "2:3",
                Shape::Square => "1:1",
                Shape::Landscape => "3:2",
            },
        ),
        Action::Describe => Fields::default(),
        Action::Shorten => Fields::default().with("prompt", text(&request.prompt)?),
        _ => return NUMBERS.plan(request, parent),
    };
    Ok(Plan { verb, fields })
}

/// Refuses what the finished task does not offer, where it tells (`available_actions`).
fn offered(verb: &str, request: &JobRequest, parent: &ParentTask) -> Result<(), Failure> {
    // A picture can be described whoever drew it.
    if parent.actions.is_empty() || request.action == Action::Describe {
        return Ok(());
    }
    let index = request.parent.map_or(0, |parent| parent.index);
    // "Available follow-up actions for this task (e.g., extend, upscale)" (`types/shared.py`); `extend-video` is one too.
    let name = verb.strip_suffix("-video").unwrap_or(verb);
    if parent
        .actions
        .iter()
        .any(|offer| offers_it(&offer.id, name, index))
    {
        return Ok(());
    }
    let offers: Vec<&str> = parent
        .actions
        .iter()
        .take(MAX_NAMED)
        .map(|offer| offer.label.as_str())
        .collect();
    Err(unsupported(format!(
        "the parent task offers no {verb} of picture {index}; it offers {}",
        offers.join(", ")
    )))
}

/// Whether the offer `id` is of `verb`, in any variety, for picture `index` or for the whole task.
fn offers_it(id: &str, verb: &str, index: u8) -> bool {
    let (name, number) = id.split_once(':').map_or((id, None), |(name, n)| (name, Some(n)));
    let rest = name.strip_prefix(verb);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        && number.is_none_or(|number| index == 0 || number.parse() == Ok(index.saturating_sub(1)))
}

/// What a task offers: `verb:picture`, the picture counted from 0 as the upstream does, or `verb` alone.
pub(super) fn offers(name: &str, pictures: &[u8]) -> Vec<RemoteAction> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    if pictures.is_empty() {
        return vec![RemoteAction::new(name.clone(), name)];
    }
    let label = |picture: &u8| format!("{name} {}", picture.saturating_add(1));
    pictures
        .iter()
        .map(|picture| RemoteAction::new(format!("{name}:{picture}"), label(picture)))
        .collect()
}

/// `fields` with the links to the pictures of `submission`. The mask of an inpaint goes another way.
pub(super) async fn with_pictures(
    caller: &Caller,
    submission: &Submission,
    fields: Fields,
) -> Result<Fields, ClientError> {
    match submission.request.action {
        Action::Inpaint => Ok(fields),
        Action::Blend { .. } => Ok(fields.with("imgUrls", links(&submission.images)?)),
        Action::Describe => {
            let of_parent = || {
                submission
                    .parent
                    .as_ref()
                    .and_then(|parent| parent.picture_url.as_deref())
            };
            let url = match submission.images.first() {
                Some(picture) => link(picture)?,
                None => of_parent().ok_or_else(|| {
                    ClientError::unsupported("the parent's picture has no link any more; give one")
                })?,
            };
            Ok(fields.with("imgUrl", url))
        }
        Action::Edit | Action::Retexture => {
            for url in links(&submission.images)? {
                if url.len() > MAX_LINK {
                    let message = format!("LegNext takes links of {MAX_LINK} characters at most");
                    return Err(ClientError::refused(Failure::new(
                        FailureKind::InvalidPrompt,
                        message,
                    )));
                }
            }
            verbs::with_pictures(caller, submission, fields).await
        }
        _ => verbs::with_pictures(caller, submission, fields).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_matched_by_verb_and_picture() {
        for (id, verb, index, fit) in [
            ("upscale:1", "upscale", 2, true),
            ("upscale:1", "upscale", 1, false),
            ("upscale-subtle:1", "upscale", 2, true),
            ("upscales:1", "upscale", 2, false),
            ("edit:0", "upscale", 1, false),
            ("reroll", "reroll", 0, true),
            ("reroll:0", "reroll", 0, true),
            ("pan", "pan", 3, true),
            ("pan:x", "pan", 3, false),
        ] {
            assert_eq!(offers_it(id, verb, index), fit, "{id} {verb} {index}");
        }
    }
}
