//! A prompt as it was written.

use std::ops::Range;

use super::outline::Outline;
use super::render::Canonical;
use super::table::Table;
use super::template::{Template, Variant, slice};

/// A prompt, read but not judged. Every text is one; reading never fails and takes time in proportion to
/// the length.
#[derive(Debug, Clone)]
pub struct Prompt {
    source: String,
    template: Template,
    outline: Outline,
}

/// A parameter as it stands in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParamText<'a> {
    /// The name without dashes.
    pub name: &'a str,
    /// The value up to the next parameter; empty for flags.
    pub value: &'a str,
    /// Where it stands, dashes included.
    pub span: Range<usize>,
}

impl Prompt {
    /// Reads a prompt. [`Table::builtin`] decides which long dashes start a parameter.
    pub fn parse(source: &str) -> Self {
        Self::parse_with(source, Table::builtin())
    }

    /// Reads a prompt with another table.
    pub fn parse_with(source: &str, table: &Table) -> Self {
        let template = Template::parse(source);
        let outline = Outline::read(source, template.outer(), table);
        Self {
            source: source.to_owned(),
            template,
            outline,
        }
    }

    /// The input, byte for byte.
    pub fn as_written(&self) -> &str {
        &self.source
    }

    /// The same prompt in the one writing that stands for all its writings: image URLs, text, parameters in
    /// the order they were written; single spaces; `--` for typed dashes; one name for each parameter;
    /// numbers without idle zeros. Reading it gives the same prompt, and writing that gives the same text.
    ///
    /// Inside permutation groups only space changes, since what a choice means depends on its surroundings;
    /// the variants of a prompt are canonical throughout.
    pub fn canonical(&self, table: &Table) -> String {
        self.writer(table).write()
    }

    /// The same where the canonical text between images and parameters is known already.
    pub(super) fn canonical_around(&self, text: &str, table: &Table) -> String {
        self.writer(table).write_around(text)
    }

    fn writer<'a>(&'a self, table: &'a Table) -> Canonical<'a> {
        Canonical {
            source: &self.source,
            outline: &self.outline,
            template: Some(&self.template),
            table,
        }
    }

    /// How many variants the permutation groups make, saturating; counted without making any.
    pub fn permutations(&self) -> u64 {
        self.template.count()
    }

    /// Image URLs outside groups.
    pub fn image_urls(&self) -> impl Iterator<Item = &str> {
        self.outline
            .images
            .iter()
            .map(|image| slice(&self.source, &image.url))
    }

    /// Everything between images and parameters, as written.
    pub fn text(&self) -> &str {
        slice(&self.source, &self.outline.text)
    }

    /// Parameters outside groups.
    pub fn params(&self) -> impl Iterator<Item = ParamText<'_>> {
        self.outline.params.iter().map(|param| ParamText {
            name: slice(&self.source, &param.name),
            value: slice(&self.source, &param.value),
            span: param.span(),
        })
    }

    /// How many bytes were looked at while reading: a measure of work that is the same on every machine,
    /// so that tests and fuzzers can hold reading to linear time.
    pub fn steps(&self) -> usize {
        self.template.steps() + self.outline.steps
    }

    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    pub(super) fn outline(&self) -> &Outline {
        &self.outline
    }

    pub(super) fn variant(&self, number: u64) -> Variant {
        if self.template.groups().is_empty() {
            Variant::whole(&self.source)
        } else {
            self.template.variant(&self.source, number)
        }
    }
}
