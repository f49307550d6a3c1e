//! An event that many are told of.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use tokio::sync::OnceCell;

use crate::{
    job::{Event, JobStore, Owner, StoreError},
    view::EventView,
};

/// A committed event, shared by all who are told of it: read once, encoded once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedEvent(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    event: Event,
    json: OnceLock<String>,
    owner: OnceCell<Option<Owner>>,
}

impl SharedEvent {
    pub(in crate::gateway) fn new(event: Event) -> Self {
        Self(Arc::new(Shared {
            event,
            json: OnceLock::new(),
            owner: OnceCell::new(),
        }))
    }

    /// The event as it is shown, [`EventView`], in JSON.
    pub fn json(&self) -> &str {
        // Strings and numbers always serialise.
        let encode = || serde_json::to_string(&EventView::of(self)).unwrap_or_default();
        self.0.json.get_or_init(encode)
    }

    /// Whose job it tells of, where the job is still there. It never changes hands, so it is looked up once.
    pub(in crate::gateway) async fn owner(&self, jobs: &dyn JobStore) -> Result<Option<&Owner>, StoreError> {
        let load = async || Ok(jobs.load(self.job).await?.map(|job| job.owner));
        Ok(self.0.owner.get_or_try_init(load).await?.as_ref())
    }
}

impl PartialEq for SharedEvent {
    fn eq(&self, other: &Self) -> bool {
        self.0.event == other.0.event
    }
}

impl Deref for SharedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.0.event
    }
}
