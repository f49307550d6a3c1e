//! Judges a prompt: everything that is wrong with it, at once, before anything is spent.

mod finding;
mod judge;
mod mend;
mod rules;
mod values;

use serde::{Serialize, Serializer};

use self::finding::{Finding, Sink};
use self::judge::Judge;
use super::diagnostic::{Code, Diagnostics};
use super::expand::{ExpandedPrompt, ValidPrompt};
use super::outline::Outline;
use super::parse::Prompt;
use super::table::{Plan, Table};
use super::template::{is_space, slice};

/// What the judgement depends on beside prompt and table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CheckOptions {
    /// The plan of the account that will pay; without one, plans are not looked at.
    pub plan: Option<Plan>,
    /// The version of prompts that name none, by its id in the table; else the table's.
    pub default_version: Option<String>,
    /// A tighter bound on characters than the table's, such as an upstream's.
    pub characters: Option<usize>,
    /// A tighter bound on jobs than the table's.
    pub jobs: Option<u64>,
}

impl CheckOptions {
    /// For an account with this plan.
    #[must_use]
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// With this version for prompts that name none.
    #[must_use]
    pub fn default_version(mut self, id: impl Into<String>) -> Self {
        self.default_version = Some(id.into());
        self
    }

    /// With at most this many characters.
    #[must_use]
    pub fn characters(mut self, most: usize) -> Self {
        self.characters = Some(most);
        self
    }

    /// With at most this many jobs.
    #[must_use]
    pub fn jobs(mut self, most: u64) -> Self {
        self.jobs = Some(most);
        self
    }
}

/// A prompt and everything there is to say about it.
#[derive(Debug, Clone)]
pub struct Report {
    prompt: Prompt,
    canonical: String,
    diagnostics: Diagnostics,
    permutations: u64,
    jobs: u64,
    variants: Vec<ExpandedPrompt>,
}

impl Report {
    /// The prompt.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// Its canonical writing: see [`Prompt::canonical`].
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// What was found.
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// How many variants its groups make, saturating.
    pub fn permutations(&self) -> u64 {
        self.permutations
    }

    /// How many jobs it makes: variants times repeats, saturating. When there are too many variants to look
    /// into, their repeats are not counted.
    pub fn jobs(&self) -> u64 {
        self.jobs
    }

    /// Whether it has no error.
    pub fn is_valid(&self) -> bool {
        self.diagnostics.errors().is_empty()
    }

    /// The prompts of its jobs, one for each, without taking the report apart; none when it has an error. The repeats of
    /// a variant are the same prompt.
    pub fn expanded(&self) -> impl Iterator<Item = &ExpandedPrompt> {
        let variants = if self.is_valid() {
            self.variants.as_slice()
        } else {
            &[]
        };
        variants
            .iter()
            .flat_map(|variant| (0..variant.repeats).map(move |_| variant))
    }

    /// The prompt as one that may be paid for.
    ///
    /// # Errors
    /// The findings, when one of them is an error.
    pub fn into_valid(self) -> Result<ValidPrompt, Diagnostics> {
        if !self.is_valid() {
            return Err(self.diagnostics);
        }
        let Self {
            prompt,
            canonical,
            diagnostics,
            variants,
            jobs,
            ..
        } = self;
        Ok(ValidPrompt {
            prompt,
            canonical,
            diagnostics,
            variants,
            jobs,
        })
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            prompt: &'a str,
            canonical: &'a str,
            valid: bool,
            permutations: u64,
            jobs: u64,
            #[serde(flatten)]
            diagnostics: &'a Diagnostics,
            #[serde(skip_serializing_if = "Option::is_none")]
            corrected: Option<String>,
            expanded: &'a [ExpandedPrompt],
        }
        Wire {
            prompt: self.prompt.as_written(),
            canonical: &self.canonical,
            valid: self.is_valid(),
            permutations: self.permutations,
            jobs: self.jobs,
            diagnostics: &self.diagnostics,
            corrected: self.diagnostics.corrected(),
            expanded: if self.is_valid() { &self.variants } else { &[] },
        }
        .serialize(serializer)
    }
}

/// Reads a prompt and judges it.
///
/// Every variant of its permutation groups is judged, up to the bound on jobs, so that an error that only
/// one choice makes is found too and shown at that choice. Findings are bounded in number; a prompt that is
/// too long is refused for that alone.
pub fn check(source: &str, table: &Table, options: &CheckOptions) -> Report {
    let prompt = Prompt::parse_with(source, table);
    let mut sink = Sink::new(source);
    let short_enough = length(&prompt, table, options, &mut sink);
    if short_enough {
        command(source, &mut sink);
        control_characters(source, &mut sink);
        groups(&prompt, &mut sink);
    }

    let permutations = prompt.permutations();
    let most = options.jobs.map_or(table.jobs, |jobs| jobs.min(table.jobs));
    plan_limit(&prompt, table, options, &mut sink);
    let looked_at = if short_enough {
        permutations.min(most.max(1))
    } else {
        1
    };
    let mut jobs: u64 = 0;
    let mut variants = Vec::new();
    let mut repeat_span = None;
    for number in 0..looked_at {
        if sink.is_full() {
            jobs = jobs.max(permutations);
            break;
        }
        let variant = prompt.variant(number);
        // Without groups the one variant is the prompt itself, which is read already.
        let read_anew;
        let outline = if prompt.template().groups().is_empty() {
            prompt.outline()
        } else {
            read_anew = Outline::read(&variant.text, &[], table);
            &read_anew
        };
        let mut judge = Judge::new(&variant.text, outline, table, options, permutations);
        judge.judge();
        let (findings, expanded, repeat) = judge.finish(variants.len());
        for finding in findings {
            sink.add_from(finding, &variant, prompt.template().outer());
        }
        jobs = jobs.saturating_add(u64::from(expanded.repeats));
        if expanded.repeats > 1 && repeat_span.is_none() {
            repeat_span = repeat.map(|span| variant.to_source(&span).0);
        }
        if !sink.has_errors() {
            variants.push(expanded);
        }
    }
    if looked_at < permutations {
        jobs = jobs.max(permutations);
    }
    if jobs > most {
        let outer = prompt.template().outer();
        let whole = outer
            .first()
            .zip(outer.last())
            .map(|(first, last)| first.start..last.end);
        let span = if permutations > most {
            whole.clone()
        } else {
            repeat_span.or(whole.clone())
        };
        let message = format!("this prompt makes {jobs} jobs");
        let finding = Finding::error(Code::TooManyJobs, span.unwrap_or(0..source.len()), message);
        sink.add(finding.allowed(format!("at most {most} jobs")));
    }
    let canonical = match variants.as_slice() {
        // Without groups the one variant is the prompt itself.
        [only] if prompt.template().groups().is_empty() => prompt.canonical_around(only.body(), table),
        _ => prompt.canonical(table),
    };
    Report {
        canonical,
        diagnostics: sink.finish(),
        permutations,
        jobs,
        variants,
        prompt,
    }
}

fn length(prompt: &Prompt, table: &Table, options: &CheckOptions, sink: &mut Sink<'_>) -> bool {
    let most = options
        .characters
        .map_or(table.characters, |own| own.min(table.characters));
    let source = prompt.as_written();
    if source.len() <= most {
        return true;
    }
    let Some((end, _)) = source.char_indices().nth(most) else {
        return true;
    };
    let message = format!("the prompt has {} characters", source.chars().count());
    let finding = Finding::error(Code::TooLong, end..source.len(), message);
    sink.add(finding.allowed(format!("at most {most} characters")));
    false
}

/// The command of the chat program, pasted along.
fn command(source: &str, sink: &mut Sink<'_>) {
    let start = source.len() - source.trim_start_matches(is_space).len();
    let strip = |text: &str, word: &str| {
        let head = text
            .get(..word.len())
            .filter(|head| head.eq_ignore_ascii_case(word));
        head.and_then(|head| text.get(head.len()..))
            .map(|rest| rest.trim_start_matches(is_space).len())
    };
    let text = source.get(start..).unwrap_or_default();
    let Some(left) = strip(text, "/imagine") else {
        return;
    };
    let text = source.get(source.len() - left..).unwrap_or_default();
    let left = strip(text, "prompt:").unwrap_or(left);
    let span = start..source.len() - left;
    let message = "the command would be drawn as part of the text".to_owned();
    sink.add(Finding::warning(Code::CommandPasted, span.clone(), message).fix(span, ""));
}

fn control_characters(source: &str, sink: &mut Sink<'_>) {
    let odd = |c: char| (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || c == '\u{feff}';
    // Most prompts have none, and this look costs less than reading characters.
    if source.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return;
    }
    let mut rest = 0;
    while let Some(start) = source
        .get(rest..)
        .and_then(|text| text.find(odd))
        .map(|at| rest + at)
    {
        let tail = source.get(start..).unwrap_or_default();
        let end = source.len() - tail.trim_start_matches(odd).len();
        let finding = Finding::warning(
            Code::ControlCharacter,
            start..end,
            "control characters are read as a space".to_owned(),
        );
        sink.add(finding.fix(start..end, " "));
        rest = end;
    }
}

fn groups(prompt: &Prompt, sink: &mut Sink<'_>) {
    let source = prompt.as_written();
    for at in prompt.template().unmatched() {
        let span = *at..at + 1;
        let brace = slice(source, &span);
        let message = format!("`{brace}` has no partner and is read as text");
        let escaped = format!("\\{brace}");
        sink.add(Finding::warning(Code::BraceUnmatched, span.clone(), message).fix(span, escaped));
    }
    for group in prompt.template().groups() {
        if group.len() == 1 {
            let message = "a group with one choice makes no permutation".to_owned();
            let finding = Finding::warning(Code::PermutationSingle, group.span(), message);
            let inner = group
                .items()
                .next()
                .map(|item| slice(source, &item))
                .unwrap_or_default();
            sink.add(finding.fix(group.span(), inner));
        } else {
            for item in group.items().filter(std::ops::Range::is_empty) {
                let message = "one choice of this group is empty".to_owned();
                sink.add(Finding::warning(Code::PermutationEmpty, item, message));
            }
        }
    }
}

fn plan_limit(prompt: &Prompt, table: &Table, options: &CheckOptions, sink: &mut Sink<'_>) {
    let Some((plan, limits)) = options
        .plan
        .and_then(|plan| Some((plan, table.plans.get(&plan)?)))
    else {
        return;
    };
    let outer = prompt.template().outer();
    let Some((first, last)) = outer.first().zip(outer.last()) else {
        return;
    };
    let count = prompt.permutations();
    if count > limits.permutations {
        let message = format!("{count} variants are more than the {} plan takes", plan.as_str());
        let finding = Finding::error(Code::PermutationsOverPlan, first.start..last.end, message)
            .allowed(format!("at most {} variants", limits.permutations));
        sink.add(finding.disputed(limits.disputed.as_deref()));
    }
}
