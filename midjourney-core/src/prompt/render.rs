//! Writes prompts again: canonical, or as an upstream wants them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::outline::{Outline, Part, WrittenParam, is_url};
use super::params::{Param, Params};
use super::table::Table;
use super::template::{Mark, Span, Template, is_space, slice};
use super::value::{Number, canonical};

/// Where a rendered piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(
    clippy::exhaustive_enums,
    reason = "in, beside, out: there is no fourth place"
)]
pub enum Place {
    /// Into the text, as Midjourney reads it.
    #[default]
    Text,
    /// Beside the text, as a typed field.
    Field,
    /// Nowhere: the upstream knows it otherwise, or must not see it.
    Omit,
}

/// How one upstream wants its prompts.
///
/// ```
/// use midjourney_core::prompt::{CheckOptions, Place, RenderPlan, Table, check};
///
/// let report = check("a red fox --ar 3:2 --v 7 --fast", Table::builtin(), &CheckOptions::default());
/// let prompt = report.into_valid().unwrap().expand(10).unwrap().remove(0);
/// let plan = RenderPlan::text().with("version", Place::Field).with("fast", Place::Omit);
/// let rendered = prompt.render(&plan);
/// assert_eq!(rendered.text, "a red fox --ar 3:2");
/// assert_eq!(rendered.fields["version"], "7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderPlan {
    params: Place,
    images: Place,
    exceptions: BTreeMap<Cow<'static, str>, Place>,
}

impl RenderPlan {
    /// Everything in the text.
    pub fn text() -> Self {
        Self::default()
    }

    /// Text without parameters.
    pub fn stripped() -> Self {
        Self {
            params: Place::Omit,
            ..Self::default()
        }
    }

    /// Parameters as fields.
    pub fn fields() -> Self {
        Self {
            params: Place::Field,
            ..Self::default()
        }
    }

    /// Another place for one parameter, by full name.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, place: Place) -> Self {
        self.exceptions.insert(name.into(), place);
        self
    }

    /// Another place for image URLs: [`Place::Field`] hands them over as a list of their own.
    #[must_use]
    pub fn images(mut self, place: Place) -> Self {
        self.images = place;
        self
    }

    fn place(&self, name: &str) -> Place {
        self.exceptions.get(name).copied().unwrap_or(self.params)
    }
}

/// A prompt as one upstream gets it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Rendered {
    /// The prompt text.
    pub text: String,
    /// Image URLs that were moved out of the text.
    pub images: Vec<String>,
    /// Parameters that were moved out of the text, by full name: numbers as JSON numbers, flags as `true`,
    /// ratios as `"3:2"`.
    pub fields: Map<String, Json>,
}

/// What parameters take up at most, mostly.
const ROOM: usize = 64;

pub(super) fn render(images: &[String], text: &str, params: &Params, plan: &RenderPlan) -> Rendered {
    let mut out = Rendered::default();
    let mut words = Words(String::with_capacity(text.len() + ROOM));
    match plan.images {
        Place::Text => images.iter().for_each(|url| words.push(url)),
        Place::Field => out.images.extend(images.iter().cloned()),
        Place::Omit => {}
    }
    words.push(text);
    for param in params {
        match plan.place(&param.name) {
            // Text takes all that is written to it.
            Place::Text => write!(words.next(), "{param}").unwrap_or_default(),
            Place::Field => {
                out.fields.insert(param.name.clone(), param.value.to_json());
            }
            Place::Omit => {}
        }
    }
    out.text = words.0;
    out
}

/// A text in the making, with one space between its words.
#[derive(Default)]
struct Words(String);

impl Words {
    /// Adds a word, or several; nothing where there is none.
    fn push(&mut self, word: &str) {
        if !word.is_empty() {
            self.next().push_str(word);
        }
    }

    /// Where the next word is to be written.
    fn next(&mut self) -> &mut String {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        &mut self.0
    }
}

/// Collapses space, and drops what is none but not seen either.
pub(super) fn collapse(text: &str) -> Cow<'_, str> {
    if is_collapsed(text) {
        return text.into();
    }
    let mut words = Words(String::with_capacity(text.len()));
    text.split(is_space).for_each(|word| words.push(word));
    words.0.into()
}

/// Whether a text is visible ASCII with one space between its words, as most are.
fn is_collapsed(text: &str) -> bool {
    // As if a space stood before the text, and after it.
    let mut spaced = true;
    for byte in text.bytes() {
        if !matches!(byte, b' '..=b'~') || (spaced && byte == b' ') {
            return false;
        }
        spaced = byte == b' ';
    }
    !spaced || text.is_empty()
}

/// Writes an outline canonically. With a template, what groups touch keeps its wording and only loses
/// idle space: what it means depends on the choice.
pub(super) struct Canonical<'a> {
    pub(super) source: &'a str,
    pub(super) outline: &'a Outline,
    pub(super) template: Option<&'a Template>,
    pub(super) table: &'a Table,
}

impl Canonical<'_> {
    pub(super) fn write(&self) -> String {
        self.write_around(&self.text())
    }

    /// The same where its [`text`](Self::text) is known already.
    pub(super) fn write_around(&self, text: &str) -> String {
        let mut words = Words(String::with_capacity(self.source.len()));
        for image in &self.outline.images {
            words.push(self.plain(&image.url));
        }
        words.push(text);
        for param in &self.outline.params {
            self.param(param, words.next());
        }
        words.0
    }

    fn plain(&self, span: &Span) -> &str {
        slice(self.source, span)
    }

    pub(super) fn text(&self) -> String {
        if self.outline.loose_text {
            return self.loose(&self.outline.text);
        }
        let mut out = String::with_capacity(self.outline.text.len());
        for part in &self.outline.parts {
            self.part(part, &mut out);
        }
        out.truncate(out.trim_end().len());
        out
    }

    fn part(&self, part: &Part, out: &mut String) {
        let text = collapse(self.plain(&part.text));
        out.push_str(&text);
        let Some(mark) = &part.mark else { return };
        // Written against these, `::` would become part of them.
        if text.ends_with(':') || text.rsplit(' ').next().is_some_and(touches_url) {
            out.push(' ');
        }
        out.push_str("::");
        let rest = self.source.get(mark.end..).unwrap_or_default();
        let next = rest.chars().next();
        let apart = next.is_none_or(is_space);
        let weight = part
            .weight
            .as_ref()
            .and_then(|digits| Number::parse(self.plain(digits)));
        match weight.filter(|weight| !apart || weight.as_str() != "1") {
            Some(weight) => out.push_str(weight.as_str()),
            // A letter is safe behind a space; a dash or a URL would mean more there than here.
            None if next.is_some_and(char::is_alphabetic) && !is_url(rest) => out.push(' '),
            None => {}
        }
        if apart {
            out.push(' ');
        }
    }

    fn param(&self, param: &WrittenParam, out: &mut String) {
        let name = self.plain(&param.name);
        let spec = if param.loose_name {
            None
        } else {
            self.table.param(name)
        };
        if let Some(spec) = spec {
            out.push_str("--");
            out.push_str(&spec.write);
        } else {
            out.push_str(self.plain(&param.dashes));
            out.push_str(&self.loose(&param.name));
        }
        let value = match spec {
            Some(spec) if !param.loose_value => {
                let text = collapse(self.plain(&param.value));
                canonical(spec.value, &text).map_or(text, Cow::Owned)
            }
            _ => self.loose(&param.value).into(),
        };
        if !value.is_empty() {
            out.push(' ');
            out.push_str(&value);
        }
    }

    /// One stretch of template: space collapsed, `{a, b}` with one space after each comma.
    fn loose(&self, span: &Span) -> String {
        let marks = self.template.map_or(&[][..], |template| template.marks_in(span));
        let mut out = Spaced::default();
        let mut at = span.start;
        for (place, mark) in marks {
            out.text(self.plain(&(at..*place)));
            out.mark(*mark);
            at = place + 1;
        }
        out.text(self.plain(&(at..span.end)));
        out.out
    }
}

/// Whether `::` behind this word would be read as part of a URL.
fn touches_url(word: &str) -> bool {
    is_url(word) || word.strip_prefix('<').is_some_and(is_url)
}

#[derive(Default)]
struct Spaced {
    out: String,
    pending: bool,
    fresh: bool,
}

impl Spaced {
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            if is_space(c) {
                self.pending = true;
            } else {
                self.settle();
                self.out.push(c);
            }
        }
    }

    fn settle(&mut self) {
        if self.pending && !self.fresh && !self.out.is_empty() {
            self.out.push(' ');
        }
        self.pending = false;
        self.fresh = false;
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::Open => {
                self.settle();
                self.out.push('{');
                self.fresh = true;
                return;
            }
            Mark::Comma => self.end_item(','),
            Mark::Close => self.end_item('}'),
        }
        self.pending = mark == Mark::Comma;
    }

    fn end_item(&mut self, c: char) {
        // A space kept a backslash from escaping this mark; it has to go on doing so.
        if self.out.ends_with('\\') {
            self.out.push(' ');
        }
        self.pending = false;
        self.fresh = false;
        self.out.push(c);
    }
}

/// Parameters by full name, for fields.
impl From<&Params> for Map<String, Json> {
    fn from(params: &Params) -> Self {
        params
            .iter()
            .map(|Param { name, value, .. }| (name.clone(), value.to_json()))
            .collect()
    }
}
