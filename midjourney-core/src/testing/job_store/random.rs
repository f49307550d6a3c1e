//! Random operations, done to a store and to the reference alike.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::{
        SeededEntropy,
        given::{self, LEASE, account, at},
    },
    Sight, sight,
};
use crate::{
    job::{
        Claimed, Commit, IdempotencyKey, Insertion, Job, JobState, JobStore, JobStoreExt as _, LeaseEnd,
        NewJobs, Owner, Position, StoreError,
    },
    memory::MemoryJobStore,
};

const ROUNDS: u64 = 600;

/// What the dice must come across, so that the comparison means something.
const MET: [&str; 8] = [
    "committed",
    "created",
    "extended",
    "lease lost",
    "mismatch",
    "refused",
    "replayed",
    "stale",
];

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, end: u64) -> u64 {
        self.0.below(end)
    }

    fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn millis(&self, end: u64) -> i64 {
        i64::try_from(self.below(end)).unwrap()
    }

    fn byte(&self, end: u8) -> u8 {
        u8::try_from(self.below(u64::from(end))).unwrap()
    }

    fn index<T>(&self, of: &[T]) -> usize {
        usize::try_from(self.below(u64::try_from(of.len()).unwrap())).unwrap()
    }
}

/// What an operation came to, without the words a backend may choose.
fn verdict<T>(result: Result<T, StoreError>) -> Result<T, &'static str> {
    result.map_err(|error| match error {
        StoreError::NoSuchJob(_) => "no such job",
        StoreError::Stale(_) => "stale",
        StoreError::LeaseLost(_) => "lease lost",
        _ => "refused",
    })
}

fn new_jobs(dice: &Dice, round: u64, now: i64) -> NewJobs {
    let first = dice.below(60);
    let count = 1 + dice.below(3);
    let numbers: Vec<u64> = (first..first + count).collect();
    let mut new = given::jobs_at(&numbers, now);
    new.owner = Owner::new(if dice.once_in(2) { "ann" } else { "bob" });
    new.batch = (count > 1).then(|| given::batch_id(round));
    if dice.once_in(2) {
        let key = format!("k{}", dice.below(8));
        new = new.with_key(Some(IdempotencyKey::new(key).unwrap()));
    }
    new
}

/// A change of `job`, perhaps under the newest lease that was ever held on it.
fn change(dice: &Dice, job: &Job, held: &[Claimed], round: u64, now: i64) -> Commit {
    let mut commit = match dice.below(6) {
        0 => given::finish(job, now),
        1 => {
            let due = now + dice.millis(3000);
            let life = given::life(job, JobState::Queued, now, Some(due));
            Commit::new(job, life, None, at(now))
        }
        _ => given::progress(job, dice.byte(101), now),
    };
    let claimed = held.iter().rev().find(|claimed| claimed.job.id == job.id);
    if let Some(claimed) = claimed.filter(|_| !dice.once_in(3)) {
        let end = if dice.once_in(2) {
            LeaseEnd::Keep
        } else {
            LeaseEnd::Release
        };
        commit = commit.under(claimed.lease, end);
    }
    if dice.once_in(3) {
        commit = commit.with_images(vec![given::picture(round, job, dice.byte(5))]);
    }
    commit
}

pub(super) async fn run(store: Arc<dyn JobStore>) {
    let reference: Arc<dyn JobStore> = Arc::new(MemoryJobStore::new());
    let dice = Dice(SeededEntropy::new(20_261_122));
    let mut sent: Vec<NewJobs> = Vec::new();
    let mut held: Vec<Claimed> = Vec::new();
    let mut known: Vec<Job> = Vec::new();
    let mut met = BTreeSet::new();
    let mut now = 0;
    for round in 0..ROUNDS {
        now += dice.millis(900);
        match dice.below(10) {
            0..=2 => {
                let mut new = new_jobs(&dice, round, now);
                if !sent.is_empty() && dice.once_in(4) {
                    new = sent[dice.index(&sent)].clone();
                }
                sent.push(new.clone());
                let expected = verdict(reference.insert(new.clone()).await);
                let found = verdict(store.insert(new).await);
                assert_eq!(found, expected, "insert, round {round}");
                met.insert(match &expected {
                    Ok(Insertion::Created(_)) => "created",
                    Ok(Insertion::Replayed(_)) => "replayed",
                    Ok(Insertion::Mismatch) => "mismatch",
                    Ok(Insertion::Overdrawn(_)) => "overdrawn",
                    Err(refusal) => refusal,
                });
                if let Ok(Insertion::Created(jobs)) = expected {
                    known.extend(jobs);
                }
            }
            3..=4 => {
                // All that is due, as equally long due jobs may come in any order.
                let wish = given::wish(1000, now);
                let mut expected = reference.claim(wish.clone()).await.unwrap();
                let mut found = store.claim(wish).await.unwrap();
                expected.sort_by_key(|claimed| claimed.job.id);
                found.sort_by_key(|claimed| claimed.job.id);
                assert_eq!(found, expected, "claim, round {round}");
                held.extend(expected);
            }
            5 if !held.is_empty() => {
                let lease = held[dice.index(&held)].lease;
                let until = at(now + LEASE);
                let expected = verdict(reference.extend(&lease, until).await);
                let found = verdict(store.extend(&lease, until).await);
                assert_eq!(found, expected, "extend, round {round}");
                met.insert(expected.map_or_else(|refusal| refusal, |_| "extended"));
            }
            _ if !known.is_empty() => {
                let index = dice.index(&known);
                // Once in a while decided on what may be an old reading.
                if !dice.once_in(5) {
                    known[index] = reference.get(known[index].id).await.unwrap();
                }
                let commit = change(&dice, &known[index], &held, round, now);
                let expected = verdict(reference.commit(commit.clone()).await);
                let found = verdict(store.commit(commit).await);
                assert_eq!(found, expected, "commit, round {round}");
                met.insert(expected.map_or_else(|refusal| refusal, |_| "committed"));
            }
            _ => {}
        }
        assert_eq!(
            store.next_due(&[account().into()]).await.unwrap(),
            reference.next_due(&[account().into()]).await.unwrap(),
            "next due, round {round}"
        );
    }
    assert_eq!(level(sight(&store).await), level(sight(&reference).await));
    assert!(
        met.iter().eq(MET.iter()),
        "the dice came across everything: {met:?}"
    );
}

/// Positions may have gaps, so only their order is compared.
fn level(mut sight: Sight) -> Sight {
    for (number, event) in (1..).zip(&mut sight.events) {
        event.position = Position::new(number);
    }
    sight.head = Position::START;
    sight
}
