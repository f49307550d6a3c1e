use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use midjourney_core::{
    clock::Timestamp,
    key::{Key, KeyError, KeyName, KeyProvider, KeyVault, Secret},
    memory::MemoryKeys,
    testing::key_vault::CASES,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AcceptsEmpty,
    AlwaysVersionOne,
    CurrentOnly,
    LastRetirementWins,
    MixesNames,
    OldestIsCurrent,
    RetiresLate,
    RetiresUnknown,
    ReusesVersions,
    TellsSecrets,
    VersionsFromZero,
}

/// The reference with one thing wrong.
#[derive(Debug)]
struct Broken {
    fault: Fault,
    inner: MemoryKeys,
    /// What a vault must not print.
    told: Mutex<Vec<String>>,
    retired: Mutex<HashMap<u32, Timestamp>>,
}

impl Broken {
    fn name(&self, name: &KeyName) -> KeyName {
        if self.fault == Fault::MixesNames {
            return KeyName::new("one");
        }
        name.clone()
    }
}

#[async_trait]
impl KeyProvider for Broken {
    fn source(&self) -> &'static str {
        "broken"
    }

    async fn current(&self, name: &KeyName, now: Timestamp) -> Result<Key, KeyError> {
        let mut usable = self.usable(name, now).await?;
        if self.fault == Fault::OldestIsCurrent {
            usable.reverse();
        }
        usable.into_iter().next().ok_or_else(|| KeyError::Missing {
            name: name.clone(),
            mend: "add one",
        })
    }

    async fn usable(&self, name: &KeyName, now: Timestamp) -> Result<Vec<Key>, KeyError> {
        let now = match self.fault {
            Fault::RetiresLate => Timestamp::from_millis(now.as_millis() - 1),
            _ => now,
        };
        let mut usable = self.inner.usable(&self.name(name), now).await?;
        match self.fault {
            Fault::CurrentOnly => usable.truncate(1),
            Fault::ReusesVersions => {
                let count = u32::try_from(usable.len()).unwrap_or(0);
                for (number, key) in (0..count).rev().zip(&mut usable) {
                    key.version = number + 1;
                }
            }
            Fault::LastRetirementWins => {
                let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
                usable.retain(|key| retired.get(&key.version).is_none_or(|at| now < *at));
            }
            _ => {}
        }
        Ok(usable)
    }
}

#[async_trait]
impl KeyVault for Broken {
    async fn add(&self, name: &KeyName, secret: Secret) -> Result<u32, KeyError> {
        let mut secret = secret;
        if self.fault == Fault::TellsSecrets {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.push(secret.expose().to_owned());
        }
        if self.fault == Fault::AcceptsEmpty && secret.expose().is_empty() {
            secret = Secret::new(" ");
        }
        let version = self.inner.add(&self.name(name), secret).await?;
        Ok(match self.fault {
            Fault::VersionsFromZero => version - 1,
            Fault::AlwaysVersionOne => 1,
            _ => version,
        })
    }

    async fn retire(&self, name: &KeyName, version: u32, at: Timestamp) -> Result<(), KeyError> {
        if self.fault == Fault::LastRetirementWins {
            let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            retired.insert(version, at);
            return Ok(());
        }
        match self.inner.retire(&self.name(name), version, at).await {
            Err(_) if self.fault == Fault::RetiresUnknown => Ok(()),
            other => other,
        }
    }
}

fn reference() -> Arc<dyn KeyVault> {
    Arc::new(MemoryKeys::new())
}

fn broken(fault: Fault) -> Arc<dyn KeyVault> {
    Arc::new(Broken {
        fault,
        inner: MemoryKeys::new(),
        told: Mutex::default(),
        retired: Mutex::default(),
    })
}

super::bites! {
    key_vault, reference, broken;
    empty_secrets: AcceptsEmpty => [an_empty_secret_is_refused],
    always_version_one: AlwaysVersionOne => [versions_count_up_when_added_at_once],
    the_current_version_only: CurrentOnly => [two_versions_overlap_during_a_rotation],
    the_last_retirement: LastRetirementWins => [retiring_twice_keeps_the_earlier_time],
    mixed_names: MixesNames => [names_are_apart],
    the_oldest_version: OldestIsCurrent => [the_newest_version_is_current],
    late_retirement: RetiresLate => [a_retired_version_is_hidden_from_its_time_on],
    unknown_versions: RetiresUnknown => [retiring_what_is_unknown_is_refused],
    reused_versions: ReusesVersions => [retired_versions_are_not_counted_again],
    told_secrets: TellsSecrets => [debug_shows_no_added_secret],
    versions_from_zero: VersionsFromZero => [versions_count_up_from_one],
}

#[test]
fn every_case_bites() {
    super::assert_all_bite(CASES, CAUGHT_BY, &[]);
}
