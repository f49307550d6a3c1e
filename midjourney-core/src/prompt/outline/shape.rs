//! What single words look like: dashes, addresses, weights.

use crate::prompt::template::Span;

/// Whether a word is no address and has neither dashes nor colons: most are such words, and one look tells.
pub(super) fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii() && !matches!(byte, b'-' | b':');
    !matches!(word.as_bytes().first(), Some(b'h' | b'H' | b'<')) && word.bytes().all(plain)
}

/// Every place inside a word where dashes might start a parameter.
pub(super) fn joints(word: &str) -> impl Iterator<Item = (usize, &str)> {
    let long = word.match_indices(['\u{2013}', '\u{2014}']);
    word.match_indices("--").chain(long)
}

/// The run of dashes a word starts with.
pub(super) struct Dashes {
    pub(super) len: usize,
    /// Precisely `--`.
    pub(super) exact: bool,
    /// At least as long as `--`: a long dash counts for two.
    pub(super) double: bool,
}

impl Dashes {
    pub(super) fn read(word: &str) -> Self {
        let mut len = 0;
        let mut width = 0_usize;
        for c in word.chars() {
            width += match c {
                '-' | '\u{2010}' | '\u{2011}' | '\u{fe63}' | '\u{ff0d}' => 1,
                '\u{2012}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' => 2,
                _ => break,
            };
            len += c.len_utf8();
        }
        Self {
            len,
            exact: word.get(..len) == Some("--"),
            double: width >= 2,
        }
    }
}

/// Whether a text would start a parameter if a space stood before it.
pub(in crate::prompt) fn is_dashed(text: &str) -> bool {
    Dashes::read(text).double
}

/// Whether a word starts as a web address does.
pub(in crate::prompt) fn is_url(word: &str) -> bool {
    // Asked of every word, and few begin so.
    matches!(word.as_bytes().first(), Some(b'h' | b'H'))
        && ["http://", "https://"].iter().any(|scheme| {
            word.get(..scheme.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
        })
}

/// The address in a word: chat programs wrap it in `<>`, people put commas after it.
pub(super) fn image_url(word: &str) -> Option<Span> {
    let bare = word.strip_prefix('<').filter(|inner| is_url(inner));
    let start = usize::from(bare.is_some());
    if bare.is_none() && !is_url(word) {
        return None;
    }
    let mut rest = bare.unwrap_or(word).trim_end_matches(',');
    if bare.is_some() {
        rest = rest.strip_suffix('>').unwrap_or(rest).trim_end_matches(',');
    }
    Some(start..start + rest.len())
}

/// Length of the weight a text starts with; none when what stands there is no whole number or decimal.
pub(super) fn weight_len(text: &str) -> Option<usize> {
    let digits = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let sign = usize::from(text.starts_with('-'));
    let whole = digits(sign);
    let mut end = sign + whole;
    let mut any = whole > 0;
    if text.get(end..).is_some_and(|rest| rest.starts_with('.')) {
        let fraction = digits(end + 1);
        if fraction > 0 {
            end += 1 + fraction;
            any = true;
        }
    }
    let mut rest = text.get(end..).unwrap_or_default().chars();
    let next = rest.next();
    let runs_on = next.is_some_and(|c| c.is_alphanumeric() || c == '_')
        || (next == Some('.') && rest.next().is_some_and(|c| c.is_ascii_digit()));
    (any && !runs_on).then_some(end)
}
