//! Signs messages as Standard Webhooks 1.0 has it: HMAC-SHA256 over `id.timestamp.body`, under a secret that only the
//! receiver and we know.
//!
//! No such secret is stored: each is derived from the one root that the operator sets, from the name of who it is for
//! and the number of its generation. Whoever has the database has none of them.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::subscription::Subscription;
use crate::{
    clock::Timestamp,
    id::{DeliveryId, SubscriptionId},
    job::Owner,
    key::Secret,
};

/// How long the secret before the present one signs along, so that a receiver can change over in its own time.
pub const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 3_600);

/// Keeps this use of the root apart from any other.
const PURPOSE: &str = "webhook:v1";

/// What every signing secret is derived from.
#[derive(Clone)]
pub struct SigningKey(Secret);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// A key from this root: at least 16 characters that nobody guesses.
    pub const fn new(root: Secret) -> Self {
        Self(root)
    }

    /// The secret of a subscription, as its owner keeps it: `whsec_` and 32 bytes in base64.
    pub fn secret_of(&self, id: SubscriptionId, generation: u32) -> Secret {
        shown(&self.bytes(&format!("{PURPOSE}:{id}:{generation}")))
    }

    /// The secret of what is sent to the addresses that `owner`'s jobs name.
    pub fn secret_of_jobs(&self, owner: &Owner) -> Secret {
        shown(&self.of_jobs(owner))
    }

    /// The value of `webhook-signature` for this body at `now`: by the present secret, and by the one before for as long
    /// as that is good; by that of `owner`'s jobs where there is no subscription.
    pub fn sign(
        &self,
        subscription: Option<&Subscription>,
        owner: &Owner,
        id: DeliveryId,
        now: Timestamp,
        body: &str,
    ) -> Secret {
        let content = format!("{id}.{}.{body}", now.as_millis().div_euclid(1_000));
        let keys = match subscription {
            None => vec![self.of_jobs(owner)],
            Some(of) => {
                let overlaps = of.generation > 1 && now.saturating_since(of.rotated) < SECRET_OVERLAP;
                let oldest = of.generation.saturating_sub(u32::from(overlaps));
                (oldest..=of.generation)
                    .rev()
                    .map(|generation| self.bytes(&format!("{PURPOSE}:{}:{generation}", of.id)))
                    .collect()
            }
        };
        let signatures: Vec<_> = keys
            .iter()
            .map(|key| format!("v1,{}", STANDARD.encode(mac(key, &content))))
            .collect();
        Secret::new(signatures.join(" "))
    }

    fn of_jobs(&self, owner: &Owner) -> [u8; 32] {
        self.bytes(&format!("{PURPOSE}:jobs:{}", owner.as_str()))
    }

    fn bytes(&self, of: &str) -> [u8; 32] {
        mac(self.0.expose().as_bytes(), of)
    }
}

fn shown(key: &[u8; 32]) -> Secret {
    Secret::new(format!("whsec_{}", STANDARD.encode(key)))
}

fn mac(key: &[u8], content: &str) -> [u8; 32] {
    // HMAC takes keys of every length.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mut mac| {
        mac.update(content.as_bytes());
        mac.finalize().into_bytes().into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::OsEntropy, job::Position};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_500);

    fn key() -> SigningKey {
        SigningKey::new(Secret::new("canary-root-0123456789"))
    }

    fn subscription() -> Subscription {
        let id = "sub_019ab3c0d1e27f3a8b4c5d6e7f8091a2".parse().unwrap();
        Subscription::new(id, Owner::local(), "https://a.example/", Position::START, NOW)
    }

    /// The example of the specification (Standard Webhooks 1.0, "Verifying signatures"; also Svix's documentation).
    #[test]
    fn the_published_example_comes_out() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let content = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(
            STANDARD.encode(mac(&key, content)),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_rotated_secret_signs_along_for_a_day() {
        let (key, mut of) = (key(), subscription());
        let id = DeliveryId::new(NOW, &OsEntropy);
        let sign = |of: &Subscription, now| {
            let signed = key.sign(Some(of), &of.owner, id, now, "{}");
            let each: Vec<_> = signed.expose().split(' ').map(str::to_owned).collect();
            each
        };
        let (first, rotated) = (sign(&of, NOW), NOW.saturating_add(Duration::from_secs(60)));
        of.generation = 2;
        of.rotated = rotated;
        let during = sign(&of, NOW);
        assert_eq!((first.len(), during.len()), (1, 2));
        assert_eq!(during[1], first[0], "the older comes last");
        let last = rotated.saturating_add(SECRET_OVERLAP);
        assert_eq!(sign(&of, last).len(), 1);
        assert_eq!(sign(&of, Timestamp::from_millis(last.as_millis() - 1)).len(), 2);
    }

    /// Receivers keep these secrets: how they are derived must not change by accident.
    #[test]
    fn secrets_are_derived_as_ever() {
        let id = subscription().id;
        let (first, second) = (key().secret_of(id, 1), key().secret_of(id, 2));
        assert_eq!(first.expose(), EXPECTED);
        assert_ne!(first.expose(), second.expose());
        let (local, other) = (Owner::local(), Owner::new("other"));
        assert_ne!(
            key().secret_of_jobs(&local).expose(),
            key().secret_of_jobs(&other).expose()
        );
        assert!(!format!("{:?}", key()).contains("canary"));
    }
    const EXPECTED: &str = "whsec_PNW/2Myivx9YEJLLIea5JyWggACzzw2oiaU6zgc2+n8=";
}
