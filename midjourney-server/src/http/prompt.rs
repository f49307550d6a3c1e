//! The prompt language over HTTP: checking a prompt, and what versions there are.

use std::sync::Arc;

use axum::{Json, extract::State};
use midjourney_core::{
    gateway::{PromptCheck, PromptRules},
    prompt::{Diagnostic, Report, Version},
};
use serde::{Deserialize, Serialize};

use super::{App, extract::ApiJson, problem::Problem};

/// What to check.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckBody {
    /// The prompt with its parameters.
    #[schema(example = "a {red, blue} fox --ar 3:2 --v 7")]
    prompt: String,
    /// The version for prompts that name none; see `GET /version`.
    version: Option<String>,
}

/// What is known about a prompt without spending anything.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Checked {
    /// Whether it has no error.
    valid: bool,
    /// The prompt as given.
    prompt: String,
    /// The same in one normal form.
    canonical: String,
    /// How many jobs it makes.
    count: u64,
    /// How many variants its `{...}` groups make.
    permutations: u64,
    /// The prompt of each job, in order; empty where there are errors.
    jobs: Vec<String>,
    /// What stops it.
    #[schema(value_type = Vec<Finding>)]
    errors: Vec<Diagnostic>,
    /// What is doubtful.
    #[schema(value_type = Vec<Finding>)]
    warnings: Vec<Diagnostic>,
    /// The prompt with every known mend made.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrected: Option<String>,
}

/// One thing that is wrong or doubtful about a prompt.
#[derive(utoipa::ToSchema)]
#[schema(as = Diagnostic)]
#[expect(dead_code, reason = "tells how a diagnostic serialises")]
pub(super) struct Finding {
    /// `error` or `warning`.
    severity: String,
    /// The stable code.
    #[schema(example = "prompt.value_out_of_range")]
    code: String,
    /// The bytes of the prompt it is about.
    span: Span,
    /// What is wrong, in one sentence.
    message: String,
    /// What would be right.
    allowed: Option<String>,
    /// The edit that mends it.
    fix: Option<Edit>,
    /// The whole prompt after that edit.
    corrected: Option<String>,
}

/// Bytes from `start` to before `end`.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "tells how a span serialises")]
pub(super) struct Span {
    start: u64,
    end: u64,
}

/// One edit of a text.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "tells how a fix serialises")]
pub(super) struct Edit {
    /// The bytes to replace.
    span: Span,
    /// What to put there.
    replacement: String,
}

/// Every version, and what each supports.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Versions<'a> {
    /// The version of prompts that name none.
    #[schema(example = "7")]
    default_version: &'a str,
    /// Which issue of the facts this is.
    revision: &'a str,
    /// The versions, as the table orders them.
    versions: Vec<VersionView<'a>>,
}

/// One version.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct VersionView<'a> {
    /// What `version` takes.
    id: &'a str,
    /// How a prompt asks for it.
    #[schema(example = "--v 7")]
    parameter: String,
    /// Whether it is the version of prompts that name none.
    default: bool,
    /// Whether it is a niji model.
    niji: bool,
    /// Whether it can still be asked for.
    retired: bool,
    /// Whether it takes weighted parts (`::`).
    multi_prompt: bool,
    /// The parameters it takes.
    parameters: Vec<&'a str>,
}

/// Everything a report says.
pub(super) fn diagnostics(report: &Report) -> Vec<Diagnostic> {
    report.diagnostics().iter().cloned().collect()
}

/// Check a prompt.
///
/// Parses, judges and expands it; spends and stores nothing. A prompt with errors is an answer here, not a failure.
#[utoipa::path(post, path = "/prompt/check", tag = "prompts", request_body = CheckBody,
    responses((status = 200, description = "What is known about the prompt.", body = Checked)))]
pub(super) async fn check(
    State(app): State<Arc<App>>,
    ApiJson(body): ApiJson<CheckBody>,
) -> Result<Json<Checked>, Problem> {
    let PromptCheck { report, jobs, .. } = app.gateway.check_prompt(&body.prompt, body.version.as_deref())?;
    Ok(Json(Checked {
        valid: report.is_valid(),
        canonical: report.canonical().to_owned(),
        count: report.jobs(),
        permutations: report.permutations(),
        jobs,
        errors: report.diagnostics().errors().to_vec(),
        warnings: report.diagnostics().warnings().to_vec(),
        corrected: report.diagnostics().corrected(),
        prompt: body.prompt,
    }))
}

/// What `GET /version` answers under these rules.
pub(super) fn versions(rules: &PromptRules) -> Versions<'_> {
    let table = &*rules.table;
    let default_version = rules
        .options
        .default_version
        .as_deref()
        .unwrap_or(&table.default_version);
    let view = |version| VersionView::of(version, default_version, rules);
    Versions {
        default_version,
        revision: &table.revision,
        versions: table.versions.iter().map(view).collect(),
    }
}

impl<'a> VersionView<'a> {
    fn of(version: &'a Version, default_version: &str, rules: &'a PromptRules) -> Self {
        let table = &*rules.table;
        let takes = |spec: &&midjourney_core::prompt::ParamSpec| {
            spec.domain(version).is_some_and(|domain| domain.taken)
        };
        Self {
            id: &version.id,
            parameter: version.as_parameter(),
            default: version.id == default_version,
            niji: version.is_niji(),
            retired: version.retired.is_some(),
            multi_prompt: version.is_in(&table.multi_prompt),
            parameters: table
                .params
                .iter()
                .filter(takes)
                .map(|spec| spec.write.as_str())
                .collect(),
        }
    }
}
