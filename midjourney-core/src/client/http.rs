//! What the modules of HTTP upstreams share: the key, the calls, reading strangers' JSON, pictures.
//!
//! A module of an upstream adds what is its own: routes and bodies, the table of what answers mean, and nothing else.

pub(super) mod films;
mod form;
mod loose;
pub(super) mod named;
pub(super) mod packed;
mod reply;

use std::{fmt, sync::Arc, time::Duration};

use url::Url;

pub(super) use self::form::Form;
pub(super) use self::{
    loose::{List, Loose, Text},
    reply::{Reply, by_status, garbled, mask, task_id, trouble, web_link},
};
use crate::{
    client::{ClientError, Submission},
    clock::Clock,
    image::ByteStream,
    job::{Failure, FailureKind, RemoteImage, Spent},
    key::{KeyError, KeyName, KeyProvider, Secret},
    net::{Answer, Download, Outbound, OutboundError, OutboundRequest},
};

/// How to reach one account at one upstream.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Where the upstream is. May be private: the operator wrote it.
    pub base_url: Url,
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

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The origin only: what else is in the address may be somebody's password.
        f.debug_struct("HttpOptions")
            .field("origin", &self.base_url.origin().ascii_serialization())
            .field("key", &self.key)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl HttpOptions {
    /// The upstream at `base_url`.
    pub fn new(
        base_url: Url,
        key: KeyName,
        keys: Arc<dyn KeyProvider>,
        clock: Arc<dyn Clock>,
        outbound: Outbound,
    ) -> Self {
        Self {
            base_url,
            key,
            keys,
            clock,
            outbound,
            timeout: Duration::from_secs(30),
            submit_timeout: Duration::from_secs(30),
        }
    }

    /// The same upstream, with this long for each call, submits included.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.submit_timeout = timeout;
        self
    }

    /// The same upstream, with this long for each submit.
    pub const fn with_submit_timeout(mut self, timeout: Duration) -> Self {
        self.submit_timeout = timeout;
        self
    }
}

/// Makes the calls of one account.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    options: HttpOptions,
    outbound: Outbound,
}

impl Caller {
    pub(super) fn new(options: HttpOptions) -> Self {
        let outbound = options.outbound.trusting(&options.base_url);
        Self { options, outbound }
    }

    /// The configured address with `route` behind its path, without query and fragment.
    pub(super) fn url(&self, route: &[&str]) -> Url {
        let mut url = self.base_url().clone();
        url.set_query(None);
        url.set_fragment(None);
        // Only URLs that cannot be a base (`data:`) have no path; those are refused when they are called.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(route);
        }
        url
    }

    pub(super) const fn base_url(&self) -> &Url {
        &self.options.base_url
    }

    /// The key; `None` where there is none and `open` says that the upstream may do without.
    pub(super) async fn key(&self, open: bool) -> Result<Option<Secret>, ClientError> {
        let now = self.options.clock.now();
        match self.options.keys.current(&self.options.key, now).await {
            Ok(key) => Ok(Some(key.secret)),
            Err(KeyError::Missing { .. }) if open => Ok(None),
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

    /// Asks something that is free to ask again. The key is in `request` already.
    pub(super) async fn ask(&self, request: OutboundRequest) -> Result<Answer, ClientError> {
        let answer = self.outbound.send(request.within(self.options.timeout)).await;
        answer.map_err(|error| {
            let failure = Failure::new(trouble_kind(&error), "the upstream did not answer");
            ClientError::not_now(failure, None).with_source(error)
        })
    }

    /// Sends what may cost money, once. An error that leaves open whether it arrived says so.
    pub(super) async fn submit(&self, request: OutboundRequest) -> Result<Answer, ClientError> {
        match self
            .outbound
            .send(request.within(self.options.submit_timeout))
            .await
        {
            Ok(answer) => Ok(answer),
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

    /// The answer, ready to be judged without showing `secrets`.
    pub(super) fn reply<'a>(&self, answer: &'a Answer, secrets: &'a [&'a str]) -> Reply<'a> {
        Reply {
            status: answer.status,
            body: &answer.body,
            retry_after: answer.header("retry-after"),
            now: self.options.clock.now(),
            secrets,
        }
    }

    /// The bytes of a picture, asked for without credentials.
    pub(super) async fn picture(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        Self::given(self.download(image).await?)
    }

    /// The bytes of a picture, where the answer gives them.
    pub(super) fn given(download: Download) -> Result<ByteStream, ClientError> {
        let unavailable = |message: &str| Failure::new(FailureKind::ImageUnavailable, message);
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

    /// The bytes of a picture whose link came with a request. No operator wrote it, so it may not lead to an upstream that
    /// is private.
    pub(super) async fn brought(&self, url: &str) -> Result<ByteStream, ClientError> {
        Self::given(get(&self.options.outbound, url).await?)
    }

    /// What a picture's server answers, whatever it is.
    pub(super) async fn download(&self, image: &RemoteImage) -> Result<Download, ClientError> {
        get(&self.outbound, &image.url).await
    }
}

async fn get(outbound: &Outbound, url: &str) -> Result<Download, ClientError> {
    let unavailable = |message: &str| Failure::new(FailureKind::ImageUnavailable, message);
    outbound.download(url).await.map_err(|error| match error {
        OutboundError::Refused(_) | OutboundError::TooManyRedirects | OutboundError::Setup(_) => {
            ClientError::refused(unavailable("the picture's address may not be called")).with_source(error)
        }
        _ => ClientError::not_now(unavailable("the picture could not be fetched"), None).with_source(error),
    })
}

/// A body as JSON. Plain texts and numbers cannot fail to be written.
pub(super) fn json(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// The secrets of one exchange, to be masked in whatever comes back.
pub(super) fn secrets<'a>(key: Option<&'a Secret>, submission: Option<&'a Submission>) -> Vec<&'a str> {
    let callback = submission.and_then(|submission| submission.callback_url.as_ref());
    let mut secrets: Vec<&str> = key.into_iter().chain(callback).map(Secret::expose).collect();
    // The proof at an address's end is enough to misuse it.
    secrets.extend(callback.and_then(|url| url.expose().rsplit(['/', '.']).next()));
    secrets
}

const fn trouble_kind(error: &OutboundError) -> FailureKind {
    match error {
        OutboundError::TooLarge { .. } => FailureKind::BadAnswer,
        OutboundError::TimedOut => FailureKind::TimedOut,
        _ => FailureKind::Transient,
    }
}
