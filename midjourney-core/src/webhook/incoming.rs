//! What comes in at a callback address, before anything is believed.

use std::{fmt, net::IpAddr};

use bytes::Bytes;

use crate::clock::Timestamp;

/// A request to a callback address.
#[derive(Clone)]
#[non_exhaustive]
pub struct Incoming {
    /// The last part of the address, where it is one that was made for a job.
    pub segment: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// Its body, byte by byte as it was sent.
    pub body: Bytes,
    /// The other end of its connection: a proxy, where there is one in between.
    pub from: Option<IpAddr>,
}

impl Incoming {
    /// A request with this body, to the address that is the same for all.
    pub const fn new(body: Bytes) -> Self {
        Self {
            segment: None,
            headers: Headers(Vec::new()),
            body,
            from: None,
        }
    }

    /// The same request to the address that ends in `segment`.
    pub fn to(mut self, segment: impl Into<String>) -> Self {
        self.segment = Some(segment.into());
        self
    }

    /// The same request with these headers.
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// The same request from this address.
    pub const fn from(mut self, from: Option<IpAddr>) -> Self {
        self.from = from;
        self
    }
}

impl fmt::Debug for Incoming {
    /// Without the segment, which is a secret, and the content, which is a stranger's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("bytes", &self.body.len())
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// The headers of a request, their names in lower case.
#[derive(Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The header of this name; `None` where there is none, or several: what is signed twice is not signed.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// Whether there is a header of this name, be it more than one.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let lower = |(name, value): (N, V)| (name.as_ref().to_ascii_lowercase(), value.into());
        Self(headers.into_iter().map(lower).collect())
    }
}

impl fmt::Debug for Headers {
    /// The names alone: values are signatures and secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Whether an upstream proves that a callback is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever asks must face each answer")]
pub enum Authenticity {
    /// It signs nothing, or the secret is not known here: its content is a hint.
    Unsigned,
    /// It is proved, and of this time where a time was signed along.
    Signed {
        /// When it was signed.
        at: Option<Timestamp>,
    },
    /// It should be proved and is not.
    Forged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_comes_twice_has_no_value() {
        let headers: Headers = [("X-One", "1"), ("x-two", "2"), ("X-TWO", "2")]
            .into_iter()
            .collect();
        assert_eq!((headers.get("x-one"), headers.get("x-two")), (Some("1"), None));
        assert!(headers.has("x-two") && !headers.has("x-three"));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let headers: Headers = [("x-signature", "canary")].into_iter().collect();
        let incoming = Incoming::new(Bytes::from_static(b"canary"))
            .to("canary")
            .with_headers(headers);
        assert!(!format!("{incoming:?} {:?}", incoming.headers).contains("canary"));
    }
}
