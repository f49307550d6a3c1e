//! Addresses that an upstream may call back.
//!
//! Upstreams of the midjourney-proxy family sign nothing and send no header of ours, so the address itself is the
//! proof: `<public_url>/<job id>.<nonce>.<hex HMAC-SHA256>`. Whoever knows the address of one submit can speak about
//! that submit only, and what it says is a hint: the task is fetched again before anything is believed.

mod diagnosis;
mod guesses;
mod incoming;
mod probe;

use std::{fmt, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub(crate) use self::guesses::Guesses;
pub use self::{
    diagnosis::{Diagnosis, ProbeCause},
    incoming::{Authenticity, Headers, Incoming},
    probe::{PROBE_HEADER, PROBE_SEGMENT, Probe, ProbeAnswer},
};
use crate::{
    clock::Timestamp,
    hex::{hex, unhex},
    id::JobId,
    job::Nonce,
    key::Secret,
};

/// How far the clock of what is signed may be from ours, both ways.
pub const REPLAY_WINDOW: Duration = Duration::from_secs(300);

/// Keeps this use of the secret apart from any other.
const PURPOSE: &[u8] = b"callback:v2:";

/// Makes and checks callback addresses.
#[derive(Clone)]
pub struct CallbackRegistration {
    public_url: String,
    secret: Secret,
    older: Vec<Older>,
    verification: Option<Secret>,
}

/// A secret that was in use before.
#[derive(Clone)]
struct Older {
    secret: Secret,
    /// The last moment at which it is good.
    until: Timestamp,
}

impl fmt::Debug for CallbackRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackRegistration")
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}

impl CallbackRegistration {
    /// Addresses below `public_url`, which upstreams can reach, proved by `secret`.
    pub fn new(public_url: impl Into<String>, secret: Secret) -> Self {
        let mut public_url = public_url.into();
        public_url.truncate(public_url.trim_end_matches('/').len());
        Self {
            public_url,
            secret,
            older: Vec::new(),
            verification: None,
        }
    }

    /// The address that all others are below.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The same, answering to whoever asks with `token` whether the address is ours.
    pub fn with_verification_token(mut self, token: Secret) -> Self {
        self.verification = Some(token);
        self
    }

    /// Whether `token` is the verification token. Takes the same time wherever it is wrong.
    pub fn verifies_by(&self, token: &str) -> bool {
        let digest = |text: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).ok()?;
            mac.update(text.as_bytes());
            Some(mac)
        };
        let ours = self.verification.as_ref().and_then(|ours| digest(ours.expose()));
        match (ours, digest(token)) {
            (Some(ours), Some(theirs)) => theirs.verify_slice(&ours.finalize().into_bytes()).is_ok(),
            _ => false,
        }
    }

    /// The same, also taking addresses made with an `older` secret up to the moment `until`, for tasks that still run
    /// after a rotation.
    pub fn also_accepting(mut self, older: Secret, until: Timestamp) -> Self {
        self.older.push(Older { secret: older, until });
        self
    }

    /// The address for the submit of `job` under `nonce`. Secret: it is all that a caller needs.
    ///
    /// Each submit has its own, for a callback may find a submit whose answer was lost: one that was lost before, and
    /// comes to light when the job was sent again, must not be taken for the later one.
    pub fn url_for(&self, job: JobId, nonce: &Nonce) -> Secret {
        let place = format!("{job}.{}", nonce.as_str());
        let proof = keyed(&self.secret, PURPOSE, &place).map(|mac| mac.finalize().into_bytes());
        let hex = proof.map(|proof| hex(&proof)).unwrap_or_default();
        self.address(&format!("{place}.{hex}"))
    }

    /// The address that ends in `segment`. Secret, as the address of a job is.
    pub fn address(&self, segment: &str) -> Secret {
        Secret::new(format!("{}/{segment}", self.public_url))
    }

    /// Whose address ends in `segment` at `now`: the job, and the mark of its submit; `None` unless the proof holds.
    /// Whoever guesses learns nothing from the time that it takes: also what names no job at all is compared.
    pub fn submit_of(&self, segment: &str, now: Timestamp) -> Option<(JobId, Nonce)> {
        let (place, proof) = segment.rsplit_once('.').unwrap_or_default();
        let claimed = unhex(proof);
        let compared = claimed.unwrap_or_default();
        let older = self.older.iter().filter(|older| now <= older.until);
        let secrets = std::iter::once(&self.secret).chain(older.map(|older| &older.secret));
        // All are compared, whichever is right.
        let right = secrets
            .filter_map(|secret| keyed(secret, PURPOSE, place))
            .fold(false, |any, mac| mac.verify_slice(&compared).is_ok() | any);
        let (job, nonce) = place.split_once('.').unwrap_or_default();
        let submit = job.parse().ok().zip(Nonce::parse(nonce));
        submit.filter(|_| right & claimed.is_some())
    }
}

/// What proves `text` to be ours, for this purpose alone. `None` never happens: HMAC takes keys of every length.
fn keyed(secret: &Secret, purpose: &[u8], text: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(purpose);
    mac.update(text.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::OsEntropy, testing::SeededEntropy};

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn registration(secret: &str) -> CallbackRegistration {
        CallbackRegistration::new("https://gw.example/callbacks/", Secret::new(secret))
    }

    fn nonce(seed: u64) -> Nonce {
        Nonce::new(&SeededEntropy::new(seed))
    }

    #[test]
    fn only_the_address_of_a_submit_speaks_for_it() {
        let registration = registration("canary-secret");
        let job = JobId::new(Timestamp::from_millis(1), &OsEntropy);
        let other = JobId::new(Timestamp::from_millis(2), &OsEntropy);
        let (own, later) = (nonce(1), nonce(2));
        let url = registration.url_for(job, &own);
        let segment = url
            .expose()
            .strip_prefix("https://gw.example/callbacks/")
            .unwrap();
        assert_eq!(registration.submit_of(segment, NOW), Some((job, own.clone())));
        let (place, proof) = segment.rsplit_once('.').unwrap();
        let flipped = if proof.starts_with('0') { '1' } else { '0' };
        for bad in [
            String::new(),
            proof.to_uppercase() + "!",
            proof[1..].to_owned(),
            format!("{flipped}{}", &proof[1..]),
            format!("{proof}00"),
            "é".repeat(32),
        ] {
            assert_eq!(
                registration.submit_of(&format!("{place}.{bad}"), NOW),
                None,
                "{bad}"
            );
        }
        for place in [
            String::new(),
            job.to_string(),
            format!("{job}."),
            format!("{other}.{}", own.as_str()),
            format!("{job}.{}", later.as_str()),
        ] {
            assert_eq!(
                registration.submit_of(&format!("{place}.{proof}"), NOW),
                None,
                "{place}"
            );
        }
        assert_eq!(registration.submit_of(proof, NOW), None);
        assert!(!format!("{registration:?}").contains("canary"));
    }

    #[test]
    fn an_older_secret_is_good_until_its_end() {
        let (job, nonce) = (JobId::new(NOW, &OsEntropy), nonce(1));
        let segment = |secret: &str| {
            let url = registration(secret).url_for(job, &nonce);
            url.expose().rsplit('/').next().unwrap().to_owned()
        };
        let until = NOW.saturating_add(Duration::from_secs(86_400));
        let both = registration("new").also_accepting(Secret::new("old"), until);
        let after = until.saturating_add(Duration::from_secs(1));
        for (secret, now, expected) in [
            ("old", NOW, true),
            ("old", until, true),
            ("old", after, false),
            ("new", NOW, true),
            ("new", after, true),
            ("other", NOW, false),
        ] {
            let found = both.submit_of(&segment(secret), now);
            assert_eq!(found.is_some(), expected, "{secret} at {now}");
        }
        assert_eq!(registration("new").submit_of(&segment("old"), NOW), None);
        assert_eq!(
            both.url_for(job, &nonce).expose(),
            registration("new").url_for(job, &nonce).expose()
        );
    }

    /// Addresses are held by upstreams for as long as a task runs: the form must not change by accident.
    #[test]
    fn the_form_of_an_address_is_fixed() {
        let job = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2".parse().unwrap();
        let nonce = Nonce::parse("0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(registration("key").url_for(job, &nonce).expose(), EXPECTED);
    }
    const EXPECTED: &str = "https://gw.example/callbacks/job_019ab3c0d1e27f3a8b4c5d6e7f8091a2.0123456789abcdef0123456789abcdef.1202d02a683a538f80489b136e37a620ee8ea94005d6419b05e45d7f9534ecf3";
}
