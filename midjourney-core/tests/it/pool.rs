//! A pool of accounts: who takes what, and what happens when one cannot.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use midjourney_core::{
    accounts::{Account, Accounts, Condition, Limits, Strategy},
    budget::Credits,
    client::{MidjourneyClient as _, Reconciliation},
    clock::Clock as _,
    error::ErrorKind,
    gateway::{Act, Imagine},
    id::JobId,
    job::{
        AccountName, Action, Failure, FailureKind, IdempotencyKey, InputImage, JobRequest, NewJob, NewJobs,
        Owner, ParentRef, PictureForm, RemoteStatus, Spent, Status,
    },
    testing::{FakeClient, SeededEntropy, SubmitOutcome, Trouble, tiny_png},
};

use crate::pools::{Pool, priced, refused, slots};

#[tokio::test]
async fn jobs_are_shared_out_and_each_is_paid_once() {
    for strategy in [Strategy::LeastBusy, Strategy::RoundRobin] {
        let pool = Pool::new(4, strategy, slots(3));
        let ids = pool.accept(40).await;
        let engine = pool.start();
        pool.live_until_all_completed(&ids).await;
        drop(engine);
        assert_eq!(pool.paid(), [10, 10, 10, 10], "{strategy:?}");
    }
}

/// Another account is next by then; the answer is the first one's jobs all the same.
#[tokio::test]
async fn a_request_that_comes_again_under_its_key_is_the_same_in_a_pool() {
    for strategy in [Strategy::LeastBusy, Strategy::RoundRobin] {
        let pool = Pool::new(2, strategy, slots(3));
        let gateway = pool.gateway();
        let request = || Imagine::new("a fox").with_key(IdempotencyKey::new("order-1").ok());
        let first = gateway.imagine(request()).await.unwrap();
        let again = gateway.imagine(request()).await.unwrap();
        assert!(again.replayed, "{strategy:?}");
        assert_eq!(again.jobs[0].id, first.jobs[0].id);
        assert_eq!(again.jobs[0].account, first.jobs[0].account);
    }
}

#[tokio::test]
async fn an_account_never_runs_more_jobs_than_it_has_slots() {
    let pool = Pool::new(1, Strategy::LeastBusy, slots(3));
    let ids = pool.accept(20).await;
    let engine = pool.start();
    let name = AccountName::new("account-0");
    let mut most = 0;
    pool.world
        .live_until("the end of all jobs", async || {
            let live = pool.world.jobs.live().await.unwrap();
            most = most.max(live.get(&name).map_or(0, |live| live.running));
            let counts = pool.world.jobs.counts().await.unwrap();
            counts.pending + counts.processing == 0
        })
        .await;
    drop(engine);
    assert_eq!(most, 3);
    assert_eq!((pool.paid(), ids.len()), (vec![20], 20));
}

/// Each learns for itself what its own workers do; only the store knows of both.
#[tokio::test]
async fn two_processes_on_one_store_keep_to_the_slots_together() {
    let pool = Pool::new(1, Strategy::Priority, slots(1));
    let other = Pool {
        accounts: Accounts::new(Strategy::Priority).with(pool.accounts.all()[0].clone()),
        world: pool.world.another(),
        clients: pool.clients.clone(),
    };
    pool.accept(6).await;
    let engines = [pool.start(), other.start()];
    let name = AccountName::new("account-0");
    let mut most = 0;
    pool.world
        .live_until("the end of all jobs", async || {
            let live = pool.world.jobs.live().await.unwrap();
            most = most.max(live.get(&name).map_or(0, |live| live.running));
            pool.world.jobs.counts().await.unwrap().completed == 6
        })
        .await;
    drop(engines);
    assert_eq!((most, pool.paid()), (1, vec![6]));
}

#[tokio::test]
async fn a_request_of_more_jobs_than_a_queue_has_room_for_is_refused_whole() {
    let limits = Limits {
        slots: Some(1),
        queue: Some(2),
        ..Limits::default()
    };
    let pool = Pool::new(2, Strategy::Priority, limits);
    let gateway = pool.gateway();
    // Never, however long one waits.
    let four = gateway.imagine(Imagine::new("{1, 2, 3, 4} foxes")).await;
    let error = four.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Rejected, None));
    assert!(error.to_string().contains("becomes 4 jobs"), "{error}");
    // Not now, for what waits there already.
    for _ in 0..2 {
        gateway.imagine(Imagine::new("{1, 2} foxes")).await.unwrap();
    }
    let error = gateway.imagine(Imagine::new("{1, 2} hares")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(pool.world.jobs.counts().await.unwrap().pending, 4);
}

#[tokio::test]
async fn a_full_pool_says_so_and_stores_nothing() {
    let limits = Limits {
        slots: Some(1),
        queue: Some(2),
        ..Limits::default()
    };
    let pool = Pool::new(2, Strategy::LeastBusy, limits);
    pool.accept(6).await;
    let error = pool
        .gateway()
        .imagine(Imagine::new("one more"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.retry_after().is_some());
    assert_eq!(pool.world.jobs.counts().await.unwrap().pending, 6);
}

/// The jobs are there already: a full queue is no answer to whoever asks for them again.
#[tokio::test]
async fn a_request_that_comes_again_finds_its_job_in_a_full_pool() {
    let limits = Limits {
        slots: Some(1),
        queue: Some(0),
        ..Limits::default()
    };
    let pool = Pool::new(1, Strategy::LeastBusy, limits);
    let gateway = pool.gateway();
    let request = |prompt: &str| Imagine::new(prompt).with_key(IdempotencyKey::new("order-1").ok());
    let first = gateway.imagine(request("a fox")).await.unwrap();
    let again = gateway.imagine(request("a fox")).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.jobs[0].id, first.jobs[0].id);
    let other = gateway.imagine(request("a hare")).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::IdempotencyMismatch);
    let new = gateway.imagine(Imagine::new("a fox")).await.unwrap_err();
    assert_eq!(new.kind(), ErrorKind::Unavailable);
}

/// A task that nobody has heard of is no longer drawn after the longest that drawing takes.
#[tokio::test]
async fn a_lost_submit_gives_its_slot_back_when_it_would_be_over() {
    let pool = Pool::new(1, Strategy::LeastBusy, slots(1));
    pool.clients[0].script_submits([SubmitOutcome::LostBefore]);
    let ids = pool.accept(2).await;
    let began = pool.world.clock.now();
    let engine = pool.start();
    pool.world.live_until_over(ids[1]).await;
    drop(engine);
    let waited = pool.world.clock.now().saturating_since(began);
    let policy = &pool.world.policy;
    assert!(
        waited > policy.run_limit && waited < policy.unknown_limit,
        "{waited:?}"
    );
    assert_eq!(pool.world.job(ids[0]).await.status(), Status::Processing);
}

/// Its slot is another's by then. It runs at the upstream all the same, and one look is enough to know of it.
#[tokio::test]
async fn a_lost_submit_that_is_found_late_needs_no_free_slot() {
    let pool = Pool::new(1, Strategy::LeastBusy, slots(1));
    let mut can = pool.clients[0].capabilities();
    can.reconcile = true;
    let client = Arc::new(FakeClient::new().with_capabilities(can));
    let own = Arc::clone(&client);
    let account = Account::new(AccountName::new("account-0"), own);
    let mut pool = Pool {
        accounts: Accounts::new(Strategy::LeastBusy).with(account.with_limits(slots(1))),
        ..pool
    };
    pool.world.policy.silence_limit = pool.world.policy.run_limit;
    client.script_submits([SubmitOutcome::LostAfter]);
    let in_vain = 16;
    client.script_reconciles((0..in_vain).map(|_| Ok(Reconciliation::Unknown)));
    client.script_statuses([Ok(RemoteStatus::Running { progress: None })]);
    let ids = pool.accept(2).await;
    let engine = pool.start();
    pool.world
        .live_until("the find", async || client.reconciles() > in_vain)
        .await;
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
    drop(engine);
    let other = pool.world.job(ids[1]).await;
    assert!(other.life.state.holds_slot(), "{:?}", other.life.state);
    let job = pool.world.job(ids[0]).await;
    assert!(job.life.state.upstream().is_some(), "{:?}", job.life.state);
    assert_eq!(client.reconciles(), in_vain + 1);
}

/// Nothing was asked of the account: whoever is next asks it.
#[tokio::test]
async fn a_probe_that_was_never_sent_is_not_used_up() {
    let mut pool = Pool::new(1, Strategy::LeastBusy, slots(1));
    pool.clients[0].script_submits([refused(FailureKind::QuotaExhausted)]);
    pool.world.policy.queue_limit = Duration::from_secs(10 * 60);
    let ids = pool.accept(2).await;
    let engine = pool.start();
    pool.world.live_until_over(ids[0]).await;
    let began = pool.world.clock.now();
    // By the time of the probe the first that waits has waited too long.
    pool.world.clock.advance(Duration::from_secs(11 * 60));
    let fresh = pool.accept(1).await[0];
    let job = pool.world.live_until_over(fresh).await;
    drop(engine);
    assert_eq!(pool.world.job(ids[1]).await.status(), Status::Expired);
    assert_eq!(job.status(), Status::Completed);
    let waited = pool.world.clock.now().saturating_since(began);
    assert!(waited < Duration::from_secs(20 * 60), "{waited:?}");
}

#[tokio::test]
async fn a_picture_goes_to_an_account_that_can_be_given_it() {
    let pool = Pool::new(2, Strategy::Priority, Limits::default());
    let mut can = pool.clients[0].capabilities();
    can.pictures = PictureForm::Link;
    let accounts = Accounts::new(Strategy::Priority)
        .with(Account::new(
            AccountName::new("links-only"),
            Arc::new(FakeClient::new().with_capabilities(can)),
        ))
        .with(pool.accounts.all()[1].clone());
    let pool = Pool { accounts, ..pool };
    let gateway = pool.gateway();
    let png = tiny_png(1);
    let upload = gateway
        .upload(Owner::local(), stream::iter([Ok(png)]).boxed())
        .await
        .unwrap();
    let request = Imagine::new("a fox").with_images(vec![InputImage::Upload(upload.id)]);
    let job = gateway.imagine(request).await.unwrap().jobs.remove(0);
    assert_eq!(job.account, AccountName::new("account-1"));
}

#[tokio::test]
async fn what_waits_at_an_account_without_credit_goes_to_another() {
    let pool = Pool::new(2, Strategy::RoundRobin, slots(1));
    pool.clients[0].script_submits((0..50).map(|_| refused(FailureKind::QuotaExhausted)));
    let ids = pool.accept(20).await;
    let engine = pool.start();
    pool.live_until_idle().await;
    drop(engine);
    assert_eq!(pool.condition(0), Condition::Exhausted);
    // The job that found it out as well: nothing was spent on it.
    assert_eq!(pool.paid(), [0, 20]);
    for id in &ids {
        assert_eq!(pool.world.job(*id).await.status(), Status::Completed);
    }
}

#[tokio::test]
async fn what_the_only_account_refuses_for_lack_of_credit_fails_at_once() {
    let pool = Pool::new(1, Strategy::RoundRobin, slots(1));
    pool.clients[0].script_submits([refused(FailureKind::QuotaExhausted)]);
    let id = pool.accept(1).await[0];
    let engine = pool.start();
    let job = pool.world.live_until_over(id).await;
    drop(engine);
    let failure = job.life.failure().unwrap();
    assert_eq!(
        (failure.kind, failure.spent),
        (FailureKind::QuotaExhausted, Spent::No)
    );
}

#[tokio::test]
async fn four_accounts_go_on_while_the_fifth_hangs() {
    let pool = Pool::new(5, Strategy::LeastBusy, slots(2));
    // Its calls never come back; each holds one of its two slots.
    pool.clients[4].script_submits((0..50).map(|_| SubmitOutcome::HangBefore));
    pool.accept(50).await;
    let engine = pool.start();
    pool.world
        .live_until("all that can be done", async || {
            pool.world.jobs.counts().await.unwrap().completed == 40
        })
        .await;
    drop(engine);
    assert_eq!(pool.paid(), [10, 10, 10, 10, 0]);
    assert_eq!(
        pool.clients[4].submits().len(),
        2,
        "no more than its slots are held up"
    );
}

/// Not even where nothing says how many jobs an account may be given at once.
#[tokio::test]
async fn an_account_whose_calls_hang_never_takes_up_all_workers() {
    let pool = Pool::new(2, Strategy::RoundRobin, Limits::default());
    pool.clients[0].script_submits((0..100).map(|_| SubmitOutcome::HangBefore));
    pool.accept(80).await;
    let engine = pool.start();
    pool.world
        .live_until("all that can be done", async || {
            pool.world.jobs.counts().await.unwrap().completed == 40
        })
        .await;
    drop(engine);
    assert_eq!(pool.paid(), [0, 40]);
}

#[tokio::test]
async fn a_follow_up_waits_for_its_own_account() {
    let pool = Pool::new(2, Strategy::Priority, Limits::default());
    let id = pool.accept(1).await[0];
    let engine = pool.start();
    pool.world.live_until_over(id).await;
    let home = pool.world.job(id).await.account;
    assert_eq!(home, AccountName::new("account-0"));
    // The account breaks down: five calls in a row fail before anything is spent.
    let broken = || SubmitOutcome::Fail(Trouble::passing());
    pool.clients[0].script_submits((0..5).map(|_| broken()));
    let reroll = pool
        .gateway()
        .act(Act::new(Action::Reroll).on(ParentRef::new(id, 0)))
        .await
        .unwrap();
    let child = reroll.jobs[0].id;
    pool.world
        .live_until("the break", async || pool.condition(0) == Condition::Down)
        .await;
    let job = pool.world.live_until_over(child).await;
    drop(engine);
    assert_eq!((job.status(), job.account), (Status::Completed, home));
    assert_eq!(pool.condition(0), Condition::Ok);
    assert_eq!(pool.paid(), [2, 0]);
}

const JOBS: usize = 300;

/// Accepted = completed + failed + cancelled + waiting, and each submit that was taken was paid once.
#[tokio::test]
async fn jobs_with_faults_end_in_exact_accounting() {
    let mut pool = Pool::new(5, Strategy::LeastBusy, slots(4));
    // Nothing shows what came of a lost answer here.
    pool.world.policy.unknown_limit = Duration::from_secs(60);
    for (number, client) in pool.clients.iter().enumerate() {
        client.script_submits((0..JOBS).map(|turn| match (turn + number) % 10 {
            1 => refused(FailureKind::Moderated),
            3 => SubmitOutcome::Fail(Trouble::not_now(
                Failure::new(FailureKind::QueueFull, "full"),
                None,
            )),
            5 => SubmitOutcome::LostAfter,
            7 => SubmitOutcome::LostBefore,
            _ => SubmitOutcome::Accept,
        }));
        if number == 2 {
            let refused = Failure::new(FailureKind::Moderated, "refused while drawing");
            client.script_statuses([Ok(RemoteStatus::Failed(refused.with_spent(Spent::Yes)))]);
        }
    }
    let ids = pool.accept(JOBS).await;
    let engine = pool.start();
    let mut looks = 0_u32;
    pool.world
        .live_until("the end of all jobs", async || {
            looks += 1;
            if !looks.is_multiple_of(50) {
                return false;
            }
            let counts = pool.world.jobs.counts().await.unwrap();
            counts.pending + counts.processing == 0
        })
        .await;
    drop(engine);
    let counts = pool.world.jobs.counts().await.unwrap();
    assert_eq!(
        counts.completed + counts.failed + counts.cancelled + counts.expired,
        u64::try_from(JOBS).unwrap(),
        "{counts:?}"
    );
    let paid: usize = pool.paid().iter().sum();
    for client in &pool.clients {
        assert!(ids.iter().all(|id| client.paid_for(*id) <= 1));
    }
    let mut told = 0;
    for id in &ids {
        let job = pool.world.job(*id).await;
        let spent = job.life.failure().map_or(Spent::Yes, |failure| failure.spent);
        told += usize::from(job.status() == Status::Completed || spent != Spent::No);
    }
    // Every job that was paid says so or says that it may have been; the others say that nothing was spent.
    let lost_before = pool
        .clients
        .iter()
        .map(|client| client.submits().len())
        .sum::<usize>();
    assert!(
        paid <= told && told <= lost_before,
        "{paid} paid, {told} told, {lost_before} sent"
    );
}

#[tokio::test]
async fn accounts_tell_what_they_have_to_do_and_what_is_wrong_with_them() {
    let pool = Pool::new(2, Strategy::Priority, slots(1)).with(|_, account| {
        let (prices, budget) = priced(2, Some(100));
        account.with_prices(prices, budget)
    });
    pool.clients[0].script_submits([refused(FailureKind::NeedsPerson)]);
    let id = pool.accept(1).await[0];
    // A job of an account that was configured once.
    let left = NewJob::new(
        JobId::new(pool.world.clock.now(), &SeededEntropy::new(5)),
        JobRequest::imagine("a hare"),
    );
    let now = pool.world.clock.now();
    let left = NewJobs::new(Owner::local(), AccountName::new("former"), vec![left], now);
    pool.world.jobs.insert(left).await.unwrap();
    let engine = pool.start();
    pool.world.live_until_over(id).await;
    let views = pool.gateway().accounts().await.unwrap();
    drop(engine);
    let told: Vec<_> = views
        .iter()
        .map(|view| (view.name.as_str(), view.condition, view.pending, view.spent.day))
        .collect();
    assert_eq!(
        told,
        [
            ("account-0", "needs_person", 0, Credits::ZERO),
            ("account-1", "ok", 0, Credits::whole(2)),
            ("former", "not_configured", 1, Credits::ZERO),
        ]
    );
    assert_eq!(views[0].reason.as_deref(), Some("as scripted"));
    assert_eq!(views[0].since, Some(now));
    assert!(views[0].waits_until.is_some_and(|until| until > now));
    assert!(views[1].actions.iter().any(|action| action == "imagine"));
}
