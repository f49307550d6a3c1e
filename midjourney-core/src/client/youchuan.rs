//! `YouChuan` (悠船): the licensed partner interface in China, `POST /v1/tob/<verb>`.
//!
//! Sources: the developer documentation as sold on Alibaba Cloud's marketplace, and the adaptors of
//! `trueai-org/midjourney-proxy` and of a fork of new-api, as collected in the wire facts. None of it was checked against
//! live traffic.
//!
//! Neither an idempotency key nor a field that is echoed was found, so a submit whose answer is lost is never repeated here
//! and cannot be looked for. No signature of callbacks and no route that cancels a task was found either.

mod actions;
mod classify;
mod key;
mod wire;

use async_trait::async_trait;

use self::{key::Pair, wire::Job};
use super::{
    http::{Caller, json, secrets, task_id},
    verbs,
};
use crate::{
    client::{Callback, ClientError, HttpOptions, MidjourneyClient, ParentTask, Reconciliation, Submission},
    image::ByteStream,
    job::{Action, Capabilities, Failure, JobRequest, PictureForm, RemoteImage, RemoteStatus, UpstreamId},
    key::Secret,
    net::OutboundRequest,
};

/// Where `YouChuan` is ("Base `https://ali.youchuan.cn`").
pub const DEFAULT_BASE_URL: &str = "https://ali.youchuan.cn";

/// The upstream `youchuan`. Its key is `app|secret`, as resellers write the two parts in one field.
#[derive(Clone, Debug)]
pub struct YouChuan {
    caller: Caller,
}

impl YouChuan {
    /// A client for the account that `options` name, whose address ends before `/v1/tob`.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            caller: Caller::new(options),
        }
    }

    async fn key(&self) -> Result<Pair, ClientError> {
        Pair::read(&verbs::key(&self.caller).await?)
    }
}

#[async_trait]
impl MidjourneyClient for YouChuan {
    fn upstream(&self) -> &'static str {
        "youchuan"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            callbacks: true,
            pictures: PictureForm::Link,
            ..Capabilities::default()
        }
    }

    fn supports(&self, action: Action) -> bool {
        actions::NUMBERS.verb(action, false).is_some()
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        actions::NUMBERS.plan(request, parent).map(|_| ())
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let plan = actions::NUMBERS
            .plan(&submission.request, submission.parent.as_ref())
            .map_err(ClientError::refused)?;
        let callback = submission.callback_url.as_ref().map(Secret::expose);
        let fields = verbs::with_pictures(&self.caller, submission, plan.fields)
            .await?
            .with_some("callback", callback);
        let key = self.key().await?;
        let url = self.caller.url(&["v1", "tob", plan.verb]);
        let request = key.sign(OutboundRequest::post(url, json(&fields)));
        let answer = self.caller.submit(request).await?;
        let mut secrets = secrets(None, Some(submission));
        secrets.extend(key.secrets());
        let reply = self.caller.reply(&answer, &secrets);
        classify::submitted(&reply, submission.request.action, submission.parent.is_some())
    }

    async fn reconcile(&self, _: &Submission) -> Result<Reconciliation, ClientError> {
        Ok(Reconciliation::Unknown)
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let key = self.key().await?;
        let url = self.caller.url(&["v1", "tob", "job", id.as_str()]);
        let answer = self.caller.ask(key.sign(OutboundRequest::get(url))).await?;
        classify::fetched(&self.caller.reply(&answer, &key.secrets()), id)
    }

    async fn cancel(&self, _: &UpstreamId) -> Result<bool, ClientError> {
        Err(ClientError::unsupported("YouChuan cannot cancel a task"))
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        self.caller.picture(image).await
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        let (id, job) = verbs::callback(body, |job: &Job| &job.id)?;
        Ok(Callback::new(id, None, classify::status_of(&job, &[])))
    }
}
