//! What a [`JobStore`] must do, case by case. Run by [`job_store_suite!`](crate::job_store_suite).

mod callbacks;
mod library;
mod money;
mod random;
mod removal;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{task::JoinSet, time::timeout};

pub use self::callbacks::{
    a_callback_is_heeded_once, a_callback_of_a_refused_commit_is_not_kept,
    a_task_is_found_while_its_job_is_under_way, callbacks_are_counted_by_verdict,
    callbacks_are_found_again_as_they_were, callbacks_are_found_by_their_task,
    callbacks_are_kept_by_the_number_of_their_kind, refused_callbacks_are_forgotten_and_others_known,
};
pub use self::library::{
    a_mark_of_an_unknown_picture_is_none, marks_are_kept_and_found, search_finds_completed_jobs_only,
    search_finds_what_all_that_was_said_holds_for, search_pages_stay_stable_while_pictures_go,
    what_is_pinned_is_not_removed,
};
pub use self::money::{
    a_budget_is_never_exceeded, a_charge_made_again_leaves_the_first, a_free_end_gives_the_charge_back,
    a_move_is_charged_when_it_is_made, a_move_keeps_to_the_budget_of_the_owner,
    a_move_takes_the_charge_along, jobs_are_charged_to_both_purses, what_is_charged_ahead_is_not_spent_yet,
};
pub use self::removal::{
    a_picture_can_go_alone, an_upload_can_be_removed, files_of_what_was_removed_are_told_until_they_are_gone,
    uploads_are_listed_newest_first, what_has_changed_or_is_not_over_is_not_removed,
    what_is_removed_is_gone_with_all_that_was_its_own,
};
use super::{
    Case, SeededEntropy,
    given::{self, LEASE, account, at, image_id, job_id},
};
use crate::{
    budget::Credits,
    id::{JobId, UploadId},
    image::{Image, ImageKey, ImageKind, Upload},
    job::{
        AccountName, Action, Claimed, Commit, Counts, Event, EventKind, IdempotencyKey, ImageQuery,
        Insertion, Job, JobQuery, JobRequest, JobState, JobStore, JobStoreExt as _, LONGEST_WAIT, LeaseEnd,
        Live, NewJob, NewJobs, Owner, ParentRef, Phase, Position, RemoteAction, RemoteImage, RemoteResult,
        Share, Spent, Status, StoreError, Strength, UpscaleMode, UpstreamId,
    },
    page::Page,
};

/// All cases.
pub const CASES: &[Case<Arc<dyn JobStore>>] = crate::__job_store_cases! { table Arc<dyn JobStore> };

#[doc(hidden)]
#[macro_export]
macro_rules! __job_store_cases {
    ($($mode:tt)+) => {
        $crate::__suite! { $($mode)+;
            insert_returns_what_load_reads,
            insert_keeps_order_and_batch,
            insert_is_all_or_nothing,
            insert_replays_an_equal_request,
            insert_refuses_another_request_under_a_used_key,
            earlier_answers_as_insert_would,
            insert_without_a_key_never_replays,
            insert_takes_a_key_per_owner,
            insert_under_one_key_happens_once,
            insert_tells_one_created_event,
            load_of_an_unknown_job_is_none,
            odd_texts_survive,
            every_state_survives,
            an_answer_in_the_place_of_a_task_survives,
            every_request_survives,
            claim_hands_out_only_what_is_due,
            claim_keeps_to_its_accounts,
            claim_starts_no_more_than_its_share,
            claim_takes_no_more_of_an_account_than_its_share,
            live_counts_what_waits_and_what_runs,
            claim_takes_what_lies_too_far_ahead,
            claim_hands_what_lies_too_far_ahead_to_one_worker,
            claim_takes_the_longest_due_first,
            claim_respects_its_limit,
            claim_changes_nothing_a_reader_sees,
            claim_is_exclusive,
            a_leased_job_is_claimed_again_only_after_its_lease,
            a_leased_job_that_is_not_due_stays_put,
            a_finished_job_is_never_claimed,
            a_released_job_can_be_claimed_at_once,
            a_kept_lease_still_holds_after_a_commit,
            extend_makes_a_lease_last,
            extend_saves_a_lease_that_ran_out_unclaimed,
            extend_after_a_takeover_is_refused,
            next_due_is_the_earliest_due_time,
            next_due_waits_for_the_end_of_a_lease,
            next_due_looks_at_its_accounts_only,
            next_due_skips_what_is_over,
            commit_returns_what_load_reads,
            commit_can_move_a_job_to_another_account,
            commit_takes_no_more_slots_than_there_are,
            commit_counts_version_and_sequence,
            commit_without_an_event_keeps_the_sequence,
            commit_on_an_old_version_is_refused,
            commit_of_an_unknown_job_is_refused,
            commit_race_has_one_winner,
            stale_lease_is_fenced,
            commit_without_a_lease_outdates_the_holder,
            a_finished_job_never_changes,
            images_come_with_their_commit,
            images_of_a_refused_commit_are_not_kept,
            images_are_replaced_by_place,
            images_of_a_job_come_in_their_order,
            images_are_listed_newest_first,
            images_are_listed_by_owner,
            uploads_are_found_again_as_they_were,
            image_lookup_of_an_unknown_id_is_none,
            list_is_newest_first,
            list_pages_stay_stable_under_inserts,
            list_filters_by_owner_status_and_batch,
            list_filters_and_pages_together,
            list_limits_are_clamped,
            history_is_in_order_without_gaps,
            history_goes_on_after_a_sequence,
            history_of_an_unknown_job_is_empty,
            events_come_in_the_order_of_commits,
            events_tell_the_life_after_them,
            events_go_on_without_missing_any,
            head_is_the_newest_event,
            counts_follow_the_jobs,
            changes_rise_after_an_insert,
            changes_rise_after_a_commit,
            ping_of_a_healthy_store_works,
            random_operations_match_the_reference,
            search_finds_what_all_that_was_said_holds_for,
            search_finds_completed_jobs_only,
            search_pages_stay_stable_while_pictures_go,
            marks_are_kept_and_found,
            a_mark_of_an_unknown_picture_is_none,
            what_is_pinned_is_not_removed,
            jobs_are_charged_to_both_purses,
            what_is_charged_ahead_is_not_spent_yet,
            a_budget_is_never_exceeded,
            a_free_end_gives_the_charge_back,
            a_move_takes_the_charge_along,
            a_move_keeps_to_the_budget_of_the_owner,
            a_move_is_charged_when_it_is_made,
            a_charge_made_again_leaves_the_first,
            callbacks_are_found_again_as_they_were,
            callbacks_are_found_by_their_task,
            callbacks_are_counted_by_verdict,
            a_callback_is_heeded_once,
            a_callback_of_a_refused_commit_is_not_kept,
            refused_callbacks_are_forgotten_and_others_known,
            callbacks_are_kept_by_the_number_of_their_kind,
            a_task_is_found_while_its_job_is_under_way,
            what_is_removed_is_gone_with_all_that_was_its_own,
            what_has_changed_or_is_not_over_is_not_removed,
            a_picture_can_go_alone,
            uploads_are_listed_newest_first,
            an_upload_can_be_removed,
            files_of_what_was_removed_are_told_until_they_are_gone,
        }
    };
}

fn numbers(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<JobId> {
    numbers.into_iter().map(job_id).collect()
}

/// The same requests under the key `k`.
fn keyed(jobs: NewJobs) -> NewJobs {
    jobs.with_key(Some(IdempotencyKey::new("k").unwrap()))
}

fn is_stale(result: &Result<Job, StoreError>, id: JobId) -> bool {
    matches!(result, Err(StoreError::Stale(stale)) if *stale == id)
}

fn is_lost<T>(result: &Result<T, StoreError>, id: JobId) -> bool {
    matches!(result, Err(StoreError::LeaseLost(lost)) if *lost == id)
}

/// All that can be read of a store; what a refused write must leave equal.
#[derive(Debug, PartialEq)]
struct Sight {
    jobs: Vec<Job>,
    images: Vec<Image>,
    events: Vec<Event>,
    counts: Counts,
    head: Position,
}

async fn sight(store: &Arc<dyn JobStore>) -> Sight {
    Sight {
        jobs: all_jobs(store, JobQuery::newest(200)).await,
        images: all_images(store, ImageQuery::newest(200)).await,
        events: all_events(store, 200).await,
        counts: store.counts().await.unwrap(),
        head: store.head().await.unwrap(),
    }
}

async fn all_jobs(store: &Arc<dyn JobStore>, mut query: JobQuery) -> Vec<Job> {
    let mut jobs = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(
            !page.items.is_empty() || page.next.is_none(),
            "an empty page is the last one"
        );
        jobs.extend(page.items);
        query.after = page.next;
        if query.after.is_none() {
            return jobs;
        }
    }
}

async fn all_images(store: &Arc<dyn JobStore>, mut query: ImageQuery) -> Vec<Image> {
    let mut images = Vec::new();
    loop {
        let page = store.images(&query).await.unwrap();
        assert!(
            !page.items.is_empty() || page.next.is_none(),
            "an empty page is the last one"
        );
        images.extend(page.items);
        query.after = page.next;
        if query.after.is_none() {
            return images;
        }
    }
}

async fn all_events(store: &Arc<dyn JobStore>, limit: usize) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(Position::START, |event| event.position);
        let more = store.events(after, limit).await.unwrap();
        if more.is_empty() {
            return events;
        }
        assert!(more.len() <= limit, "at most {limit} were asked for");
        events.extend(more);
    }
}

/// What insert returns is what load reads: version 1, one event, due at once.
pub async fn insert_returns_what_load_reads(store: Arc<dyn JobStore>) {
    let new = given::jobs(&[1]);
    let request = new.jobs[0].request.clone();
    let job = given::insert(&store, new).await.remove(0);
    assert_eq!((job.id, job.version, job.sequence), (job_id(1), 1, 1));
    assert_eq!((&job.owner, &job.account), (&Owner::local(), &account()));
    assert_eq!(job.request, request);
    assert_eq!(job.status(), Status::Pending);
    assert_eq!(job.life.due, Some(at(0)), "due at once");
    assert_eq!((job.life.created, job.updated), (at(0), at(0)));
    assert_eq!(store.load(job_id(1)).await.unwrap(), Some(job));
}

/// Jobs of one request come back in their order, not in that of their ids.
pub async fn insert_keeps_order_and_batch(store: Arc<dyn JobStore>) {
    let batch = Some(given::batch_id(9));
    let jobs = given::insert(&store, given::jobs(&[3, 1, 2]).in_batch(batch)).await;
    assert_eq!(numbers(&jobs), ids([3, 1, 2]));
    for job in jobs {
        assert_eq!(job.batch, batch);
        assert_eq!(store.load(job.id).await.unwrap(), Some(job));
    }
}

/// Where one job of a request cannot be inserted, none is, and the key stays free.
pub async fn insert_is_all_or_nothing(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 2).await;
    let before = sight(&store).await;
    for taken in [&[1, 2, 3][..], &[1, 3, 3]] {
        let refused = store.insert(keyed(given::jobs(taken))).await;
        assert!(refused.is_err(), "an id that is taken: {refused:?}");
        assert_eq!(sight(&store).await, before);
    }
    let jobs = given::insert(&store, keyed(given::jobs(&[1, 3]))).await;
    assert_eq!(jobs.len(), 2);
}

/// The same request under the same key gives the same jobs, as they are by now, and no new ones.
pub async fn insert_replays_an_equal_request(store: Arc<dyn JobStore>) {
    let first = keyed(given::jobs(&[2, 1]));
    given::insert(&store, first).await;
    let job = given::load(&store, 1).await;
    let job = store.commit(given::progress(&job, 40, 5)).await.unwrap();
    let before = sight(&store).await;

    let mut again = keyed(given::jobs_at(&[2, 1], 9));
    for (new, number) in again.jobs.iter_mut().zip([12, 11]) {
        new.id = job_id(number);
    }
    // A pool may have chosen another account by now.
    again.account = AccountName::new("second");
    let other = given::load(&store, 2).await;
    assert_eq!(
        store.insert(again).await.unwrap(),
        Insertion::Replayed(vec![other, job])
    );
    assert_eq!(sight(&store).await, before);
}

/// Another request under a used key inserts nothing.
pub async fn insert_refuses_another_request_under_a_used_key(store: Arc<dyn JobStore>) {
    given::insert(&store, keyed(given::jobs(&[1]))).await;
    let before = sight(&store).await;
    for other in [given::jobs(&[2]), given::jobs(&[1, 2])] {
        let answer = store.insert(keyed(other)).await.unwrap();
        assert_eq!(answer, Insertion::Mismatch);
    }
    assert_eq!(sight(&store).await, before);
}

/// Whether a key is in use can be asked without using it.
pub async fn earlier_answers_as_insert_would(store: Arc<dyn JobStore>) {
    let new = keyed(given::jobs(&[2, 1]));
    let (owner, digest) = (new.owner.clone(), new.digest());
    let key = new.idempotency_key.clone().unwrap();
    assert_eq!(store.earlier(&owner, &key, digest).await.unwrap(), None);
    let jobs = given::insert(&store, new).await;
    let before = sight(&store).await;
    let same = store.earlier(&owner, &key, digest).await.unwrap();
    assert_eq!(same, Some(Insertion::Replayed(jobs)));
    let other = given::jobs(&[3]).digest();
    let answer = store.earlier(&owner, &key, other).await.unwrap();
    assert_eq!(answer, Some(Insertion::Mismatch));
    let bob = Owner::new("bob");
    assert_eq!(store.earlier(&bob, &key, digest).await.unwrap(), None);
    assert_eq!(sight(&store).await, before);
}

/// Equal requests without a key are two requests.
pub async fn insert_without_a_key_never_replays(store: Arc<dyn JobStore>) {
    for number in [1, 2] {
        let new = NewJob::new(job_id(number), JobRequest::imagine("fox"));
        let new = NewJobs::new(Owner::local(), account(), vec![new], at(0));
        assert_eq!(given::insert(&store, new).await.len(), 1);
    }
    assert_eq!(store.counts().await.unwrap().pending, 2);
}

/// One owner's key says nothing about another's.
pub async fn insert_takes_a_key_per_owner(store: Arc<dyn JobStore>) {
    for (number, owner) in [(1, "ann"), (2, "bob")] {
        let mut new = keyed(given::jobs(&[number]));
        new.owner = Owner::new(owner);
        let job = given::insert(&store, new).await.remove(0);
        assert_eq!(job.owner.as_str(), owner);
    }
}

/// 64 requests at once under one key become one set of jobs.
pub async fn insert_under_one_key_happens_once(store: Arc<dyn JobStore>) {
    let mut tasks = JoinSet::new();
    for number in 0..64_u64 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let request = |text| JobRequest::imagine(text);
            let new = vec![
                NewJob::new(job_id(2 * number), request("a")),
                NewJob::new(job_id(2 * number + 1), request("b")),
            ];
            let new = keyed(NewJobs::new(Owner::local(), account(), new, at(0)));
            store.insert(new).await.unwrap()
        });
    }
    let mut created = 0;
    let mut seen = BTreeSet::new();
    for answer in tasks.join_all().await {
        let jobs = match answer {
            Insertion::Created(jobs) => {
                created += 1;
                jobs
            }
            Insertion::Replayed(jobs) => jobs,
            other => panic!("the requests are equal: {other:?}"),
        };
        seen.insert(numbers(&jobs));
    }
    assert_eq!((created, seen.len()), (1, 1), "{seen:?}");
    assert_eq!(store.counts().await.unwrap().pending, 2);
}

/// A new job has one event, which says that it was accepted.
pub async fn insert_tells_one_created_event(store: Arc<dyn JobStore>) {
    given::insert(&store, given::jobs_at(&[1], 3)).await;
    let events = store.history(job_id(1), 0, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!((event.job, event.sequence), (job_id(1), 1));
    assert_eq!((event.kind, event.status), (EventKind::Created, Status::Pending));
    assert_eq!(event.at, at(3));
    assert_eq!(store.events(Position::START, 10).await.unwrap(), events);
}

/// What is not there is `None`, and an error for who needs it.
pub async fn load_of_an_unknown_job_is_none(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    assert_eq!(store.load(job_id(2)).await.unwrap(), None);
    let missing = store.get(job_id(2)).await;
    assert!(matches!(missing, Err(StoreError::NoSuchJob(id)) if id == job_id(2)));
}

/// Texts come from strangers: they come back byte for byte.
pub async fn odd_texts_survive(store: Arc<dyn JobStore>) {
    let long = "ö".repeat(4 * 1024);
    let odd = [
        "",
        " ",
        "a\0b",
        "'; DROP TABLE jobs; --",
        "\"quoted\" \\n \\",
        "%_*?[]",
        "line\r\nline\u{2028}line",
        "\u{202e}right to left \u{feff}",
        "🦊❄️ e\u{301} \u{10ffff}",
        &long,
    ];
    for (number, text) in (1..).zip(odd) {
        let new = NewJob::new(job_id(number), JobRequest::imagine(text));
        let new = NewJobs::new(Owner::new(text), AccountName::new(text), vec![new], at(0));
        let job = given::insert(&store, new).await.remove(0);
        let upstream = UpstreamId::new(text);
        let state = JobState::Cancelling { upstream };
        let mut image = given::picture(number, &job, 1);
        text.clone_into(&mut image.source_url);
        let commit = Commit::new(&job, given::life(&job, state, 1, Some(1)), None, at(1));
        let job = store
            .commit(commit.with_images(vec![image.clone()]))
            .await
            .unwrap();
        assert_eq!(store.load(job.id).await.unwrap().as_ref(), Some(&job), "{text:?}");
        assert_eq!((job.request.prompt.as_str(), job.owner.as_str()), (text, text));
        assert_eq!(store.image(image.id).await.unwrap(), Some(image), "{text:?}");
        let query = JobQuery {
            owner: Some(Owner::new(text)),
            ..JobQuery::newest(10)
        };
        assert_eq!(
            store.list(&query).await.unwrap().items,
            std::slice::from_ref(&job),
            "found by {text:?}"
        );
        let mut wish = given::wish(10, 1);
        wish.accounts = vec![AccountName::new(text).into()];
        let claimed = store.claim(wish).await.unwrap();
        assert_eq!(claimed.len(), 1, "claimed by {text:?}");
    }
}

fn every_state() -> Vec<JobState> {
    let upstream = UpstreamId::new("task-1");
    let failure = given::failure()
        .with_upstream_text("Sorry! \"Please\" try again\n…")
        .with_spent(Spent::Maybe);
    let images = vec![
        RemoteImage::new("https://upstream.invalid/0.png?a=b&c", ImageKind::Grid, 0),
        RemoteImage::new("https://upstream.invalid/4.png", ImageKind::Single, 4),
    ];
    let actions = vec![RemoteAction::new("MJ::JOB::1", "U1"), RemoteAction::new("x", "")];
    let submitted = |phase, progress, misses| JobState::Submitted {
        upstream: upstream.clone(),
        phase,
        progress,
        misses,
        confirmed: false,
    };
    vec![
        JobState::Queued,
        JobState::Submitting {
            nonce: given::nonce(),
        },
        JobState::SubmitUnknown {
            nonce: given::nonce(),
            over: false,
        },
        JobState::SubmitUnknown {
            nonce: given::nonce(),
            over: true,
        },
        submitted(Phase::Waiting, None, 0),
        submitted(Phase::Running, Some(0), 2),
        submitted(Phase::Running, Some(100), 0),
        submitted(Phase::AwaitingInput, Some(42), 0),
        JobState::Cancelling {
            upstream: upstream.clone(),
        },
        JobState::Storing {
            upstream: upstream.clone(),
            result: RemoteResult::new(images)
                .with_actions(actions.clone())
                .with_seed(Some(u32::MAX)),
            renewed: false,
        },
        JobState::Storing {
            upstream: upstream.clone(),
            result: RemoteResult::default(),
            renewed: true,
        },
        JobState::Completed {
            upstream: upstream.clone(),
            actions,
            seed: Some(0),
            texts: Vec::new(),
            handle: None,
        },
        JobState::Completed {
            upstream,
            actions: Vec::new(),
            seed: None,
            texts: Vec::new(),
            handle: None,
        },
        JobState::Failed {
            failure: failure.clone(),
        },
        JobState::Cancelled { failure: None },
        JobState::Cancelled {
            failure: Some(failure.clone()),
        },
        JobState::Expired { failure },
    ]
}

/// Every state, with all that is known in it, is read as it was written.
pub async fn every_state_survives(store: Arc<dyn JobStore>) {
    for (number, state) in (1..).zip(every_state()) {
        let job = given::insert_one(&store, number).await;
        let over = state.status().is_final();
        let mut life = given::life(&job, state, 7, (!over).then_some(8));
        life.heard = at(6);
        life.attempts = u32::MAX;
        life.submits = 3;
        life.cancel_requested = number % 2 == 0;
        life.trouble = (!over).then(given::failure);
        let commit = Commit::new(&job, life.clone(), Some(EventKind::Progress), at(9));
        let job = store.commit(commit).await.unwrap();
        assert_eq!(job.life, life);
        assert_eq!(job.updated, at(9));
        assert_eq!(store.load(job.id).await.unwrap(), Some(job.clone()));
        assert_eq!(store.list(&JobQuery::newest(1)).await.unwrap().items, [job]);
    }
}

/// Texts that came at once are kept as the id of a task, which no index of tasks may refuse.
pub async fn an_answer_in_the_place_of_a_task_survives(store: Arc<dyn JobStore>) {
    const BYTES: usize = 24 * 1024;
    let job = given::insert_one(&store, 1).await;
    // What can be compressed would pass where this does not.
    let entropy = SeededEntropy::new(1);
    let letters = std::iter::repeat_with(|| format!("{:016x}", entropy.next()));
    let upstream = UpstreamId::new(letters.take(BYTES / 16).collect::<String>());
    let life = given::life(&job, JobState::Cancelling { upstream }, 1, Some(1));
    let job = store.commit(Commit::new(&job, life, None, at(1))).await.unwrap();
    assert_eq!(store.load(job.id).await.unwrap(), Some(job));
}

/// Every kind of request is read as it was written.
pub async fn every_request_survives(store: Arc<dyn JobStore>) {
    let parent = ParentRef::new(job_id(77), 4);
    let upscale = |mode| Action::Upscale { mode };
    let variation = |strength| Action::Variation { strength };
    let follow_ups = [
        upscale(UpscaleMode::Cutout),
        upscale(UpscaleMode::Subtle),
        upscale(UpscaleMode::Creative),
        variation(None),
        variation(Some(Strength::Subtle)),
        variation(Some(Strength::Strong)),
    ];
    let mut requests = vec![JobRequest::imagine("fox")];
    requests.extend(follow_ups.map(|action| JobRequest::follow_up(action, parent, "fox")));
    for (number, request) in (1..).zip(requests) {
        let new = NewJob::new(job_id(number), request.clone());
        let job = given::insert(&store, NewJobs::new(Owner::local(), account(), vec![new], at(0)))
            .await
            .remove(0);
        assert_eq!(job.request, request);
        assert_eq!(store.load(job.id).await.unwrap(), Some(job));
    }
}

async fn waiting_until(store: &Arc<dyn JobStore>, number: u64, due: i64) -> Job {
    let job = given::insert_one(store, number).await;
    let life = given::life(&job, JobState::Queued, 0, Some(due));
    store.commit(Commit::new(&job, life, None, at(0))).await.unwrap()
}

/// Due now is due; due in a millisecond is not.
pub async fn claim_hands_out_only_what_is_due(store: Arc<dyn JobStore>) {
    waiting_until(&store, 1, 50).await;
    waiting_until(&store, 2, 51).await;
    let claimed = given::claim(&store, 10, 50).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].job, given::load(&store, 1).await);
    let lease = claimed[0].lease;
    assert_eq!(
        (lease.job, lease.epoch, lease.until),
        (job_id(1), 1, at(50 + LEASE))
    );
    assert_eq!(given::claim(&store, 10, 50).await, []);
    assert_eq!(given::claim_one(&store, 51).await.job.id, job_id(2));
}

/// A process must not touch what it has no upstream for.
pub async fn claim_keeps_to_its_accounts(store: Arc<dyn JobStore>) {
    for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
        let mut new = given::jobs(&[number]);
        new.account = AccountName::new(name);
        given::insert(&store, new).await;
    }
    let mut wish = given::wish(10, 0);
    wish.accounts = shares(&["b", "unheard of"]);
    let claimed = store.claim(wish.clone()).await.unwrap();
    assert_eq!(claimed.iter().map(|c| c.job.id).collect::<Vec<_>>(), [job_id(2)]);
    wish.accounts = Vec::new();
    assert_eq!(store.claim(wish.clone()).await.unwrap(), []);
    wish.accounts = shares(&["c", "a"]);
    assert_eq!(store.claim(wish).await.unwrap().len(), 2);
}

fn shares(names: &[&str]) -> Vec<Share> {
    names.iter().map(|name| AccountName::new(*name).into()).collect()
}

/// An account runs only so many jobs at once: what waits for its turn stays, what is under way is always looked after.
pub async fn claim_starts_no_more_than_its_share(store: Arc<dyn JobStore>) {
    given::insert(&store, given::jobs(&[1, 2, 3, 4])).await;
    let begun = given::load(&store, 1).await;
    store.commit(given::progress(&begun, 5, 1)).await.unwrap();
    let share = |starts| Share {
        starts,
        ..account().into()
    };
    let mut wish = given::wish(10, 1_000_000);
    wish.accounts = vec![share(0)];
    let due = given::load(&store, 1).await.life.due;
    assert_eq!(store.next_due(&wish.accounts).await.unwrap(), due);
    let claimed = store.claim(wish.clone()).await.unwrap();
    assert_eq!(claimed.iter().map(|c| c.job.id).collect::<Vec<_>>(), [job_id(1)]);
    wish.accounts = vec![share(2)];
    let claimed = store.claim(wish).await.unwrap();
    assert_eq!(
        claimed.iter().map(|c| c.job.id).collect::<Vec<_>>(),
        [job_id(2), job_id(3)]
    );
}

/// One account never takes up all hands: no more of its jobs are handed out than its share is, whatever they are.
pub async fn claim_takes_no_more_of_an_account_than_its_share(store: Arc<dyn JobStore>) {
    given::insert(&store, given::jobs(&[1, 2, 3, 4])).await;
    let begun = given::load(&store, 2).await;
    store.commit(given::progress(&begun, 5, 1)).await.unwrap();
    let mut others = given::jobs(&[5]);
    others.account = AccountName::new("other");
    given::insert(&store, others).await;
    let share = |most| Share {
        most,
        ..account().into()
    };
    let mut wish = given::wish(10, 1_000_000);
    wish.accounts = vec![share(0), AccountName::new("other").into()];
    assert_eq!(store.next_due(&[share(0)]).await.unwrap(), None);
    let claimed = store.claim(wish.clone()).await.unwrap();
    assert_eq!(claimed.iter().map(|c| c.job.id).collect::<Vec<_>>(), [job_id(5)]);
    wish.accounts = vec![share(2)];
    assert_eq!(store.claim(wish.clone()).await.unwrap().len(), 2);
    wish.accounts = vec![share(3)];
    assert_eq!(store.claim(wish).await.unwrap().len(), 2);
}

/// What an account has to do: jobs that wait and jobs that hold a slot, without those that are over, in every state and
/// for every account.
pub async fn live_counts_what_waits_and_what_runs(store: Arc<dyn JobStore>) {
    assert!(
        store
            .live()
            .await
            .unwrap()
            .values()
            .all(|live| *live == Live::default())
    );
    let mut expected = Live::default();
    for (number, state) in (1..).zip(every_state()) {
        let job = given::insert_one(&store, number).await;
        expected.pending += u64::from(state.status() == Status::Pending);
        expected.running += u64::from(state.holds_slot());
        let due = (!state.status().is_final()).then_some(1);
        let life = given::life(&job, state, 1, due);
        store.commit(Commit::new(&job, life, None, at(1))).await.unwrap();
    }
    let mut others = given::jobs(&[101, 102]);
    others.account = AccountName::new("other");
    given::insert(&store, others).await;
    let moved = given::load(&store, 101).await;
    let moving = Commit::new(&moved, moved.life.clone(), None, at(2))
        .moving_to(given::transfer("main", Credits::ZERO));
    store.commit(moving).await.unwrap();
    expected.pending += 1;
    let live = store.live().await.unwrap();
    assert_eq!(live.get(&account()), Some(&expected));
    let other = Live {
        pending: 1,
        running: 0,
    };
    assert_eq!(live.get(&AccountName::new("other")), Some(&other));
}

/// A clock that was wrong by years holds up no job for years.
pub async fn claim_takes_what_lies_too_far_ahead(store: Arc<dyn JobStore>) {
    let day = i64::try_from(LONGEST_WAIT.as_millis()).unwrap();
    waiting_until(&store, 1, day).await;
    waiting_until(&store, 2, day + 2).await;
    let claimed = given::claim(&store, 10, 1).await;
    assert_eq!(claimed.iter().map(|c| c.job.id).collect::<Vec<_>>(), [job_id(2)]);
    // Its share counts them together with what is due.
    waiting_until(&store, 3, 1).await;
    waiting_until(&store, 4, day + 2).await;
    let mut wish = given::wish(10, 1);
    wish.accounts = vec![Share {
        starts: 1,
        ..account().into()
    }];
    assert_eq!(store.claim(wish).await.unwrap().len(), 1);
    // A lease that was taken in the far future holds nobody up either.
    given::claim(&store, 10, 3 * day).await;
    assert_eq!(given::claim(&store, 10, 1).await.len(), 4);
}

/// Such a job is under its lease like any other, also where that is extended.
pub async fn claim_hands_what_lies_too_far_ahead_to_one_worker(store: Arc<dyn JobStore>) {
    let day = i64::try_from(LONGEST_WAIT.as_millis()).unwrap();
    waiting_until(&store, 1, 400 * day).await;
    let claimed = given::claim(&store, 10, 1).await;
    let lease = claimed[0].lease;
    let end = lease.until.as_millis();
    assert_eq!(given::claim(&store, 10, 2).await, []);
    store.extend(&lease, at(end + 10)).await.unwrap();
    assert_eq!(given::claim(&store, 10, end + 9).await, []);
    assert_eq!(given::claim(&store, 10, end + 10).await.len(), 1);
}

/// Nothing starves: the longest due come first, whatever their ids.
pub async fn claim_takes_the_longest_due_first(store: Arc<dyn JobStore>) {
    for (number, due) in [(1, 30), (2, 10), (3, 40), (4, 20)] {
        waiting_until(&store, number, due).await;
    }
    let mut order = Vec::new();
    for _ in 0..2 {
        order.extend(given::claim(&store, 2, 100).await.iter().map(|c| c.job.id));
    }
    assert_eq!(order, ids([2, 4, 1, 3]));
}

/// At most as many as were wished for.
pub async fn claim_respects_its_limit(store: Arc<dyn JobStore>) {
    given::insert(&store, given::jobs(&[1, 2, 3, 4, 5])).await;
    assert_eq!(given::claim(&store, 2, 0).await.len(), 2);
    assert_eq!(given::claim(&store, 2, 0).await.len(), 2);
    assert_eq!(given::claim(&store, 2, 0).await.len(), 1);
    assert_eq!(given::claim(&store, 2, 0).await, []);
}

/// A claim is between workers; readers see no difference.
pub async fn claim_changes_nothing_a_reader_sees(store: Arc<dyn JobStore>) {
    given::insert(&store, given::jobs(&[1, 2])).await;
    let before = sight(&store).await;
    let claimed = given::claim(&store, 2, 0).await;
    assert_eq!(claimed.len(), 2);
    assert_eq!(sight(&store).await, before);
    for Claimed { job, .. } in claimed {
        assert_eq!(store.load(job.id).await.unwrap(), Some(job));
    }
}

/// 32 workers at once never hold the same job.
pub async fn claim_is_exclusive(store: Arc<dyn JobStore>) {
    const JOBS: u64 = 96;
    let all: Vec<u64> = (1..=JOBS).collect();
    given::insert(&store, given::jobs(&all)).await;
    let mut workers = JoinSet::new();
    for number in 0..32 {
        let store = Arc::clone(&store);
        workers.spawn(async move {
            let mut wish = given::wish(5, 0);
            wish.worker = given::worker(number);
            let mut held = Vec::new();
            loop {
                let claimed = store.claim(wish.clone()).await.unwrap();
                if claimed.is_empty() {
                    return held;
                }
                held.extend(claimed.iter().map(|c| c.job.id));
                assert!(held.len() <= ids(1..=JOBS).len(), "each job is held once");
            }
        });
    }
    let mut held: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    held.sort();
    assert_eq!(held, ids(1..=JOBS), "each job is held once");
}

/// A job whose worker died is handed out again once the lease has run out, under a higher epoch.
pub async fn a_leased_job_is_claimed_again_only_after_its_lease(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let first = given::claim_one(&store, 0).await;
    assert_eq!(given::claim(&store, 1, LEASE - 1).await, []);
    let second = given::claim_one(&store, LEASE).await;
    assert!(second.lease.epoch > first.lease.epoch);
    assert_eq!(second.lease.until, at(2 * LEASE));
    assert_eq!(given::claim(&store, 1, 2 * LEASE - 1).await, []);
    let third = given::claim_one(&store, 2 * LEASE).await;
    assert!(third.lease.epoch > second.lease.epoch);
}

/// The end of a lease does not make a job due.
pub async fn a_leased_job_that_is_not_due_stays_put(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let Claimed { job, lease } = given::claim_one(&store, 0).await;
    let life = given::life(&job, given::running(1), 1, Some(3 * LEASE));
    let commit = Commit::new(&job, life, None, at(1)).under(lease, LeaseEnd::Keep);
    store.commit(commit).await.unwrap();
    assert_eq!(given::claim(&store, 1, 3 * LEASE - 1).await, []);
    given::claim_one(&store, 3 * LEASE).await;
}

/// What is over stays over.
pub async fn a_finished_job_is_never_claimed(store: Arc<dyn JobStore>) {
    for (number, end) in [(1, LeaseEnd::Release), (2, LeaseEnd::Keep)] {
        given::insert_one(&store, number).await;
        let Claimed { job, lease } = given::claim_one(&store, 0).await;
        store
            .commit(given::finish(&job, 1).under(lease, end))
            .await
            .unwrap();
    }
    assert_eq!(given::claim(&store, 10, 1000 * LEASE).await, []);
}

/// A commit that releases the lease leaves the job to anybody.
pub async fn a_released_job_can_be_claimed_at_once(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let Claimed { job, lease } = given::claim_one(&store, 0).await;
    let commit = given::progress(&job, 10, 5).under(lease, LeaseEnd::Release);
    let job = store.commit(commit).await.unwrap();
    assert_eq!(given::claim(&store, 1, 4).await, [], "due at 5");
    let again = given::claim_one(&store, 5).await;
    assert_eq!(again.job, job);
    assert!(again.lease.epoch > lease.epoch);
}

/// A commit that keeps the lease leaves it as it is, and the worker can go on under it.
pub async fn a_kept_lease_still_holds_after_a_commit(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let Claimed { job, lease } = given::claim_one(&store, 0).await;
    let commit = given::progress(&job, 10, 5).under(lease, LeaseEnd::Keep);
    let job = store.commit(commit).await.unwrap();
    assert_eq!(given::claim(&store, 1, LEASE - 1).await, []);
    let commit = given::progress(&job, 20, 6).under(lease, LeaseEnd::Keep);
    store.commit(commit).await.unwrap();
    assert_eq!(given::claim(&store, 1, LEASE - 1).await, []);
    given::claim_one(&store, LEASE).await;
}

/// An extended lease keeps others away until its new end.
pub async fn extend_makes_a_lease_last(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let Claimed { job, lease } = given::claim_one(&store, 0).await;
    let longer = store.extend(&lease, at(5 * LEASE)).await.unwrap();
    assert_eq!(
        (longer.job, longer.epoch, longer.until),
        (job.id, lease.epoch, at(5 * LEASE))
    );
    assert_eq!(given::claim(&store, 1, 5 * LEASE - 1).await, []);
    assert_eq!(
        given::load(&store, 1).await,
        job,
        "readers see nothing of a lease"
    );
    let commit = given::progress(&job, 10, 1).under(longer, LeaseEnd::Keep);
    store.commit(commit).await.unwrap();
}

/// A worker that was slow, but not too late, goes on.
pub async fn extend_saves_a_lease_that_ran_out_unclaimed(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let Claimed { lease, .. } = given::claim_one(&store, 0).await;
    store.extend(&lease, at(4 * LEASE)).await.unwrap();
    assert_eq!(given::claim(&store, 1, 2 * LEASE).await, []);
}

/// A worker that was too late is told so, and its successor keeps the job.
pub async fn extend_after_a_takeover_is_refused(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let old = given::claim_one(&store, 0).await.lease;
    given::claim_one(&store, LEASE).await;
    let refused = store.extend(&old, at(9 * LEASE)).await;
    assert!(is_lost(&refused, job_id(1)), "{refused:?}");
    given::claim_one(&store, 2 * LEASE).await;
}

/// The engine sleeps until then.
pub async fn next_due_is_the_earliest_due_time(store: Arc<dyn JobStore>) {
    assert_eq!(store.next_due(&[account().into()]).await.unwrap(), None);
    waiting_until(&store, 1, 300).await;
    assert_eq!(store.next_due(&[account().into()]).await.unwrap(), Some(at(300)));
    waiting_until(&store, 2, 200).await;
    waiting_until(&store, 3, 400).await;
    assert_eq!(store.next_due(&[account().into()]).await.unwrap(), Some(at(200)));
}

/// A job under a lease wants no look before the lease's end, nor before it is due.
pub async fn next_due_waits_for_the_end_of_a_lease(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let Claimed { job, lease } = given::claim_one(&store, 0).await;
    let next = || async { store.next_due(&[account().into()]).await.unwrap() };
    assert_eq!(next().await, Some(at(LEASE)));
    let lease = store.extend(&lease, at(2 * LEASE)).await.unwrap();
    assert_eq!(next().await, Some(at(2 * LEASE)));
    let life = given::life(&job, given::running(1), 1, Some(3 * LEASE));
    let keep = Commit::new(&job, life, None, at(1)).under(lease, LeaseEnd::Keep);
    let job = store.commit(keep).await.unwrap();
    assert_eq!(next().await, Some(at(3 * LEASE)));
    let release = given::progress(&job, 2, 2).under(lease, LeaseEnd::Release);
    store.commit(release).await.unwrap();
    assert_eq!(next().await, Some(at(2)));
}

/// What another process works on is no reason to wake.
pub async fn next_due_looks_at_its_accounts_only(store: Arc<dyn JobStore>) {
    for (number, name, due) in [(1, "a", 10), (2, "b", 20), (3, "c", 30)] {
        let mut new = given::jobs_at(&[number], due);
        new.account = AccountName::new(name);
        given::insert(&store, new).await;
    }
    let accounts = shares(&["c", "b"]);
    assert_eq!(store.next_due(&accounts).await.unwrap(), Some(at(20)));
    assert_eq!(store.next_due(&[]).await.unwrap(), None);
}

/// What is over wants no look.
pub async fn next_due_skips_what_is_over(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    store.commit(given::finish(&job, 1)).await.unwrap();
    assert_eq!(store.next_due(&[account().into()]).await.unwrap(), None);
}

/// What commit returns is what load reads.
pub async fn commit_returns_what_load_reads(store: Arc<dyn JobStore>) {
    let old = given::insert_one(&store, 1).await;
    let commit = given::progress(&old, 10, 5);
    let life = commit.life.clone();
    let new = store.commit(commit).await.unwrap();
    assert_eq!(new.life, life);
    assert_eq!(new.updated, at(5));
    assert_eq!(store.load(old.id).await.unwrap(), Some(new.clone()));
    let rest = Job {
        version: old.version,
        sequence: old.sequence,
        life: old.life.clone(),
        updated: old.updated,
        ..new
    };
    assert_eq!(rest, old, "nothing else has changed");
}

/// A job whose account cannot take it goes to another; what it is does not change.
pub async fn commit_can_move_a_job_to_another_account(store: Arc<dyn JobStore>) {
    let old = given::insert_one(&store, 1).await;
    let other = AccountName::new("other");
    let commit =
        Commit::new(&old, old.life.clone(), None, at(5)).moving_to(given::transfer("other", Credits::ZERO));
    let moved = store.commit(commit).await.unwrap();
    assert_eq!(moved.account, other);
    assert_eq!(store.load(old.id).await.unwrap(), Some(moved));
    let mut wish = given::wish(10, 1_000_000);
    assert_eq!(store.claim(wish.clone()).await.unwrap(), []);
    wish.accounts = shares(&["other"]);
    assert_eq!(store.claim(wish).await.unwrap().len(), 1);
}

/// Nobody but the store knows of the jobs that other processes start at the same moment.
pub async fn commit_takes_no_more_slots_than_there_are(store: Arc<dyn JobStore>) {
    given::insert(&store, given::jobs(&[1, 2, 3])).await;
    let mut others = given::jobs(&[4]);
    others.account = AccountName::new("other");
    given::insert(&store, others).await;
    let start = async |number| {
        let job = given::load(&store, number).await;
        let life = given::life(
            &job,
            JobState::Submitting {
                nonce: given::nonce(),
            },
            1,
            Some(1),
        );
        let commit = Commit::new(&job, life, None, at(1)).within_slots(Some(2));
        store.commit(commit).await
    };
    for number in [4, 1, 2] {
        start(number).await.unwrap();
    }
    let before = sight(&store).await;
    let refused = start(3).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NoSlot(id) if id == job_id(3)),
        "{refused}"
    );
    assert_eq!(sight(&store).await, before);
    // One that holds a slot needs no other.
    let holder = given::load(&store, 1).await;
    let going_on = given::progress(&holder, 2, 2).within_slots(Some(2));
    store.commit(going_on).await.unwrap();
    let over = given::load(&store, 2).await;
    store.commit(given::finish(&over, 3)).await.unwrap();
    start(3).await.unwrap();
}

/// Version and sequence rise by one.
pub async fn commit_counts_version_and_sequence(store: Arc<dyn JobStore>) {
    let mut job = given::insert_one(&store, 1).await;
    for count in 2..6 {
        job = store.commit(given::progress(&job, 10, 5)).await.unwrap();
        assert_eq!((job.version, job.sequence), (count, count));
    }
}

/// Moving the next look alone is no news.
pub async fn commit_without_an_event_keeps_the_sequence(store: Arc<dyn JobStore>) {
    let job = waiting_until(&store, 1, 99).await;
    assert_eq!((job.version, job.sequence), (2, 1));
    assert_eq!(store.history(job.id, 0, 10).await.unwrap().len(), 1);
    assert_eq!(store.load(job.id).await.unwrap(), Some(job));
}

/// A change decided on an old reading is refused, and nothing of it is written.
pub async fn commit_on_an_old_version_is_refused(store: Arc<dyn JobStore>) {
    let old = given::insert_one(&store, 1).await;
    store.commit(given::progress(&old, 10, 5)).await.unwrap();
    let before = sight(&store).await;
    let image = given::picture(1, &old, 1);
    let late = store
        .commit(given::progress(&old, 99, 6).with_images(vec![image]))
        .await;
    assert!(is_stale(&late, old.id), "{late:?}");
    let mut early = given::progress(&old, 99, 6);
    early.version = 9;
    let early = store.commit(early).await;
    assert!(is_stale(&early, old.id), "{early:?}");
    assert_eq!(sight(&store).await, before);
}

/// There is nothing to change about a job that is not there.
pub async fn commit_of_an_unknown_job_is_refused(store: Arc<dyn JobStore>) {
    let mut job = given::insert_one(&store, 1).await;
    let before = sight(&store).await;
    job.id = job_id(2);
    let refused = store.commit(given::progress(&job, 1, 1)).await;
    assert!(
        matches!(refused, Err(StoreError::NoSuchJob(id)) if id == job.id),
        "{refused:?}"
    );
    assert_eq!(sight(&store).await, before);
}

/// Of changes decided on one reading at once, one is made.
pub async fn commit_race_has_one_winner(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let mut tasks = JoinSet::new();
    for percent in 0..32 {
        let (store, job) = (Arc::clone(&store), job.clone());
        tasks.spawn(async move { store.commit(given::progress(&job, percent, 1)).await });
    }
    let (won, lost): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|result| is_stale(result, job.id)), "{lost:?}");
    let now = given::load(&store, 1).await;
    assert_eq!(won.into_iter().next().unwrap().unwrap(), now);
    assert_eq!(store.history(job.id, 0, 100).await.unwrap().len(), 2);
}

/// A worker that lost its lease writes nothing, even where nothing else has changed.
pub async fn stale_lease_is_fenced(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let old = given::claim_one(&store, 0).await;
    let new = given::claim_one(&store, LEASE).await;
    let before = sight(&store).await;
    for end in [LeaseEnd::Keep, LeaseEnd::Release] {
        let image = given::picture(1, &old.job, 1);
        let late = given::finish(&old.job, LEASE + 1)
            .under(old.lease, end)
            .with_images(vec![image]);
        let refused = store.commit(late).await;
        assert!(is_lost(&refused, job_id(1)), "{refused:?}");
        assert_eq!(sight(&store).await, before);
    }
    assert_eq!(
        given::claim(&store, 1, 2 * LEASE - 1).await,
        [],
        "the new lease stands"
    );
    let commit = given::progress(&new.job, 5, LEASE + 2).under(new.lease, LeaseEnd::Keep);
    store.commit(commit).await.unwrap();
    let late = given::progress(&old.job, 6, LEASE + 3).under(old.lease, LeaseEnd::Keep);
    let refused = store.commit(late).await;
    assert!(
        is_lost(&refused, job_id(1)),
        "the lost lease is what the worker must hear of: {refused:?}"
    );
}

/// Somebody without a lease, such as a person who cancels, may change a job; its worker then has to read again.
pub async fn commit_without_a_lease_outdates_the_holder(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    let Claimed { job, lease } = given::claim_one(&store, 0).await;
    let changed = store.commit(given::progress(&job, 1, 1)).await.unwrap();
    assert_eq!(given::claim(&store, 1, LEASE - 1).await, [], "the lease stands");
    let refused = store
        .commit(given::progress(&job, 2, 2).under(lease, LeaseEnd::Keep))
        .await;
    assert!(is_stale(&refused, job.id), "{refused:?}");
    store
        .commit(given::progress(&changed, 2, 2).under(lease, LeaseEnd::Keep))
        .await
        .unwrap();
}

/// No version and no lease opens a job that is over.
pub async fn a_finished_job_never_changes(store: Arc<dyn JobStore>) {
    let finals = every_state()
        .into_iter()
        .filter(|state| state.status().is_final());
    for (number, state) in (1..).zip(finals) {
        given::insert_one(&store, number).await;
        let Claimed { job, lease } = given::claim_one(&store, 0).await;
        let life = given::life(&job, state, 1, None);
        let end = Commit::new(&job, life, Some(EventKind::Completed), at(1));
        let over = store.commit(end.under(lease, LeaseEnd::Keep)).await.unwrap();
        let before = sight(&store).await;
        let image = given::picture(number, &job, 1);
        let change = given::progress(&over, 1, 2).with_images(vec![image]);
        for commit in [change.clone(), change.under(lease, LeaseEnd::Keep)] {
            let held = commit.lease.is_some();
            let refused = store.commit(commit).await;
            assert!(
                is_stale(&refused, job.id) || (held && is_lost(&refused, job.id)),
                "{refused:?}"
            );
            assert_eq!(sight(&store).await, before);
        }
    }
}

/// Pictures are there once the commit that stored them is.
pub async fn images_come_with_their_commit(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let mut bare = given::picture(1, &job, 0);
    bare.size = None;
    bare.bytes = 0;
    let images = vec![bare, given::picture(2, &job, 4)];
    let commit = given::finish(&job, 1).with_images(images.clone());
    store.commit(commit).await.unwrap();
    for image in &images {
        assert_eq!(store.image(image.id).await.unwrap().as_ref(), Some(image));
    }
    assert_eq!(
        store.images(&ImageQuery::of(job.id)).await.unwrap(),
        Page::new(images, None)
    );
}

/// A commit that is refused leaves no pictures behind.
pub async fn images_of_a_refused_commit_are_not_kept(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let kept = given::picture(1, &job, 1);
    let commit = given::progress(&job, 1, 1).with_images(vec![kept.clone()]);
    store.commit(commit).await.unwrap();
    let other = given::picture(2, &job, 1);
    let refused = store
        .commit(given::progress(&job, 2, 2).with_images(vec![other]))
        .await;
    assert!(is_stale(&refused, job.id), "{refused:?}");
    assert_eq!(store.image(image_id(2)).await.unwrap(), None);
    let found = store.images(&ImageQuery::of(job.id)).await.unwrap();
    assert_eq!(found.items, [kept]);
}

/// Storing a picture again after a crash leaves one row for its place.
pub async fn images_are_replaced_by_place(store: Arc<dyn JobStore>) {
    let other = given::insert_one(&store, 2).await;
    let bystander = given::picture(9, &other, 1);
    store
        .commit(given::finish(&other, 1).with_images(vec![bystander.clone()]))
        .await
        .unwrap();
    let job = given::insert_one(&store, 1).await;
    let first = vec![given::picture(1, &job, 1), given::picture(2, &job, 2)];
    let job = store
        .commit(given::progress(&job, 1, 1).with_images(first))
        .await
        .unwrap();
    let again = vec![given::picture(3, &job, 1)];
    let job = store
        .commit(given::progress(&job, 1, 1).with_images(again))
        .await
        .unwrap();
    let mut same_id = given::picture(3, &job, 1);
    same_id.bytes = 77;
    store
        .commit(given::finish(&job, 2).with_images(vec![same_id.clone()]))
        .await
        .unwrap();

    let found = store.images(&ImageQuery::of(job.id)).await.unwrap();
    assert_eq!(found.items, [same_id.clone(), given::picture(2, &job, 2)]);
    assert_eq!(store.image(image_id(1)).await.unwrap(), None, "replaced");
    assert_eq!(store.image(image_id(3)).await.unwrap(), Some(same_id));
    assert_eq!(store.image(image_id(9)).await.unwrap(), Some(bystander));
}

/// Grid first, then by index, whatever the order and the ids they were stored under.
pub async fn images_of_a_job_come_in_their_order(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let mut job_now = job.clone();
    for (number, index) in [(1, 3), (2, 1), (3, 0), (4, 4), (5, 2)] {
        let commit = given::progress(&job_now, 1, 1).with_images(vec![given::picture(number, &job, index)]);
        job_now = store.commit(commit).await.unwrap();
    }
    let page = store.images(&ImageQuery::of(job.id)).await.unwrap();
    let indices: Vec<_> = page.items.iter().map(|image| image.index).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4]);
    assert_eq!(page.next, None);
    let none = store.images(&ImageQuery::of(job_id(2))).await.unwrap();
    assert_eq!(none, Page::new(Vec::new(), None));
}

async fn many_images(store: &Arc<dyn JobStore>, job: u64, numbers: std::ops::RangeInclusive<u64>) {
    let job = given::insert_one(store, job).await;
    let images = (0..=u8::MAX)
        .zip(numbers)
        .map(|(index, number)| given::picture(number, &job, index));
    let commit = given::progress(&job, 1, 1).with_images(images.collect());
    store.commit(commit).await.unwrap();
}

/// Newest first, in pages that go on where the last one ended, also while pictures are added.
pub async fn images_are_listed_newest_first(store: Arc<dyn JobStore>) {
    many_images(&store, 1, 1..=202).await;
    let first = store.images(&ImageQuery::newest(3)).await.unwrap();
    assert_eq!(first.items.len(), 3);
    many_images(&store, 2, 300..=302).await;
    let mut rest = ImageQuery::newest(7);
    rest.after = first.next;
    assert!(first.next.is_some());
    let mut found: Vec<_> = first.items.iter().map(|image| image.id).collect();
    found.extend(all_images(&store, rest).await.iter().map(|image| image.id));
    assert_eq!(found, (1..=202).rev().map(image_id).collect::<Vec<_>>());

    let clamped = store.images(&ImageQuery::newest(usize::MAX)).await.unwrap();
    assert_eq!(clamped.items.len(), Page::<Image>::MAX);
    assert_eq!(store.images(&ImageQuery::newest(0)).await.unwrap().items.len(), 1);
}

/// One owner's pictures only, in the list and of a job.
pub async fn images_are_listed_by_owner(store: Arc<dyn JobStore>) {
    for (number, owner) in [(1, "ann"), (2, "bob"), (3, "ann")] {
        let mut new = given::jobs(&[number]);
        new.owner = Owner::new(owner);
        let job = given::insert(&store, new).await.remove(0);
        let commit = given::finish(&job, 1).with_images(vec![given::picture(number, &job, 1)]);
        store.commit(commit).await.unwrap();
    }
    let mut query = ImageQuery::newest(1);
    query.owner = Some(Owner::new("ann"));
    let found = all_images(&store, query).await;
    let found: Vec<_> = found.iter().map(|image| image.id).collect();
    assert_eq!(found, [image_id(3), image_id(1)]);
    let mut query = ImageQuery::of(job_id(2));
    query.owner = Some(Owner::new("ann"));
    assert_eq!(store.images(&query).await.unwrap().items, []);
}

/// What callers brought along is kept with all that is known about it.
pub async fn uploads_are_found_again_as_they_were(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let picture = given::picture(1, &job, 1);
    for (number, size) in [(1, Some((640, 480))), (2, None)] {
        let id = UploadId::from_bytes([number; 16]);
        assert_eq!(store.upload(id).await.unwrap(), None);
        let upload = Upload::new(
            id,
            job.owner.clone(),
            ImageKey::upload(picture.created, id, picture.media_type),
            picture.digest,
            u64::from(number) * 1_000_000,
            picture.media_type,
            size,
            picture.created,
        );
        store.put_upload(&upload).await.unwrap();
        assert_eq!(store.upload(id).await.unwrap(), Some(upload));
    }
}

/// No such picture is no error.
pub async fn image_lookup_of_an_unknown_id_is_none(store: Arc<dyn JobStore>) {
    assert_eq!(store.image(image_id(1)).await.unwrap(), None);
}

/// By descending id, in whatever order they were inserted.
pub async fn list_is_newest_first(store: Arc<dyn JobStore>) {
    assert_eq!(
        store.list(&JobQuery::newest(10)).await.unwrap(),
        Page::new(Vec::new(), None)
    );
    for number in [3, 1, 5, 2, 4] {
        given::insert_one(&store, number).await;
    }
    let page = store.list(&JobQuery::newest(5)).await.unwrap();
    assert_eq!(numbers(&page.items), ids([5, 4, 3, 2, 1]));
    assert_eq!(page.next, None, "a full last page is the last");
    let page = store.list(&JobQuery::newest(4)).await.unwrap();
    assert_eq!(numbers(&page.items), ids([5, 4, 3, 2]));
    assert!(page.next.is_some());
}

/// Jobs that come while somebody reads neither shift a page nor show twice.
pub async fn list_pages_stay_stable_under_inserts(store: Arc<dyn JobStore>) {
    for number in 1..=10 {
        given::insert_one(&store, number).await;
    }
    let mut query = JobQuery::newest(3);
    let mut found = Vec::new();
    for newer in 11.. {
        let page = store.list(&query).await.unwrap();
        found.extend(numbers(&page.items));
        given::insert_one(&store, newer).await;
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(found, ids((1..=10).rev()));
}

async fn mixed(store: &Arc<dyn JobStore>) {
    for number in 1..=24 {
        let mut new = given::jobs(&[number]);
        new.owner = Owner::new(if number % 2 == 0 { "ann" } else { "bob" });
        new.batch = (number % 3 == 0).then(|| given::batch_id(number % 2));
        let job = given::insert(store, new).await.remove(0);
        if number % 4 == 0 {
            store.commit(given::finish(&job, 1)).await.unwrap();
        }
    }
}

/// Each filter alone and all of them together.
pub async fn list_filters_by_owner_status_and_batch(store: Arc<dyn JobStore>) {
    mixed(&store).await;
    let owner = Some(Owner::new("ann"));
    let status = Some(Status::Completed);
    let batch = Some(given::batch_id(0));
    let list = |owner, status, batch| {
        let query = JobQuery {
            owner,
            status,
            batch,
            ..JobQuery::newest(100)
        };
        let store = &store;
        async move { numbers(&store.list(&query).await.unwrap().items) }
    };
    let expect = |keep: fn(&u64) -> bool| ids((1..=24).rev().filter(keep));
    assert_eq!(list(owner.clone(), None, None).await, expect(|n| n % 2 == 0));
    assert_eq!(list(None, status, None).await, expect(|n| n % 4 == 0));
    assert_eq!(
        list(None, Some(Status::Pending), None).await,
        expect(|n| n % 4 != 0)
    );
    assert_eq!(list(None, Some(Status::Failed), None).await, []);
    assert_eq!(list(None, None, batch).await, expect(|n| n % 6 == 0));
    assert_eq!(list(owner, status, batch).await, expect(|n| n % 12 == 0));
    assert_eq!(
        list(Some(Owner::new("bob")), None, batch).await,
        [],
        "another's batch"
    );
}

/// Pages of a filtered list are as full as they can be, and lose nothing.
pub async fn list_filters_and_pages_together(store: Arc<dyn JobStore>) {
    mixed(&store).await;
    let query = JobQuery {
        owner: Some(Owner::new("ann")),
        status: Some(Status::Pending),
        ..JobQuery::newest(2)
    };
    let first = store.list(&query).await.unwrap();
    assert_eq!(numbers(&first.items), ids([22, 18]));
    assert_eq!(
        numbers(&all_jobs(&store, query).await),
        ids([22, 18, 14, 10, 6, 2])
    );
}

/// No page is larger than the largest, and none is empty by wish.
pub async fn list_limits_are_clamped(store: Arc<dyn JobStore>) {
    let all: Vec<u64> = (1..=202).collect();
    given::insert(&store, given::jobs(&all)).await;
    for (limit, got) in [(0, 1), (1, 1), (200, 200), (201, 200), (usize::MAX, 200)] {
        let page = store.list(&JobQuery::newest(limit)).await.unwrap();
        assert_eq!(page.items.len(), got, "limit {limit}");
        assert!(page.next.is_some());
    }
    let found = all_jobs(&store, JobQuery::newest(usize::MAX)).await;
    assert_eq!(found.len(), 202);
}

/// Sequence numbers of a job count up by one from 1.
pub async fn history_is_in_order_without_gaps(store: Arc<dyn JobStore>) {
    let mut jobs = given::insert(&store, given::jobs(&[1, 2])).await;
    for round in 0..6 {
        for job in &mut jobs {
            let mut commit = given::progress(job, round, 1);
            if round % 3 == 0 {
                commit.event = None;
            }
            *job = store.commit(commit).await.unwrap();
        }
    }
    for job in jobs {
        let events = store.history(job.id, 0, 100).await.unwrap();
        let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, [1, 2, 3, 4, 5]);
        assert!(events.iter().all(|event| event.job == job.id));
        assert!(events.windows(2).all(|pair| pair[0].position < pair[1].position));
        assert_eq!(job.sequence, 5);
    }
}

/// A watcher goes on after the last number it has.
pub async fn history_goes_on_after_a_sequence(store: Arc<dyn JobStore>) {
    let mut job = given::insert_one(&store, 1).await;
    for percent in 0..5 {
        job = store.commit(given::progress(&job, percent, 1)).await.unwrap();
    }
    let all = store.history(job.id, 0, 100).await.unwrap();
    assert_eq!(all.len(), 6);
    assert_eq!(store.history(job.id, 2, 3).await.unwrap(), all[2..5]);
    assert_eq!(store.history(job.id, 4, 100).await.unwrap(), all[4..]);
    assert_eq!(store.history(job.id, 6, 100).await.unwrap(), []);
    assert_eq!(
        store.history(job.id, i64::MAX.unsigned_abs(), 1).await.unwrap(),
        []
    );
}

/// No job, no history, no error.
pub async fn history_of_an_unknown_job_is_empty(store: Arc<dyn JobStore>) {
    given::insert_one(&store, 1).await;
    assert_eq!(store.history(job_id(2), 0, 10).await.unwrap(), []);
}

/// One order for the whole store.
pub async fn events_come_in_the_order_of_commits(store: Arc<dyn JobStore>) {
    let jobs = given::insert(&store, given::jobs(&[2, 1])).await;
    let job = store.commit(given::progress(&jobs[1], 1, 1)).await.unwrap();
    store.commit(given::finish(&jobs[0], 2)).await.unwrap();
    store.commit(given::finish(&job, 3)).await.unwrap();
    let events = all_events(&store, 2).await;
    let told: Vec<_> = events.iter().map(|event| (event.job, event.kind)).collect();
    let (one, two) = (job_id(1), job_id(2));
    assert_eq!(
        told,
        [
            (two, EventKind::Created),
            (one, EventKind::Created),
            (one, EventKind::Progress),
            (two, EventKind::Completed),
            (one, EventKind::Completed),
        ]
    );
    assert!(events[0].position > Position::START);
    assert!(events.windows(2).all(|pair| pair[0].position < pair[1].position));
}

/// An event carries what a watcher would read about the job at that moment, for ever.
pub async fn events_tell_the_life_after_them(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let mut life = given::life(&job, given::running(42), 5, Some(5));
    life.trouble = Some(given::failure());
    let job = store
        .commit(Commit::new(&job, life.clone(), Some(EventKind::Progress), at(5)))
        .await
        .unwrap();
    store.commit(given::finish(&job, 6)).await.unwrap();
    let events = store.history(job.id, 1, 1).await.unwrap();
    let expected = Event::of(job.id, 2, events[0].position, at(5), EventKind::Progress, &life);
    assert_eq!(events, [expected]);
}

/// A reader that goes on from its last position gets every event, however many write at the same time.
pub async fn events_go_on_without_missing_any(store: Arc<dyn JobStore>) {
    const WRITERS: u64 = 32;
    const COMMITS: u8 = 8;
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        async move {
            let mut seen: Vec<Event> = Vec::new();
            loop {
                // Asked before the store is: what was written by then must be in the answer.
                let last = done.load(Ordering::SeqCst);
                let after = seen.last().map_or(Position::START, |event| event.position);
                let more = store.events(after, 7).await.unwrap();
                if more.is_empty() && last {
                    return seen;
                }
                if more.is_empty() {
                    tokio::task::yield_now().await;
                }
                seen.extend(more);
            }
        }
    });
    let mut writers = JoinSet::new();
    for number in 1..=WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let mut job = given::insert_one(&store, number).await;
            for percent in 0..COMMITS {
                job = store.commit(given::progress(&job, percent, 1)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    done.store(true, Ordering::SeqCst);
    let seen = timeout(given::DEADLINE, reader)
        .await
        .expect("the reader comes to the end")
        .unwrap();
    let mut sequences: BTreeMap<JobId, Vec<u64>> = BTreeMap::new();
    for event in &seen {
        sequences.entry(event.job).or_default().push(event.sequence);
    }
    assert_eq!(sequences.len(), 32);
    let expected: Vec<u64> = (1..=u64::from(COMMITS) + 1).collect();
    for (job, sequences) in sequences {
        assert_eq!(sequences, expected, "{job}");
    }
    assert_eq!(
        seen,
        all_events(&store, 100).await,
        "reading again gives the same"
    );
}

/// Where a new watcher starts.
pub async fn head_is_the_newest_event(store: Arc<dyn JobStore>) {
    assert_eq!(store.head().await.unwrap(), Position::START);
    let job = given::insert_one(&store, 1).await;
    let first = store.head().await.unwrap();
    assert_eq!(store.events(Position::START, 9).await.unwrap()[0].position, first);
    assert_eq!(store.events(first, 9).await.unwrap(), []);
    store.commit(given::progress(&job, 1, 1)).await.unwrap();
    let second = store.head().await.unwrap();
    assert!(second > first);
    let newer = store.events(first, 9).await.unwrap();
    assert_eq!(newer.len(), 1);
    assert_eq!(newer[0].position, second);
}

/// Every job is counted once, under the status it has now.
pub async fn counts_follow_the_jobs(store: Arc<dyn JobStore>) {
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    let mut expected = Counts::default();
    for (number, state) in (1..).zip(every_state()) {
        *expected.of(state.status()) += 1;
        let job = given::insert_one(&store, number).await;
        let due = (!state.status().is_final()).then_some(1);
        let life = given::life(&job, state, 1, due);
        store
            .commit(Commit::new(&job, life, Some(EventKind::Progress), at(1)))
            .await
            .unwrap();
    }
    assert_eq!(store.counts().await.unwrap(), expected);
}

/// Watchers wake.
pub async fn changes_rise_after_an_insert(store: Arc<dyn JobStore>) {
    let mut changes = store.changes();
    let before = *changes.borrow_and_update();
    given::insert_one(&store, 1).await;
    timeout(given::DEADLINE, changes.changed())
        .await
        .expect("the signal comes")
        .expect("the store lives");
    assert!(*changes.borrow() > before);
}

/// Watchers wake, also one that came late and one whose store is shared.
pub async fn changes_rise_after_a_commit(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let head = store.head().await.unwrap();
    let mut watchers = [store.changes(), store.changes()];
    let commit = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(given::progress(&job, 1, 1)).await.unwrap() }
    });
    for changes in &mut watchers {
        // A rise is only a hint, so what counts is that a watcher who looks at each comes to see the event.
        while store.events(head, 1).await.unwrap().is_empty() {
            timeout(given::DEADLINE, changes.changed())
                .await
                .expect("the signal comes")
                .expect("the store lives");
        }
    }
    commit.await.unwrap();
}

/// Readiness.
pub async fn ping_of_a_healthy_store_works(store: Arc<dyn JobStore>) {
    store.ping().await.unwrap();
    assert!(!store.backend().is_empty());
}

/// Some 600 operations, drawn by dice with a fixed seed, do the same to the store and to the reference.
pub async fn random_operations_match_the_reference(store: Arc<dyn JobStore>) {
    random::run(store).await;
}
