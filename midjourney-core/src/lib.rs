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
pub mod memory;
pub mod page;
pub mod prompt;
#[cfg(feature = "testing")]
pub mod testing;
