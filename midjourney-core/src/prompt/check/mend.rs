//! Guesses what was meant.

use crate::prompt::outline::LONGEST_NAME;
use crate::prompt::table::{Table, ValueKind};
use crate::prompt::template::{Span, is_space};
use crate::prompt::value::{Aspect, Number, Value};

/// The parameter a wrong name stands for, with a value when one was glued to it: `ar16:9`, `v=7`, `chaso`.
pub(super) fn name(written: &str, table: &Table) -> Option<String> {
    if written.len() > 4 * LONGEST_NAME {
        return None;
    }
    let small = written
        .trim_start_matches('-')
        .trim_end_matches([',', '.', ';', ':'])
        .to_lowercase();
    if table.param(&small).is_some() {
        return Some(small);
    }
    let letters = small.bytes().take_while(u8::is_ascii_lowercase).count();
    let (head, tail) = small.split_at(letters);
    let value = tail.trim_start_matches(['=', ':']);
    if !value.is_empty() && table.param(head).is_some() {
        return Some(format!("{head} {value}"));
    }
    similar(&small, table).map(str::to_owned)
}

fn similar<'a>(small: &str, table: &'a Table) -> Option<&'a str> {
    let length = small.chars().count();
    if !(2..=LONGEST_NAME).contains(&length) {
        return None;
    }
    let near = if length < 5 { 1 } else { 2 };
    let same_start = |name: &str| length > 3 || name.chars().next() == small.chars().next();
    let by_typo = table
        .param_names()
        .filter(|name| name.len() > 1 && same_start(name))
        .map(|name| (distance(small, name), name))
        .filter(|(distance, _)| *distance <= near)
        .min();
    let by_start = || {
        let mut longer = table
            .param_names()
            .filter(|name| length > 2 && name.starts_with(small));
        longer.next().filter(|_| longer.next().is_none())
    };
    by_typo.map(|(_, name)| name).or_else(by_start)
}

/// Insertions, deletions, replacements and swaps of neighbours between two short words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, from) in a.chars().enumerate() {
        let mut line = vec![row + 1];
        let mut left = row + 1;
        for (column, to) in b.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&last, column) + usize::from(from != *to);
            let mut best = replaced.min(left + 1).min(at(&last, column + 1) + 1);
            let neighbour = column
                .checked_sub(1)
                .and_then(|index| b.get(index).map(|c| (index, *c)));
            if let Some((index, c)) = neighbour
                && previous == Some(*to)
                && c == from
            {
                best = best.min(at(&before_last, index) + 1);
            }
            line.push(best);
            left = best;
        }
        before_last = std::mem::replace(&mut last, line);
        previous = Some(from);
    }
    last.last().copied().unwrap_or(0)
}

/// What belongs behind a parameter of this kind.
pub(super) fn shape(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Flag => "no value",
        ValueKind::Integer => "a whole number",
        ValueKind::Decimal => "a number",
        ValueKind::Ratio => "whole numbers W:H, such as 16:9",
        ValueKind::Word => "one word",
        ValueKind::Version => "a version, such as 8.2",
        ValueKind::Niji => "a niji version, such as 7",
        ValueKind::List => "phrases parted by commas",
        ValueKind::References => "URLs, codes or random, each with an optional ::weight",
        ValueKind::Urls => "URLs parted by spaces",
        ValueKind::Codes => "profile codes parted by spaces, each with an optional ::weight",
        ValueKind::Frame => "a URL or loop",
        ValueKind::Text => "text",
    }
}

pub(super) fn range(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "anything".to_owned(),
    }
}

pub(super) fn ratio_range(most: f64) -> String {
    format!("at most {most}:1 or 1:{most}")
}

/// The same direction, as far as it goes.
pub(super) fn ratio(aspect: Aspect, most: f64) -> String {
    if aspect.width > aspect.height {
        format!("{most}:1")
    } else {
        format!("1:{most}")
    }
}

/// A value of this kind that was written a little wrong.
pub(super) fn value(kind: ValueKind, text: &str) -> Option<String> {
    let reads = |text: &str| Value::parse(kind, text).map(|value| value.to_string());
    let is_rim = |c: char| {
        matches!(
            c,
            ',' | '.' | ';' | '"' | '\'' | '`' | '%' | '+' | '<' | '>' | '(' | ')' | '=' | ':'
        )
    };
    let bare = text.trim_matches(is_rim);
    // A leading point belongs to `.5`.
    let bare = if text.starts_with('.') {
        text.trim_end_matches(is_rim)
    } else {
        bare
    };
    if let Some(better) = reads(bare) {
        return Some(better);
    }
    match kind {
        ValueKind::Integer => {
            let number = Number::parse(bare)?;
            Some(number.as_str().split('.').next().unwrap_or_default().to_owned())
        }
        ValueKind::Decimal => reads(&bare.replace(',', ".")),
        ValueKind::Ratio => {
            let sides: Vec<&str> = bare
                .split(|c: char| {
                    matches!(
                        c,
                        ':' | 'x' | 'X' | '\u{d7}' | '/' | '-' | '\u{2013}' | ' ' | '\u{2236}' | '\u{ff1a}'
                    )
                })
                .filter(|side| !side.is_empty())
                .collect();
            match sides.as_slice() {
                [width, height] => whole_ratio(width, height),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `1.85:1` in whole numbers.
fn whole_ratio(width: &str, height: &str) -> Option<String> {
    let (width, height) = (Number::parse(width)?, Number::parse(height)?);
    let places = |number: &Number| {
        number
            .as_str()
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len())
    };
    let most = places(&width).max(places(&height));
    let scaled = |number: &Number| -> Option<u32> {
        let missing = most - places(number);
        let digits = number.as_str().replace('.', "");
        (missing < 9).then(|| format!("{digits}{}", "0".repeat(missing)).parse().ok())?
    };
    let (width, height) = (scaled(&width)?, scaled(&height)?);
    let divisor = if most == 0 {
        1
    } else {
        common_divisor(width, height)
    };
    let (width, height) = (width.checked_div(divisor)?, height.checked_div(divisor)?);
    (width > 0 && height > 0).then(|| format!("{width}:{height}"))
}

fn common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The known value that is nearest by number, or else by spelling.
pub(super) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let small = text.to_lowercase();
    let typed = small.trim_start_matches(|c: char| !c.is_ascii_digit());
    if let Some(number) = Number::parse(&small).or_else(|| Number::parse(typed)) {
        let gap = |other: &str| {
            Number::parse(other).map_or(f64::INFINITY, |other| (other.to_f64() - number.to_f64()).abs())
        };
        return known.iter().copied().min_by(|a, b| gap(a).total_cmp(&gap(b)));
    }
    if text.len() > LONGEST_NAME {
        return None;
    }
    let near = known.iter().map(|name| (distance(&small, name), *name)).min();
    near.filter(|(distance, _)| *distance <= 2).map(|(_, name)| name)
}

/// Where a value ends and the words behind it start: `16:9 a red fox`. Words that are switched-on flags in
/// disguise (`true`) are no text.
pub(super) fn stray_text(kind: ValueKind, text: &str) -> Option<(usize, Span)> {
    let words = words(text);
    let kept = match kind {
        ValueKind::Flag => 0,
        ValueKind::Integer
        | ValueKind::Decimal
        | ValueKind::Ratio
        | ValueKind::Word
        | ValueKind::Version
        | ValueKind::Niji
        | ValueKind::Frame => 1,
        ValueKind::References | ValueKind::Urls | ValueKind::Codes => words
            .iter()
            .take_while(|(_, word)| Value::parse(kind, word).is_some())
            .count(),
        ValueKind::List | ValueKind::Text => return None,
    };
    let stray = words.get(kept)?;
    let head = kept.checked_sub(1).and_then(|last| words.get(last));
    let end = head.map_or(0, |(at, word)| at + word.len());
    let readable = match (kind, head) {
        (ValueKind::Flag, _) => {
            let switch = ["true", "false", "yes", "no", "on", "off", "0", "1"];
            words.len() > 1 || !switch.contains(&stray.1)
        }
        (_, None) => false,
        (ValueKind::Version | ValueKind::Niji, Some((_, word))) => Number::parse(word).is_some(),
        (_, Some((_, word))) => Value::parse(kind, word).is_some(),
    };
    // `16 : 9` is no text behind 16.
    let has_letters = words
        .iter()
        .skip(kept)
        .any(|(_, word)| word.chars().any(char::is_alphabetic));
    (readable && has_letters).then(|| (end, stray.0..text.trim_end().len()))
}

/// Words and where they start.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(is_space);
        let (word, behind) = rest.split_at(rest.find(is_space).unwrap_or(rest.len()));
        if word.is_empty() {
            return words;
        }
        words.push((text.len() - rest.len(), word));
        rest = behind;
    }
}
