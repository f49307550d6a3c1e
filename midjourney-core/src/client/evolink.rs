//! `EvoLink`: `POST /v1/images/generations` for everything, with the verb in `model`; `GET /v1/tasks/{id}`. reapi.ai has the
//! same shape.
//!
//! Sources: `EvoLinkAI/midjourney-api` (`docs/official-api/*.md`, `docs/callbacks.md`, `docs/errors.md`,
//! `docs/response-schema.md`) and the `EvoLink` documentation (the pages of `mj-v7-variation` and of querying a task).
//! None of it was checked against live traffic.
//!
//! Nothing that a submit carries is echoed and there is no idempotency key, so a submit whose answer is lost is never
//! repeated here and cannot be looked for. A task says `can_cancel`, but no route that cancels one was found.

mod actions;
mod classify;
mod model;
mod wire;

use async_trait::async_trait;
use url::{Host, Url};

use self::wire::Task;
use super::{
    http::{Caller, json, secrets, task_id},
    verbs,
};
use crate::{
    client::{Callback, ClientError, HttpOptions, MidjourneyClient, ParentTask, Reconciliation, Submission},
    image::ByteStream,
    job::{Action, Capabilities, Failure, JobRequest, PictureForm, RemoteImage, RemoteStatus, UpstreamId},
    key::Secret,
    net::{OutboundRequest, is_public},
};

/// Where `EvoLink` is (`servers` of its `OpenAPI` documents).
pub const DEFAULT_BASE_URL: &str = "https://api.evolink.ai";

/// The longest address that is called back ("max 2048 chars").
const MAX_CALLBACK: usize = 2_048;

/// The upstream `evolink`.
#[derive(Clone, Debug)]
pub struct EvoLink {
    caller: Caller,
}

impl EvoLink {
    /// A client for the account that `options` name, whose address ends before `/v1`.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            caller: Caller::new(options),
        }
    }
}

#[async_trait]
impl MidjourneyClient for EvoLink {
    fn upstream(&self) -> &'static str {
        "evolink"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            callbacks: true,
            pictures: PictureForm::Link,
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
        let fields =
            actions::plan(&submission.request, submission.parent.as_ref()).map_err(ClientError::refused)?;
        let callback = submission.callback_url.as_ref().map(Secret::expose);
        let fields = actions::with_pictures(submission, fields)?
            .with_some("callback_url", callback.filter(|url| may_be_called(url)));
        let key = verbs::key(&self.caller).await?;
        let url = self.caller.url(&["v1", "images", "generations"]);
        let request = OutboundRequest::post(url, json(&fields)).with_header("authorization", bearer(&key));
        let answer = self.caller.submit(request).await?;
        let secrets = secrets(Some(&key), Some(submission));
        classify::submitted(&self.caller.reply(&answer, &secrets), submission.parent.is_some())
    }

    async fn reconcile(&self, _: &Submission) -> Result<Reconciliation, ClientError> {
        Ok(Reconciliation::Unknown)
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let key = verbs::key(&self.caller).await?;
        let url = self.caller.url(&["v1", "tasks", id.as_str()]);
        let request = OutboundRequest::get(url).with_header("authorization", bearer(&key));
        let answer = self.caller.ask(request).await?;
        let secrets = secrets(Some(&key), None);
        classify::fetched(&self.caller.reply(&answer, &secrets), id)
    }

    async fn cancel(&self, _: &UpstreamId) -> Result<bool, ClientError> {
        Err(ClientError::unsupported("EvoLink cannot cancel a task"))
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        self.caller.picture(image).await
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        let (id, task) = verbs::callback(body, |task: &Task| &task.id)?;
        Ok(Callback::new(id, None, classify::status_of(&task, &[])))
    }
}

fn bearer(key: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", key.expose()))
}

/// Whether the upstream calls `url` ("HTTPS only, no private addresses, max 2048 chars"). It would refuse the whole submit;
/// without a callback the task is asked about instead.
fn may_be_called(url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else {
        return false;
    };
    let public = match parsed.host() {
        Some(Host::Domain(name)) => name != "localhost",
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        None => false,
    };
    parsed.scheme() == "https" && public && url.len() <= MAX_CALLBACK
}
