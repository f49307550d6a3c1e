//! Durable Midjourney jobs.

pub mod client;
pub mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod error;
pub mod id;
pub mod image;
pub mod job;
pub mod key;
#[cfg(feature = "http")]
pub mod net;
pub mod page;
pub mod prompt;
pub mod webhook;
