//! Durable Midjourney jobs.
