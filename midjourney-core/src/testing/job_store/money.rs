//! What jobs are charged with.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    super::given::{self, account, at},
    keyed, sight,
};
use crate::{
    budget::{Budget, Budgets, Credits, Period, Spending},
    job::{AccountName, Billing, Commit, Insertion, Job, JobState, JobStore, Owner, Purse, StoreError},
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
    assert_eq!(spent(&store, "main", 0).await, [(6, 6), (6, 11)]);
    assert_eq!(spent(&store, "main", DAY).await, [(0, 6), (5, 11)]);
    assert_eq!(spent(&store, "other", DAY).await, [(5, 5), (5, 11)]);
    assert_eq!(spent(&store, "main", 20 * DAY).await, [(0, 0); 2]);
    // What is not made is not charged.
    let twice = store.insert(given::costing(3, given::jobs(&[1]))).await;
    assert!(twice.is_err(), "{twice:?}");
    assert_eq!(spent(&store, "main", 0).await, [(6, 6), (6, 11)]);
}

/// A clock that was set forward by mistake charges a day to come: that stands in nobody's way until then.
pub async fn what_is_charged_ahead_is_not_spent_yet(store: Arc<dyn JobStore>) {
    for (number, days) in [(1, 1), (2, 30), (3, 3650)] {
        given::insert(&store, given::costing(5, given::jobs_at(&[number], days * DAY))).await;
    }
    assert_eq!(spent(&store, "main", 0).await, [(0, 5); 2]);
    assert_eq!(spent(&store, "main", DAY).await, [(5, 5); 2]);
    assert_eq!(spent(&store, "main", 30 * DAY).await, [(5, 5); 2]);
    let tight = Budget {
        day: Some(Credits::whole(5)),
        month: Some(Credits::whole(10)),
    };
    let budgets = Budgets {
        account: tight,
        owner: tight,
    };
    let answer = store
        .insert(given::costing(5, given::jobs(&[4])).within(budgets))
        .await
        .unwrap();
    assert!(matches!(answer, Insertion::Created(_)), "{answer:?}");
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

/// A charge that is given back goes back once, to the day that it was charged to; the others are kept.
pub async fn a_free_end_gives_the_charge_back(store: Arc<dyn JobStore>) {
    given::insert(&store, given::costing(10, given::jobs(&[1, 2]))).await;
    let job = given::load(&store, 1).await;
    let life = given::life(&job, JobState::Cancelled { failure: None }, 1, None);
    let free = Commit::new(&job, life, None, at(DAY)).billing(Billing::GiveBack);
    let done = store.commit(free.clone()).await.unwrap();
    assert_eq!((done.cost, done.charge.cost), (Credits::ZERO, Credits::ZERO));
    assert_eq!(given::load(&store, 1).await, done);
    assert_eq!(spent(&store, "main", 0).await, [(10, 10); 2]);
    assert!(store.commit(free).await.is_err());
    let job = given::load(&store, 2).await;
    let done = store.commit(given::finish(&job, 1)).await.unwrap();
    assert_eq!(done.cost, Credits::whole(10));
    assert_eq!(spent(&store, "main", 0).await, [(10, 10); 2]);
}

/// The move of `job` to `other` at `cost`, where each of its purses may spend this much in a day.
fn moving(job: &Job, cost: u32, account: u32, owner: u32, millis: i64) -> Commit {
    let day = |credits| Budget {
        day: Some(Credits::whole(credits)),
        month: None,
    };
    Commit::new(job, job.life.clone(), None, at(millis))
        .moving_to(given::transfer("other", Credits::whole(cost)))
        .within(Budgets {
            account: day(account),
            owner: day(owner),
        })
}

/// A job that goes to another account is charged there, at that account's price and within its budget.
pub async fn a_move_takes_the_charge_along(store: Arc<dyn JobStore>) {
    given::insert(&store, given::costing(3, given::jobs(&[1]))).await;
    let job = given::load(&store, 1).await;
    let before = sight(&store).await;
    let refused = store.commit(moving(&job, 5, 4, 99, 1)).await;
    assert!(
        matches!(&refused, Err(StoreError::Overdrawn(no)) if no.purse == Purse::Account(AccountName::new("other"))),
        "{refused:?}"
    );
    assert_eq!(sight(&store).await, before);
    assert_eq!(spent(&store, "main", 0).await, [(3, 3); 2]);
    let moved = store.commit(moving(&job, 5, 5, 99, 1)).await.unwrap();
    assert_eq!(moved.cost, Credits::whole(5));
    assert_eq!(given::load(&store, 1).await, moved);
    assert_eq!(spent(&store, "main", 0).await, [(0, 0), (5, 5)]);
    assert_eq!(spent(&store, "other", 0).await, [(5, 5), (5, 5)]);
}

/// A move to a dearer account keeps to the budget of the owner too. What costs no more than before is within any.
pub async fn a_move_keeps_to_the_budget_of_the_owner(store: Arc<dyn JobStore>) {
    given::insert(&store, given::costing(3, given::jobs(&[1, 2]))).await;
    let [one, two] = [given::load(&store, 1).await, given::load(&store, 2).await];
    let refused = store.commit(moving(&one, 5, 99, 7, 1)).await;
    let Err(StoreError::Overdrawn(no)) = refused else {
        panic!("8 are more than 7, and the answer is {refused:?}");
    };
    assert_eq!(no.purse, Purse::Owner(Owner::local()));
    // 6 were spent; 5 instead of 3 are 2 more.
    assert_eq!((no.asked, no.left), (Credits::whole(2), Credits::whole(1)));
    store.commit(moving(&one, 5, 99, 8, 1)).await.unwrap();
    store.commit(moving(&two, 3, 99, 0, 1)).await.unwrap();
    assert_eq!(spent(&store, "other", 0).await, [(8, 8); 2]);
}

/// A move is charged to the day that it is made on, whose budget it is checked against; what is given back of it later
/// goes back to that day.
pub async fn a_move_is_charged_when_it_is_made(store: Arc<dyn JobStore>) {
    let mut moved = Vec::new();
    for number in 1..=4 {
        given::insert(&store, given::costing(3, given::jobs(&[number]))).await;
        let job = given::load(&store, number).await;
        moved.extend(store.commit(moving(&job, 2, 5, 99, DAY)).await);
    }
    assert_eq!(moved.len(), 2, "5 a day allow two at 2 each");
    assert_eq!(spent(&store, "main", 0).await, [(6, 6), (6, 10)]);
    assert_eq!(spent(&store, "other", DAY).await, [(4, 4), (4, 10)]);
    assert_eq!(given::load(&store, 1).await, moved[0]);
    let life = given::life(&moved[0], JobState::Cancelled { failure: None }, 1, None);
    let free = Commit::new(&moved[0], life, None, at(10 * DAY)).billing(Billing::GiveBack);
    store.commit(free).await.unwrap();
    assert_eq!(spent(&store, "other", DAY).await, [(2, 2), (2, 8)]);
    assert_eq!(spent(&store, "other", 10 * DAY).await, [(0, 0); 2]);
}

/// A charge that is made again stays where it was made, whatever becomes of the new one, which needs room in the budgets
/// as any other does.
pub async fn a_charge_made_again_leaves_the_first(store: Arc<dyn JobStore>) {
    given::insert(&store, given::costing(3, given::jobs(&[1]))).await;
    let job = given::load(&store, 1).await;
    let again = |most| {
        let budget = Budget {
            day: Some(Credits::whole(most)),
            month: None,
        };
        let budgets = Budgets {
            account: budget,
            owner: budget,
        };
        Commit::new(&job, job.life.clone(), None, at(DAY))
            .billing(Billing::Again)
            .within(budgets)
    };
    let refused = store.commit(again(2)).await;
    assert!(matches!(refused, Err(StoreError::Overdrawn(_))), "{refused:?}");
    let job = store.commit(again(3)).await.unwrap();
    assert_eq!(job.cost, Credits::whole(6));
    assert_eq!(given::load(&store, 1).await, job);
    assert_eq!(spent(&store, "main", 0).await, [(3, 6); 2]);
    assert_eq!(spent(&store, "main", DAY).await, [(3, 6); 2]);
    let job = store.commit(moving(&job, 5, 99, 99, DAY)).await.unwrap();
    assert_eq!(job.cost, Credits::whole(8));
    assert_eq!(spent(&store, "main", DAY).await, [(0, 3), (5, 8)]);
    assert_eq!(spent(&store, "other", DAY).await, [(5, 5), (5, 8)]);
    let life = given::life(&job, JobState::Cancelled { failure: None }, 1, None);
    let free = Commit::new(&job, life, None, at(2 * DAY)).billing(Billing::GiveBack);
    let job = store.commit(free).await.unwrap();
    assert_eq!(job.cost, Credits::whole(3));
    assert_eq!(given::load(&store, 1).await, job);
    assert_eq!(spent(&store, "main", 0).await, [(3, 3); 2]);
    assert_eq!(spent(&store, "other", DAY).await, [(0, 0), (0, 3)]);
}
