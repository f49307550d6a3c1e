//! The HTTP server and the command line around a [`Gateway`](midjourney_core::gateway::Gateway).

pub mod cli;
pub mod http;
#[cfg(feature = "simulator")]
pub mod simulate;
