use std::{fmt, sync::Arc};

use async_trait::async_trait;
use midjourney_core::{
    clock::Timestamp,
    key::{Key, KeyError, KeyName, KeyProvider, Secret},
    testing::key_provider::{CASES, NAME, SECRET},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    CutsSecrets,
    KnowsEveryName,
    TellsSecrets,
    UsableAgesFirst,
}

/// One key, perhaps with one thing wrong.
struct Fixed {
    fault: Fault,
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.fault {
            Fault::TellsSecrets => SECRET,
            _ => "Fixed",
        })
    }
}

#[async_trait]
impl KeyProvider for Fixed {
    fn source(&self) -> &'static str {
        "fixed"
    }

    async fn current(&self, name: &KeyName, _now: Timestamp) -> Result<Key, KeyError> {
        if name.as_str() != NAME && self.fault != Fault::KnowsEveryName {
            return Err(KeyError::Missing {
                name: name.clone(),
                mend: "set it",
            });
        }
        let secret = match self.fault {
            Fault::CutsSecrets => SECRET.trim_end_matches('9'),
            _ => SECRET,
        };
        Ok(Key::new(2, Secret::new(secret)))
    }

    async fn usable(&self, name: &KeyName, now: Timestamp) -> Result<Vec<Key>, KeyError> {
        let Ok(current) = self.current(name, now).await else {
            return Ok(Vec::new());
        };
        let mut usable = vec![current, Key::new(1, Secret::new("an older one"))];
        if self.fault == Fault::UsableAgesFirst {
            usable.reverse();
        }
        Ok(usable)
    }
}

fn reference() -> Arc<dyn KeyProvider> {
    broken(Fault::None)
}

fn broken(fault: Fault) -> Arc<dyn KeyProvider> {
    Arc::new(Fixed { fault })
}

super::bites! {
    key_provider, reference, broken;
    cut_secrets: CutsSecrets => [current_gives_the_key],
    every_name_known: KnowsEveryName => [a_key_that_is_not_set_is_missing],
    told_secrets: TellsSecrets => [debug_shows_no_secret],
    the_oldest_first: UsableAgesFirst => [usable_gives_the_current_key_first],
}

#[test]
fn every_case_bites() {
    super::assert_all_bite(CASES, CAUGHT_BY, &[]);
}
