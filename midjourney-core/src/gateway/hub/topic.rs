//! The last events of one job, or of all, for those who follow it.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::SharedEvent;

/// What a follower hears.
#[derive(Clone, Debug)]
pub(in crate::gateway) enum Heard {
    /// The next event.
    Event(SharedEvent),
    /// There was more than is kept here, or the reader lost its place: the store knows.
    Gap,
}

/// Keeps what was told last, for all followers together. Each has a place in it and nothing else, so a slow one holds no
/// memory; what it was too slow for, it reads from the store.
#[derive(Debug)]
pub(super) struct Topic {
    recent: Mutex<Recent>,
    bell: Notify,
    keep: usize,
}

#[derive(Debug, Default)]
struct Recent {
    /// The number of the first one kept; numbers only rise, and mean nothing outside.
    first: u64,
    events: VecDeque<SharedEvent>,
}

impl Recent {
    fn end(&self) -> u64 {
        let kept = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        self.first.saturating_add(kept)
    }
}

impl Topic {
    pub(super) fn new(keep: usize) -> Self {
        Self {
            recent: Mutex::default(),
            bell: Notify::new(),
            keep,
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place behind everything.
    pub(super) fn end(&self) -> u64 {
        self.recent().end()
    }

    /// Adds `events`, and wakes all who wait.
    pub(super) fn tell(&self, events: &[SharedEvent]) {
        {
            let mut recent = self.recent();
            for event in events {
                if recent.events.len() >= self.keep {
                    recent.events.pop_front();
                    recent.first = recent.first.saturating_add(1);
                }
                recent.events.push_back(event.clone());
            }
        }
        self.bell.notify_waiters();
    }

    /// Sends everybody to the store.
    pub(super) fn lose(&self) {
        {
            let mut recent = self.recent();
            recent.first = recent.end().saturating_add(1);
            recent.events.clear();
        }
        self.bell.notify_waiters();
    }

    /// What is at `place`, which moves on.
    fn at(&self, place: &mut u64) -> Option<Heard> {
        let recent = self.recent();
        let Some(behind) = place.checked_sub(recent.first) else {
            *place = recent.first;
            return Some(Heard::Gap);
        };
        let event = recent.events.get(usize::try_from(behind).ok()?)?;
        *place = place.saturating_add(1);
        Some(Heard::Event(event.clone()))
    }

    /// What is at `place`, once there is something.
    ///
    /// **Cancel safety:** the place moves only with the answer.
    pub(super) async fn next(&self, place: &mut u64) -> Heard {
        loop {
            if let Some(heard) = self.at(place) {
                return heard;
            }
            let mut rung = pin!(self.bell.notified());
            // Before looking again, so that a bell after the look is heard.
            rung.as_mut().enable();
            if let Some(heard) = self.at(place) {
                return heard;
            }
            rung.await;
        }
    }
}
