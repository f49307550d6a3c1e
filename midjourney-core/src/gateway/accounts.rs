//! How the accounts are doing.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Gateway;
use crate::{
    accounts::Account,
    budget::{Credits, Spending},
    clock::Timestamp,
    error::Error,
    job::{AccountName, Action, FailureKind, Live, PictureForm, Purse},
};

/// An account as it is at the moment. How it is doing is what this process has learned from its own calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what an account can do is a list of yes and no"
)]
pub struct AccountView {
    /// Its name.
    pub name: String,
    /// Its upstream; absent where jobs are stored for an account that is not configured here, which nobody works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<&'static str>,
    /// Whether its pictures are made up by the built-in simulated upstream.
    pub simulated: bool,
    /// `ok`, `throttled`, `down`, `exhausted`, `needs_person`, `blocked`, or `not_configured`.
    #[cfg_attr(feature = "openapi", schema(example = "ok"))]
    pub condition: &'static str,
    /// Since when it is so; absent while it is ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub since: Option<Timestamp>,
    /// Why it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it takes new work again; absent where it takes some now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub waits_until: Option<Timestamp>,
    /// Whether it draws in relax mode for lack of credit for another.
    pub relaxed: bool,
    /// Jobs that wait for their turn.
    pub pending: u64,
    /// Jobs that hold a slot.
    pub running: u64,
    /// How many may hold one; absent where that is left to the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// How many may wait; absent for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// What was spent on it, by the operator's estimate.
    pub spent: SpendingView,
    /// What may be spent.
    pub budget: BudgetView,
    /// What its upstream can do at all, each in its varieties (`imagine`, `upscale subtle`); a finished job tells what can be
    /// done with it.
    pub actions: Vec<String>,
    /// Whether it can be asked for the seed of a finished job.
    pub seeds: bool,
    /// Whether it can stop a task that is under way.
    pub cancels: bool,
    /// Whether pictures that come along must be links that it can fetch.
    pub links_only: bool,
}

/// What was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SpendingView {
    /// In this day of UTC.
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    pub day: Credits,
    /// In this month of UTC.
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    pub month: Credits,
}

/// What may be spent; absent where there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct BudgetView {
    /// In a day of UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
    pub day: Option<Credits>,
    /// In a month of UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
    pub month: Option<Credits>,
}

impl Gateway {
    /// Every account, in the order of the configuration, then those that only stored jobs name.
    pub async fn accounts(&self) -> Result<Vec<AccountView>, Error> {
        let now = self.parts.clock.now();
        let live = self.parts.jobs.live().await?;
        let configured = self.parts.accounts.all();
        let known: BTreeSet<_> = configured.iter().map(|account| &account.name).collect();
        let strays: Vec<_> = live.keys().filter(|name| !known.contains(name)).collect();
        let names: Vec<_> = configured
            .iter()
            .map(|account| &account.name)
            .chain(strays)
            .collect();
        let purses: Vec<_> = names.iter().map(|name| Purse::Account((*name).clone())).collect();
        let spent = self.parts.jobs.spent(&purses, now).await?;
        let views = names.into_iter().zip(spent).map(|(name, spent)| {
            let live = live.get(name).copied().unwrap_or_default();
            match self.parts.accounts.get(name) {
                Some(account) => self.account_view(account, live, spent, now),
                None => stray(name, live, spent),
            }
        });
        Ok(views.collect())
    }

    /// `error` with the accounts that can do `action`, where the upstream of `home` cannot.
    pub(super) fn naming_the_able(&self, error: Error, action: Action, home: Option<&AccountName>) -> Error {
        let accounts = self.parts.accounts.all().iter();
        let able: Vec<_> = accounts
            .filter(|account| account.client.supports(action))
            .collect();
        let is_able = |name: &AccountName| able.iter().any(|account| account.name == *name);
        if error.failure() != Some(FailureKind::Unsupported) || home.is_some_and(is_able) {
            return error;
        }
        let who = match (home, &able[..]) {
            (_, []) => format!("no account here can do `{action}`"),
            // Its words are about this request, not about the action.
            (None, _) => return error,
            (Some(home), able) => {
                let names: Vec<_> = able
                    .iter()
                    .map(|account| format!("{} ({})", account.name, account.client.upstream()))
                    .collect();
                let names = names.join(", ");
                format!("the picture is of account {home}, and `{action}` is up to {names}")
            }
        };
        Error::new(error.kind(), format!("{who}: {}", error.detail())).with_failure(FailureKind::Unsupported)
    }

    fn account_view(&self, account: &Account, live: Live, spent: Spending, now: Timestamp) -> AccountView {
        let accounts = &self.parts.accounts;
        let (can, trouble) = (account.client.capabilities(), accounts.trouble(&account.name));
        let actions = Action::ALL
            .into_iter()
            .filter(|action| account.client.supports(*action));
        AccountView {
            upstream: Some(account.client.upstream()),
            simulated: can.simulated,
            condition: accounts.condition(&account.name).name(),
            since: trouble.as_ref().map(|trouble| trouble.since),
            reason: trouble.map(|trouble| trouble.reason),
            waits_until: accounts.waits_until(&account.name, now),
            relaxed: accounts.is_relaxed(&account.name, now),
            slots: account.limits.slots,
            queue: account.limits.queue,
            budget: BudgetView {
                day: account.budget.day,
                month: account.budget.month,
            },
            actions: actions.map(|action| action.to_string()).collect(),
            seeds: can.seed,
            cancels: can.cancel,
            links_only: can.pictures == PictureForm::Link && self.parts.links.is_none(),
            ..stray(&account.name, live, spent)
        }
    }
}

/// An account of which nothing is known but its jobs.
fn stray(name: &AccountName, live: Live, spent: Spending) -> AccountView {
    AccountView {
        name: name.as_str().to_owned(),
        upstream: None,
        simulated: false,
        condition: "not_configured",
        since: None,
        reason: None,
        waits_until: None,
        relaxed: false,
        pending: live.pending,
        running: live.running,
        slots: None,
        queue: None,
        spent: SpendingView {
            day: spent.day,
            month: spent.month,
        },
        budget: BudgetView {
            day: None,
            month: None,
        },
        actions: Vec::new(),
        seeds: false,
        cancels: false,
        links_only: false,
    }
}
