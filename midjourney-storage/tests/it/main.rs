//! One binary for all integration tests of the storage backends.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed check must fail the test"
)]

#[cfg(feature = "assemble")]
mod backup;
mod fs;
mod keys;
#[cfg(any(feature = "azure", feature = "s3"))]
mod object;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
