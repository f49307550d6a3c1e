//! What upstreams share that take actions by plain names, one task each.

pub(in crate::client) mod allowed;
pub(in crate::client) mod answer;
pub(in crate::client) mod given;
pub(in crate::client) mod offered;
pub(in crate::client) mod says;
pub(in crate::client) mod task;
pub(in crate::client) mod wording;
