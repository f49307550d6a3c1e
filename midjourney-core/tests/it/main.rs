//! One binary for all integration tests of the core.

mod memory;
mod suite_bites;
