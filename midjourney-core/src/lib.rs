//! Durable Midjourney jobs.

pub mod accounts;
pub mod client;
pub mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod engine;
pub mod error;
pub mod gateway;
pub mod id;
pub mod image;
pub mod job;
pub mod key;
pub mod memory;
pub mod page;
pub mod prompt;
#[cfg(feature = "testing")]
pub mod testing;
pub mod webhook;
