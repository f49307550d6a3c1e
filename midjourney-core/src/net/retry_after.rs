//! How long the other side asks to be left alone.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long a `Retry-After` asks to wait: seconds or a date, at most `most`. `None` where it is neither.
pub(crate) fn retry_after(text: &str, now: Timestamp, most: Duration) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number holds are a long wait as well.
        return Some(text.parse().map_or(most, Duration::from_secs).min(most));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = Timestamp::from_millis(date.as_millisecond()).saturating_since(now);
    Some(wait.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_and_bounded() {
        let now = Timestamp::from_millis(784_111_777_000);
        let secs = Duration::from_secs;
        let most = secs(3_600);
        for (text, wait) in [
            ("0", Some(secs(0))),
            (" 120 ", Some(secs(120))),
            ("1000000000", Some(most)),
            ("99999999999999999999999999", Some(most)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(secs(60))),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(secs(0))),
            ("Sat, 06 Nov 2094 08:00:00 GMT", Some(most)),
            ("-5", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now, most), wait, "{text}");
        }
    }
}
