use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use midjourney_core::{
    budget::{Budget, Budgets, Credits, Spending},
    clock::Timestamp,
    id::{ImageId, JobId, UploadId},
    image::{Image, ImageKey, MarkChange, Upload},
    job::{
        AccountName, Billing, CallbackQuery, CallbackRecord, CallbackTally, Changes, Claim, Claimed, Commit,
        Counts, Event, IdempotencyKey, ImageQuery, ImageSearch, Insertion, Job, JobQuery, JobStore,
        LONGEST_WAIT, Lease, LeaseEnd, Live, NewJobs, Owner, Position, Purse, Removal, RequestDigest, Share,
        StoreError, UpstreamId, Verdict,
    },
    memory::MemoryJobStore,
    page::{Cursor, Page},
    testing::job_store::CASES,
};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AcceptsDuplicateIds,
    BackdatesMoves,
    BumpsVersionOnClaim,
    ChargesNobody,
    ChargesOnce,
    ClaimsEarly,
    ClaimsNewestFirst,
    ClaimsOverTheLimit,
    ClaimsTwice,
    CommitsWhatIsUnknown,
    CountsHeededCallbacksOnly,
    CountsSlotsOfAll,
    CountsWrong,
    DropsAnEvent,
    DropsCallbackSources,
    DropsProgress,
    DropsWaits,
    DuplicatesImages,
    EpochNeverRises,
    EventsBackwards,
    EventsOfNow,
    ExtendsNothing,
    FindsTasksAnywhere,
    ForgetsBatches,
    ForgetsCallbacks,
    ForgetsPins,
    ForgetsTags,
    ForgetsImages,
    ForgetsParents,
    ForgetsTrouble,
    HandsOutFinished,
    HeadStuck,
    HeedsCallbacksAgain,
    HistoryFromStart,
    HistoryOfAnybody,
    IgnoresAccounts,
    IgnoresBudgets,
    IgnoresDigest,
    FindsWhatIsUnderWay,
    IgnoresImageOwner,
    IgnoresKeys,
    IgnoresOwner,
    IgnoresOwnersOfMoved,
    IgnoresShares,
    IgnoresSlots,
    IgnoresStarts,
    IgnoresVersion,
    ImagesById,
    ImagesOldestFirst,
    KeepReleases,
    KeepsAccounts,
    KeepsCallbacksOfRefused,
    KeepsCharges,
    KeepsChargesOfMoved,
    KeepsEveryCallback,
    KeepsImagesOfRefused,
    KeepsJobs,
    KeepsSinglePictures,
    KeepsUploads,
    KeysLookFree,
    KeysOfAllOwners,
    LeaselessCommitTakesLease,
    LeavesNothingOver,
    LeavesStrays,
    ListsBackwards,
    ListsByOffset,
    ListsCallbacksOfAnyTask,
    ListsNothing,
    LoadsAnybody,
    LosesUpdated,
    LosesUploads,
    MarksAnything,
    NeverReclaims,
    NextDueForgets,
    NextDueIgnoresLeases,
    NoCreatedEvent,
    NoFencing,
    NoSignal,
    NotAtomic,
    PingFails,
    ReleaseKeeps,
    RefusesLongTasks,
    RemovesChanged,
    ReplaysBlindly,
    RevivesFinished,
    SearchesFromTheStart,
    SearchesLoosely,
    SequenceRisesAlways,
    SharesStrays,
    SkipsEvents,
    SpendsAhead,
    StaleBeforeLost,
    TrimsTexts,
    UploadsFromTheStart,
}

#[derive(Debug, Default)]
struct Seen {
    leases: HashMap<JobId, Lease>,
    claimed: BTreeSet<JobId>,
    accounts: Vec<AccountName>,
    keys: Vec<(Owner, String)>,
    requests: Vec<Vec<String>>,
    images: BTreeMap<ImageId, Image>,
    finished: Vec<Job>,
    callbacks: Vec<CallbackRecord>,
    flooded: bool,
    strays: Vec<Claimed>,
}

/// The reference with one thing wrong.
#[derive(Debug)]
struct Broken {
    fault: Fault,
    inner: MemoryJobStore,
    seen: Mutex<Seen>,
    silent: watch::Sender<u64>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            inner: MemoryJobStore::new(),
            seen: Mutex::default(),
            silent: watch::Sender::new(0),
        }
    }

    fn all_accounts(&self) -> Vec<Share> {
        self.seen().accounts.iter().cloned().map(Share::from).collect()
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn everything(&self) -> Result<Vec<Job>, StoreError> {
        Ok(self.inner.list(&JobQuery::newest(200)).await?.items)
    }

    fn newest_lease(&self, lease: &Lease) -> Lease {
        self.seen().leases.get(&lease.job).copied().unwrap_or(*lease)
    }

    /// Lets a lease run out at once.
    async fn lapse(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError> {
        self.inner.extend(lease, now).await.map(drop)
    }
}

#[async_trait]
impl JobStore for Broken {
    fn backend(&self) -> &'static str {
        "broken"
    }

    async fn insert(&self, mut jobs: NewJobs) -> Result<Insertion, StoreError> {
        self.seen().accounts.push(jobs.account.clone());
        match self.fault {
            Fault::ChargesNobody => jobs.jobs.iter_mut().for_each(|job| job.cost = Credits::ZERO),
            Fault::IgnoresBudgets => jobs.budgets = Budgets::default(),
            Fault::IgnoresKeys => jobs.idempotency_key = None,
            Fault::ForgetsBatches => jobs.batch = None,
            Fault::ForgetsParents => jobs.jobs.iter_mut().for_each(|job| job.request.parent = None),
            Fault::TrimsTexts => {
                for job in &mut jobs.jobs {
                    job.request.prompt = job.request.prompt.trim().to_owned();
                }
            }
            Fault::KeysOfAllOwners => {
                if let Some(key) = &jobs.idempotency_key {
                    let used = (jobs.owner.clone(), key.as_str().to_owned());
                    let mut seen = self.seen();
                    if seen
                        .keys
                        .iter()
                        .any(|(owner, key)| *key == used.1 && *owner != used.0)
                    {
                        return Ok(Insertion::Mismatch);
                    }
                    seen.keys.push(used);
                }
            }
            Fault::ReplaysBlindly => {
                let prompts: Vec<_> = jobs.jobs.iter().map(|job| job.request.prompt.clone()).collect();
                let known = self.seen().requests.contains(&prompts);
                if known {
                    return Ok(Insertion::Replayed(Vec::new()));
                }
                self.seen().requests.push(prompts);
            }
            Fault::NotAtomic => {
                for job in &jobs.jobs {
                    let one = NewJobs::new(
                        jobs.owner.clone(),
                        jobs.account.clone(),
                        vec![job.clone()],
                        jobs.now,
                    );
                    self.inner.insert(one).await?;
                }
                return Ok(Insertion::Created(Vec::new()));
            }
            Fault::AcceptsDuplicateIds => {
                let known: BTreeSet<_> = self.everything().await?.iter().map(|job| job.id).collect();
                jobs.jobs.retain(|job| !known.contains(&job.id));
            }
            _ => {}
        }
        let insertion = self.inner.insert(jobs).await?;
        Ok(match insertion {
            Insertion::Mismatch if self.has(Fault::IgnoresDigest) => Insertion::Replayed(Vec::new()),
            other => other,
        })
    }

    async fn earlier(
        &self,
        owner: &Owner,
        key: &IdempotencyKey,
        digest: RequestDigest,
    ) -> Result<Option<Insertion>, StoreError> {
        if self.has(Fault::KeysLookFree) {
            return Ok(None);
        }
        self.inner.earlier(owner, key, digest).await
    }

    async fn load(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let job = self.inner.load(id).await?;
        if job.is_none() && self.has(Fault::LoadsAnybody) {
            return Ok(self.everything().await?.pop());
        }
        Ok(job.map(|mut job| {
            if self.has(Fault::LosesUpdated) {
                job.updated = job.life.created;
            }
            job
        }))
    }

    async fn list(&self, query: &JobQuery) -> Result<Page<Job>, StoreError> {
        let mut query = query.clone();
        match self.fault {
            Fault::IgnoresOwner => query.owner = None,
            Fault::ListsNothing if query.limit == 0 => return Ok(Page::new(Vec::new(), None)),
            Fault::ListsByOffset => {
                let offset = query.after.map_or(0, |cursor| u128::from_be_bytes(cursor.key()));
                query.after = None;
                let limit = std::mem::replace(&mut query.limit, 200);
                let all = self.inner.list(&query).await?.items;
                let rest: Vec<_> = all
                    .into_iter()
                    .skip(usize::try_from(offset).unwrap_or(usize::MAX))
                    .collect();
                let seen = offset.saturating_add(u128::try_from(limit).unwrap_or(u128::MAX));
                return Ok(Page::from_probe(rest, limit, |_| seen.to_be_bytes()));
            }
            _ => {}
        }
        let mut page = self.inner.list(&query).await?;
        if self.has(Fault::ListsBackwards) {
            page.items.reverse();
        }
        Ok(page)
    }

    async fn claim(&self, mut claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let now = claim.now;
        match self.fault {
            Fault::IgnoresAccounts => claim.accounts = self.all_accounts(),
            Fault::IgnoresStarts => claim
                .accounts
                .iter_mut()
                .for_each(|share| share.starts = usize::MAX),
            Fault::IgnoresShares => claim
                .accounts
                .iter_mut()
                .for_each(|share| share.most = usize::MAX),
            Fault::ClaimsEarly => claim.now = now.saturating_add(Duration::from_millis(1)),
            Fault::ClaimsOverTheLimit => claim.limit += 1,
            Fault::ClaimsNewestFirst => {
                let limit = std::mem::replace(&mut claim.limit, 1000);
                let mut claimed = self.inner.claim(claim).await?;
                claimed.sort_by_key(|claimed| std::cmp::Reverse(claimed.job.life.due));
                for late in claimed.split_off(limit.min(claimed.len())) {
                    self.lapse(&late.lease, now).await?;
                }
                return Ok(claimed);
            }
            _ => {}
        }
        let mut claimed = self.inner.claim(claim).await?;
        for claimed in &mut claimed {
            self.seen().leases.insert(claimed.job.id, claimed.lease);
            match self.fault {
                Fault::ClaimsTwice => self.lapse(&claimed.lease, now).await?,
                Fault::BumpsVersionOnClaim => claimed.job.version += 1,
                Fault::EpochNeverRises => claimed.lease.epoch = 1,
                _ => {}
            }
        }
        if self.has(Fault::LeavesStrays) {
            claimed.retain(|claimed| claimed.job.life.due <= Some(now));
        }
        if self.has(Fault::SharesStrays) {
            let far = now.saturating_add(LONGEST_WAIT);
            let strays = claimed.iter().filter(|claimed| claimed.job.life.due > Some(far));
            let strays = strays.cloned().collect();
            claimed.extend(std::mem::replace(&mut self.seen().strays, strays));
        }
        if self.has(Fault::NeverReclaims) {
            let mut seen = self.seen();
            claimed.retain(|claimed| seen.claimed.insert(claimed.job.id));
        }
        if self.has(Fault::HandsOutFinished) {
            let finished = self.seen().finished.clone();
            claimed.extend(finished.into_iter().map(|job| {
                let lease = Lease::new(job.id, 99, now);
                Claimed::new(job, lease)
            }));
        }
        Ok(claimed)
    }

    async fn extend(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        match self.fault {
            Fault::NoFencing | Fault::EpochNeverRises => {
                self.inner.extend(&self.newest_lease(lease), until).await
            }
            Fault::ExtendsNothing => Ok(Lease::new(lease.job, lease.epoch, until)),
            _ => self.inner.extend(lease, until).await,
        }
    }

    async fn live(&self) -> Result<BTreeMap<AccountName, Live>, StoreError> {
        let mut live = self.inner.live().await?;
        if self.has(Fault::CountsSlotsOfAll) {
            let under_way = self.inner.counts().await?.processing;
            for live in live.values_mut() {
                live.running = under_way;
            }
        }
        Ok(live)
    }

    async fn next_due(&self, accounts: &[Share]) -> Result<Option<Timestamp>, StoreError> {
        match self.fault {
            Fault::IgnoresAccounts => self.inner.next_due(&self.all_accounts()).await,
            Fault::NextDueIgnoresLeases => Ok(self
                .everything()
                .await?
                .iter()
                .filter_map(|job| job.life.due)
                .min()),
            Fault::NextDueForgets => {
                let jobs = self.everything().await?;
                Ok(jobs.iter().map(|job| job.life.due.unwrap_or(job.updated)).max())
            }
            _ => self.inner.next_due(accounts).await,
        }
    }

    async fn commit(&self, mut commit: Commit) -> Result<Job, StoreError> {
        let id = commit.job;
        if self.has(Fault::KeepsAccounts) {
            commit.transfer = None;
        }
        let Some(now) = self.inner.load(id).await? else {
            if self.has(Fault::CommitsWhatIsUnknown) {
                return Err(StoreError::Stale(id));
            }
            return Err(StoreError::NoSuchJob(id));
        };
        match self.fault {
            Fault::IgnoresVersion => commit.version = now.version,
            Fault::NoFencing | Fault::EpochNeverRises => {
                commit.lease = commit.lease.map(|(lease, end)| (self.newest_lease(&lease), end));
            }
            Fault::StaleBeforeLost if commit.version != now.version => return Err(StoreError::Stale(id)),
            Fault::RevivesFinished if now.status().is_final() && commit.version == now.version => {
                let mut job = now;
                job.life = commit.life;
                return Ok(job);
            }
            Fault::ReleaseKeeps => commit.lease = commit.lease.map(|(lease, _)| (lease, LeaseEnd::Keep)),
            Fault::KeepReleases => commit.lease = commit.lease.map(|(lease, _)| (lease, LeaseEnd::Release)),
            Fault::LeaselessCommitTakesLease if commit.lease.is_none() => {
                let held = self.seen().leases.get(&id).copied();
                commit.lease = held.map(|lease| (lease, LeaseEnd::Release));
            }
            Fault::RefusesLongTasks => {
                let task = commit.life.state.upstream();
                if task.is_some_and(|task| task.as_str().len() > 2_704) {
                    return Err(StoreError::Full {
                        source: "the index row is too long".into(),
                    });
                }
            }
            Fault::ForgetsImages => commit.images.clear(),
            Fault::IgnoresSlots => commit.slots = None,
            Fault::HeedsCallbacksAgain => {
                if let Some(callback) = &mut commit.callback {
                    callback.mark = None;
                }
            }
            Fault::KeepsCallbacksOfRefused => {
                if let Some(callback) = &commit.callback {
                    self.inner.put_callbacks(std::slice::from_ref(callback)).await?;
                }
            }
            Fault::KeepsCharges if commit.billing == Billing::GiveBack => commit.billing = Billing::Keep,
            Fault::KeepsChargesOfMoved => {
                if let Some(transfer) = &mut commit.transfer {
                    transfer.cost = now.cost;
                    commit.budgets = Budgets::default();
                }
            }
            Fault::IgnoresOwnersOfMoved => commit.budgets.owner = Budget::default(),
            Fault::BackdatesMoves if commit.transfer.is_some() => commit.now = now.life.created,
            Fault::ChargesOnce if commit.billing == Billing::Again => commit.billing = Billing::Keep,
            Fault::ForgetsTrouble => commit.life.trouble = None,
            Fault::DropsProgress => commit.event = None,
            Fault::DropsWaits if commit.event.is_none() => return Ok(now),
            _ => {}
        }
        if self.has(Fault::KeepsImagesOfRefused) || self.has(Fault::DuplicatesImages) {
            let images = commit.images.iter().map(|image| (image.id, image.clone()));
            self.seen().images.extend(images);
        }
        let quiet = commit.event.is_none();
        let mut job = self.inner.commit(commit).await?;
        if job.status().is_final() {
            self.seen().finished.push(job.clone());
        }
        if quiet && self.has(Fault::SequenceRisesAlways) {
            job.sequence += 1;
        }
        Ok(job)
    }

    async fn history(&self, id: JobId, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        if self.has(Fault::HistoryOfAnybody) && self.inner.load(id).await?.is_none() {
            return self.inner.events(Position::START, limit).await;
        }
        let after = if self.has(Fault::HistoryFromStart) {
            0
        } else {
            after
        };
        let mut events = self.inner.history(id, after, limit).await?;
        match self.fault {
            Fault::DropsAnEvent => events.retain(|event| event.sequence != 3),
            Fault::NoCreatedEvent => events.retain(|event| event.sequence != 1),
            Fault::EventsOfNow => {
                let job = self.inner.load(id).await?;
                for (event, job) in events.iter_mut().zip(job.iter().cycle()) {
                    event.status = job.status();
                    event.stage = job.life.state.stage();
                }
            }
            _ => {}
        }
        Ok(events)
    }

    async fn events(&self, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        let after = match self.fault {
            Fault::SkipsEvents if after > Position::START => Position::new(after.get() + 1),
            _ => after,
        };
        let mut events = self.inner.events(after, limit).await?;
        if self.has(Fault::EventsBackwards) {
            events.sort_by_key(|event| std::cmp::Reverse(event.job));
        }
        Ok(events)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        if self.has(Fault::HeadStuck) {
            return Ok(Position::START);
        }
        self.inner.head().await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        if self.has(Fault::KeepsImagesOfRefused) {
            return Ok(self.seen().images.get(&id).cloned());
        }
        let image = self.inner.image(id).await?;
        if image.is_none() && self.has(Fault::LoadsAnybody) {
            return Err(StoreError::NoSuchJob(JobId::from_bytes(*id.as_bytes())));
        }
        Ok(image)
    }

    async fn put_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        if self.has(Fault::LosesUploads) {
            return Ok(());
        }
        self.inner.put_upload(upload).await
    }

    async fn uploads(&self, after: Option<Cursor>, limit: usize) -> Result<Page<Upload>, StoreError> {
        let after = after.filter(|_| !self.has(Fault::UploadsFromTheStart));
        self.inner.uploads(after, limit).await
    }

    async fn remove(&self, removal: &Removal) -> Result<(), StoreError> {
        let mut removal = removal.clone();
        match self.fault {
            Fault::RemovesChanged => {
                for (id, version) in &mut removal.jobs {
                    *version = self.inner.load(*id).await?.map_or(*version, |job| job.version);
                }
            }
            Fault::KeepsSinglePictures => removal.images.clear(),
            Fault::KeepsUploads => removal.uploads.clear(),
            Fault::KeepsJobs => {
                for (id, _) in std::mem::take(&mut removal.jobs) {
                    let images = self.inner.images(&ImageQuery::of(id)).await?.items;
                    removal.images.extend(images.iter().map(|image| image.id));
                }
            }
            _ => {}
        }
        self.inner.remove(&removal).await
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<ImageKey>, StoreError> {
        if self.has(Fault::LeavesNothingOver) {
            return Ok(Vec::new());
        }
        self.inner.leftovers(limit).await
    }

    async fn forget_leftovers(&self, keys: &[ImageKey]) -> Result<(), StoreError> {
        self.inner.forget_leftovers(keys).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.inner.upload(id).await
    }

    async fn images(&self, query: &ImageQuery) -> Result<Page<Image>, StoreError> {
        let mut query = query.clone();
        if self.has(Fault::IgnoresImageOwner) {
            query.owner = None;
        }
        let mut page = self.inner.images(&query).await?;
        match self.fault {
            Fault::ImagesById => page.items.sort_by_key(|image| image.id),
            Fault::ImagesOldestFirst => page.items.reverse(),
            Fault::DuplicatesImages => {
                let seen = self.seen();
                let all = seen.images.values().filter(|image| Some(image.job) == query.job);
                page.items = all.cloned().collect();
            }
            _ => {}
        }
        Ok(page)
    }

    async fn search(&self, search: &ImageSearch) -> Result<Page<Image>, StoreError> {
        let mut search = search.clone();
        match self.fault {
            Fault::SearchesLoosely => search.parameters.clear(),
            Fault::SearchesFromTheStart => search.after = None,
            _ => {}
        }
        let mut page = self.inner.search(&search).await?;
        if self.has(Fault::FindsWhatIsUnderWay) && page.items.is_empty() {
            page = self.inner.images(&ImageQuery::newest(search.limit)).await?;
        }
        Ok(page)
    }

    async fn mark(&self, id: ImageId, change: &MarkChange) -> Result<Option<Image>, StoreError> {
        let mut change = change.clone();
        if self.has(Fault::ForgetsTags) {
            change.tags = None;
        }
        let marked = self.inner.mark(id, &change).await?;
        if self.has(Fault::ForgetsPins) && change.pinned == Some(true) {
            self.inner.mark(id, &MarkChange::pin(false)).await?;
        }
        let known = self.inner.images(&ImageQuery::newest(1)).await?.items;
        Ok(marked.or_else(|| {
            known
                .into_iter()
                .next()
                .filter(|_| self.has(Fault::MarksAnything))
        }))
    }

    async fn put_callbacks(&self, records: &[CallbackRecord]) -> Result<(), StoreError> {
        let mut records = records.to_vec();
        match self.fault {
            Fault::DropsCallbackSources => records.iter_mut().for_each(|one| one.from = None),
            Fault::KeepsEveryCallback => self.seen().callbacks.extend(records.iter().cloned()),
            Fault::ForgetsCallbacks if records.iter().any(CallbackRecord::is_refused) => {
                self.seen().flooded = true;
            }
            _ => {}
        }
        self.inner.put_callbacks(&records).await
    }

    async fn callbacks(&self, query: &CallbackQuery) -> Result<Page<CallbackRecord>, StoreError> {
        let mut query = query.clone();
        if self.has(Fault::ListsCallbacksOfAnyTask) {
            query.task = None;
        }
        let mut page = self.inner.callbacks(&query).await?;
        if self.has(Fault::ForgetsCallbacks) && self.seen().flooded {
            page.items.retain(CallbackRecord::is_refused);
        }
        if self.has(Fault::KeepsEveryCallback) && page.next.is_none() {
            let seen = self.seen();
            let lost = seen.callbacks.iter().filter(|one| !page.items.contains(one));
            let lost: Vec<_> = lost.cloned().collect();
            page.items.extend(lost);
        }
        Ok(page)
    }

    async fn callback_tallies(&self) -> Result<BTreeMap<Verdict, CallbackTally>, StoreError> {
        let mut tallies = self.inner.callback_tallies().await?;
        if self.has(Fault::CountsHeededCallbacksOnly) {
            tallies.retain(|verdict, _| !verdict.is_refusal());
        }
        Ok(tallies)
    }

    async fn job_of_task(
        &self,
        account: &AccountName,
        task: &UpstreamId,
    ) -> Result<Option<JobId>, StoreError> {
        if !self.has(Fault::FindsTasksAnywhere) {
            return self.inner.job_of_task(account, task).await;
        }
        let jobs = self.everything().await?;
        let found = jobs.iter().find(|job| job.life.state.upstream() == Some(task));
        Ok(found.map(|job| job.id))
    }

    async fn spent(&self, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, StoreError> {
        let mut spent = self.inner.spent(purses, now).await?;
        if self.has(Fault::SpendsAhead) {
            let tomorrow = now.saturating_add(Duration::from_secs(86_400));
            for (spent, later) in spent.iter_mut().zip(self.inner.spent(purses, tomorrow).await?) {
                spent.day = spent.day.saturating_add(later.day);
            }
        }
        Ok(spent)
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let mut counts = self.inner.counts().await?;
        if self.has(Fault::CountsWrong) {
            counts.pending += counts.completed;
        }
        Ok(counts)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.has(Fault::PingFails) {
            return Err(StoreError::Full {
                source: "no room".into(),
            });
        }
        self.inner.ping().await
    }

    fn changes(&self) -> Changes {
        if self.has(Fault::NoSignal) {
            return self.silent.subscribe();
        }
        self.inner.changes()
    }
}

fn reference() -> Arc<dyn JobStore> {
    Arc::new(MemoryJobStore::new())
}

fn broken(fault: Fault) -> Arc<dyn JobStore> {
    Arc::new(Broken::new(fault))
}

super::bites! {
    job_store, reference, broken;
    duplicate_ids: AcceptsDuplicateIds => [insert_is_all_or_nothing],
    version_on_claim: BumpsVersionOnClaim => [claim_changes_nothing_a_reader_sees],
    free_jobs: ChargesNobody => [jobs_are_charged_to_both_purses],
    ignored_budgets: IgnoresBudgets => [a_budget_is_never_exceeded],
    kept_charges: KeepsCharges => [a_free_end_gives_the_charge_back],
    kept_charges_of_moved_jobs: KeepsChargesOfMoved => [a_move_takes_the_charge_along],
    ignored_owners_of_moved_jobs: IgnoresOwnersOfMoved => [a_move_keeps_to_the_budget_of_the_owner],
    backdated_moves: BackdatesMoves => [a_move_is_charged_when_it_is_made],
    a_charge_for_two: ChargesOnce => [a_charge_made_again_leaves_the_first],
    days_to_come: SpendsAhead => [what_is_charged_ahead_is_not_spent_yet],
    early_claims: ClaimsEarly => [
        claim_hands_out_only_what_is_due,
        a_leased_job_is_claimed_again_only_after_its_lease,
        a_leased_job_that_is_not_due_stays_put
    ],
    newest_first_claims: ClaimsNewestFirst => [claim_takes_the_longest_due_first],
    claims_over_the_limit: ClaimsOverTheLimit => [claim_respects_its_limit],
    claims_twice: ClaimsTwice => [claim_is_exclusive],
    commits_of_unknown_jobs: CommitsWhatIsUnknown => [commit_of_an_unknown_job_is_refused],
    slots_of_all: CountsSlotsOfAll => [live_counts_what_waits_and_what_runs],
    wrong_counts: CountsWrong => [counts_follow_the_jobs],
    a_dropped_event: DropsAnEvent => [history_is_in_order_without_gaps],
    dropped_progress: DropsProgress => [commit_counts_version_and_sequence, changes_rise_after_a_commit],
    dropped_waits: DropsWaits => [commit_without_an_event_keeps_the_sequence],
    duplicate_images: DuplicatesImages => [images_are_replaced_by_place],
    an_epoch_that_never_rises: EpochNeverRises => [a_leased_job_is_claimed_again_only_after_its_lease],
    events_backwards: EventsBackwards => [events_come_in_the_order_of_commits],
    events_of_now: EventsOfNow => [events_tell_the_life_after_them],
    extends_nothing: ExtendsNothing => [
        extend_makes_a_lease_last,
        extend_saves_a_lease_that_ran_out_unclaimed,
        extend_after_a_takeover_is_refused
    ],
    forgotten_batches: ForgetsBatches => [insert_keeps_order_and_batch],
    forgotten_images: ForgetsImages => [images_come_with_their_commit],
    forgotten_parents: ForgetsParents => [every_request_survives],
    forgotten_trouble: ForgetsTrouble => [every_state_survives],
    finished_jobs_handed_out: HandsOutFinished => [a_finished_job_is_never_claimed],
    a_stuck_head: HeadStuck => [head_is_the_newest_event],
    history_from_the_start: HistoryFromStart => [history_goes_on_after_a_sequence],
    history_of_anybody: HistoryOfAnybody => [history_of_an_unknown_job_is_empty],
    ignored_accounts: IgnoresAccounts => [
        claim_keeps_to_its_accounts,
        next_due_looks_at_its_accounts_only
    ],
    ignored_digest: IgnoresDigest => [insert_refuses_another_request_under_a_used_key],
    ignored_image_owner: IgnoresImageOwner => [images_are_listed_by_owner],
    ignored_keys: IgnoresKeys => [insert_replays_an_equal_request, insert_under_one_key_happens_once],
    ignored_owner: IgnoresOwner => [
        list_filters_by_owner_status_and_batch,
        list_filters_and_pages_together
    ],
    ignored_shares: IgnoresShares => [claim_takes_no_more_of_an_account_than_its_share],
    ignored_starts: IgnoresStarts => [claim_starts_no_more_than_its_share],
    ignored_version: IgnoresVersion => [
        commit_on_an_old_version_is_refused,
        commit_race_has_one_winner,
        commit_without_a_lease_outdates_the_holder
    ],
    images_by_id: ImagesById => [images_of_a_job_come_in_their_order],
    images_oldest_first: ImagesOldestFirst => [images_are_listed_newest_first],
    kept_accounts: KeepsAccounts => [commit_can_move_a_job_to_another_account],
    keep_that_releases: KeepReleases => [a_kept_lease_still_holds_after_a_commit],
    images_of_refused_commits: KeepsImagesOfRefused => [images_of_a_refused_commit_are_not_kept],
    keys_of_all_owners: KeysOfAllOwners => [insert_takes_a_key_per_owner],
    keys_that_look_free: KeysLookFree => [earlier_answers_as_insert_would],
    strays_left_alone: LeavesStrays => [claim_takes_what_lies_too_far_ahead],
    callbacks_without_a_source: DropsCallbackSources => [callbacks_are_found_again_as_they_were],
    callbacks_heeded_again: HeedsCallbacksAgain => [a_callback_is_heeded_once],
    callbacks_of_refused_commits: KeepsCallbacksOfRefused => [a_callback_of_a_refused_commit_is_not_kept],
    callbacks_kept_for_ever: KeepsEveryCallback => [
        refused_callbacks_are_forgotten_and_others_known,
        callbacks_are_kept_by_the_number_of_their_kind
    ],
    callbacks_driven_out: ForgetsCallbacks => [
        refused_callbacks_are_forgotten_and_others_known,
        callbacks_are_kept_by_the_number_of_their_kind
    ],
    callbacks_counted_in_part: CountsHeededCallbacksOnly => [callbacks_are_counted_by_verdict],
    callbacks_of_any_task: ListsCallbacksOfAnyTask => [callbacks_are_found_by_their_task],
    tasks_found_anywhere: FindsTasksAnywhere => [a_task_is_found_while_its_job_is_under_way],
    strays_handed_to_all: SharesStrays => [claim_hands_what_lies_too_far_ahead_to_one_worker],
    slots_ignored: IgnoresSlots => [commit_takes_no_more_slots_than_there_are],
    long_tasks: RefusesLongTasks => [an_answer_in_the_place_of_a_task_survives],
    removed_after_a_change: RemovesChanged => [what_has_changed_or_is_not_over_is_not_removed],
    removed_jobs_that_stay: KeepsJobs => [what_is_removed_is_gone_with_all_that_was_its_own],
    pictures_that_stay: KeepsSinglePictures => [a_picture_can_go_alone],
    uploads_that_stay: KeepsUploads => [an_upload_can_be_removed],
    the_same_uploads_again: UploadsFromTheStart => [uploads_are_listed_newest_first],
    files_that_nobody_removes: LeavesNothingOver => [files_of_what_was_removed_are_told_until_they_are_gone],
    a_commit_that_takes_the_lease: LeaselessCommitTakesLease => [commit_without_a_lease_outdates_the_holder],
    list_backwards: ListsBackwards => [list_is_newest_first],
    list_by_offset: ListsByOffset => [list_pages_stay_stable_under_inserts],
    empty_pages: ListsNothing => [list_limits_are_clamped],
    anybody_loaded: LoadsAnybody => [load_of_an_unknown_job_is_none, image_lookup_of_an_unknown_id_is_none],
    lost_uploads: LosesUploads => [uploads_are_found_again_as_they_were],
    a_lost_time: LosesUpdated => [commit_returns_what_load_reads],
    never_reclaimed: NeverReclaims => [
        a_leased_job_is_claimed_again_only_after_its_lease,
        a_released_job_can_be_claimed_at_once
    ],
    a_forgetful_next_due: NextDueForgets => [
        next_due_is_the_earliest_due_time,
        next_due_skips_what_is_over
    ],
    next_due_without_leases: NextDueIgnoresLeases => [next_due_waits_for_the_end_of_a_lease],
    no_created_event: NoCreatedEvent => [insert_tells_one_created_event],
    no_fencing: NoFencing => [
        stale_lease_is_fenced,
        extend_after_a_takeover_is_refused,
        random_operations_match_the_reference
    ],
    no_signal: NoSignal => [changes_rise_after_an_insert, changes_rise_after_a_commit],
    an_insert_in_pieces: NotAtomic => [insert_is_all_or_nothing],
    a_ping_that_fails: PingFails => [ping_of_a_healthy_store_works],
    release_that_keeps: ReleaseKeeps => [a_released_job_can_be_claimed_at_once],
    blind_replays: ReplaysBlindly => [insert_without_a_key_never_replays],
    revived_jobs: RevivesFinished => [a_finished_job_never_changes],
    pictures_of_jobs_under_way: FindsWhatIsUnderWay => [search_finds_completed_jobs_only],
    pins_that_do_not_hold: ForgetsPins => [what_is_pinned_is_not_removed],
    forgotten_tags: ForgetsTags => [marks_are_kept_and_found],
    marks_on_anything: MarksAnything => [a_mark_of_an_unknown_picture_is_none],
    the_first_page_again: SearchesFromTheStart => [search_pages_stay_stable_while_pictures_go],
    loose_searches: SearchesLoosely => [search_finds_what_all_that_was_said_holds_for],
    sequence_without_event: SequenceRisesAlways => [commit_without_an_event_keeps_the_sequence],
    skipped_events: SkipsEvents => [events_go_on_without_missing_any],
    the_wrong_refusal: StaleBeforeLost => [stale_lease_is_fenced],
    trimmed_texts: TrimsTexts => [odd_texts_survive],
}

#[test]
fn every_case_bites() {
    super::assert_all_bite(CASES, CAUGHT_BY, &["insert_returns_what_load_reads"]);
}
