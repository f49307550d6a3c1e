//! Every HTTP client against the imitation of its upstream, over real HTTP on loopback.
//!
//! To add one, name its dialect and say how its client is made: see the end of this file.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use midjourney_core::{
    client::{
        HttpOptions, MidjourneyClient,
        acedata::AceData,
        apiframe::ApiFrame,
        evolink::EvoLink,
        legnext::LegNext,
        midjourney_proxy::{self, MidjourneyProxy},
        ttapi::TtApi,
        youchuan::YouChuan,
    },
    client_suite,
    key::{KeyName, KeyVault as _, Secret},
    memory::MemoryKeys,
    net::{Outbound, OutboundOptions},
    testing::{
        FakeClock,
        client_suite::{ClientBench, Mishap},
    },
};
use midjourney_server::simulate::{Dialect, Fault, Simulation, SimulationOptions};

/// The key, or the secret part of it.
const SECRET: &str = "canary-5ecret-key";
const DURATION: Duration = Duration::from_secs(60);

/// An imitated upstream with its client, and somebody who takes callbacks.
#[derive(Debug)]
struct Bench {
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
    async fn new<C: MidjourneyClient>(
        dialect: Dialect,
        key: &str,
        client: impl FnOnce(HttpOptions) -> C,
    ) -> Arc<Self> {
        let clock = FakeClock::new();
        let mut options = SimulationOptions::new(dialect);
        options.duration = DURATION;
        options.side = 16;
        options.key = Some(key.to_owned());
        let simulation = Simulation::start(options, Arc::new(clock.clone())).unwrap();

        let keys = MemoryKeys::new();
        let name = KeyName::new("canary");
        keys.add(&name, Secret::new(key)).await.unwrap();
        let options = HttpOptions::new(
            simulation.url().parse().unwrap(),
            name,
            Arc::new(keys),
            Arc::new(clock.clone()),
            Outbound::new(OutboundOptions::default()).unwrap(),
        );
        // Only an answer that drips takes so long.
        let client = client(options.with_submit_timeout(Duration::from_secs(2)));

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
            clock,
            simulation,
            client: Arc::new(client),
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

/// The whole suite, for the client that `$client` makes of its options, against the imitation of `$dialect`. The key is
/// [`SECRET`], or, where the upstream's keys have parts, `$key`, which holds it.
macro_rules! upstream {
    ($name:ident, $dialect:ident, $client:expr) => {
        upstream!($name, $dialect, SECRET, $client);
    };
    ($name:ident, $dialect:ident, $key:expr, $client:expr) => {
        mod $name {
            use super::*;

            async fn fresh() -> (Arc<dyn ClientBench>, ()) {
                (Bench::new(Dialect::$dialect, $key, $client).await, ())
            }

            client_suite!(fresh);
        }
    };
}

fn proxy(dialect: midjourney_proxy::Dialect) -> impl FnOnce(HttpOptions) -> MidjourneyProxy {
    move |options| MidjourneyProxy::new(options).with_dialect(dialect)
}

upstream!(
    midjourney_proxy_java,
    MidjourneyProxyJava,
    proxy(midjourney_proxy::Dialect::Java)
);
upstream!(
    midjourney_proxy_plus,
    MidjourneyProxyPlus,
    proxy(midjourney_proxy::Dialect::Plus)
);
upstream!(
    midjourney_proxy_true_ai,
    MidjourneyProxyTrueAi,
    proxy(midjourney_proxy::Dialect::TrueAi)
);
upstream!(
    midjourney_proxy_new_api,
    MidjourneyProxyNewApi,
    proxy(midjourney_proxy::Dialect::NewApi)
);
upstream!(acedata, AceData, AceData::new);
upstream!(apiframe, ApiFrame, ApiFrame::new);
upstream!(evolink, EvoLink, EvoLink::new);
upstream!(legnext, LegNext, LegNext::new);
upstream!(ttapi, TtApi, TtApi::new);
upstream!(youchuan, YouChuan, &format!("app|{SECRET}"), YouChuan::new);
