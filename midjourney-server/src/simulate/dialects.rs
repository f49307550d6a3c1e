//! The wire formats. Each module reads its upstream's requests and says things its upstream's way, and nothing else.

mod acedata;
mod apiframe;
mod evolink;
mod legnext;
mod midjourney_proxy;
mod midjourney_web;
mod named;
mod ttapi;
mod verbs;
mod youchuan;

use std::{fmt, str::FromStr, sync::Arc};

use axum::Router;
use midjourney_core::clock::Timestamp;

use self::{
    acedata::AceData,
    apiframe::ApiFrame,
    evolink::EvoLink,
    legnext::LegNext,
    midjourney_proxy::{MidjourneyProxy, Variety},
    midjourney_web::MidjourneyWeb,
    ttapi::TtApi,
    youchuan::YouChuan,
};
use super::{
    backend::{Backend, Seen},
    callback::Posted,
};

/// How an upstream talks.
pub(super) trait Wire: fmt::Debug + Send + Sync + 'static {
    /// Its routes.
    fn routes(&self, backend: Arc<Backend>) -> Router;

    /// The name of a new task. `number` is never given twice, `random` may be.
    fn id(&self, number: u64, random: u64) -> String;

    /// What it posts about a task as it is now, at the time `at`; `None` where it tells nobody of that. Who signs does so
    /// with `secret`.
    fn callback(&self, task: &Seen, at: Timestamp, secret: &str) -> Option<Posted>;

    /// Whether it refuses forbidden content at once; else the task fails later.
    fn refuses_content(&self) -> bool {
        true
    }

    /// What callers show to be known, where `key` is wanted of them: an answer that repeats secrets repeats this.
    fn shown(&self, key: Option<&str>) -> Option<String> {
        key.map(str::to_owned)
    }
}

/// An id as many upstreams have them.
fn uuid(number: u64, random: u64) -> String {
    let (time, few) = (number >> 16, number & 0xffff);
    format!(
        "{:08x}-{few:04x}-4000-8000-{:012x}",
        random >> 32,
        time & 0xffff_ffff_ffff
    )
}

/// Which upstream is imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// The original `midjourney-proxy`.
    MidjourneyProxyJava,
    /// midjourney-proxy-plus.
    MidjourneyProxyPlus,
    /// The C# line of `midjourney-proxy`.
    MidjourneyProxyTrueAi,
    /// new-api and the resellers that run it.
    MidjourneyProxyNewApi,
    /// `LegNext`.
    LegNext,
    /// `YouChuan`.
    YouChuan,
    /// `TTAPI`.
    TtApi,
    /// `AceDataCloud`.
    AceData,
    /// `ApiFrame`.
    ApiFrame,
    /// `EvoLink`.
    EvoLink,
    /// Midjourney's own web interface. Its key is the first refresh token of a session.
    MidjourneyWeb,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 11] = [
        Self::MidjourneyProxyJava,
        Self::MidjourneyProxyPlus,
        Self::MidjourneyProxyTrueAi,
        Self::MidjourneyProxyNewApi,
        Self::LegNext,
        Self::YouChuan,
        Self::TtApi,
        Self::AceData,
        Self::ApiFrame,
        Self::EvoLink,
        Self::MidjourneyWeb,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MidjourneyProxyJava => "midjourney-proxy-java",
            Self::MidjourneyProxyPlus => "midjourney-proxy-plus",
            Self::MidjourneyProxyTrueAi => "midjourney-proxy-trueai",
            Self::MidjourneyProxyNewApi => "midjourney-proxy-new-api",
            Self::LegNext => "legnext",
            Self::YouChuan => "youchuan",
            Self::TtApi => "ttapi",
            Self::AceData => "acedata",
            Self::ApiFrame => "apiframe",
            Self::EvoLink => "evolink",
            Self::MidjourneyWeb => "midjourney-web",
        }
    }

    pub(super) fn wire(self) -> Box<dyn Wire> {
        match self {
            Self::MidjourneyProxyJava => Box::new(MidjourneyProxy(Variety::Java)),
            Self::MidjourneyProxyPlus => Box::new(MidjourneyProxy(Variety::Plus)),
            Self::MidjourneyProxyTrueAi => Box::new(MidjourneyProxy(Variety::TrueAi)),
            Self::MidjourneyProxyNewApi => Box::new(MidjourneyProxy(Variety::NewApi)),
            Self::LegNext => Box::new(LegNext),
            Self::YouChuan => Box::new(YouChuan),
            Self::TtApi => Box::new(TtApi),
            Self::AceData => Box::new(AceData),
            Self::ApiFrame => Box::new(ApiFrame),
            Self::EvoLink => Box::new(EvoLink),
            Self::MidjourneyWeb => Box::new(MidjourneyWeb::default()),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no dialect is called so")]
pub struct UnknownDialect;

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let mut all = Self::ALL.into_iter();
        all.find(|dialect| dialect.name() == text).ok_or(UnknownDialect)
    }
}
