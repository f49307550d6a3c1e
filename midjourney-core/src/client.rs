//! Upstreams: the gateways that reach Midjourney, behind one trait.
//!
//! Each upstream is one module with its wire types private to it. All of them take the same [`Submission`] and give
//! the same [`RemoteStatus`]; what they cannot do is refused before anything is spent.

#[cfg(feature = "upstream-acedata")]
pub mod acedata;
#[cfg(feature = "upstream-apiframe")]
pub mod apiframe;
#[cfg(feature = "upstream-evolink")]
pub mod evolink;
#[cfg(feature = "http")]
#[cfg_attr(
    not(feature = "upstreams"),
    allow(
        dead_code,
        unused_imports,
        clippy::allow_attributes,
        reason = "each upstream uses its part; only a build with all of them can tell what nobody uses"
    )
)]
mod http;
#[cfg(feature = "upstream-legnext")]
pub mod legnext;
#[cfg(feature = "upstream-midjourney-proxy")]
pub mod midjourney_proxy;
#[cfg(feature = "upstream-midjourney-web")]
pub mod midjourney_web;
#[cfg(feature = "simulator")]
pub mod simulator;
#[cfg(feature = "upstream-ttapi")]
pub mod ttapi;
#[cfg(feature = "http")]
#[cfg_attr(
    not(feature = "upstreams"),
    allow(
        dead_code,
        unused_imports,
        clippy::allow_attributes,
        reason = "each upstream uses its part; only a build with all of them can tell what nobody uses"
    )
)]
mod verbs;
#[cfg(feature = "upstream-youchuan")]
pub mod youchuan;

#[cfg(feature = "http")]
pub use http::HttpOptions;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    error::{Applied, BoxError},
    id::JobId,
    image::{ByteStream, Image, ImageKind, MediaType},
    job::{
        Action, Capabilities, Failure, FailureKind, Job, JobRequest, JobState, Nonce, RemoteAction,
        RemoteImage, RemoteStatus, UpstreamId,
    },
    key::Secret,
    webhook::{Authenticity, Incoming},
};

/// The parent task of a follow-up, as the upstream knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentTask {
    /// The upstream's name for it.
    pub upstream: UpstreamId,
    /// What the upstream offered to do with it.
    pub actions: Vec<RemoteAction>,
    /// The canonical prompt it was drawn from.
    pub prompt: String,
    /// What it did.
    pub action: Action,
    /// What follow-ups name it by, where that is not the task's own id.
    pub handle: Option<String>,
    /// Where the upstream had the picture that the follow-up starts from. It may be gone by now.
    pub picture_url: Option<String>,
    /// Width and height of that picture in pixels, where it is known.
    pub picture_size: Option<(u32, u32)>,
}

impl ParentTask {
    /// The finished task `upstream`, an imagine.
    pub const fn new(upstream: UpstreamId, actions: Vec<RemoteAction>, prompt: String) -> Self {
        Self {
            upstream,
            actions,
            prompt,
            action: Action::Imagine,
            handle: None,
            picture_url: None,
            picture_size: None,
        }
    }

    /// The task behind picture `index` of `job`, whose pictures are `images`; `None` where it is not completed.
    pub fn of(job: &Job, images: &[Image], index: u8) -> Option<Self> {
        let JobState::Completed {
            upstream,
            actions,
            handle,
            ..
        } = &job.life.state
        else {
            return None;
        };
        // Where only the grid was given, it stands for each of its parts.
        let picture = images
            .iter()
            .find(|image| image.index == index)
            .or_else(|| images.iter().find(|image| image.kind == ImageKind::Grid));
        Some(Self {
            action: job.request.action,
            handle: handle.clone(),
            picture_url: picture.map(|image| image.source_url.clone()),
            // The grid's size says nothing of its parts, which have gaps between them at some upstreams.
            picture_size: picture
                .filter(|image| image.kind == ImageKind::Single)
                .and_then(|image| image.size),
            ..Self::new(upstream.clone(), actions.clone(), job.request.prompt.clone())
        })
    }

    /// The same task, which did `action`.
    pub const fn with_action(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    /// The same task, which follow-ups name so.
    pub fn with_handle(mut self, handle: Option<String>) -> Self {
        self.handle = handle;
        self
    }

    /// The same task, whose picture was there.
    pub fn with_picture_url(mut self, url: Option<String>) -> Self {
        self.picture_url = url;
        self
    }

    /// The same task, whose picture is of this size.
    pub const fn with_picture_size(mut self, size: Option<(u32, u32)>) -> Self {
        self.picture_size = size;
        self
    }

    /// What follow-ups name it by.
    pub fn name(&self) -> &str {
        self.handle.as_deref().unwrap_or(self.upstream.as_str())
    }
}

/// A picture that a submission brings along, in each form there is of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputPicture {
    /// Where the upstream can get it.
    pub url: Option<String>,
    /// Its bytes, checked to be a picture, and what kind of picture.
    pub file: Option<(Bytes, MediaType)>,
}

impl InputPicture {
    /// A picture on the web.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            file: None,
        }
    }

    /// A picture at hand.
    pub const fn of(bytes: Bytes, media_type: MediaType) -> Self {
        Self {
            url: None,
            file: Some((bytes, media_type)),
        }
    }

    /// The same picture, which is at `url` as well.
    pub fn with_url(mut self, url: Option<String>) -> Self {
        self.url = url;
        self
    }
}

/// All that an upstream needs to start a task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Submission {
    /// Our job.
    pub job: JobId,
    /// The mark to send along.
    pub nonce: Nonce,
    /// What is to be done.
    pub request: JobRequest,
    /// The task a follow-up starts from.
    pub parent: Option<ParentTask>,
    /// Where the upstream may call back, with a capability in the path. Treat as a secret.
    pub callback_url: Option<Secret>,
    /// The pictures of the request, in their order.
    pub images: Vec<InputPicture>,
    /// The mask of the request: white where something new is drawn, black elsewhere.
    pub mask: Option<InputPicture>,
}

impl Submission {
    /// Do `request` for `job` under the mark `nonce`.
    pub const fn new(job: JobId, nonce: Nonce, request: JobRequest) -> Self {
        Self {
            job,
            nonce,
            request,
            parent: None,
            callback_url: None,
            images: Vec::new(),
            mask: None,
        }
    }

    /// The same submission with its pictures and its mask.
    pub fn with_pictures(mut self, images: Vec<InputPicture>, mask: Option<InputPicture>) -> Self {
        self.images = images;
        self.mask = mask;
        self
    }

    /// The same submission with its parent task.
    pub fn with_parent(mut self, parent: Option<ParentTask>) -> Self {
        self.parent = parent;
        self
    }

    /// The same submission with an address to call back.
    pub fn with_callback(mut self, url: Option<Secret>) -> Self {
        self.callback_url = url;
        self
    }
}

/// What looking for a lost submit gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the engine must tell the three answers apart"
)]
pub enum Reconciliation {
    /// The upstream has it under this id.
    Found(UpstreamId),
    /// The upstream surely never got it.
    Absent,
    /// It cannot be told.
    Unknown,
}

/// Something an upstream sent on its own. A hint: only its word about *which* task has changed is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Callback {
    /// The task it is about.
    pub upstream: UpstreamId,
    /// Our mark, where the upstream echoed it.
    pub nonce: Option<String>,
    /// What it claims.
    pub status: RemoteStatus,
}

impl Callback {
    /// A claim that the task `upstream` is now `status`.
    pub const fn new(upstream: UpstreamId, nonce: Option<String>, status: RemoteStatus) -> Self {
        Self {
            upstream,
            nonce,
            status,
        }
    }
}

/// Why an upstream did not do what was asked.
#[derive(Debug)]
#[non_exhaustive]
pub struct ClientError {
    /// What went wrong, in the one error model; shown to users.
    pub failure: Failure,
    /// Whether the request may have taken effect all the same. `Maybe` on a submit means: never repeat it blindly.
    pub applied: Applied,
    /// Whether the same request may pass later.
    pub retry: bool,
    /// How long the upstream asked to wait.
    pub retry_after: Option<Duration>,
    /// The cause, for the log.
    pub source: Option<BoxError>,
}

impl ClientError {
    /// Refused for good; nothing happened.
    pub const fn refused(failure: Failure) -> Self {
        Self {
            failure,
            applied: Applied::No,
            retry: false,
            retry_after: None,
            source: None,
        }
    }

    /// Not now; nothing happened.
    pub const fn not_now(failure: Failure, retry_after: Option<Duration>) -> Self {
        Self {
            failure,
            applied: Applied::No,
            retry: true,
            retry_after,
            source: None,
        }
    }

    /// The answer was lost; it may have happened.
    pub const fn lost(failure: Failure) -> Self {
        Self {
            failure,
            applied: Applied::Maybe,
            retry: true,
            retry_after: None,
            source: None,
        }
    }

    /// The same error with its cause.
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// An action that this upstream does not have.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::refused(Failure::new(FailureKind::Unsupported, message))
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| -> &(dyn std::error::Error + 'static) { source })
    }
}

/// One upstream, with one account's credentials.
///
/// Every method is bounded in time by the implementation (60 s at most), reads a bounded answer, and never prints a
/// credential. A client repeats only requests that are free to repeat, at most twice; all other retries are the
/// engine's.
#[async_trait]
pub trait MidjourneyClient: fmt::Debug + Send + Sync + 'static {
    /// The upstream's name: `simulator`, `midjourney-proxy`.
    fn upstream(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether it has this action at all, in this variety. Which of them a finished task allows is the task's own word.
    fn supports(&self, action: Action) -> bool;

    /// Whether this submission could be sent, told without asking anybody: an action that the upstream lacks, or a
    /// button that the parent does not have, is refused here, before a job exists.
    ///
    /// **Errors:** the failure that the job would have ended in.
    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure>;

    /// Starts a task. This is the call that costs money.
    ///
    /// **Contract:** sends the request at most once. **Errors:** [`Applied::No`] only where the task surely was not
    /// started. **Cancel safety:** none; a dropped call may have started the task.
    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError>;

    /// Gives a window that the task opened what it waits for: the prompt and the mask of its submission. Starts what the
    /// task is for, so it counts like a submit. Called only where [`Capabilities::windows`] is set.
    ///
    /// **Contract:** sends the request at most once. **Errors:** [`Applied::No`] only where the window surely was not
    /// answered. **Cancel safety:** none.
    async fn confirm(&self, id: &UpstreamId, submission: &Submission) -> Result<(), ClientError> {
        let _ = (id, submission);
        Err(ClientError::unsupported("this upstream opens no windows"))
    }

    /// The seed of a finished task; `None` where it cannot be told. Called only where [`Capabilities::seed`] is set.
    ///
    /// **Cancel safety:** safe.
    async fn seed(&self, parent: &ParentTask) -> Result<Option<u32>, ClientError> {
        let _ = parent;
        Err(ClientError::unsupported("this upstream does not tell seeds"))
    }

    /// Looks for a submit whose answer was lost, by its mark. Called only where [`Capabilities::reconcile`] is set.
    ///
    /// **Cancel safety:** safe.
    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError>;

    /// How a task is doing. A status that is not known is told as running, so that a new word at the upstream does
    /// not fail jobs.
    ///
    /// **Cancel safety:** safe.
    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError>;

    /// Stops a task. `false` where it is over already.
    ///
    /// **Cancel safety:** the task may have been stopped.
    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError>;

    /// The bytes of a picture. The stream is bounded in time, not in length: the reader limits it.
    ///
    /// **Cancel safety:** safe.
    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError>;

    /// Whether a callback that came in is proved to be the upstream's. `address` is the whole address that it came to,
    /// where that is one which was made for a job. Pure; takes the same time wherever a proof is wrong. Unless a client
    /// knows better, its upstream signs nothing.
    fn authenticate(&self, _incoming: &Incoming, _address: Option<&Secret>) -> Authenticity {
        Authenticity::Unsigned
    }

    /// Reads what the upstream posted to a callback address. Pure; any bytes at all give an answer or an error.
    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError>;
}
