//! What `LegNext` and `YouChuan` share: one route a verb, pictures counted from 0.

use midjourney_core::job::{Action, Direction, Motion, Shape, Strength, UpscaleMode, Zoom};
use serde::Deserialize;
use serde_json::Value;

use crate::simulate::backend::Order;

/// How one of the two numbers things.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) upscales: &'static [UpscaleMode],
    pub(super) directions: [Direction; 4],
    /// Of a remix; those of a variation are alike.
    pub(super) strengths: [Strength; 2],
}

/// Whatever a submit may carry.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Submit {
    pub(super) text: String,
    pub(super) job_id: String,
    pub(super) image_no: Option<u8>,
    pub(super) video_no: Option<u8>,
    pub(super) r#type: u8,
    pub(super) mode: u8,
    pub(super) direction: Option<u8>,
    pub(super) scale: Option<f64>,
    pub(super) remix_prompt: String,
    pub(super) prompt: String,
    pub(super) img_url: String,
    pub(super) img_urls: Vec<String>,
    #[serde(rename = "aspect_ratio")]
    pub(super) aspect_ratio: String,
    pub(super) mask: Option<Value>,
    pub(super) canvas: Option<Value>,
    pub(super) img_pos: Option<Value>,
    pub(super) callback: Option<String>,
}

/// What is wrong with a request.
pub(super) type Wrong = &'static str;

impl Submit {
    /// The order that `verb` with this body is.
    pub(super) fn order(&self, verb: &str, numbers: &Numbers) -> Result<Order, Wrong> {
        let mut order = match verb {
            "diffusion" => alone(Action::Imagine, &self.text),
            "variation" => self.follow(Action::Variation {
                strength: Some(*pick(&[Strength::Subtle, Strength::Strong], self.r#type, "type")?),
            }),
            "upscale" => self.follow(Action::Upscale {
                mode: *pick(numbers.upscales, self.r#type, "type")?,
            }),
            "reroll" => self.parent(Action::Reroll, 0),
            "pan" => {
                self.scaled(110..=300)?;
                let direction = self.direction.ok_or("direction")?;
                self.follow(Action::Pan {
                    direction: *pick(&numbers.directions, direction, "direction")?,
                })
            }
            "outpaint" => {
                let zoom = match self.scaled(110..=200)? {
                    150 => Zoom::OneAndAHalf,
                    200 => Zoom::Double,
                    other => Zoom::Custom(other),
                };
                self.follow(Action::Zoom { zoom })
            }
            "inpaint" => {
                self.mask.as_ref().ok_or("mask")?;
                self.follow(Action::Inpaint)
            }
            "remix" => {
                filled(&self.remix_prompt, "remixPrompt")?;
                let strength = *pick(&numbers.strengths, self.mode, "mode")?;
                self.follow(Action::Remix { strength })
            }
            "edit" => {
                self.placed()?;
                self.follow(Action::Edit)
            }
            "upload-paint" => {
                self.placed()?;
                self.pictured(Action::Edit)
            }
            "retexture" => {
                filled(&self.remix_prompt, "remixPrompt")?;
                self.pictured(Action::Retexture)
            }
            "blend" => {
                let shape = match self.aspect_ratio.as_str() {
                    "2:3" => Shape::Portrait,
                    "" | "1:1" => Shape::Square,
                    "3:2" => Shape::Landscape,
                    _ => return Err("aspect_ratio"),
                };
                if !(2..=5).contains(&self.img_urls.len()) {
                    return Err("imgUrls");
                }
                let mut order = Order::new(Action::Blend { shape }, String::new());
                order.images = self.img_urls.len();
                Ok(order)
            }
            "describe" => self.pictured(Action::Describe),
            "shorten" => alone(Action::Shorten, &self.prompt),
            "video-diffusion" => {
                let motion = motion(&self.prompt);
                if self.job_id.is_empty() {
                    filled(&self.prompt, "prompt")?;
                    let mut order = Order::new(Action::Animate { motion }, self.prompt.clone());
                    order.images = 1;
                    Ok(order)
                } else {
                    self.follow(Action::Animate { motion })
                }
            }
            "extend-video" => {
                let motion = motion(&self.prompt);
                let video = self.video_no.filter(|number| *number < 4).ok_or("videoNo")?;
                self.parent(Action::Extend { motion }, video + 1)
            }
            _ => Err("verb"),
        }?;
        order.callback.clone_from(&self.callback);
        Ok(order)
    }

    fn pictured(&self, action: Action) -> Result<Order, Wrong> {
        if !self.img_url.starts_with("http") || self.img_url.len() > 1_024 {
            return Err("imgUrl");
        }
        let mut order = Order::new(action, self.remix_prompt.clone());
        order.images = 1;
        Ok(order)
    }

    fn follow(&self, action: Action) -> Result<Order, Wrong> {
        let number = self.image_no.filter(|number| *number < 4).ok_or("imageNo")?;
        self.parent(action, number + 1)
    }

    fn parent(&self, action: Action, index: u8) -> Result<Order, Wrong> {
        filled(&self.job_id, "jobId")?;
        let prompt = if self.remix_prompt.is_empty() {
            &self.prompt
        } else {
            &self.remix_prompt
        };
        Ok(Order {
            parent: Some((self.job_id.clone(), index)),
            ..Order::new(action, prompt.clone())
        })
    }

    /// The scale, in hundredths.
    fn scaled(&self, range: std::ops::RangeInclusive<u16>) -> Result<u16, Wrong> {
        let scale = self.scale.ok_or("scale")?;
        let mut hundredths = range;
        hundredths
            .find(|hundredth| (f64::from(*hundredth) / 100.0 - scale).abs() < 0.004)
            .ok_or("scale")
    }

    /// A picture to be painted around needs its place.
    fn placed(&self) -> Result<(), Wrong> {
        filled(&self.remix_prompt, "remixPrompt")?;
        self.canvas.as_ref().ok_or("canvas")?;
        self.img_pos.as_ref().map(drop).ok_or("imgPos")
    }
}

fn alone(action: Action, prompt: &str) -> Result<Order, Wrong> {
    filled(prompt, "text")?;
    if prompt.len() > 8_192 {
        return Err("text");
    }
    Ok(Order::new(action, prompt.to_owned()))
}

fn filled(text: &str, name: Wrong) -> Result<(), Wrong> {
    if text.trim().is_empty() { Err(name) } else { Ok(()) }
}

fn pick<T>(row: &[T], number: u8, name: Wrong) -> Result<&T, Wrong> {
    row.get(usize::from(number)).ok_or(name)
}

fn motion(prompt: &str) -> Motion {
    if prompt.contains("--motion high") {
        Motion::High
    } else {
        Motion::Low
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NUMBERS: Numbers = Numbers {
        upscales: &[UpscaleMode::Subtle, UpscaleMode::Creative],
        directions: [Direction::Up, Direction::Down, Direction::Left, Direction::Right],
        strengths: [Strength::Subtle, Strength::Strong],
    };

    fn read(verb: &str, body: Value) -> Result<Order, Wrong> {
        let submit: Submit = serde_json::from_value(body).unwrap();
        submit.order(verb, &NUMBERS)
    }

    #[test]
    fn verbs_are_read_with_their_numbers() {
        let pan = read(
            "pan",
            json!({"jobId": "a", "imageNo": 3, "direction": 2, "scale": 1.5}),
        )
        .unwrap();
        let left = Action::Pan {
            direction: Direction::Left,
        };
        assert_eq!((pan.action, pan.parent), (left, Some(("a".to_owned(), 4))));
        let zoom = read("outpaint", json!({"jobId": "a", "imageNo": 0, "scale": 2.0})).unwrap();
        let double = Action::Zoom { zoom: Zoom::Double };
        assert_eq!(zoom.action, double);
        for (verb, body, wrong) in [
            ("diffusion", json!({}), "text"),
            ("upscale", json!({"jobId": "a", "imageNo": 0, "type": 2}), "type"),
            ("upscale", json!({"jobId": "a", "imageNo": 4}), "imageNo"),
            (
                "outpaint",
                json!({"jobId": "a", "imageNo": 0, "scale": 2.1}),
                "scale",
            ),
            ("remix", json!({"jobId": "a", "imageNo": 0}), "remixPrompt"),
            ("blend", json!({"imgUrls": ["http://a"]}), "imgUrls"),
            ("dance", json!({}), "verb"),
        ] {
            assert_eq!(read(verb, body).unwrap_err(), wrong, "{verb}");
        }
    }
}
