//! The JSON forms on disk. Each stands in an envelope that names its version, `{"v":1,"data":...}`, so that a later
//! release can change a form and still read what this one wrote.

use midjourney_core::{
    error::BoxError,
    job::{Event, EventKind, Failure, Life, Stage, Status},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version that this release writes; it reads no other.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    data: T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// `data` as it is stored.
pub(crate) fn write<T: Serialize>(data: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Envelope { v: VERSION, data })
}

/// What [`write`] wrote.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, BoxError> {
    match serde_json::from_str::<Envelope<T>>(text) {
        Ok(Envelope { v: VERSION, data }) => Ok(data),
        Ok(Envelope { v, .. }) => Err(unknown(v)),
        // A form of another version rarely parses as ours: say that rather than which field is missing.
        Err(error) => match serde_json::from_str::<Version>(text) {
            Ok(Version { v }) if v != VERSION => Err(unknown(v)),
            _ => Err(error.into()),
        },
    }
}

fn unknown(version: u32) -> BoxError {
    format!("its form has version {version}, this release knows version {VERSION}").into()
}

/// What an event says beyond the columns of its row.
#[derive(Serialize, Deserialize)]
pub(crate) struct EventBody {
    kind: EventKind,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

impl EventBody {
    /// What the event `kind` of a job whose life is now `life` says.
    pub(crate) fn of(kind: EventKind, life: &Life) -> Self {
        Self {
            kind,
            status: life.state.status(),
            stage: life.state.stage(),
            progress: life.state.progress(),
            failure: life.failure().cloned(),
        }
    }

    /// Which event.
    pub(crate) const fn kind(&self) -> EventKind {
        self.kind
    }

    /// Puts what was said into `event`.
    pub(crate) fn fill(self, event: &mut Event) {
        event.status = self.status;
        event.stage = self.stage;
        event.progress = self.progress;
        event.failure = self.failure;
    }
}

#[cfg(test)]
mod tests;
