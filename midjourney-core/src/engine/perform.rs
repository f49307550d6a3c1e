//! One worker: one job, step by step, until it has to wait.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::{
    EngineConfig, Parts,
    download::{self, Missing, Round},
    effects, lease,
};
use crate::{
    accounts::{Account, Starting},
    client::{MidjourneyClient, Submission},
    clock::Timestamp,
    error::{Applied, Chain},
    image::Image,
    job::{
        CallbackQuery, Claimed, Commit, Failure, FailureKind, Input, Job, JobState, Lease, LeaseEnd, Life,
        Moment, Nonce, PARKED_FOR, Phase, Resume, Status, StoreError, Transfer, UpstreamId, Verdict, resume,
        step,
    },
};

/// How often a commit is tried while the store fails in a passing way. What is about to be written, such as the
/// upstream's answer to a paid submit, exists nowhere else.
const COMMIT_TRIES: u32 = 30;

pub(super) struct Worker {
    parts: Arc<Parts>,
    config: EngineConfig,
    stopping: watch::Receiver<bool>,
    job: Job,
    lease: Lease,
    /// Where the account takes this job, be it as a probe.
    starting: Option<Starting>,
}

/// The mark of the submit that a job waits to hear about.
const fn nonce(state: &JobState) -> Option<&Nonce> {
    match state {
        JobState::Submitting { nonce } | JobState::SubmitUnknown { nonce, .. } => Some(nonce),
        _ => None,
    }
}

/// Whether two lives differ in times only, which every try at a commit takes anew.
fn is_same(one: &Life, other: &Life) -> bool {
    one.state == other.state && one.cancel_requested == other.cancel_requested
}

/// Whether the worker goes on with its job.
enum Next {
    GoOn,
    LetGo,
}

impl Worker {
    pub(super) fn new(
        parts: Arc<Parts>,
        config: EngineConfig,
        stopping: watch::Receiver<bool>,
        claimed: Claimed,
        starting: Option<Starting>,
    ) -> Self {
        Self {
            parts,
            config,
            stopping,
            job: claimed.job,
            lease: claimed.lease,
            starting,
        }
    }

    /// Takes the job as far as it goes without waiting.
    pub(super) async fn run(mut self) {
        let Some(client) = self.parts.accounts.client(&self.job.account).map(Arc::clone) else {
            // Claims name the accounts of this process, so a store that gets here broke its contract.
            error!(account = %self.job.account, "claimed a job of a foreign account");
            return;
        };
        if self.job.status() == Status::Pending && self.parked().await {
            return;
        }
        while let Next::GoOn = self.advance(&client).await {}
    }

    /// Deals with a job that waits at an account which takes none: nothing was spent on it, so it may go to another
    /// account, unless it starts from a picture that only this one has. Whether there was such a case.
    async fn parked(&mut self) -> bool {
        let (parts, now) = (Arc::clone(&self.parts), self.parts.clock.now());
        let Some(until) = self.waits_until(now) else {
            return false;
        };
        let live = parts.jobs.live().await.unwrap_or_default();
        let chance = parts.entropy.chance();
        let mut overdrawn = Vec::new();
        loop {
            let fits = |account: &Account| !overdrawn.contains(&account.name) && self.fits(account);
            let other = parts
                .accounts
                .elsewhere(&self.job.account, &live, now, chance, fits);
            let Some(other) = other else {
                self.apply(Input::Deferred { until }, Vec::new()).await;
                return true;
            };
            let transfer = Transfer {
                account: other.name.clone(),
                cost: other.cost(&self.job.request),
            };
            let commit = Commit::new(&self.job, self.job.life.clone(), None, now)
                .under(self.lease, LeaseEnd::Release)
                .within(parts.budgets(&other.name))
                .moving_to(transfer);
            match parts.jobs.commit(commit).await {
                Ok(job) => {
                    info!(from = %self.job.account, to = %job.account, "moved to an account that takes it");
                    return true;
                }
                Err(StoreError::Overdrawn(no)) => {
                    debug!(purse = %no.purse, "no budget for the job there");
                    overdrawn.push(other.name.clone());
                }
                Err(error) => {
                    debug!(error = %Chain(&error), "the job was not moved; it is taken up again");
                    return true;
                }
            }
        }
    }

    /// Until when the account does not take this job; `None` where it does, which is noted as a start.
    fn waits_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        let (accounts, job) = (&self.parts.accounts, &self.job);
        // What starts from a picture stays with it, however slow that is.
        let account = accounts
            .get(&job.account)
            .filter(|_| job.request.parent.is_none());
        if let Some(until) = account.and_then(|it| accounts.too_slow_until(it, &job.request, now)) {
            self.starting = None;
            return Some(until);
        }
        if self.starting.is_none() {
            match accounts.start(&job.account, now) {
                Ok(starting) => self.starting = Some(starting),
                Err(until) => return Some(until),
            }
        }
        None
    }

    async fn advance(&mut self, client: &Arc<dyn MidjourneyClient>) -> Next {
        match resume(&self.job.life.state, client.capabilities()) {
            Resume::Start => self.start(client).await,
            Resume::SubmitAgain => match self.nonce() {
                Some(nonce) => match self.submission(client, &nonce).await {
                    Ok(submission) => self.submit(client, &submission).await,
                    // An earlier submit may have arrived: that this one cannot leave says nothing about it.
                    Err(Input::Refused(failure) | Input::NotAccepted { failure, .. }) => {
                        self.apply(Input::AnswerLost(failure), Vec::new()).await
                    }
                    Err(input) => self.apply(input, Vec::new()).await,
                },
                None => Next::LetGo,
            },
            Resume::Reconcile => match self.nonce() {
                Some(nonce) => {
                    let (parts, job) = (Arc::clone(&self.parts), self.job.clone());
                    let input = self.held(effects::reconcile(&parts, client, &job, &nonce)).await;
                    self.apply(input, Vec::new()).await
                }
                None => Next::LetGo,
            },
            Resume::Confirm => match self.job.life.state.upstream().cloned() {
                Some(upstream) => self.confirm(client, &upstream).await,
                None => Next::LetGo,
            },
            Resume::Poll => match self.job.life.state.upstream().cloned() {
                Some(upstream) => {
                    let input = {
                        let (parts, job) = (Arc::clone(&self.parts), self.job.clone());
                        self.held(effects::poll(&parts, client, &job, &upstream)).await
                    };
                    self.apply(input, Vec::new()).await
                }
                None => Next::LetGo,
            },
            Resume::Cancel => match self.job.life.state.upstream().cloned() {
                Some(upstream) => {
                    let input = {
                        let (parts, job) = (Arc::clone(&self.parts), self.job.clone());
                        self.held(effects::cancel(&parts, client, &job, &upstream)).await
                    };
                    self.apply(input, Vec::new()).await
                }
                None => Next::LetGo,
            },
            Resume::Store => self.store(client).await,
            Resume::Step(input) => self.apply(input, Vec::new()).await,
            Resume::Nothing => Next::LetGo,
        }
    }

    fn nonce(&self) -> Option<Nonce> {
        nonce(&self.job.life.state).cloned()
    }

    fn is_submitting(&self, mark: &Nonce) -> bool {
        matches!(&self.job.life.state, JobState::Submitting { nonce } if nonce == mark)
    }

    /// What is to be sent, got ready while nothing is at stake yet.
    async fn submission(
        &mut self,
        client: &Arc<dyn MidjourneyClient>,
        nonce: &Nonce,
    ) -> Result<Submission, Input> {
        let (parts, job) = (Arc::clone(&self.parts), self.job.clone());
        self.held(effects::submission(&parts, client, &job, nonce)).await
    }

    async fn start(&mut self, client: &Arc<dyn MidjourneyClient>) -> Next {
        let nonce = Nonce::new(&*self.parts.entropy);
        let submission = match self.submission(client, &nonce).await {
            Ok(submission) => submission,
            Err(input) => return self.apply(input, Vec::new()).await,
        };
        // Getting the pictures may have taken a while.
        if *self.stopping.borrow() {
            return self.give_back().await;
        }
        let intent = Input::Start { nonce: nonce.clone() };
        match self.apply(intent, Vec::new()).await {
            // The intent is on disk under this very mark: only now may the request leave.
            Next::GoOn if self.is_submitting(&nonce) => {
                if let Some(starting) = &mut self.starting {
                    starting.committed();
                }
                self.submit_new(client, &submission).await
            }
            next => next,
        }
    }

    async fn confirm(&mut self, client: &Arc<dyn MidjourneyClient>, upstream: &UpstreamId) -> Next {
        // The task has its mark already.
        let nonce = Nonce::new(&*self.parts.entropy);
        let submission = match self.submission(client, &nonce).await {
            Ok(submission) => submission,
            Err(Input::NotAccepted { failure, .. }) => {
                return self
                    .apply(Input::ConfirmFailed { failure, retry: true }, Vec::new())
                    .await;
            }
            Err(Input::Refused(failure)) => {
                let input = Input::ConfirmFailed {
                    failure,
                    retry: false,
                };
                return self.apply(input, Vec::new()).await;
            }
            Err(input) => return self.apply(input, Vec::new()).await,
        };
        match self.apply(Input::Confirm, Vec::new()).await {
            // The intent is on disk: an answer that is lost from here on is never sent again. Where something else was
            // committed instead, such as a cancel, nothing is sent.
            Next::GoOn if self.job.life.state.is_confirmed() && !self.lease_ran_out() => {
                let (parts, job) = (Arc::clone(&self.parts), self.job.clone());
                let answered = effects::confirm(&parts, client, &job, upstream, &submission);
                let input = self.held(answered).await;
                self.apply(input, Vec::new()).await
            }
            next => next,
        }
    }

    /// The first submit under a mark. Until it leaves, it is known that nothing was sent.
    async fn submit_new(&mut self, client: &Arc<dyn MidjourneyClient>, submission: &Submission) -> Next {
        if !self.lease_ran_out() && !self.job.life.cancel_requested {
            return self.submit(client, submission).await;
        }
        let failure = Failure::new(
            FailureKind::Transient,
            "the gateway paused before the submit; nothing was sent",
        );
        // Refused where somebody else has the job by now.
        self.apply(Input::NotAccepted { failure, after: None }, Vec::new())
            .await
    }

    /// A process that was put to sleep after committing its intent may wake up when the job is somebody else's.
    fn lease_ran_out(&self) -> bool {
        self.parts.clock.now() >= self.lease.until
    }

    async fn submit(&mut self, client: &Arc<dyn MidjourneyClient>, submission: &Submission) -> Next {
        if self.lease_ran_out() {
            warn!("the lease ran out before the submit; nothing was sent");
            return Next::LetGo;
        }
        let (parts, job) = (Arc::clone(&self.parts), self.job.clone());
        if let Some(starting) = &mut self.starting {
            starting.called();
        }
        let input = match self.held(effects::submit(&parts, client, &job, submission)).await {
            // Nothing was sent that could be paid: what this account refuses, another may take.
            Input::Refused(failure) if failure.kind.concerns_account() && self.may_move() => {
                Input::NotAccepted { failure, after: None }
            }
            input => input,
        };
        self.apply(input, Vec::new()).await
    }

    /// Whether some other account takes this job at the moment.
    fn may_move(&self) -> bool {
        let (accounts, now) = (&self.parts.accounts, self.parts.clock.now());
        let open = |account: &&Account| {
            account.name != self.job.account && accounts.waits_until(&account.name, now).is_none()
        };
        accounts
            .all()
            .iter()
            .filter(open)
            .any(|account| self.fits(account))
    }

    /// Whether this job could run on `account`: what starts from a picture stays where the picture is.
    fn fits(&self, account: &Account) -> bool {
        let request = &self.job.request;
        request.parent.is_none()
            && account.takes(request, self.parts.links.is_some())
            && (self.parts.accounts)
                .too_slow_until(account, request, self.parts.clock.now())
                .is_none()
    }

    async fn store(&mut self, client: &Arc<dyn MidjourneyClient>) -> Next {
        let JobState::Storing {
            upstream,
            result,
            renewed,
        } = self.job.life.state.clone()
        else {
            return Next::LetGo;
        };
        let (parts, job) = (Arc::clone(&self.parts), self.job.clone());
        let work = pin!(download::all(&parts, client, &job, &result));
        match lease::while_held(&parts, &mut self.lease, self.config.lease, work).await {
            Some(Round {
                images,
                missing: None,
                ..
            }) => self.apply(Input::Stored, images).await,
            Some(Round {
                images,
                some,
                missing: Some(Missing { failure, retry }),
            }) => {
                let input = if failure.kind == FailureKind::ImageExpired && !renewed {
                    self.held(effects::renew(client, &upstream, failure, some)).await
                } else {
                    Input::StoreFailed { failure, retry, some }
                };
                self.apply(input, images).await
            }
            // Whoever has the job now stores under the same keys: going on might replace what is committed by then.
            None => Next::LetGo,
        }
    }

    /// Work that is never cut off: what it finds out must be committed, and the commit itself is fenced.
    async fn held<T>(&mut self, work: impl Future<Output = T>) -> T {
        let parts = Arc::clone(&self.parts);
        let mut work = pin!(work);
        match lease::while_held(&parts, &mut self.lease, self.config.lease, work.as_mut()).await {
            Some(done) => done,
            None => work.await,
        }
    }

    /// Takes the step and commits it, deciding anew whenever somebody else changed the job in between.
    async fn apply(&mut self, input: Input, images: Vec<Image>) -> Next {
        let mut tries = 0;
        let mut unclear: Option<Life> = None;
        let mark = self.nonce();
        let mut changed = false;
        // What the upstream has taken runs there, whether a slot is left for it or not.
        let slots = match &input {
            Input::Start { .. } => self.slots(),
            _ => None,
        };
        loop {
            let at = self.moment();
            let mut next = match step(&self.job.life, input.clone(), &self.parts.policy, at) {
                Ok(next) => next,
                Err(invalid) => {
                    // Somebody changed the job while the effect was under way, or an ambiguous commit did succeed.
                    debug!(%invalid, "the step no longer applies");
                    return if tries > 0 {
                        self.take_up_again().await
                    } else {
                        Next::LetGo
                    };
                }
            };
            // Whoever changed it may know of news since the upstream was asked for what is committed here.
            if changed && next.life.due.is_some() {
                next.life.due = Some(at.now);
            }
            // Due at once means: go on under the same lease. Else others may take it up when it is due.
            let life = next.life.clone();
            let go_on = life.due.is_some_and(|due| due <= at.now) && !self.must_stop(&life.state);
            let end = if go_on { LeaseEnd::Keep } else { LeaseEnd::Release };
            let commit = Commit::step(&self.job, next, at.now)
                .under(self.lease, end)
                .within_slots(slots)
                .with_images(images.clone());
            match self.parts.jobs.commit(commit).await {
                Ok(job) => {
                    self.job = job;
                    if !go_on && let Input::Accepted { upstream } = &input {
                        self.heed_parked(upstream).await;
                    }
                    return if go_on { Next::GoOn } else { Next::LetGo };
                }
                Err(StoreError::Stale(id)) => match self.parts.jobs.load(id).await {
                    // A commit whose answer was lost did happen: this is its very state, mark and all.
                    Ok(Some(job)) if unclear.as_ref().is_some_and(|life| is_same(life, &job.life)) => {
                        self.job = job;
                        return if go_on { Next::GoOn } else { Next::LetGo };
                    }
                    Ok(Some(job)) if !job.status().is_final() => {
                        changed = true;
                        self.job = job;
                    }
                    Ok(_) => return Next::LetGo,
                    Err(error) => {
                        warn!(error = %Chain(&error), "the job could not be read again");
                        self.pause(tries).await;
                    }
                },
                Err(StoreError::LeaseLost(_)) => {
                    warn!("another worker has taken over");
                    if let (Input::Accepted { upstream }, Some(mark)) = (input, mark) {
                        self.testify(upstream, &mark).await;
                    }
                    return Next::LetGo;
                }
                Err(StoreError::NoSlot(_)) => {
                    debug!("another process took the slot");
                    return self.give_back().await;
                }
                Err(StoreError::NoSuchJob(_)) => {
                    warn!("the job is gone");
                    return Next::LetGo;
                }
                Err(error) => {
                    warn!(error = %Chain(&error), "the commit failed");
                    if error.applied() == Applied::Maybe {
                        unclear = Some(life);
                    }
                    self.pause(tries).await;
                }
            }
            tries = tries.saturating_add(1);
            if let Input::Accepted { upstream } = &input {
                // Known here alone, and paid for: it is tried for as long as the engine runs. The line is for a person
                // who has to settle the job by hand because it did not.
                warn!(%upstream, tries, "accepted by the upstream, and not committed yet");
            } else if tries >= COMMIT_TRIES {
                error!(
                    "the step could not be committed; the job will be taken up again from its last stored state"
                );
                return Next::LetGo;
            }
        }
    }

    /// Has the task asked about at once where a callback spoke of it before its job was known to have it. Nothing is lost
    /// where this fails: the first look comes by itself.
    async fn heed_parked(&self, task: &UpstreamId) {
        if self.parts.callback.is_none() {
            return;
        }
        let (jobs, at) = (&self.parts.jobs, self.moment());
        let query = CallbackQuery {
            verdict: Some(Verdict::Parked),
            task: Some(task.clone()),
            since: Some(at.now.saturating_sub(PARKED_FOR)),
            limit: 1,
            ..CallbackQuery::default()
        };
        match jobs.callbacks(&query).await {
            Ok(parked) if parked.items.is_empty() => return,
            Ok(_) => {}
            Err(error) => return debug!(error = %Chain(&error), "parked callbacks could not be read"),
        }
        let Ok(next) = step(&self.job.life, Input::Hinted, &self.parts.policy, at) else {
            return;
        };
        if let Err(error) = jobs.commit(Commit::step(&self.job, next, at.now)).await {
            debug!(error = %Chain(&error), "a parked callback was not heeded");
        }
    }

    /// Commits what the upstream answered to the submit under `mark` although another worker has the job by now: it is
    /// evidence, and nobody else has it. Written on the version it was decided on, and only while the job still waits
    /// to hear about this very submit.
    async fn testify(&self, upstream: UpstreamId, mark: &Nonce) {
        let jobs = &self.parts.jobs;
        for tries in 0..COMMIT_TRIES {
            match jobs.load(self.job.id).await {
                Ok(Some(job)) if nonce(&job.life.state) == Some(mark) => {
                    let at = self.moment();
                    let accepted = Input::Accepted {
                        upstream: upstream.clone(),
                    };
                    let Ok(next) = step(&job.life, accepted, &self.parts.policy, at) else {
                        return;
                    };
                    match jobs.commit(Commit::step(&job, next, at.now)).await {
                        Ok(_) => return,
                        Err(error) => warn!(error = %Chain(&error), %upstream, "not committed yet"),
                    }
                }
                Ok(_) => return,
                Err(error) => warn!(error = %Chain(&error), "the job could not be read again"),
            }
            self.pause(tries).await;
        }
        error!(%upstream, "the upstream's answer could not be committed");
    }

    /// Goes on from what somebody else made of the job, under the lease that is still ours; where there is nothing to
    /// do yet, gives the lease back so that nobody has to wait for its end.
    async fn take_up_again(&self) -> Next {
        let now = self.parts.clock.now();
        let due = self.job.life.due.is_some_and(|due| due <= now);
        if due && !self.must_stop(&self.job.life.state) {
            return Next::GoOn;
        }
        self.give_back().await
    }

    /// Leaves the job as it is, for anybody to take up.
    async fn give_back(&self) -> Next {
        if let Err(error) = self.parts.jobs.extend(&self.lease, self.parts.clock.now()).await {
            debug!(error = %Chain(&error), "the lease was not given back; it runs out");
        }
        Next::LetGo
    }

    fn slots(&self) -> Option<u32> {
        self.parts.accounts.get(&self.job.account)?.limits.slots
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.parts.clock.now(),
            chance: self.parts.entropy.chance(),
        }
    }

    /// On the way out, a worker finishes what it has begun and begins nothing new. A committed intent to submit counts
    /// as begun: leaving it would make a submit that never left look like a lost one.
    fn must_stop(&self, state: &JobState) -> bool {
        let begun = matches!(
            state,
            JobState::Submitting { .. }
                | JobState::Submitted {
                    phase: Phase::AwaitingInput,
                    confirmed: true,
                    ..
                }
        );
        *self.stopping.borrow() && !begun
    }

    async fn pause(&self, tries: u32) {
        let wait = Duration::from_millis(100)
            .saturating_mul(tries.saturating_add(1))
            .min(Duration::from_secs(2));
        self.parts
            .clock
            .sleep_until(self.parts.clock.now().saturating_add(wait))
            .await;
    }
}
