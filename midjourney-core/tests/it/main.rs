//! One binary for all integration tests of the core.

#[cfg(feature = "upstream-acedata")]
mod acedata;
#[cfg(all(
    feature = "simulator",
    feature = "upstream-midjourney-web",
    feature = "upstreams"
))]
mod action_table;
mod actions;
#[cfg(feature = "upstream-apiframe")]
mod apiframe;
#[cfg(all(feature = "upstream-midjourney-web", feature = "upstreams"))]
mod broken_answers;
mod budgets;
mod callbacks;
mod clock_jumps;
mod crash;
mod engine;
#[cfg(all(feature = "upstream-midjourney-web", feature = "upstreams"))]
mod every_client;
#[cfg(feature = "upstream-evolink")]
mod evolink;
mod faults_page;
#[cfg(feature = "simulator")]
mod follow_ups;
#[cfg(feature = "upstream-legnext")]
mod forgeries;
mod given;
#[cfg(feature = "upstream-legnext")]
mod legnext;
#[cfg(feature = "http")]
mod loopback;
mod memory;
#[cfg(feature = "upstream-midjourney-proxy")]
mod midjourney_proxy;
#[cfg(feature = "upstream-midjourney-web")]
mod midjourney_web;
mod one_way_out;
mod outages;
#[cfg(all(feature = "upstream-midjourney-web", feature = "upstreams"))]
mod outgoing;
#[cfg(any(
    feature = "upstream-evolink",
    feature = "upstream-legnext",
    feature = "upstream-youchuan"
))]
mod partner;
mod pictures;
mod pool;
mod pools;
mod races;
#[cfg(all(feature = "http", target_os = "linux"))]
mod rebinding;
mod retention;
#[cfg(all(feature = "upstream-midjourney-web", feature = "upstreams"))]
mod scripted;
#[cfg(feature = "simulator")]
mod simulator_bench;
mod suite_bites;
mod terms;
#[cfg(feature = "upstream-ttapi")]
mod ttapi;
#[cfg(any(
    feature = "upstream-acedata",
    feature = "upstream-apiframe",
    feature = "upstream-ttapi"
))]
mod upstream;
mod watch_all;
mod webhooks;
#[cfg(feature = "upstream-youchuan")]
mod youchuan;
