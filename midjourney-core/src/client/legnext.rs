//! `LegNext`: `POST /v1/<verb>`, one task object for everything that comes back.
//!
//! Sources: `PyPI` `legnext` 0.3.0 (its request and response types, its HTTP client and its webhook verifier) and the
//! `LegNext` documentation, as collected in the wire facts. None of it was checked against live traffic.
//!
//! There is no idempotency header and no field that is echoed (the vendor's client sends a lost submit again, and may pay
//! twice), so a submit whose answer is lost is never repeated here and cannot be looked for. No route cancels a task.

mod actions;
mod classify;
mod mask;
mod signature;
mod wire;

use async_trait::async_trait;

pub use self::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, verify_signature};
use self::wire::Task;
use super::{
    http::{Caller, Form, json, secrets, task_id},
    verbs,
};
use crate::{
    client::{Callback, ClientError, HttpOptions, MidjourneyClient, ParentTask, Reconciliation, Submission},
    clock::Timestamp,
    image::ByteStream,
    job::{Action, Capabilities, Failure, JobRequest, RemoteImage, RemoteStatus, UpstreamId},
    key::Secret,
    net::{Answer, OutboundRequest},
    webhook::{Authenticity, Incoming},
};

/// Where `LegNext` is (`DEFAULT_BASE_URL` of the vendor's client).
pub const DEFAULT_BASE_URL: &str = "https://api.legnext.ai/api";

/// The upstream `legnext`.
#[derive(Clone, Debug)]
pub struct LegNext {
    caller: Caller,
    webhook_secret: Option<Secret>,
}

impl LegNext {
    /// A client for the account that `options` name, whose address ends before `/v1`.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            caller: Caller::new(options),
            webhook_secret: None,
        }
    }

    /// The same account, whose callbacks are signed with the secret that is set in its dashboard. Those that are not are
    /// refused then.
    pub fn with_webhook_secret(mut self, secret: Secret) -> Self {
        self.webhook_secret = Some(secret);
        self
    }

    /// What the upstream says about the task `id`, and the key that must not be shown.
    async fn ask(&self, id: &UpstreamId) -> Result<(Answer, Secret), ClientError> {
        let key = verbs::key(&self.caller).await?;
        let url = self.caller.url(&["v1", "job", id.as_str()]);
        let request = OutboundRequest::get(url).with_header("x-api-key", key.clone());
        Ok((self.caller.ask(request).await?, key))
    }

    /// The request that starts what `submission` is for, without the key.
    async fn request(&self, submission: &Submission) -> Result<OutboundRequest, ClientError> {
        let plan =
            actions::plan(&submission.request, submission.parent.as_ref()).map_err(ClientError::refused)?;
        let url = self.caller.url(&["v1", plan.verb]);
        let callback = submission.callback_url.as_ref().map(Secret::expose);
        let fields = actions::with_pictures(&self.caller, submission, plan.fields)
            .await?
            .with_some("callback", callback);
        if submission.request.action != Action::Inpaint {
            return Ok(OutboundRequest::post(url, json(&fields)));
        }
        let mask = mask::bytes(&self.caller, submission.mask.as_ref()).await?;
        // The mark is random and newer than any text or picture in the form.
        let form = fields
            .texts()
            .fold(Form::new(submission.nonce.as_str()), |form, (name, value)| {
                form.text(name, &value)
            });
        let (kind, body) = form.file("mask", "mask.png", "image/png", &mask).finish();
        Ok(OutboundRequest::post(url, body).with_content_type(kind))
    }
}

#[async_trait]
impl MidjourneyClient for LegNext {
    fn upstream(&self) -> &'static str {
        "legnext"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            callbacks: true,
            seed: true,
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
        let request = self.request(submission).await?;
        let key = verbs::key(&self.caller).await?;
        let answer = self
            .caller
            .submit(request.with_header("x-api-key", key.clone()))
            .await?;
        let secrets = secrets(Some(&key), Some(submission));
        classify::submitted(&self.caller.reply(&answer, &secrets), submission.parent.is_some())
    }

    async fn reconcile(&self, _: &Submission) -> Result<Reconciliation, ClientError> {
        Ok(Reconciliation::Unknown)
    }

    async fn seed(&self, parent: &ParentTask) -> Result<Option<u32>, ClientError> {
        if task_id(parent.upstream.as_str()).is_none() {
            return Ok(None);
        }
        let (answer, key) = self.ask(&parent.upstream).await?;
        let secrets = secrets(Some(&key), None);
        classify::seed(&self.caller.reply(&answer, &secrets), &parent.upstream)
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let (answer, key) = self.ask(id).await?;
        let secrets = secrets(Some(&key), None);
        classify::fetched(&self.caller.reply(&answer, &secrets), id)
    }

    async fn cancel(&self, _: &UpstreamId) -> Result<bool, ClientError> {
        Err(ClientError::unsupported("LegNext cannot cancel a task"))
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        self.caller.picture(image).await
    }

    fn authenticate(&self, incoming: &Incoming, _address: Option<&Secret>) -> Authenticity {
        let Some(secret) = &self.webhook_secret else {
            return Authenticity::Unsigned;
        };
        let timestamp = incoming
            .headers
            .get(TIMESTAMP_HEADER)
            .filter(|time| !time.is_empty());
        let signature = incoming.headers.get(SIGNATURE_HEADER).unwrap_or_default();
        if !verify_signature(secret, &incoming.body, signature, timestamp) {
            return Authenticity::Forged;
        }
        match timestamp.map(str::parse::<i64>) {
            None if incoming.headers.has(TIMESTAMP_HEADER) => Authenticity::Forged,
            None => Authenticity::Signed { at: None },
            // In seconds, as timestamps of this kind are; no source says so.
            Some(Ok(seconds)) => Authenticity::Signed {
                at: Some(Timestamp::from_millis(seconds.saturating_mul(1_000))),
            },
            Some(Err(_)) => Authenticity::Forged,
        }
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        let (id, task) = verbs::callback(body, |task: &Task| &task.job_id)?;
        Ok(Callback::new(id, None, classify::status_of(&task, &[])))
    }
}
