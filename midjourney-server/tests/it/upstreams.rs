//! The clients of all upstreams that can be imitated, each against its imitation.

use std::sync::Arc;

use midjourney_core::{
    client::{
        HttpOptions, MidjourneyClient,
        acedata::AceData,
        apiframe::ApiFrame,
        evolink::EvoLink,
        legnext::LegNext,
        midjourney_proxy::{self, MidjourneyProxy},
        midjourney_web::{MidjourneyWeb, WebOptions},
        ttapi::TtApi,
        youchuan::YouChuan,
    },
    clock::{Clock, SystemClock},
    key::{KeyName, KeyVault as _, Secret},
    memory::MemoryKeys,
    net::{Outbound, OutboundOptions},
};
use midjourney_server::simulate::{Dialect, Simulation};

/// The key that clients are given, or the secret part of it; must show nowhere.
pub(crate) const SECRET: &str = "canary-5ecret-key";

/// The name of that key.
pub(crate) const KEY: &str = "canary";

/// Expands `$with!(module_name, Dialect)` for each dialect.
macro_rules! each_dialect {
    ($with:ident) => {
        $with!(midjourney_proxy_java, MidjourneyProxyJava);
        $with!(midjourney_proxy_plus, MidjourneyProxyPlus);
        $with!(midjourney_proxy_true_ai, MidjourneyProxyTrueAi);
        $with!(midjourney_proxy_new_api, MidjourneyProxyNewApi);
        $with!(legnext, LegNext);
        $with!(youchuan, YouChuan);
        $with!(ttapi, TtApi);
        $with!(acedata, AceData);
        $with!(apiframe, ApiFrame);
        $with!(evolink, EvoLink);
        $with!(midjourney_web, MidjourneyWeb);
    };
}
pub(crate) use each_dialect;

#[test]
fn each_dialect_is_tested() {
    let mut tested = Vec::new();
    macro_rules! note {
        ($name:ident, $dialect:ident) => {
            tested.push(Dialect::$dialect);
        };
    }
    each_dialect!(note);
    assert_eq!(tested, Dialect::ALL);
}

/// A key as this upstream gives them out, around [`SECRET`].
pub(crate) fn key(dialect: Dialect) -> String {
    // The refresh token of a session may stand alone.
    if dialect == Dialect::YouChuan {
        format!("app|{SECRET}")
    } else {
        SECRET.to_owned()
    }
}

/// How to reach `simulation` with the key in `keys`.
pub(crate) fn options(simulation: &Simulation, keys: Arc<MemoryKeys>, clock: Arc<dyn Clock>) -> HttpOptions {
    HttpOptions::new(
        simulation.url().parse().unwrap(),
        KeyName::new(KEY),
        keys,
        clock,
        // The server under test is on this machine, as its imitated upstreams are.
        Outbound::new(OutboundOptions::default().with_allow_private(true)).unwrap(),
    )
}

/// A vault that holds `key` for [`options`].
pub(crate) async fn vault(key: &str) -> Arc<MemoryKeys> {
    let keys = Arc::new(MemoryKeys::new());
    keys.add(&KeyName::new(KEY), Secret::new(key)).await.unwrap();
    keys
}

/// The client that talks like `dialect`, whose key is in `keys`.
pub(crate) fn client(
    dialect: Dialect,
    options: HttpOptions,
    keys: Arc<MemoryKeys>,
) -> Arc<dyn MidjourneyClient> {
    let proxy = |options, dialect| Arc::new(MidjourneyProxy::new(options).with_dialect(dialect));
    match dialect {
        Dialect::MidjourneyProxyJava => proxy(options, midjourney_proxy::Dialect::Java),
        Dialect::MidjourneyProxyPlus => proxy(options, midjourney_proxy::Dialect::Plus),
        Dialect::MidjourneyProxyTrueAi => proxy(options, midjourney_proxy::Dialect::TrueAi),
        Dialect::MidjourneyProxyNewApi => proxy(options, midjourney_proxy::Dialect::NewApi),
        Dialect::LegNext => Arc::new(LegNext::new(options)),
        Dialect::YouChuan => Arc::new(YouChuan::new(options)),
        Dialect::TtApi => Arc::new(TtApi::new(options)),
        Dialect::AceData => Arc::new(AceData::new(options)),
        Dialect::ApiFrame => Arc::new(ApiFrame::new(options)),
        Dialect::EvoLink => Arc::new(EvoLink::new(options)),
        Dialect::MidjourneyWeb => Arc::new(web(options, keys)),
        other => panic!("{other} has no client here"),
    }
}

/// The client of `simulation`, by the real time.
pub(crate) async fn connected(dialect: Dialect, simulation: &Simulation) -> Arc<dyn MidjourneyClient> {
    let keys = vault(&key(dialect)).await;
    let options = options(simulation, Arc::clone(&keys), Arc::new(SystemClock));
    client(dialect, options, keys)
}

/// The client of a person's session, as who embeds the library makes it: no configuration does.
pub(crate) fn web(http: HttpOptions, vault: Arc<MemoryKeys>) -> MidjourneyWeb {
    let at = |path: &str| http.base_url.join(path).unwrap();
    let (name, clock) = (http.key.clone(), Arc::clone(&http.clock));
    let mut options = WebOptions::new(name, vault, clock, http.outbound.clone(), "public-web-key")
        .unwrap()
        .at(at("/"), at("/cdn/"), at("/v1/token"));
    options.http = http;
    MidjourneyWeb::new(options)
}
