//! One change of a job, in columns: what it is checked against, and what is written.

use midjourney_core::{
    clock::Timestamp,
    error::BoxError,
    image::{Marks, Tag},
    job::{Commit, Job, LeaseEnd, Status, StoreError, UpstreamId, wakes_at},
};

use super::{
    RawJob, Value, int, kind_code, status_code,
    stored::{self, EventBody},
};

/// A change with its JSON, which is made before any transaction.
pub(crate) struct Changing {
    pub(crate) commit: Commit,
    life: String,
    /// The body of its event, if it has one.
    pub(crate) event: Option<String>,
}

/// What a change is checked against.
pub(crate) struct Present {
    pub(crate) row: i64,
    pub(crate) epoch: u64,
    pub(crate) leased_until: Option<i64>,
    pub(crate) status: i64,
    pub(crate) holds_slot: bool,
    pub(crate) version: u64,
    pub(crate) job: RawJob,
}

/// The longest id by which a job is looked for, in bytes. Longer ones hold whole answers, and no callback names them;
/// PostgreSQL's index refuses what is longer than a third of a page.
const LONGEST_TASK: usize = 512;

/// The columns that a change writes, to the row of number `$1` or `?1`.
pub(crate) const CHANGED: [&str; 14] = [
    "status",
    "holds_slot",
    "due",
    "wake_at",
    "lease_until",
    "version",
    "sequence",
    "updated_at",
    "life",
    "account",
    "cost",
    "charge",
    "charged_at",
    "task",
];

impl Changing {
    /// **Errors:** why it cannot be stored by this release.
    pub(crate) fn new(commit: Commit) -> Result<Self, BoxError> {
        if let Some(image) = commit.images.iter().find(|image| kind_code(image.kind).is_none()) {
            let name = image.kind.name();
            return Err(format!("this release cannot store images of kind {name}").into());
        }
        let event = commit.event.map(|kind| EventBody::of(kind, &commit.life));
        Ok(Self {
            life: stored::write(&commit.life)?,
            event: event.map(|body| stored::write(&body)).transpose()?,
            commit,
        })
    }

    /// The present row and its status, if the change may be made.
    pub(crate) fn checked(&self, present: Option<Present>) -> Result<(Present, Status), StoreError> {
        let job = self.commit.job;
        let present = present.ok_or(StoreError::NoSuchJob(job))?;
        if let Some((lease, _)) = self.commit.lease
            && (lease.job != job || lease.epoch != present.epoch)
        {
            return Err(StoreError::LeaseLost(job));
        }
        let status = Status::ALL
            .into_iter()
            .find(|status| status_code(*status) == present.status);
        match status {
            Some(status) if present.version == self.commit.version && !status.is_final() => {
                Ok((present, status))
            }
            _ => Err(StoreError::Stale(job)),
        }
    }

    /// Counts the change in `job`, which lives its new life already.
    pub(crate) fn number(&self, job: &mut Job) {
        job.version = job.version.saturating_add(1);
        job.updated = self.commit.now;
        if self.event.is_some() {
            job.sequence = job.sequence.saturating_add(1);
        }
    }

    /// The row and what is written to it, in the order of [`CHANGED`].
    pub(crate) fn columns(&self, row: i64, leased_until: Option<i64>, job: &Job) -> [Value; 15] {
        let commit = &self.commit;
        let leased_until = match commit.lease {
            Some((_, LeaseEnd::Release)) => None,
            _ => leased_until,
        };
        let due = commit.life.due;
        let wake = due.map(|due| wakes_at(due, leased_until.map(Timestamp::from_millis)));
        let charge = job.charge;
        let under_way = !job.status().is_final();
        let task = job.life.state.upstream().map(UpstreamId::as_str);
        let task = task.filter(|task| under_way && task.len() <= LONGEST_TASK);
        [
            row.into(),
            status_code(job.status()).into(),
            job.life.state.holds_slot().into(),
            due.map(Timestamp::as_millis).into(),
            wake.map(Timestamp::as_millis).into(),
            leased_until.into(),
            int(job.version).into(),
            int(job.sequence).into(),
            commit.now.as_millis().into(),
            self.life.as_str().into(),
            job.account.as_str().into(),
            int(job.cost.thousandths()).into(),
            (charge.cost != job.cost)
                .then(|| int(charge.cost.thousandths()))
                .into(),
            (charge.at != job.life.created)
                .then(|| charge.at.as_millis())
                .into(),
            task.into(),
        ]
    }
}

/// The columns of [`IMAGE`](super::IMAGE) for `image`.
pub(crate) fn image_columns(image: &midjourney_core::image::Image) -> [Value; 15] {
    [
        image.id.as_bytes().into(),
        image.job.as_bytes().into(),
        image.owner.as_str().into(),
        kind_code(image.kind).into(),
        i64::from(image.index).into(),
        image.key.as_str().into(),
        image.digest.as_bytes().into(),
        int(image.bytes).into(),
        image.media_type.mime().into(),
        image.size.map(|size| i64::from(size.0)).into(),
        image.size.map(|size| i64::from(size.1)).into(),
        image.source_url.as_str().into(),
        image.created.as_millis().into(),
        image.marks.pinned.into(),
        tags(&image.marks).into(),
    ]
}

/// The tags of a picture in one column: no tag has a space.
pub(crate) fn tags(marks: &Marks) -> String {
    let tags: Vec<_> = marks.tags.iter().map(Tag::as_str).collect();
    tags.join(" ")
}

/// The columns of [`UPLOAD`](super::UPLOAD) for `upload`.
pub(crate) fn upload_columns(upload: &midjourney_core::image::Upload) -> [Value; 9] {
    [
        upload.id.as_bytes().into(),
        upload.owner.as_str().into(),
        upload.key.as_str().into(),
        upload.digest.as_bytes().into(),
        int(upload.bytes).into(),
        upload.media_type.mime().into(),
        upload.size.map(|size| i64::from(size.0)).into(),
        upload.size.map(|size| i64::from(size.1)).into(),
        upload.created.as_millis().into(),
    ]
}
