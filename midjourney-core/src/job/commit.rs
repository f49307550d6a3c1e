//! One change of one job, as a store makes it.

use std::collections::BTreeSet;

use super::{
    callback::CallbackRecord,
    event::EventKind,
    library::{self, Term},
    machine::Transition,
    purse::{Billing, Charge, Entry},
    request::AccountName,
    state::{Life, Status},
    store::{Job, Lease},
};
use crate::{
    budget::{Budgets, Credits},
    clock::Timestamp,
    id::JobId,
    image::Image,
};

/// Whether a commit ends the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a lease is kept or it is not")]
pub enum LeaseEnd {
    /// The worker goes on with the job.
    Keep,
    /// Anybody may claim the job once it is due.
    Release,
}

/// A job's way to another account, and what becomes of its last charge: that is given back, and charged there anew.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an account and a price")]
pub struct Transfer {
    /// Where it goes.
    pub account: AccountName,
    /// What it costs there.
    pub cost: Credits,
}

/// One change of one job: its life, its event and its images, all or nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Commit {
    /// The job.
    pub job: JobId,
    /// The version the change was decided on.
    pub version: u64,
    /// The lease it was decided under; `None` for a caller who holds none, such as a request to cancel.
    pub lease: Option<(Lease, LeaseEnd)>,
    /// The new life.
    pub life: Life,
    /// What watchers are told.
    pub event: Option<EventKind>,
    /// How many jobs of the account may hold a slot when this one takes its own; `None` is any number.
    pub slots: Option<u32>,
    /// Another account that the job goes to; right only while it waits to be submitted.
    pub transfer: Option<Transfer>,
    /// What becomes of the job's last charge otherwise.
    pub billing: Billing,
    /// What its purses may spend: that of the account which it is on after this change, and that of its owner.
    pub budgets: Budgets,
    /// The callback that caused it, which is recorded with it.
    pub callback: Option<Box<CallbackRecord>>,
    /// Pictures that this change stored. A row with the same job, kind and index is replaced.
    pub images: Vec<Image>,
    /// What its pictures are filed under from now on, where the change completes it.
    pub terms: Option<BTreeSet<Term>>,
    /// When.
    pub now: Timestamp,
}

impl Commit {
    /// Takes `job` to `life`, as read at its present version.
    pub fn new(job: &Job, life: Life, event: Option<EventKind>, now: Timestamp) -> Self {
        let completed = life.state.status() == Status::Completed;
        Self {
            terms: completed.then(|| library::terms(job, &[])),
            job: job.id,
            version: job.version,
            lease: None,
            life,
            event,
            slots: None,
            transfer: None,
            billing: Billing::Keep,
            budgets: Budgets::default(),
            callback: None,
            images: Vec::new(),
            now,
        }
    }

    /// Takes `job`, as read at its present version, where a step leads.
    pub fn step(job: &Job, next: Transition, now: Timestamp) -> Self {
        Self::new(job, next.life, next.event, now).billing(next.billing)
    }

    /// The same change, which does this to the job's last charge.
    pub const fn billing(mut self, billing: Billing) -> Self {
        self.billing = billing;
        self
    }

    /// The same change, made only within these budgets where it charges anything.
    pub const fn within(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// The same change, made only while its account has one of `slots` left.
    pub const fn within_slots(mut self, slots: Option<u32>) -> Self {
        self.slots = slots;
        self
    }

    /// The same change, made under a lease.
    pub const fn under(mut self, lease: Lease, end: LeaseEnd) -> Self {
        self.lease = Some((lease, end));
        self
    }

    /// The same change, after which the job belongs to another account.
    pub fn moving_to(mut self, transfer: Transfer) -> Self {
        self.transfer = Some(transfer);
        self
    }

    /// The same change, caused by a callback that was not heeded before.
    pub fn caused_by(mut self, callback: CallbackRecord) -> Self {
        self.callback = Some(Box::new(callback));
        self
    }

    /// The same change, with pictures.
    pub fn with_images(mut self, images: Vec<Image>) -> Self {
        self.images = images;
        self
    }

    /// Sets `job`'s account and charges to what this change makes of them. Returns what its purses are to be charged
    /// with and given back, line by line; none for most changes.
    pub fn settle(&self, job: &mut Job) -> Vec<Entry> {
        if self.transfer.is_none() && self.billing == Billing::Keep {
            return Vec::new();
        }
        let (left, last) = (job.account.clone(), job.charge);
        if let Some(transfer) = &self.transfer {
            job.account = transfer.account.clone();
        }
        let cost = match (self.billing, &self.transfer) {
            (Billing::GiveBack, _) => Credits::ZERO,
            (_, Some(transfer)) => transfer.cost,
            (_, None) => last.cost,
        };
        let back = (self.billing != Billing::Again).then_some((&left, last));
        let charge = Charge { cost, at: self.now };
        let returned = back.map_or(Credits::ZERO, |(_, charge)| charge.cost);
        job.cost = job.cost.saturating_sub(returned).saturating_add(charge.cost);
        job.charge = charge;
        Entry::all(&job.owner, back, Some((&job.account, charge)), self.budgets)
    }
}
