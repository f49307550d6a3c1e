//! Accounts: which upstream a job runs on, and with whose credentials.

use std::{collections::BTreeMap, sync::Arc};

use crate::{client::MidjourneyClient, job::AccountName};

/// The accounts that this process can work for. A job stays on the account it was made for; follow-ups stay on their
/// parent's.
#[derive(Clone, Debug)]
pub struct Accounts {
    default: AccountName,
    clients: BTreeMap<AccountName, Arc<dyn MidjourneyClient>>,
}

impl Accounts {
    /// One account, which takes every new job.
    pub fn single(name: AccountName, client: Arc<dyn MidjourneyClient>) -> Self {
        Self {
            clients: BTreeMap::from([(name.clone(), client)]),
            default: name,
        }
    }

    /// The same accounts and one more.
    pub fn with(mut self, name: AccountName, client: Arc<dyn MidjourneyClient>) -> Self {
        self.clients.insert(name, client);
        self
    }

    /// The account that new jobs go to.
    pub const fn default_name(&self) -> &AccountName {
        &self.default
    }

    /// The upstream behind an account, or `None` where this process has no such account.
    pub fn client(&self, name: &AccountName) -> Option<&Arc<dyn MidjourneyClient>> {
        self.clients.get(name)
    }

    /// The names of all accounts.
    pub fn names(&self) -> Vec<AccountName> {
        self.clients.keys().cloned().collect()
    }
}
