//! Which known word was probably meant.

/// Longer words are nobody's typing mistake.
const LONGEST: usize = 64;

/// The candidate nearest to `word`, if it is near enough to be worth naming.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| {
            (
                distance(&word, &candidate.to_lowercase().replace('-', "_")),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours between two short words.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut older: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut before: Option<char> = None;
    for (line, one) in left.chars().enumerate() {
        let mut next = vec![line + 1];
        let mut beside: Option<char> = None;
        for (column, other) in right.iter().copied().enumerate() {
            let replaced = at(&row, column) + usize::from(one != other);
            let mut least = replaced.min(at(&row, column + 1) + 1).min(at(&next, column) + 1);
            if before == Some(other) && beside == Some(one) {
                least = least.min(at(&older, column.saturating_sub(1)) + 1);
            }
            next.push(least);
            beside = Some(other);
        }
        before = Some(one);
        older = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

/// A name from the outside, if it can be repeated in a message.
///
/// A key that was pasted where a name belongs must not end in a log.
pub(super) fn speakable(name: &str) -> Option<&str> {
    let letters = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | '.');
    let short = name.len() <= 12 && name.chars().all(|c| letters(c) || c.is_ascii_digit() || c == '<');
    let wordy = name.len() <= 40 && name.chars().all(letters);
    (!name.is_empty() && (short || wordy)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let words = ["host", "port", "workers", "allow_unauthenticated"];
        assert_eq!(nearest("prot", words), Some("port"));
        assert_eq!(nearest("Port", words), Some("port"));
        assert_eq!(nearest("worker", words), Some("workers"));
        assert_eq!(
            nearest("allow-unauthenticated", words),
            Some("allow_unauthenticated")
        );
        assert_eq!(nearest("hots", words), Some("host"));
        assert_eq!(nearest("zebra", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"p".repeat(100_000), words), None);
    }

    #[test]
    fn names_that_look_like_keys_are_not_repeated() {
        assert_eq!(speakable("server_port"), Some("server_port"));
        assert_eq!(speakable("ipv6"), Some("ipv6"));
        assert_eq!(speakable("sk9f8a7b6c5d4e3f2a1b0c9d8e7f"), None);
        assert_eq!(speakable("a\nb"), None);
    }
}
