//! Tells those who follow jobs what was committed.
//!
//! One task reads the store's events in order, for all followers. Each event is kept for a while, once, in the topic of
//! all jobs and in that of its own; a follower has a place in one of them. So ten thousand followers cost one reader, and
//! one event to all of them costs no reading at all.
//!
//! A follower takes its seat first and reads the store after that: what is committed later it hears from its seat.

mod shared;
mod topic;

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::AbortHandle;
use tracing::warn;

pub use self::shared::SharedEvent;
pub(super) use self::topic::Heard;
use self::topic::Topic;
use crate::{
    clock::Clock,
    error::Chain,
    id::JobId,
    job::{Changes, Event, JobStore, Position, StoreError},
};

/// How many events are read at once.
const BATCH: usize = 512;
/// How many events of all jobs are kept for followers that are behind.
const KEPT_OF_ALL: usize = 1_024;
/// The same of one job.
const KEPT_OF_JOB: usize = 32;
/// The wait after the store failed, and between two looks at one that does not say that it has changed.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Hub {
    jobs: Arc<dyn JobStore>,
    clock: Arc<dyn Clock>,
    room: Arc<Mutex<Room>>,
}

/// What is followed.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// All jobs.
    All,
    /// One job, as many others may.
    Job(JobId),
    /// These jobs.
    Jobs(BTreeSet<JobId>),
}

/// Who follows what.
#[derive(Debug)]
struct Room {
    all: Arc<Topic>,
    /// How many follow all jobs.
    listeners: usize,
    of_job: HashMap<JobId, Followers>,
    /// Runs while somebody follows: a gateway that nobody watches reads nothing.
    reader: Option<AbortHandle>,
}

/// The followers of one job.
#[derive(Debug, Default)]
struct Followers {
    /// Of those who follow nothing else, and how many they are.
    shared: Option<(Arc<Topic>, usize)>,
    /// One for each who follows others too: whoever follows a few must not be woken for all.
    own: Vec<Arc<Topic>>,
}

impl Followers {
    fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.shared.iter().map(|(topic, _)| topic).chain(&self.own)
    }

    fn leave(&mut self, leaving: &Arc<Topic>) {
        if let Some((topic, seats)) = &mut self.shared
            && Arc::ptr_eq(topic, leaving)
        {
            *seats = seats.saturating_sub(1);
            if *seats == 0 {
                self.shared = None;
            }
        }
        self.own.retain(|topic| !Arc::ptr_eq(topic, leaving));
    }
}

/// A follower's place; leaving is dropping it.
#[derive(Debug)]
pub(super) struct Seat {
    topic: Arc<Topic>,
    place: u64,
    wanted: Wanted,
    /// Keeps the reader alive: a follower may outlive the gateway it came from.
    hub: Arc<Hub>,
}

impl Seat {
    /// What is told next.
    ///
    /// **Cancel safety:** nothing is lost.
    pub(super) async fn next(&mut self) -> Heard {
        self.topic.next(&mut self.place).await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut room = lock(&self.hub.room);
        match &self.wanted {
            Wanted::All => room.listeners = room.listeners.saturating_sub(1),
            Wanted::Job(job) => room.leave(*job, &self.topic),
            Wanted::Jobs(jobs) => jobs.iter().for_each(|job| room.leave(*job, &self.topic)),
        }
    }
}

impl Hub {
    pub(super) fn new(jobs: Arc<dyn JobStore>, clock: Arc<dyn Clock>) -> Self {
        let room = Room {
            all: Arc::new(Topic::new(KEPT_OF_ALL)),
            listeners: 0,
            of_job: HashMap::new(),
            reader: None,
        };
        Self {
            jobs,
            clock,
            room: Arc::new(Mutex::new(room)),
        }
    }

    /// Takes a seat among those who follow what is `wanted`. What is committed after this returns is told there; what came
    /// before must be read.
    pub(super) fn join(self: &Arc<Self>, wanted: Wanted) -> Seat {
        let mut room = lock(&self.room);
        let topic = room.enter(&wanted);
        if room.reader.as_ref().is_none_or(AbortHandle::is_finished) {
            let reader = Reader {
                changes: self.jobs.changes(),
                jobs: Arc::clone(&self.jobs),
                clock: Arc::clone(&self.clock),
                room: Arc::clone(&self.room),
            };
            room.reader = Some(tokio::spawn(reader.run()).abort_handle());
        }
        Seat {
            place: topic.end(),
            topic,
            wanted,
            hub: Arc::clone(self),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(reader) = &lock(&self.room).reader {
            reader.abort();
        }
    }
}

impl Room {
    fn enter(&mut self, wanted: &Wanted) -> Arc<Topic> {
        match wanted {
            Wanted::All => {
                self.listeners = self.listeners.saturating_add(1);
                Arc::clone(&self.all)
            }
            Wanted::Job(job) => {
                let shared = &mut self.of_job.entry(*job).or_default().shared;
                let (topic, seats) = shared.get_or_insert_with(|| (Arc::new(Topic::new(KEPT_OF_JOB)), 0));
                *seats = seats.saturating_add(1);
                Arc::clone(topic)
            }
            Wanted::Jobs(jobs) => {
                let topic = Arc::new(Topic::new(KEPT_OF_JOB));
                for job in jobs {
                    self.of_job.entry(*job).or_default().own.push(Arc::clone(&topic));
                }
                topic
            }
        }
    }

    fn leave(&mut self, job: JobId, leaving: &Arc<Topic>) {
        if let Entry::Occupied(mut entry) = self.of_job.entry(job) {
            entry.get_mut().leave(leaving);
            if entry.get().topics().next().is_none() {
                entry.remove();
            }
        }
    }

    /// Tells `events`, one look at each job.
    fn tell(&self, events: Vec<Event>) {
        let events: Vec<_> = events.into_iter().map(SharedEvent::new).collect();
        if self.listeners > 0 {
            self.all.tell(&events);
        }
        for event in &events {
            let followers = self.of_job.get(&event.job);
            for topic in followers.into_iter().flat_map(Followers::topics) {
                topic.tell(std::slice::from_ref(event));
            }
        }
    }

    fn lose(&self) {
        self.all.lose();
        let followers = self.of_job.values();
        followers
            .flat_map(Followers::topics)
            .for_each(|topic| topic.lose());
    }

    fn is_empty(&self) -> bool {
        self.listeners == 0 && self.of_job.is_empty()
    }
}

struct Reader {
    jobs: Arc<dyn JobStore>,
    clock: Arc<dyn Clock>,
    room: Arc<Mutex<Room>>,
    changes: Changes,
}

impl Reader {
    /// Reads until nobody follows any more.
    async fn run(mut self) {
        loop {
            match self.follow().await {
                Ok(()) => return,
                Err(error) => warn!(error = %Chain(&error), "events could not be read; trying again"),
            }
            self.pause().await;
        }
    }

    /// Follows the store from where it is now. Ends with an error where one event cannot be read: it must not silence the
    /// others for good.
    async fn follow(&mut self) -> Result<(), StoreError> {
        self.changes.mark_unchanged();
        let mut after = self.jobs.head().await?;
        // What came before, everybody reads alone: some have taken their seats, and have read, a moment ago.
        lock(&self.room).lose();
        loop {
            let events = self.read(&mut after).await?;
            let more = events.len() == BATCH;
            lock(&self.room).tell(events);
            if more {
                continue;
            }
            if self.is_done() {
                return Ok(());
            }
            if self.changes.changed().await.is_err() {
                self.pause().await;
            }
        }
    }

    async fn read(&self, after: &mut Position) -> Result<Vec<Event>, StoreError> {
        let events = self.jobs.events(*after, BATCH).await?;
        *after = events.last().map_or(*after, |event| event.position);
        Ok(events)
    }

    /// Whether nobody is here any more; who comes now starts another reader.
    fn is_done(&self) -> bool {
        let mut room = lock(&self.room);
        if room.is_empty() {
            room.reader = None;
        }
        room.reader.is_none()
    }

    async fn pause(&self) {
        let due = self.clock.now().saturating_add(PAUSE);
        self.clock.sleep_until(due).await;
    }
}

fn lock(room: &Mutex<Room>) -> MutexGuard<'_, Room> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}
