//! What becomes of charges while jobs are under way.
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

use midjourney_core::{
    accounts::{Signal, Strategy},
    budget::{Budget, Credits},
    clock::Clock as _,
    engine::Engine,
    error::ErrorKind,
    id::JobId,
    job::{AccountName, FailureKind, Owner, Purse, Resolution, Stage, Status},
    testing::SubmitOutcome,
};

use crate::pools::{Pool, of_account, priced, refused, slots};

/// Two jobs of a client that may spend 6, accepted at 1 each; the other account takes 4 for each.
#[tokio::test]
async fn jobs_move_within_the_budget_of_their_client() {
    let mut pool = Pool::new(2, Strategy::Priority, slots(1)).with(|number, account| {
        let price = if number == 0 { 1 } else { 4 };
        account.with_prices(priced(price, None).0, Budget::default())
    });
    pool.world.policy.owner_budget = priced(0, Some(6)).1;
    pool.clients[0].script_submits([refused(FailureKind::QuotaExhausted)]);
    let ids = pool.accept(2).await;
    let engine = pool.start();
    pool.live_until_all_completed(&ids).await;
    drop(engine);
    assert_eq!(
        pool.paid(),
        [1, 1],
        "the second waits until it can be drawn at its own price"
    );
    assert_eq!(pool.spent(Purse::Owner(Owner::local())).await, Credits::whole(5));
}

/// A job at 3 credits whose submit was paid and lost, at the first of two accounts.
async fn lost(budget: Option<u32>) -> (Pool, JobId, Engine) {
    let mut pool = Pool::new(2, Strategy::Priority, slots(1))
        .with(|_, account| account.with_prices(priced(3, None).0, Budget::default()));
    pool.world.policy.owner_budget = priced(0, budget).1;
    pool.clients[0].script_submits([SubmitOutcome::LostAfter]);
    let id = pool.accept(1).await[0];
    let engine = pool.start();
    pool.world
        .live_until("the lost answer", async || {
            pool.world.job(id).await.life.state.stage() == Some(Stage::SubmitUnknown)
        })
        .await;
    (pool, id, engine)
}

#[tokio::test]
async fn a_job_that_is_submitted_again_is_charged_again_and_leaves_its_first_charge() {
    let (pool, id, engine) = lost(Some(6)).await;
    // Meanwhile the account runs out of credit, so that the job goes to the other one.
    let now = pool.world.clock.now();
    let empty = Signal::Failed(FailureKind::QuotaExhausted, None);
    pool.accounts
        .note(&AccountName::new("account-0"), empty, None, now);
    let again = pool.gateway().resolve(id, Resolution::Resubmit).await.unwrap();
    assert_eq!(again.cost, Credits::whole(6));
    let job = pool.world.live_until_over(id).await;
    drop(engine);
    assert_eq!((job.status(), job.cost), (Status::Completed, Credits::whole(6)));
    assert_eq!(pool.paid(), [1, 1]);
    for number in 0..2 {
        assert_eq!(
            pool.spent(of_account(number)).await,
            Credits::whole(3),
            "{number}"
        );
    }
    assert_eq!(pool.spent(Purse::Owner(Owner::local())).await, Credits::whole(6));
}

#[tokio::test]
async fn no_job_is_submitted_again_over_the_budget_of_its_client() {
    let (pool, id, engine) = lost(Some(5)).await;
    let refused = pool
        .gateway()
        .resolve(id, Resolution::Resubmit)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OverBudget);
    drop(engine);
    assert_eq!(
        pool.world.job(id).await.life.state.stage(),
        Some(Stage::SubmitUnknown)
    );
    assert_eq!(pool.spent(Purse::Owner(Owner::local())).await, Credits::whole(3));
}
