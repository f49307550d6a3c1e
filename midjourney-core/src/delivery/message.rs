//! What receivers are told.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{ImageId, JobId},
    job::Event,
    view::JobView,
};

/// The longest body, in bytes. Longer ones are sent without what strangers wrote; pictures are never in it.
pub const MAX_BODY: usize = 20_000;

/// The body of a webhook: what happened, when, and to which job.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Message {
    /// What happened: `job.completed`, or the name of another event; `webhook.test` for one that was asked for.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(example = "job.completed"))]
    pub kind: &'static str,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub timestamp: Timestamp,
    /// The job as it was when the message was made: at that event, or a little later.
    pub data: MessageData,
}

/// What a webhook is about.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct MessageData {
    /// The number of the event within its job, from 1, without gaps over all events of that job. Messages may arrive in
    /// any order: one with a lower number than was seen before is old.
    pub sequence: u64,
    /// The job. `job.sequence` may be higher than `sequence` where more has happened since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<JobView>>,
    /// Where the job's pictures can be fetched from, where this server has a public address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<ImageLink>,
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
            },
        }
    }

    /// A message that only shows that messages arrive.
    pub(crate) const fn test(now: Timestamp) -> Self {
        Self {
            kind: "webhook.test",
            timestamp: now,
            data: MessageData {
                sequence: 0,
                job: None,
                links: Vec::new(),
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
