//! `POST /api/submit-jobs`: what is to be done is named by `t`.

use midjourney_core::job::{Action, Direction, Motion, Strength, UpscaleMode};
use serde::Deserialize;
use serde_json::Value;

use super::session::USER;
use crate::simulate::backend::Order;

/// In the order of their numbers.
const DIRECTIONS: [Direction; 4] = [Direction::Down, Direction::Right, Direction::Up, Direction::Left];

const MODES: [&str; 3] = ["fast", "relax", "turbo"];

/// Whatever a submit may carry.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Submit {
    t: String,
    prompt: String,
    channel_id: String,
    f: Flags,
    metadata: Option<Value>,
    id: String,
    index: Option<u8>,
    strong: Option<bool>,
    r#type: String,
    direction: Option<usize>,
    new_prompt: String,
    fraction: Option<f64>,
    stitch: Option<bool>,
    video_type: String,
    parent_job: Option<ParentJob>,
    animate_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Flags {
    mode: String,
    /// The plan of whoever is signed in here has it not.
    private: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ParentJob {
    job_id: String,
    image_num: Option<u8>,
}

/// The field that is wrong.
type Wrong = &'static str;

impl Submit {
    /// The speed that is asked for.
    pub(super) fn mode(&self) -> &str {
        &self.f.mode
    }

    pub(super) fn order(self) -> Result<Order, Wrong> {
        if self.channel_id.strip_prefix("singleplayer_") != Some(USER) {
            return Err("channelId");
        }
        if !MODES.contains(&self.f.mode.as_str()) || self.f.private {
            return Err("f");
        }
        self.metadata.as_ref().ok_or("metadata")?;
        match self.t.as_str() {
            "imagine" if self.prompt.trim().is_empty() => Err("prompt"),
            "imagine" => Ok(Order::new(Action::Imagine, self.prompt)),
            "vary" => {
                let strength = Some(self.strength()?);
                self.follow(Action::Variation { strength })
            }
            "upscale" => {
                let mode = match self.r#type.rsplit_once('_') {
                    Some((_, "subtle")) => UpscaleMode::Subtle,
                    Some((_, "creative")) => UpscaleMode::Creative,
                    _ => return Err("type"),
                };
                let kept = Some(self.r#type.clone());
                let order = self.follow(Action::Upscale { mode })?;
                Ok(Order { kept, ..order })
            }
            "pan" => {
                let direction = self.direction.and_then(|number| DIRECTIONS.get(number));
                let direction = *direction.ok_or("direction")?;
                self.fraction.ok_or("fraction")?;
                self.stitch.ok_or("stitch")?;
                self.follow(Action::Pan { direction })
            }
            "remix" if self.new_prompt.is_empty() => Err("newPrompt"),
            "remix" => {
                let strength = self.strength()?;
                self.follow(Action::Remix { strength })
            }
            "reroll" if self.id.is_empty() => Err("id"),
            "reroll" => Ok(Order {
                parent: Some((self.id, 0)),
                ..Order::new(Action::Reroll, String::new())
            }),
            "video" => self.video(),
            _ => Err("t"),
        }
    }

    fn strength(&self) -> Result<Strength, Wrong> {
        match self.strong {
            Some(true) => Ok(Strength::Strong),
            Some(false) => Ok(Strength::Subtle),
            None => Err("strong"),
        }
    }

    fn follow(self, action: Action) -> Result<Order, Wrong> {
        if self.id.is_empty() {
            return Err("id");
        }
        Ok(Order {
            parent: Some((self.id, picture(self.index).ok_or("index")?)),
            ..Order::new(action, self.new_prompt)
        })
    }

    /// A video of a job's picture, or of the one whose link leads the prompt; or a longer one.
    fn video(self) -> Result<Order, Wrong> {
        if !matches!(self.animate_mode.as_str(), "auto" | "manual") {
            return Err("animateMode");
        }
        let motion = if self.new_prompt.contains("--motion high") {
            Motion::High
        } else {
            Motion::Low
        };
        let kind = self.video_type.strip_prefix("vid_1.1_i2v_").ok_or("videoType")?;
        let (action, size) = match kind.strip_prefix("extend_") {
            Some(size) => (Action::Extend { motion }, size),
            None => (Action::Animate { motion }, kind),
        };
        if !matches!(size, "480" | "720") {
            return Err("videoType");
        }
        let parent = match self.parent_job {
            Some(parent) => Some((parent.job_id, picture(parent.image_num).ok_or("parentJob")?)),
            None if matches!(action, Action::Extend { .. }) => return Err("parentJob"),
            None if !self.new_prompt.starts_with("http") => return Err("newPrompt"),
            None => None,
        };
        Ok(Order {
            parent,
            kept: Some(self.video_type),
            ..Order::new(action, self.new_prompt)
        })
    }
}

/// The number of a picture that counts from 1, of one that counts from 0.
fn picture(index: Option<u8>) -> Option<u8> {
    index.filter(|index| *index < 4).map(|index| index + 1)
}

const fn is_video(action: Action) -> bool {
    matches!(action, Action::Animate { .. } | Action::Extend { .. })
}

/// The type of the job that came of `order`; those of older versions are not told apart.
pub(super) fn job_type(order: &Order) -> &str {
    if let Some(kept) = &order.kept {
        return kept;
    }
    let words: Vec<_> = order.prompt.split_whitespace().collect();
    let has = |flag: &str| words.contains(&flag);
    let version = words.iter().position(|word| matches!(*word, "--v" | "--version"));
    let version = version.and_then(|place| words.get(place + 1)).copied();
    match version.unwrap_or("7") {
        _ if has("--niji") => "v6_diffusion_anime",
        "8.1" if has("--hd") => "v8-1_hd_diffusion",
        "8.1" => "v8-1_diffusion",
        "7" if has("--draft") => "v7_draft_diffusion",
        "7" if has("--raw") => "v7_raw_diffusion",
        "7" => "v7_diffusion",
        _ => "v6-1_raw_diffusion",
    }
}

/// Whether what came of `parent` allows `order`.
pub(super) fn offered(order: &Order, parent: &Order) -> bool {
    let known: &[&str] = match job_type(parent) {
        "v7_diffusion" | "v7_raw_diffusion" | "v7_draft_diffusion" => &["v7_2x_subtle", "v7_2x_creative"],
        "v8-1_diffusion" => &["v8r1_2x_subtle"],
        _ => &[],
    };
    match order.action {
        Action::Upscale { .. } => known.contains(&job_type(order)),
        Action::Extend { .. } => is_video(parent.action),
        _ => !is_video(parent.action),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<(Action, Option<u8>), Wrong> {
        let mut whole = json!({"channelId": format!("singleplayer_{USER}"), "f": {"mode": "fast", "private": false},
            "roomId": null, "metadata": {}});
        let (whole_fields, fields) = (whole.as_object_mut().unwrap(), body.as_object().unwrap());
        whole_fields.extend(fields.clone());
        let submit: Submit = serde_json::from_value(whole).unwrap();
        let order = submit.order()?;
        Ok((order.action, order.parent.map(|(_, index)| index)))
    }

    #[test]
    fn submits_are_read_with_their_numbers() {
        let low = Motion::Low;
        let pan = |direction| Action::Pan { direction };
        for (body, expected) in [
            (
                json!({"t": "imagine", "prompt": "a fox"}),
                Ok((Action::Imagine, None)),
            ),
            (json!({"t": "imagine"}), Err("prompt")),
            (json!({"t": "dance"}), Err("t")),
            (
                json!({"t": "imagine", "prompt": "a fox", "channelId": "singleplayer_x"}),
                Err("channelId"),
            ),
            (
                json!({"t": "imagine", "prompt": "a fox", "f": {"mode": "slow", "private": false}}),
                Err("f"),
            ),
            (
                json!({"t": "pan", "id": "a", "index": 0, "direction": 0, "fraction": 0.5, "stitch": true}),
                Ok((pan(Direction::Down), Some(1))),
            ),
            (
                json!({"t": "pan", "id": "a", "index": 3, "direction": 3, "fraction": 0.5, "stitch": true}),
                Ok((pan(Direction::Left), Some(4))),
            ),
            (
                json!({"t": "pan", "id": "a", "index": 0, "direction": 4}),
                Err("direction"),
            ),
            (
                json!({"t": "vary", "id": "a", "index": 4, "strong": true}),
                Err("index"),
            ),
            (json!({"t": "vary", "index": 0, "strong": true}), Err("id")),
            (json!({"t": "vary", "id": "a", "index": 0}), Err("strong")),
            (
                json!({"t": "upscale", "id": "a", "index": 0, "type": "x"}),
                Err("type"),
            ),
            (json!({"t": "reroll", "id": "a"}), Ok((Action::Reroll, Some(0)))),
            (
                json!({"t": "video", "videoType": "vid_1.1_i2v_extend_480", "newPrompt": "--motion low",
                    "parentJob": {"job_id": "a", "image_num": 1}, "animateMode": "auto"}),
                Ok((Action::Extend { motion: low }, Some(2))),
            ),
            (
                json!({"t": "video", "videoType": "vid_1.1_i2v_480", "newPrompt": "it runs",
                    "parentJob": null, "animateMode": "manual"}),
                Err("newPrompt"),
            ),
        ] {
            assert_eq!(read(&body), expected, "{body}");
        }
    }

    #[test]
    fn upscalers_are_those_of_the_version() {
        for (prompt, kind, offers) in [
            ("a fox", "v7_2x_subtle", true),
            ("a fox --v 7 --draft", "v7_2x_creative", true),
            ("a fox --v 8.1", "v8r1_2x_subtle", true),
            ("a fox --v 8.1", "v7_2x_subtle", false),
            ("a fox --v 5.2", "v7_2x_subtle", false),
        ] {
            let parent = Order::new(Action::Imagine, prompt.to_owned());
            let mode = UpscaleMode::Subtle;
            let mut order = Order::new(Action::Upscale { mode }, String::new());
            order.kept = Some(kind.to_owned());
            assert_eq!(offered(&order, &parent), offers, "{prompt} {kind}");
            assert!(
                !offered(&order, &order),
                "an upscaled picture is not upscaled again"
            );
        }
    }
}
