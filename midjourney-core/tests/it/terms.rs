//! What accounts and clients may spend, how many jobs an account takes, and how fast it draws them.

use std::time::Duration;

use midjourney_core::{
    accounts::{Limits, Modes, Strategy},
    budget::{Budget, Credits},
    clock::Clock as _,
    error::ErrorKind,
    gateway::{Act, Imagine},
    job::{AccountName, Action, Failure, FailureKind, InputImage, Owner, Purse, Status},
    prompt::Speed,
    testing::{SubmitOutcome, Trouble},
};

use crate::pools::{Pool, of_account, priced, refused, slots};

#[tokio::test]
async fn what_one_account_may_not_spend_goes_to_the_next_and_then_nowhere() {
    let pool = Pool::new(2, Strategy::Priority, Limits::default()).with(|number, account| {
        let (prices, budget) = if number == 0 {
            priced(2, Some(5))
        } else {
            priced(3, Some(3))
        };
        account.with_prices(prices, budget)
    });
    pool.accept(3).await;
    assert_eq!(pool.spent(of_account(0)).await, Credits::whole(4));
    assert_eq!(pool.spent(of_account(1)).await, Credits::whole(3));
    pool.world.clock.advance(Duration::from_secs(1));
    let error = pool
        .gateway()
        .imagine(Imagine::new("one more"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OverBudget);
    assert!(error.to_string().contains("nothing was spent"), "{error}");
    assert!(
        error
            .retry_after()
            .is_some_and(|wait| wait <= Duration::from_secs(86_400))
    );
    assert_eq!(pool.world.jobs.counts().await.unwrap().pending, 3);
}

/// All or nothing, counted before anything is spent.
#[tokio::test]
async fn a_client_s_budget_counts_every_job_of_a_request() {
    let mut pool = Pool::new(1, Strategy::Priority, Limits::default())
        .with(|_, account| account.with_prices(priced(2, None).0, Budget::default()));
    pool.world.policy.owner_budget = priced(0, Some(7)).1;
    let gateway = pool.gateway();
    let four = gateway
        .imagine(Imagine::new("{red, blue} {fox, hare}"))
        .await
        .unwrap_err();
    assert_eq!(four.kind(), ErrorKind::OverBudget);
    let three = gateway
        .imagine(Imagine::new("a {red, blue, green} fox"))
        .await
        .unwrap();
    assert_eq!(three.jobs.len(), 3);
    assert_eq!(pool.spent(Purse::Owner(Owner::local())).await, Credits::whole(6));
}

#[tokio::test]
async fn what_the_upstream_refuses_is_given_back_once() {
    let pool = Pool::new(1, Strategy::Priority, slots(1))
        .with(|_, account| account.with_prices(priced(2, None).0, Budget::default()));
    pool.clients[0].script_submits([
        refused(FailureKind::Moderated),
        SubmitOutcome::Fail(Trouble::passing()),
        SubmitOutcome::Accept,
    ]);
    let ids = pool.accept(2).await;
    let engine = pool.start();
    for id in &ids {
        pool.world.live_until_over(*id).await;
    }
    drop(engine);
    let costs: Vec<_> = [
        pool.world.job(ids[0]).await.cost,
        pool.world.job(ids[1]).await.cost,
    ]
    .into();
    assert_eq!(costs.iter().copied().sum::<Credits>(), Credits::whole(2));
    assert_eq!(pool.spent(of_account(0)).await, Credits::whole(2));
}

#[tokio::test]
async fn no_more_jobs_are_started_in_a_minute_than_an_account_may() {
    let limits = Limits {
        per_minute: Some(5),
        ..Limits::default()
    };
    let pool = Pool::new(1, Strategy::Priority, limits);
    let ids = pool.accept(12).await;
    let began = pool.world.clock.now();
    let engine = pool.start();
    let mut seen = Vec::new();
    pool.world
        .live_until("the end of all jobs", async || {
            let submits = pool.clients[0].submits().len();
            let now = pool.world.clock.now().saturating_since(began);
            if seen.last().is_none_or(|(_, last)| *last < submits) {
                seen.push((now, submits));
            }
            pool.world.jobs.counts().await.unwrap().completed == 12
        })
        .await;
    drop(engine);
    assert_eq!((pool.paid(), ids.len()), (vec![12], 12));
    for (at, submits) in seen {
        let minutes = usize::try_from(at.as_secs() / 60).unwrap();
        assert!(submits <= 5 * (minutes + 1), "{submits} after {at:?}");
    }
}

#[tokio::test]
async fn an_account_out_of_fast_credit_draws_in_relax_mode_where_it_may() {
    for falls_back in [true, false] {
        let modes = Modes::new(vec![Speed::Fast, Speed::Relax], falls_back);
        let pool =
            Pool::new(1, Strategy::Priority, slots(1)).with(|_, account| account.with_modes(modes.clone()));
        pool.clients[0].script_submits([refused(FailureKind::QuotaExhausted)]);
        let ids = pool.accept(2).await;
        let engine = pool.start();
        let job = pool.world.live_until_over(ids[0]).await;
        let next = pool.world.live_until_over(ids[1]).await;
        drop(engine);
        let prompts: Vec<_> = pool.clients[0]
            .submits()
            .iter()
            .map(|sent| sent.request.prompt.ends_with("--relax"))
            .collect();
        if falls_back {
            assert_eq!(
                (job.status(), next.status()),
                (Status::Completed, Status::Completed)
            );
            assert_eq!(prompts, [false, true, true]);
        } else {
            assert_eq!(job.status(), Status::Failed);
            assert_eq!(prompts, [false, false]);
        }
    }
}

#[tokio::test]
async fn a_speed_is_drawn_by_an_account_that_has_it() {
    let pool = Pool::new(2, Strategy::Priority, Limits::default()).with(|number, account| {
        let speeds = if number == 0 {
            vec![Speed::Relax]
        } else {
            vec![Speed::Fast, Speed::Relax]
        };
        account.with_modes(Modes::new(speeds, false))
    });
    let gateway = pool.gateway();
    let fast = gateway.imagine(Imagine::new("a fox --fast")).await.unwrap();
    assert_eq!(fast.jobs[0].account, AccountName::new("account-1"));
    let turbo = gateway.imagine(Imagine::new("a fox --turbo")).await.unwrap_err();
    assert_eq!(turbo.kind(), ErrorKind::Rejected);
    assert!(turbo.to_string().contains("no turbo mode"), "{turbo}");
    // Each job of a request has its own.
    let both = gateway.imagine(Imagine::new("a fox --{fast, turbo}")).await;
    assert!(both.unwrap_err().to_string().contains("leave --"));
}

/// Accounts that may draw in relax mode where they have no credit for another.
fn relaxing(count: usize) -> Pool {
    let modes = Modes::new(vec![Speed::Fast, Speed::Relax], true);
    Pool::new(count, Strategy::Priority, slots(1)).with(|_, account| account.with_modes(modes.clone()))
}

/// Its relax mode had refused one job, perhaps for an hourly limit.
#[tokio::test]
async fn an_account_that_draws_in_relax_mode_comes_back_after_a_refusal() {
    let pool = relaxing(1);
    // Fast, relax; a quarter of an hour later fast again, and from there on it draws.
    pool.clients[0].script_submits((0..3).map(|_| refused(FailureKind::QuotaExhausted)));
    pool.accept(5).await;
    let engine = pool.start();
    pool.live_until_idle().await;
    drop(engine);
    let counts = pool.world.jobs.counts().await.unwrap();
    assert_eq!((counts.completed, counts.failed), (4, 1));
    let sent = pool.clients[0].submits();
    let relaxed: Vec<_> = sent
        .iter()
        .map(|sent| sent.request.prompt.ends_with("--relax"))
        .collect();
    assert_eq!(relaxed, [false, true, false, true, true, true, true]);
}

#[tokio::test]
async fn what_relax_mode_cannot_draw_is_not_asked_for_in_it() {
    let pool = relaxing(1);
    let id = pool.accept(1).await[0];
    let no = Failure::new(FailureKind::Unsupported, "no videos in relax mode");
    pool.clients[0].refuse_check(Some(no));
    pool.clients[0].script_submits([refused(FailureKind::QuotaExhausted)]);
    let engine = pool.start();
    let job = pool.world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.life.failure().unwrap().kind, FailureKind::QuotaExhausted);
    assert_eq!(pool.clients[0].submits().len(), 1);
}

/// It has no prompt that could ask for another mode.
#[tokio::test]
async fn what_relax_mode_cannot_draw_goes_to_an_account_that_is_not_in_it() {
    let pool = relaxing(2);
    pool.clients[0].script_submits((0..50).map(|_| refused(FailureKind::QuotaExhausted)));
    let picture = InputImage::Url("https://cdn.example/a.png".to_owned());
    let describe = Act::new(Action::Describe).with_images(vec![picture]);
    let id = pool.gateway().act(describe).await.unwrap().jobs[0].id;
    let engine = pool.start();
    let job = pool.world.live_until_over(id).await;
    drop(engine);
    assert_eq!(
        (job.status(), job.account),
        (Status::Completed, AccountName::new("account-1"))
    );
    assert_eq!(pool.clients[0].submits().len(), 1);
}

#[tokio::test]
async fn a_job_passes_by_an_account_whose_budget_is_used_up() {
    let pool = Pool::new(3, Strategy::Priority, slots(1)).with(|number, account| {
        let (prices, budget) = priced(1, (number == 1).then_some(0));
        account.with_prices(prices, budget)
    });
    pool.clients[0].script_submits((0..50).map(|_| refused(FailureKind::AccountBlocked)));
    let id = pool.accept(1).await[0];
    let engine = pool.start();
    let job = pool.world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.status(), Status::Completed);
    assert_eq!(pool.paid(), [0, 0, 1]);
}

/// Starts that were noted in a wrong year say nothing about this minute.
#[test]
fn a_rate_survives_a_clock_that_comes_back() {
    let limits = Limits {
        per_minute: Some(1),
        ..Limits::default()
    };
    let pool = Pool::new(1, Strategy::Priority, limits);
    let (name, now) = (AccountName::new("account-0"), pool.world.clock.now());
    let year = Duration::from_secs(365 * 86_400);
    drop(pool.accounts.start(&name, now.saturating_add(year)).unwrap());
    assert_eq!(pool.accounts.waits_until(&name, now), None);
    drop(pool.accounts.start(&name, now).unwrap());
    let minute = now.saturating_add(Duration::from_secs(60));
    assert_eq!(pool.accounts.waits_until(&name, now), Some(minute));
}
