//! The Midjourney gateway as an MCP server.
//!
//! An adapter: it reads arguments, asks the [`Gateway`](midjourney_core::gateway::Gateway), and puts the answer into
//! words, a picture and structured data. It decides nothing about jobs.
//!
//! - `tools`: what the tools are called, what they take, and how arguments are read.
//! - `desk`: what each tool does.
//! - `bring`: pictures that callers name, taken in.
//! - `wait`: following jobs for a while, with news on the way.
//! - `result`, `steps` and `error`: what the caller gets to see, and what can be done next.
//! - `picture`: making pictures small enough for a tool result.
//! - [`open`]: where the gateway comes from; it is opened after the client has been greeted.
//! - `server` and [`transport`]: the protocol. Only these two know the SDK's types.

mod bring;
mod desk;
mod error;
pub mod open;
mod picture;
mod result;
mod server;
pub mod settings;
mod steps;
mod text;
mod tools;
pub mod transport;
mod wait;
