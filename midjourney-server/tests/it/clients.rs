//! Every HTTP client against the imitation of its upstream, over real HTTP on loopback.
//!
//! To add one, name its dialect and say how its client is made: see `upstreams.rs`.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use midjourney_core::{
    client::MidjourneyClient,
    client_suite,
    testing::{
        FakeClock,
        client_suite::{ClientBench, Mishap},
    },
};
use midjourney_server::simulate::{Dialect, Fault, Simulation, SimulationOptions};

use crate::upstreams::{self, SECRET, each_dialect};

const DURATION: Duration = Duration::from_secs(60);

/// An imitated upstream with its client, and somebody who takes callbacks.
#[derive(Debug)]
struct Bench {
    dialect: Dialect,
    clock: FakeClock,
    simulation: Simulation,
    client: Arc<dyn MidjourneyClient>,
    hook: Option<String>,
    bodies: Arc<Mutex<Vec<Bytes>>>,
    listener: tokio::task::JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Bench {
    async fn new(dialect: Dialect) -> Arc<Self> {
        let clock = FakeClock::new();
        let key = upstreams::key(dialect);
        let mut options = SimulationOptions::new(dialect);
        options.duration = DURATION;
        options.side = 16;
        options.key = Some(key.clone());
        let simulation = Simulation::start(options, Arc::new(clock.clone())).unwrap();
        let keys = upstreams::vault(&key).await;
        let options = upstreams::options(&simulation, Arc::clone(&keys), Arc::new(clock.clone()));
        // Only an answer that drips takes so long.
        let options = options.with_submit_timeout(Duration::from_secs(2));
        let client = upstreams::client(dialect, options, keys);

        let bodies = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        // This one calls public addresses only.
        let calls = dialect != Dialect::EvoLink;
        let hook = calls.then(|| format!("http://{}/hook", listener.local_addr().unwrap()));
        let take = async |State(bodies): State<Arc<Mutex<Vec<Bytes>>>>, body: Bytes| {
            bodies.lock().unwrap().push(body);
        };
        let router = Router::new()
            .route("/hook", post(take))
            .with_state(Arc::clone(&bodies));
        Arc::new(Self {
            dialect,
            clock,
            simulation,
            client,
            hook,
            bodies,
            listener: tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }),
        })
    }
}

impl ClientBench for Bench {
    fn client(&self) -> Arc<dyn MidjourneyClient> {
        Arc::clone(&self.client)
    }

    fn spoil_submit(&self, mishap: Mishap) -> bool {
        // Links that follow from a job's id do not die.
        if mishap == Mishap::DeadLinks && self.dialect == Dialect::MidjourneyWeb {
            return false;
        }
        fault(mishap)
            .map(|fault| self.simulation.spoil_submit(fault))
            .is_some()
    }

    fn spoil_question(&self, mishap: Mishap) -> bool {
        let of_answers = matches!(
            mishap,
            Mishap::RateLimited
                | Mishap::Lost
                | Mishap::Half
                | Mishap::NotJson
                | Mishap::Breakdown
                | Mishap::Huge
                | Mishap::Echo
        );
        let fault = fault(mishap).filter(|_| of_answers);
        fault.map(|fault| self.simulation.spoil_question(fault)).is_some()
    }

    fn paid(&self) -> usize {
        self.simulation.account().paid.len()
    }

    fn submits(&self) -> usize {
        self.simulation.account().submits as usize
    }

    fn done(&self) -> Option<(String, u8)> {
        let paid = self.simulation.account().paid;
        paid.last().map(|last| (last.action.clone(), last.picture))
    }

    fn duration(&self) -> Duration {
        DURATION
    }

    fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    fn secret(&self) -> Option<&'static str> {
        Some(SECRET)
    }

    fn callback_url(&self) -> Option<String> {
        self.hook.clone()
    }

    fn callbacks(&self) -> Vec<Bytes> {
        self.bodies.lock().unwrap().clone()
    }
}

/// What the suite asks for, in the words of the imitation.
const fn fault(mishap: Mishap) -> Option<Fault> {
    Some(match mishap {
        Mishap::Moderated => Fault::Banned,
        Mishap::Invalid => Fault::Invalid,
        Mishap::QueueFull => Fault::QueueFull,
        Mishap::NoCredit => Fault::NoCredit,
        Mishap::RateLimited => Fault::RateLimited,
        Mishap::Lost => Fault::Lost,
        Mishap::Half => Fault::Half,
        Mishap::NotJson => Fault::Html,
        Mishap::Breakdown => Fault::Error,
        Mishap::Huge => Fault::Huge,
        Mishap::Drip => Fault::Drip,
        Mishap::Echo => Fault::Echo,
        Mishap::TaskModerated => Fault::Moderated,
        Mishap::TaskFails => Fault::Fail,
        Mishap::TaskVanishes => Fault::Vanish,
        Mishap::DeadLinks => Fault::ExpiredLinks,
        _ => return None,
    })
}

macro_rules! suite {
    ($name:ident, $dialect:ident) => {
        mod $name {
            use super::*;

            async fn fresh() -> (Arc<dyn ClientBench>, ()) {
                (Bench::new(Dialect::$dialect).await, ())
            }

            client_suite!(fresh);
        }
    };
}

each_dialect!(suite);
