//! Jobs: what is asked for, what can happen to it, and where it is kept.
//!
//! - [`action`]: what can be done, in one form for all upstreams.
//! - [`request`]: what a caller wants drawn, in canonical form, with its digest.
//! - [`state`]: where a job is, and the words that users see for it.
//! - [`input`]: what can happen to it.
//! - [`machine`]: the whole life of a job as one pure function, [`machine::step`].
//! - [`recovery`]: what finding an abandoned job means, also pure.
//! - [`policy`]: the limits and waits the two decide by.
//! - [`event`]: what watchers are told.
//! - [`purse`]: who pays for a job.
//! - [`retention`]: how long what is over is kept.
//! - [`commit`]: one change of one job.
//! - [`library`]: how pictures are found again.
//! - [`store`]: the [`JobStore`] trait and what passes through it.

pub mod action;
pub mod callback;
pub mod commit;
pub mod event;
pub mod failure;
pub mod input;
pub mod library;
pub mod machine;
pub mod policy;
pub mod purse;
pub mod recovery;
pub mod remote;
pub mod request;
pub mod retention;
pub mod state;
pub mod store;

pub use action::{Action, Direction, Motion, Need, Needs, Shape, Strength, UpscaleMode, Zoom};
pub use callback::{
    CALLBACKS_KEPT, CallbackQuery, CallbackRecord, CallbackTally, KNOWN_AGAIN, Meaning, PARKED_FOR,
    REPLAY_WINDOW, Verdict, heed,
};
pub use commit::{Commit, LeaseEnd, Transfer};
pub use event::{Event, EventKind, Position};
pub use failure::{Failure, FailureKind, Spent};
pub use input::{Input, Resolution};
pub use library::{ImageSearch, Shelf, Sought, Term};
pub use machine::{InvalidTransition, Moment, Transition, step};
pub use policy::{Backoff, Policy};
pub use purse::{Billing, Charge, Entry, Overdrawn, Purse};
pub use recovery::{Resume, resume};
pub use remote::{
    Capabilities, Nonce, PictureForm, RemoteAction, RemoteImage, RemoteResult, RemoteStatus, UpstreamId,
};
pub use request::{
    AccountName, Echo, IdempotencyKey, InputImage, JobRequest, Owner, ParentRef, RequestDigest,
};
pub use retention::{Removal, Retention};
pub use state::{JobState, Life, Phase, Stage, Status, UnknownStatus};
pub use store::{
    Changes, Claim, Claimed, Counts, ImageQuery, Insertion, Job, JobQuery, JobStore, JobStoreExt,
    LONGEST_WAIT, Lease, Live, NewJob, NewJobs, Share, StoreError, is_due, wakes_at,
};

#[cfg(test)]
mod tests;
