//! Follows all jobs.

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    mem,
    sync::Arc,
};

use futures_core::Stream;
use futures_util::stream;

use crate::{
    error::Error,
    id::JobId,
    job::{Changes, Event, JobStore, Owner, Position},
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
}

/// The committed events of all jobs, in the order of their commits and without gaps. It has no end of its own.
///
/// Resumable: start again after the [`position`](WatchAll::position). Holds at most 64 events in memory, however slow
/// its reader is.
#[derive(Debug)]
pub struct WatchAll {
    jobs: Arc<dyn JobStore>,
    changes: Changes,
    filter: WatchFilter,
    told: Position,
    /// Where the last reading ended; what it has left to tell is in `read`.
    reached: Position,
    read: VecDeque<Event>,
}

impl WatchAll {
    pub(super) async fn start(
        jobs: Arc<dyn JobStore>,
        after: Option<Position>,
        filter: WatchFilter,
    ) -> Result<Self, Error> {
        // First the signal, then the reading: what is committed in between shows.
        let changes = jobs.changes();
        let after = match after {
            Some(after) => after,
            None => jobs.head().await?,
        };
        Ok(Self {
            jobs,
            changes,
            filter,
            told: after,
            reached: after,
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

    /// The next event; `None` only where the store will not say any more that it has changed.
    ///
    /// **Errors:** the store's; the watch can be asked again. **Cancel safety:** no event is lost.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.told = event.position;
                return Ok(Some(event));
            }
            self.changes.mark_unchanged();
            let events = self.jobs.events(self.reached, BATCH).await?;
            match events.last().map(|event| event.position) {
                Some(last) => {
                    self.read = self.wanted(events).await?;
                    self.told = mem::replace(&mut self.reached, last);
                }
                None if self.changes.changed().await.is_err() => return Ok(None),
                None => {}
            }
        }
    }

    async fn wanted(&self, mut events: Vec<Event>) -> Result<VecDeque<Event>, Error> {
        if let Some(jobs) = &self.filter.jobs {
            events.retain(|event| jobs.contains(&event.job));
        }
        let Some(owner) = &self.filter.owner else {
            return Ok(events.into());
        };
        // A job never changes hands, so each is looked up once.
        let mut theirs = HashMap::new();
        for event in &events {
            if let Entry::Vacant(entry) = theirs.entry(event.job) {
                let job = self.jobs.load(event.job).await?;
                entry.insert(job.is_some_and(|job| job.owner == *owner));
            }
        }
        events.retain(|event| theirs.get(&event.job).is_some_and(|theirs| *theirs));
        Ok(events.into())
    }

    /// The same as a stream, which ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, Error>> + Send {
        stream::try_unfold(self, |mut watch| async move {
            Ok(watch.next().await?.map(|event| (event, watch)))
        })
    }
}
