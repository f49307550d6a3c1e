//! One binary for all integration tests of the core.

#[cfg(feature = "upstream-acedata")]
mod acedata;
#[cfg(feature = "upstream-apiframe")]
mod apiframe;
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
#[cfg(feature = "upstream-ttapi")]
mod ttapi;
#[cfg(any(
    feature = "upstream-acedata",
    feature = "upstream-apiframe",
    feature = "upstream-ttapi"
))]
mod upstream;
