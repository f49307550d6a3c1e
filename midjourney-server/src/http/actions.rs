//! What can be done beside drawing from a prompt: a route for each action, all of one form.

use std::{borrow::Cow, sync::Arc};

use axum::{extract::State, response::Response};
use midjourney_core::{
    gateway::{Act, Start},
    id::{ImageId, JobId},
    job::{Action, Direction, InputImage, Motion, Shape, Strength, UpscaleMode, Zoom},
};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    App,
    detach::detach,
    extract::{self, ApiJson, ApiKey, Patience},
    jobs::submitted,
    problem::Problem,
};

/// A picture that comes along: a link, or the id of an upload.
#[derive(Clone, Debug)]
pub(super) struct PictureText(InputImage);

impl<'de> Deserialize<'de> for PictureText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text.starts_with("upl_") {
            return text
                .parse()
                .map(InputImage::Upload)
                .map(Self)
                .map_err(D::Error::custom);
        }
        Ok(Self(InputImage::Url(text.into_owned())))
    }
}

impl From<PictureText> for InputImage {
    fn from(PictureText(image): PictureText) -> Self {
        image
    }
}

/// What each body becomes.
trait Wish {
    fn act(self) -> (Act, Start);
}

/// A body, its fields beyond those that all have, and what it becomes.
macro_rules! wishes {
    ($(
        $(#[$about:meta])*
        $name:ident {
            $($(#[$doc:meta])* $field:ident: $type:ty,)*
        } => |$body:ident| $action:expr;
    )+) => {
        $(
            $(#[$about])*
            #[derive(Debug, Deserialize, utoipa::ToSchema)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $name {
                /// The job that made the picture to start from.
                #[schema(value_type = Option<String>, example = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2")]
                job: Option<JobId>,
                /// The picture to start from; tells its job and index by itself.
                #[schema(value_type = Option<String>)]
                image: Option<ImageId>,
                /// Which of the job's pictures, 1 to 4: left to right, top to bottom.
                #[serde(default, deserialize_with = "extract::index")]
                #[schema(minimum = 1, maximum = 4, example = 2)]
                index: Option<u8>,
                /// What to draw. Where it may be left out, the prompt of the picture's own job is used.
                prompt: Option<String>,
                /// Pictures that come along: links, or ids of uploads.
                #[serde(default)]
                #[schema(value_type = Vec<String>)]
                images: Vec<PictureText>,
                /// Which part is drawn anew, white there and black elsewhere: a link, or the id of an upload.
                #[schema(value_type = Option<String>)]
                mask: Option<PictureText>,
                /// Where the end of the job, and what it needs somebody for, is posted as a signed webhook: a public https
                /// address.
                #[schema(example = "https://shop.example/midjourney")]
                webhook_url: Option<String>,
                $($(#[$doc])* $field: $type,)*
            }

            impl Wish for $name {
                fn act(self) -> (Act, Start) {
                    let $body = &self;
                    let action = $action;
                    let start = Start { job: self.job, image: self.image, index: self.index };
                    let act = Act::new(action)
                        .with_prompt(self.prompt)
                        .with_images(self.images.into_iter().map(InputImage::from).collect())
                        .with_mask(self.mask.map(InputImage::from))
                        .with_webhook(self.webhook_url);
                    (act, start)
                }
            }
        )+
    };
}

wishes! {
    /// Which picture to make larger, and how.
    UpscaleBody {
        /// How; `cutout` where nothing is said.
        mode: Option<UpscaleMode>,
    } => |body| Action::Upscale { mode: body.mode.unwrap_or_default() };

    /// Which picture to vary, and how far.
    VariationBody {
        /// How far from the original; left to the upstream where nothing is said.
        strength: Option<Strength>,
    } => |body| Action::Variation { strength: body.strength };

    /// Which job to draw again.
    RerollBody {} => |_body| Action::Reroll;

    /// Which picture to draw again from another prompt.
    RemixBody {
        /// How far from the original; `strong` where nothing is said.
        strength: Option<Strength>,
    } => |body| Action::Remix { strength: body.strength.unwrap_or(Strength::Strong) };

    /// Which picture to add to, and how much.
    ZoomBody {
        /// `1.5x`, `2x`, `square`, or a factor of more than 1 and 2 at most; `2x` where nothing is said.
        #[serde(default, deserialize_with = "zoom")]
        #[schema(value_type = Option<String>, example = "1.5x")]
        zoom: Option<Zoom>,
    } => |body| Action::Zoom { zoom: body.zoom.unwrap_or(Zoom::Double) };

    /// Which picture to add to, and on which side.
    PanBody {
        /// On which side.
        direction: Direction,
    } => |body| Action::Pan { direction: body.direction };

    /// Which picture to draw anew within a mask.
    InpaintBody {} => |_body| Action::Inpaint;

    /// Which picture to change, and how: a finished one, or one that comes along in `images`.
    EditBody {} => |_body| Action::Edit;

    /// Which picture, in `images`, to draw anew in the prompt's style.
    RetextureBody {} => |_body| Action::Retexture;

    /// Which two to five pictures, in `images`, to make one of.
    BlendBody {
        /// The form; `square` where nothing is said.
        shape: Option<Shape>,
    } => |body| Action::Blend { shape: body.shape.unwrap_or_default() };

    /// Which picture to suggest prompts for: a finished one, or one that comes along in `images`.
    DescribeBody {} => |_body| Action::Describe;

    /// Which prompt to shorten.
    ShortenBody {} => |_body| Action::Shorten;

    /// Which picture to make a video of: a finished one, or one that comes along in `images`.
    AnimateBody {
        /// How much moves; `low` where nothing is said.
        motion: Option<Motion>,
    } => |body| Action::Animate { motion: body.motion.unwrap_or_default() };

    /// Which video to make longer.
    ExtendBody {
        /// How much moves; `low` where nothing is said.
        motion: Option<Motion>,
    } => |body| Action::Extend { motion: body.motion.unwrap_or_default() };
}

/// A word, or a factor.
fn zoom<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zoom>, D::Error> {
    let wrong = || D::Error::custom("expected 1.5x, 2x, square, or a factor of more than 1 and 2 at most");
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(Some(match value {
        None => return Ok(None),
        Some(serde_json::Value::String(word)) => match word.as_str() {
            "1.5x" => Zoom::OneAndAHalf,
            "2x" => Zoom::Double,
            "square" => Zoom::Square,
            _ => return Err(wrong()),
        },
        Some(value) => value.as_f64().and_then(Zoom::custom).ok_or_else(wrong)?,
    }))
}

async fn act(app: &App, wish: impl Wish, key: ApiKey, patience: Patience) -> Result<Response, Problem> {
    let (act, start) = wish.act();
    let gateway = app.gateway.clone();
    let accepted = detach(async move {
        let parent = gateway.start(act.action, start).await?;
        gateway.act(act.with_parent(parent).with_key(key.0)).await
    });
    submitted(app, accepted.await?, patience).await
}

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident $path:literal $body:ty;)+) => {
        $(
            $(#[$doc])*
            #[utoipa::path(
                post, path = $path, tag = "jobs", request_body = $body,
                params(
                    ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under its key returns the same job."),
                    ("Prefer" = Option<String>, Header, description = "`wait=N` waits up to N seconds (60 at most) for the job to be over."),
                ),
                responses(
                    (status = 202, description = "The job is on disk.", body = super::jobs::Submitted, headers(
                        ("Location" = String, description = "Where the job can be looked at."),
                        ("Retry-After" = u64, description = "When to look again, in seconds."),
                    )),
                    (status = 200, description = "The job was over within the wait.", body = super::jobs::Submitted),
                ),
            )]
            pub(super) async fn $name(
                State(app): State<Arc<App>>,
                key: ApiKey,
                patience: Patience,
                ApiJson(body): ApiJson<$body>,
            ) -> Result<Response, Problem> {
                act(&app, body, key, patience).await
            }
        )+
    };
}

routes! {
    /// Make one picture of a finished job larger.
    upscale "/upscale" UpscaleBody;
    /// Draw one picture of a finished job again, differently.
    variation "/variation" VariationBody;
    /// Draw a finished job's prompt again.
    reroll "/reroll" RerollBody;
    /// Draw one picture of a finished job again, from another prompt.
    remix "/remix" RemixBody;
    /// Add to one picture of a finished job on all sides.
    zoom_out "/zoom" ZoomBody;
    /// Add to one picture of a finished job on one side.
    pan "/pan" PanBody;
    /// Draw a part of one picture of a finished job anew.
    inpaint "/inpaint" InpaintBody;
    /// Change a picture as a prompt says.
    edit "/edit" EditBody;
    /// Draw a picture anew in a prompt's style, keeping its shapes.
    retexture "/retexture" RetextureBody;
    /// Make one picture of two to five.
    blend "/blend" BlendBody;
    /// Suggest prompts for a picture.
    describe "/describe" DescribeBody;
    /// Shorten a prompt to what matters in it.
    shorten "/shorten" ShortenBody;
    /// Make a video from a picture.
    animate "/animate" AnimateBody;
    /// Make a video longer.
    extend "/extend" ExtendBody;
}
