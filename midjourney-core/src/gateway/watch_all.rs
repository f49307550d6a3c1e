//! Follows all jobs.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use futures_core::Stream;
use futures_util::stream;

use super::hub::{Heard, Hub, Seat, SharedEvent, Wanted};
use crate::{
    error::Error,
    id::JobId,
    job::{JobStore, Owner, Position, StoreError},
};

/// How many events are read at once.
const BATCH: usize = 64;

/// Which events are told. Default: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchFilter {
    /// Only those of these jobs, of which some may not be there yet.
    pub jobs: Option<BTreeSet<JobId>>,
    /// Only those of this owner's jobs.
    pub owner: Option<Owner>,
}

impl WatchFilter {
    /// The same, for these jobs alone.
    pub fn with_jobs(mut self, jobs: impl IntoIterator<Item = JobId>) -> Self {
        self.jobs = Some(jobs.into_iter().collect());
        self
    }

    /// The same, for this owner's jobs alone.
    pub fn with_owner(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    async fn passes(&self, event: &SharedEvent, jobs: &dyn JobStore) -> Result<bool, StoreError> {
        if self.jobs.as_ref().is_some_and(|jobs| !jobs.contains(&event.job)) {
            return Ok(false);
        }
        Ok(match &self.owner {
            Some(owner) => event.owner(jobs).await? == Some(owner),
            None => true,
        })
    }
}

/// The committed events of all jobs, in the order of their commits and without gaps. It has no end of its own.
///
/// Resumable: start again after the [`position`](WatchAll::position). Holds at most 64 events in memory, however slow
/// its reader is.
#[derive(Debug)]
pub struct WatchAll {
    jobs: Arc<dyn JobStore>,
    seat: Seat,
    filter: WatchFilter,
    told: Position,
    /// Up to where events were taken in; what is left to tell of them is in `read`.
    reached: Position,
    /// Whether the store may know more than was read.
    behind: bool,
    read: VecDeque<SharedEvent>,
}

impl WatchAll {
    pub(super) async fn start(
        jobs: Arc<dyn JobStore>,
        hub: &Arc<Hub>,
        after: Option<Position>,
        filter: WatchFilter,
    ) -> Result<Self, Error> {
        // Before the first reading: what is committed in between is told here.
        let wanted = filter.jobs.clone().map_or(Wanted::All, Wanted::Jobs);
        let seat = hub.join(wanted);
        let after = match after {
            Some(after) => after,
            None => jobs.head().await?,
        };
        Ok(Self {
            jobs,
            seat,
            filter,
            told: after,
            reached: after,
            behind: true,
            read: VecDeque::new(),
        })
    }

    /// Where to go on from: everything up to there was told or filtered out.
    pub fn position(&self) -> Position {
        if self.read.is_empty() {
            self.reached
        } else {
            self.told
        }
    }

    /// The next event.
    ///
    /// **Errors:** the store's; the watch can be asked again. **Cancel safety:** no event is lost.
    pub async fn next(&mut self) -> Result<SharedEvent, Error> {
        loop {
            while let Some(event) = self.read.front() {
                let wanted = self.filter.passes(event, &*self.jobs).await?;
                // Not before it is known: whoever gives up meanwhile asks again.
                if let Some(event) = self.read.pop_front() {
                    self.told = event.position;
                    if wanted {
                        return Ok(event);
                    }
                }
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            match self.seat.next().await {
                Heard::Event(event) if event.position <= self.reached => {}
                Heard::Event(event) => {
                    self.reached = event.position;
                    self.read.push_back(event);
                }
                Heard::Gap => self.behind = true,
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), Error> {
        let events = self.jobs.events(self.reached, BATCH).await?;
        self.behind = events.len() == BATCH;
        self.reached = events.last().map_or(self.reached, |event| event.position);
        self.read = events.into_iter().map(SharedEvent::new).collect();
        Ok(())
    }

    /// The same as a stream, which ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<SharedEvent, Error>> + Send {
        stream::unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok(event) => Some((Ok(event), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}
