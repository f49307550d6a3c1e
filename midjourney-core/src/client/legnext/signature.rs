//! Whether a callback is from `LegNext`: `webhook.py` of the vendor's client.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{hex::unhex, key::Secret};

/// The header with the signature: hex HMAC-SHA256 under the secret that is set in the dashboard.
pub const SIGNATURE_HEADER: &str = "x-legnext-signature";

/// The header with the time that was signed along, where there is one.
pub const TIMESTAMP_HEADER: &str = "x-legnext-timestamp";

/// Whether `signature` proves that whoever knows `secret` sent `body`: its HMAC-SHA256 or, with a `timestamp`, that of
/// `<timestamp>.<body>`. Takes the same time wherever a signature is wrong. How old the timestamp may be is for the
/// caller to say.
///
/// An empty secret proves nothing, and an empty timestamp counts as none, as in the vendor's own verifier.
pub fn verify_signature(secret: &Secret, body: &[u8], signature: &str, timestamp: Option<&str>) -> bool {
    let (false, Some(claimed), Ok(mut mac)) = (
        secret.expose().is_empty(),
        unhex(signature),
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()),
    ) else {
        return false;
    };
    if let Some(timestamp) = timestamp.filter(|timestamp| !timestamp.is_empty()) {
        mac.update(timestamp.as_bytes());
        mac.update(b".");
    }
    mac.update(body);
    mac.verify_slice(&claimed).is_ok()
}
