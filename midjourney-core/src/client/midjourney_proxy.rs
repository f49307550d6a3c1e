//! The `midjourney-proxy` family: one wire contract (`/mj/submit/*`), several lines of gateways, many resellers.
//!
//! | line | dialect | key |
//! |---|---|---|
//! | `novicezk/midjourney-proxy` | [`Dialect::Java`] | `mj-api-secret`; none where the gateway is open |
//! | `litter-coder/midjourney-proxy-plus` | [`Dialect::Plus`] | `mj-api-secret` |
//! | `trueai-org/midjourney-proxy` | [`Dialect::TrueAi`] | `Authorization`, raw |
//! | `QuantumNous/new-api` and resellers | [`Dialect::NewApi`] | `Authorization: Bearer` |
//! | told by its answers | [`Dialect::Auto`] | `mj-api-secret` and `Authorization: Bearer`, until a refusal tells more |
//!
//! Left to itself, a client takes a gateway without buttons for the original, and learns from refusals that it talks to
//! trueai or to a reseller. Until then it offers what most lines have; a dialect that is set offers all of its line.
//!
//! No line has an idempotency key (source: the lines' own code), so a submit whose answer is lost is never repeated
//! here. The mark sent as `state` is echoed in the task, and [`reconcile`](MidjourneyClient::reconcile) looks for it.

mod actions;
mod bodies;
mod buttons;
mod dialect;
mod fetched;
mod pictures;
mod plan;
mod reasons;
mod submitted;
mod tasks;
mod texts;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

pub use self::dialect::Dialect;
use self::{
    dialect::Line,
    tasks::{Looks, Marked},
    wire::{Submitted, Task},
};
#[cfg(feature = "testing")]
use super::http::Reply;
use super::http::{Caller, Loose, secrets, task_id, trouble};
use crate::{
    client::{Callback, ClientError, HttpOptions, MidjourneyClient, ParentTask, Reconciliation, Submission},
    image::ByteStream,
    job::{
        Action, Capabilities, Failure, FailureKind, JobRequest, PictureForm, RemoteImage, RemoteStatus,
        UpstreamId,
    },
    key::Secret,
    net::{Answer, OutboundRequest},
};

/// The longest callback that is read, in bytes.
const MAX_CALLBACK: usize = 1024 * 1024;

/// The upstream `midjourney-proxy`.
#[derive(Clone, Debug)]
pub struct MidjourneyProxy {
    caller: Caller,
    line: Line,
    looks: Arc<Looks>,
}

impl MidjourneyProxy {
    /// A client for the gateway that `options` name. Its address may end in `/mj`; a speed prefix such as
    /// `/mj-fast/mj` stays.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            caller: Caller::new(options),
            line: Line::default(),
            looks: Arc::default(),
        }
    }

    /// The same gateway, known to be of this line.
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.line = Line::of(dialect);
        self
    }

    /// The address of a route below `/mj`.
    fn url(&self, route: &[&str]) -> Url {
        let has_mj = self
            .caller
            .base_url()
            .path()
            .trim_end_matches('/')
            .ends_with("/mj");
        let below = if has_mj { None } else { Some("mj") };
        let route: Vec<_> = below.into_iter().chain(route.iter().copied()).collect();
        self.caller.url(&route)
    }

    /// The key; `None` where the gateway may be open.
    async fn key(&self, dialect: Dialect) -> Result<Option<Secret>, ClientError> {
        // An empty secret at the gateway leaves it open (source: novicezk's interceptor).
        let open = matches!(dialect, Dialect::Auto | Dialect::Java | Dialect::Plus);
        self.caller.key(open).await
    }

    /// Asks something that is free to ask again, and gives the answer with the key that must not be shown.
    async fn ask(&self, request: OutboundRequest) -> Result<(Answer, Option<Secret>), ClientError> {
        let dialect = self.line.dialect();
        let (answer, key) = self.ask_as(dialect, request.clone()).await?;
        let secrets = secrets(key.as_ref(), None);
        if self.line.hear(dialect, &self.caller.reply(&answer, &secrets)) {
            return self.ask_as(self.line.dialect(), request).await;
        }
        Ok((answer, key))
    }

    async fn ask_as(
        &self,
        dialect: Dialect,
        request: OutboundRequest,
    ) -> Result<(Answer, Option<Secret>), ClientError> {
        let key = self.key(dialect).await?;
        let request = authorised(dialect, request, key.as_ref());
        Ok((self.caller.ask(request).await?, key))
    }

    /// What all tasks are marked with; `None` where the list cannot be read.
    async fn tasks(&self) -> Result<Option<Marked>, ClientError> {
        let list = OutboundRequest::get(self.url(&["task", "list"]));
        let (answer, key) = match self.ask(list).await {
            Err(error) if error.failure.kind == FailureKind::BadAnswer => return Ok(None),
            other => other?,
        };
        match answer.status {
            200..=299 => Ok(Some(Marked::read(&answer.body))),
            401 | 403 | 429 | 500..=599 => Err(trouble(
                FailureKind::Transient,
                "the upstream does not list its tasks at the moment",
                &self.caller.reply(&answer, &secrets(key.as_ref(), None)),
            )),
            _ => Ok(None),
        }
    }

    /// Posts to a submit route, once, and gives the answer with the key.
    async fn post(
        &self,
        dialect: Dialect,
        route: &str,
        body: Vec<u8>,
    ) -> Result<(Answer, Option<Secret>), ClientError> {
        let key = self.key(dialect).await?;
        let request = OutboundRequest::post(self.url(&["submit", route]), body);
        let answer = self
            .caller
            .submit(authorised(dialect, request, key.as_ref()))
            .await?;
        let secrets = secrets(key.as_ref(), None);
        let reply = self.caller.reply(&answer, &secrets);
        if self.line.hear(dialect, &reply) {
            // Not repeated here, though nothing was started: a submit goes out once.
            let message = "the gateway wants its key in another header, and will get it there";
            let failure = Failure::new(FailureKind::Transient, message);
            return Err(ClientError::not_now(failure, None).with_source(reply.said()));
        }
        Ok((answer, key))
    }
}

/// Puts the key where this line looks for it.
fn authorised(dialect: Dialect, request: OutboundRequest, key: Option<&Secret>) -> OutboundRequest {
    let Some(key) = key else {
        return request;
    };
    let bearer = || Secret::new(format!("Bearer {}", key.expose()));
    match dialect {
        Dialect::Java | Dialect::Plus => request.with_header("mj-api-secret", key.clone()),
        Dialect::TrueAi => request.with_header("authorization", key.clone()),
        Dialect::NewApi => request.with_header("authorization", bearer()),
        Dialect::Auto => request
            .with_header("mj-api-secret", key.clone())
            .with_header("authorization", bearer()),
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
    (submitted::submitted(&reply), fetched::fetched(&reply, id))
}

#[async_trait]
impl MidjourneyClient for MidjourneyProxy {
    fn upstream(&self) -> &'static str {
        "midjourney-proxy"
    }

    fn capabilities(&self) -> Capabilities {
        let dialect = self.line.dialect();
        Capabilities {
            // "Idempotency key: not found in any line."
            idempotent_submit: false,
            // new-api takes no list request of its own.
            reconcile: dialect != Dialect::NewApi,
            cancel: !matches!(dialect, Dialect::Java | Dialect::NewApi),
            callbacks: true,
            windows: dialect != Dialect::Java,
            // new-api passes it on: a widely used client asks its resellers for seeds.
            seed: dialect != Dialect::Java,
            // Blends, descriptions and masks are data URLs at every line.
            pictures: PictureForm::Bytes,
            mask: PictureForm::Bytes,
            ..Capabilities::default()
        }
    }

    fn supports(&self, action: Action) -> bool {
        actions::supports(self.line.dialect(), action)
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        plan::plan(self.line.dialect(), request, parent).map(|_| ())
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let dialect = self.line.dialect();
        let (route, body) = plan::plan(dialect, &submission.request, submission.parent.as_ref())
            .and_then(|plan| bodies::body(dialect, submission, plan))
            .map_err(ClientError::refused)?;
        let (answer, key) = self.post(dialect, route, body).await?;
        let secrets = secrets(key.as_ref(), Some(submission));
        submitted::submitted(&self.caller.reply(&answer, &secrets))
    }

    async fn confirm(&self, id: &UpstreamId, submission: &Submission) -> Result<(), ClientError> {
        if !self.capabilities().windows || task_id(id.as_str()).is_none() {
            return Err(ClientError::unsupported("this upstream opens no windows"));
        }
        let body = bodies::modal(id, submission).map_err(ClientError::refused)?;
        let (answer, key) = self.post(self.line.dialect(), "modal", body).await?;
        let secrets = secrets(key.as_ref(), Some(submission));
        submitted::confirmed(&self.caller.reply(&answer, &secrets), id)
    }

    async fn seed(&self, parent: &ParentTask) -> Result<Option<u32>, ClientError> {
        if !self.capabilities().seed {
            return Err(ClientError::unsupported("this upstream does not tell seeds"));
        }
        if task_id(parent.name()).is_none() {
            return Ok(None);
        }
        let request = OutboundRequest::get(self.url(&["task", parent.name(), "image-seed"]));
        let (answer, key) = self.ask(request).await?;
        let secrets = secrets(key.as_ref(), None);
        submitted::seed(&self.caller.reply(&answer, &secrets))
    }

    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError> {
        let listed = self.looks.share(self.tasks()).await?;
        let found = listed.and_then(|listed| task_id(listed.find(&submission.nonce)?));
        // Never `Absent`: a list may be cut, cached, or lack a task that is still being taken in.
        Ok(found.map_or(Reconciliation::Unknown, Reconciliation::Found))
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let request = OutboundRequest::get(self.url(&["task", id.as_str(), "fetch"]));
        let (answer, key) = self.ask(request).await?;
        let secrets = secrets(key.as_ref(), None);
        fetched::fetched(&self.caller.reply(&answer, &secrets), id)
    }

    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError> {
        let unsupported = || ClientError::unsupported("this upstream cannot cancel a task");
        if !self.capabilities().cancel {
            return Err(unsupported());
        }
        if task_id(id.as_str()).is_none() {
            return Ok(false);
        }
        let request = OutboundRequest::post(self.url(&["task", id.as_str(), "cancel"]), "{}");
        let (answer, key) = self.ask(request).await?;
        let secrets = secrets(key.as_ref(), None);
        match answer.status {
            // trueai answers with an empty body; another code than 1 is a refusal.
            200..=299 => {
                let Loose(answer) =
                    serde_json::from_slice::<Loose<Submitted>>(&answer.body).unwrap_or_default();
                Ok(matches!(answer.code.as_str(), "" | "1"))
            }
            404 | 405 => Err(unsupported().with_source(self.caller.reply(&answer, &secrets).said())),
            _ => Err(trouble(
                FailureKind::Transient,
                "the upstream did not cancel the task",
                &self.caller.reply(&answer, &secrets),
            )),
        }
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        self.caller.picture(image).await
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        let bad = |message: &str| ClientError::refused(Failure::new(FailureKind::BadAnswer, message));
        if body.len() > MAX_CALLBACK {
            return Err(bad("the callback is longer than 1 MiB"));
        }
        let Loose(task) = serde_json::from_slice::<Loose<Task>>(body)
            .map_err(|error| bad("the callback is not JSON").with_source(error))?;
        let id = task_id(task.id.as_str()).ok_or_else(|| bad("the callback names no task"))?;
        let nonce = Some(task.state.as_str()).filter(|state| (1..=255).contains(&state.len()));
        Ok(Callback::new(
            id,
            nonce.map(str::to_owned),
            fetched::status_of(&task, &[]),
        ))
    }
}
