//! Probes: what we post to our own callback address to see whether what others post would come through.
//!
//! A probe proves itself by the secret of the addresses, and so does the answer to it. Whatever else may stand at the
//! address can imitate neither. It also carries a header such as upstreams sign with, which tells whether a proxy lets
//! that pass.

use bytes::Bytes;
use hmac::Mac as _;
use serde::{Deserialize, Serialize};

use super::{CallbackRegistration, keyed};
use crate::{
    clock::{Entropy, Timestamp},
    hex::{hex, unhex},
    key::Secret,
};

/// The end of the address that probes go to.
pub const PROBE_SEGMENT: &str = "probe";

/// The header that a probe carries.
pub const PROBE_HEADER: &str = "x-webhook-signature";

const ASKED: &[u8] = b"probe:v1:";
const ANSWERED: &[u8] = b"probe-answer:v1:";

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    nonce: String,
    sent_at: Timestamp,
}

/// A probe on its way, with what proves it.
#[derive(Serialize, Deserialize)]
struct Signed {
    #[serde(flatten)]
    probe: Probe,
    proof: String,
}

/// What a gateway answers to a probe of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ProbeAnswer {
    /// When the probe came, by the clock of who took it in.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub received_at: Timestamp,
    /// Whether its header came along.
    pub header: bool,
    /// What proves that the one who answers knows the secret.
    proof: String,
}

impl Probe {
    /// A probe that leaves at `now`, like no other.
    pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        Self {
            nonce: hex(&nonce),
            sent_at: now,
        }
    }

    /// What tells it from others.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// When it left.
    pub const fn sent_at(&self) -> Timestamp {
        self.sent_at
    }

    fn text(&self) -> String {
        format!("{}.{}", self.nonce, self.sent_at.as_millis())
    }
}

impl CallbackRegistration {
    /// The body of `probe`, and the value of its header.
    pub fn write_probe(&self, probe: &Probe) -> (Bytes, Secret) {
        let proof = self.proof(ASKED, &probe.text());
        let signed = Signed {
            probe: probe.clone(),
            proof: proof.clone(),
        };
        // Texts always serialise.
        let body = serde_json::to_vec(&signed).unwrap_or_default();
        (body.into(), Secret::new(proof))
    }

    /// The probe in `body`; `None` where it is none of ours.
    pub fn read_probe(&self, body: &[u8]) -> Option<Probe> {
        let signed: Signed = serde_json::from_slice(body).ok()?;
        self.holds(ASKED, &signed.probe.text(), &signed.proof)
            .then_some(signed.probe)
    }

    /// The answer to `probe`, which came at `now`, with its header or without.
    pub fn answer_probe(&self, probe: &Probe, now: Timestamp, header: bool) -> ProbeAnswer {
        ProbeAnswer {
            received_at: now,
            header,
            proof: self.proof(ANSWERED, &answered(probe, now, header)),
        }
    }

    /// The answer to `probe` in `body`; `None` where it comes from somebody else, or belongs to another probe.
    pub fn read_answer(&self, probe: &Probe, body: &[u8]) -> Option<ProbeAnswer> {
        let answer: ProbeAnswer = serde_json::from_slice(body).ok()?;
        let text = answered(probe, answer.received_at, answer.header);
        self.holds(ANSWERED, &text, &answer.proof).then_some(answer)
    }

    fn proof(&self, purpose: &[u8], text: &str) -> String {
        let mac = keyed(&self.secret, purpose, text);
        mac.map(|mac| hex(&mac.finalize().into_bytes()))
            .unwrap_or_default()
    }

    /// Whether `proof` is that of `text`. Takes the same time wherever the two differ.
    fn holds(&self, purpose: &[u8], text: &str, proof: &str) -> bool {
        let (mac, claimed) = (keyed(&self.secret, purpose, text), unhex(proof));
        mac.zip(claimed)
            .is_some_and(|(mac, claimed)| mac.verify_slice(&claimed).is_ok())
    }
}

fn answered(probe: &Probe, now: Timestamp, header: bool) -> String {
    format!("{}.{}.{header}", probe.nonce, now.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsEntropy;

    fn registration(secret: &str) -> CallbackRegistration {
        CallbackRegistration::new("https://gw.example/cb", Secret::new(secret))
    }

    #[test]
    fn a_probe_and_its_answer_prove_themselves_and_nothing_else_does() {
        let (ours, others) = (registration("ours"), registration("another"));
        let now = Timestamp::from_millis(1_795_000_000_123);
        let probe = Probe::new(now, &OsEntropy);
        let (body, header) = ours.write_probe(&probe);
        assert_eq!(ours.read_probe(&body), Some(probe.clone()));
        assert_eq!(others.read_probe(&body), None);
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains(header.expose()));
        for wrong in [
            text.replace(".123Z", ".124Z"),
            text.replace(probe.nonce(), &"0".repeat(32)),
            text.replace(header.expose(), ""),
            text.replace(header.expose(), &"0".repeat(64)),
            "{}".to_owned(),
            String::new(),
        ] {
            assert_ne!(wrong, text);
            assert_eq!(ours.read_probe(wrong.as_bytes()), None, "{wrong}");
        }

        let answer = ours.answer_probe(&probe, now, true);
        let sent = serde_json::to_string(&answer).unwrap();
        assert_eq!(ours.read_answer(&probe, sent.as_bytes()), Some(answer));
        assert_eq!(others.read_answer(&probe, sent.as_bytes()), None);
        let another = Probe::new(now, &OsEntropy);
        for (probe, wrong) in [
            (&another, sent.clone()),
            (&probe, sent.replace("true", "false")),
            (&probe, sent.replace(".123Z", ".124Z")),
            // What was asked is no answer.
            (&probe, text),
            (&probe, "<html>".to_owned()),
        ] {
            assert_eq!(ours.read_answer(probe, wrong.as_bytes()), None, "{wrong}");
        }
    }
}
