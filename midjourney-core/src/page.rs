//! Keyset paging: a page and the opaque cursor to the next one.

use std::{fmt, str::FromStr};

use crate::clock::Timestamp;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where the next page starts: the id of the last row seen, in a versioned opaque form (`c1_` and 32 hex digits).
///
/// A cursor stays good while rows are added or removed, and costs the same at any depth. It holds nothing secret;
/// a forged one at worst names a place in the caller's own list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor([u8; 16]);

impl Cursor {
    /// The cursor that continues after the row with this key.
    pub const fn after(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// The cursor to what was made before `at`, for rows whose ids begin with the time.
    pub fn before(at: Timestamp) -> Self {
        let mut key = [0; 16];
        let millis = u64::try_from(at.as_millis()).unwrap_or(0).to_be_bytes();
        for (byte, millis) in key.iter_mut().zip(millis.into_iter().skip(2)) {
            *byte = millis;
        }
        Self(key)
    }

    /// The key of the last row seen.
    pub const fn key(&self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c1_{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The text is not a cursor of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list; leave it out to start from the newest")]
pub struct ParseCursorError;

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text
            .strip_prefix("c1_")
            .filter(|hex| hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
            .ok_or(ParseCursorError)?;
        u128::from_str_radix(hex, 16)
            .map(|key| Self(key.to_be_bytes()))
            .map_err(|_| ParseCursorError)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Some rows, newest first, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end of the list.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// The most rows a page may hold, whatever was asked for.
    pub const MAX: usize = 200;

    /// A page of `items` that continues at `next`.
    pub const fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self { items, next }
    }

    /// Builds a page from up to `limit + 1` rows: the extra one only tells that there is more.
    pub fn from_probe(mut rows: Vec<T>, limit: usize, key: impl Fn(&T) -> [u8; 16]) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more {
            rows.last().map(|row| Cursor::after(key(row)))
        } else {
            None
        };
        Self { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_a_forged_one_is_refused() {
        let cursor = Cursor::after([7; 16]);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in [
            "",
            "c1_",
            "c0_00000000000000000000000000000000",
            "c1_+0000000000000000000000000000000",
            "c1_ü",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(ParseCursorError), "{bad}");
        }
    }

    #[test]
    fn only_a_full_page_with_more_behind_it_has_a_next() {
        let key = |n: &u8| [*n; 16];
        assert_eq!(
            Page::from_probe(vec![1, 2, 3], 2, key),
            Page::new(vec![1, 2], Some(Cursor::after([2; 16])))
        );
        assert_eq!(Page::from_probe(vec![1, 2], 2, key), Page::new(vec![1, 2], None));
    }
}
