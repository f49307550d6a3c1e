//! One binary for all integration tests of the storage backends.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed check must fail the test"
)]

mod sqlite;
