//! What can go wrong, said once.
//!
//! Each trait has one concrete error of its own ([`StoreError`](crate::job::StoreError),
//! [`ClientError`](crate::client::ClientError), ...). At the façade they become [`Error`], which an adapter turns
//! into its own form through one table over [`ErrorKind`]. `Display` never repeats the source: walk the chain with
//! [`Chain`].

use std::{fmt, time::Duration};

use crate::job::FailureKind;

/// Any error, kept as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Whether a failed operation may have taken effect all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no third answer; callers must handle both"
)]
pub enum Applied {
    /// Known not to have happened; repeating it is free.
    No,
    /// Nobody knows; repeating it may do it twice.
    Maybe,
}

/// Whether asking again can help, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a retry policy must handle every case")]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// May pass at once or soon; use the caller's own back-off.
    Soon,
    /// Not before this long from now, as the other side asked.
    After(Duration),
}

/// What kind of failure the caller of the [`Gateway`](crate::gateway::Gateway) sees.
///
/// Exhaustive on purpose: a new kind must break every adapter's table at compile time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "adapters map every kind; a new one must not compile unnoticed"
)]
pub enum ErrorKind {
    /// The request is wrong; the message names the field, what was expected and the mend.
    Invalid,
    /// The prompt has errors; the diagnostics are attached.
    InvalidPrompt,
    /// No such job, batch or image for this caller.
    NotFound,
    /// The thing is not in a state that allows this.
    Conflict,
    /// The idempotency key was used before with another request.
    IdempotencyMismatch,
    /// The upstream cannot or will not do this; nothing was spent.
    Rejected,
    /// A budget does not allow it; nothing was spent.
    OverBudget,
    /// Temporarily impossible; ask again later.
    Unavailable,
    /// No room left on the device that holds jobs or images.
    StorageFull,
    /// A fault of ours; the details are in the log, not in the answer.
    Internal,
}

impl ErrorKind {
    /// Every kind, for tables that must cover all of them.
    pub const ALL: [Self; 10] = [
        Self::Invalid,
        Self::InvalidPrompt,
        Self::NotFound,
        Self::Conflict,
        Self::IdempotencyMismatch,
        Self::Rejected,
        Self::OverBudget,
        Self::Unavailable,
        Self::StorageFull,
        Self::Internal,
    ];

    /// The stable machine-readable code that every adapter shows.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_request",
            Self::InvalidPrompt => "invalid_prompt",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::Rejected => "upstream_rejected",
            Self::OverBudget => "over_budget",
            Self::Unavailable => "unavailable",
            Self::StorageFull => "storage_full",
            Self::Internal => "internal",
        }
    }
}

/// One thing wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FieldError {
    /// Where, as a JSON pointer into the request: `/prompt`, `/index`.
    pub pointer: String,
    /// What is wrong, what was expected, and the mend.
    pub detail: String,
}

impl FieldError {
    /// `detail` is wrong at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// What the [`Gateway`](crate::gateway::Gateway) answers when it cannot do what was asked.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    detail: String,
    fields: Vec<FieldError>,
    report: Option<Box<crate::prompt::Report>>,
    failure: Option<FailureKind>,
    retry_after: Option<Duration>,
    source: Option<BoxError>,
}

impl Error {
    /// An error of `kind`; `detail` is shown to the caller.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            fields: Vec::new(),
            report: None,
            failure: None,
            retry_after: None,
            source: None,
        }
    }

    /// A request with one wrong field.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let field = FieldError::new(pointer, detail);
        let mut error = Self::new(ErrorKind::Invalid, format!("{}: {}", field.pointer, field.detail));
        error.fields.push(field);
        error
    }

    /// A prompt with errors.
    pub fn prompt(report: crate::prompt::Report) -> Self {
        let mut error = Self::new(
            ErrorKind::InvalidPrompt,
            "the prompt has errors; nothing was spent",
        );
        error.report = Some(Box::new(report));
        error
    }

    /// The same error, asking the caller to come back after `wait`.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same error, which would have been this failure of the job.
    pub fn with_failure(mut self, failure: FailureKind) -> Self {
        self.failure = Some(failure);
        self
    }

    /// The same error with its cause, which goes to the log and never to the caller.
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the caller may be told.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The wrong fields, when the request itself is wrong.
    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    /// The diagnostics, when the prompt is wrong.
    pub fn report(&self) -> Option<&crate::prompt::Report> {
        self.report.as_deref()
    }

    /// The failure that the job would have ended in, where the upstream would have refused it.
    pub fn failure(&self) -> Option<FailureKind> {
        self.failure
    }

    /// How long the caller should wait before asking again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| -> &(dyn std::error::Error + 'static) { source })
    }
}

/// Prints an error and everything that caused it, each once: `a: b: c`.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}
