//! One binary for all integration tests of the core.

mod actions;
mod crash;
mod engine;
#[cfg(feature = "upstream-evolink")]
mod evolink;
mod given;
#[cfg(feature = "upstream-legnext")]
mod legnext;
mod memory;
#[cfg(feature = "upstream-midjourney-proxy")]
mod midjourney_proxy;
#[cfg(any(
    feature = "upstream-evolink",
    feature = "upstream-legnext",
    feature = "upstream-youchuan"
))]
mod partner;
mod races;
mod suite_bites;
#[cfg(feature = "upstream-youchuan")]
mod youchuan;
