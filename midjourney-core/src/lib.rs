//! Durable Midjourney jobs.

pub mod prompt;
