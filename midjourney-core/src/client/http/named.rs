//! What upstreams share that take actions by plain names, one task each.

mod answer;
mod given;
mod offered;
mod says;
mod task;
mod wording;

pub(in crate::client) use self::{
    answer::{read, seed, told, unexplained, unreadable},
    given::{base64_of, blended, link_of, mask_of, with_images},
    offered::{Name, allowed, pick, start, unsupported},
    says::{failed, meaning},
    task::{bad_callback, callback, is_grid, link, links, offers, pictures, progress, texts},
    wording::{SPEEDS, Wording, has_own_prompt},
};
