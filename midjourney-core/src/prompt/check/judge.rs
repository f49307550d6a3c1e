//! Judges one variant: a flat prompt without permutations.

use super::CheckOptions;
use super::finding::Finding;
use super::mend;
use super::rules::rules;
use super::values::{Given, values};
use crate::prompt::diagnostic::Code;
use crate::prompt::expand::ExpandedPrompt;
use crate::prompt::outline::{Oddity, Outline, Part};
use crate::prompt::params::{Param, Params};
use crate::prompt::render::{Canonical, RenderPlan, collapse, render};
use crate::prompt::table::{Table, Version};
use crate::prompt::template::{Span, is_space, slice};
use crate::prompt::value::{Number, Value};

pub(super) struct Judge<'a> {
    pub(super) text: &'a str,
    pub(super) outline: &'a Outline,
    pub(super) table: &'a Table,
    pub(super) options: &'a CheckOptions,
    pub(super) permutations: u64,
    /// Parameters the table knows, once each.
    pub(super) given: Vec<Given<'a>>,
    pub(super) version: Option<&'a Version>,
    out: Vec<Finding>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        text: &'a str,
        outline: &'a Outline,
        table: &'a Table,
        options: &'a CheckOptions,
        permutations: u64,
    ) -> Self {
        let (given, out) = (Vec::new(), Vec::new());
        Self {
            text,
            outline,
            table,
            options,
            permutations,
            given,
            version: None,
            out,
        }
    }

    pub(super) fn judge(&mut self) {
        self.oddities();
        self.images();
        values(self);
        rules(self);
        self.parts();
    }

    /// What was found, the variant as a prompt of its own, and where its repeat stands.
    pub(super) fn finish(self, variant: usize) -> (Vec<Finding>, ExpandedPrompt, Option<Span>) {
        let mut params = Params::default();
        for given in &self.given {
            if let Some(value) = given.value.clone() {
                let (name, write) = (given.spec.name.clone(), given.spec.write.clone());
                params.push(Param { name, write, value });
            }
        }
        let repeats = params.repeat().unwrap_or(1);
        let repeat = self.given.iter().find(|given| given.spec.name == "repeat");
        let repeat = repeat.map(|given| given.written.span());
        params.remove("repeat");
        let Self {
            text: source,
            outline,
            table,
            ..
        } = self;
        let body = Canonical {
            source,
            outline,
            template: None,
            table,
        }
        .text();
        let images: Vec<_> = outline
            .images
            .iter()
            .map(|image| slice(source, &image.url).to_owned())
            .collect();
        let text = render(&images, &body, &params, &RenderPlan::text()).text;
        let version = self.version.map(|version| version.id.clone()).unwrap_or_default();
        let expanded = ExpandedPrompt {
            index: variant,
            variant,
            repeat: 0,
            repeats,
            text,
            body,
            images,
            params,
            version,
        };
        (self.out, expanded, repeat)
    }

    pub(super) fn find(&mut self, finding: Finding) {
        self.out.push(finding);
    }

    pub(super) fn slice(&self, span: &Span) -> &'a str {
        slice(self.text, span)
    }

    pub(super) fn has_text(&self) -> bool {
        self.outline.parts.iter().any(|part| !part.text.is_empty())
    }

    pub(super) fn given(&self, name: &str) -> Option<&Given<'a>> {
        self.given.iter().find(|given| given.spec.name == name)
    }

    /// The edit that takes a stretch out together with the space before it.
    pub(super) fn without(&self, span: &Span) -> (Span, String) {
        let before = self.text.get(..span.start).unwrap_or_default();
        let start = before.trim_end_matches(is_space).len();
        let after = self.text.get(span.end..).unwrap_or_default();
        let gap = if start == 0 {
            after.len() - after.trim_start_matches(is_space).len()
        } else {
            0
        };
        (start..span.end + gap, String::new())
    }

    fn oddities(&mut self) {
        for (oddity, span) in &self.outline.oddities {
            if let Some(finding) = self.oddity(*oddity, span.clone()) {
                self.find(finding);
            }
        }
    }

    fn oddity(&self, oddity: Oddity, span: Span) -> Option<Finding> {
        let written = self.slice(&span);
        Some(match oddity {
            Oddity::TypedDash => {
                let message = format!("`{written}` is read as `--`");
                Finding::warning(Code::TypedDash, span.clone(), message).fix(span, "--")
            }
            Oddity::SingleDash => return self.single_dash(span, written),
            Oddity::DashedWord => {
                let name = mend::name(
                    written.trim_start_matches(|c: char| !c.is_alphabetic()),
                    self.table,
                )?;
                let message = format!("`{written}` is read as text");
                Finding::warning(Code::TypedDash, span.clone(), message)
                    .allowed(format!("did you mean `--{name}`?"))
                    .fix(span, format!("--{name}"))
            }
            Oddity::LoneDashes => self.lone_dashes(span, written),
            Oddity::JoinedDashes => self.joined_dashes(span, written),
            Oddity::LateUrl => {
                let message = "image URLs stand before the text".to_owned();
                let from = self.outline.text.start;
                let text = self.slice(&(from..span.start)).trim_end();
                let moved = format!("{written} {text}");
                Finding::error(Code::ImageAfterText, span.clone(), message)
                    .allowed("image URLs, then text, then parameters")
                    .fix(from..span.end, moved)
            }
            Oddity::SpacedWeight => {
                let message = "no space belongs before `::`".to_owned();
                Finding::warning(Code::WeightSpaced, span.clone(), message).fix(span, "")
            }
            Oddity::MalformedWeight => {
                let message = "what follows `::` is no weight and is read as text".to_owned();
                let end = span.end..span.end;
                Finding::warning(Code::WeightMalformed, span, message)
                    .allowed("a number such as 2, .5 or -.5, directly after `::`")
                    .fix(end, " ")
            }
            Oddity::EmptyPart => {
                let message = "there is nothing before this `::`".to_owned();
                let (gap, nothing) = self.without(&span);
                Finding::warning(Code::PartEmpty, span, message).fix(gap, nothing)
            }
        })
    }

    /// `-ar` is a slip; `-v` is one only before a number.
    fn single_dash(&self, span: Span, written: &str) -> Option<Finding> {
        let dash = written.chars().next().map_or(0, char::len_utf8);
        let rest = self
            .text
            .get(span.end..)
            .unwrap_or_default()
            .trim_start_matches(is_space);
        if written.len() - dash < 2 && !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let message = format!("`{written}` is read as text; a parameter starts with `--`");
        let mend = span.start..span.start + dash;
        Some(Finding::warning(Code::SingleDash, span, message).fix(mend, "--"))
    }

    /// In text it may be a dash; in a value it swallows a parameter that was meant.
    fn joined_dashes(&self, span: Span, written: &str) -> Finding {
        let message = format!("`{written}` needs a space before it to be a parameter");
        let start = span.start..span.start;
        let in_text = span.end <= self.outline.text.end;
        let make = if in_text { Finding::warning } else { Finding::error };
        make(Code::JoinedDashes, span, message).fix(start, " ")
    }

    /// `-- ar 3:2` would be drawn as words; `fox -- den` is meant as words.
    fn lone_dashes(&self, span: Span, written: &str) -> Finding {
        let rest = self.text.get(span.end..).unwrap_or_default();
        let next = rest.trim_start_matches(is_space);
        let name: &str = next.split(is_space).next().unwrap_or_default();
        if written == "--" && self.table.param(name).is_some() {
            let gap = span.end..span.end + (rest.len() - next.len());
            let message = format!("a space parts `--` from `{name}`");
            Finding::error(Code::LoneDashes, span, message).fix(gap, "")
        } else {
            let message = format!("`{written}` names no parameter and is read as text");
            Finding::warning(Code::LoneDashes, span, message)
        }
    }

    fn images(&mut self) {
        for image in &self.outline.images {
            if image.span != image.url {
                let message = "image URLs are parted by spaces alone".to_owned();
                let url = self.slice(&image.url);
                let finding = Finding::warning(Code::ImageDecorated, image.span.clone(), message);
                self.find(finding.fix(image.span.clone(), url));
            }
        }
    }

    fn parts(&mut self) {
        let images = self.outline.images.len();
        if !self.has_text() {
            if images == 0 {
                let message = "the prompt has neither text nor image".to_owned();
                self.find(Finding::error(Code::Empty, 0..self.text.len(), message));
            } else if images == 1 && self.given("video").is_none() {
                let span = self
                    .outline
                    .images
                    .first()
                    .map(|image| image.span.clone())
                    .unwrap_or_default();
                let message = "one image alone is no prompt".to_owned();
                let finding = Finding::error(Code::TextMissing, span, message);
                self.find(finding.allowed("one image with text, or two images and more"));
            }
        }
        if self.outline.is_multi() {
            self.weights();
        }
    }

    fn weights(&mut self) {
        let parts = &self.outline.parts;
        let marks = || parts.iter().filter_map(|part| part.mark.clone());
        let Some((first, last)) = marks().next().zip(marks().next_back()) else {
            return;
        };
        if let Some(version) = self.version
            && !version.is_in(&self.table.multi_prompt)
        {
            let message = format!("version {} takes no multi-prompts", version.id);
            let allowed = format!("`::` on {}", self.table.multi_prompt.join(", "));
            let finding = Finding::error(Code::MultiPromptUnsupported, first.clone(), message);
            let fix = self.joined();
            self.find(finding.allowed(allowed).fix_if(fix));
        }
        let sum: f64 = parts
            .iter()
            .filter(|part| !part.text.is_empty())
            .map(|part| self.weight(part).map_or(1.0, |weight| weight.to_f64()))
            .sum();
        if sum <= 0.0 {
            let message = format!("the weights sum to {sum}");
            let finding = Finding::error(Code::WeightSum, first.start..last.end, message);
            self.find(finding.allowed("a sum above 0"));
        }
    }

    fn weight(&self, part: &Part) -> Option<Number> {
        part.weight
            .as_ref()
            .and_then(|digits| Number::parse(self.slice(digits)))
    }

    /// The text without weights: what was pushed away goes to `--no`.
    fn joined(&self) -> Option<(Span, String)> {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for part in self.outline.parts.iter().filter(|part| !part.text.is_empty()) {
            let text = collapse(self.slice(&part.text));
            let negative = self.weight(part).is_some_and(|weight| weight.to_f64() < 0.0);
            if negative {
                unwanted.push(text);
            } else {
                wanted.push(text);
            }
        }
        if wanted.is_empty() || (!unwanted.is_empty() && self.given("no").is_some()) {
            return None;
        }
        let mut text = wanted.join(", ");
        if !unwanted.is_empty() {
            text.push_str(" --no ");
            text.push_str(&unwanted.join(", "));
        }
        Some((self.outline.text.clone(), text))
    }

    /// The number a parameter was given.
    pub(super) fn number(&self, name: &str) -> Option<&Number> {
        match self.given(name)?.value.as_ref()? {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }
}
