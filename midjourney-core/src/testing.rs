//! Conformance suites, fakes and fault injectors (feature `testing`). No promise about versions,
//! never in a shipped binary.
//!
//! - Suites say what a trait means, one named test per case, each on a fresh subject:
//!   [`job_store_suite!`](crate::job_store_suite), [`image_store_suite!`](crate::image_store_suite),
//!   [`delivery_store_suite!`](crate::delivery_store_suite),
//!   [`key_provider_suite!`](crate::key_provider_suite), [`key_vault_suite!`](crate::key_vault_suite),
//!   [`client_suite!`](crate::client_suite).
//! - Fakes stand in for the world: [`FakeClock`], [`SeededEntropy`], [`FakeClient`].
//! - [`FaultyJobStore`] fails or stops at the n-th operation, before or after it took effect.
//! - [`Gauge`] gives files and tells how much of them somebody holds.
//! - [`wait_until`] waits for a condition and tells the last state when it does not come.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed check must fail the test that runs it"
)]

mod client;
pub mod client_suite;
mod clock;
pub mod delivery_store;
mod entropy;
mod faulty;
mod gauge;
mod given;
pub mod image_store;
pub mod job_store;
pub mod key_provider;
pub mod key_vault;
mod wait;

use std::pin::Pin;

pub use client::{FakeClient, FetchOutcome, SubmitOutcome, Trouble, tiny_png};
pub use clock::FakeClock;
pub use entropy::SeededEntropy;
pub use faulty::{FaultPlan, FaultyJobStore};
pub use gauge::Gauge;
pub use wait::wait_until;

/// One case of a suite: its name, and what runs it on a fresh subject.
pub type Case<S> = (&'static str, fn(S) -> Pin<Box<dyn Future<Output = ()> + Send>>);

/// Makes one named `#[tokio::test]` per case of the [`JobStore`](crate::job::JobStore) suite.
///
/// The argument is an async closure or function that makes a fresh, empty store and whatever must outlive the test,
/// such as its folder:
///
/// ```
/// # mod shown {
/// use std::sync::Arc;
///
/// use midjourney_core::{job::JobStore, job_store_suite, memory::MemoryJobStore};
///
/// async fn fresh() -> (Arc<dyn JobStore>, ()) {
///     (Arc::new(MemoryJobStore::new()), ())
/// }
///
/// job_store_suite!(fresh);
/// # }
/// ```
///
/// Attributes after it go to every test: `job_store_suite!(fresh; #[ignore = "needs a server"])`.
/// The calling crate needs `tokio` with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! job_store_suite {
    ($fresh:expr $(; $(#[$attribute:meta])+)?) => {
        $crate::__job_store_cases! { tests job_store [$($(#[$attribute])+)?] $fresh }
    };
}

/// The same as [`job_store_suite!`](crate::job_store_suite) for an [`ImageStore`](crate::image::ImageStore).
#[macro_export]
macro_rules! image_store_suite {
    ($fresh:expr $(; $(#[$attribute:meta])+)?) => {
        $crate::__image_store_cases! { tests image_store [$($(#[$attribute])+)?] $fresh }
    };
}

/// The same as [`job_store_suite!`](crate::job_store_suite) for a [`DeliveryStore`](crate::delivery::DeliveryStore).
#[macro_export]
macro_rules! delivery_store_suite {
    ($fresh:expr $(; $(#[$attribute:meta])+)?) => {
        $crate::__delivery_store_cases! { tests delivery_store [$($(#[$attribute])+)?] $fresh }
    };
}

/// The same as [`job_store_suite!`](crate::job_store_suite) for a [`KeyProvider`](crate::key::KeyProvider) that has one
/// key: [`NAME`](key_provider::NAME) with the value [`SECRET`](key_provider::SECRET).
#[macro_export]
macro_rules! key_provider_suite {
    ($fresh:expr $(; $(#[$attribute:meta])+)?) => {
        $crate::__key_provider_cases! { tests key_provider [$($(#[$attribute])+)?] $fresh }
    };
}

/// The same as [`job_store_suite!`](crate::job_store_suite) for an empty [`KeyVault`](crate::key::KeyVault).
#[macro_export]
macro_rules! key_vault_suite {
    ($fresh:expr $(; $(#[$attribute:meta])+)?) => {
        $crate::__key_vault_cases! { tests key_vault [$($(#[$attribute])+)?] $fresh }
    };
}

/// The same as [`job_store_suite!`](crate::job_store_suite) for a
/// [`MidjourneyClient`](crate::client::MidjourneyClient) on a [`ClientBench`](client_suite::ClientBench): an upstream
/// that goes wrong when it is told to.
#[macro_export]
macro_rules! client_suite {
    ($fresh:expr $(; $(#[$attribute:meta])+)?) => {
        $crate::__client_cases! { tests client_suite [$($(#[$attribute])+)?] $fresh }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __suite {
    (tests $suite:ident $attributes:tt $fresh:expr; $($case:ident,)+) => {
        $($crate::__suite! { test $suite $attributes $fresh; $case })+
    };
    (test $suite:ident [$(#[$attribute:meta])*] $fresh:expr; $case:ident) => {
        #[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
        $(#[$attribute])*
        async fn $case() {
            let (subject, _guard) = ($fresh)().await;
            $crate::testing::$suite::$case(subject).await;
        }
    };
    (table $subject:ty; $($case:ident,)+) => {
        &[$((stringify!($case), |subject: $subject| Box::pin($case(subject)))),+]
    };
}

#[cfg(test)]
mod tests {
    /// A case that is written but not listed would never run.
    fn assert_all_listed(source: &str, listed: &[&str]) {
        let written: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        assert_eq!(written, listed);
    }

    fn names<S>(cases: &[super::Case<S>]) -> Vec<&'static str> {
        cases.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn every_case_is_listed_in_its_order() {
        assert_all_listed(
            concat!(
                include_str!("testing/job_store.rs"),
                include_str!("testing/job_store/library.rs"),
                include_str!("testing/job_store/money.rs"),
                include_str!("testing/job_store/callbacks.rs"),
                include_str!("testing/job_store/removal.rs")
            ),
            &names(super::job_store::CASES),
        );
        assert_all_listed(
            include_str!("testing/image_store.rs"),
            &names(super::image_store::CASES),
        );
        assert_all_listed(
            include_str!("testing/delivery_store.rs"),
            &names(super::delivery_store::CASES),
        );
        assert_all_listed(
            include_str!("testing/key_provider.rs"),
            &names(super::key_provider::CASES),
        );
        assert_all_listed(
            include_str!("testing/key_vault.rs"),
            &names(super::key_vault::CASES),
        );
        assert_all_listed(
            include_str!("testing/client_suite.rs"),
            &names(super::client_suite::CASES),
        );
    }
}
