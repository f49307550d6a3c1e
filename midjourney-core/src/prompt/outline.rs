//! Splits a text into image URLs, weighted parts and parameters, by spans.
//!
//! The same code reads a source (groups are opaque there) and a variant (which has none). One pass over
//! words, bounded look-ahead inside a word: linear.

mod shape;

use self::shape::{Dashes, image_url, is_plain, joints, weight_len};
pub(super) use self::shape::{is_dashed, is_url};
use super::table::Table;
use super::template::{Span, is_space, slice, word_end};

/// No name of a parameter is longer; longer ones need no look-up.
pub(super) const LONGEST_NAME: usize = 24;

#[derive(Debug, Clone)]
pub(super) struct Image {
    /// The word as written.
    pub(super) span: Span,
    /// Without angle brackets and stray commas.
    pub(super) url: Span,
}

/// A stretch of text between `::` separators.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) text: Span,
    /// The `::` and its weight, unless the prompt ends without one.
    pub(super) mark: Option<Span>,
    /// The weight's digits, when given.
    pub(super) weight: Option<Span>,
}

#[derive(Debug, Clone)]
pub(super) struct WrittenParam {
    pub(super) dashes: Span,
    pub(super) name: Span,
    pub(super) value: Span,
    /// A group stands in the name.
    pub(super) loose_name: bool,
    /// A group stands in the value.
    pub(super) loose_value: bool,
}

impl WrittenParam {
    pub(super) fn span(&self) -> Span {
        self.dashes.start..self.value.end.max(self.name.end)
    }
}

/// Things worth a diagnostic that only the reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oddity {
    TypedDash,
    LoneDashes,
    SingleDash,
    DashedWord,
    JoinedDashes,
    LateUrl,
    SpacedWeight,
    MalformedWeight,
    EmptyPart,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Outline {
    pub(super) images: Vec<Image>,
    /// From the first word that is no image to the last before the parameters.
    pub(super) text: Span,
    /// A group stands in the text.
    pub(super) loose_text: bool,
    pub(super) parts: Vec<Part>,
    pub(super) params: Vec<WrittenParam>,
    pub(super) oddities: Vec<(Oddity, Span)>,
    pub(super) steps: usize,
}

#[derive(Debug, Clone)]
struct Word {
    span: Span,
    loose: bool,
}

impl Outline {
    pub(super) fn read(source: &str, opaque: &[Span], table: &Table) -> Self {
        let mut reader = Reader {
            source,
            table,
            out: Self::default(),
            part_start: None,
            part_end: 0,
            url_before: false,
            place: Place::Images,
        };
        let mut words = Words {
            source,
            opaque,
            at: 0,
            steps: 0,
        };
        while let Some(word) = words.next_word() {
            reader.word(&word);
        }
        reader.out.steps += words.steps;
        reader.finish()
    }

    /// Whether the text has weighted parts.
    pub(super) fn is_multi(&self) -> bool {
        self.parts.iter().any(|part| part.mark.is_some())
    }
}

struct Words<'a> {
    source: &'a str,
    opaque: &'a [Span],
    at: usize,
    steps: usize,
}

impl Words<'_> {
    fn next_word(&mut self) -> Option<Word> {
        let rest = self.source.get(self.at..)?;
        let trimmed = rest.trim_start_matches(is_space);
        self.steps += rest.len() - trimmed.len();
        let start = self.at + (rest.len() - trimmed.len());
        if trimmed.is_empty() {
            return None;
        }
        let mut end = start;
        let mut loose = false;
        loop {
            let group = self.opaque.first();
            let stop = group.map_or(self.source.len(), |group| group.start);
            let stretch = self.source.get(end..stop).unwrap_or_default();
            let word = word_end(stretch);
            self.steps += word + 1;
            end += word;
            match group {
                Some(group) if word == stretch.len() => {
                    end = group.end;
                    loose = true;
                    self.opaque = self.opaque.get(1..).unwrap_or_default();
                }
                _ => break,
            }
        }
        self.at = end;
        Some(Word {
            span: start..end,
            loose,
        })
    }
}

/// How far into the prompt the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Images,
    Text,
    Params,
}

struct Reader<'a> {
    source: &'a str,
    table: &'a Table,
    out: Outline,
    part_start: Option<usize>,
    part_end: usize,
    url_before: bool,
    place: Place,
}

impl Reader<'_> {
    fn word(&mut self, word: &Word) {
        let text = slice(self.source, &word.span);
        if !word.loose && is_plain(text) {
            return self.plain(word);
        }
        let dashes = Dashes::read(text);
        self.out.steps += dashes.len;
        if self.starts_param(word, text, &dashes) {
            return self.param(word, &dashes);
        }
        if self.place == Place::Params {
            return self.value(word, text);
        }
        if self.place == Place::Images {
            if !word.loose
                && let Some(url) = image_url(text)
            {
                let url = word.span.start + url.start..word.span.start + url.end;
                self.out.steps += text.len();
                return self.out.images.push(Image {
                    span: word.span.clone(),
                    url,
                });
            }
            self.place = Place::Text;
            self.out.text = word.span.clone();
        }
        self.text(word, text, &dashes);
    }

    /// A word that can be nothing but itself.
    fn plain(&mut self, word: &Word) {
        self.out.steps += word.span.len();
        if self.place == Place::Params {
            return self.extend_value(word);
        }
        if self.place == Place::Images {
            self.place = Place::Text;
            self.out.text = word.span.clone();
        }
        self.out.text.end = word.span.end;
        self.grow(word.span.start, word.span.end);
        self.url_before = false;
    }

    /// `--` starts a parameter; a dash that a phone typed does so where it can mean nothing else.
    fn starts_param(&mut self, word: &Word, text: &str, dashes: &Dashes) -> bool {
        let rest = text.get(dashes.len..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            return false;
        };
        let loose_here = word.loose && first == '{';
        if dashes.exact {
            return first.is_alphanumeric() || loose_here;
        }
        if !dashes.double || word.loose {
            return false;
        }
        let known = rest.len() <= LONGEST_NAME && self.table.param(rest).is_some();
        known || (self.place == Place::Params && first.is_alphabetic())
    }

    fn param(&mut self, word: &Word, dashes: &Dashes) {
        self.place = Place::Params;
        let name = word.span.start + dashes.len..word.span.end;
        let run = word.span.start..name.start;
        if !dashes.exact {
            self.out.oddities.push((Oddity::TypedDash, run.clone()));
        }
        let value = name.end..name.end;
        self.out.params.push(WrittenParam {
            dashes: run,
            name,
            value,
            loose_name: word.loose,
            loose_value: false,
        });
    }

    fn value(&mut self, word: &Word, text: &str) {
        self.joined(word, text);
        self.extend_value(word);
    }

    fn extend_value(&mut self, word: &Word) {
        if let Some(param) = self.out.params.last_mut() {
            if param.value.is_empty() {
                param.value = word.span.clone();
            }
            param.value.end = word.span.end;
            param.loose_value |= word.loose;
        }
    }

    fn text(&mut self, word: &Word, text: &str, dashes: &Dashes) {
        self.out.text.end = word.span.end;
        self.out.loose_text |= word.loose;
        let url = !word.loose && image_url(text).is_some();
        if url {
            self.out.oddities.push((Oddity::LateUrl, word.span.clone()));
            self.grow(word.span.start, word.span.end);
        } else {
            if dashes.exact {
                self.out.oddities.push((Oddity::LoneDashes, word.span.clone()));
            } else if dashes.len > 0 {
                self.dashed(word, text.get(dashes.len..).unwrap_or_default(), dashes);
            }
            self.joined(word, text);
            if word.loose {
                self.grow(word.span.start, word.span.end);
            } else {
                self.weights(&word.span, text);
            }
        }
        self.url_before = url;
    }

    /// A dash before a word of the text may be a parameter that went wrong.
    fn dashed(&mut self, word: &Word, name: &str, dashes: &Dashes) {
        if word.loose || name.len() > 2 * LONGEST_NAME || !name.starts_with(char::is_alphabetic) {
            return;
        }
        if dashes.double {
            self.out.oddities.push((Oddity::DashedWord, word.span.clone()));
        } else if self.table.param(name).is_some() {
            self.out.oddities.push((Oddity::SingleDash, word.span.clone()));
        }
    }

    /// `fox--ar`: dashes that miss the space before them.
    fn joined(&mut self, word: &Word, text: &str) {
        self.out.steps += text.len();
        // Most words have no dash: making the searches would cost more than this look.
        let dashed = text.bytes().any(|byte| byte == b'-' || !byte.is_ascii());
        if word.loose || !dashed || image_url(text).is_some() {
            return;
        }
        for (at, dash) in joints(text) {
            let name = text.get(at + dash.len()..).unwrap_or_default();
            let len = name
                .bytes()
                .take(LONGEST_NAME)
                .take_while(u8::is_ascii_alphabetic)
                .count();
            self.out.steps += len;
            if at > 0 && self.table.param(name.get(..len).unwrap_or_default()).is_some() {
                let start = word.span.start + at;
                self.out
                    .oddities
                    .push((Oddity::JoinedDashes, start..start + dash.len() + len));
            }
        }
    }

    fn grow(&mut self, start: usize, end: usize) {
        if start < end {
            self.part_start.get_or_insert(start);
            self.part_end = end;
        }
    }

    /// Splits one word at its `::` marks.
    fn weights(&mut self, span: &Span, text: &str) {
        let mut from = 0;
        self.out.steps += text.len();
        let colon = text.bytes().any(|byte| byte == b':');
        while colon && let Some(found) = text.get(from..).and_then(|rest| rest.find("::")) {
            let mark = from + found;
            self.grow(span.start + from, span.start + mark);
            let before = self.source.get(..self.part_end).unwrap_or_default();
            let spaced = mark == 0 && self.part_start.is_some() && !self.url_before && !before.ends_with(':');
            let after = text.get(mark + 2..).unwrap_or_default();
            let weight = weight_len(after);
            self.out.steps += weight.unwrap_or(1);
            let end = mark + 2 + weight.unwrap_or(0);
            let marked = span.start + mark..span.start + end;
            if weight.is_none()
                && after.starts_with(['-', '.', '+', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            {
                self.out.oddities.push((Oddity::MalformedWeight, marked.clone()));
            }
            if spaced {
                self.out
                    .oddities
                    .push((Oddity::SpacedWeight, self.part_end..marked.start));
            }
            let digits = weight.map(|_| marked.start + 2..marked.end);
            self.end_part(&marked, digits);
            from = end;
        }
        self.grow(span.start + from, span.end);
    }

    fn end_part(&mut self, mark: &Span, weight: Option<Span>) {
        let text = if let Some(start) = self.part_start.take() {
            start..self.part_end
        } else {
            self.out.oddities.push((Oddity::EmptyPart, mark.clone()));
            mark.start..mark.start
        };
        self.out.parts.push(Part {
            text,
            mark: Some(mark.clone()),
            weight,
        });
    }

    fn finish(mut self) -> Outline {
        if let Some(start) = self.part_start.take() {
            self.out.parts.push(Part {
                text: start..self.part_end,
                mark: None,
                weight: None,
            });
        }
        self.out
    }
}
