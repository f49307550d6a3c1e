//! Follows one job.

use std::{collections::VecDeque, sync::Arc};

use futures_core::Stream;
use futures_util::stream;

use super::hub::{Heard, Hub, Seat, SharedEvent, Wanted};
use crate::{
    error::Error,
    id::JobId,
    job::{Event, JobStore},
};

/// How many events are read at once.
const BATCH: usize = 64;

/// The committed events of one job, in order and without gaps, ending with the one that ends the job.
///
/// Resumable: start again after the last `sequence` seen. Holds at most 64 events in memory, however slow its reader is.
#[derive(Debug)]
pub struct Watch {
    jobs: Arc<dyn JobStore>,
    seat: Seat,
    job: JobId,
    after: u64,
    /// Whether the store may know more than was read.
    behind: bool,
    read: VecDeque<Event>,
    over: bool,
}

impl Watch {
    pub(super) fn start(jobs: Arc<dyn JobStore>, hub: &Arc<Hub>, job: JobId, after: u64) -> Self {
        Self {
            jobs,
            // Before the first reading: what is committed in between is told here.
            seat: hub.join(Wanted::Job(job)),
            job,
            after,
            behind: true,
            read: VecDeque::new(),
            over: false,
        }
    }

    /// The next event; `None` once the job is over and all was told.
    ///
    /// **Errors:** the store's; the watch can be asked again. **Cancel safety:** no event is lost.
    pub async fn next(&mut self) -> Result<Option<SharedEvent>, Error> {
        while !self.over {
            if let Some(event) = self.read.pop_front() {
                return Ok(Some(self.tell(SharedEvent::new(event))));
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            match self.seat.next().await {
                Heard::Event(event) if event.sequence <= self.after => {}
                Heard::Event(event) if event.sequence == self.after.saturating_add(1) => {
                    return Ok(Some(self.tell(event)));
                }
                Heard::Event(_) | Heard::Gap => self.behind = true,
            }
        }
        Ok(None)
    }

    fn tell(&mut self, event: SharedEvent) -> SharedEvent {
        self.after = event.sequence;
        self.over = event.status.is_final();
        event
    }

    async fn catch_up(&mut self) -> Result<(), Error> {
        let events = self.jobs.history(self.job, self.after, BATCH).await?;
        if events.is_empty() {
            // Started behind the last event of a job that is over?
            let job = self.jobs.load(self.job).await?;
            self.over = job.is_none_or(|job| job.status().is_final() && job.sequence <= self.after);
        }
        self.behind = events.len() == BATCH;
        self.read = events.into();
        Ok(())
    }

    /// The same as a stream, which ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<SharedEvent, Error>> + Send {
        stream::try_unfold(self, |mut watch| async move {
            Ok(watch.next().await?.map(|event| (event, watch)))
        })
    }
}
