//! Upstream credentials: where they come from, never what they are.

use std::fmt;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{clock::Timestamp, error::BoxError};

/// A secret text: wiped from memory when dropped, never printed.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes ownership of a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The secret itself. Only a request to the side that issued it may carry it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The name a key is asked for by, such as `midjourney`. Not secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// A key's name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One version of a named key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Key {
    /// Counts up with each rotation, from 1.
    pub version: u32,
    /// The credential.
    pub secret: Secret,
}

impl Key {
    /// Version `version` of a key.
    pub const fn new(version: u32, secret: Secret) -> Self {
        Self { version, secret }
    }
}

/// Why a key could not be had or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no key of that name.
    #[error("no key named {name} is set; {mend}")]
    Missing {
        /// The key that was asked for.
        name: KeyName,
        /// What the operator can do about it.
        mend: &'static str,
    },
    /// The key, or one of its versions, is not acceptable as given.
    #[error("the key named {name} is not usable: {reason}")]
    Unusable {
        /// The key.
        name: KeyName,
        /// What is wrong with it, without its value.
        reason: &'static str,
    },
    /// The place where keys are kept failed.
    #[error("{backend}: reading or writing keys failed")]
    Backend {
        /// Which provider.
        backend: &'static str,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

/// Gives keys by name. Held by upstream clients, which ask anew for every call, so that a rotation takes effect.
#[async_trait]
pub trait KeyProvider: fmt::Debug + Send + Sync + 'static {
    /// The name of the source, as shown to operators: `environment`, `memory`.
    fn source(&self) -> &'static str;

    /// The newest version of the key that has not been retired at `now`: what to sign and call with.
    ///
    /// **Errors:** [`KeyError::Missing`] where there is none. **Cancel safety:** safe.
    async fn current(&self, name: &KeyName, now: Timestamp) -> Result<Key, KeyError>;

    /// Every version not retired at `now`, newest first: what to verify with. Empty where there is none.
    ///
    /// **Cancel safety:** safe.
    async fn usable(&self, name: &KeyName, now: Timestamp) -> Result<Vec<Key>, KeyError>;
}

/// A provider that can also be written to.
#[async_trait]
pub trait KeyVault: KeyProvider {
    /// Adds a version and returns its number. Older versions stay usable until they are retired.
    ///
    /// **Errors:** [`KeyError::Unusable`] for an empty secret. **Cancel safety:** the version exists or it does not.
    async fn add(&self, name: &KeyName, secret: Secret) -> Result<u32, KeyError>;

    /// From `at` on, `version` is neither current nor usable. Retiring twice keeps the earlier time.
    ///
    /// **Errors:** [`KeyError::Missing`] where that version is unknown. **Cancel safety:** as for `add`.
    async fn retire(&self, name: &KeyName, version: u32, at: Timestamp) -> Result<(), KeyError>;
}
