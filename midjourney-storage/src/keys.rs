//! Keys that were read once at the start, such as from the environment or a file.

use std::{collections::HashMap, fmt};

use async_trait::async_trait;
use midjourney_core::{
    clock::Timestamp,
    key::{Key, KeyError, KeyName, KeyProvider, Secret},
};

/// Keys given at construction. Each has one version, 1, and changes only with a restart.
///
/// Whoever reads the configuration reads the environment too, once, and hands the values over here; this type asks
/// nobody.
#[derive(Clone)]
pub struct FixedKeys {
    source: &'static str,
    mend: &'static str,
    keys: HashMap<KeyName, Secret>,
}

impl FixedKeys {
    /// `keys` as read from `source` (`environment`, `file`); `mend` tells an operator how to set one that is missing,
    /// such as `set MIDJOURNEY_API_KEY`.
    pub fn new(
        source: &'static str,
        mend: &'static str,
        keys: impl IntoIterator<Item = (KeyName, Secret)>,
    ) -> Self {
        Self {
            source,
            mend,
            keys: keys.into_iter().collect(),
        }
    }

    fn get(&self, name: &KeyName) -> Result<Option<Key>, KeyError> {
        let Some(secret) = self.keys.get(name) else {
            return Ok(None);
        };
        let unusable = |reason| KeyError::Unusable {
            name: name.clone(),
            reason,
        };
        let text = secret.expose();
        if text.trim().is_empty() {
            return Err(unusable("it is empty"));
        }
        // A line end left over from a file or a paste would split the header that carries the key.
        if text.chars().any(char::is_control) {
            return Err(unusable("it holds a control character, such as a line end"));
        }
        Ok(Some(Key::new(1, secret.clone())))
    }
}

impl fmt::Debug for FixedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedKeys")
            .field("source", &self.source)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyProvider for FixedKeys {
    fn source(&self) -> &'static str {
        self.source
    }

    async fn current(&self, name: &KeyName, _now: Timestamp) -> Result<Key, KeyError> {
        self.get(name)?.ok_or_else(|| KeyError::Missing {
            name: name.clone(),
            mend: self.mend,
        })
    }

    async fn usable(&self, name: &KeyName, _now: Timestamp) -> Result<Vec<Key>, KeyError> {
        Ok(self.get(name)?.into_iter().collect())
    }
}
