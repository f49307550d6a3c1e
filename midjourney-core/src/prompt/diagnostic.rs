//! What is wrong with a prompt, said as a good compiler says it.

use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};

/// Whether a prompt may be paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a third severity must break those who count two"
)]
pub enum Severity {
    /// The prompt is refused.
    Error,
    /// The prompt passes; sources disagree, or the writer may have meant something else.
    Warning,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What kind of finding it is. The text of a code never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable text, such as `prompt.param_unknown`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => concat!("prompt.", $text),)* }
            }
        }
    };
}

codes! {
    /// Neither text nor image.
    Empty = "empty",
    /// More characters than any upstream takes.
    TooLong = "too_long",
    /// `/imagine` in front of the prompt.
    CommandPasted = "command_pasted",
    /// Control characters, read as spaces.
    ControlCharacter = "control_character",
    /// One image alone is no prompt.
    TextMissing = "text_missing",
    /// An image URL after text.
    ImageAfterText = "image_after_text",
    /// An image URL with commas or brackets around it.
    ImageDecorated = "image_decorated",
    /// A long dash was read as `--`.
    TypedDash = "typed_dash",
    /// One dash where two were meant.
    SingleDash = "single_dash",
    /// `--` without a name.
    LoneDashes = "lone_dashes",
    /// `--` without a space before it.
    JoinedDashes = "joined_dashes",
    /// No such parameter.
    ParamUnknown = "param_unknown",
    /// A parameter in capitals.
    ParamCase = "param_case",
    /// A parameter given twice.
    ParamRepeated = "param_repeated",
    /// Text behind the parameters.
    TextAfterParams = "text_after_params",
    /// A parameter without its value.
    ValueMissing = "value_missing",
    /// A flag with a value.
    ValueUnexpected = "value_unexpected",
    /// A value of the wrong shape.
    ValueMalformed = "value_malformed",
    /// A value that is not allowed.
    ValueOutOfRange = "value_out_of_range",
    /// More values than allowed.
    ValuesTooMany = "values_too_many",
    /// The version does not take the parameter.
    ParamNotInVersion = "param_not_in_version",
    /// Sources disagree about this use.
    ParamDisputed = "param_disputed",
    /// Things that do not go together.
    ParamConflict = "param_conflict",
    /// A parameter that needs another thing.
    ParamNeeds = "param_needs",
    /// The plan does not include it.
    PlanLacks = "plan_lacks",
    /// No such version.
    VersionUnknown = "version_unknown",
    /// A version that was taken away.
    VersionRetired = "version_retired",
    /// `::` on a version without multi-prompts.
    MultiPromptUnsupported = "multi_prompt_unsupported",
    /// The weights do not sum to more than 0.
    WeightSum = "weight_sum",
    /// What follows `::` looks like a weight and is none.
    WeightMalformed = "weight_malformed",
    /// A space before `::`.
    WeightSpaced = "weight_spaced",
    /// Nothing between two `::`.
    PartEmpty = "part_empty",
    /// A brace without partner, read as text.
    BraceUnmatched = "brace_unmatched",
    /// A group with one choice.
    PermutationSingle = "permutation_single",
    /// A choice of nothing.
    PermutationEmpty = "permutation_empty",
    /// More variants than the plan is said to take.
    PermutationsOverPlan = "permutations_over_plan",
    /// More jobs than allowed.
    TooManyJobs = "too_many_jobs",
    /// There were more findings than are kept.
    TooManyFindings = "too_many_findings",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One edit that mends a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fix {
    /// The bytes to replace.
    pub span: Range<usize>,
    /// What to put there.
    pub replacement: String,
}

impl Fix {
    /// The text after the edit; none when the edit does not fit the text.
    pub fn apply(&self, source: &str) -> Option<String> {
        let (before, after) = (source.get(..self.span.start)?, source.get(self.span.end..)?);
        Some([before, &self.replacement, after].concat())
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Whether it stops the prompt.
    pub severity: Severity,
    /// What kind it is.
    pub code: Code,
    /// The bytes of the source it is about.
    pub span: Range<usize>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// The edit that mends it, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// The whole source after that edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected: Option<String>,
}

impl Diagnostic {
    /// Shows the finding under the line it is about.
    pub fn show<'a>(&'a self, source: &'a str) -> impl fmt::Display + 'a {
        Shown {
            diagnostic: self,
            source,
        }
    }
}

/// Findings about one prompt, errors first, then by place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    #[serde(skip)]
    source: String,
    #[serde(flatten)]
    found: Found,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Found {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(super) fn new(source: &str, all: Vec<Diagnostic>) -> Self {
        let (errors, warnings) = all
            .into_iter()
            .partition(|found| found.severity == Severity::Error);
        Self {
            source: source.to_owned(),
            found: Found { errors, warnings },
        }
    }

    /// What stops the prompt.
    pub fn errors(&self) -> &[Diagnostic] {
        &self.found.errors
    }

    /// What does not.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.found.warnings
    }

    /// Errors, then warnings.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.errors.iter().chain(&self.found.warnings)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The prompt they are about.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The source with every fix applied that does not touch another one; none when there is no fix.
    pub fn corrected(&self) -> Option<String> {
        let mut fixes: Vec<&Fix> = self.iter().filter_map(|found| found.fix.as_ref()).collect();
        fixes.sort_by_key(|fix| (fix.span.start, fix.span.end));
        fixes.dedup();
        let mut out = String::with_capacity(self.source.len());
        let mut at = 0;
        let mut applied = false;
        for fix in fixes {
            if fix.span.start < at || (applied && fix.span.start == at) {
                continue;
            }
            out.push_str(self.source.get(at..fix.span.start)?);
            out.push_str(&fix.replacement);
            at = fix.span.end;
            applied = true;
        }
        out.push_str(self.source.get(at..)?);
        applied.then_some(out)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, found) in self.iter().enumerate() {
            let gap = if index > 0 { "\n" } else { "" };
            write!(f, "{gap}{}", found.show(&self.source))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: &'a str,
}

/// Columns shown before and behind the span, so that one finding in a long line stays readable.
const CONTEXT: usize = 60;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic {
            severity,
            code,
            span,
            message,
            allowed,
            corrected,
            ..
        } = self.diagnostic;
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}[{code}]: {message}")?;
        let before = self.source.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let head = before.rsplit('\n').next().unwrap_or_default();
        let rest = self
            .source
            .get(span.start..)
            .unwrap_or_default()
            .split('\n')
            .next()
            .unwrap_or_default();
        let marked = rest.get(..span.len()).unwrap_or(rest);
        let tail = rest.get(marked.len()..).unwrap_or_default();
        let skipped = head.chars().count().saturating_sub(CONTEXT);
        let head: String = head.chars().skip(skipped).map(visible).collect();
        let marked: String = marked.chars().map(visible).collect();
        let tail: String = tail.chars().take(CONTEXT).map(visible).collect();
        let gutter = line.to_string();
        let pad = " ".repeat(gutter.len());
        writeln!(f, "{pad} |\n{gutter} | {head}{marked}{tail}")?;
        let carets = "^".repeat(columns(&marked).max(1));
        writeln!(f, "{pad} | {}{carets}", " ".repeat(columns(&head)))?;
        if let Some(allowed) = allowed {
            writeln!(f, "{pad} = allowed: {allowed}")?;
        }
        if let Some(corrected) = corrected {
            let corrected: String = corrected.chars().map(visible).collect();
            writeln!(f, "{pad} = corrected: {corrected}")?;
        }
        Ok(())
    }
}

/// Keeps a hostile prompt from moving the cursor of whoever reads its report.
fn visible(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Roughly how many columns a terminal gives a text: East Asian and emoji two, joiners and marks none.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| match u32::from(c) {
            0x0300..=0x036f | 0x200b..=0x200d | 0xfe00..=0xfe0f | 0x1_f3fb..=0x1_f3ff => 0,
            0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0x1_f300..=0x1_faff
            | 0x2_0000..=0x3_fffd => 2,
            _ => 1,
        })
        .sum()
}
