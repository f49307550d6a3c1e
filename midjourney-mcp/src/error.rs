//! What a caller is told when something cannot be done: what happened, whether it cost anything, what to do next, and
//! a stable code.

use midjourney_core::{
    error::{Chain, Error, ErrorKind, FieldError},
    job::FailureKind,
    prompt::{Diagnostic, Report},
};
use serde_json::{Map, Value, json};
use tracing::{error, warn};

use crate::{
    open::OpenError,
    result::{Answer, next_call, parse_image_uri},
    text::{self, clean, cut, line},
    tools::{Definition, Kind, is_flag},
};

/// The most findings about one prompt that are passed on. The corrected prompt mends all of them at once anyway.
const MAX_FINDINGS: usize = 12;

/// Whether what went wrong may have cost something.
#[derive(Clone, Copy)]
enum Spent {
    No,
    Maybe,
}

impl Spent {
    const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Maybe => "maybe",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::No => "Nothing was spent.",
            Self::Maybe => {
                "It is not known whether a job was stored: look with list_jobs before trying again."
            }
        }
    }
}

/// What to do about an error of this kind.
const fn mend(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "Mend the named argument and call again.",
        ErrorKind::InvalidPrompt => "Call again with a corrected prompt.",
        ErrorKind::NotFound => "Call list_jobs to find the right id.",
        ErrorKind::Conflict => "Call get_job to see how the job is now.",
        ErrorKind::IdempotencyMismatch => {
            "Use a new idempotency_key for a new request, or repeat the old request unchanged."
        }
        ErrorKind::Rejected => "Change the request, or tell the user what the upstream cannot do.",
        ErrorKind::OverBudget => {
            "Tell the user that the budget is used up and when it begins anew; do not try again before."
        }
        ErrorKind::Unavailable => "Try again in a few seconds.",
        ErrorKind::StorageFull => {
            "Tell the user that the disk is full; nothing can be made until there is room."
        }
        ErrorKind::Internal => "Tell the user; the details are in the server's log.",
    }
}

/// A kind of failure that leaves open whether a job came to be.
const fn may_have_stored(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Internal => true,
        ErrorKind::Invalid
        | ErrorKind::InvalidPrompt
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::IdempotencyMismatch
        | ErrorKind::Rejected
        | ErrorKind::OverBudget
        | ErrorKind::StorageFull => false,
    }
}

/// The gateway could not do what the tool asked.
pub(crate) fn failed(tool: &Definition, failure: &Error, arguments: &Map<String, Value>) -> Answer {
    let kind = failure.kind();
    if kind == ErrorKind::Internal {
        error!(tool = tool.name, error = %Chain(failure), "a tool failed");
    } else if std::error::Error::source(failure).is_some() {
        warn!(tool = tool.name, error = %Chain(failure), "a tool failed");
    }
    // What was refused for the job's own failure was refused before anything was stored.
    let unclear = tool.kind == Kind::Makes && may_have_stored(kind) && failure.failure().is_none();
    let spent = if unclear { Spent::Maybe } else { Spent::No };
    // Whether anything was spent is said once, in the same place for every error.
    let what = clean(failure.detail());
    let what = what.strip_suffix("; nothing was spent").unwrap_or(&what);
    // A wrong field is named as the argument is, not as a pointer to it.
    let what = match failure.fields() {
        [] => capital(what),
        fields => list(fields).join("\n"),
    };
    let mut refusal = Refusal::new(kind.code(), &what, spent, mend(kind));
    if let Some(wait) = failure.retry_after() {
        refusal.put("retry_after_seconds", json!(wait.as_secs().max(1)));
    }
    if !failure.fields().is_empty() {
        refusal.put("fields", json!(failure.fields()));
    }
    if let Some(report) = failure.report() {
        refusal.prompt(tool, report, arguments);
    }
    match kind {
        ErrorKind::NotFound => refusal.next("list_jobs", &json!({})),
        ErrorKind::Conflict => {
            // The job itself, or that of the picture to start from.
            let text = |name: &str| arguments.get(name).and_then(Value::as_str);
            let of_image = || parse_image_uri(text("image")?).map(|(job, _)| job.to_string());
            if let Some(id) = text("job_id").map(str::to_owned).or_else(of_image) {
                refusal.next("get_job", &json!({"job_id": id}));
            }
        }
        ErrorKind::Rejected if failure.failure() == Some(FailureKind::Unsupported) => {
            refusal.next("account", &json!({}));
        }
        _ if unclear => refusal.next("list_jobs", &json!({})),
        _ => {}
    }
    refusal.into_answer()
}

/// Arguments that make no sense.
pub(crate) fn bad_arguments(tool: &Definition, wrong: &[FieldError]) -> Answer {
    let what = format!(
        "{} was called with wrong arguments.\n- {}",
        tool.name,
        list(wrong).join("\n- ")
    );
    let mut refusal = Refusal::new(
        ErrorKind::Invalid.code(),
        &what,
        Spent::No,
        "Mend the named arguments and call again.",
    );
    refusal.put("fields", json!(wrong));
    refusal.into_answer()
}

/// Each wrong argument by its name: `images/1: expected ..`.
fn list(wrong: &[FieldError]) -> Vec<String> {
    let named = |field: &FieldError| {
        let name = field.pointer.trim_start_matches('/');
        format!("{name}: {}", clean(&field.detail))
    };
    wrong.iter().map(named).collect()
}

/// There is no gateway to ask.
pub(crate) fn not_open(failure: &OpenError) -> Answer {
    error!(error = %Chain(failure), "the gateway cannot be opened");
    let what = format!("The gateway cannot be opened: {}", multiline(failure.detail()));
    Refusal::new(
        "setup_failed",
        &what,
        Spent::No,
        "Tell the user what to mend; then call the tool again, a restart is not needed.",
    )
    .into_answer()
}

/// The pictures are there, but cannot be shown.
pub(crate) fn unshowable(why: &str, arguments: &Map<String, Value>) -> Answer {
    let what = format!("The picture cannot be shown: {}.", clean(why));
    let mut refusal = Refusal::new(
        "unshowable",
        &what,
        Spent::No,
        "Give the user the file path or link that get_job tells.",
    );
    if let Some(id) = arguments.get("job_id") {
        refusal.next("get_job", &json!({"job_id": id}));
    }
    refusal.into_answer()
}

/// A request that the gateway understands and cannot fulfil, seen by the adapter itself.
pub(crate) fn refused(kind: ErrorKind, what: &str, next: Option<(&'static str, Value)>) -> Answer {
    let mut refusal = Refusal::new(kind.code(), what, Spent::No, mend(kind));
    if let Some((tool, arguments)) = next {
        refusal.next(tool, &arguments);
    }
    refusal.into_answer()
}

/// A warning about a prompt, as shown.
pub(crate) fn finding(found: &Diagnostic) -> Value {
    let mut shown = Map::new();
    shown.insert("code".to_owned(), json!(found.code));
    shown.insert("message".to_owned(), json!(cut(&found.message, 500)));
    shown.insert("from".to_owned(), json!(found.span.start));
    shown.insert("to".to_owned(), json!(found.span.end));
    if let Some(allowed) = &found.allowed {
        shown.insert("allowed".to_owned(), json!(cut(allowed, 500)));
    }
    Value::Object(shown)
}

struct Refusal {
    text: String,
    structured: Map<String, Value>,
}

impl Refusal {
    fn new(code: &str, what: &str, spent: Spent, mend: &str) -> Self {
        let structured = json!({
            "status": "refused",
            "code": code,
            "message": what,
            "spent": spent.name(),
        });
        let mut what = what.trim_end().to_owned();
        if !what.ends_with(['.', '!', '?', ':', '\n']) && !what.contains('\n') {
            what.push('.');
        }
        Self {
            text: format!("{what}\n{} {mend}\n(code: {code})", spent.sentence()),
            structured: match structured {
                Value::Object(map) => map,
                _ => Map::new(),
            },
        }
    }

    fn put(&mut self, name: &str, value: Value) {
        self.structured.insert(name.to_owned(), value);
    }

    fn next(&mut self, tool: &'static str, arguments: &Value) {
        self.text.push('\n');
        line(&mut self.text, format_args!("Next: {tool} {arguments}"));
        self.put("next", next_call(tool, arguments));
    }

    /// All findings about a prompt, and the call that mends them.
    fn prompt(&mut self, tool: &Definition, report: &Report, arguments: &Map<String, Value>) {
        let found = report.diagnostics();
        let errors: Vec<Value> = found.errors().iter().take(MAX_FINDINGS).map(finding).collect();
        let warnings: Vec<Value> = found.warnings().iter().take(MAX_FINDINGS).map(finding).collect();
        let shown: Vec<String> = found
            .errors()
            .iter()
            .take(MAX_FINDINGS)
            .map(|error| multiline(&error.show(found.source()).to_string()))
            .collect();
        let shown: String = shown.join("\n").chars().take(text::MAX_CHARS).collect();
        line(&mut self.text, format_args!("\n```\n{}\n```", shown.trim_end()));
        self.put("diagnostics", json!({"errors": errors, "warnings": warnings}));
        let mendable = found.errors().iter().all(|error| error.fix.is_some());
        let corrected = found
            .corrected()
            .filter(|_| mendable)
            .filter(|prompt| prompt.chars().count() <= text::MAX_CHARS && *prompt == clean(prompt));
        if let Some(prompt) = corrected {
            let mut call = arguments.clone();
            // It holds them already.
            call.retain(|name, _| !is_flag(name));
            call.insert("prompt".to_owned(), Value::from(prompt));
            self.next(tool.name, &Value::Object(call));
        }
    }

    fn into_answer(self) -> Answer {
        Answer {
            text: self.text,
            structured: self.structured,
            is_error: true,
            ..Answer::default()
        }
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// As [`clean`], line by line, for texts of ours that have lines.
fn multiline(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n").chars().take(text::MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::definition;

    #[test]
    fn every_kind_says_what_to_do_and_whether_it_cost_anything() {
        let tool = definition("imagine").unwrap();
        for kind in ErrorKind::ALL {
            let answer = failed(tool, &Error::new(kind, "it broke"), &Map::new());
            assert!(answer.is_error);
            assert_eq!(answer.structured["code"], kind.code());
            assert!(answer.text.starts_with("It broke."), "{}", answer.text);
            let spent = answer.structured["spent"].as_str().unwrap();
            assert_eq!(
                spent == "no",
                answer.text.contains("Nothing was spent"),
                "{}",
                answer.text
            );
            assert!(answer.text.contains(mend(kind)));
        }
    }

    #[test]
    fn a_full_queue_has_taken_nothing() {
        let full =
            Error::new(ErrorKind::Unavailable, "every queue is full").with_failure(FailureKind::QueueFull);
        let answer = failed(definition("imagine").unwrap(), &full, &Map::new());
        assert_eq!(answer.structured["spent"], "no");
        assert_eq!(answer.structured.get("next"), None);
    }

    #[test]
    fn a_cause_is_for_the_log_only() {
        let error = Error::new(ErrorKind::Internal, "the store failed").with_source("password=hunter2");
        let answer = failed(definition("show").unwrap(), &error, &Map::new());
        assert!(!answer.text.contains("hunter2"));
        assert!(!Value::Object(answer.structured).to_string().contains("hunter2"));
    }
}
