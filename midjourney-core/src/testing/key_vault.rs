//! What a [`KeyVault`] must do beyond a provider, case by case. Run by
//! [`key_vault_suite!`](crate::key_vault_suite) on an empty vault.

use std::{collections::BTreeSet, sync::Arc};

use tokio::task::JoinSet;

use super::{Case, given::at};
use crate::key::{KeyError, KeyName, KeyVault, Secret};

/// All cases.
pub const CASES: &[Case<Arc<dyn KeyVault>>] = crate::__key_vault_cases! { table Arc<dyn KeyVault> };

#[doc(hidden)]
#[macro_export]
macro_rules! __key_vault_cases {
    ($($mode:tt)+) => {
        $crate::__suite! { $($mode)+;
            versions_count_up_from_one,
            versions_count_up_when_added_at_once,
            the_newest_version_is_current,
            a_retired_version_is_hidden_from_its_time_on,
            two_versions_overlap_during_a_rotation,
            retiring_twice_keeps_the_earlier_time,
            retiring_what_is_unknown_is_refused,
            retired_versions_are_not_counted_again,
            an_empty_secret_is_refused,
            names_are_apart,
            debug_shows_no_added_secret,
        }
    };
}

fn name() -> KeyName {
    KeyName::new("midjourney")
}

async fn add(keys: &Arc<dyn KeyVault>, secret: &str) -> u32 {
    keys.add(&name(), Secret::new(secret)).await.unwrap()
}

async fn current(keys: &Arc<dyn KeyVault>, now: i64) -> Option<String> {
    match keys.current(&name(), at(now)).await {
        Ok(key) => Some(key.secret.expose().to_owned()),
        Err(KeyError::Missing { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

async fn usable(keys: &Arc<dyn KeyVault>, now: i64) -> Vec<(u32, String)> {
    let usable = keys.usable(&name(), at(now)).await.unwrap();
    usable
        .into_iter()
        .map(|key| (key.version, key.secret.expose().to_owned()))
        .collect()
}

/// The first is 1, each further one is one more, equal secrets included.
pub async fn versions_count_up_from_one(keys: Arc<dyn KeyVault>) {
    for (version, secret) in (1..).zip(["a", "b", "b", "ü\u{1f98a}"]) {
        assert_eq!(add(&keys, secret).await, version);
        let key = keys.current(&name(), at(0)).await.unwrap();
        assert_eq!((key.version, key.secret.expose()), (version, secret));
    }
}

/// Nobody's version is lost or given twice.
pub async fn versions_count_up_when_added_at_once(keys: Arc<dyn KeyVault>) {
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let keys = Arc::clone(&keys);
        tasks.spawn(async move { (add(&keys, &number.to_string()).await, number.to_string()) });
    }
    let mut added = tasks.join_all().await;
    added.sort_by(|a, b| b.cmp(a));
    assert_eq!(usable(&keys, 0).await, added);
    let versions: BTreeSet<_> = added.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (1..=16).collect());
}

/// A rotation takes effect at the next call.
pub async fn the_newest_version_is_current(keys: Arc<dyn KeyVault>) {
    assert_eq!(current(&keys, 0).await, None);
    add(&keys, "old").await;
    assert_eq!(current(&keys, 0).await.as_deref(), Some("old"));
    add(&keys, "new").await;
    assert_eq!(current(&keys, 0).await.as_deref(), Some("new"));
}

/// A version is good until its last millisecond, and not at its end.
pub async fn a_retired_version_is_hidden_from_its_time_on(keys: Arc<dyn KeyVault>) {
    let version = add(&keys, "a").await;
    keys.retire(&name(), version, at(100)).await.unwrap();
    assert_eq!(current(&keys, 99).await.as_deref(), Some("a"));
    assert_eq!(usable(&keys, 99).await.len(), 1);
    for later in [100, 101, 1_000_000] {
        assert_eq!(current(&keys, later).await, None, "at {later}");
        assert_eq!(usable(&keys, later).await, []);
    }
}

/// Between adding the new version and the end of the old one, both verify and the new one signs.
pub async fn two_versions_overlap_during_a_rotation(keys: Arc<dyn KeyVault>) {
    let old = add(&keys, "old").await;
    let new = add(&keys, "new").await;
    keys.retire(&name(), old, at(100)).await.unwrap();
    let (old, new) = ((old, "old".to_owned()), (new, "new".to_owned()));
    assert_eq!(usable(&keys, 99).await, [new.clone(), old.clone()]);
    assert_eq!(current(&keys, 99).await.as_deref(), Some("new"));
    assert_eq!(usable(&keys, 100).await, std::slice::from_ref(&new));
    // The new one turns out to be bad: the old one signs again as long as it lasts.
    keys.retire(&name(), new.0, at(50)).await.unwrap();
    assert_eq!(usable(&keys, 60).await, [old]);
    assert_eq!(current(&keys, 60).await.as_deref(), Some("old"));
}

/// A retirement can be brought forward, not put off.
pub async fn retiring_twice_keeps_the_earlier_time(keys: Arc<dyn KeyVault>) {
    let version = add(&keys, "a").await;
    for end in [100, 200, 50, 70] {
        keys.retire(&name(), version, at(end)).await.unwrap();
    }
    assert_eq!(usable(&keys, 49).await.len(), 1);
    assert_eq!(usable(&keys, 50).await, []);
}

/// A version that never was cannot be retired.
pub async fn retiring_what_is_unknown_is_refused(keys: Arc<dyn KeyVault>) {
    let unheard_of = KeyName::new("unheard-of");
    add(&keys, "a").await;
    for (name, version) in [(name(), 0), (name(), 2), (name(), u32::MAX), (unheard_of, 1)] {
        let refused = keys.retire(&name, version, at(0)).await;
        assert!(
            matches!(&refused, Err(KeyError::Missing { name: told, .. }) if *told == name),
            "{refused:?}"
        );
    }
    assert_eq!(current(&keys, 0).await.as_deref(), Some("a"));
}

/// A number is never given to two secrets.
pub async fn retired_versions_are_not_counted_again(keys: Arc<dyn KeyVault>) {
    let first = add(&keys, "a").await;
    keys.retire(&name(), first, at(0)).await.unwrap();
    assert_eq!(add(&keys, "b").await, first + 1);
    assert_eq!(usable(&keys, 0).await, [(first + 1, "b".to_owned())]);
}

/// A key that is empty is a mistake somewhere, never a key.
pub async fn an_empty_secret_is_refused(keys: Arc<dyn KeyVault>) {
    let refused = keys.add(&name(), Secret::new("")).await;
    assert!(
        matches!(&refused, Err(KeyError::Unusable { name: told, .. }) if *told == name()),
        "{refused:?}"
    );
    assert_eq!(current(&keys, 0).await, None);
    assert_eq!(add(&keys, "a").await, 1, "no number was used up");
}

/// What happens to one key says nothing about another.
pub async fn names_are_apart(keys: Arc<dyn KeyVault>) {
    let other = KeyName::new("midjourney2");
    add(&keys, "a").await;
    assert_eq!(keys.add(&other, Secret::new("b")).await.unwrap(), 1);
    keys.retire(&other, 1, at(0)).await.unwrap();
    assert_eq!(current(&keys, 0).await.as_deref(), Some("a"));
    assert!(keys.usable(&other, at(0)).await.unwrap().is_empty());
}

/// Whatever is printed of a vault, no secret is, retired ones included.
pub async fn debug_shows_no_added_secret(keys: Arc<dyn KeyVault>) {
    let old = add(&keys, "hush-old-0123456789").await;
    add(&keys, "hush-new-0123456789").await;
    keys.retire(&name(), old, at(10)).await.unwrap();
    let usable = keys.usable(&name(), at(0)).await.unwrap();
    let refused = keys.retire(&name(), 99, at(0)).await;
    let printed = format!("{keys:?} {keys:#?} {usable:?} {refused:?}");
    assert!(!printed.contains("hush"), "{printed}");
}
