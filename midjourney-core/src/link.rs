//! Links to our own files that open without a credential, for a while.
//!
//! An upstream that fetches a reference picture, or a page that shows a result, has no credential of ours. The link
//! itself is the proof: `<public url>/<path>?expires=<seconds since 1970>&signature=<hex HMAC-SHA256>`. It opens that
//! path only, and only until then.

use std::{fmt, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    clock::Timestamp,
    hex::{hex, unhex},
    id::{ImageId, UploadId},
    key::Secret,
};

/// Where the bytes of a picture are, below the address of the server.
pub fn image_path(id: ImageId) -> String {
    format!("/images/{id}/content")
}

/// Where the bytes of a picture that was brought along are.
pub fn upload_path(id: UploadId) -> String {
    format!("/images/uploads/{id}/content")
}

/// Keeps this use of the secret apart from any other.
const PURPOSE: &[u8] = b"link:v1:";

/// Makes and checks links.
#[derive(Clone)]
pub struct PublicLinks {
    public_url: String,
    secret: Secret,
}

impl fmt::Debug for PublicLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicLinks")
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}

impl PublicLinks {
    /// Links below `public_url`, which others can reach, proved by `secret`.
    pub fn new(public_url: impl Into<String>, secret: Secret) -> Self {
        let mut public_url = public_url.into();
        public_url.truncate(public_url.trim_end_matches('/').len());
        Self { public_url, secret }
    }

    /// The same links, as seen from another address of this server.
    pub fn at(&self, public_url: impl Into<String>) -> Self {
        Self::new(public_url, self.secret.clone())
    }

    /// A link to `path` (`/images/img_.../content`) that opens for `life` from `now` on.
    pub fn sign(&self, path: &str, now: Timestamp, life: Duration) -> String {
        let expires = now.saturating_add(life).as_millis() / 1_000;
        let proof = self.mac(path, expires).map(|mac| mac.finalize().into_bytes());
        let hex = proof.map(|proof| hex(&proof)).unwrap_or_default();
        format!("{}{path}?expires={expires}&signature={hex}", self.public_url)
    }

    /// Whether `signature` opens `path` until `expires`, and that has not passed at `now`. Takes the same time wherever
    /// the signature is wrong.
    pub fn opens(&self, path: &str, expires: i64, signature: &str, now: Timestamp) -> bool {
        let Some(claimed) = unhex(signature) else {
            return false;
        };
        now.as_millis() / 1_000 <= expires
            && self
                .mac(path, expires)
                .is_some_and(|mac| mac.verify_slice(&claimed).is_ok())
    }

    fn mac(&self, path: &str, expires: i64) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).ok()?;
        mac.update(PURPOSE);
        mac.update(&expires.to_be_bytes());
        mac.update(path.as_bytes());
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_its_own_path_until_it_expires() {
        let links = PublicLinks::new("https://gw.example/", Secret::new("canary-secret"));
        let now = Timestamp::from_millis(1_795_000_000_500);
        let link = links.sign("/images/img_1/content", now, Duration::from_secs(60));
        let (path, query) = link.split_once('?').unwrap();
        assert_eq!(path, "https://gw.example/images/img_1/content");
        let (expires, signature) = query
            .strip_prefix("expires=")
            .and_then(|rest| rest.split_once("&signature="))
            .unwrap();
        let expires: i64 = expires.parse().unwrap();
        let opens = |path: &str, expires, signature: &str, now| links.opens(path, expires, signature, now);
        assert!(opens("/images/img_1/content", expires, signature, now));
        assert!(!opens("/images/img_2/content", expires, signature, now));
        assert!(!opens("/images/img_1/content", expires + 1, signature, now));
        assert!(!opens("/images/img_1/content", expires, &signature[2..], now));
        assert!(!opens("/images/img_1/content", expires, "", now));
        let late = now.saturating_add(Duration::from_secs(61));
        assert!(!opens("/images/img_1/content", expires, signature, late));
        let other = PublicLinks::new("https://gw.example", Secret::new("another"));
        assert!(!other.opens("/images/img_1/content", expires, signature, now));
        assert!(!format!("{links:?}").contains("canary"));
    }
}
