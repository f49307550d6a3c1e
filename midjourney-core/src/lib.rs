//! Durable Midjourney jobs.

#[cfg(feature = "config")]
pub mod config;
