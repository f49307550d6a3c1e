//! The upstream `ttapi`: TTAPI's Midjourney API.
//!
//! Sources of the wire facts: the documentation of TTAPI and that of its sister site mjapiapp.
//!
//! The mark sent as `notify_id` is echoed in tasks and callbacks, so a callback can tell which submit it belongs to; no
//! route lists tasks, so a lost one cannot be looked for. Webhooks are not signed.

mod actions;
mod classify;
mod wire;

use async_trait::async_trait;

use self::{
    actions::Plan,
    wire::{Act, Blend, Common, Describe, Imagine, Inpaint, JobId, Task},
};
#[cfg(feature = "testing")]
use super::http::Reply;
use super::http::{
    Caller, json,
    named::{
        allowed::unsupported,
        answer::seed,
        given::{base64_of, blended, mask_of, with_images},
        task::{bad_callback, callback},
        wording::{SPEEDS, Wording},
    },
    secrets, task_id,
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
pub const DEFAULT_BASE_URL: &str = "https://api.ttapi.io/midjourney/v1";

/// How long a task in relax mode may take there, in seconds: "relax: at least 600", 1200 at most.
const RELAX_TIMEOUT: u16 = 1_200;

/// The upstream `ttapi`.
#[derive(Clone, Debug)]
pub struct TtApi {
    caller: Caller,
}

impl TtApi {
    /// A client for the account that `options` name; [`DEFAULT_BASE_URL`] is where it usually is.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            caller: Caller::new(options),
        }
    }

    /// A request to a route, with the key.
    fn request(&self, route: &str, body: Vec<u8>, key: Option<&Secret>) -> OutboundRequest {
        let request = OutboundRequest::post(self.caller.url(&[route]), body);
        match key {
            Some(key) => request.with_header("tt-api-key", key.clone()),
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
    let mode = wording.speed();
    let common = Common {
        hook_url: submission.callback_url.as_ref().map(Secret::expose),
        notify_id: submission.nonce.as_str(),
        timeout: (mode == Some("relax")).then_some(RELAX_TIMEOUT),
        get_u_images: true,
    };
    Ok(match plan {
        Plan::Imagine => {
            let body = Imagine {
                prompt: with_images(&submission.images, &wording.without(&SPEEDS))?,
                mode,
                translation: false,
                common,
            };
            ("imagine", json(&body))
        }
        Plan::Act { job, action } => {
            let body = Act {
                job_id: job,
                action,
                common,
            };
            ("action", json(&body))
        }
        Plan::Inpaint { job } => {
            let body = Inpaint {
                job_id: job,
                mask: mask_of(submission)?,
                prompt: wording.without(&SPEEDS).into_owned(),
            };
            ("inpaint", json(&body))
        }
        Plan::Blend(shape) => {
            let files = blended(submission)?.iter().map(base64_of);
            let body = Blend {
                img_base64_array: files.collect::<Result<_, _>>()?,
                dimensions: match shape {
                    Shape::Portrait => "PORTRAIT",
                    Shape::Square => "SQUARE",
                    Shape::Landscape => "LANDSCAPE",
                },
            };
            ("blend", json(&body))
        }
        Plan::Describe { picture } => {
            let body = match (submission.images.first(), picture) {
                (Some(given), _) => match &given.url {
                    Some(url) => Describe::Url(url),
                    None => Describe::Base64(base64_of(given)?),
                },
                (None, Some(url)) => Describe::Url(url),
                (None, None) => return Err(unsupported("a describe needs a picture")),
            };
            ("describe", json(&body))
        }
    })
}

#[async_trait]
impl MidjourneyClient for TtApi {
    fn upstream(&self) -> &'static str {
        "ttapi"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            callbacks: true,
            seed: true,
            // A blend takes files only. Image prompts are links, which most requests have written into the prompt.
            pictures: PictureForm::Bytes,
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
        let key = self.caller.key(false).await?;
        let job_id = parent.name();
        let request = self.request("seed", json(&JobId { job_id }), key.as_ref());
        let answer = self.caller.ask(request).await?;
        let secrets = secrets(key.as_ref(), None);
        seed(&self.caller.reply(&answer, &secrets), |task: &Task| {
            &task.data.0.seed
        })
    }

    async fn reconcile(&self, _submission: &Submission) -> Result<Reconciliation, ClientError> {
        // The mark is echoed, but only in a task whose id is known.
        Ok(Reconciliation::Unknown)
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let key = self.caller.key(false).await?;
        let job_id = id.as_str();
        let request = self.request("fetch", json(&JobId { job_id }), key.as_ref());
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
        let task: Task = callback(body)?;
        let id = task_id(task.id()).ok_or_else(|| bad_callback("the callback names no task"))?;
        let mark = Some(task.data.0.notify_id.as_str()).filter(|mark| (1..=255).contains(&mark.len()));
        Ok(Callback::new(
            id,
            mark.map(str::to_owned),
            classify::status_of(&task, &[]),
        ))
    }
}
