#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod budget;
pub mod client;
pub mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod delivery;
pub mod engine;
pub mod error;
pub mod gateway;
mod hex;
pub mod id;
pub mod image;
pub mod job;
pub mod key;
pub mod link;
pub mod memory;
#[cfg(feature = "http")]
pub mod net;
pub mod page;
pub mod prompt;
#[cfg(feature = "testing")]
pub mod testing;
mod view;
pub mod webhook;
