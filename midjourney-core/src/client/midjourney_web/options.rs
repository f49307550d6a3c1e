//! How to reach one session, and what the clients that are known disagree about.

use std::{fmt, sync::Arc};

use url::Url;

use crate::{
    client::HttpOptions,
    clock::Clock,
    key::{KeyName, KeyProvider, KeyVault},
    net::Outbound,
};

/// What the first picture of a job is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the known clients count in these two ways"
)]
pub enum CountFrom {
    /// 0, as most known clients have it.
    #[default]
    Zero,
    /// 1.
    One,
}

/// What numbers the directions of a pan have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the known clients have these two tables")]
pub enum PanNumbers {
    /// 0 down, 1 right, 2 up, 3 left, as the partner interface has them too.
    #[default]
    FromDown,
    /// 0 up, 1 right, 2 down, 3 left.
    FromUp,
}

/// How to reach one person's session.
#[derive(Clone)]
#[non_exhaustive]
pub struct WebOptions {
    /// Where the service is, and how it is called.
    pub http: HttpOptions,
    /// Where the tokens are kept and renewed ones are stored.
    pub vault: Arc<dyn KeyVault>,
    /// Where tokens are renewed.
    pub token_url: Url,
    /// The public key that the service's own pages renew tokens with. No secret, and not ours to print here.
    pub web_key: String,
    /// Where pictures are.
    pub cdn_url: Url,
    /// What the first picture of a job is called.
    pub count_from: CountFrom,
    /// What numbers the directions of a pan have.
    pub pan_numbers: PanNumbers,
    /// Draw where others do not see it; the plan must allow that.
    pub private: bool,
}

impl WebOptions {
    /// The session that `vault` has under `key`.
    ///
    /// **Errors:** never for the addresses that this module names itself.
    pub fn new(
        key: KeyName,
        vault: Arc<dyn KeyVault>,
        clock: Arc<dyn Clock>,
        outbound: Outbound,
        web_key: impl Into<String>,
    ) -> Result<Self, url::ParseError> {
        let keys: Arc<dyn KeyProvider> = Arc::<dyn KeyVault>::clone(&vault);
        let base_url = Url::parse(super::DEFAULT_BASE_URL)?;
        Ok(Self {
            http: HttpOptions::new(base_url, key, keys, clock, outbound),
            vault,
            token_url: Url::parse(super::DEFAULT_TOKEN_URL)?,
            web_key: web_key.into(),
            cdn_url: Url::parse(super::DEFAULT_CDN_URL)?,
            count_from: CountFrom::default(),
            pan_numbers: PanNumbers::default(),
            private: false,
        })
    }

    /// The same session at other addresses: of the service, of its pictures, and of the token service.
    pub fn at(mut self, base: Url, cdn: Url, token: Url) -> Self {
        (self.http.base_url, self.cdn_url, self.token_url) = (base, cdn, token);
        self
    }

    /// The address of pictures without a slash at its end.
    pub(super) fn cdn(&self) -> String {
        self.cdn_url.as_str().trim_end_matches('/').to_owned()
    }
}

impl fmt::Debug for WebOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebOptions")
            .field("http", &self.http)
            .field("count_from", &self.count_from)
            .field("pan_numbers", &self.pan_numbers)
            .field("private", &self.private)
            .finish_non_exhaustive()
    }
}
