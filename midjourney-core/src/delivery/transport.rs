//! How messages reach their receivers.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::record::Outcome;
use crate::{clock::Timestamp, id::DeliveryId, key::Secret};

/// How long a receiver has to answer.
pub const ANSWER_TIME: Duration = Duration::from_secs(15);

/// A message, ready to be posted.
#[derive(Clone)]
#[non_exhaustive]
pub struct Post {
    /// Where to. May hold a token.
    pub url: Secret,
    /// The header `webhook-id`.
    pub id: DeliveryId,
    /// The header `webhook-timestamp`: when this try was signed; to be sent in whole seconds.
    pub at: Timestamp,
    /// The header `webhook-signature`.
    pub signature: Secret,
    /// The body: JSON.
    pub body: String,
}

impl Post {
    pub(crate) const fn new(
        url: Secret,
        id: DeliveryId,
        at: Timestamp,
        signature: Secret,
        body: String,
    ) -> Self {
        Self {
            url,
            id,
            at,
            signature,
            body,
        }
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post")
            .field("id", &self.id)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Posts messages. [`Outbound`](crate::net::Outbound) is one (feature `http`).
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Whether `url` may be posted to, as far as it tells by itself.
    ///
    /// **Errors:** why not, and the mend.
    fn allows(&self, url: &str) -> Result<(), String>;

    /// Posts once. Follows no redirect, takes no longer than [`ANSWER_TIME`], and reads no body: an answer is a status.
    ///
    /// **Cancel safety:** the message may have arrived.
    async fn post(&self, post: Post) -> Outcome;
}

#[cfg(feature = "http")]
mod http {
    use async_trait::async_trait;
    use url::Url;

    use super::{ANSWER_TIME, Post, Transport};
    use crate::{
        delivery::{LONGEST_PAUSE, Outcome},
        key::Secret,
        net::{BlockedAddress, Outbound, OutboundError, OutboundRequest, retry_after},
    };

    #[async_trait]
    impl Transport for Outbound {
        fn allows(&self, url: &str) -> Result<(), String> {
            let mend = "give a public https address, or have outbound.allow_private set";
            let url = Url::parse(url).map_err(|_| format!("not a URL; {mend}"))?;
            Self::allows(self, &url).map_err(|refused| format!("{refused}; {mend}"))
        }

        async fn post(&self, post: Post) -> Outcome {
            let Ok(url) = Url::parse(post.url.expose()) else {
                return Outcome::Unanswered("the address is not a URL".to_owned());
            };
            let at = post.at.as_millis().div_euclid(1_000).to_string();
            let request = OutboundRequest::post(url, post.body)
                .with_header("webhook-id", Secret::new(post.id.to_string()))
                .with_header("webhook-timestamp", Secret::new(at))
                .with_header("webhook-signature", post.signature)
                .within(ANSWER_TIME)
                .for_status();
            match self.send(request).await {
                Ok(answer) => Outcome::Answered {
                    status: answer.status,
                    retry_after: answer
                        .header("retry-after")
                        .and_then(|text| retry_after(text, post.at, LONGEST_PAUSE)),
                },
                // One text for all that is inside: what is there is nobody's business.
                Err(error) if BlockedAddress::find(&error).is_some() => {
                    Outcome::Unanswered("the address leads to a private network".to_owned())
                }
                Err(OutboundError::Refused(refused)) => Outcome::Unanswered(refused.to_string()),
                Err(error) => Outcome::Unanswered(error.to_string()),
            }
        }
    }
}

#[cfg(all(test, feature = "http"))]
mod tests;
