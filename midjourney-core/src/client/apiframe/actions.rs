//! Which route does what is asked.

use crate::{
    client::{
        ParentTask,
        http::named::{
            allowed::{allowed, start, unsupported},
            wording::{Wording, has_own_prompt},
        },
    },
    job::{Action, Direction, Failure, JobRequest, Need, Shape, Strength, UpscaleMode, Zoom},
};

/// How a request is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan<'a> {
    Imagine,
    Cutout {
        parent: &'a str,
        index: String,
    },
    Upscale {
        parent: &'a str,
        route: &'static str,
        how: &'static str,
    },
    Variation {
        parent: &'a str,
        index: String,
    },
    Reroll {
        parent: &'a str,
    },
    Inpaint {
        parent: &'a str,
    },
    Outpaint {
        parent: &'a str,
        ratio: f32,
        square: bool,
    },
    Pan {
        parent: &'a str,
        direction: &'static str,
    },
    Describe {
        picture: Option<&'a str>,
    },
    Blend {
        dimension: &'static str,
    },
}

impl Plan<'_> {
    /// Where it is sent to.
    pub(super) const fn route(&self) -> &'static str {
        match self {
            Self::Imagine => "imagine",
            Self::Cutout { .. } => "upscale-1x",
            Self::Upscale { route, .. } => route,
            Self::Variation { .. } => "variations",
            Self::Reroll { .. } => "reroll",
            Self::Inpaint { .. } => "inpaint",
            Self::Outpaint { .. } => "outpaint",
            Self::Pan { .. } => "pan",
            Self::Describe { .. } => "describe",
            Self::Blend { .. } => "blend",
        }
    }

    /// The task it starts from; empty where it starts from none.
    pub(super) const fn parent(&self) -> &str {
        match self {
            Self::Cutout { parent, .. }
            | Self::Upscale { parent, .. }
            | Self::Variation { parent, .. }
            | Self::Reroll { parent }
            | Self::Inpaint { parent }
            | Self::Outpaint { parent, .. }
            | Self::Pan { parent, .. } => parent,
            Self::Imagine | Self::Describe { .. } | Self::Blend { .. } => "",
        }
    }
}

/// Whether the upstream has `action`.
pub(super) const fn supports(action: Action) -> bool {
    // No route is documented for Remix, Edit, Retexture, Shorten and videos.
    matches!(
        action,
        Action::Imagine
            | Action::Upscale { .. }
            | Action::Variation { .. }
            | Action::Reroll
            | Action::Zoom { .. }
            | Action::Pan { .. }
            | Action::Inpaint
            | Action::Blend { .. }
            | Action::Describe
    )
}

/// Decides how `request` is sent, or why it cannot be.
pub(super) fn plan<'a>(request: &JobRequest, parent: Option<&'a ParentTask>) -> Result<Plan<'a>, Failure> {
    let action = request.action;
    if !supports(action) {
        return Err(unsupported(format!("this upstream has no {action}")));
    }
    if action.needs().parent != Need::Must {
        return alone(request, parent);
    }
    let (task, index) = start(request, parent)?;
    allowed(action, task)?;
    let parent = task.name();
    let single = matches!(task.action, Action::Upscale { .. });
    let plan = match action {
        Action::Upscale { mode } => {
            if has_own_prompt(request, task) {
                return Err(unsupported(format!(
                    "a {action} takes no prompt of its own at this upstream; leave it out"
                )));
            }
            let (route, how) = match mode {
                UpscaleMode::Subtle => ("upscale-alt", "subtle"),
                UpscaleMode::Creative => ("upscale-alt", "creative"),
                UpscaleMode::Double => ("upscale-highres", "2x"),
                UpscaleMode::Quadruple => ("upscale-highres", "4x"),
                UpscaleMode::Cutout => {
                    let index = index.to_string();
                    return Ok(Plan::Cutout { parent, index });
                }
            };
            Plan::Upscale { parent, route, how }
        }
        Action::Variation { strength } => {
            let index = match (strength, single) {
                (None, false) => index.to_string(),
                // One field says which picture and how far: of a grid's picture, only the first can be said.
                (Some(_), false) => {
                    return Err(unsupported(format!(
                        "this upstream's {action} starts from a single picture; leave the strength out, or cut the \
                         picture out first (upscale, cutout)"
                    )));
                }
                (Some(Strength::Subtle), true) => "subtle".to_owned(),
                // A single picture has no plain variation; strong is what a grid's does by default.
                (None | Some(Strength::Strong), true) => "strong".to_owned(),
            };
            Plan::Variation { parent, index }
        }
        Action::Zoom { zoom } => {
            let (ratio, square) = match zoom {
                Zoom::OneAndAHalf => (1.5, false),
                Zoom::Double => (2.0, false),
                Zoom::Custom(hundredths) if (101..=200).contains(&hundredths) => {
                    (f32::from(hundredths) / 100.0, false)
                }
                Zoom::Custom(_) => return Err(unsupported("a zoom is at least 1.01x and at most 2x")),
                // A ratio of 1 adds only what another form needs.
                Zoom::Square => (1.0, true),
            };
            Plan::Outpaint {
                parent,
                ratio,
                square,
            }
        }
        Action::Pan { direction } => {
            let direction = match direction {
                Direction::Left => "left",
                Direction::Right => "right",
                Direction::Up => "up",
                Direction::Down => "down",
            };
            Plan::Pan { parent, direction }
        }
        Action::Inpaint => Plan::Inpaint { parent },
        _ => Plan::Reroll { parent },
    };
    Ok(plan)
}

/// The plan for what starts from no task.
fn alone<'a>(request: &JobRequest, parent: Option<&'a ParentTask>) -> Result<Plan<'a>, Failure> {
    match request.action {
        Action::Blend { shape } => {
            let dimension = match shape {
                Shape::Portrait => "portrait",
                Shape::Square => "square",
                Shape::Landscape => "landscape",
            };
            Ok(Plan::Blend { dimension })
        }
        Action::Describe => {
            let picture = parent.and_then(|parent| parent.picture_url.as_deref());
            if request.images.is_empty() && picture.is_none() {
                return Err(unsupported("a describe needs a picture"));
            }
            Ok(Plan::Describe { picture })
        }
        _ if Wording::of(&request.prompt).speed() == Some("relax") => Err(unsupported(
            "this upstream draws in fast and turbo mode only; leave --relax out",
        )),
        _ => Ok(Plan::Imagine),
    }
}
