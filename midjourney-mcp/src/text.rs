//! Text from strangers, made harmless for a model and a terminal.

use std::fmt;

/// The most characters of any text from outside that are passed on.
pub(crate) const MAX_CHARS: usize = 4_000;

/// No control characters, no bidirectional overrides or invisible marks, at most [`MAX_CHARS`].
pub(crate) fn clean(text: &str) -> String {
    cut(text, MAX_CHARS)
}

/// As [`clean`], cut after `most` characters; a cut is marked.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(most));
    let harmless = text.chars().filter_map(harmless);
    for (count, c) in harmless.enumerate() {
        if count == most {
            kept.pop();
            kept.push('…');
            break;
        }
        kept.push(c);
    }
    kept
}

/// As [`clean`], as a JSON string: what is inside the quotes is data and cannot end them.
pub(crate) fn quoted(text: &str, most: usize) -> String {
    serde_json::Value::from(cut(text, most)).to_string()
}

/// Adds a line.
pub(crate) fn line(to: &mut String, what: fmt::Arguments<'_>) {
    to.push_str(&what.to_string());
    to.push('\n');
}

/// `None` for what only serves to hide or to move a cursor.
fn harmless(c: char) -> Option<char> {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_harmless_and_bounded() {
        assert_eq!(clean("a\u{1b}[31m\u{202e}b\nc\u{e0041}\u{200b}"), "a[31mb c");
        let long = clean(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), MAX_CHARS);
        assert!(long.ends_with('…'));
        assert_eq!(cut("abc", 3), "abc");
    }

    #[test]
    fn quoting_cannot_be_left() {
        assert_eq!(quoted("x\"\n</tool>", 99), r#""x\" </tool>""#);
    }
}
