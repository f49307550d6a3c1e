//! Conditional and partial requests (RFC 9110, sections 13 and 14), without I/O.

use axum::http::{HeaderMap, header};

/// Whether `If-None-Match` names `etag`; weakly compared, as the RFC has it.
pub(super) fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = opaque(etag);
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == wanted)
}

/// Which bytes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them.
    Whole,
    /// From the first to before the second.
    Part(u64, u64),
    /// None that there are.
    Outside,
}

/// What `Range` and `If-Range` ask for of `length` bytes under the strong `etag`.
///
/// Several ranges, other units and what cannot be read are answered with the whole, as the RFC allows.
pub(super) fn wanted(headers: &HeaderMap, length: u64, etag: &str) -> Wanted {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Wanted::Whole;
    };
    // Only the very same bytes may be continued. There is no modification date that an `If-Range` could name.
    if headers.get(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Wanted::Whole;
    }
    let range = range
        .to_str()
        .ok()
        .and_then(|range| range.trim().strip_prefix("bytes="));
    range
        .and_then(|range| single(range.trim(), length))
        .unwrap_or(Wanted::Whole)
}

fn single(range: &str, length: u64) -> Option<Wanted> {
    let (first, last) = range.split_once('-')?;
    let found = if first.is_empty() {
        let suffix = number(last)?;
        if suffix == 0 {
            Wanted::Outside
        } else {
            Wanted::Part(length.saturating_sub(suffix), length)
        }
    } else {
        let first = number(first)?;
        let end = if last.is_empty() {
            length
        } else {
            number(last)?.saturating_add(1)
        };
        if end <= first && !last.is_empty() {
            return None;
        }
        Wanted::Part(first, end.min(length))
    };
    Some(match found {
        Wanted::Part(start, end) if start >= end => Wanted::Outside,
        found => found,
    })
}

/// A number of digits only; what no integer holds is as far as it gets.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(range: &str, if_range: Option<&str>, length: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(tag) = if_range {
            headers.insert(header::IF_RANGE, tag.parse().unwrap());
        }
        wanted(&headers, length, "\"a\"")
    }

    #[test]
    fn ranges_are_read_as_the_rfc_has_it() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=2-5", Wanted::Part(2, 6)),
            ("bytes=2-", Wanted::Part(2, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-99", Wanted::Part(0, 10)),
            ("bytes=5-99999999999999999999999", Wanted::Part(5, 10)),
            ("bytes=10-", Wanted::Outside),
            ("bytes=10-20", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=99999999999999999999999-", Wanted::Outside),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("pages=1-2", Wanted::Whole),
        ] {
            assert_eq!(ask(range, None, 10), expected, "{range}");
        }
        assert_eq!(ask("bytes=0-", None, 0), Wanted::Outside);
    }

    #[test]
    fn a_range_of_other_bytes_is_answered_with_the_whole() {
        assert_eq!(ask("bytes=0-1", Some("\"a\""), 10), Wanted::Part(0, 2));
        for tag in ["\"b\"", "W/\"a\"", "Sun, 22 Nov 2026 10:00:00 GMT"] {
            assert_eq!(ask("bytes=0-1", Some(tag), 10), Wanted::Whole, "{tag}");
        }
    }

    #[test]
    fn etags_are_found_in_lists() {
        let mut headers = HeaderMap::new();
        assert!(!matches_etag(&headers, "\"a\""));
        headers.insert(header::IF_NONE_MATCH, "\"b\", W/\"a\"".parse().unwrap());
        assert!(matches_etag(&headers, "\"a\"") && matches_etag(&headers, "W/\"b\""));
        assert!(!matches_etag(&headers, "\"c\""));
        headers.insert(header::IF_NONE_MATCH, "*".parse().unwrap());
        assert!(matches_etag(&headers, "\"c\""));
    }
}
