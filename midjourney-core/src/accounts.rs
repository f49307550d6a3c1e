//! Accounts: which upstream a job runs on, with whose credentials and within which limits.
//!
//! A new job goes to the account that the pool's [`Strategy`] chooses and stays there; follow-ups stay on their
//! parent's. How an account is doing is learned from its calls ([`Health`]): one that fails, is out of credit or needs a
//! person gets no new work but a probe now and then, while its running jobs are still looked after.

mod choose;
mod health;
mod notices;
mod price;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tracing::{info, warn};

use self::{choose::Candidate, health::lies_ahead, notices::Notices};
pub use self::{
    health::{Condition, Health, Signal},
    notices::Notice,
};
use crate::{
    budget::{Budget, Credits, Prices},
    client::{MidjourneyClient, ParentTask},
    clock::Timestamp,
    job::{AccountName, InputImage, JobRequest, Live, PictureForm},
    prompt::{self, Speed},
};

/// How a pool shares out new jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// To the account with the fewest jobs for each of its slots.
    #[default]
    LeastBusy,
    /// To each in turn.
    RoundRobin,
    /// By chance, in proportion to the weights.
    Weighted,
    /// To the first in rank that has room.
    Priority,
}

/// What an account may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever sets limits should see each of them"
)]
pub struct Limits {
    /// How many jobs it runs at once; `None` leaves that to the upstream.
    pub slots: Option<u32>,
    /// How many may wait behind those; `None` is any number.
    pub queue: Option<u32>,
    /// How many may be started within a minute, by one process; `None` is any number.
    pub per_minute: Option<u32>,
    /// Its share under [`Strategy::Weighted`], at least 1.
    pub weight: u32,
    /// Its rank under [`Strategy::Priority`]; the lowest first.
    pub priority: u32,
}

impl Limits {
    /// How many jobs it may have at once, running and waiting; `None` is any number.
    pub fn most(&self) -> Option<usize> {
        let most = self.slots?.saturating_add(self.queue?);
        Some(usize::try_from(most).unwrap_or(usize::MAX))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            slots: None,
            queue: None,
            per_minute: None,
            weight: 1,
            priority: 0,
        }
    }
}

/// How fast an account can draw.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Modes {
    /// The modes it has; prompts that ask for another are not its own. Those that ask for none always are.
    pub speeds: Vec<Speed>,
    /// Whether jobs are drawn in relax mode while there is no credit for another.
    pub fall_back: bool,
}

impl Modes {
    /// These modes, falling back to relax mode or not.
    pub const fn new(speeds: Vec<Speed>, fall_back: bool) -> Self {
        Self { speeds, fall_back }
    }

    /// Whether a prompt is drawn in a mode that it has.
    pub fn has(&self, prompt: &str) -> bool {
        self.speeds.len() == Speed::ALL.len()
            || prompt::speed(prompt).is_none_or(|speed| self.speeds.contains(&speed))
    }
}

impl Default for Modes {
    /// Every mode, and no way back.
    fn default() -> Self {
        Self::new(Speed::ALL.to_vec(), false)
    }
}

/// One account.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Account {
    /// Its name, which the operator gave it. Jobs are stored under it.
    pub name: AccountName,
    /// The upstream with its credentials.
    pub client: Arc<dyn MidjourneyClient>,
    /// What it may be given.
    pub limits: Limits,
    /// What it charges.
    pub prices: Prices,
    /// What may be spent on it.
    pub budget: Budget,
    /// How fast it can draw.
    pub modes: Modes,
}

impl Account {
    /// An account without limits of ours.
    pub fn new(name: AccountName, client: Arc<dyn MidjourneyClient>) -> Self {
        Self {
            name,
            client,
            limits: Limits::default(),
            prices: Prices::default(),
            budget: Budget::default(),
            modes: Modes::default(),
        }
    }

    /// The same account with these modes.
    pub fn with_modes(mut self, modes: Modes) -> Self {
        self.modes = modes;
        self
    }

    /// The same account at these prices and within this budget.
    pub fn with_prices(mut self, prices: Prices, budget: Budget) -> Self {
        self.prices = prices;
        self.budget = budget;
        self
    }

    /// What `request` costs here, by estimate.
    pub fn cost(&self, request: &JobRequest) -> Credits {
        if self.prices == Prices::default() {
            return Credits::ZERO;
        }
        price::of(&self.prices, request.action, prompt::speed(&request.prompt))
    }

    /// Whether it takes `request`, which starts from no job of ours; `links` tells whether our files have links. Free.
    pub fn takes(&self, request: &JobRequest, links: bool) -> bool {
        let can = self.client.capabilities();
        let fits = |form: PictureForm, picture: &InputImage| {
            links || form != PictureForm::Link || matches!(picture, InputImage::Url(_))
        };
        request.images.iter().all(|picture| fits(can.pictures, picture))
            && request.mask.iter().all(|mask| fits(can.mask, mask))
            && self.modes.has(&request.prompt)
            && self.client.check(request, None).is_ok()
    }

    /// What is asked for in place of `request` while it draws in relax mode; `None` for what cannot be drawn in it.
    pub fn slowed(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Option<JobRequest> {
        let mut slowed = request.clone();
        slowed.prompt = prompt::at_speed(&request.prompt, Speed::Relax)?;
        self.client.check(&slowed, parent).is_ok().then_some(slowed)
    }

    /// The same account within `limits`.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// The accounts that this process can work for. Clones share what they learn about each other's health.
#[derive(Clone, Debug)]
pub struct Accounts {
    all: Vec<Account>,
    strategy: Strategy,
    learned: Arc<Mutex<Learned>>,
    noticed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Learned {
    health: HashMap<AccountName, Health>,
    /// How many jobs were given out.
    turn: u64,
    /// Workers that are about to start a job of an account.
    starting: HashMap<AccountName, usize>,
    /// When the last jobs of an account were started, for a minute.
    started: HashMap<AccountName, VecDeque<Timestamp>>,
    /// What is wrong with accounts that are not ok.
    troubles: HashMap<AccountName, Trouble>,
    /// Accounts that draw in relax mode, and until when.
    relaxed: HashMap<AccountName, Timestamp>,
    notices: Notices,
}

/// What is wrong with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// Since when it is so.
    pub since: Timestamp,
    /// Why, in one sentence.
    pub reason: String,
}

/// What [`Limits::per_minute`] counts in.
const MINUTE: Duration = Duration::from_secs(60);

/// A job that is about to be started; over when dropped.
#[derive(Debug)]
pub struct Starting {
    account: AccountName,
    learned: Arc<Mutex<Learned>>,
    /// Not in the store yet as a job that holds a slot.
    counts: bool,
    /// Where it is a probe: the health without it, and with it.
    probe: Option<(Health, Health)>,
}

impl Starting {
    /// The start is in the store: whoever counts the account's slots sees it there.
    pub fn committed(&mut self) {
        if std::mem::take(&mut self.counts) {
            let mut learned = lock(&self.learned);
            if let Some(count) = learned.starting.get_mut(&self.account) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// The upstream is being asked: a probe is used up.
    pub const fn called(&mut self) {
        self.probe = None;
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.committed();
        if let Some((without, with)) = self.probe {
            let mut learned = lock(&self.learned);
            if learned.health.get(&self.account) == Some(&with) {
                learned.health.insert(self.account.clone(), without);
            }
        }
    }
}

/// Whether a start counts in the minute that ends at `now`.
fn is_lately(start: Timestamp, now: Timestamp) -> bool {
    start <= now && now.saturating_since(start) < MINUTE
}

fn lock(learned: &Mutex<Learned>) -> MutexGuard<'_, Learned> {
    learned.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Accounts {
    /// One account without limits of ours, which takes every new job.
    pub fn single(name: AccountName, client: Arc<dyn MidjourneyClient>) -> Self {
        Self::new(Strategy::default()).with(Account::new(name, client))
    }

    /// A pool without accounts so far.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            all: Vec::new(),
            strategy,
            learned: Arc::default(),
            noticed: Arc::default(),
        }
    }

    /// The same accounts and one more. One of the same name is replaced.
    pub fn with(mut self, account: Account) -> Self {
        self.all.retain(|present| present.name != account.name);
        self.all.push(account);
        self
    }

    /// Every account, in their order.
    pub fn all(&self) -> &[Account] {
        &self.all
    }

    /// The account of this name, or `None` where this process has no such account.
    pub fn get(&self, name: &AccountName) -> Option<&Account> {
        self.all.iter().find(|account| account.name == *name)
    }

    /// The upstream behind an account, or `None` where this process has no such account.
    pub fn client(&self, name: &AccountName) -> Option<&Arc<dyn MidjourneyClient>> {
        self.get(name).map(|account| &account.client)
    }

    /// The names of all accounts.
    pub fn names(&self) -> Vec<AccountName> {
        self.all.iter().map(|account| account.name.clone()).collect()
    }

    /// How an account is doing.
    pub fn condition(&self, name: &AccountName) -> Condition {
        let learned = lock(&self.learned);
        learned.health.get(name).map_or(Condition::Ok, Health::condition)
    }

    /// The account that takes `jobs` new jobs of one request, of those that `can` do it; `None` where none can, or none
    /// has room for them. `live` tells what each has to do.
    pub fn choose(
        &self,
        live: &BTreeMap<AccountName, Live>,
        jobs: usize,
        now: Timestamp,
        chance: f64,
        can: impl Fn(&Account) -> bool,
    ) -> Option<&Account> {
        let mut learned = lock(&self.learned);
        let able: Vec<_> = self.all.iter().filter(|account| can(account)).collect();
        let has = |account: &Account| {
            live.get(&account.name)
                .map_or(0, |live| live.pending.saturating_add(live.running))
        };
        let candidates: Vec<_> = able
            .iter()
            .map(|account| Candidate {
                open: learned.waits_until(account, now).is_none(),
                jobs: has(account),
                slots: account.limits.slots.unwrap_or(u32::MAX),
                queue: account.limits.queue.unwrap_or(u32::MAX),
                weight: account.limits.weight,
                priority: account.limits.priority,
            })
            .collect();
        let place = choose::choose(&candidates, jobs, self.strategy, learned.turn, chance)?;
        learned.turn = learned.turn.wrapping_add(1);
        able.get(place).copied()
    }

    /// How many jobs of each account are about to be started and cannot be seen in the store yet. To be asked before the
    /// store is: what is committed in between counts twice then, instead of not at all.
    pub fn about_to_start(&self) -> HashMap<AccountName, usize> {
        lock(&self.learned).starting.clone()
    }

    /// How many jobs of `account` may be started now, `busy` of its slots being taken; or when to look again where its
    /// health allows none.
    pub fn starts(&self, account: &Account, busy: usize, now: Timestamp) -> Result<usize, Timestamp> {
        let learned = lock(&self.learned);
        if let Some(until) = learned.waits_until(account, now) {
            return Err(until);
        }
        let slots = account
            .limits
            .slots
            .map_or(usize::MAX, |slots| usize::try_from(slots).unwrap_or(usize::MAX));
        let free = slots.saturating_sub(busy).min(learned.room(account, now));
        let probing = learned.condition(&account.name) != Condition::Ok;
        let starting = learned.starting.get(&account.name).copied().unwrap_or(0);
        Ok(if probing {
            free.min(1).saturating_sub(starting)
        } else {
            free
        })
    }

    /// The open account, other than `from`, that takes a job which waits at an account that takes none; `None` where no
    /// other can.
    pub fn elsewhere(
        &self,
        from: &AccountName,
        live: &BTreeMap<AccountName, Live>,
        now: Timestamp,
        chance: f64,
        can: impl Fn(&Account) -> bool,
    ) -> Option<&Account> {
        let open = |account: &Account| {
            account.name != *from && self.waits_until(&account.name, now).is_none() && can(account)
        };
        // Asked before, since the choice itself holds the lock.
        let able: Vec<_> = self.all.iter().map(open).collect();
        let place = |account: &Account| self.all.iter().position(|one| one.name == account.name);
        self.choose(live, 1, now, chance, |account| {
            place(account)
                .and_then(|place| able.get(place))
                .copied()
                .unwrap_or(false)
        })
    }

    /// When an account takes new work again; `None` where it takes some now.
    pub fn waits_until(&self, name: &AccountName, now: Timestamp) -> Option<Timestamp> {
        lock(&self.learned).waits_until(self.get(name)?, now)
    }

    /// Notes that an account has no credit for the speed that was asked for; whether it goes on in relax mode. Nothing is
    /// known against that then: an account that had run out of both may have it again.
    pub fn slow_down(&self, name: &AccountName, now: Timestamp) -> bool {
        let falls_back =
            |account: &Account| account.modes.fall_back && account.modes.speeds.contains(&Speed::Relax);
        if !self.get(name).is_some_and(falls_back) {
            return false;
        }
        let until = now.saturating_add(health::PROBE_STUCK);
        if lock(&self.learned).relaxed.insert(name.clone(), until).is_none() {
            warn!(account = %name, "no credit for fast mode; drawing in relax mode");
        }
        self.note(name, Signal::Answered, None, now);
        true
    }

    /// Whether an account draws in relax mode at the moment, whatever prompts ask for.
    pub fn is_relaxed(&self, name: &AccountName, now: Timestamp) -> bool {
        self.relaxed_until(name, now).is_some()
    }

    /// Until when an account draws in relax mode; `None` where it draws as it is asked.
    pub fn relaxed_until(&self, name: &AccountName, now: Timestamp) -> Option<Timestamp> {
        let until = lock(&self.learned).relaxed.get(name).copied();
        until.filter(|until| lies_ahead(*until, now))
    }

    /// Until when `request`, which starts from no job of ours, cannot be drawn by `account`: it has credit for relax mode
    /// only, and that is no way to draw this.
    pub fn too_slow_until(
        &self,
        account: &Account,
        request: &JobRequest,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let until = self.relaxed_until(&account.name, now)?;
        account.slowed(request, None).is_none().then_some(until)
    }

    /// Notes that a job of `name` is about to be started; or tells when to look again where the account takes none.
    pub fn start(&self, name: &AccountName, now: Timestamp) -> Result<Starting, Timestamp> {
        let mut learned = lock(&self.learned);
        if let Some(account) = self.get(name) {
            if let Some(until) = learned.waits_until(account, now) {
                return Err(until);
            }
            if account.limits.per_minute.is_some() {
                let started = learned.started.entry(name.clone()).or_default();
                started.retain(|at| is_lately(*at, now));
                started.push_back(now);
            }
        }
        *learned.starting.entry(name.clone()).or_default() += 1;
        let probe = learned.health.get_mut(name).map(|health| {
            let without = *health;
            *health = health.probing(now);
            (without, *health)
        });
        Ok(Starting {
            account: name.clone(),
            learned: Arc::clone(&self.learned),
            counts: true,
            probe,
        })
    }

    /// Whether an account did not answer in time when it was last asked anything.
    pub fn hangs(&self, name: &AccountName) -> bool {
        lock(&self.learned).health.get(name).is_some_and(Health::hangs)
    }

    /// What is wrong with an account; `None` while it is ok.
    pub fn trouble(&self, name: &AccountName) -> Option<Trouble> {
        lock(&self.learned).troubles.get(name).cloned()
    }

    /// The oldest notice that was not [told](Self::told) yet.
    pub fn notice(&self) -> Option<Notice> {
        lock(&self.learned).notices.first().cloned()
    }

    /// A notice was told.
    pub fn told(&self, notice: &Notice) {
        lock(&self.learned).notices.told(notice);
    }

    /// Returns once there may be another [notice](Self::notice); one waits for them at a time.
    ///
    /// **Cancel safety:** a notice that comes while nobody waits ends the next wait at once.
    pub async fn noticed(&self) {
        self.noticed.notified().await;
    }

    /// Notes what a call for `name` came to, and why where it failed. A change of its condition is logged, once.
    pub fn note(&self, name: &AccountName, signal: Signal, why: Option<&str>, now: Timestamp) {
        let (before, after) = {
            let mut learned = lock(&self.learned);
            let before = learned.health.get(name).copied().unwrap_or_default();
            let after = before.after(signal, now);
            if after == Health::default() {
                learned.health.remove(name);
            } else {
                learned.health.insert(name.clone(), after);
            }
            let (before, after) = (before.condition(), after.condition());
            let reason = (after != Condition::Ok).then(|| why.unwrap_or_default().to_owned());
            let notice = Notice {
                account: name.clone(),
                condition: after,
                reason,
                at: now,
            };
            if learned.notices.note(notice) {
                self.noticed.notify_one();
            }
            if after == Condition::Ok {
                learned.troubles.remove(name);
            } else if before != after {
                let reason = why.unwrap_or_default().to_owned();
                let trouble = Trouble { since: now, reason };
                learned.troubles.insert(name.clone(), trouble);
            }
            (before, after)
        };
        if before == after {
            return;
        }
        if after == Condition::Ok {
            info!(account = %name, was = before.name(), "the account works again");
        } else {
            let why = why.unwrap_or_default();
            warn!(account = %name, condition = after.name(), why, "the account gets no new work for now");
        }
    }
}

impl Learned {
    /// How many more jobs of `account` may be started in the minute that ends at `now`.
    fn room(&self, account: &Account, now: Timestamp) -> usize {
        let Some(most) = account.limits.per_minute else {
            return usize::MAX;
        };
        let lately = self.lately(account, now).count();
        usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(lately)
    }

    /// When jobs of `account` were started in the minute that ends at `now`, the earliest first.
    fn lately(&self, account: &Account, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let started = self.started.get(&account.name).into_iter().flatten().copied();
        started.filter(move |at| is_lately(*at, now))
    }

    fn condition(&self, name: &AccountName) -> Condition {
        self.health.get(name).map_or(Condition::Ok, Health::condition)
    }

    /// Its health may allow no new work before then, or its rate.
    fn waits_until(&self, account: &Account, now: Timestamp) -> Option<Timestamp> {
        let health = self.health.get(&account.name);
        let health = health.and_then(|health| health.waits_until(now));
        let rate = (self.room(account, now) == 0)
            .then(|| {
                let most = usize::try_from(account.limits.per_minute?).ok()?;
                let first = self.lately(account, now).count().checked_sub(most)?;
                Some(self.lately(account, now).nth(first)?.saturating_add(MINUTE))
            })
            .flatten();
        health.max(rate)
    }
}
