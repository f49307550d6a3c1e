//! A task, which is nothing but its id.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    SimulatorOptions,
    draw::{self, Picture},
    params::Params,
};
use crate::{
    client::{ClientError, ParentTask, Submission},
    clock::Timestamp,
    image::ImageKind,
    job::{
        Action, Failure, FailureKind, InputImage, JobRequest, Need, RemoteAction, RemoteImage, RemoteResult,
        RemoteStatus, Shape, Spent, Strength, UpscaleMode, UpstreamId,
    },
};

/// What every id of this simulator starts with.
const PREFIX: &str = "sim1.";

/// The longest id read.
const MAX_ID: usize = 2_048;

/// A task goes wrong in this way. Its place in the prompt is one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    Banned,
    Invalid,
    QueueFull,
    Lost,
    Moderated,
    Fail,
    Vanish,
    Window,
    Hang,
    Slow,
    BadImage,
}

impl Fault {
    /// The first fault that `prompt` asks for.
    fn asked(prompt: &str) -> Option<Self> {
        prompt.split_whitespace().find_map(|word| {
            let name = word.trim_end_matches([',', '.', '!']).strip_prefix("sim:")?;
            Some(match name {
                "banned" => Self::Banned,
                "invalid" => Self::Invalid,
                "queue-full" => Self::QueueFull,
                "lost" => Self::Lost,
                "moderated" => Self::Moderated,
                "fail" => Self::Fail,
                "vanish" => Self::Vanish,
                "window" => Self::Window,
                "hang" => Self::Hang,
                "slow" => Self::Slow,
                "bad-image" => Self::BadImage,
                _ => return None,
            })
        })
    }

    /// What the submit ends in, where it starts no task.
    fn refusal(self) -> Option<ClientError> {
        Some(match self {
            Self::Banned => ClientError::refused(moderated()),
            Self::Invalid => ClientError::refused(
                Failure::new(
                    FailureKind::InvalidPrompt,
                    "the simulator was told to refuse this prompt",
                )
                .with_upstream_text("Invalid prompt: sim:invalid"),
            ),
            Self::QueueFull => ClientError::not_now(
                Failure::new(
                    FailureKind::QueueFull,
                    "the simulator was told that its queue is full",
                ),
                Some(Duration::from_secs(2)),
            ),
            Self::Lost => ClientError::lost(
                Failure::new(
                    FailureKind::Transient,
                    "the simulator was told to lose its answer",
                )
                .with_spent(Spent::Maybe),
            ),
            _ => return None,
        })
    }
}

/// What a task gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Yield {
    /// Four pictures and their grid.
    Four,
    /// One picture.
    One,
    /// One picture, made larger.
    Large,
    /// Four prompts for a picture.
    Prompts,
    /// The prompt, shorter.
    Shorter,
}

/// One task, whole. The names are short because the id holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    /// When it was started, in milliseconds since the epoch.
    t: i64,
    /// How long it takes, in milliseconds.
    d: u64,
    /// The picture, or the grid of pictures, it draws.
    p: Picture,
    /// What it gives.
    y: Yield,
    /// The seed that is told.
    s: u32,
    /// What stands for Discord's message hash in the buttons' ids.
    u: u64,
    /// How it goes wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<Fault>,
}

/// What is drawn: the prompt, or what the pictures are called where there is none.
fn subject(request: &JobRequest) -> String {
    if !request.prompt.is_empty() {
        return request.prompt.clone();
    }
    let names: Vec<_> = request
        .images
        .iter()
        .map(|image| match image {
            InputImage::Url(url) => url.rsplit('/').next().unwrap_or_default().to_owned(),
            InputImage::Upload(id) => id.to_string(),
        })
        .collect();
    format!("{} of {}", request.action.name(), names.join(" and "))
}

/// Width to height of what a blend gives.
const fn aspect(shape: Shape) -> (u32, u32) {
    match shape {
        Shape::Portrait => (2, 3),
        Shape::Square => (1, 1),
        Shape::Landscape => (3, 2),
    }
}

/// Writes `value` as text that holds no more than letters, digits, `-` and `_`.
pub(super) fn pack(prefix: &str, value: &impl Serialize) -> String {
    // Plain numbers and strings into memory: this cannot fail.
    let json = serde_json::to_vec(value).unwrap_or_default();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(json))
}

/// Reads what [`pack`] wrote.
pub(super) fn unpack<T: DeserializeOwned>(prefix: &str, text: &str) -> Option<T> {
    let packed = text
        .strip_prefix(prefix)
        .filter(|packed| packed.len() <= MAX_ID)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(packed).ok()?).ok()
}

/// Everything but videos, which it cannot encode.
pub(super) const fn supports(action: Action) -> bool {
    !matches!(action, Action::Animate { .. } | Action::Extend { .. })
}

/// Checks a request against its parent; gives the parent's picture that it starts from.
pub(super) fn check(request: &JobRequest, parent: Option<&ParentTask>) -> Result<Option<Picture>, Failure> {
    let name = request.action.name();
    let unsupported = |message: String| Failure::new(FailureKind::Unsupported, message);
    if !supports(request.action) {
        return Err(unsupported(format!(
            "the simulator makes no videos, so it has no {name}"
        )));
    }
    if request.parent.is_none() && request.action.needs().parent != Need::Must {
        return Ok(None);
    }
    let (Some(parent), Some(at)) = (parent, request.parent) else {
        return Err(unsupported(format!(
            "{name} needs a finished picture to start from"
        )));
    };
    let task = Task::read(&parent.upstream)
        .ok_or_else(|| unsupported(format!("{name}: the parent task is not one of the simulator's")))?;
    if task.y == Yield::Large && matches!(request.action, Action::Upscale { .. }) {
        return Err(unsupported(format!(
            "{name}: the picture is upscaled already; start from the one that it was made of"
        )));
    }
    let last = task.count();
    if at.index == 0 && request.action.needs().index != Need::Must {
        return Ok(Some(task.p));
    }
    if (1..=last).contains(&at.index) {
        Ok(Some(task.picture(at.index)))
    } else {
        Err(unsupported(format!(
            "{name}: the parent has no picture {}; it has pictures 1 to {last}",
            at.index
        )))
    }
}

impl Task {
    /// Starts a task at `now`, or fails as its prompt asks.
    pub(super) fn start(
        submission: &Submission,
        now: Timestamp,
        options: SimulatorOptions,
    ) -> Result<UpstreamId, ClientError> {
        let request = &submission.request;
        let origin = check(request, submission.parent.as_ref()).map_err(ClientError::refused)?;
        let fault = Fault::asked(&request.prompt);
        if let Some(refusal) = fault.and_then(Fault::refusal) {
            return Err(refusal);
        }
        let mut params = Params::read(&request.prompt);
        if let Action::Blend { shape } = request.action {
            params.aspect = aspect(shape);
        }
        let mark = draw::hash(submission.nonce.as_str().as_bytes());
        let mut drawing = match origin {
            Some(picture) => picture,
            None => Picture::imagined(&subject(request), &params, options.side),
        };
        let gives = match request.action {
            Action::Upscale { mode } => {
                match mode {
                    UpscaleMode::Cutout => {}
                    UpscaleMode::Subtle => drawing.enlarge(0),
                    UpscaleMode::Double => drawing.enlarge(1),
                    UpscaleMode::Creative => drawing.enlarge(mark | 1),
                    UpscaleMode::Quadruple => {
                        drawing.enlarge(0);
                        drawing.enlarge(1);
                    }
                }
                if mode == UpscaleMode::Cutout {
                    Yield::One
                } else {
                    Yield::Large
                }
            }
            Action::Variation { strength } => {
                drawing.vary(mark, strength == Some(Strength::Subtle));
                Yield::Four
            }
            Action::Remix {
                strength: Strength::Strong,
            } => {
                drawing = Picture::imagined(&request.prompt, &params, options.side);
                Yield::Four
            }
            Action::Reroll => {
                drawing.vary(mark, false);
                Yield::Four
            }
            // What is kept of the original is most of it.
            Action::Remix { .. }
            | Action::Zoom { .. }
            | Action::Pan { .. }
            | Action::Inpaint
            | Action::Edit => {
                drawing.vary(mark, true);
                Yield::Four
            }
            Action::Describe => Yield::Prompts,
            Action::Shorten => Yield::Shorter,
            _ => Yield::Four,
        };
        drawing.spoiled = fault == Some(Fault::BadImage);
        let factor = if fault == Some(Fault::Slow) { 10 } else { 1 };
        let task = Self {
            t: now.as_millis(),
            d: u64::try_from(options.duration.as_millis())
                .unwrap_or(u64::MAX)
                .saturating_mul(factor),
            s: drawing.told_seed(),
            p: drawing,
            y: gives,
            u: mark,
            f: fault,
        };
        Ok(UpstreamId::new(pack(PREFIX, &task)))
    }

    /// The task behind an id; `None` for ids that this simulator never gave.
    pub(super) fn read(id: &UpstreamId) -> Option<Self> {
        unpack(PREFIX, id.as_str()).filter(|task: &Self| task.p.fits())
    }

    /// How many single pictures it gives.
    const fn count(&self) -> u8 {
        match self.y {
            Yield::Four => 4,
            Yield::One | Yield::Large => 1,
            Yield::Prompts | Yield::Shorter => 0,
        }
    }

    /// Its single picture `index`.
    fn picture(&self, index: u8) -> Picture {
        match self.y {
            Yield::Four => self.p.tile(index),
            _ => self.p.clone(),
        }
    }

    /// Percent of its time that has passed.
    fn percent(&self, now: Timestamp) -> u8 {
        let passed = now.saturating_since(Timestamp::from_millis(self.t)).as_millis();
        let percent = if self.d == 0 {
            100
        } else {
            (passed.saturating_mul(100) / u128::from(self.d)).min(100)
        };
        u8::try_from(percent).unwrap_or(100)
    }

    /// Whether nothing about it will change any more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        matches!(
            self.status(now),
            RemoteStatus::Succeeded(_) | RemoteStatus::Failed(_) | RemoteStatus::Missing
        )
    }

    /// How it is doing.
    pub(super) fn status(&self, now: Timestamp) -> RemoteStatus {
        let percent = self.percent(now);
        match self.f {
            Some(Fault::Moderated) if percent >= 50 => {
                return RemoteStatus::Failed(moderated().with_spent(Spent::Yes));
            }
            Some(Fault::Fail) if percent >= 60 => {
                return RemoteStatus::Failed(
                    Failure::new(FailureKind::Transient, "the simulator was told to fail")
                        .with_upstream_text("[Internal error] sim:fail")
                        .with_spent(Spent::Yes),
                );
            }
            Some(Fault::Vanish) if percent >= 50 => return RemoteStatus::Missing,
            Some(Fault::Window) if percent >= 10 => return RemoteStatus::AwaitingInput,
            Some(Fault::Hang) if percent >= 78 => return RemoteStatus::Running { progress: Some(78) },
            _ => {}
        }
        // The steps in which Midjourney itself tells its progress.
        let steps = [0, 15, 31, 46, 62, 78, 93];
        match percent {
            100 => RemoteStatus::Succeeded(self.result()),
            0..5 => RemoteStatus::Waiting,
            _ => RemoteStatus::Running {
                progress: steps.into_iter().rfind(|step| *step <= percent),
            },
        }
    }

    fn result(&self) -> RemoteResult {
        let singles = (1..=self.count())
            .map(|index| RemoteImage::new(self.picture(index).url(), ImageKind::Single, index));
        let grid = (self.y == Yield::Four).then(|| {
            let mut grid = self.p.clone();
            grid.grid = true;
            RemoteImage::new(grid.url(), ImageKind::Grid, 0)
        });
        let texts = match self.y {
            Yield::Prompts => (1..=4)
                .map(|number| format!("{} (simulated suggestion {number})", self.p.caption()))
                .collect(),
            Yield::Shorter => vec![
                self.p
                    .caption()
                    .split(',')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            ],
            _ => Vec::new(),
        };
        RemoteResult::new(singles.chain(grid).collect())
            .with_texts(texts)
            .with_actions(self.actions())
            .with_seed(Some(self.s))
    }

    /// The buttons that Discord shows under such a task.
    fn actions(&self) -> Vec<RemoteAction> {
        let hex = format!("{:016x}{:016x}", self.u, draw::mix(self.u));
        let uuid = [0..8, 8..12, 12..16, 16..20, 20..32]
            .map(|part| hex.get(part).unwrap_or_default().to_owned())
            .join("-");
        match self.y {
            Yield::Four => {
                (1..=4)
                    .map(|n| RemoteAction::new(format!("MJ::JOB::upsample::{n}::{uuid}"), format!("U{n}")))
                    .chain((1..=4).map(|n| {
                        RemoteAction::new(format!("MJ::JOB::variation::{n}::{uuid}"), format!("V{n}"))
                    }))
                    .collect()
            }
            Yield::Prompts | Yield::Shorter => Vec::new(),
            Yield::One | Yield::Large => [
                ("upsample_v7_2x_subtle", "Upscale (Subtle)"),
                ("upsample_v7_2x_creative", "Upscale (Creative)"),
                ("low_variation", "Vary (Subtle)"),
                ("high_variation", "Vary (Strong)"),
            ]
            .into_iter()
            .filter(|(id, _)| self.y == Yield::One || !id.starts_with("upsample"))
            .map(|(id, label)| RemoteAction::new(format!("MJ::JOB::{id}::1::{uuid}::SOLO"), label))
            .collect(),
        }
    }
}

fn moderated() -> Failure {
    Failure::new(
        FailureKind::Moderated,
        "the simulator was told to refuse this content",
    )
    .with_upstream_text("Banned prompt detected")
}
