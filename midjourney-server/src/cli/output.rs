//! How a command answers and fails.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use midjourney_core::{
    error::{Chain, Error, ErrorKind},
    prompt::Report,
};
use serde::Serialize;

/// A command that could not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    code: &'static str,
    exit: u8,
    message: String,
    report: Option<Box<Report>>,
}

impl Failure {
    /// It was asked wrongly; nothing was done.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: "invalid_request",
            exit: 2,
            message: message.into(),
            report: None,
        }
    }

    /// It went wrong.
    pub(super) fn failed(what: &str, cause: impl std::error::Error + 'static) -> Self {
        Self {
            code: "failed",
            exit: 1,
            message: format!("{what}: {}", Chain(&cause)),
            report: None,
        }
    }

    /// Tells it on standard error and gives the exit status.
    pub(super) fn report(self, json: bool) -> ExitCode {
        if json {
            let body = serde_json::json!({
                "code": self.code,
                "detail": self.message,
                "diagnostics": self.report.as_deref().map(Report::diagnostics),
            });
            note(&body);
        } else {
            if let Some(report) = &self.report {
                note(report.diagnostics());
            }
            note(format_args!("error: {}", self.message));
        }
        ExitCode::from(self.exit)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Invalid | ErrorKind::InvalidPrompt | ErrorKind::IdempotencyMismatch => 2,
            _ => 1,
        };
        let report = error.report().cloned().map(Box::new);
        Self {
            code: error.kind().code(),
            exit,
            message: Chain(&error).to_string(),
            report,
        }
    }
}

/// One line of the answer. A reader that went away, such as `head`, is no error.
pub(super) fn say(line: impl Display) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// One line beside the answer.
pub(super) fn note(line: impl Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// The answer as one JSON document.
pub(super) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::failed("the answer cannot be written", error))?;
    say(text);
    Ok(())
}
