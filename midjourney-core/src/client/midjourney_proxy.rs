//! The `midjourney-proxy` family: one wire contract (`/mj/submit/*`), several lines of gateways, many resellers.
//!
//! | line | dialect | key |
//! |---|---|---|
//! | `novicezk/midjourney-proxy` | [`Dialect::Java`] | `mj-api-secret`; none where the gateway is open |
//! | `litter-coder/midjourney-proxy-plus` | [`Dialect::Plus`] | `mj-api-secret` |
//! | `trueai-org/midjourney-proxy` | [`Dialect::TrueAi`] | `Authorization`, raw |
//! | `QuantumNous/new-api` and resellers | [`Dialect::NewApi`] | `Authorization: Bearer` |
//! | any of them but trueai's | [`Dialect::Auto`] | `mj-api-secret` and `Authorization: Bearer` |
//!
//! No line has an idempotency key (source: the lines' own code), so a submit whose answer is lost is never repeated
//! here. The mark sent as `state` is echoed in the task, and [`reconcile`](MidjourneyClient::reconcile) looks for it.

mod actions;
mod classify;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use url::Url;

use self::{
    actions::Plan,
    classify::Reply,
    wire::{Change, Common, Imagine, Loose, Press, Submitted, Task},
};
use crate::{
    client::{Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    clock::Clock,
    image::ByteStream,
    job::{Capabilities, Failure, FailureKind, JobRequest, RemoteImage, RemoteStatus, Spent, UpstreamId},
    key::{KeyError, KeyName, KeyProvider, Secret},
    net::{Answer, Outbound, OutboundError, OutboundRequest},
};

/// The longest callback that is read, in bytes.
const MAX_CALLBACK: usize = 1024 * 1024;

/// Which line of the family answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// Sends the key in both of the common headers. Not for trueai, which takes `Authorization` as it is.
    #[default]
    Auto,
    /// The original.
    Java,
    /// midjourney-proxy-plus.
    Plus,
    /// The C# line.
    TrueAi,
    /// new-api and the resellers that run it.
    NewApi,
}

/// How to reach one gateway.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProxyOptions {
    /// The gateway, with or without `/mj` at its end; a speed prefix such as `/mj-fast/mj` stays. May be private: the
    /// operator wrote it.
    pub base_url: Url,
    /// Which line it is.
    pub dialect: Dialect,
    /// The name of its key.
    pub key: KeyName,
    /// Who holds the key.
    pub keys: Arc<dyn KeyProvider>,
    /// For dates in answers and for the key's age.
    pub clock: Arc<dyn Clock>,
    /// What all calls go through.
    pub outbound: Outbound,
    /// How long one call may take, 60 s at most.
    pub timeout: Duration,
    /// How long handing over a task may take, 60 s at most.
    pub submit_timeout: Duration,
}

impl fmt::Debug for ProxyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The origin only: what else is in the address may be somebody's password.
        f.debug_struct("ProxyOptions")
            .field("origin", &self.base_url.origin().ascii_serialization())
            .field("dialect", &self.dialect)
            .field("key", &self.key)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl ProxyOptions {
    /// The gateway at `base_url`, of any line but trueai's.
    pub fn new(
        base_url: Url,
        key: KeyName,
        keys: Arc<dyn KeyProvider>,
        clock: Arc<dyn Clock>,
        outbound: Outbound,
    ) -> Self {
        Self {
            base_url,
            dialect: Dialect::Auto,
            key,
            keys,
            clock,
            outbound,
            timeout: Duration::from_secs(30),
            submit_timeout: Duration::from_secs(30),
        }
    }

    /// The same gateway, known to be of this line.
    pub const fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The same gateway, with this long for each call, submits included.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.submit_timeout = timeout;
        self
    }

    /// The same gateway, with this long for each submit.
    pub const fn with_submit_timeout(mut self, timeout: Duration) -> Self {
        self.submit_timeout = timeout;
        self
    }
}

/// The upstream `midjourney-proxy`.
#[derive(Clone, Debug)]
pub struct MidjourneyProxy {
    options: ProxyOptions,
    outbound: Outbound,
}

impl MidjourneyProxy {
    /// A client for one gateway.
    pub fn new(options: ProxyOptions) -> Self {
        let outbound = options.outbound.trusting(&options.base_url);
        Self { options, outbound }
    }

    /// The address of a route below `/mj`.
    fn url(&self, route: &[&str]) -> Url {
        let mut url = self.options.base_url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let has_mj = url.path().trim_end_matches('/').ends_with("/mj");
        // Only URLs that cannot be a base (`data:`) have no path; those are refused when they are called.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            if !has_mj {
                path.push("mj");
            }
            path.extend(route);
        }
        url
    }

    /// The key; `None` where the gateway may be open.
    async fn key(&self) -> Result<Option<Secret>, ClientError> {
        let now = self.options.clock.now();
        match self.options.keys.current(&self.options.key, now).await {
            Ok(key) => Ok(Some(key.secret)),
            // An empty secret at the gateway leaves it open (source: novicezk's interceptor).
            Err(KeyError::Missing { .. })
                if matches!(
                    self.options.dialect,
                    Dialect::Auto | Dialect::Java | Dialect::Plus
                ) =>
            {
                Ok(None)
            }
            Err(error @ (KeyError::Missing { .. } | KeyError::Unusable { .. })) => {
                let message = format!("there is no usable key named {}", self.options.key);
                Err(
                    ClientError::refused(Failure::new(FailureKind::AccountBlocked, message))
                        .with_source(error),
                )
            }
            Err(error) => Err(ClientError::not_now(
                Failure::new(FailureKind::Transient, "the key could not be read"),
                None,
            )
            .with_source(error)),
        }
    }

    /// Puts the key where this line looks for it.
    fn authorised(&self, request: OutboundRequest, key: Option<&Secret>) -> OutboundRequest {
        let request = request.within(self.options.timeout);
        let Some(key) = key else {
            return request;
        };
        let bearer = || Secret::new(format!("Bearer {}", key.expose()));
        match self.options.dialect {
            Dialect::Java | Dialect::Plus => request.with_header("mj-api-secret", key.clone()),
            Dialect::TrueAi => request.with_header("authorization", key.clone()),
            Dialect::NewApi => request.with_header("authorization", bearer()),
            Dialect::Auto => request
                .with_header("mj-api-secret", key.clone())
                .with_header("authorization", bearer()),
        }
    }

    /// Asks something that is free to ask again, and gives the answer with the key that must not be shown.
    async fn ask(&self, request: OutboundRequest) -> Result<(Answer, Option<Secret>), ClientError> {
        let key = self.key().await?;
        let answer = self.outbound.send(self.authorised(request, key.as_ref())).await;
        answer.map(|answer| (answer, key)).map_err(|error| {
            let failure = Failure::new(trouble_kind(&error), "the upstream did not answer");
            ClientError::not_now(failure, None).with_source(error)
        })
    }

    fn reply<'a>(&self, answer: &'a Answer, secrets: &'a [&'a str]) -> Reply<'a> {
        Reply {
            status: answer.status,
            body: &answer.body,
            retry_after: answer.header("retry-after"),
            now: self.options.clock.now(),
            secrets,
        }
    }

    /// The route and the body that a plan is sent with.
    fn body(submission: &Submission, plan: Plan<'_>) -> (&'static str, serde_json::Result<Vec<u8>>) {
        let common = Common {
            state: submission.nonce.as_str(),
            notify_hook: submission.callback_url.as_ref().map(Secret::expose),
        };
        match plan {
            // Leading image links stay in the prompt, where every line reads them; `base64Array` is for bytes.
            Plan::Imagine => {
                let prompt = &submission.request.prompt;
                ("imagine", serde_json::to_vec(&Imagine { prompt, common }))
            }
            Plan::Press { task, button } => {
                let body = Press {
                    task_id: task,
                    custom_id: button,
                    common,
                };
                ("action", serde_json::to_vec(&body))
            }
            Plan::Change { task, action, index } => {
                let body = Change {
                    task_id: task,
                    action,
                    index,
                    common,
                };
                ("change", serde_json::to_vec(&body))
            }
        }
    }
}

/// The secrets of one exchange, to be masked in whatever comes back.
fn secrets<'a>(key: Option<&'a Secret>, callback: Option<&'a Secret>) -> Vec<&'a str> {
    let mut secrets: Vec<&str> = key.into_iter().chain(callback).map(Secret::expose).collect();
    // The proof at an address's end is enough to misuse it.
    secrets.extend(callback.and_then(|url| url.expose().rsplit(['/', '.']).next()));
    secrets
}

const fn trouble_kind(error: &OutboundError) -> FailureKind {
    match error {
        OutboundError::TooLarge { .. } => FailureKind::BadAnswer,
        _ => FailureKind::Transient,
    }
}

#[async_trait]
impl MidjourneyClient for MidjourneyProxy {
    fn upstream(&self) -> &'static str {
        "midjourney-proxy"
    }

    fn capabilities(&self) -> Capabilities {
        let dialect = self.options.dialect;
        Capabilities {
            // "Idempotency key: not found in any line."
            idempotent_submit: false,
            // new-api takes no list request of its own.
            reconcile: dialect != Dialect::NewApi,
            cancel: !matches!(dialect, Dialect::Java | Dialect::NewApi),
            callbacks: true,
            simulated: false,
        }
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        actions::plan(self.options.dialect, request, parent).map(|_| ())
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let plan = actions::plan(
            self.options.dialect,
            &submission.request,
            submission.parent.as_ref(),
        )
        .map_err(ClientError::refused)?;
        let (route, body) = Self::body(submission, plan);
        let body = body.map_err(|error| {
            let failure = Failure::new(
                FailureKind::InvalidPrompt,
                "the request cannot be written as JSON",
            );
            ClientError::refused(failure).with_source(error)
        })?;
        let key = self.key().await?;
        let request = OutboundRequest::post(self.url(&["submit", route]), body);
        let request = self.authorised(request, key.as_ref());
        match self
            .outbound
            .send(request.within(self.options.submit_timeout))
            .await
        {
            Ok(answer) => {
                let secrets = secrets(key.as_ref(), submission.callback_url.as_ref());
                classify::submitted(&self.reply(&answer, &secrets))
            }
            Err(error) if error.may_have_arrived() => {
                let message = "the upstream's answer to the submit was lost";
                let failure = Failure::new(trouble_kind(&error), message).with_spent(Spent::Maybe);
                Err(ClientError::lost(failure).with_source(error))
            }
            Err(error @ OutboundError::Connect(_)) => {
                let failure = Failure::new(FailureKind::Transient, "the upstream cannot be reached");
                Err(ClientError::not_now(failure, None).with_source(error))
            }
            Err(error) => {
                let message = "the request to the upstream cannot be made as configured";
                Err(
                    ClientError::refused(Failure::new(FailureKind::AccountBlocked, message))
                        .with_source(error),
                )
            }
        }
    }

    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError> {
        let (answer, key) = match self.ask(OutboundRequest::get(self.url(&["task", "list"]))).await {
            Err(ClientError {
                failure:
                    Failure {
                        kind: FailureKind::BadAnswer,
                        ..
                    },
                ..
            }) => return Ok(Reconciliation::Unknown),
            other => other?,
        };
        let secrets = secrets(key.as_ref(), submission.callback_url.as_ref());
        let reply = self.reply(&answer, &secrets);
        match answer.status {
            200..=299 => {}
            401 | 403 | 429 | 500..=599 => {
                return Err(classify::trouble(
                    FailureKind::Transient,
                    "the upstream does not list its tasks at the moment",
                    &reply,
                ));
            }
            _ => return Ok(Reconciliation::Unknown),
        }
        let found = wire::find_marked(&answer.body, submission.nonce.as_str());
        let found = found.and_then(|id| classify::task_id(&id));
        // Never `Absent`: a list may be cut, cached, or lack a task that is still being taken in.
        Ok(found.map_or(Reconciliation::Unknown, Reconciliation::Found))
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if classify::task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let request = OutboundRequest::get(self.url(&["task", id.as_str(), "fetch"]));
        let (answer, key) = self.ask(request).await?;
        let secrets = secrets(key.as_ref(), None);
        classify::fetched(&self.reply(&answer, &secrets), id)
    }

    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError> {
        let unsupported = || ClientError::unsupported("this upstream cannot cancel a task");
        if !self.capabilities().cancel {
            return Err(unsupported());
        }
        if classify::task_id(id.as_str()).is_none() {
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
            404 | 405 => Err(unsupported().with_source(self.reply(&answer, &secrets).said())),
            _ => Err(classify::trouble(
                FailureKind::Transient,
                "the upstream did not cancel the task",
                &self.reply(&answer, &secrets),
            )),
        }
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        let unavailable = |message: &str| Failure::new(FailureKind::ImageUnavailable, message);
        let download = self
            .outbound
            .download(&image.url)
            .await
            .map_err(|error| match error {
                OutboundError::Refused(_) | OutboundError::TooManyRedirects | OutboundError::Setup(_) => {
                    ClientError::refused(unavailable("the picture's address may not be called"))
                        .with_source(error)
                }
                _ => ClientError::not_now(unavailable("the picture could not be fetched"), None)
                    .with_source(error),
            })?;
        match download.status {
            200 => Ok(download.body),
            408 | 425 | 429 | 500..=599 => Err(ClientError::not_now(
                unavailable("the picture's server is not able to give it at the moment"),
                None,
            )),
            // How servers of signed links answer once the signature is too old.
            401 | 403 | 404 | 410 => Err(ClientError::refused(Failure::new(
                FailureKind::ImageExpired,
                "the picture's link has died",
            ))),
            status => Err(ClientError::refused(unavailable(&format!(
                "the picture's server answered HTTP {status}"
            )))),
        }
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        let bad = |message: &str| ClientError::refused(Failure::new(FailureKind::BadAnswer, message));
        if body.len() > MAX_CALLBACK {
            return Err(bad("the callback is longer than 1 MiB"));
        }
        let Loose(task) = serde_json::from_slice::<Loose<Task>>(body)
            .map_err(|error| bad("the callback is not JSON").with_source(error))?;
        let id = classify::task_id(task.id.as_str()).ok_or_else(|| bad("the callback names no task"))?;
        let nonce = Some(task.state.as_str()).filter(|state| (1..=255).contains(&state.len()));
        Ok(Callback::new(
            id,
            nonce.map(str::to_owned),
            classify::status_of(&task, &[]),
        ))
    }
}
