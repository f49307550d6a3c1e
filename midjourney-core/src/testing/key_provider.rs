//! What a [`KeyProvider`] must do, case by case. Run by [`key_provider_suite!`](crate::key_provider_suite) on a
//! provider that has one key, named [`NAME`], with the value [`SECRET`].

use std::sync::Arc;

use super::{Case, given::at};
use crate::key::{KeyError, KeyName, KeyProvider};

/// The name of the one key.
pub const NAME: &str = "midjourney";

/// Its value.
pub const SECRET: &str = "mj-conformance-0123456789";

/// All cases.
pub const CASES: &[Case<Arc<dyn KeyProvider>>] = crate::__key_provider_cases! { table Arc<dyn KeyProvider> };

#[doc(hidden)]
#[macro_export]
macro_rules! __key_provider_cases {
    ($($mode:tt)+) => {
        $crate::__suite! { $($mode)+;
            current_gives_the_key,
            usable_gives_the_current_key_first,
            a_key_that_is_not_set_is_missing,
            debug_shows_no_secret,
        }
    };
}

/// The key is had by its name.
pub async fn current_gives_the_key(keys: Arc<dyn KeyProvider>) {
    let key = keys.current(&KeyName::new(NAME), at(0)).await.unwrap();
    assert_eq!(key.secret.expose(), SECRET);
    assert!(key.version >= 1, "versions count from 1");
    assert!(!keys.source().is_empty());
}

/// What to call with is also good to verify with.
pub async fn usable_gives_the_current_key_first(keys: Arc<dyn KeyProvider>) {
    let name = KeyName::new(NAME);
    let current = keys.current(&name, at(0)).await.unwrap();
    let usable = keys.usable(&name, at(0)).await.unwrap();
    assert_eq!(usable[0].version, current.version);
    assert_eq!(usable[0].secret.expose(), SECRET);
    assert!(
        usable.windows(2).all(|pair| pair[0].version > pair[1].version),
        "newest first"
    );
}

/// The error names the key and the mend; a list of nothing is no error.
pub async fn a_key_that_is_not_set_is_missing(keys: Arc<dyn KeyProvider>) {
    for name in ["unheard-of", "", "MIDJOURNEY ", "a\0b"] {
        let name = KeyName::new(name);
        match keys.current(&name, at(0)).await {
            Err(KeyError::Missing { name: told, mend }) => {
                assert_eq!(told, name);
                assert!(!mend.is_empty());
            }
            other => panic!("{other:?}"),
        }
        assert!(keys.usable(&name, at(0)).await.unwrap().is_empty());
    }
}

/// Whatever is printed of a provider or a key, the secret is not.
pub async fn debug_shows_no_secret(keys: Arc<dyn KeyProvider>) {
    let name = KeyName::new(NAME);
    let current = keys.current(&name, at(0)).await.unwrap();
    let usable = keys.usable(&name, at(0)).await.unwrap();
    let printed = format!("{keys:?} {keys:#?} {current:?} {current:#?} {usable:?}");
    assert!(!printed.contains(SECRET), "{printed}");
}
