//! Buttons: what can be done with a finished task, as custom ids, and back.
//!
//! A custom id is read by its parts, never by its label. Which buttons there are follows from what the task gave, from
//! the version that drew it, and from what its upstream can do.

use midjourney_core::{
    gateway::Gateway,
    id::JobId,
    image::{Image, ImageKind},
    job::{Action, Direction, Job, JobState, Motion, Strength, UpscaleMode, Zoom},
    prompt::Prompt,
};

use super::wire::Button;

/// What a button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It is done at once.
    Act(Action),
    /// A window asks how far to zoom.
    CustomZoom,
    /// A window asks for a mask.
    Inpaint,
    /// A window asks whether to draw this suggestion: of a describe, or of a shorten.
    Suggestion(Source),
}

/// Where a suggestion comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Prompts for a picture.
    Describe,
    /// Shorter prompts.
    Shorten,
}

/// A custom id, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pressed<'a> {
    /// What it does.
    pub(super) deed: Deed,
    /// Which picture or suggestion, from 1; 0 for all.
    pub(super) index: u8,
    /// The task that it is of, where it says so.
    pub(super) mark: Option<&'a str>,
}

impl Deed {
    /// How an action is asked for.
    const fn of(action: Action) -> Self {
        match action {
            Action::Zoom {
                zoom: Zoom::Custom(_),
            } => Self::CustomZoom,
            Action::Inpaint => Self::Inpaint,
            action => Self::Act(action),
        }
    }
}

/// What a job's custom ids carry: its id, written as the proxy writes message hashes.
pub(super) fn mark(job: JobId) -> String {
    let bytes = job.as_bytes();
    let hex = format!("{:032x}", u128::from_be_bytes(*bytes));
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|part| hex.get(part).unwrap_or_default().to_owned())
        .join("-")
}

/// The version that a prompt names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    major: u8,
    minor: u8,
}

impl Version {
    /// Prompts that name none run on what the upstream likes; their buttons are those of 7, which has them all.
    const UNNAMED: Self = Self { major: 7, minor: 0 };

    fn of(prompt: &str) -> Self {
        let prompt = Prompt::parse(prompt);
        let mut params = prompt.params();
        let value = params.find(|param| matches!(param.name, "v" | "version" | "niji"));
        value
            .and_then(|param| {
                let (major, minor) = param.value.split_once('.').unwrap_or((param.value, "0"));
                Some(Self {
                    major: major.trim().parse().ok()?,
                    minor: minor.trim().parse().ok()?,
                })
            })
            .unwrap_or(Self::UNNAMED)
    }

    /// How its upscalers are called, and which there are.
    const fn upscalers(self) -> (&'static str, &'static [UpscaleMode]) {
        const FINE: &[UpscaleMode] = &[UpscaleMode::Subtle, UpscaleMode::Creative];
        match (self.major, self.minor) {
            (5, _) => ("v5", &[UpscaleMode::Double, UpscaleMode::Quadruple]),
            (6, 0) => ("v6", FINE),
            (6, _) => ("v6r1", FINE),
            (7, _) => ("v7", FINE),
            _ => ("", &[]),
        }
    }
}

/// The custom id of a button; `None` for what has no button.
fn custom_id(deed: Deed, index: u8, mark: &str, version: Version) -> Option<String> {
    let solo = |verb: &str| Some(format!("MJ::JOB::{verb}::{index}::{mark}::SOLO"));
    let plain = |verb: &str| Some(format!("MJ::JOB::{verb}::{index}::{mark}"));
    let upscaler = |size: &str| {
        let (name, _) = version.upscalers();
        solo(&format!("upsample_{name}_{size}"))
    };
    let action = match deed {
        Deed::Act(action) => action,
        Deed::CustomZoom => return Some(format!("MJ::CustomZoom::{index}::{mark}")),
        Deed::Inpaint => return Some(format!("MJ::Inpaint::{index}::{mark}::SOLO")),
        Deed::Suggestion(Source::Describe) => return Some(format!("MJ::Job::PicReader::{index}")),
        Deed::Suggestion(Source::Shorten) => return Some(format!("MJ::Job::PromptAnalyzer::{index}")),
    };
    match action {
        Action::Upscale { mode } => match mode {
            UpscaleMode::Cutout => plain("upsample"),
            UpscaleMode::Subtle => upscaler("2x_subtle"),
            UpscaleMode::Creative => upscaler("2x_creative"),
            UpscaleMode::Double => upscaler("2x"),
            UpscaleMode::Quadruple => upscaler("4x"),
            _ => None,
        },
        Action::Variation { strength: None } => plain("variation"),
        Action::Variation {
            strength: Some(Strength::Subtle),
        } => solo("low_variation"),
        Action::Variation {
            strength: Some(Strength::Strong),
        } => solo("high_variation"),
        Action::Reroll => solo("reroll"),
        Action::Zoom { zoom: Zoom::Double } => Some(format!("MJ::Outpaint::50::{index}::{mark}::SOLO")),
        Action::Zoom {
            zoom: Zoom::OneAndAHalf,
        } => Some(format!("MJ::Outpaint::75::{index}::{mark}::SOLO")),
        Action::Pan { direction } => solo(match direction {
            Direction::Left => "pan_left",
            Direction::Right => "pan_right",
            Direction::Up => "pan_up",
            Direction::Down => "pan_down",
        }),
        Action::Animate { motion: Motion::High } => solo("animate_high"),
        Action::Animate { motion: Motion::Low } => solo("animate_low"),
        Action::Extend { motion: Motion::High } => plain("animate_high_extend"),
        Action::Extend { motion: Motion::Low } => plain("animate_low_extend"),
        _ => None,
    }
}

/// Reads a custom id; `None` for buttons that nothing here answers to.
pub(super) fn press(custom_id: &str) -> Option<Pressed<'_>> {
    let parts: Vec<_> = custom_id.split("::").collect();
    let (deed, index, mark) = match *parts.as_slice() {
        ["MJ", "JOB", verb, index, mark] | ["MJ", "JOB", verb, index, mark, "SOLO"] => {
            (Deed::Act(action(verb)?), index, Some(mark))
        }
        ["MJ", "Outpaint", amount, index, mark, "SOLO"] => {
            let zoom = match amount {
                "50" => Zoom::Double,
                "75" => Zoom::OneAndAHalf,
                _ => return None,
            };
            (Deed::Act(Action::Zoom { zoom }), index, Some(mark))
        }
        ["MJ", "CustomZoom", index, mark] => (Deed::CustomZoom, index, Some(mark)),
        ["MJ", "Inpaint", index, mark, "SOLO"] => (Deed::Inpaint, index, Some(mark)),
        ["MJ", "Job", "PicReader", index] => (Deed::Suggestion(Source::Describe), index, None),
        ["MJ", "Job", "PromptAnalyzer", index] => (Deed::Suggestion(Source::Shorten), index, None),
        _ => return None,
    };
    Some(Pressed {
        deed,
        index: index.parse().ok()?,
        mark,
    })
}

fn action(verb: &str) -> Option<Action> {
    let upscale = |mode| Action::Upscale { mode };
    let vary = |strength| Action::Variation { strength };
    let pan = |direction| Action::Pan { direction };
    Some(match verb {
        "upsample" => upscale(UpscaleMode::Cutout),
        "variation" => vary(None),
        "low_variation" => vary(Some(Strength::Subtle)),
        "high_variation" => vary(Some(Strength::Strong)),
        "reroll" => Action::Reroll,
        "pan_left" => pan(Direction::Left),
        "pan_right" => pan(Direction::Right),
        "pan_up" => pan(Direction::Up),
        "pan_down" => pan(Direction::Down),
        "animate_high" => Action::Animate { motion: Motion::High },
        "animate_low" => Action::Animate { motion: Motion::Low },
        "animate_high_extend" => Action::Extend { motion: Motion::High },
        "animate_low_extend" => Action::Extend { motion: Motion::Low },
        // `upsample_v7_2x_subtle`: the version in the middle is the upstream's business.
        _ => match verb.strip_prefix("upsample_")?.split_once('_')?.1 {
            "2x_subtle" => upscale(UpscaleMode::Subtle),
            "2x_creative" => upscale(UpscaleMode::Creative),
            "2x" => upscale(UpscaleMode::Double),
            "4x" => upscale(UpscaleMode::Quadruple),
            _ => return None,
        },
    })
}

/// The sign and the name on a button.
fn face(deed: Deed, index: u8) -> (&'static str, String) {
    let action = match deed {
        Deed::Act(action) => action,
        Deed::CustomZoom => return ("🔍", "Custom Zoom".to_owned()),
        Deed::Inpaint => return ("🖌️", "Vary (Region)".to_owned()),
        Deed::Suggestion(_) => return ("", index.to_string()),
    };
    let (sign, name) = match action {
        Action::Upscale {
            mode: UpscaleMode::Cutout,
        } => return ("", format!("U{index}")),
        Action::Variation { strength: None } => return ("", format!("V{index}")),
        Action::Upscale { mode } => match mode {
            UpscaleMode::Subtle => ("", "Upscale (Subtle)"),
            UpscaleMode::Creative => ("", "Upscale (Creative)"),
            UpscaleMode::Double => ("", "Upscale (2x)"),
            _ => ("", "Upscale (4x)"),
        },
        Action::Variation {
            strength: Some(Strength::Subtle),
        } => ("🪄", "Vary (Subtle)"),
        Action::Variation { .. } => ("🪄", "Vary (Strong)"),
        Action::Reroll => ("🔄", ""),
        Action::Zoom { zoom: Zoom::Double } => ("🔍", "Zoom Out 2x"),
        Action::Zoom { .. } => ("🔍", "Zoom Out 1.5x"),
        Action::Pan { direction } => match direction {
            Direction::Left => ("⬅️", ""),
            Direction::Right => ("➡️", ""),
            Direction::Up => ("⬆️", ""),
            Direction::Down => ("⬇️", ""),
        },
        Action::Animate { motion: Motion::High } => ("", "Animate (High motion)"),
        Action::Animate { motion: Motion::Low } => ("", "Animate (Low motion)"),
        Action::Extend { motion: Motion::High } => ("", "Extend (High motion)"),
        Action::Extend { motion: Motion::Low } => ("", "Extend (Low motion)"),
        _ => ("", ""),
    };
    (sign, name.to_owned())
}

/// Everything that the upstream may be asked to do with what a job gave, in the order of the buttons.
fn wishes(job: &Job, images: &[Image], version: Version) -> Vec<(Action, u8)> {
    let singles = images.iter().filter(|image| image.kind == ImageKind::Single);
    let singles = u8::try_from(singles.count()).unwrap_or(u8::MAX);
    let extend = |motion| Action::Extend { motion };
    match job.request.action {
        Action::Animate { .. } | Action::Extend { .. } => {
            let each = |motion| (1..=singles).map(move |index| (extend(motion), index));
            return each(Motion::High).chain(each(Motion::Low)).collect();
        }
        _ if images.is_empty() => return Vec::new(),
        _ => {}
    }
    if singles == 1 {
        return single(version).into_iter().map(|action| (action, 1)).collect();
    }
    // A grid alone still has four parts.
    let parts = if singles == 0 { 4 } else { singles };
    let each = |action| (1..=parts).map(move |index| (action, index));
    let cutout = Action::Upscale {
        mode: UpscaleMode::Cutout,
    };
    each(cutout)
        .chain(each(Action::Variation { strength: None }))
        .chain([(Action::Reroll, 0)])
        .collect()
}

/// What can be done with a picture that stands alone, by the version that drew it.
fn single(version: Version) -> Vec<Action> {
    let (_, modes) = version.upscalers();
    let mut actions: Vec<_> = modes.iter().map(|mode| Action::Upscale { mode: *mode }).collect();
    let vary = |strength| Action::Variation {
        strength: Some(strength),
    };
    actions.extend([vary(Strength::Subtle), vary(Strength::Strong)]);
    if version.major >= 5 {
        actions.push(Action::Inpaint);
    }
    if (5..8).contains(&version.major) {
        actions.extend([Zoom::Double, Zoom::OneAndAHalf, ANY_ZOOM].map(|zoom| Action::Zoom { zoom }));
        actions.extend(
            [Direction::Left, Direction::Right, Direction::Up, Direction::Down]
                .map(|direction| Action::Pan { direction }),
        );
    }
    actions.extend([Motion::High, Motion::Low].map(|motion| Action::Animate { motion }));
    actions
}

/// Stands for all custom zooms when it is asked whether there are any.
pub(super) const ANY_ZOOM: Zoom = Zoom::Custom(180);

/// The buttons of a job, whose pictures are `images`.
pub(super) fn buttons(gateway: &Gateway, job: &Job, images: &[Image]) -> Vec<Button> {
    let version = Version::of(&job.request.prompt);
    let mark = mark(job.id);
    let deeds = match &job.life.state {
        JobState::Completed { texts, .. } if !texts.is_empty() => {
            let source = match job.request.action {
                Action::Shorten => Source::Shorten,
                _ => Source::Describe,
            };
            let last = u8::try_from(texts.len()).unwrap_or(u8::MAX);
            (1..=last)
                .map(|index| (Deed::Suggestion(source), index))
                .collect()
        }
        _ => {
            let wishes = wishes(job, images, version);
            let possible = gateway.possible(job, images, &wishes).into_iter();
            possible
                .map(|(action, index)| (Deed::of(action), index))
                .collect::<Vec<_>>()
        }
    };
    let button = |(deed, index)| {
        let (emoji, label) = face(deed, index);
        Some(Button {
            custom_id: custom_id(deed, index, &mark, version)?,
            emoji,
            label,
            kind: 2,
            style: 2,
        })
    };
    deeds.into_iter().filter_map(button).collect()
}

#[cfg(test)]
mod tests {
    use midjourney_core::{
        clock::{OsEntropy, Timestamp},
        id::JobId,
    };

    use super::*;

    #[test]
    fn every_action_that_has_a_button_is_read_back_from_its_custom_id() {
        let mark = mark(JobId::new(Timestamp::from_millis(1_795_341_600_250), &OsEntropy));
        let mut without = Vec::new();
        for action in Action::ALL {
            let index = if action == Action::Reroll { 0 } else { 3 };
            let deed = Deed::of(action);
            for prompt in ["a fox", "a fox --v 6.1", "a fox --niji 6", "a fox --v 5.2"] {
                let Some(id) = custom_id(deed, index, &mark, Version::of(prompt)) else {
                    without.push(action.name());
                    break;
                };
                let pressed = Pressed {
                    deed,
                    index,
                    mark: Some(&mark),
                };
                assert_eq!(press(&id), Some(pressed), "{action}: {id}");
            }
        }
        without.dedup();
        // These start from a prompt or a picture of the caller's; a remix is a variation whose window is answered.
        assert_eq!(
            without,
            [
                "imagine",
                "remix",
                "zoom",
                "edit",
                "retexture",
                "blend",
                "describe",
                "shorten"
            ],
            "a square zoom has no button at the proxy"
        );
        for source in [Source::Describe, Source::Shorten] {
            let deed = Deed::Suggestion(source);
            let id = custom_id(deed, 2, &mark, Version::UNNAMED).unwrap();
            assert_eq!(
                press(&id).map(|pressed| (pressed.deed, pressed.index)),
                Some((deed, 2))
            );
        }
    }

    #[test]
    fn upscalers_are_called_after_their_version() {
        let subtle = Deed::Act(Action::Upscale {
            mode: UpscaleMode::Subtle,
        });
        for (prompt, name) in [
            ("a fox", "upsample_v7_2x_subtle"),
            ("a fox --v 7", "upsample_v7_2x_subtle"),
            ("a fox --niji 7", "upsample_v7_2x_subtle"),
            ("a fox --v 6.1", "upsample_v6r1_2x_subtle"),
            ("a fox --v 6", "upsample_v6_2x_subtle"),
        ] {
            let id = custom_id(subtle, 1, "u", Version::of(prompt)).unwrap();
            assert_eq!(id, format!("MJ::JOB::{name}::1::u::SOLO"), "{prompt}");
        }
        let count = |prompt| single(Version::of(prompt)).len();
        assert_eq!(
            (count("a --v 7"), count("a --v 8.1"), count("a --v 4")),
            (14, 5, 4)
        );
    }

    #[test]
    fn what_is_no_button_of_ours_is_none() {
        for id in [
            "",
            "MJ",
            "MJ::JOB::upsample",
            "MJ::JOB::upsample::1",
            "MJ::JOB::upsample::x::u",
            "MJ::JOB::upsample_v7::1::u::SOLO",
            "MJ::JOB::upsample_v7_8x::1::u::SOLO",
            "MJ::JOB::video_virtual_upscale::1::u",
            "MJ::Outpaint::60::1::u::SOLO",
            "MJ::BOOKMARK::u",
            "MJ::Job::PicReader::all",
            "MJ::Picread::Retry",
        ] {
            assert_eq!(press(id), None, "{id}");
        }
    }
}
