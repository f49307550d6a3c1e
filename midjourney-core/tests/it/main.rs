//! One binary for all integration tests of the core.

#[cfg(feature = "upstream-midjourney-proxy")]
mod midjourney_proxy;
