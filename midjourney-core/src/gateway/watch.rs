//! Follows one job.

use std::{collections::VecDeque, sync::Arc};

use futures_core::Stream;
use futures_util::stream;

use super::hub::{Hub, Seat};
use crate::{
    error::Error,
    id::JobId,
    job::{Event, JobStore},
};

/// How many events are read at once.
const BATCH: usize = 64;

/// The committed events of one job, in order and without gaps, ending with the one that ends the job.
///
/// Resumable: start again after the last `sequence` seen. Holds at most 64 events in memory.
#[derive(Debug)]
pub struct Watch {
    jobs: Arc<dyn JobStore>,
    seat: Seat,
    job: JobId,
    after: u64,
    read: VecDeque<Event>,
    over: bool,
}

impl Watch {
    pub(super) async fn start(
        jobs: Arc<dyn JobStore>,
        hub: &Arc<Hub>,
        job: JobId,
        after: u64,
    ) -> Result<Self, Error> {
        // First the seat, then the reading: what is committed in between rings.
        let seat = hub.join(job).await?;
        Ok(Self {
            jobs,
            seat,
            job,
            after,
            read: VecDeque::new(),
            over: false,
        })
    }

    /// The next event; `None` once the job is over and all was told.
    ///
    /// **Errors:** the store's; the watch can be asked again. **Cancel safety:** no event is lost.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.sequence;
                self.over = event.status.is_final();
                return Ok(Some(event));
            }
            if self.over {
                return Ok(None);
            }
            self.read = self.jobs.history(self.job, self.after, BATCH).await?.into();
            if self.read.is_empty() {
                // Started behind the last event of a job that is over?
                let job = self.jobs.load(self.job).await?;
                if job.is_none_or(|job| job.status().is_final() && job.sequence <= self.after) {
                    self.over = true;
                    return Ok(None);
                }
                self.seat.rung().await;
            }
        }
    }

    /// The same as a stream, which ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, Error>> + Send {
        stream::try_unfold(self, |mut watch| async move {
            Ok(watch.next().await?.map(|event| (event, watch)))
        })
    }
}
