use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Mutex,
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::lock;
use crate::{
    budget::{Credits, Day, Spending},
    clock::Timestamp,
    error::{Applied, Retry},
    id::{ImageId, JobId, UploadId},
    image::{Image, Upload},
    job::{
        AccountName, Changes, Claim, Claimed, Commit, Counts, Event, EventKind, IdempotencyKey, ImageQuery,
        Insertion, Job, JobQuery, JobStore, Lease, LeaseEnd, Live, NewJobs, Overdrawn, Owner, Position,
        Purse, RequestDigest, Share, Status, StoreError, Transfer, is_due, wakes_at,
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
    spending: HashMap<Purse, BTreeMap<Day, Credits>>,
}

struct Row {
    job: Job,
    epoch: u64,
    leased_until: Option<Timestamp>,
    /// Indices into the events, the event with sequence `n` at `n - 1`.
    history: Vec<usize>,
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
        let of = |from: Day| -> Credits {
            let days = self.spending.get(purse).into_iter();
            days.flat_map(|days| days.range(from..))
                .map(|(_, spent)| *spent)
                .sum()
        };
        Spending {
            day: of(today),
            month: of(today.first_of_month()),
        }
    }

    /// The amount that `purse` was charged with on the day of `created`.
    fn charge(&mut self, purse: Purse, created: Timestamp) -> &mut Credits {
        let days = self.spending.entry(purse).or_default();
        days.entry(Day::of(created)).or_default()
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
            let cost = jobs.cost();
            if cost > Credits::ZERO {
                let purses = [
                    (Purse::Account(jobs.account.clone()), jobs.budgets.account),
                    (Purse::Owner(jobs.owner.clone()), jobs.budgets.owner),
                ];
                for (purse, budget) in &purses {
                    let spent = tables.spent(purse, jobs.now);
                    if let Some(overdrawn) = Overdrawn::check(purse, *budget, spent, cost) {
                        return Ok(Insertion::Overdrawn(overdrawn));
                    }
                }
                for (purse, _) in purses {
                    let spent = tables.charge(purse, jobs.now);
                    *spent = spent.saturating_add(cost);
                }
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
            let before = row.job.clone();
            let after = if commit.refund {
                Credits::ZERO
            } else {
                commit
                    .transfer
                    .as_ref()
                    .map_or(before.cost, |transfer| transfer.cost)
            };
            if let Some(Transfer { account, budget, .. }) = &commit.transfer {
                let purse = Purse::Account(account.clone());
                let spent = tables.spent(&purse, commit.now);
                if let Some(overdrawn) = Overdrawn::check(&purse, *budget, spent, after) {
                    return Err(StoreError::Overdrawn(overdrawn));
                }
            }
            if let Some(slots) = commit.slots
                && commit.life.state.holds_slot()
                && !before.life.state.holds_slot()
                && tables.running(&before.account) >= u64::from(slots)
            {
                return Err(StoreError::NoSlot(commit.job));
            }
            let home = commit
                .transfer
                .as_ref()
                .map_or(&before.account, |transfer| &transfer.account);
            let owner = Purse::Owner(before.owner.clone());
            for (purse, cost, back) in [
                (Purse::Account(before.account.clone()), before.cost, true),
                (owner.clone(), before.cost, true),
                (Purse::Account(home.clone()), after, false),
                (owner, after, false),
            ] {
                let spent = tables.charge(purse, before.life.created);
                *spent = if back {
                    spent.saturating_sub(cost)
                } else {
                    spent.saturating_add(cost)
                };
            }
            let row = tables
                .jobs
                .get_mut(&commit.job)
                .ok_or(StoreError::NoSuchJob(commit.job))?;
            if let Some((_, LeaseEnd::Release)) = commit.lease {
                row.leased_until = None;
            }
            row.job.cost = after;
            row.job.version = row.job.version.saturating_add(1);
            if let Some(transfer) = commit.transfer {
                row.job.account = transfer.account;
            }
            row.job.life = commit.life;
            row.job.updated = commit.now;
            if commit.event.is_some() {
                row.job.sequence = row.job.sequence.saturating_add(1);
            }
            let job = row.job.clone();
            if let Some(kind) = commit.event {
                tables.tell(commit.job, kind, commit.now);
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

    async fn spent(&self, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, StoreError> {
        let tables = lock(&self.tables);
        Ok(purses.iter().map(|purse| tables.spent(purse, now)).collect())
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
