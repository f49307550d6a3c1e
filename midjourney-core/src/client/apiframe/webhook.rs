//! The secret that comes back with a webhook.
//!
//! It is made from the address of the callback, so nothing has to be kept for it: whoever knows the address that was
//! called can tell what must come with it. So it keeps out those who only repeat an address, say one found in the log of
//! a server on the way, and proves no more than that: what comes with it is not signed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::key::Secret;

/// The header that holds the secret (source: the documentation).
pub const WEBHOOK_HEADER: &str = "x-webhook-secret";

/// Keeps this use of an address apart from any other.
const PURPOSE: &[u8] = b"apiframe webhook:v1";

/// The secret for the callback address `address`. `None` never happens: HMAC takes keys of every length.
pub(super) fn secret_of(address: &Secret) -> Option<Secret> {
    let mut mac = mac(address)?;
    mac.update(PURPOSE);
    let digits = mac
        .finalize()
        .into_bytes()
        .into_iter()
        .flat_map(|byte| [byte >> 4, byte & 15]);
    let hex: String = digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect();
    Some(Secret::new(hex))
}

/// Whether `presented`, the value of [`WEBHOOK_HEADER`], came with a call of `address`, the whole address that was
/// handed to the upstream. Pure; takes the same time wherever the two differ.
pub fn is_from_upstream(address: &Secret, presented: &str) -> bool {
    let Some(expected) = secret_of(address) else {
        return false;
    };
    let (Some(mut ours), Some(mut theirs)) = (mac(address), mac(address)) else {
        return false;
    };
    // Comparing the digests of both tells nothing about where the texts differ.
    ours.update(expected.expose().as_bytes());
    theirs.update(presented.as_bytes());
    theirs.verify_slice(&ours.finalize().into_bytes()).is_ok()
}

fn mac(key: &Secret) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(key.expose().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_of_an_address_speaks_for_it() {
        let address = Secret::new("https://gw.example/cb/job_1.abc");
        let secret = secret_of(&address).unwrap();
        assert!(is_from_upstream(&address, secret.expose()));
        assert_eq!(secret.expose().len(), 64);
        assert!(!secret.expose().contains("abc"));
        let other = Secret::new("https://gw.example/cb/job_2.abc");
        assert!(!is_from_upstream(&other, secret.expose()));
        let upper = secret.expose().to_uppercase();
        let longer = format!("{}0", secret.expose());
        for bad in ["", "é", &secret.expose()[1..], &upper, &longer, address.expose()] {
            assert!(!is_from_upstream(&address, bad), "{bad}");
        }
    }

    /// Upstreams hold it for as long as a task runs: the form must not change by accident.
    #[test]
    fn the_form_of_the_secret_is_fixed() {
        let secret = secret_of(&Secret::new("https://gw.example/cb/job_1.abc")).unwrap();
        assert_eq!(secret.expose(), EXPECTED);
    }
    const EXPECTED: &str = "6eee827470aad25bd2eb42befca20a25c89b8fbb7842d71dff22097eb3a903a4";
}
