//! The client of one account.

use std::sync::Arc;

use midjourney_core::{
    client::MidjourneyClient,
    clock::Clock,
    config::{Account, Config, UpstreamKind},
};

use url::Url;

use super::AssembleError;

/// Where the upstream of `account` is; `None` if it is in this process, or not in this build.
pub fn base_url(account: &Account) -> Option<Url> {
    let usual: Option<&str> = match account.upstream.kind {
        #[cfg(feature = "upstream-acedata")]
        UpstreamKind::AceData => Some(midjourney_core::client::acedata::DEFAULT_BASE_URL),
        #[cfg(feature = "upstream-apiframe")]
        UpstreamKind::ApiFrame => Some(midjourney_core::client::apiframe::DEFAULT_BASE_URL),
        #[cfg(feature = "upstream-evolink")]
        UpstreamKind::EvoLink => Some(midjourney_core::client::evolink::DEFAULT_BASE_URL),
        #[cfg(feature = "upstream-legnext")]
        UpstreamKind::LegNext => Some(midjourney_core::client::legnext::DEFAULT_BASE_URL),
        #[cfg(feature = "upstream-ttapi")]
        UpstreamKind::TtApi => Some(midjourney_core::client::ttapi::DEFAULT_BASE_URL),
        #[cfg(feature = "upstream-youchuan")]
        UpstreamKind::YouChuan => Some(midjourney_core::client::youchuan::DEFAULT_BASE_URL),
        _ => None,
    };
    let configured = account.upstream.base_url.clone();
    configured.or_else(|| usual?.parse().ok())
}

/// The client of the account `name`.
#[cfg_attr(
    not(feature = "_upstream-http"),
    expect(unused_variables, reason = "the simulator needs no network")
)]
pub(super) fn client(
    name: &str,
    account: &Account,
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn MidjourneyClient>, AssembleError> {
    #[cfg(feature = "_upstream-http")]
    let http = http::Http {
        name,
        account,
        config,
        clock,
    };
    match account.upstream.kind {
        #[cfg(feature = "simulator")]
        UpstreamKind::Simulator => {
            let options = midjourney_core::client::simulator::SimulatorOptions::default();
            Ok(Arc::new(midjourney_core::client::simulator::Simulator::new(
                Arc::clone(clock),
                options,
            )))
        }
        #[cfg(feature = "upstream-midjourney-proxy")]
        UpstreamKind::MidjourneyProxy => {
            let client = midjourney_core::client::midjourney_proxy::MidjourneyProxy::new(http.options()?);
            Ok(Arc::new(client.with_dialect(http.dialect())))
        }
        #[cfg(feature = "upstream-acedata")]
        UpstreamKind::AceData => Ok(Arc::new(midjourney_core::client::acedata::AceData::new(
            http.options()?,
        ))),
        #[cfg(feature = "upstream-apiframe")]
        UpstreamKind::ApiFrame => Ok(Arc::new(midjourney_core::client::apiframe::ApiFrame::new(
            http.options()?,
        ))),
        #[cfg(feature = "upstream-evolink")]
        UpstreamKind::EvoLink => Ok(Arc::new(midjourney_core::client::evolink::EvoLink::new(
            http.options()?,
        ))),
        #[cfg(feature = "upstream-legnext")]
        UpstreamKind::LegNext => {
            let client = midjourney_core::client::legnext::LegNext::new(http.options()?);
            Ok(Arc::new(match http.webhook_secret() {
                Some(secret) => client.with_webhook_secret(secret),
                None => client,
            }))
        }
        #[cfg(feature = "upstream-ttapi")]
        UpstreamKind::TtApi => Ok(Arc::new(midjourney_core::client::ttapi::TtApi::new(
            http.options()?,
        ))),
        #[cfg(feature = "upstream-youchuan")]
        UpstreamKind::YouChuan => Ok(Arc::new(midjourney_core::client::youchuan::YouChuan::new(
            http.options()?,
        ))),
        kind => Err(AssembleError::NotCompiledIn {
            account: name.to_owned(),
            kind,
            feature: feature(kind),
        }),
    }
}

/// The feature of this package that has an upstream.
const fn feature(kind: UpstreamKind) -> &'static str {
    match kind {
        UpstreamKind::MidjourneyProxy => "upstream-midjourney-proxy",
        UpstreamKind::AceData => "upstream-acedata",
        UpstreamKind::ApiFrame => "upstream-apiframe",
        UpstreamKind::EvoLink => "upstream-evolink",
        UpstreamKind::LegNext => "upstream-legnext",
        UpstreamKind::TtApi => "upstream-ttapi",
        UpstreamKind::YouChuan => "upstream-youchuan",
        _ => "simulator",
    }
}

#[cfg(feature = "_upstream-http")]
mod http {
    //! How to reach an account over HTTP.

    use std::sync::Arc;

    use midjourney_core::{
        client::HttpOptions,
        clock::Clock,
        config::{Account, Config, KeySource},
        key::{KeyName, KeyProvider, Secret},
        net::{Outbound, OutboundOptions},
    };
    use secrecy::ExposeSecret as _;

    use super::super::AssembleError;
    use crate::keys::FixedKeys;

    pub(super) struct Http<'a> {
        pub(super) name: &'a str,
        pub(super) account: &'a Account,
        pub(super) config: &'a Config,
        pub(super) clock: &'a Arc<dyn Clock>,
    }

    impl Http<'_> {
        /// What the upstream signs its callbacks with.
        #[cfg(feature = "upstream-legnext")]
        pub(super) fn webhook_secret(&self) -> Option<Secret> {
            let secret = self.account.upstream.webhook_secret.as_ref();
            secret.map(|secret| Secret::new(secret.expose_secret()))
        }

        pub(super) fn options(&self) -> Result<HttpOptions, AssembleError> {
            let base_url = super::base_url(self.account).ok_or_else(|| AssembleError::NoAddress {
                account: self.name.to_owned(),
            })?;
            let proxy = self.account.proxy.as_ref();
            let options = OutboundOptions::default()
                .with_allow_private(self.config.outbound.allow_private)
                .with_proxy(proxy.map(|proxy| Secret::new(proxy.expose().as_str())));
            let outbound = Outbound::new(options).map_err(|error| AssembleError::Upstream {
                account: self.name.to_owned(),
                source: error.into(),
            })?;
            let key = KeyName::new(self.name);
            let options = HttpOptions::new(base_url, key, self.keys(), Arc::clone(self.clock), outbound);
            Ok(options
                .with_timeout(self.account.upstream.timeout)
                .with_submit_timeout(self.config.engine.submit_timeout))
        }

        /// The key as the configuration found it; it is not stored anywhere by us.
        fn keys(&self) -> Arc<dyn KeyProvider> {
            let source = match self.config.api.key_source {
                KeySource::Manual => "file",
                _ => "environment",
            };
            let mend = if self.config.accounts.is_empty() {
                "set MIDJOURNEY_API_KEY"
            } else {
                "set MIDJOURNEY__ACCOUNTS__NAME__KEY, with the account's name in capital letters and `_` for `-`"
            };
            let key = self.account.key.as_ref();
            let key = key.map(|key| (KeyName::new(self.name), Secret::new(key.expose_secret())));
            Arc::new(FixedKeys::new(source, mend, key))
        }

        #[cfg(feature = "upstream-midjourney-proxy")]
        pub(super) fn dialect(&self) -> midjourney_core::client::midjourney_proxy::Dialect {
            use midjourney_core::{client::midjourney_proxy::Dialect, config};

            match self.account.upstream.dialect {
                Some(config::Dialect::Java) => Dialect::Java,
                Some(config::Dialect::Plus) => Dialect::Plus,
                Some(config::Dialect::TrueAi) => Dialect::TrueAi,
                Some(config::Dialect::NewApi) => Dialect::NewApi,
                _ => Dialect::Auto,
            }
        }
    }
}
