//! Callbacks: what upstreams say on their own, believed as far as it is proved.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tracing::{debug, info, warn};

use super::{CHANGE_TRIES, Gateway};
use crate::{
    client::{Callback, MidjourneyClient},
    clock::Timestamp,
    engine::Parts,
    error::{Chain, Error, ErrorKind},
    id::CallbackId,
    job::{
        AccountName, Billing, CallbackQuery, CallbackRecord, Commit, Input, Job, JobState, Meaning, Moment,
        Nonce, REPLAY_WINDOW, StoreError, Transition, Verdict, heed, step,
    },
    page::Page,
    webhook::{Authenticity, Incoming},
};

/// How many refused callbacks wait at most to be recorded. What comes beyond that within a second is dropped.
const MOST_REFUSALS: usize = 1_000;

/// How long refused callbacks wait to be recorded together: a flood of them must not cost a write each.
const RECORD_REFUSALS: Duration = Duration::from_secs(1);

/// A callback whose sender is known.
struct Proved {
    account: AccountName,
    /// The submit whose address it came to.
    submit: Option<Nonce>,
    callback: Callback,
    signed: bool,
}

impl Gateway {
    /// Takes a callback in. It is recorded, with whatever it causes, when this returns; refused ones within a second.
    ///
    /// One from a sender that [`Policy::callback_senders`](crate::job::Policy::callback_senders) leaves out is refused. Of
    /// wrong addresses, a sender may try 60 in a minute; those beyond are refused without a record.
    ///
    /// What is signed is believed. Anything else has its task asked about at once, where it came to an address that only
    /// the upstream of that job was told. See [`Verdict`] for what may become of it.
    ///
    /// **Errors:** [`ErrorKind::Unavailable`] where the store cannot be written to: nothing has happened, and the sender
    /// may try again. **Cancel safety:** it is taken in or it is not.
    pub async fn receive(&self, incoming: Incoming) -> Result<CallbackRecord, Error> {
        let record = self.unjudged(&incoming);
        let record = if self.parts.policy.takes_callbacks_from(incoming.from) {
            match &incoming.segment {
                Some(segment) => self.receive_for_job(record, segment, &incoming).await?,
                None => self.receive_signed(record, &incoming).await?,
            }
        } else {
            record.judged(Verdict::Barred, "callbacks are taken from other addresses only")
        };
        if record.verdict == Verdict::Throttled {
            debug!(from = ?record.from, "somebody goes on guessing addresses");
        } else if record.is_refused() {
            self.refused(&record);
        }
        Ok(record)
    }

    /// The record of what has just come in, of which nothing else is known yet.
    pub(super) fn unjudged(&self, incoming: &Incoming) -> CallbackRecord {
        let now = self.parts.clock.now();
        let bytes = u64::try_from(incoming.body.len()).unwrap_or(u64::MAX);
        let id = CallbackId::new(now, &*self.parts.entropy);
        CallbackRecord::new(id, now, bytes, incoming.from, Verdict::Unknown)
    }

    /// Tells of one that was refused.
    pub(super) fn refused(&self, record: &CallbackRecord) {
        self.refusals.note(&self.parts, record.clone());
    }

    /// Whether an upstream that shows this token may be told that the address of callbacks is ours.
    pub fn verifies_callbacks_by(&self, token: &str) -> bool {
        let registration = self.parts.callback.as_ref();
        registration.is_some_and(|registration| registration.verifies_by(token))
    }

    /// Callbacks, newest first.
    pub async fn callbacks(&self, query: &CallbackQuery) -> Result<Page<CallbackRecord>, Error> {
        Ok(self.parts.jobs.callbacks(query).await?)
    }

    /// One that came to the address of a job.
    async fn receive_for_job(
        &self,
        mut record: CallbackRecord,
        segment: &str,
        incoming: &Incoming,
    ) -> Result<CallbackRecord, Error> {
        let registration = self.parts.callback.as_ref();
        let known = registration
            .and_then(|registration| Some((registration, registration.submit_of(segment, record.at)?)));
        let Some((registration, (id, nonce))) = known else {
            let (verdict, detail) = if self.guesses.is_one_too_many(record.from, record.at) {
                (
                    Verdict::Throttled,
                    "too many wrong addresses; ask again in a minute",
                )
            } else {
                (Verdict::Unknown, "no job has this address")
            };
            return Ok(record.judged(verdict, detail));
        };
        record.job = Some(id);
        let Some(job) = self.parts.jobs.load(id).await? else {
            return Ok(record.judged(Verdict::Unknown, "the job is not here any more"));
        };
        record.account = Some(job.account.clone());
        let Some(client) = self.parts.accounts.client(&job.account) else {
            return Ok(record.judged(Verdict::Unknown, "its account is not configured here"));
        };
        let address = registration.address(segment);
        let authenticity = client.authenticate(incoming, Some(&address));
        match self.prove(&mut record, &job.account, &**client, authenticity, incoming) {
            Some(proved) => {
                let proved = Proved {
                    submit: Some(nonce),
                    ..proved
                };
                self.heed(record, job, proved).await
            }
            None => Ok(record),
        }
    }

    /// One that came to the address which is the same for all: only a signature tells whose it is.
    async fn receive_signed(
        &self,
        mut record: CallbackRecord,
        incoming: &Incoming,
    ) -> Result<CallbackRecord, Error> {
        let signers: Vec<_> = (self.parts.accounts.all().iter())
            .filter_map(|account| match account.client.authenticate(incoming, None) {
                signed @ Authenticity::Signed { .. } => Some((account, signed)),
                _ => None,
            })
            .collect();
        let Some(&(first, authenticity)) = signers.first() else {
            return Ok(record.judged(Verdict::Forged, "no account's upstream has signed it"));
        };
        record.account = Some(first.name.clone());
        let Some(mut proved) = self.prove(&mut record, &first.name, &*first.client, authenticity, incoming)
        else {
            return Ok(record);
        };
        // Accounts may share a secret: whose it is, the task tells.
        let jobs = &self.parts.jobs;
        for (account, _) in &signers {
            let Some(id) = jobs.job_of_task(&account.name, &proved.callback.upstream).await? else {
                continue;
            };
            if let Some(job) = jobs.load(id).await? {
                record.job = Some(id);
                record.account = Some(account.name.clone());
                proved.account = account.name.clone();
                return self.heed(record, job, proved).await;
            }
        }
        // Not heeded: should it come again, it may be.
        record.mark = None;
        let record = record.judged(Verdict::Parked, "no job under way has this task, or not yet");
        jobs.put_callbacks(std::slice::from_ref(&record)).await?;
        // A worker may have committed the task meanwhile, and looked for parked callbacks before this was one.
        for (account, _) in signers {
            if let Some(id) = jobs.job_of_task(&account.name, &proved.callback.upstream).await? {
                // The job may need no news any more; and if it changes too fast, it is being looked at.
                drop(self.change(id, &Input::Hinted).await);
            }
        }
        Ok(record)
    }

    /// Who speaks, and of what; `None` where that is not clear, with the verdict in `record`.
    fn prove(
        &self,
        record: &mut CallbackRecord,
        account: &AccountName,
        client: &dyn MidjourneyClient,
        authenticity: Authenticity,
        incoming: &Incoming,
    ) -> Option<Proved> {
        let mut refuse = |verdict, detail: &str| {
            *record = record.clone().judged(verdict, detail);
            None
        };
        let signed = match authenticity {
            Authenticity::Forged => return refuse(Verdict::Forged, "its signature is missing or wrong"),
            Authenticity::Signed { at: Some(at) } if !is_fresh(at, self.parts.clock.now()) => {
                return refuse(
                    Verdict::Expired,
                    "its signature is not of this time; compare the clocks",
                );
            }
            Authenticity::Signed { .. } => true,
            Authenticity::Unsigned => false,
        };
        let callback = match client.parse_callback(&incoming.body) {
            Ok(callback) => callback,
            Err(error) => return refuse(Verdict::Malformed, &error.failure.message),
        };
        record.task = Some(callback.upstream.clone());
        record.mark = Some(mark(record, authenticity, incoming));
        Some(Proved {
            account: account.clone(),
            submit: None,
            callback,
            signed,
        })
    }

    /// Does what a callback of `job` calls for.
    async fn heed(&self, record: CallbackRecord, job: Job, proved: Proved) -> Result<CallbackRecord, Error> {
        let id = job.id;
        let mut job = Some(job);
        for _ in 0..CHANGE_TRIES {
            let Some(current) = job.take() else {
                return Ok(record.judged(Verdict::Unknown, "the job is not here any more"));
            };
            let (verdict, detail, next) = match meaning(&current, &proved) {
                Meaning::Nothing(verdict) => (verdict, why_nothing(verdict), None),
                Meaning::Steps(inputs) => match self.steps(&current, inputs) {
                    Some(next) if proved.signed => (Verdict::Applied, "", Some(next)),
                    Some(next) => (Verdict::Noticed, "", Some(next)),
                    None => (Verdict::Late, why_nothing(Verdict::Late), None),
                },
            };
            let record = record.clone().judged(verdict, detail);
            let Some(next) = next else {
                self.parts
                    .jobs
                    .put_callbacks(std::slice::from_ref(&record))
                    .await?;
                return Ok(record);
            };
            let commit = Commit::step(&current, next, record.at).caused_by(record.clone());
            match self.parts.jobs.commit(commit).await {
                Ok(_) => return Ok(record),
                Err(StoreError::Stale(_)) => job = self.parts.jobs.load(id).await?,
                Err(StoreError::Repeated(_)) => {
                    return Ok(record.judged(Verdict::Repeated, "it came before"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let fast = Error::new(ErrorKind::Unavailable, "the job is changing too fast; try again");
        Err(fast.with_retry_after(Duration::from_secs(1)))
    }

    /// Where `inputs` lead, as one change; `None` where they lead nowhere.
    fn steps(&self, job: &Job, inputs: Vec<Input>) -> Option<Transition> {
        let at = Moment {
            now: self.parts.clock.now(),
            chance: self.parts.entropy.chance(),
        };
        let mut all = Transition {
            life: job.life.clone(),
            event: None,
            billing: Billing::Keep,
        };
        for input in inputs {
            let next = step(&all.life, input, &self.parts.policy, at).ok()?;
            all = Transition {
                life: next.life,
                event: next.event.or(all.event),
                billing: if next.billing == Billing::Keep {
                    all.billing
                } else {
                    next.billing
                },
            };
        }
        Some(all)
    }
}

/// What a callback means to `job`: nothing where it is another account's by now, or speaks of another submit.
fn meaning(job: &Job, proved: &Proved) -> Meaning {
    let Proved { callback, .. } = proved;
    let own = match &job.life.state {
        JobState::Submitting { nonce } | JobState::SubmitUnknown { nonce, .. } => {
            let echoed = callback.nonce.as_deref();
            let told = [echoed, proved.submit.as_ref().map(Nonce::as_str)];
            told.into_iter().flatten().all(|told| told == nonce.as_str())
        }
        _ => true,
    };
    if job.account != proved.account || !own {
        return Meaning::Nothing(Verdict::Foreign);
    }
    let claim = callback.status.clone();
    heed(&job.life.state, &callback.upstream, claim, proved.signed)
}

const fn why_nothing(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Foreign => "the job has another task",
        _ => "the job needs no news any more",
    }
}

fn is_fresh(signed: Timestamp, now: Timestamp) -> bool {
    signed.saturating_since(now).max(now.saturating_since(signed)) <= REPLAY_WINDOW
}

/// What tells a callback from others: whom it is about, when it was signed, and every byte of it.
fn mark(record: &CallbackRecord, authenticity: Authenticity, incoming: &Incoming) -> [u8; 32] {
    let mut digest = Sha256::new();
    let account = record.account.as_ref().map_or("", AccountName::as_str);
    let job = record.job.map(|job| job.to_string()).unwrap_or_default();
    let at = match authenticity {
        Authenticity::Signed { at: Some(at) } => at.to_string(),
        _ => String::new(),
    };
    for part in [account, &job, &at] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.update(&incoming.body);
    digest.finalize().into()
}

/// Refused callbacks on their way into the store.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    waiting: Mutex<Vec<CallbackRecord>>,
    on_the_way: AtomicBool,
}

impl Refusals {
    fn note(self: &Arc<Self>, parts: &Arc<Parts>, record: CallbackRecord) {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= MOST_REFUSALS {
                return;
            }
            waiting.push(record);
        }
        if self.on_the_way.swap(true, Ordering::SeqCst) {
            return;
        }
        let (refusals, parts) = (Arc::clone(self), Arc::clone(parts));
        tokio::spawn(async move {
            let due = parts.clock.now().saturating_add(RECORD_REFUSALS);
            parts.clock.sleep_until(due).await;
            // Before taking them: whoever comes later sends the next.
            refusals.on_the_way.store(false, Ordering::SeqCst);
            let records =
                std::mem::take(&mut *refusals.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            // One line for all: strangers decide how many there are.
            if let Some(last) = records.last() {
                let verdict = last.verdict.name();
                info!(count = records.len(), verdict, from = ?last.from, "callbacks were refused; this is the last");
            }
            if let Err(error) = parts.jobs.put_callbacks(&records).await {
                warn!(error = %Chain(&error), lost = records.len(), "refused callbacks were not recorded");
            }
        });
    }
}
