//! Midjourney's own web interface, through the session of a person who is signed in there.
//!
//! **Against the service's terms.** Midjourney's terms forbid automated access, and people report that accounts used so
//! were blocked. Nothing here is a published contract: it is what other people's clients do, any of it may change any
//! day, and none of it was checked against live traffic. The module exists only where the feature
//! `upstream-midjourney-web` was chosen, which no other feature brings along.
//!
//! The session is a pair of tokens. The first lasts about an hour; renewing it replaces the second as well, so the new
//! pair is written to the vault before anything else happens, and one lock keeps two renewals apart. The lock belongs to
//! a client and its copies: make one client for each account.
//!
//! Cloudflare stands before the service and may refuse any program that is no browser. That is told as
//! [`FailureKind::NeedsPerson`], once, and never worked around: no other client is imitated, no check is answered, and
//! the call says who makes it.
//!
//! There is no idempotency key and no field that is echoed, so a submit whose answer is lost cannot be found again. No
//! route that cancels a job is known.

mod actions;
mod classify;
mod options;
mod pair;
mod session;
mod wire;

use async_trait::async_trait;
use url::Url;

pub use self::options::{CountFrom, PanNumbers, WebOptions};
use self::{
    actions::Plan,
    pair::Pair,
    session::Session,
    wire::{AuthUser, Describe, JobStatus, Login, Submit, Uploaded},
};
#[cfg(feature = "testing")]
use super::http::Reply;
use super::http::{Caller, Form, json, packed, secrets, task_id};
use crate::{
    client::{Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    image::{ByteStream, MediaType},
    job::{Action, Capabilities, Failure, FailureKind, JobRequest, RemoteImage, RemoteStatus, UpstreamId},
    key::Secret,
    net::{Answer, OutboundRequest},
};

/// Where the service is.
pub const DEFAULT_BASE_URL: &str = "https://www.midjourney.com";

/// Where its pictures are.
pub const DEFAULT_CDN_URL: &str = "https://cdn.midjourney.com";

/// Where tokens are renewed: Google's secure-token service.
pub const DEFAULT_TOKEN_URL: &str = "https://securetoken.googleapis.com/v1/token";

/// The upstream `midjourney-web`. Its key is `id token|refresh token`, or the refresh token alone. Copies share the
/// session and its lock.
#[derive(Clone, Debug)]
pub struct MidjourneyWeb {
    caller: Caller,
    session: Session,
    options: WebOptions,
}

impl MidjourneyWeb {
    /// A client for the session that `options` name.
    pub fn new(options: WebOptions) -> Self {
        Self {
            caller: Caller::new(options.http.clone()),
            session: Session::new(&options),
            options,
        }
    }

    /// Dresses a request as the service's own pages send it.
    fn dressed(&self, request: OutboundRequest, pair: &Pair) -> OutboundRequest {
        let origin = self.caller.base_url().origin().ascii_serialization();
        request
            .with_header("cookie", pair.cookie())
            .with_header("x-csrf-protection", Secret::new("1"))
            .with_header("referer", Secret::new(format!("{origin}/")))
            .with_header("origin", Secret::new(origin))
    }

    fn api(&self, route: &str) -> Url {
        self.caller.url(&["api", route])
    }

    /// Asks something that is free to ask again.
    async fn ask(&self, request: OutboundRequest, pair: &Pair) -> Result<Answer, ClientError> {
        let answer = self.caller.ask(self.dressed(request, pair)).await?;
        self.admitted(answer, pair).await
    }

    /// The answer, unless somebody stood in the way: then nothing was worked on.
    async fn admitted(&self, answer: Answer, pair: &Pair) -> Result<Answer, ClientError> {
        let challenged = answer.header("cf-mitigated").is_some();
        let secrets = pair.secrets();
        let reply = self.caller.reply(&answer, &secrets);
        if challenged {
            return Err(classify::barred(&reply));
        }
        if answer.status == 401 && self.session.doubt(pair).await {
            let message = "the session was not accepted and will be renewed";
            let failure = Failure::new(FailureKind::Transient, message);
            return Err(ClientError::not_now(failure, None).with_source(reply.said()));
        }
        Ok(answer)
    }

    /// Who is signed in. Telling the service about renewed tokens gives it.
    async fn user(&self, pair: &Pair) -> Result<String, ClientError> {
        if let Some(user) = self.session.user(pair).await {
            return Ok(user);
        }
        let body = json(&Login::of(pair));
        let answer = self
            .ask(OutboundRequest::post(self.api("firebase-login"), body), pair)
            .await?;
        let secrets = pair.secrets();
        let reply = self.caller.reply(&answer, &secrets);
        let user: AuthUser = classify::asked(&reply)?;
        let user = user.id().ok_or_else(|| classify::unreadable(&reply))?;
        self.session.remember(pair, user.clone()).await;
        Ok(user)
    }

    /// The links of what came along: uploads are handed to the service first, which is free.
    async fn links(&self, submission: &Submission, pair: &Pair) -> Result<Vec<String>, ClientError> {
        let mut links = Vec::new();
        for (number, picture) in submission.images.iter().enumerate() {
            links.push(match (&picture.file, &picture.url) {
                // A link of ours would stand in a prompt that others can read.
                (Some((bytes, kind)), _) => {
                    let boundary = format!("{}{number}", submission.nonce.as_str());
                    self.upload(&boundary, bytes, *kind, pair).await?
                }
                (None, Some(url)) => url.clone(),
                (None, None) => {
                    return Err(ClientError::unsupported("a picture is neither a file nor a link"));
                }
            });
        }
        Ok(links)
    }

    async fn upload(
        &self,
        boundary: &str,
        bytes: &[u8],
        kind: MediaType,
        pair: &Pair,
    ) -> Result<String, ClientError> {
        let name = format!("image.{}", kind.extension());
        let form = Form::new(boundary).file("file", &name, kind.mime(), bytes);
        let (content_type, body) = form.finish();
        let request = OutboundRequest::post(self.api("storage-upload-file"), body);
        let answer = self.ask(request.with_content_type(content_type), pair).await?;
        let secrets = pair.secrets();
        let reply = self.caller.reply(&answer, &secrets);
        let uploaded: Uploaded = classify::asked(&reply)?;
        let path = uploaded.path().ok_or_else(|| classify::unreadable(&reply))?;
        Ok(format!("{}/u/{path}", self.options.cdn()))
    }

    /// The request that a plan is carried out with.
    async fn prepared(
        &self,
        submission: &Submission,
        plan: Plan<'_>,
        pair: &Pair,
    ) -> Result<OutboundRequest, ClientError> {
        let what = match plan {
            Plan::Describe { picture } => {
                let brought = self.links(submission, pair).await?.into_iter().next();
                let image_url = brought
                    .or_else(|| picture.map(str::to_owned))
                    .ok_or_else(|| ClientError::unsupported("there is no picture to describe"))?;
                let body = json(&Describe { image_url });
                return Ok(OutboundRequest::post(self.api("describe"), body));
            }
            Plan::Imagine { prompt } => {
                let mut words = self.links(submission, pair).await?;
                words.push(prompt);
                wire::What::Imagine {
                    prompt: words.join(" "),
                }
            }
            Plan::Animate { prompt } => {
                let mut words = self.links(submission, pair).await?;
                if words.is_empty() {
                    return Err(ClientError::unsupported("there is no picture to animate"));
                }
                words.push(prompt);
                wire::What::Video {
                    video_type: "vid_1.1_i2v_480",
                    new_prompt: words.join(" "),
                    parent_job: None,
                    animate_mode: "manual",
                }
            }
            Plan::FollowUp(what) => what,
        };
        let user = self.user(pair).await?;
        let mode = actions::mode(&submission.request);
        let images = submission.images.len();
        let body = json(&Submit::new(what, &user, mode, self.options.private, images));
        Ok(OutboundRequest::post(self.api("submit-jobs"), body))
    }
}

/// What an answer with this status would mean to a submit, and to asking for the job `id`: for fuzzers.
#[cfg(feature = "testing")]
pub fn judge(
    status: u16,
    body: &[u8],
    id: &UpstreamId,
) -> (Result<UpstreamId, ClientError>, Result<RemoteStatus, ClientError>) {
    let reply = Reply::bare(status, body);
    (
        classify::submitted(&reply),
        classify::fetched(&reply, id, DEFAULT_CDN_URL),
    )
}

#[async_trait]
impl MidjourneyClient for MidjourneyWeb {
    fn upstream(&self) -> &'static str {
        "midjourney-web"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn supports(&self, action: Action) -> bool {
        actions::supports(action)
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        actions::plan(&self.options, request, parent).map(|_| ())
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let plan = actions::plan(&self.options, &submission.request, submission.parent.as_ref())
            .map_err(ClientError::refused)?;
        let pair = self.session.pair().await?;
        let request = self.prepared(submission, plan, &pair).await?;
        let answer = self.caller.submit(self.dressed(request, &pair)).await?;
        let answer = self.admitted(answer, &pair).await?;
        let mut hidden = secrets(None, Some(submission));
        hidden.extend(pair.secrets());
        classify::submitted(&self.caller.reply(&answer, &hidden))
    }

    async fn reconcile(&self, _submission: &Submission) -> Result<Reconciliation, ClientError> {
        // Jobs can be listed, but nothing in them is known to be ours.
        Ok(Reconciliation::Unknown)
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        if let Some(result) = packed::read(id) {
            return Ok(RemoteStatus::Succeeded(result));
        }
        if task_id(id.as_str()).is_none() {
            return Ok(RemoteStatus::Missing);
        }
        let pair = self.session.pair().await?;
        let body = json(&JobStatus {
            job_ids: [id.as_str()],
        });
        let answer = self
            .ask(OutboundRequest::post(self.api("job-status"), body), &pair)
            .await?;
        let secrets = pair.secrets();
        classify::fetched(&self.caller.reply(&answer, &secrets), id, &self.options.cdn())
    }

    async fn cancel(&self, _id: &UpstreamId) -> Result<bool, ClientError> {
        Err(ClientError::unsupported("this upstream cannot cancel a task"))
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        let download = self.caller.download(image).await?;
        // Links here carry no signature that could be too old: Cloudflare stands before the pictures too.
        if download.status == 403 {
            let failure = Failure::new(FailureKind::NeedsPerson, classify::BARRED);
            return Err(ClientError::not_now(failure, None));
        }
        Caller::given(download)
    }

    fn parse_callback(&self, _body: &[u8]) -> Result<Callback, ClientError> {
        Err(ClientError::unsupported("this upstream does not call back"))
    }
}
