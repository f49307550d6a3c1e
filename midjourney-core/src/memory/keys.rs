use std::{collections::HashMap, fmt, sync::Mutex};

use async_trait::async_trait;

use super::lock;
use crate::{
    clock::Timestamp,
    key::{Key, KeyError, KeyName, KeyProvider, KeyVault, Secret},
};

/// A [`KeyVault`] in memory.
#[derive(Default)]
pub struct MemoryKeys {
    keys: Mutex<HashMap<KeyName, Vec<Version>>>,
}

/// The version at index `n` has the number `n + 1`; versions are retired, never removed.
struct Version {
    secret: Secret,
    retired: Option<Timestamp>,
}

impl MemoryKeys {
    /// No keys at all.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKeys").finish_non_exhaustive()
    }
}

fn missing(name: &KeyName) -> KeyError {
    KeyError::Missing {
        name: name.clone(),
        mend: "add a version of it first",
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX)
}

#[async_trait]
impl KeyProvider for MemoryKeys {
    fn source(&self) -> &'static str {
        "memory"
    }

    async fn current(&self, name: &KeyName, now: Timestamp) -> Result<Key, KeyError> {
        let usable = self.usable(name, now).await?;
        usable.into_iter().next().ok_or_else(|| missing(name))
    }

    async fn usable(&self, name: &KeyName, now: Timestamp) -> Result<Vec<Key>, KeyError> {
        let keys = lock(&self.keys);
        let versions = keys.get(name).into_iter().flatten().enumerate();
        let mut usable: Vec<_> = versions
            .filter(|(_, version)| version.retired.is_none_or(|at| now < at))
            .map(|(index, version)| Key::new(number(index), version.secret.clone()))
            .collect();
        usable.reverse();
        Ok(usable)
    }
}

#[async_trait]
impl KeyVault for MemoryKeys {
    async fn add(&self, name: &KeyName, secret: Secret) -> Result<u32, KeyError> {
        if secret.expose().is_empty() {
            return Err(KeyError::Unusable {
                name: name.clone(),
                reason: "it is empty",
            });
        }
        let mut keys = lock(&self.keys);
        let versions = keys.entry(name.clone()).or_default();
        versions.push(Version {
            secret,
            retired: None,
        });
        Ok(number(versions.len().saturating_sub(1)))
    }

    async fn retire(&self, name: &KeyName, version: u32, at: Timestamp) -> Result<(), KeyError> {
        let mut keys = lock(&self.keys);
        let known = usize::try_from(version)
            .ok()
            .and_then(|version| version.checked_sub(1))
            .and_then(|index| keys.get_mut(name)?.get_mut(index))
            .ok_or_else(|| missing(name))?;
        known.retired = Some(known.retired.map_or(at, |earlier| earlier.min(at)));
        Ok(())
    }
}
