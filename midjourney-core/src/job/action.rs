//! What can be done: one model for every upstream.
//!
//! Directions, strengths and sizes are words here; each upstream's module turns them into its own numbers, and no two
//! of those number them alike (source: the table of traps in the wire facts).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a picture is made larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum UpscaleMode {
    /// Cut the picture out of the grid (U1-U4). Free or nearly so at every known upstream.
    #[default]
    Cutout,
    /// Double the size, close to the original.
    Subtle,
    /// Double the size, with new detail.
    Creative,
    /// Double the size, as versions 5 do.
    #[serde(rename = "2x")]
    Double,
    /// Four times the size, as versions 5 do.
    #[serde(rename = "4x")]
    Quadruple,
}

/// How far a variation or a remix may go from its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Strength {
    /// Close to the original.
    Subtle,
    /// Far from the original.
    Strong,
}

/// A side of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a picture has four sides")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Direction {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Upwards.
    Up,
    /// Downwards.
    Down,
}

/// How much is added around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Zoom {
    /// Half as much again: "Zoom Out 1.5x".
    #[serde(rename = "1.5x")]
    OneAndAHalf,
    /// As much again: "Zoom Out 2x".
    #[serde(rename = "2x")]
    Double,
    /// As much as is said, in hundredths: 101 to 200.
    Custom(u16),
    /// What makes it square.
    Square,
}

impl Zoom {
    /// A zoom by `factor`, more than 1 and 2 at most, to the hundredth; `None` beyond.
    pub fn custom(factor: f64) -> Option<Self> {
        let hundredths = (factor * 100.0).round();
        if !(101.0..=200.0).contains(&hundredths) {
            return None;
        }
        (101..=200_u16)
            .find(|whole| f64::from(*whole) >= hundredths)
            .map(Self::Custom)
    }
}

/// How much moves in a video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "Midjourney has these two")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Motion {
    /// A calm scene.
    #[default]
    Low,
    /// Much movement, of the camera too.
    High,
}

/// The form of a blend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "Midjourney has these three")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Shape {
    /// 2:3
    Portrait,
    /// 1:1
    #[default]
    Square,
    /// 3:2
    Landscape,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Draw from a prompt.
    Imagine,
    /// Make one picture of the parent larger.
    Upscale {
        /// How.
        mode: UpscaleMode,
    },
    /// Draw the parent's picture again, differently.
    Variation {
        /// How far from the original; `None` leaves it to the upstream, as the V buttons of a grid do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strength: Option<Strength>,
    },
    /// Draw the parent's prompt again.
    Reroll,
    /// Draw the parent's picture again, from another prompt.
    Remix {
        /// How far from the original.
        strength: Strength,
    },
    /// Add to the picture on all sides.
    Zoom {
        /// How much.
        zoom: Zoom,
    },
    /// Add to the picture on one side.
    Pan {
        /// On which.
        direction: Direction,
    },
    /// Draw the masked part of the parent's picture anew.
    Inpaint,
    /// Change a picture as the prompt says, within the mask where there is one.
    Edit,
    /// Draw a picture anew in the prompt's style, keeping its shapes.
    Retexture,
    /// Make one picture of two to five.
    Blend {
        /// Of which form.
        shape: Shape,
    },
    /// Suggest prompts for a picture.
    Describe,
    /// Shorten a prompt to what matters in it.
    Shorten,
    /// Make a video from a picture.
    Animate {
        /// How much moves.
        motion: Motion,
    },
    /// Make a video longer.
    Extend {
        /// How much moves.
        motion: Motion,
    },
}

/// Whether an action takes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth answer")]
pub enum Need {
    /// It must not be there.
    No,
    /// It may be there.
    May,
    /// It must be there.
    Must,
}

/// What an action is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a table's row")]
pub struct Needs {
    /// A finished job to start from.
    pub parent: Need,
    /// One picture of that job, rather than all of them.
    pub index: Need,
    /// A text of its own; where it may be left out, the parent's is used.
    pub prompt: Need,
    /// The least and the most pictures that it takes.
    pub images: (usize, usize),
    /// A mask.
    pub mask: Need,
}

impl Action {
    /// Every action in every variety, for tables and for saying what an upstream can do. Custom zooms stand as 1.8.
    pub const ALL: [Self; 29] = [
        Self::Imagine,
        Self::Upscale {
            mode: UpscaleMode::Cutout,
        },
        Self::Upscale {
            mode: UpscaleMode::Subtle,
        },
        Self::Upscale {
            mode: UpscaleMode::Creative,
        },
        Self::Upscale {
            mode: UpscaleMode::Double,
        },
        Self::Upscale {
            mode: UpscaleMode::Quadruple,
        },
        Self::Variation { strength: None },
        Self::Variation {
            strength: Some(Strength::Subtle),
        },
        Self::Variation {
            strength: Some(Strength::Strong),
        },
        Self::Reroll,
        Self::Remix {
            strength: Strength::Subtle,
        },
        Self::Remix {
            strength: Strength::Strong,
        },
        Self::Zoom {
            zoom: Zoom::OneAndAHalf,
        },
        Self::Zoom { zoom: Zoom::Double },
        Self::Zoom {
            zoom: Zoom::Custom(180),
        },
        Self::Zoom { zoom: Zoom::Square },
        Self::Pan {
            direction: Direction::Left,
        },
        Self::Pan {
            direction: Direction::Right,
        },
        Self::Pan {
            direction: Direction::Up,
        },
        Self::Pan {
            direction: Direction::Down,
        },
        Self::Inpaint,
        Self::Edit,
        Self::Retexture,
        Self::Blend { shape: Shape::Square },
        Self::Describe,
        Self::Shorten,
        Self::Animate { motion: Motion::Low },
        Self::Animate { motion: Motion::High },
        Self::Extend { motion: Motion::Low },
    ];

    /// The action's name as users see it, without its variety.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imagine => "imagine",
            Self::Upscale { .. } => "upscale",
            Self::Variation { .. } => "variation",
            Self::Reroll => "reroll",
            Self::Remix { .. } => "remix",
            Self::Zoom { .. } => "zoom",
            Self::Pan { .. } => "pan",
            Self::Inpaint => "inpaint",
            Self::Edit => "edit",
            Self::Retexture => "retexture",
            Self::Blend { .. } => "blend",
            Self::Describe => "describe",
            Self::Shorten => "shorten",
            Self::Animate { .. } => "animate",
            Self::Extend { .. } => "extend",
        }
    }

    /// An action of this name, in any of its varieties.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// What it is made of.
    pub const fn needs(self) -> Needs {
        use Need::{May, Must, No};
        let (parent, index, prompt, images, mask) = match self {
            Self::Imagine => (No, No, Must, (0, 20), No),
            Self::Upscale { .. }
            | Self::Variation { .. }
            | Self::Zoom { .. }
            | Self::Pan { .. }
            | Self::Extend { .. } => (Must, Must, May, (0, 0), No),
            Self::Reroll => (Must, May, May, (0, 0), No),
            Self::Remix { .. } => (Must, Must, Must, (0, 0), No),
            Self::Inpaint => (Must, Must, May, (0, 0), Must),
            Self::Edit => (May, May, Must, (0, 1), May),
            Self::Retexture => (No, No, Must, (1, 1), No),
            Self::Blend { .. } => (No, No, No, (2, 5), No),
            Self::Describe => (May, May, No, (0, 1), No),
            Self::Shorten => (No, No, Must, (0, 0), No),
            Self::Animate { .. } => (May, May, May, (0, 1), No),
        };
        Needs {
            parent,
            index,
            prompt,
            images,
            mask,
        }
    }

    /// Whether what comes of it is a grid of four pictures, as long as the upstream holds none of them back.
    pub const fn makes_grid(self) -> bool {
        matches!(
            self,
            Self::Imagine
                | Self::Variation { .. }
                | Self::Reroll
                | Self::Remix { .. }
                | Self::Zoom { .. }
                | Self::Pan { .. }
                | Self::Inpaint
                | Self::Blend { .. }
        )
    }

    /// Whether what comes of it is text and no picture.
    pub const fn gives_text(self) -> bool {
        matches!(self, Self::Describe | Self::Shorten)
    }
}

impl fmt::Display for Action {
    /// The action with its variety, in plain words: `creative upscale`, `zoom 1.5x`, `pan left`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variety = match self {
            Self::Upscale { mode } => match mode {
                UpscaleMode::Cutout => "cutout",
                UpscaleMode::Subtle => "subtle",
                UpscaleMode::Creative => "creative",
                UpscaleMode::Double => "2x",
                UpscaleMode::Quadruple => "4x",
            },
            Self::Variation {
                strength: Some(strength),
            }
            | Self::Remix { strength } => match strength {
                Strength::Subtle => "subtle",
                Strength::Strong => "strong",
            },
            Self::Zoom { zoom } => match zoom {
                Zoom::OneAndAHalf => "1.5x",
                Zoom::Double => "2x",
                Zoom::Square => "square",
                Zoom::Custom(hundredths) => {
                    return write!(f, "zoom {}.{:02}x", hundredths / 100, hundredths % 100);
                }
            },
            Self::Pan { direction } => match direction {
                Direction::Left => "left",
                Direction::Right => "right",
                Direction::Up => "up",
                Direction::Down => "down",
            },
            Self::Blend { shape } => match shape {
                Shape::Portrait => "portrait",
                Shape::Square => "square",
                Shape::Landscape => "landscape",
            },
            Self::Animate { motion } | Self::Extend { motion } => match motion {
                Motion::Low => "low",
                Motion::High => "high",
            },
            _ => return f.write_str(self.name()),
        };
        write!(f, "{} {variety}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_words_of_its_own_and_survives_being_written() {
        let mut words = std::collections::HashSet::new();
        for action in Action::ALL {
            assert!(words.insert(action.to_string()), "{action}");
            assert!(action.to_string().starts_with(action.name()));
            let text = serde_json::to_string(&action).unwrap();
            assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), action, "{text}");
        }
    }
}
