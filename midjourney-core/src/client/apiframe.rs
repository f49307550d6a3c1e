//! The upstream `apiframe`: the Midjourney API of `ApiFrame`.
//!
//! Sources of the wire facts: the packages `apiframe` 1.0.0 (Python) and `apiframe-js` 1.1.1, and the documentation.
//!
//! Each action has a route of its own. A finished task does not say what it allows, so that is told from what it was.
//! It has no idempotency key and echoes no mark. With a webhook it sends back a secret, in plain, as
//! [`WEBHOOK_HEADER`]; [`is_from_upstream`] checks it.

mod actions;
mod classify;
mod webhook;
mod wire;

use async_trait::async_trait;

pub use self::webhook::{WEBHOOK_HEADER, is_from_upstream};
use self::{
    actions::Plan,
    wire::{Answer, Body, Common, TaskId},
};
#[cfg(feature = "testing")]
use super::http::Reply;
use super::http::{
    Caller, json,
    named::{
        allowed::unsupported,
        answer::seed,
        given::{blended, link_of, mask_of, with_images},
        task::{bad_callback, callback},
        wording::{SPEEDS, Wording},
    },
    secrets, task_id,
};
use crate::{
    client::{Callback, ClientError, HttpOptions, MidjourneyClient, ParentTask, Reconciliation, Submission},
    image::ByteStream,
    job::{Action, Capabilities, Failure, JobRequest, PictureForm, RemoteImage, RemoteStatus, UpstreamId},
    key::Secret,
    net::OutboundRequest,
    webhook::{Authenticity, Incoming},
};

/// Where the upstream is (source: its packages). Newer documentation says `https://api.apiframe.ai/pro`.
pub const DEFAULT_BASE_URL: &str = "https://api.apiframe.pro";

/// The upstream `apiframe`.
#[derive(Clone, Debug)]
pub struct ApiFrame {
    caller: Caller,
}

impl ApiFrame {
    /// A client for the account that `options` name; [`DEFAULT_BASE_URL`] is where it usually is.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            caller: Caller::new(options),
        }
    }

    /// A request to a route, with the key as it is.
    fn request(&self, route: &str, body: Vec<u8>, key: Option<&Secret>) -> OutboundRequest {
        let request = OutboundRequest::post(self.caller.url(&[route]), body);
        match key {
            Some(key) => request.with_header("authorization", key.clone()),
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

/// The body that a plan is sent with.
fn body(submission: &Submission, plan: &Plan<'_>) -> Result<Vec<u8>, Failure> {
    let request = &submission.request;
    let wording = Wording::of(&request.prompt);
    let hook = submission.callback_url.as_ref();
    let answer_with = hook.and_then(webhook::secret_of);
    let common = Common {
        webhook_url: hook.map(Secret::expose),
        webhook_secret: answer_with.as_ref().map(Secret::expose),
    };
    // The form goes beside the text as well: its field is 1:1 where it is left out.
    let text = wording.without(&[&SPEEDS[..], &["aspect"]].concat());
    let prompt = Some(text.as_ref()).filter(|text| !text.is_empty());
    let aspect = wording.read().and_then(|read| read.params().aspect());
    let aspect_ratio = aspect.map(|aspect| aspect.to_string());
    let parent_task_id = plan.parent();
    let body = match plan {
        Plan::Imagine => Body::Imagine {
            prompt: with_images(&submission.images, &text)?,
            aspect_ratio,
            process_mode: wording.speed(),
        },
        Plan::Cutout { index, .. } => Body::Indexed {
            parent_task_id,
            index,
            prompt: None,
        },
        Plan::Variation { index, .. } => Body::Indexed {
            parent_task_id,
            index,
            prompt,
        },
        Plan::Upscale { how, .. } => Body::Upscale {
            parent_task_id,
            kind: how,
        },
        Plan::Reroll { .. } => Body::Reroll {
            parent_task_id,
            prompt,
            aspect_ratio,
        },
        Plan::Inpaint { .. } => Body::Inpaint {
            parent_task_id,
            mask: mask_of(submission)?,
            prompt,
        },
        Plan::Outpaint { ratio, square, .. } => Body::Outpaint {
            parent_task_id,
            zoom_ratio: *ratio,
            aspect_ratio: if *square {
                Some("1:1".to_owned())
            } else {
                aspect_ratio
            },
            prompt,
        },
        Plan::Pan { direction, .. } => Body::Pan {
            parent_task_id,
            direction,
            prompt,
        },
        Plan::Describe { picture } => Body::Describe {
            image_url: match (submission.images.first(), picture) {
                (Some(given), _) => link_of(given)?,
                (None, Some(url)) => url,
                (None, None) => return Err(unsupported("a describe needs a picture")),
            },
        },
        Plan::Blend { dimension } => Body::Blend {
            image_urls: blended(submission)?
                .iter()
                .map(link_of)
                .collect::<Result<_, _>>()?,
            dimension,
        },
    };
    Ok(json(&wire::Submit { body, common }))
}

#[async_trait]
impl MidjourneyClient for ApiFrame {
    fn upstream(&self) -> &'static str {
        "apiframe"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
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
        let body = body(submission, &plan).map_err(ClientError::refused)?;
        let key = self.caller.key(false).await?;
        let request = self.request(plan.route(), body, key.as_ref());
        let answer = self.caller.submit(request).await?;
        let echoed = submission.callback_url.as_ref().and_then(webhook::secret_of);
        let mut secrets = secrets(key.as_ref(), Some(submission));
        secrets.extend(echoed.as_ref().map(Secret::expose));
        classify::submitted(&self.caller.reply(&answer, &secrets))
    }

    async fn seed(&self, parent: &ParentTask) -> Result<Option<u32>, ClientError> {
        let key = self.caller.key(false).await?;
        let task_id = parent.name();
        let request = self.request("seed", json(&TaskId { task_id }), key.as_ref());
        let answer = self.caller.ask(request).await?;
        let secrets = secrets(key.as_ref(), None);
        seed(&self.caller.reply(&answer, &secrets), |task: &Answer| &task.seed)
    }

    async fn reconcile(&self, _submission: &Submission) -> Result<Reconciliation, ClientError> {
        // Tasks are asked for by their ids only.
        Ok(Reconciliation::Unknown)
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let key = self.caller.key(false).await?;
        let body = json(&TaskId { task_id: id.as_str() });
        let request = self.request("fetch", body, key.as_ref());
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

    fn authenticate(&self, incoming: &Incoming, address: Option<&Secret>) -> Authenticity {
        let presented = incoming.headers.get(WEBHOOK_HEADER).unwrap_or_default();
        match address {
            Some(address) if !is_from_upstream(address, presented) => Authenticity::Forged,
            // Whoever has the address can make the secret, so the two together prove no more than the address does.
            _ => Authenticity::Unsigned,
        }
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        let task: Answer = callback(body)?;
        let id = task_id(task.task_id.as_str()).ok_or_else(|| bad_callback("the callback names no task"))?;
        Ok(Callback::new(id, None, classify::status_of(&task, &[])))
    }
}
