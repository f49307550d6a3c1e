//! Removes what is past its time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{info, warn};

use super::Parts;
use crate::{
    clock::Timestamp,
    error::Chain,
    id::{ImageId, JobId, UploadId},
    image::{Image, Upload},
    job::{ImageQuery, InputImage, Job, JobQuery, Removal, Retention, Status, StoreError},
    page::{Cursor, Page},
};

/// How often it is done.
const EVERY: Duration = Duration::from_secs(3_600);

/// How many files are removed at a time.
const FILES: usize = 100;

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleaned {
    /// Jobs, with their events and pictures.
    pub jobs: Vec<JobId>,
    /// Pictures, those of these jobs among them.
    pub images: Vec<ImageId>,
    /// What callers brought along.
    pub uploads: Vec<UploadId>,
    /// How many bytes all these files have.
    pub bytes: u64,
}

impl Cleaned {
    fn count(&mut self, images: &[Image]) {
        for image in images {
            self.images.push(image.id);
            self.bytes = self.bytes.saturating_add(image.bytes);
        }
    }
}

/// Cleans every hour until `stopping` turns true, where anything is ever past its time.
pub(super) async fn run(parts: Arc<Parts>, mut stopping: watch::Receiver<bool>) {
    if parts.policy.retention == Retention::default() {
        return;
    }
    let mut believed = parts.clock.now();
    loop {
        match clean(&parts, believed, false).await {
            Ok(cleaned) if cleaned == Cleaned::default() => {}
            Ok(Cleaned {
                jobs,
                images,
                uploads,
                bytes,
            }) => {
                let (jobs, images, uploads) = (jobs.len(), images.len(), uploads.len());
                info!(jobs, images, uploads, bytes, "what was past its time was removed");
            }
            Err(error) => warn!(error = %Chain(&error), "what is past its time was not removed"),
        }
        let next = parts.clock.now().saturating_add(EVERY);
        tokio::select! {
            biased;
            _ = stopping.changed() => return,
            () = parts.clock.sleep_until(next) => {}
        }
        // A clock that was set far ahead by mistake is not believed at once: what was removed is gone.
        believed = parts
            .clock
            .now()
            .min(believed.saturating_add(EVERY.saturating_mul(2)));
    }
}

/// Removes what [`Policy::retention`](crate::job::Policy::retention) does not keep at `now`; with `dry_run`, only says what.
pub(crate) async fn clean(parts: &Parts, now: Timestamp, dry_run: bool) -> Result<Cleaned, StoreError> {
    let mut cleaned = Cleaned::default();
    let rules = &parts.policy.retention;
    if *rules != Retention::default() {
        let Needed {
            jobs: needed,
            uploads: needed_uploads,
        } = needed(parts).await?;
        for status in Status::ALL {
            let Some(kept) = rules.of(status) else {
                continue;
            };
            let mut query = JobQuery::newest(Page::<Job>::MAX);
            query.status = Some(status);
            query.after = Some(from(now, kept));
            while query.after.is_some() {
                let page = parts.jobs.list(&query).await?;
                query.after = page.next;
                let jobs = page.items.iter().filter(|job| rules.removes(job, &needed, now));
                remove_jobs(parts, jobs.collect(), dry_run, &mut cleaned).await?;
            }
        }
        if let Some(kept) = rules.images {
            let gone: BTreeSet<_> = cleaned.images.iter().copied().collect();
            let mut query = ImageQuery::newest(Page::<Image>::MAX);
            query.after = Some(from(now, kept));
            while query.after.is_some() {
                let page = parts.jobs.images(&query).await?;
                query.after = page.next;
                let past =
                    |image: &Image| rules.removes_image(image, &needed, now) && !gone.contains(&image.id);
                let images: Vec<_> = page.items.into_iter().filter(past).collect();
                if !dry_run && !images.is_empty() {
                    parts.jobs.remove(&Removal::of_images(&images)).await?;
                }
                cleaned.count(&images);
            }
            remove_uploads(parts, &needed_uploads, now, dry_run, &mut cleaned).await?;
        }
    }
    if !dry_run {
        remove_files(parts).await?;
    }
    Ok(cleaned)
}

/// Where a list begins with what was made when things that are `kept` so long are past their time.
fn from(now: Timestamp, kept: Duration) -> Cursor {
    let newest = now.saturating_sub(kept);
    Cursor::before(newest.saturating_add(Duration::from_millis(1)))
}

/// What jobs under way start from.
#[derive(Default)]
struct Needed {
    jobs: BTreeSet<JobId>,
    uploads: BTreeSet<UploadId>,
}

async fn needed(parts: &Parts) -> Result<Needed, StoreError> {
    let mut needed = Needed::default();
    for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        let mut query = JobQuery::newest(Page::<Job>::MAX);
        query.status = Some(status);
        loop {
            let page = parts.jobs.list(&query).await?;
            for Job { request, .. } in &page.items {
                needed.jobs.extend(request.parent.map(|parent| parent.job));
                let brought = request.images.iter().chain(&request.mask);
                needed.uploads.extend(brought.filter_map(|image| match image {
                    InputImage::Upload(id) => Some(*id),
                    InputImage::Url(_) => None,
                }));
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
    Ok(needed)
}

/// Whoever names one of them in this very moment is told that it is gone; nothing is spent then.
async fn remove_uploads(
    parts: &Parts,
    needed: &BTreeSet<UploadId>,
    now: Timestamp,
    dry_run: bool,
    cleaned: &mut Cleaned,
) -> Result<(), StoreError> {
    let rules = &parts.policy.retention;
    let mut after = None;
    loop {
        // From the beginning: the ids of some are made of their bytes and tell no time.
        let page = parts.jobs.uploads(after, Page::<Upload>::MAX).await?;
        let past: Vec<_> = page
            .items
            .into_iter()
            .filter(|upload| rules.removes_upload(upload, needed, now))
            .collect();
        if !dry_run && !past.is_empty() {
            parts.jobs.remove(&Removal::of_uploads(&past)).await?;
        }
        for upload in past {
            cleaned.uploads.push(upload.id);
            cleaned.bytes = cleaned.bytes.saturating_add(upload.bytes);
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn remove_jobs(
    parts: &Parts,
    jobs: Vec<&Job>,
    dry_run: bool,
    cleaned: &mut Cleaned,
) -> Result<(), StoreError> {
    let mut going = Vec::new();
    for job in jobs {
        if job.status() == Status::Completed {
            let images = parts.jobs.images(&ImageQuery::of(job.id)).await?.items;
            if images.iter().any(|image| image.marks.pinned) {
                continue;
            }
            cleaned.count(&images);
        }
        cleaned.jobs.push(job.id);
        going.push(job);
    }
    if !dry_run && !going.is_empty() {
        parts.jobs.remove(&Removal::of_jobs(going)).await?;
    }
    Ok(())
}

/// Those that were left over when a process died among them. One that cannot be removed is tried again an hour later.
pub(crate) async fn remove_files(parts: &Parts) -> Result<(), StoreError> {
    let mut failed: usize = 0;
    loop {
        let keys = parts.jobs.leftovers(FILES.saturating_add(failed)).await?;
        let mut gone = Vec::new();
        for key in &keys {
            match parts.images.remove(key).await {
                Ok(()) => gone.push(key.clone()),
                Err(error) => warn!(%key, error = %Chain(&error), "a file is left over"),
            }
        }
        parts.jobs.forget_leftovers(&gone).await?;
        if gone.is_empty() || keys.len() < FILES {
            return Ok(());
        }
        failed = keys.len().saturating_sub(gone.len());
    }
}
