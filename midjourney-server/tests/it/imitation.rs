//! The upstream that processes of ours are set against: it lives in the test, and remembers what was paid.

use std::{collections::HashMap, sync::Arc, time::Duration};

use midjourney_core::clock::SystemClock;
use midjourney_server::simulate::{Dialect, Simulation, SimulationOptions};

/// The running imitation; stops when dropped.
#[derive(Debug)]
pub(crate) struct Imitation(Simulation);

impl Imitation {
    pub(crate) fn start() -> Self {
        let mut options = SimulationOptions::new(Dialect::MidjourneyProxyTrueAi);
        // Long enough to be asked about while it is under way.
        options.duration = Duration::from_millis(300);
        options.side = 16;
        Self(Simulation::start(options, Arc::new(SystemClock)).unwrap())
    }

    pub(crate) fn base_url(&self) -> String {
        self.0.url()
    }

    /// How many tasks were paid for `prompt`.
    pub(crate) fn paid_for(&self, prompt: &str) -> usize {
        self.paid().get(prompt).copied().unwrap_or(0)
    }

    /// How many tasks were paid for each prompt.
    pub(crate) fn paid(&self) -> HashMap<String, usize> {
        let mut paid = HashMap::new();
        for task in self.0.account().paid {
            *paid.entry(task.prompt).or_default() += 1;
        }
        paid
    }
}
