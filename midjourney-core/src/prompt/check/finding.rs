//! Findings on their way to becoming diagnostics.

use std::collections::HashMap;

use crate::prompt::diagnostic::{Code, Diagnostic, Diagnostics, Fix, Severity};
use crate::prompt::template::{Span, Variant};

/// A finding with spans in the text it was made on.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) code: Code,
    pub(super) span: Span,
    message: String,
    allowed: Option<String>,
    fix: Option<Fix>,
}

impl Finding {
    pub(super) fn error(code: Code, span: Span, message: String) -> Self {
        Self {
            severity: Severity::Error,
            code,
            span,
            message,
            allowed: None,
            fix: None,
        }
    }

    pub(super) fn warning(code: Code, span: Span, message: String) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    pub(super) fn allowed(self, allowed: impl Into<String>) -> Self {
        Self {
            allowed: Some(allowed.into()),
            ..self
        }
    }

    pub(super) fn fix(self, span: Span, replacement: impl Into<String>) -> Self {
        Self {
            fix: Some(Fix {
                span,
                replacement: replacement.into(),
            }),
            ..self
        }
    }

    pub(super) fn fix_if(self, fix: Option<(Span, String)>) -> Self {
        match fix {
            Some((span, replacement)) => self.fix(span, replacement),
            None => self,
        }
    }

    /// A disputed fact warns and says why it is disputed.
    pub(super) fn disputed(self, reason: Option<&str>) -> Self {
        match reason {
            Some(reason) => {
                let message = format!("{} ({reason})", self.message);
                Self {
                    severity: Severity::Warning,
                    message,
                    ..self
                }
            }
            None => self,
        }
    }
}

/// Enough to mend any prompt; a bound on the work that a hostile one causes.
const MOST: usize = 100;

/// Collects findings, each once.
pub(super) struct Sink<'a> {
    source: &'a str,
    /// Where in `found` a finding is, by all that tells it from others.
    seen: HashMap<(Code, usize, usize, String), usize>,
    found: Vec<Diagnostic>,
    dropped: usize,
    errors: bool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        let (seen, found) = (HashMap::new(), Vec::new());
        Self {
            source,
            seen,
            found,
            dropped: 0,
            errors: false,
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors
    }

    /// Whether there are more errors than anybody wants to read.
    pub(super) fn is_full(&self) -> bool {
        self.errors && self.found.len() >= 2 * MOST
    }

    /// Adds a finding made on a variant, shown where the variant's text comes from.
    ///
    /// What is put together from inside and outside a group has no place of its own: it is shown at the
    /// place of its mend, or else at everything it touches, whole groups included.
    pub(super) fn add_from(&mut self, mut finding: Finding, variant: &Variant, groups: &[Span]) {
        finding.fix = finding.fix.and_then(|fix| {
            let (span, exact) = variant.to_source(&fix.span);
            exact.then_some(Fix { span, ..fix })
        });
        let (mut span, exact) = variant.to_source(&finding.span);
        if !exact {
            let from = groups.partition_point(|group| group.end <= span.start);
            let to = groups.partition_point(|group| group.start < span.end);
            let touched = groups.get(from..to).unwrap_or_default();
            if let Some((first, last)) = touched.first().zip(touched.last()) {
                span = span.start.min(first.start)..span.end.max(last.end);
            }
            if let Some(fix) = finding.fix.as_ref().filter(|fix| !fix.span.is_empty()) {
                span = fix.span.clone();
            }
        }
        finding.span = span;
        self.add(finding);
    }

    /// Adds a finding made on the source.
    pub(super) fn add(&mut self, finding: Finding) {
        let Finding {
            severity,
            code,
            span,
            message,
            allowed,
            fix,
        } = finding;
        self.errors |= severity == Severity::Error;
        let key = (code, span.start, span.end, message.clone());
        if let Some(found) = self.seen.get(&key).and_then(|at| self.found.get_mut(*at)) {
            // What one variant is only warned of may stop another.
            found.severity = found.severity.min(severity);
            return;
        }
        // Errors may push in: what stops a prompt must not hide behind a hundred warnings.
        let room = if severity == Severity::Error {
            2 * MOST
        } else {
            MOST
        };
        if self.found.len() >= room {
            self.dropped += 1;
            return;
        }
        self.seen.insert(key, self.found.len());
        let corrected = fix.as_ref().and_then(|fix| fix.apply(self.source));
        self.found.push(Diagnostic {
            severity,
            code,
            span,
            message,
            allowed,
            fix,
            corrected,
        });
    }

    pub(super) fn finish(mut self) -> Diagnostics {
        self.found
            .sort_by_key(|found| (found.severity, found.span.start, found.span.end, found.code));
        if self.dropped > 0 {
            self.found.push(Diagnostic {
                severity: if self.errors {
                    Severity::Error
                } else {
                    Severity::Warning
                },
                code: Code::TooManyFindings,
                span: 0..0,
                message: format!("{} more findings are not shown", self.dropped),
                allowed: None,
                fix: None,
                corrected: None,
            });
        }
        Diagnostics::new(self.source, self.found)
    }
}
