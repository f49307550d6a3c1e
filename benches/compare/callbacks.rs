//! Callbacks to jobs under way: about 2 KiB each, signed as the upstream signs them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    load::Requests,
    surface::{Surface, post},
    underway::Job,
    upstream::{CALLBACK_HOST, SECRET},
};

/// What peers verify with.
const PEER_SECRET: &str = "mj-bench-secret";

/// What a callback holds beside what is read of it, in bytes.
const PADDING: usize = 1_840;

/// What is wrong with the callbacks, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Right,
    Forged,
    /// Right, and sent where a peer only verifies.
    VerifiedOnly,
}

/// Makes callbacks that say that a job is over. All of them are of one moment, so that one can be sent again as it was.
pub(crate) struct Signer {
    surface: Surface,
    at: u64,
    padding: String,
}

impl Signer {
    pub(crate) fn new(surface: Surface) -> Self {
        Self {
            surface,
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
            padding: "x".repeat(PADDING),
        }
    }

    /// Writes the callback of `job`.
    pub(crate) fn write(&self, job: &Job, proof: Proof, request: &mut Vec<u8>) {
        let padding = &self.padding;
        match self.surface {
            // Over without pictures, so that nothing has to be fetched behind it.
            Surface::Ours => {
                let body = format!(
                    "{{\"job_id\":\"{}\",\"task_type\":\"diffusion\",\"status\":\"failed\",\
                     \"error\":{{\"code\":403,\"message\":\"sensitive content\"}},\"raw\":\"{padding}\"}}",
                    job.task
                );
                let at = self.at.to_string();
                let signature = sign(SECRET, &[at.as_bytes(), b".", body.as_bytes()], proof);
                let headers = format!("x-legnext-timestamp: {at}\r\nx-legnext-signature: {signature}\r\n");
                post(request, CALLBACK_HOST, &job.callback, &headers, body.as_bytes());
            }
            Surface::Peer => {
                let body = format!(
                    "{{\"event_id\":\"event-{}\",\"job_id\":{},\"status\":\"completed\",\"progress\":100,\
                     \"image_url\":\"https://pictures.example/{}/grid_0.png\",\"raw\":\"{padding}\"}}",
                    job.id, job.id, job.id
                );
                let signature = sign(PEER_SECRET, &[body.as_bytes()], proof);
                let headers = format!("x-signature: sha256={signature}\r\n");
                let path = if proof == Proof::VerifiedOnly {
                    "/hmac"
                } else {
                    "/v1/webhook"
                };
                post(request, "127.0.0.1", path, &headers, body.as_bytes());
            }
        }
    }

    /// What a waiter reads once the callback is heeded.
    pub(crate) const fn sign_of_the_end(&self) -> &'static [u8] {
        match self.surface {
            Surface::Ours => b"failed",
            Surface::Peer => b"completed",
        }
    }
}

/// In hex; not right where it is to be forged.
fn sign(secret: &str, parts: &[&[u8]], proof: Proof) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    for part in parts {
        mac.update(part);
    }
    if proof == Proof::Forged {
        mac.update(b"!");
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = mac.finalize().into_bytes();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Callbacks of these jobs, in order, each once; or over and over, where they are `endless`.
pub(crate) struct Callbacks {
    pub(crate) signer: Arc<Signer>,
    pub(crate) jobs: Arc<[Job]>,
    pub(crate) proof: Proof,
    pub(crate) endless: bool,
    next: AtomicUsize,
}

impl Callbacks {
    pub(crate) fn new(signer: &Arc<Signer>, jobs: &Arc<[Job]>, proof: Proof) -> Self {
        Self {
            signer: Arc::clone(signer),
            jobs: Arc::clone(jobs),
            proof,
            endless: false,
            next: AtomicUsize::new(0),
        }
    }

    pub(crate) fn endless(mut self) -> Arc<Self> {
        self.endless = true;
        Arc::new(self)
    }

    /// How many were sent.
    pub(crate) fn sent(&self) -> usize {
        self.next.load(Ordering::Relaxed).min(self.jobs.len())
    }
}

impl Requests for Callbacks {
    fn write(&self, request: &mut Vec<u8>) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = if self.endless {
            number % self.jobs.len().max(1)
        } else {
            number
        };
        self.signer.write(self.jobs.get(place)?, self.proof, request);
        u64::try_from(place).ok()
    }
}
