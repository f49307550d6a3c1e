//! What can be wrong with a configuration, and how it is told.

use std::fmt;

use serde::Serialize;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// Built in: nobody set it.
    Default,
    /// The configuration file.
    File {
        /// The name the file was given by whoever read it.
        name: String,
        /// Line, counted from 1.
        line: u32,
        /// Column in characters, counted from 1.
        column: u32,
    },
    /// An environment variable.
    Env {
        /// Its name.
        variable: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Self::Env { variable } => f.write_str(variable),
        }
    }
}

/// The sort of mistake, for programs; people read [`ConfigIssue::message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IssueKind {
    /// The text is not YAML.
    Syntax,
    /// YAML that this file does not need and does not take: anchors, aliases, tags, several documents.
    Unsupported,
    /// Longer, deeper or with more values than any configuration needs.
    TooLarge,
    /// A key or variable nobody reads.
    UnknownKey,
    /// The same key twice in one section.
    DuplicateKey,
    /// A value of another type, such as text where a number belongs.
    WrongType,
    /// The right type, but not an allowed value.
    InvalidValue,
    /// A key that another key's value makes necessary.
    Missing,
    /// Two values that contradict each other.
    Conflict,
}

/// One mistake in a configuration.
///
/// No field ever holds a secret, or text from the lines around the mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigIssue {
    /// The sort of mistake.
    pub kind: IssueKind,
    /// The key, such as `server.port`; empty if the mistake belongs to no key.
    pub path: String,
    /// The place of the mistake.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// How to mend it, where that can be said.
    pub mend: Option<String>,
}

impl fmt::Display for ConfigIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, &self.origin, &self.path, &self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        write_mend(f, self.mend.as_deref())
    }
}

/// Something that is allowed but probably not meant, or not wise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigWarning {
    /// The key, such as `webhook.secret`; empty if the warning belongs to no key.
    pub path: String,
    /// The place that causes the warning.
    pub origin: Origin,
    /// What is doubtful.
    pub message: String,
    /// What to do about it, where that can be said.
    pub mend: Option<String>,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, &self.origin, &self.path, &self.message)?;
        write_mend(f, self.mend.as_deref())
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, origin: &Origin, path: &str, message: &str) -> fmt::Result {
    write!(f, "{origin}: ")?;
    if !path.is_empty() {
        write!(f, "{path}: ")?;
    }
    f.write_str(message)
}

fn write_mend(f: &mut fmt::Formatter<'_>, mend: Option<&str>) -> fmt::Result {
    mend.map_or(Ok(()), |mend| write!(f, " ({mend})"))
}

/// Everything that is wrong with a configuration, found in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    issues: Vec<ConfigIssue>,
    omitted: usize,
}

impl ConfigError {
    /// How many mistakes are kept; the rest is only counted.
    pub const MAX_ISSUES: usize = 100;

    /// The mistakes: those of the file in its order, then those of the environment.
    pub fn issues(&self) -> &[ConfigIssue] {
        &self.issues
    }

    /// How many more there were beyond [`Self::MAX_ISSUES`].
    pub const fn omitted(&self) -> usize {
        self.omitted
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.issues.len().saturating_add(self.omitted);
        let noun = if count == 1 { "error" } else { "errors" };
        write!(f, "{count} {noun} in the configuration")?;
        for issue in &self.issues {
            write!(f, "\n{issue}")?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Why one value is refused, before it is known where it stood.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: IssueKind,
    pub(super) message: String,
    pub(super) mend: Option<String>,
}

impl Refusal {
    pub(super) fn wrong_type(message: impl Into<String>) -> Self {
        Self {
            kind: IssueKind::WrongType,
            message: message.into(),
            mend: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self {
            kind: IssueKind::InvalidValue,
            message: message.into(),
            mend: None,
        }
    }

    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// Collects while the configuration is read.
#[derive(Debug, Default)]
pub(super) struct Report {
    issues: Vec<ConfigIssue>,
    warnings: Vec<ConfigWarning>,
}

impl Report {
    pub(super) fn issue(
        &mut self,
        path: impl Into<String>,
        origin: Origin,
        refusal: Refusal,
        expected: Option<String>,
    ) {
        let Refusal { kind, message, mend } = refusal;
        self.issues.push(ConfigIssue {
            kind,
            path: path.into(),
            origin,
            message,
            expected,
            mend,
        });
    }

    pub(super) fn warning(&mut self, path: &str, origin: Origin, message: impl Into<String>, mend: &str) {
        let mend = (!mend.is_empty()).then(|| mend.to_owned());
        self.warnings.push(ConfigWarning {
            path: path.to_owned(),
            origin,
            message: message.into(),
            mend,
        });
    }

    /// Whether a key already has a mistake, so that what follows from it is not told as another one.
    pub(super) fn blames(&self, path: &str) -> bool {
        self.issues.iter().any(|issue| issue.path == path)
    }

    /// The warnings, or all mistakes in reading order.
    pub(super) fn finish(self) -> Result<Vec<ConfigWarning>, ConfigError> {
        let Self { mut issues, warnings } = self;
        if issues.is_empty() {
            return Ok(warnings);
        }
        issues.sort_by_key(|issue| match &issue.origin {
            Origin::File { line, column, .. } => (0, *line, *column),
            Origin::Env { .. } | Origin::Default => (1, 0, 0),
        });
        let omitted = issues.len().saturating_sub(ConfigError::MAX_ISSUES);
        issues.truncate(ConfigError::MAX_ISSUES);
        Err(ConfigError { issues, omitted })
    }
}
