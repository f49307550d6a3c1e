//! One binary for all integration tests of the server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_collect,
    reason = "helpers of tests fail as tests do"
)]
#![expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::future_not_send,
    reason = "tests count in small numbers, tell their figures, and run on one thread"
)]

mod accounting;
#[cfg(feature = "s3")]
#[path = "../../../midjourney-storage/tests/it/object/server.rs"]
mod bucket;
mod cli;
mod clients;
#[cfg(feature = "postgres")]
#[path = "../../../midjourney-storage/tests/it/postgres/cluster.rs"]
mod cluster;
mod disk_full;
mod every_action;
mod faults;
mod http_bad_requests;
mod http_callbacks;
mod http_edge;
mod http_flow;
mod http_follow;
mod http_images;
mod http_library;
mod http_openapi;
mod http_probe;
mod http_support;
mod http_webhooks;
mod http_ws;
mod imitation;
mod kill;
mod lost_answers;
mod machine;
mod midjourney_web;
mod mj;
mod mj_client;
#[cfg(feature = "postgres")]
mod nodes;
mod process;
mod proxies;
#[cfg(feature = "s3")]
#[path = "../../../midjourney-storage/tests/it/object/script.rs"]
mod script;
mod shared_directory;
mod simulate;
mod stops;
mod syncs;
mod upstreams;
mod world;
