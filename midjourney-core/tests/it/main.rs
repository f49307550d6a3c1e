//! One binary for all integration tests of the core.

mod actions;
mod crash;
mod engine;
mod given;
mod memory;
#[cfg(feature = "upstream-midjourney-proxy")]
mod midjourney_proxy;
mod pool;
mod races;
mod suite_bites;
