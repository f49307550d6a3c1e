//! The two tokens of a session.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::{
    client::http::{Loose, Text},
    clock::Timestamp,
    key::Secret,
};

/// How long before its end a token is renewed: longer than any call takes.
const MARGIN: Duration = Duration::from_secs(120);

/// The longest token that is taken.
const MAX_TOKEN: usize = 8_192;

/// The tokens of a session. Written as `id token|refresh token`.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// Lasts about an hour. Empty where only the other is known.
    id: Secret,
    /// Renews both.
    refresh: Secret,
}

/// What an id token says of itself. It is not verified: whoever accepts it does that.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Claims {
    exp: Text,
}

impl Pair {
    /// The pair in a key; `None` where it holds none.
    pub(super) fn read(key: &Secret) -> Option<Self> {
        let text = key.expose().trim();
        let (id, refresh) = text.split_once('|').unwrap_or(("", text));
        if !id.is_empty() && !is_token(id) {
            return None;
        }
        is_token(refresh).then(|| Self {
            id: Secret::new(id),
            refresh: Secret::new(refresh),
        })
    }

    /// The pair that a renewal gave; `None` where one of the two is no token.
    pub(super) fn renewed(id: &str, refresh: &str) -> Option<Self> {
        (is_token(id) && is_token(refresh)).then(|| Self {
            id: Secret::new(id),
            refresh: Secret::new(refresh),
        })
    }

    /// The pair as a key.
    pub(super) fn write(&self) -> Secret {
        Secret::new(format!("{}|{}", self.id.expose(), self.refresh.expose()))
    }

    pub(super) const fn id(&self) -> &Secret {
        &self.id
    }

    pub(super) const fn refresh(&self) -> &Secret {
        &self.refresh
    }

    /// Whether it is the pair that `other` is.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.id.expose() == other.id.expose() && self.refresh.expose() == other.refresh.expose()
    }

    /// What must not be shown.
    pub(super) fn secrets(&self) -> Vec<&str> {
        vec![self.id.expose(), self.refresh.expose()]
    }

    /// Whether the first token lasts long enough for a call at `now`.
    pub(super) fn lasts(&self, now: Timestamp) -> bool {
        let until = || {
            let claims = self.id.expose().split('.').nth(1)?;
            let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
            let Loose(claims) = serde_json::from_slice::<Loose<Claims>>(&claims).ok()?;
            let seconds: i64 = claims.exp.as_str().parse().ok()?;
            seconds.checked_mul(1_000).map(Timestamp::from_millis)
        };
        until().is_some_and(|until| until.saturating_since(now) > MARGIN)
    }

    /// The cookies that the service knows the session by.
    pub(super) fn cookie(&self) -> Secret {
        Secret::new(format!(
            "__Host-Midjourney.AuthUserTokenV3_i={}; __Host-Midjourney.AuthUserTokenV3_r={}",
            self.id.expose(),
            self.refresh.expose()
        ))
    }
}

/// Whether `text` can stand in a cookie.
fn is_token(text: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=' | b'~' | b'+' | b'/');
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn pairs_are_read_and_written() {
        let pair = Pair::read(&Secret::new(" a.b.c|r-1 \n")).unwrap();
        assert_eq!((pair.id.expose(), pair.refresh.expose()), ("a.b.c", "r-1"));
        assert_eq!(pair.write().expose(), "a.b.c|r-1");
        assert!(
            pair.cookie()
                .expose()
                .ends_with("V3_i=a.b.c; __Host-Midjourney.AuthUserTokenV3_r=r-1")
        );
        let alone = Pair::read(&Secret::new("r-1")).unwrap();
        assert_eq!((alone.id.expose(), alone.refresh.expose()), ("", "r-1"));
        assert!(!alone.lasts(Timestamp::default()));
        for bad in [
            "", "|", "a.b.c|", "a;b|r", "a|r|s", "a|r; x=1", "a\r\nx|r", "é", "a b",
        ] {
            assert!(Pair::read(&Secret::new(bad)).is_none(), "{bad:?}");
        }
        assert!(Pair::renewed("", "r").is_none());
        assert!(!format!("{pair:?}").contains("r-1"));
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        let now = Timestamp::from_millis(1_000_000_000);
        for (claims, lasts) in [
            (r#"{"exp":1003600}"#, true),
            (r#"{"exp":"1003600"}"#, true),
            (r#"{"exp":1000121}"#, true),
            (r#"{"exp":1000120}"#, false),
            (r#"{"exp":1}"#, false),
            (r#"{"exp":9223372036854775807}"#, false),
            (r#"{"exp":null}"#, false),
            ("{}", false),
            ("[", false),
        ] {
            let pair = Pair::renewed(&token(claims), "r").unwrap();
            assert_eq!(pair.lasts(now), lasts, "{claims}");
        }
        for id in ["a", "a.b", "a.!.c", "..."] {
            assert!(
                Pair::read(&Secret::new(format!("{id}|r"))).is_none_or(|pair| !pair.lasts(now)),
                "{id}"
            );
        }
    }
}
