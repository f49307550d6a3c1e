//! What jobs are charged with.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    super::given::{self, account, at},
    keyed, sight,
};
use crate::{
    budget::{Budget, Budgets, Credits, Period, Spending},
    job::{
        AccountName, Commit, Failure, FailureKind, Insertion, JobState, JobStore, Owner, Purse, Spent,
        StoreError, UpstreamId,
    },
};

/// What the account and the local owner have spent, in whole credits.
async fn spent(store: &Arc<dyn JobStore>, account: &str, millis: i64) -> [(u64, u64); 2] {
    let purses = [
        Purse::Account(AccountName::new(account)),
        Purse::Owner(Owner::local()),
    ];
    let spent = store.spent(&purses, at(millis)).await.unwrap();
    let whole = |spent: &Spending| (spent.day.thousandths() / 1_000, spent.month.thousandths() / 1_000);
    [whole(&spent[0]), whole(&spent[1])]
}

/// One day; the cases begin at 10:00 on the 22nd of a month.
const DAY: i64 = 86_400_000;

/// What jobs cost is charged to their account and to their owner, on the day they are accepted.
pub async fn jobs_are_charged_to_both_purses(store: Arc<dyn JobStore>) {
    assert_eq!(spent(&store, "main", 0).await, [(0, 0); 2]);
    let jobs = given::insert(&store, given::costing(3, given::jobs(&[1, 2]))).await;
    assert!(jobs.iter().all(|job| job.cost == Credits::whole(3)));
    let mut others = given::costing(5, given::jobs_at(&[3], DAY));
    others.account = AccountName::new("other");
    given::insert(&store, others).await;
    assert_eq!(given::load(&store, 3).await.cost, Credits::whole(5));
    assert_eq!(spent(&store, "main", 0).await, [(6, 6), (11, 11)]);
    assert_eq!(spent(&store, "main", DAY).await, [(0, 6), (5, 11)]);
    assert_eq!(spent(&store, "other", DAY).await, [(5, 5), (5, 11)]);
    assert_eq!(spent(&store, "main", 20 * DAY).await, [(0, 0); 2]);
}

/// A budget is kept to the last credit, of a day and of a month, whoever else spends at the same time.
pub async fn a_budget_is_never_exceeded(store: Arc<dyn JobStore>) {
    let budgets = |day: Option<u32>, month: Option<u32>| Budgets {
        owner: Budget {
            day: day.map(Credits::whole),
            month: month.map(Credits::whole),
        },
        account: Budget::default(),
    };
    let mut tasks = JoinSet::new();
    for number in 1..=64 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let jobs = given::costing(2, given::jobs(&[number])).within(budgets(Some(21), None));
            store.insert(jobs).await.unwrap()
        });
    }
    let answers = tasks.join_all().await;
    let made = answers
        .iter()
        .filter(|answer| matches!(answer, Insertion::Created(_)));
    assert_eq!(made.count(), 10);
    let owner = Purse::Owner(Owner::local());
    let refused = answers.iter().find_map(|answer| match answer {
        Insertion::Overdrawn(overdrawn) => Some(overdrawn.clone()),
        _ => None,
    });
    let refused = refused.unwrap();
    assert_eq!((&refused.purse, refused.period), (&owner, Period::Day));
    assert_eq!(
        (refused.asked, refused.left),
        (Credits::whole(2), Credits::whole(1))
    );
    assert_eq!(store.counts().await.unwrap().pending, 10);

    // The next day is new, the month is not; a refused request leaves its key free.
    let next = |number, budgets| {
        let jobs = keyed(given::costing(2, given::jobs_at(&[number], DAY)));
        jobs.within(budgets)
    };
    let answer = store.insert(next(71, budgets(Some(21), Some(21)))).await.unwrap();
    assert!(
        matches!(&answer, Insertion::Overdrawn(no) if no.period == Period::Month),
        "{answer:?}"
    );
    let answer = store.insert(next(72, budgets(Some(2), Some(22)))).await.unwrap();
    assert!(matches!(answer, Insertion::Created(_)), "{answer:?}");
    // An account's budget counts as well.
    let mut of_account = budgets(None, None);
    of_account.account.month = Some(Credits::whole(23));
    let jobs = given::costing(2, given::jobs_at(&[73], DAY)).within(of_account);
    let answer = store.insert(jobs).await.unwrap();
    assert!(
        matches!(&answer, Insertion::Overdrawn(no) if no.purse == Purse::Account(account())),
        "{answer:?}"
    );
}

/// What ends without having cost anything is given back, once, to the day it was charged to; whatever was or may have
/// been paid is kept.
pub async fn a_free_end_gives_the_charge_back(store: Arc<dyn JobStore>) {
    let failed = |spent| {
        let failure = Failure::new(FailureKind::Moderated, "no").with_spent(spent);
        JobState::Failed { failure }
    };
    let ends = [
        (failed(Spent::No), true),
        (failed(Spent::Maybe), false),
        (failed(Spent::Yes), false),
        (JobState::Cancelled { failure: None }, true),
    ];
    let mut kept = 0;
    for (number, (state, back)) in (1..).zip(ends) {
        given::insert(&store, given::costing(10, given::jobs(&[number]))).await;
        let job = given::load(&store, number).await;
        let life = given::life(&job, state, 1, None);
        let done = store
            .commit(Commit::new(&job, life, None, at(DAY)))
            .await
            .unwrap();
        let cost = if back { Credits::ZERO } else { Credits::whole(10) };
        kept += cost.thousandths() / 1_000;
        assert_eq!(done.cost, cost);
        assert_eq!(store.load(done.id).await.unwrap(), Some(done));
        assert_eq!(spent(&store, "main", 0).await, [(kept, kept); 2], "{number}");
    }
    // What the upstream had begun when it was told to stop may well be paid.
    given::insert(&store, given::costing(10, given::jobs(&[9]))).await;
    let job = given::load(&store, 9).await;
    let upstream = UpstreamId::new("task");
    let life = given::life(&job, JobState::Cancelling { upstream }, 1, Some(1));
    let job = store.commit(Commit::new(&job, life, None, at(1))).await.unwrap();
    let life = given::life(&job, JobState::Cancelled { failure: None }, 1, None);
    let job = store.commit(Commit::new(&job, life, None, at(2))).await.unwrap();
    assert_eq!(job.cost, Credits::whole(10));
    assert_eq!(spent(&store, "main", 0).await, [(kept + 10, kept + 10); 2]);
}

/// A job that goes to another account is charged there, at that account's price and within its budget.
pub async fn a_move_takes_the_charge_along(store: Arc<dyn JobStore>) {
    given::insert(&store, given::costing(3, given::jobs(&[1]))).await;
    let job = given::load(&store, 1).await;
    let moving = |cost, day| {
        let mut transfer = given::transfer("other", Credits::whole(cost));
        transfer.budget.day = Some(Credits::whole(day));
        Commit::new(&job, job.life.clone(), None, at(1)).moving_to(transfer)
    };
    let before = sight(&store).await;
    let refused = store.commit(moving(5, 4)).await;
    assert!(matches!(refused, Err(StoreError::Overdrawn(_))), "{refused:?}");
    assert_eq!(sight(&store).await, before);
    assert_eq!(spent(&store, "main", 0).await, [(3, 3); 2]);
    let moved = store.commit(moving(5, 5)).await.unwrap();
    assert_eq!(moved.cost, Credits::whole(5));
    assert_eq!(spent(&store, "main", 0).await, [(0, 0), (5, 5)]);
    assert_eq!(spent(&store, "other", 0).await, [(5, 5), (5, 5)]);
}
