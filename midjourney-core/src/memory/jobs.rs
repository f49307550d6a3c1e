use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Mutex,
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{callbacks::Callbacks, lock};
use crate::{
    budget::{Credits, Spending},
    clock::{Day, Timestamp},
    error::{Applied, Retry},
    id::{ImageId, JobId, UploadId},
    image::{Image, ImageKey, MarkChange, Upload},
    job::{
        AccountName, CallbackQuery, CallbackRecord, CallbackTally, Changes, Claim, Claimed, Commit, Counts,
        Entry, Event, EventKind, IdempotencyKey, ImageQuery, ImageSearch, Insertion, Job, JobQuery, JobStore,
        Lease, LeaseEnd, Live, NewJobs, Overdrawn, Owner, Position, Purse, Removal, RequestDigest, Share,
        Shelf, Status, StoreError, Term, UpstreamId, Verdict, is_due, library, wakes_at,
    },
    page::{Cursor, Page},
};

/// A [`JobStore`] in memory. Claims look at every job, so it is for hundreds of them, not for millions.
pub struct MemoryJobStore {
    tables: Mutex<Tables>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Tables {
    jobs: BTreeMap<JobId, Row>,
    keys: HashMap<(Owner, IdempotencyKey), (RequestDigest, Vec<JobId>)>,
    /// The event at index `n` has position `n + 1`.
    events: Vec<Event>,
    images: BTreeMap<ImageId, Image>,
    uploads: BTreeMap<UploadId, Upload>,
    leftovers: BTreeSet<ImageKey>,
    callbacks: Callbacks,
    spending: HashMap<Purse, BTreeMap<Day, Credits>>,
}

struct Row {
    job: Job,
    epoch: u64,
    leased_until: Option<Timestamp>,
    /// Indices into the events, the event with sequence `n` at `n - 1`.
    history: Vec<usize>,
    /// What its pictures are filed under.
    terms: BTreeSet<Term>,
}

impl Row {
    fn wake(&self) -> Option<Timestamp> {
        let due = self.job.life.due?;
        Some(wakes_at(due, self.leased_until))
    }
}

impl Tables {
    fn tell(&mut self, id: JobId, kind: EventKind, at: Timestamp) {
        let index = self.events.len();
        if let Some(row) = self.jobs.get_mut(&id) {
            row.history.push(index);
            self.events.push(Event::of(
                id,
                row.job.sequence,
                position(index.saturating_add(1)),
                at,
                kind,
                &row.job.life,
            ));
        }
    }

    fn running(&self, account: &AccountName) -> u64 {
        let holds = |row: &&Row| row.job.account == *account && row.job.life.state.holds_slot();
        u64::try_from(self.jobs.values().filter(holds).count()).unwrap_or(u64::MAX)
    }

    fn spent(&self, purse: &Purse, now: Timestamp) -> Spending {
        let today = Day::of(now);
        let Some(days) = self.spending.get(purse) else {
            return Spending::default();
        };
        Spending {
            day: days.get(&today).copied().unwrap_or_default(),
            month: days.range(today.month()).map(|(_, spent)| *spent).sum(),
        }
    }

    /// Makes all of `entries`, or none where a budget does not allow one of them.
    fn book(&mut self, entries: Vec<Entry>, now: Timestamp) -> Result<(), Overdrawn> {
        let overdrawn = entries
            .iter()
            .find_map(|entry| entry.overdrawn(self.spent(&entry.purse, now)));
        if let Some(overdrawn) = overdrawn {
            return Err(overdrawn);
        }
        for Entry {
            purse, charge, back, ..
        } in entries
        {
            let days = self.spending.entry(purse).or_default();
            let spent = days.entry(Day::of(charge.at)).or_default();
            *spent = if back {
                spent.saturating_sub(charge.cost)
            } else {
                spent.saturating_add(charge.cost)
            };
        }
        Ok(())
    }

    /// Files the pictures of a job anew.
    fn file(&mut self, job: JobId) {
        let images: Vec<_> = self
            .images
            .values()
            .filter(|image| image.job == job)
            .cloned()
            .collect();
        if let Some(row) = self.jobs.get_mut(&job) {
            row.terms = library::terms(&row.job, &images);
        }
    }

    fn is_pinned(&self, job: JobId) -> bool {
        self.images
            .values()
            .any(|image| image.job == job && image.marks.pinned)
    }

    fn earlier(
        &self,
        key: &(Owner, IdempotencyKey),
        digest: impl FnOnce() -> RequestDigest,
    ) -> Option<Insertion> {
        let (stored, ids) = self.keys.get(key)?;
        if *stored != digest() {
            return Some(Insertion::Mismatch);
        }
        let rows = ids.iter().filter_map(|id| self.jobs.get(id));
        Some(Insertion::Replayed(rows.map(|row| row.job.clone()).collect()))
    }
}

impl MemoryJobStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            tables: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    fn changed(&self) {
        self.changes
            .send_modify(|number| *number = number.saturating_add(1));
    }
}

impl Default for MemoryJobStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryJobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryJobStore").finish_non_exhaustive()
    }
}

fn position(number: usize) -> Position {
    Position::new(u64::try_from(number).unwrap_or(u64::MAX))
}

/// How many rows to skip for `count` rows seen; nothing is left where the count does not fit.
fn seen(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn clamped(limit: usize) -> usize {
    limit.clamp(1, Page::<Job>::MAX)
}

fn beyond(after: Option<Cursor>, key: &[u8; 16]) -> bool {
    after.is_none_or(|cursor| *key < cursor.key())
}

/// Whether `job` is in one of the `shares`; takes its part of it.
fn take(shares: &mut [Share], job: &Job) -> bool {
    let Some(share) = shares.iter_mut().find(|share| share.account == job.account) else {
        return false;
    };
    let starts = usize::from(job.status() == Status::Pending);
    match (share.starts.checked_sub(starts), share.most.checked_sub(1)) {
        (Some(starts), Some(most)) => {
            (share.starts, share.most) = (starts, most);
            true
        }
        _ => false,
    }
}

#[async_trait]
impl JobStore for MemoryJobStore {
    fn backend(&self) -> &'static str {
        "memory"
    }

    async fn insert(&self, jobs: NewJobs) -> Result<Insertion, StoreError> {
        let created = {
            let mut tables = lock(&self.tables);
            let key = jobs.idempotency_key.clone().map(|key| (jobs.owner.clone(), key));
            if let Some(earlier) = key.as_ref().and_then(|key| tables.earlier(key, || jobs.digest())) {
                return Ok(earlier);
            }
            let mut ids = BTreeSet::new();
            if let Some(taken) = jobs
                .jobs
                .iter()
                .find(|job| tables.jobs.contains_key(&job.id) || !ids.insert(job.id))
            {
                return Err(StoreError::Backend {
                    backend: "memory",
                    operation: "insert",
                    applied: Applied::No,
                    retry: Retry::Never,
                    source: format!("there is a job {} already", taken.id).into(),
                });
            }
            if let Err(overdrawn) = tables.book(jobs.entries(), jobs.now) {
                return Ok(Insertion::Overdrawn(overdrawn));
            }
            if let Some(key) = key {
                let ids = jobs.jobs.iter().map(|job| job.id).collect();
                tables.keys.insert(key, (jobs.digest(), ids));
            }
            let now = jobs.now;
            let created = jobs.into_jobs();
            for job in &created {
                tables.jobs.insert(
                    job.id,
                    Row {
                        job: job.clone(),
                        epoch: 0,
                        leased_until: None,
                        history: Vec::new(),
                        terms: BTreeSet::new(),
                    },
                );
                tables.tell(job.id, EventKind::Created, now);
            }
            created
        };
        self.changed();
        Ok(Insertion::Created(created))
    }

    async fn earlier(
        &self,
        owner: &Owner,
        key: &IdempotencyKey,
        digest: RequestDigest,
    ) -> Result<Option<Insertion>, StoreError> {
        let key = (owner.clone(), key.clone());
        Ok(lock(&self.tables).earlier(&key, || digest))
    }

    async fn load(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        Ok(lock(&self.tables).jobs.get(&id).map(|row| row.job.clone()))
    }

    async fn list(&self, query: &JobQuery) -> Result<Page<Job>, StoreError> {
        let limit = clamped(query.limit);
        let rows = lock(&self.tables)
            .jobs
            .values()
            .rev()
            .map(|row| &row.job)
            .filter(|job| {
                beyond(query.after, job.id.as_bytes())
                    && query.owner.as_ref().is_none_or(|owner| *owner == job.owner)
                    && query.status.is_none_or(|status| status == job.status())
                    && query.batch.is_none_or(|batch| job.batch == Some(batch))
            })
            .take(limit.saturating_add(1))
            .cloned()
            .collect();
        Ok(Page::from_probe(rows, limit, |job: &Job| *job.id.as_bytes()))
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut tables = lock(&self.tables);
        let mut due: Vec<_> = tables
            .jobs
            .values_mut()
            .filter_map(|row| Some((row.wake().filter(|wake| is_due(*wake, claim.now))?, row)))
            .collect();
        due.sort_by_key(|(wake, row)| (*wake, row.job.id));
        let mut shares = claim.accounts;
        due.retain(|(_, row)| take(&mut shares, &row.job));
        let until = claim.now.saturating_add(claim.lease);
        let claimed = due.into_iter().take(claim.limit).map(|(_, row)| {
            row.epoch = row.epoch.saturating_add(1);
            row.leased_until = Some(until);
            Claimed::new(row.job.clone(), Lease::new(row.job.id, row.epoch, until))
        });
        Ok(claimed.collect())
    }

    async fn extend(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        let mut tables = lock(&self.tables);
        let row = tables
            .jobs
            .get_mut(&lease.job)
            .ok_or(StoreError::NoSuchJob(lease.job))?;
        if row.epoch != lease.epoch {
            return Err(StoreError::LeaseLost(lease.job));
        }
        row.leased_until = Some(until);
        Ok(Lease::new(lease.job, lease.epoch, until))
    }

    async fn next_due(&self, accounts: &[Share]) -> Result<Option<Timestamp>, StoreError> {
        Ok(lock(&self.tables)
            .jobs
            .values()
            .filter(|row| take(&mut accounts.to_vec(), &row.job))
            .filter_map(Row::wake)
            .min())
    }

    async fn live(&self) -> Result<BTreeMap<AccountName, Live>, StoreError> {
        let mut all = BTreeMap::<_, Live>::new();
        for Row { job, .. } in lock(&self.tables).jobs.values() {
            let live = all.entry(job.account.clone()).or_default();
            if job.status() == Status::Pending {
                live.pending = live.pending.saturating_add(1);
            } else if job.life.state.holds_slot() {
                live.running = live.running.saturating_add(1);
            }
        }
        Ok(all)
    }

    async fn commit(&self, commit: Commit) -> Result<Job, StoreError> {
        let job = {
            let mut tables = lock(&self.tables);
            let row = tables
                .jobs
                .get_mut(&commit.job)
                .ok_or(StoreError::NoSuchJob(commit.job))?;
            if let Some((lease, _)) = commit.lease
                && (lease.job != commit.job || lease.epoch != row.epoch)
            {
                return Err(StoreError::LeaseLost(commit.job));
            }
            if row.job.version != commit.version || row.job.status().is_final() {
                return Err(StoreError::Stale(commit.job));
            }
            let mut job = row.job.clone();
            if commit
                .callback
                .as_ref()
                .is_some_and(|callback| tables.callbacks.knows(callback))
            {
                return Err(StoreError::Repeated(commit.job));
            }
            if let Some(slots) = commit.slots
                && commit.life.state.holds_slot()
                && !job.life.state.holds_slot()
                && tables.running(&job.account) >= u64::from(slots)
            {
                return Err(StoreError::NoSlot(commit.job));
            }
            let entries = commit.settle(&mut job);
            tables.book(entries, commit.now).map_err(StoreError::Overdrawn)?;
            job.version = job.version.saturating_add(1);
            job.life = commit.life;
            job.updated = commit.now;
            if commit.event.is_some() {
                job.sequence = job.sequence.saturating_add(1);
            }
            let row = tables
                .jobs
                .get_mut(&commit.job)
                .ok_or(StoreError::NoSuchJob(commit.job))?;
            row.job = job.clone();
            if let Some(terms) = commit.terms {
                row.terms = terms;
            }
            if let Some((_, LeaseEnd::Release)) = commit.lease {
                row.leased_until = None;
            }
            if let Some(kind) = commit.event {
                tables.tell(commit.job, kind, commit.now);
            }
            if let Some(callback) = commit.callback {
                tables.callbacks.put(*callback);
            }
            for image in commit.images {
                tables
                    .images
                    .retain(|_, old| (old.job, old.kind, old.index) != (image.job, image.kind, image.index));
                tables.images.insert(image.id, image);
            }
            job
        };
        self.changed();
        Ok(job)
    }

    async fn history(&self, id: JobId, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let tables = lock(&self.tables);
        let Some(row) = tables.jobs.get(&id) else {
            return Ok(Vec::new());
        };
        let indices = row.history.iter().skip(seen(after)).take(limit);
        Ok(indices
            .filter_map(|index| tables.events.get(*index).cloned())
            .collect())
    }

    async fn events(&self, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        let tables = lock(&self.tables);
        let rest = tables.events.iter().skip(seen(after.get()));
        // Those of removed jobs keep their places, so that none is given again.
        let rest = rest.filter(|event| tables.jobs.contains_key(&event.job));
        Ok(rest.take(limit).cloned().collect())
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(position(lock(&self.tables).events.len()))
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        Ok(lock(&self.tables).images.get(&id).cloned())
    }

    async fn put_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        lock(&self.tables).uploads.insert(upload.id, upload.clone());
        Ok(())
    }

    async fn remove(&self, removal: &Removal) -> Result<(), StoreError> {
        let mut tables = lock(&self.tables);
        let mut gone = BTreeSet::new();
        for (id, version) in &removal.jobs {
            let judged = |row: &Row| row.job.version == *version && row.job.status().is_final();
            if !tables.is_pinned(*id) && tables.jobs.get(id).is_some_and(judged) {
                tables.jobs.remove(id);
                gone.insert(*id);
            }
        }
        tables
            .keys
            .retain(|_, (_, jobs)| !jobs.iter().all(|job| gone.contains(job)));
        let images: Vec<_> = tables
            .images
            .values()
            .filter(|image| {
                let is_over = |row: &Row| row.job.status().is_final();
                let wanted = removal.images.contains(&image.id) && !image.marks.pinned;
                gone.contains(&image.job) || (wanted && tables.jobs.get(&image.job).is_none_or(is_over))
            })
            .map(|image| image.id)
            .collect();
        for id in images {
            if let Some(image) = tables.images.remove(&id) {
                tables.file(image.job);
                tables.leftovers.insert(image.key);
            }
        }
        for id in &removal.uploads {
            let upload = tables.uploads.remove(id);
            tables.leftovers.extend(upload.map(|upload| upload.key));
        }
        Ok(())
    }

    async fn uploads(&self, after: Option<Cursor>, limit: usize) -> Result<Page<Upload>, StoreError> {
        let limit = clamped(limit);
        let rows = lock(&self.tables)
            .uploads
            .values()
            .rev()
            .filter(|upload| beyond(after, upload.id.as_bytes()))
            .take(limit.saturating_add(1))
            .cloned()
            .collect();
        Ok(Page::from_probe(rows, limit, |upload: &Upload| {
            *upload.id.as_bytes()
        }))
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<ImageKey>, StoreError> {
        Ok(lock(&self.tables).leftovers.iter().take(limit).cloned().collect())
    }

    async fn forget_leftovers(&self, keys: &[ImageKey]) -> Result<(), StoreError> {
        let mut tables = lock(&self.tables);
        for key in keys {
            tables.leftovers.remove(key);
        }
        Ok(())
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        Ok(lock(&self.tables).uploads.get(&id).cloned())
    }

    async fn images(&self, query: &ImageQuery) -> Result<Page<Image>, StoreError> {
        let limit = clamped(query.limit);
        let tables = lock(&self.tables);
        let wanted = tables
            .images
            .values()
            .filter(|image| query.owner.as_ref().is_none_or(|owner| *owner == image.owner));
        if let Some(job) = query.job {
            // A job has a handful of pictures, so this order needs no cursor.
            let mut rows: Vec<_> = wanted.filter(|image| image.job == job).cloned().collect();
            rows.sort_by_key(|image| (image.kind, image.index));
            rows.truncate(limit);
            return Ok(Page::new(rows, None));
        }
        let mut rows: Vec<_> = wanted
            .filter(|image| beyond(query.after, image.id.as_bytes()))
            .collect();
        rows.sort_by_key(|image| Reverse(image.id));
        let rows = rows.into_iter().take(limit.saturating_add(1)).cloned().collect();
        Ok(Page::from_probe(rows, limit, |image: &Image| {
            *image.id.as_bytes()
        }))
    }

    async fn search(&self, search: &ImageSearch) -> Result<Page<Image>, StoreError> {
        let tables = lock(&self.tables);
        let sought = search.sought();
        let limit = clamped(search.limit);
        let behind = search.after.map(Shelf::behind);
        let mut found: Vec<_> = tables
            .images
            .values()
            .filter_map(|image| {
                let row = tables.jobs.get(&image.job)?;
                let first = u64::try_from(*row.history.first()?).ok()?;
                let place = Shelf::of(first.saturating_add(1), image);
                let meant = row.job.status() == Status::Completed
                    && sought
                        .iter()
                        .all(|any| any.iter().any(|sought| sought.is_in(&row.terms)))
                    && search.takes(image)
                    && behind.is_none_or(|behind| place.comes_after(behind));
                meant.then_some((place, image))
            })
            .collect();
        found.sort_by_key(|(place, _)| (Reverse(place.job), place.image));
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(shelf, _)| shelf.cursor());
        let items = found.into_iter().map(|(_, image)| image.clone()).collect();
        Ok(Page::new(items, next))
    }

    async fn mark(&self, id: ImageId, change: &MarkChange) -> Result<Option<Image>, StoreError> {
        let mut guard = lock(&self.tables);
        let tables = &mut *guard;
        let Some(image) = tables.images.get_mut(&id) else {
            return Ok(None);
        };
        let is_over = |row: &Row| row.job.status().is_final();
        if !tables.jobs.get(&image.job).is_some_and(is_over) {
            return Ok(None);
        }
        image.marks = image.marks.after(change);
        let image = image.clone();
        tables.file(image.job);
        Ok(Some(image))
    }

    async fn spent(&self, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, StoreError> {
        let tables = lock(&self.tables);
        Ok(purses.iter().map(|purse| tables.spent(purse, now)).collect())
    }

    async fn put_callbacks(&self, records: &[CallbackRecord]) -> Result<(), StoreError> {
        let mut tables = lock(&self.tables);
        for callback in records {
            tables.callbacks.put(callback.clone());
        }
        Ok(())
    }

    async fn callbacks(&self, query: &CallbackQuery) -> Result<Page<CallbackRecord>, StoreError> {
        Ok(lock(&self.tables).callbacks.list(query, clamped(query.limit)))
    }

    async fn callback_tallies(&self) -> Result<BTreeMap<Verdict, CallbackTally>, StoreError> {
        Ok(lock(&self.tables).callbacks.tallies())
    }

    async fn job_of_task(
        &self,
        account: &AccountName,
        task: &UpstreamId,
    ) -> Result<Option<JobId>, StoreError> {
        let tables = lock(&self.tables);
        let has = |job: &&Job| {
            !job.status().is_final() && job.account == *account && job.life.state.upstream() == Some(task)
        };
        let found = tables.jobs.values().map(|row| &row.job).find(has);
        Ok(found.map(|job| job.id))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        for row in lock(&self.tables).jobs.values() {
            let count = counts.of(row.job.status());
            *count = count.saturating_add(1);
        }
        Ok(counts)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn changes(&self) -> Changes {
        self.changes.subscribe()
    }
}
