//! The prompt language of Midjourney: reading, judging, writing and expanding prompts.
//!
//! ```
//! use midjourney_core::prompt::{CheckOptions, Table, check};
//!
//! let report = check("a {red, blue} fox —aspect 3:2 --s 5000", Table::builtin(), &CheckOptions::default());
//! assert_eq!(report.permutations(), 2);
//! let errors = report.diagnostics().errors();
//! assert_eq!(errors[0].code.as_str(), "prompt.value_out_of_range");
//! assert_eq!(errors[0].corrected.as_deref(), Some("a {red, blue} fox —aspect 3:2 --s 1000"));
//!
//! let report = check("a {red, blue} fox —aspect 3:2", Table::builtin(), &CheckOptions::default());
//! let jobs = report.into_valid().unwrap().expand(10).unwrap();
//! assert_eq!(jobs[1].text(), "a blue fox --ar 3:2");
//! ```
//!
//! # Grammar
//!
//! `image-url* text? parameter*`, as the official documentation has it. Text may be split into weighted
//! parts by `::` (a weight stands directly behind it and is 1 otherwise). A parameter starts with `--`
//! behind a space; its value runs to the next one. `{a, b}` anywhere makes one variant for each choice,
//! several groups multiply, groups nest; `\,`, `\{` and `\}` are plain characters, as is a brace without a
//! partner. A long dash that a phone typed counts as `--` where the name behind it is one of a parameter,
//! and behind the first parameter always.
//!
//! # From text to jobs
//!
//! [`Prompt::parse`] reads any text without fail and keeps it byte for byte. [`check()`] judges it against a
//! [`Table`] of facts and gives a [`Report`]; [`Report::into_valid`] gives a [`ValidPrompt`] only when
//! there is no error, and [`ValidPrompt::expand`] the [`ExpandedPrompt`] of every job, which
//! [`ExpandedPrompt::render`] writes as an upstream wants it.
//!
//! What sources disagree about is a warning, never an error. What would be paid for and ignored (an
//! unknown parameter, an image behind the text) is an error even where Midjourney might draw something.
//!
//! # Limits
//!
//! Reading takes time in proportion to the length, at any length and nesting. Judging looks at each
//! variant once, at most [`Table::jobs`] of them, and at none when the prompt is longer than
//! [`Table::characters`]; it keeps at most 200 findings.

mod check;
mod diagnostic;
mod expand;
mod outline;
mod params;
mod parse;
mod render;
mod speed;
mod table;
mod template;
mod value;

pub use self::check::{CheckOptions, Report, check};
pub use self::diagnostic::{Code, Diagnostic, Diagnostics, Fix, Severity};
pub use self::expand::{ExpandedPrompt, TooMany, ValidPrompt};
pub use self::params::{Param, Params, Speed};
pub use self::parse::{ParamText, Prompt};
pub use self::render::{Place, RenderPlan, Rendered};
pub use self::speed::{at_speed, speed};
pub use self::table::{
    Cap, Conflict, Domain, ParamSpec, Plan, PlanLimits, Requirement, TABLE_SCHEMA, Table, TableError, Term,
    ValueKind, Version,
};
pub use self::value::{Aspect, Number, Reference, Value};

#[cfg(test)]
mod tests;
