//! One binary for all integration tests of the core.

mod crash;
mod engine;
mod given;
mod memory;
mod suite_bites;
