//! The server as a client sees it: JSON-RPC by hand, over a real process's standard streams or in memory.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a failed check must fail the test"
)]

mod actions;
mod calls;
mod clients;
mod definitions;
mod money;
mod process;
mod session;
mod size;
