//! Callbacks: each is heeded once, and kept for a while.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::given::{self, at},
    sight,
};
use crate::{
    id::CallbackId,
    job::{
        AccountName, CALLBACKS_KEPT, CallbackQuery, CallbackRecord, CallbackTally, Commit, JobState,
        JobStore, KNOWN_AGAIN, StoreError, UpstreamId, Verdict,
    },
    page::Page,
    testing::SeededEntropy,
};

/// A callback that came `millis` into the tale; `number` below 256 tells it from others of that moment.
fn callback(number: u64, millis: i64, verdict: Verdict) -> CallbackRecord {
    let time = at(millis);
    let id = CallbackId::new(time, &SeededEntropy::new(number));
    let mut callback = CallbackRecord::new(id, time, 2_048, "192.0.2.7".parse().ok(), verdict);
    if !verdict.is_refusal() {
        let mut mark = [7; 32];
        mark.iter_mut()
            .zip(number.to_be_bytes())
            .for_each(|(to, from)| *to = from);
        callback.mark = Some(mark);
    }
    callback
}

async fn all(store: &Arc<dyn JobStore>) -> Vec<CallbackRecord> {
    let mut all = Vec::new();
    let mut query = CallbackQuery {
        limit: Page::<CallbackRecord>::MAX,
        ..CallbackQuery::default()
    };
    loop {
        let page = store.callbacks(&query).await.unwrap();
        all.extend(page.items);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

/// Every column comes back, and the newest come first.
pub async fn callbacks_are_found_again_as_they_were(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let mut told = Vec::new();
    for (number, verdict) in (1..).zip(Verdict::ALL) {
        let mut callback = callback(number, i64::try_from(number).unwrap(), verdict).judged(verdict, "därum");
        if number % 2 == 0 {
            callback.job = Some(job.id);
            callback.account = Some(AccountName::new("main"));
            callback.task = Some(UpstreamId::new("task-1"));
            callback.from = "2001:db8::1".parse().ok();
        }
        told.push(callback);
    }
    store.put_callbacks(&told).await.unwrap();
    told.reverse();
    assert_eq!(all(&store).await, told);
    let of_job = CallbackQuery {
        job: Some(job.id),
        verdict: Some(Verdict::Noticed),
        limit: 10,
        ..CallbackQuery::default()
    };
    told.retain(|one| one.job == Some(job.id) && one.verdict == Verdict::Noticed);
    assert_eq!(store.callbacks(&of_job).await.unwrap().items, told);
}

/// Of this task alone, and from a moment on.
pub async fn callbacks_are_found_by_their_task(store: Arc<dyn JobStore>) {
    let mut told = Vec::new();
    for (number, (millis, task)) in (1..).zip([(10, "task-1"), (20, "task-1"), (30, "task-2")]) {
        let mut callback = callback(number, millis, Verdict::Parked);
        callback.task = Some(UpstreamId::new(task));
        told.push(callback);
    }
    store.put_callbacks(&told).await.unwrap();
    store
        .put_callbacks(&[callback(5, 50, Verdict::Forged)])
        .await
        .unwrap();
    let mut query = CallbackQuery {
        task: Some(UpstreamId::new("task-1")),
        limit: 10,
        ..CallbackQuery::default()
    };
    let found = store.callbacks(&query).await.unwrap().items;
    assert_eq!(found, [told[1].clone(), told[0].clone()]);
    for (since, expected) in [(10, 2), (11, 1), (20, 1), (21, 0)] {
        query.since = Some(at(since));
        let found = store.callbacks(&query).await.unwrap().items;
        assert_eq!(found.len(), expected, "since {since}");
    }
}

/// All that are kept, whatever became of them.
pub async fn callbacks_are_counted_by_verdict(store: Arc<dyn JobStore>) {
    assert!(store.callback_tallies().await.unwrap().is_empty());
    for (number, (millis, verdict)) in (1..).zip([
        (30, Verdict::Noticed),
        (10, Verdict::Noticed),
        (20, Verdict::Forged),
    ]) {
        let callback = callback(number, millis, verdict);
        store.put_callbacks(&[callback]).await.unwrap();
    }
    let tally = |count, newest| CallbackTally {
        count,
        newest: at(newest),
    };
    let expected = [(Verdict::Noticed, tally(2, 30)), (Verdict::Forged, tally(1, 20))];
    assert_eq!(store.callback_tallies().await.unwrap(), BTreeMap::from(expected));
}

/// What it causes happens once, however often it comes and whatever it comes with.
pub async fn a_callback_is_heeded_once(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let first = callback(1, 1, Verdict::Applied);
    let job = store
        .commit(given::progress(&job, 10, 1).caused_by(first.clone()))
        .await
        .unwrap();
    let mut again = callback(2, 2, Verdict::Applied);
    again.mark = first.mark;
    let before = sight(&store).await;
    let refused = store
        .commit(given::progress(&job, 20, 2).caused_by(again.clone()))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Repeated(id)) if id == job.id),
        "{refused:?}"
    );
    store.put_callbacks(&[again]).await.unwrap();
    assert_eq!(sight(&store).await, before);
    assert_eq!(all(&store).await, [first]);
}

/// A change that was not made was not caused: the callback may come again.
pub async fn a_callback_of_a_refused_commit_is_not_kept(store: Arc<dyn JobStore>) {
    let old = given::insert_one(&store, 1).await;
    store.commit(given::progress(&old, 10, 1)).await.unwrap();
    let callback = callback(1, 2, Verdict::Applied);
    let stale = store
        .commit(given::progress(&old, 20, 2).caused_by(callback.clone()))
        .await;
    assert!(matches!(stale, Err(StoreError::Stale(_))), "{stale:?}");
    assert_eq!(all(&store).await, []);
    let fresh = given::load(&store, 1).await;
    store
        .commit(given::progress(&fresh, 20, 3).caused_by(callback))
        .await
        .unwrap();
}

/// A flood of refused ones neither fills the disk nor drives out those that are to be known again.
pub async fn refused_callbacks_are_forgotten_and_others_known(store: Arc<dyn JobStore>) {
    let known = callback(1, 0, Verdict::Noticed);
    store.put_callbacks(std::slice::from_ref(&known)).await.unwrap();
    for start in (0..CALLBACKS_KEPT + 1_000).step_by(1_000) {
        let flood: Vec<_> = (start..start + 1_000)
            .map(|number| callback(number, 1, Verdict::Forged))
            .collect();
        store.put_callbacks(&flood).await.unwrap();
    }
    let kept = all(&store).await;
    let refused = u64::try_from(kept.iter().filter(|one| one.mark.is_none()).count()).unwrap();
    assert!(refused <= CALLBACKS_KEPT + 256, "{refused}");
    assert!(kept.contains(&known));
    // Nor is a heeded one kept for ever.
    let later = i64::try_from(KNOWN_AGAIN.as_millis()).unwrap() + 10;
    for start in (2..CALLBACKS_KEPT + 2_002).step_by(1_000) {
        let many: Vec<_> = (start..start + 1_000)
            .map(|number| callback(number, later, Verdict::Noticed))
            .collect();
        store.put_callbacks(&many).await.unwrap();
    }
    assert!(!all(&store).await.contains(&known));
}

/// Neither kind counts against the other: one that was refused long ago keeps none that was heeded, and however many
/// are refused drive none out.
pub async fn callbacks_are_kept_by_the_number_of_their_kind(store: Arc<dyn JobStore>) {
    let put = async |numbers: std::ops::Range<u64>, millis, verdict| {
        for start in numbers.clone().step_by(1_000) {
            let many: Vec<_> = (start..numbers.end.min(start + 1_000))
                .map(|number| callback(number, millis, verdict))
                .collect();
            store.put_callbacks(&many).await.unwrap();
        }
    };
    let heeded = async || -> Vec<_> {
        let all = all(&store).await.into_iter();
        all.filter(|one| one.mark.is_some()).collect()
    };
    let span = i64::try_from(KNOWN_AGAIN.as_millis()).unwrap() + 10;
    let kept = usize::try_from(CALLBACKS_KEPT).unwrap();
    put(0..1, 0, Verdict::Forged).await;
    put(0..2_000, 1, Verdict::Noticed).await;
    put(2_000..CALLBACKS_KEPT + 4_000, span, Verdict::Noticed).await;
    let old = heeded().await.into_iter().filter(|one| one.at == at(1)).count();
    assert_eq!(old, 0);
    put(0..CALLBACKS_KEPT + 1_000, 2 * span, Verdict::Forged).await;
    let left = heeded().await.len();
    assert!(left >= kept, "{left}");
}

/// By its name there and its account, for as long as its job is under way.
pub async fn a_task_is_found_while_its_job_is_under_way(store: Arc<dyn JobStore>) {
    let main = AccountName::new("main");
    let job = given::insert_one(&store, 1).await;
    let task = UpstreamId::new("task-7");
    assert_eq!(store.job_of_task(&main, &task).await.unwrap(), None);
    let state = JobState::Cancelling {
        upstream: task.clone(),
    };
    let life = given::life(&job, state, 1, Some(1));
    let job = store.commit(Commit::new(&job, life, None, at(1))).await.unwrap();
    assert_eq!(store.job_of_task(&main, &task).await.unwrap(), Some(job.id));
    let other = AccountName::new("other");
    assert_eq!(store.job_of_task(&other, &task).await.unwrap(), None);
    store.commit(given::finish(&job, 2)).await.unwrap();
    assert_eq!(store.job_of_task(&main, &task).await.unwrap(), None);
}
