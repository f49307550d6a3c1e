//! All outgoing HTTP: one client, guarded against being sent to places it has no business at.
//!
//! Addresses that are not public are refused where a URL spells them and where a name resolves to them, so that the
//! address checked is the address dialled. The one exception is the origin that the operator configured.

mod client;
mod guard;
mod obstacle;
mod retry_after;
mod tls;

pub use client::{Answer, Download, Outbound, OutboundError, OutboundOptions, OutboundRequest};
pub use guard::{BlockedAddress, RefusedUrl, is_public};
pub use obstacle::Obstacle;
pub(crate) use retry_after::retry_after;
