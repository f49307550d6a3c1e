//! Every client of an upstream that is reached over HTTP, made for the same place.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use midjourney_core::{
    client::{
        HttpOptions, MidjourneyClient,
        acedata::AceData,
        apiframe::ApiFrame,
        evolink::EvoLink,
        legnext::LegNext,
        midjourney_proxy::{Dialect, MidjourneyProxy},
        midjourney_web::{MidjourneyWeb, WebOptions},
        ttapi::TtApi,
        youchuan::YouChuan,
    },
    clock::{Clock as _, SystemClock},
    key::{KeyName, KeyVault as _, Secret},
    memory::MemoryKeys,
    net::Outbound,
};
use serde_json::json;
use url::Url;

/// The key of every client, or the secret part of it; must show nowhere.
pub(crate) const CANARY: &str = "canary-5ecret-key";

/// Every client with its column in the table of what each can do, at `base`, each with a key of its form.
pub(crate) async fn every_client(
    base: &Url,
    outbound: &Outbound,
) -> Vec<(&'static str, Arc<dyn MidjourneyClient>)> {
    let keys = vault(CANARY).await;
    let with = |keys| {
        HttpOptions::new(
            base.clone(),
            name(),
            keys,
            Arc::new(SystemClock),
            outbound.clone(),
        )
    };
    let http = || with(Arc::<MemoryKeys>::clone(&keys));
    let proxy = |dialect| Arc::new(MidjourneyProxy::new(http()).with_dialect(dialect));
    vec![
        ("midjourney-proxy java", proxy(Dialect::Java)),
        ("midjourney-proxy plus", proxy(Dialect::Plus)),
        ("midjourney-proxy trueai", proxy(Dialect::TrueAi)),
        ("midjourney-proxy new-api", proxy(Dialect::NewApi)),
        ("acedata", Arc::new(AceData::new(http()))),
        ("apiframe", Arc::new(ApiFrame::new(http()))),
        ("evolink", Arc::new(EvoLink::new(http()))),
        ("legnext", Arc::new(LegNext::new(http()))),
        (
            "midjourney-web (against the service's terms)",
            web(base, outbound).await,
        ),
        ("ttapi", Arc::new(TtApi::new(http()))),
        (
            "youchuan",
            Arc::new(YouChuan::new(options(
                base,
                outbound,
                vault(&format!("app|{CANARY}")).await,
            ))),
        ),
    ]
}

/// The client that finds out by itself which line of the proxy it speaks to.
pub(crate) async fn guessing(base: &Url, outbound: &Outbound) -> Arc<dyn MidjourneyClient> {
    Arc::new(MidjourneyProxy::new(options(base, outbound, vault(CANARY).await)))
}

fn options(base: &Url, outbound: &Outbound, keys: Arc<MemoryKeys>) -> HttpOptions {
    HttpOptions::new(
        base.clone(),
        name(),
        keys,
        Arc::new(SystemClock),
        outbound.clone(),
    )
}

fn name() -> KeyName {
    KeyName::new("midjourney")
}

async fn vault(key: &str) -> Arc<MemoryKeys> {
    let vault = Arc::new(MemoryKeys::new());
    vault.add(&name(), Secret::new(key)).await.unwrap();
    vault
}

/// Somebody who is signed in for an hour.
async fn web(base: &Url, outbound: &Outbound) -> Arc<dyn MidjourneyClient> {
    let expires = SystemClock.now().as_millis() / 1_000 + 3_600;
    let claims = json!({"exp": expires, "sub": "subject"}).to_string();
    let claims = URL_SAFE_NO_PAD.encode(claims);
    let vault = vault(&format!("e30.{claims}.signature|{CANARY}")).await;
    let options = WebOptions::new(name(), vault, Arc::new(SystemClock), outbound.clone(), "key").unwrap();
    let at = |path: &str| base.join(path).unwrap();
    Arc::new(MidjourneyWeb::new(options.at(
        at("/"),
        at("/cdn/"),
        at("/v1/token"),
    )))
}
