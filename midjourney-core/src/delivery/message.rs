//! What receivers are told.

use serde::Serialize;

use super::ACCOUNT_CONDITION;
use crate::{
    accounts::Notice,
    clock::Timestamp,
    id::{ImageId, JobId},
    job::Event,
    view::JobView,
};

/// The longest body, in bytes. Longer ones are sent without what strangers wrote; pictures are never in it.
pub const MAX_BODY: usize = 20_000;

/// The body of a webhook: what happened, when, and to what.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Message {
    /// What happened: `job.completed`, or the name of another event of a job; `account.condition`; `webhook.test` for one
    /// that was asked for.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(example = "job.completed"))]
    pub kind: &'static str,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub timestamp: Timestamp,
    /// What it happened to: a job as it was when the message was made, at that event or a little later; or an account.
    pub data: MessageData,
}

/// What a webhook is about.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct MessageData {
    /// The number of the event within its job, from 1, without gaps over all events of that job. Messages may arrive in
    /// any order: one with a lower number than was seen before is old. 0 where it is about no job.
    pub sequence: u64,
    /// The job. `job.sequence` may be higher than `sequence` where more has happened since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<JobView>>,
    /// Where the job's pictures can be fetched from, where this server has a public address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<ImageLink>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountNotice>,
}

/// An account that gets no new work for a reason that may last, or that works again.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AccountNotice {
    /// Its name.
    pub name: String,
    /// `down`, `exhausted`, `needs_person`, `blocked`; `ok` where it works again.
    #[cfg_attr(feature = "openapi", schema(example = "needs_person"))]
    pub condition: &'static str,
    /// Why it is so; absent where it works again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A link to a picture, which opens for three days without a credential.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ImageLink {
    /// The picture.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub image: ImageId,
    /// The link.
    pub url: String,
}

impl ImageLink {
    pub(crate) const fn new(image: ImageId, url: String) -> Self {
        Self { image, url }
    }
}

/// What remains of a message that is too long.
#[derive(Serialize)]
struct Slim<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Timestamp,
    data: SlimData<'a>,
}

#[derive(Serialize)]
struct SlimData<'a> {
    sequence: u64,
    job: SlimJob<'a>,
    links: &'a [ImageLink],
}

#[derive(Serialize)]
struct SlimJob<'a> {
    id: JobId,
    status: &'a str,
    truncated: bool,
}

impl Message {
    /// What `event` tells about `job`.
    pub(crate) fn of(event: &Event, job: JobView, links: Vec<ImageLink>) -> Self {
        Self {
            kind: event.kind.name(),
            timestamp: event.at,
            data: MessageData {
                sequence: event.sequence,
                job: Some(Box::new(job)),
                links,
                account: None,
            },
        }
    }

    /// What `notice` tells.
    pub(crate) fn about(notice: &Notice) -> Self {
        let mut message = Self::without_a_job(ACCOUNT_CONDITION, notice.at);
        message.data.account = Some(AccountNotice {
            name: notice.account.as_str().to_owned(),
            condition: notice.condition.name(),
            reason: notice.reason.clone(),
        });
        message
    }

    /// A message that only shows that messages arrive.
    pub(crate) const fn test(now: Timestamp) -> Self {
        Self::without_a_job("webhook.test", now)
    }

    const fn without_a_job(kind: &'static str, timestamp: Timestamp) -> Self {
        Self {
            kind,
            timestamp,
            data: MessageData {
                sequence: 0,
                job: None,
                links: Vec::new(),
                account: None,
            },
        }
    }

    /// Its JSON, of at most [`MAX_BODY`] bytes.
    ///
    /// **Errors:** none that this type can have; the writer's all the same.
    pub(crate) fn body(&self) -> serde_json::Result<String> {
        let whole = serde_json::to_string(self)?;
        let Some(job) = self.data.job.as_ref().filter(|_| whole.len() > MAX_BODY) else {
            return Ok(whole);
        };
        serde_json::to_string(&Slim {
            kind: self.kind,
            timestamp: self.timestamp,
            data: SlimData {
                sequence: self.data.sequence,
                job: SlimJob {
                    id: job.id,
                    status: job.status,
                    truncated: true,
                },
                links: &self.data.links,
            },
        })
    }
}
