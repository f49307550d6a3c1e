//! The upstream `acedata`: the Midjourney API of `AceDataCloud`.
//!
//! Sources of the wire facts: `AceDataCloud/MidjourneyAPI` (`docs/*.md`), `AceDataCloud/MidjourneyMCP`
//! (`core/client.py`, `core/types.py`), `AceDataCloud/Nexior`, the package `acedatacloud` 2026.10.20.0.
//!
//! A request of this upstream takes minutes unless it is told not to wait, so every task is started with a
//! `callback_url` or with `"async": true`, and asked for at `/midjourney/tasks`. It has no idempotency key and echoes no
//! mark: a submit whose answer is lost cannot be found again.
//!
//! Three routes have no task: describing, shortening and the seed answer at once. What describing and shortening gave
//! is packed into the task's id, since the id is what is written down before anything else happens: the texts, which
//! were paid for, survive a crash, and [`status`](MidjourneyClient::status) reads them from there.

mod actions;
mod classify;
mod films;
mod wire;

use async_trait::async_trait;

use self::{
    actions::Plan,
    wire::{Answer, Common, Describe, Draw, Edit, Film, ImageId, Retrieve, Shorten},
};
#[cfg(feature = "testing")]
use super::http::Reply;
use super::http::{
    Caller, json,
    named::{
        allowed::unsupported,
        answer::seed,
        given::{base64_of, blended, link_of, mask_of, with_images},
        task::{bad_callback, callback},
        wording::{SPEEDS, Wording},
    },
    packed, secrets, task_id,
};
use crate::{
    client::{Callback, ClientError, HttpOptions, MidjourneyClient, ParentTask, Reconciliation, Submission},
    image::ByteStream,
    job::{
        Action, Capabilities, Failure, JobRequest, PictureForm, RemoteImage, RemoteStatus, Shape, UpstreamId,
    },
    key::Secret,
    net::OutboundRequest,
};

/// Where the upstream is (source: its documentation).
pub const DEFAULT_BASE_URL: &str = "https://api.acedata.cloud";

/// The versions that `version` takes (source: `core/types.py`); others stay in the text.
const VERSIONS: [&str; 7] = ["5.2", "6", "6.1", "7", "8", "8.1", "8.2"];

/// The qualities that `quality` takes (source: `core/types.py`); others stay in the text.
const QUALITIES: [&str; 3] = ["1", "2", "4"];

/// The upstream `acedata`.
#[derive(Clone, Debug)]
pub struct AceData {
    caller: Caller,
}

impl AceData {
    /// A client for the account that `options` name; [`DEFAULT_BASE_URL`] is where it usually is.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            caller: Caller::new(options),
        }
    }

    /// A request to a route, with the key. All routes are POSTs, also those that only ask.
    fn request(&self, route: &str, body: Vec<u8>, key: Option<&Secret>) -> OutboundRequest {
        let request = OutboundRequest::post(self.caller.url(&["midjourney", route]), body);
        match key {
            Some(key) => {
                request.with_header("authorization", Secret::new(format!("Bearer {}", key.expose())))
            }
            None => request,
        }
    }
}

/// What an answer with this status would mean to a submit, and to asking for the task `id`: for fuzzers.
#[cfg(feature = "testing")]
pub fn judge(
    status: u16,
    body: &[u8],
    id: &UpstreamId,
) -> (Result<UpstreamId, ClientError>, Result<RemoteStatus, ClientError>) {
    let reply = Reply::bare(status, body);
    (classify::submitted(&reply), classify::fetched(&reply, id))
}

/// The route and the body that a plan is sent with.
fn body(submission: &Submission, plan: Plan<'_>) -> Result<(&'static str, Vec<u8>), Failure> {
    let request = &submission.request;
    let wording = Wording::of(&request.prompt);
    let hook = submission.callback_url.as_ref().map(Secret::expose);
    let common = Common {
        mode: wording.speed(),
        split_images: true,
        callback_url: hook,
        wait_not: hook.is_none(),
    };
    let picture = |parent: Option<&'_ str>| match (submission.images.first(), parent) {
        (Some(picture), _) => link_of(picture).map(str::to_owned),
        (None, Some(url)) => Ok(url.to_owned()),
        (None, None) => Err(unsupported(format!("a {} needs a picture", request.action))),
    };
    Ok(match plan {
        Plan::Generate => ("imagine", json(&generate(submission, &wording, common)?)),
        Plan::Blend(shape) => {
            let images = blended(submission)?;
            let shape = match shape {
                Shape::Portrait => "--ar 2:3",
                Shape::Square => "--ar 1:1",
                Shape::Landscape => "--ar 3:2",
            };
            let body = Draw {
                prompt: Some(with_images(images, shape)?),
                ..Draw::new("generate".to_owned(), common)
            };
            ("imagine", json(&body))
        }
        Plan::Act { image, name } => {
            let body = Draw {
                image_id: Some(image),
                ..Draw::new(name, common)
            };
            ("imagine", json(&body))
        }
        Plan::Region { image } => {
            let body = Draw {
                prompt: Some(wording.without(&SPEEDS).into_owned()),
                image_id: Some(image),
                mask: Some(mask_of(submission)?),
                ..Draw::new("variation_region".to_owned(), common)
            };
            ("imagine", json(&body))
        }
        Plan::Edit { picture: parents } => {
            let body = Edit {
                action: "generate",
                image_url: picture(parents)?,
                prompt: wording.without(&SPEEDS).into_owned(),
                mask: submission.mask.as_ref().map(base64_of).transpose()?,
                common,
            };
            ("edits", json(&body))
        }
        Plan::Animate {
            picture: parents,
            prompt,
        } => {
            let body = Film {
                action: "generate",
                prompt,
                image_url: Some(picture(parents)?),
                video_id: None,
                video_index: None,
                common: Common {
                    split_images: false,
                    ..common
                },
            };
            ("videos", json(&body))
        }
        Plan::Extend {
            videos,
            index,
            prompt,
        } => {
            let body = Film {
                action: "extend",
                prompt,
                image_url: None,
                video_id: Some(videos),
                video_index: Some(index),
                common: Common {
                    split_images: false,
                    ..common
                },
            };
            ("videos", json(&body))
        }
        Plan::Describe { picture: parents } => {
            let image_url = picture(parents)?;
            ("describe", json(&Describe { image_url }))
        }
        Plan::Shorten => {
            let prompt = &request.prompt;
            ("shorten", json(&Shorten { prompt }))
        }
    })
}

/// A drawing from a prompt, with the parameters beside it that change the price.
fn generate<'a>(
    submission: &Submission,
    wording: &Wording<'_>,
    common: Common<'a>,
) -> Result<Draw<'a>, Failure> {
    let mut elsewhere = SPEEDS.to_vec();
    let mut draw = Draw::new("generate".to_owned(), common);
    if let Some(read) = wording.read() {
        let params = read.params();
        let version = params.version().filter(|version| VERSIONS.contains(version));
        let quality = params.number("quality").map(ToString::to_string);
        let quality = quality.filter(|quality| QUALITIES.contains(&quality.as_str()));
        elsewhere.extend(["hd", "sd"]);
        elsewhere.extend(version.map(|_| "version"));
        elsewhere.extend(quality.as_ref().map(|_| "quality"));
        draw.version = version.map(str::to_owned);
        draw.quality = quality;
        draw.hd = params.hd();
        draw.style_reference = params.has("sref").then_some(true);
        // "`m<id>` = moodboard".
        let moodboard = |code: &str| code.starts_with('m');
        let boards = params.profiles().unwrap_or_default();
        draw.moodboard = boards
            .iter()
            .any(|board| moodboard(&board.to_string()))
            .then_some(true);
    }
    draw.prompt = Some(with_images(&submission.images, &wording.without(&elsewhere))?);
    Ok(draw)
}

#[async_trait]
impl MidjourneyClient for AceData {
    fn upstream(&self) -> &'static str {
        "acedata"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // "Idempotency key: not found." Nothing of ours is echoed, and no route cancels.
            callbacks: true,
            seed: true,
            pictures: PictureForm::Link,
            mask: PictureForm::Bytes,
            ..Capabilities::default()
        }
    }

    fn supports(&self, action: Action) -> bool {
        actions::supports(action)
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        actions::plan(request, parent).map(|_| ())
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let plan =
            actions::plan(&submission.request, submission.parent.as_ref()).map_err(ClientError::refused)?;
        let (route, body) = body(submission, plan).map_err(ClientError::refused)?;
        let key = self.caller.key(false).await?;
        let request = self.request(route, body, key.as_ref());
        let answer = self.caller.submit(request).await?;
        let secrets = secrets(key.as_ref(), Some(submission));
        classify::submitted(&self.caller.reply(&answer, &secrets))
    }

    async fn seed(&self, parent: &ParentTask) -> Result<Option<u32>, ClientError> {
        let image_id = parent.name();
        let key = self.caller.key(false).await?;
        let request = self.request("seed", json(&ImageId { image_id }), key.as_ref());
        let answer = self.caller.ask(request).await?;
        let secrets = secrets(key.as_ref(), None);
        seed(&self.caller.reply(&answer, &secrets), |answer: &Answer| {
            &answer.seed
        })
    }

    async fn reconcile(&self, _submission: &Submission) -> Result<Reconciliation, ClientError> {
        // Tasks can be listed, but nothing in them is known to be ours.
        Ok(Reconciliation::Unknown)
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if let Some(result) = packed::read(id) {
            return Ok(RemoteStatus::Succeeded(result));
        }
        if task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let key = self.caller.key(false).await?;
        let body = json(&Retrieve {
            action: "retrieve",
            id: id.as_str(),
        });
        let request = self.request("tasks", body, key.as_ref());
        let answer = self.caller.ask(request).await?;
        let secrets = secrets(key.as_ref(), None);
        classify::fetched(&self.caller.reply(&answer, &secrets), id)
    }

    async fn cancel(&self, _id: &UpstreamId) -> Result<bool, ClientError> {
        Err(ClientError::unsupported("this upstream cannot cancel a task"))
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        self.caller.picture(image).await
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        let answer: Answer = callback(body)?;
        let id =
            task_id(answer.task_id.as_str()).ok_or_else(|| bad_callback("the callback names no task"))?;
        Ok(Callback::new(id, None, classify::answered(&answer, "", &[])))
    }
}
