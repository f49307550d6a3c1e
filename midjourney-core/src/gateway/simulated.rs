//! A gateway without anything outside.

use std::sync::Arc;

use super::{Gateway, PromptRules};
use crate::{
    accounts::Accounts,
    client::simulator::{Simulator, SimulatorOptions},
    clock::{OsEntropy, SystemClock},
    engine::Parts,
    job::{AccountName, Policy},
    memory::{MemoryImageStore, MemoryJobStore},
};

impl Gateway {
    /// A gateway that keeps everything in memory and draws with the simulator: for trying out and for tests of code
    /// that embeds a gateway. Nothing is kept beyond the process, nothing is spent.
    pub fn simulated() -> Self {
        let simulator = Simulator::new(Arc::new(SystemClock), SimulatorOptions::default());
        let parts = Parts {
            jobs: Arc::new(MemoryJobStore::new()),
            images: Arc::new(MemoryImageStore::new()),
            accounts: Accounts::single(AccountName::new("simulator"), Arc::new(simulator)),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            policy: Policy::default(),
            callback: None,
            links: None,
            webhooks: None,
        };
        Self::new(parts, PromptRules::default())
    }
}
