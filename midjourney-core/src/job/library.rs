//! Finding pictures again.
//!
//! The pictures of a completed job are filed under [`Term`]s: the words of its prompt, its parameters, its day, what it
//! started from, the marks on its pictures. An [`ImageSearch`] names terms, and that is all that a store has to understand:
//! what a word is and what a parameter is called is decided here, alike for all stores.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use super::{Action, Job, Owner};
use crate::{
    clock::{Day, Timestamp},
    id::JobId,
    image::{Image, ImageKind, Tag},
    page::Cursor,
    prompt::{Prompt, Table},
};

/// The longest term, in bytes; longer ones are cut.
const MAX_TERM: usize = 120;

/// The most words of a search that count.
const MAX_WORDS: usize = 32;

/// Something that pictures are filed under. Holds letters and digits of all scripts, `:`, `=`, `.`, `-` and `_` only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(String);

impl Term {
    fn word(word: &str) -> Self {
        Self::escaped(String::new(), word)
    }

    /// Words have no colon, so that no prompt can pass for one of these.
    fn of(kind: &str, value: &str) -> Self {
        Self::escaped(format!("{kind}:"), value)
    }

    fn escaped(mut term: String, value: &str) -> Self {
        for c in value.chars().flat_map(char::to_lowercase) {
            if term.len() >= MAX_TERM {
                break;
            }
            if c.is_alphanumeric() || matches!(c, ':' | '=' | '.' | '-') {
                term.push(c);
            } else {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    // Writing into a string cannot fail.
                    write!(term, "_{byte:02x}").unwrap_or_default();
                }
            }
        }
        Self(term)
    }

    /// The term as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A term that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store must understand each of them")]
pub enum Sought {
    /// The very term.
    Is(Term),
    /// Any term that begins so.
    Begins(Term),
}

impl Sought {
    /// Whether something that is filed under `terms` is found.
    pub fn is_in(&self, terms: &BTreeSet<Term>) -> bool {
        match self {
            Self::Is(term) => terms.contains(term),
            Self::Begins(start) => terms
                .range(start..)
                .next()
                .is_some_and(|term| term.0.starts_with(&start.0)),
        }
    }
}

/// What the pictures of `job` are filed under, `images` being those that have marks.
pub fn terms(job: &Job, images: &[Image]) -> BTreeSet<Term> {
    let prompt = Prompt::parse(&job.request.prompt);
    let mut terms: BTreeSet<Term> = words(prompt.text()).map(|word| Term::word(&word)).collect();
    for param in prompt.params() {
        terms.insert(parameter(param.name, ""));
        terms.insert(parameter(param.name, param.value));
        terms.extend(
            param
                .value
                .split_whitespace()
                .map(|item| parameter(param.name, item)),
        );
    }
    let day = Day::of(job.life.created);
    terms.extend([
        filed(),
        owner(&job.owner),
        action(job.request.action),
        Term::of("day", &day.to_string()),
        month(day),
        year(day),
    ]);
    terms.extend(job.request.parent.map(|from| parent(from.job)));
    for image in images {
        terms.extend(image.marks.pinned.then(pinned));
        terms.extend(image.marks.tags.iter().map(tag));
    }
    terms
}

/// Something that every picture is filed under.
fn filed() -> Term {
    Term::of("is", "filed")
}

fn pinned() -> Term {
    Term::of("is", "pinned")
}

fn tag(tag: &Tag) -> Term {
    Term::of("tag", tag.as_str())
}

fn owner(owner: &Owner) -> Term {
    Term::of("owner", owner.as_str())
}

fn action(action: Action) -> Term {
    Term::of("action", action.name())
}

fn parent(job: JobId) -> Term {
    Term::of("parent", &job.to_string())
}

fn parameter(name: &str, value: &str) -> Term {
    if value.is_empty() {
        Term::of("parameter", name)
    } else {
        Term::of("parameter", &format!("{name}={value}"))
    }
}

fn year(day: Day) -> Term {
    let (year, _, _) = day.start().utc_date();
    Term::of("year", &format!("{year:04}"))
}

fn month(day: Day) -> Term {
    let (year, month, _) = day.start().utc_date();
    Term::of("month", &format!("{year:04}-{month:02}"))
}

/// The words of a text: runs of letters and digits. Scripts that put no spaces between words are taken sign by sign.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        let alone = is_ideograph(c);
        if (alone || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if alone {
            words.push(c.to_string());
        } else if c.is_alphanumeric() {
            word.push(c);
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words.into_iter()
}

/// Chinese signs, and Japanese syllables.
const fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// A question for pictures of completed jobs. Everything that is said must hold. The pictures of the job that was accepted
/// last come first; those of one job with the grid first, then by index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageSearch {
    /// Only this owner's.
    pub owner: Option<Owner>,
    /// Words of the prompt, all of them, each as a word or its beginning. The first 32 count.
    pub text: String,
    /// Parameters of the prompt, written as in one: `--ar 3:2 --raw`. One without a value matches any.
    pub parameters: String,
    /// What made them.
    pub action: Option<Action>,
    /// Only those whose job started from a picture of this one.
    pub parent: Option<JobId>,
    /// Accepted on this day (UTC) or later.
    pub from: Option<Day>,
    /// Accepted on this day (UTC) or before.
    pub to: Option<Day>,
    /// Only those that are pinned.
    pub pinned: bool,
    /// Only those with this tag.
    pub tag: Option<Tag>,
    /// Where to go on.
    pub after: Option<Cursor>,
    /// At most this many, clamped to 1..=[`Page::<Image>::MAX`](crate::page::Page::MAX).
    pub limit: usize,
}

impl ImageSearch {
    /// The newest `limit` pictures.
    pub fn newest(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// What the pictures' job must be filed under: of each list one at least. There is one list at least, and none is empty.
    pub fn sought(&self) -> Vec<Vec<Sought>> {
        let is = |term| vec![Sought::Is(term)];
        let mut all = vec![is(filed())];
        all.extend(self.owner.as_ref().map(|of| is(owner(of))));
        for word in words(&self.text).take(MAX_WORDS) {
            let term = Term::word(&word);
            let alone = word.chars().all(is_ideograph);
            all.push(vec![if alone {
                Sought::Is(term)
            } else {
                Sought::Begins(term)
            }]);
        }
        for param in self.parameters().params() {
            all.push(is(parameter(param.name, param.value)));
        }
        all.extend(self.action.map(|by| is(action(by))));
        all.extend(self.parent.map(|from| is(parent(from))));
        if self.from.is_some() || self.to.is_some() {
            all.push(days(self.from, self.to).into_iter().map(Sought::Is).collect());
        }
        all.extend(self.pinned.then(|| is(pinned())));
        all.extend(self.tag.as_ref().map(|one| is(tag(one))));
        all
    }

    /// The parameters behind a word, with the one name and the one writing for each that jobs have.
    fn parameters(&self) -> Prompt {
        let written = Prompt::parse(&format!("x {}", self.parameters));
        Prompt::parse(&written.canonical(Table::builtin()))
    }

    /// Whether nothing else stands among the parameters.
    pub(crate) fn has_parameters_only(&self) -> bool {
        let parameters = self.parameters();
        parameters.text() == "x"
            && (parameters.params().next().is_some() || self.parameters.trim().is_empty())
    }

    /// Whether a picture is meant whose job is filed under what is [`sought`](ImageSearch::sought).
    pub fn takes(&self, image: &Image) -> bool {
        self.owner.as_ref().is_none_or(|owner| *owner == image.owner)
            && (!self.pinned || image.marks.pinned)
            && self.tag.as_ref().is_none_or(|tag| image.marks.tags.contains(tag))
    }
}

/// The days from one to another as years, months and days, as few as there can be; one that is never where the first comes
/// after the last.
fn days(from: Option<Day>, to: Option<Day>) -> Vec<Term> {
    let bound = |millis| Day::of(Timestamp::from_millis(millis));
    // From 1970 to 2199.
    let (earliest, latest) = (bound(0), bound(7_258_118_399_999));
    let mut day = from.unwrap_or(earliest).clamp(earliest, latest);
    let last = to.unwrap_or(latest).clamp(earliest, latest);
    let mut terms = Vec::new();
    while day <= last {
        let month_end = day.month().end;
        let (_, month_number, number) = day.start().utc_date();
        let year_end = (month_number..12).fold(month_end, |end, _| end.month().end);
        if number == 1 && month_number == 1 && year_end <= last.next() {
            terms.push(year(day));
            day = year_end;
        } else if number == 1 && month_end <= last.next() {
            terms.push(month(day));
            day = month_end;
        } else {
            terms.push(Term::of("day", &day.to_string()));
            day = day.next();
        }
    }
    if terms.is_empty() {
        terms.push(Term::of("day", "never"));
    }
    terms
}

/// The place of a picture in what a search finds: the position of its job's first event, and its own place in the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shelf {
    /// The position of its job's first event; later ones come first.
    pub job: u64,
    /// Its own place among its job's; the grid comes first.
    pub image: u64,
}

impl Shelf {
    /// The place of `image`, whose job's first event is at `job`.
    pub fn of(job: u64, image: &Image) -> Self {
        let grid = image.kind == ImageKind::Grid;
        Self {
            job,
            image: u64::from(image.index) + u64::from(!grid),
        }
    }

    /// The cursor that goes on behind it.
    pub fn cursor(self) -> Cursor {
        Cursor::after(((u128::from(self.job) << 64) | u128::from(self.image)).to_be_bytes())
    }

    /// The place that `cursor` goes on behind.
    pub fn behind(cursor: Cursor) -> Self {
        let [job, image] = halves(cursor.key());
        Self { job, image }
    }

    /// Whether what is here comes after `other` in a list.
    pub const fn comes_after(self, other: Self) -> bool {
        self.job < other.job || (self.job == other.job && self.image > other.image)
    }
}

fn halves(key: [u8; 16]) -> [u64; 2] {
    let whole = u128::from_be_bytes(key);
    let low = whole & u128::from(u64::MAX);
    [whole >> 64, low].map(|half| u64::try_from(half).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
