//! Events as they are shown.

use serde::Serialize;

use super::FailureView;
use crate::{
    clock::Timestamp,
    id::JobId,
    job::{Event, Stage},
};

/// A committed change of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = JobEvent))]
#[non_exhaustive]
pub struct EventView {
    /// The job.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub job: JobId,
    /// 1 for the job's first event, then up by one without gaps.
    pub sequence: u64,
    /// Its place among the events of all jobs; what `after` of `/events` and `/ws` takes.
    pub position: u64,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// What: the name of the event.
    #[cfg_attr(feature = "openapi", schema(example = "job.progress"))]
    pub kind: &'static str,
    /// The job's status after it.
    pub status: &'static str,
    /// The job's stage after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// 0 to 100, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// Why, for a job that ended without pictures or waits to be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
}

impl EventView {
    /// The event as it is shown.
    pub fn of(event: &Event) -> Self {
        Self {
            job: event.job,
            sequence: event.sequence,
            position: event.position.get(),
            at: event.at,
            kind: event.kind.name(),
            status: event.status.name(),
            stage: event.stage.map(Stage::name),
            progress: event.progress,
            failure: event.failure.as_ref().map(FailureView::of),
        }
    }
}
