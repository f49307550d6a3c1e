//! What goes over the wire: answers, tasks and the bodies of requests.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use midjourney_core::{
    error::{Error, ErrorKind, FieldError},
    job::{FailureKind, Motion, Shape},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::{edge::OwnForm, problem::Problem};

/// What became of a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// It was accepted.
    Success,
    /// The task to go on from does not exist, or no account is there for it.
    NotFound,
    /// The request is wrong.
    Invalid,
    /// Something failed.
    Failure,
    /// It was done already, or a window waits to be confirmed.
    Existed,
    /// It was accepted behind others.
    InQueue,
    /// There is no room for it.
    QueueRejected,
    /// The upstream refuses the words.
    Banned,
}

impl Code {
    const fn number(self) -> u8 {
        match self {
            Self::Success => 1,
            Self::NotFound => 3,
            Self::Invalid => 4,
            Self::Failure => 9,
            Self::Existed => 21,
            Self::InQueue => 22,
            Self::QueueRejected => 23,
            Self::Banned => 24,
        }
    }
}

/// What a submit is answered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MjAnswer)]
pub(in crate::http) struct Answer {
    /// 1 accepted, 3 not found, 4 wrong request, 9 failure, 21 done already or waiting for `submit/modal`, 22 accepted
    /// and waiting, 23 no room, 24 refused words.
    #[schema(example = 1)]
    code: u8,
    /// The code in words, and what is wrong where something is.
    description: String,
    /// The task's id; `null` where there is none; a list of links after an upload.
    #[schema(value_type = Option<String>, example = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2")]
    result: Value,
    /// More about it.
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
}

impl Answer {
    /// An answer without a result.
    pub(super) fn new(code: Code, description: impl Into<String>) -> Self {
        Self {
            code: code.number(),
            description: description.into(),
            result: Value::Null,
            properties: Map::new(),
        }
    }

    /// The request is wrong.
    pub(super) fn invalid(description: impl Into<String>) -> Self {
        Self::new(Code::Invalid, description)
    }

    /// One field of the request is wrong.
    pub(super) fn field(name: &str, detail: &str) -> Self {
        Self::invalid(format!("{name}: {detail}"))
    }

    /// What the request names does not exist.
    pub(super) fn not_found(description: impl Into<String>) -> Self {
        Self::new(Code::NotFound, description)
    }

    /// The same with a result.
    pub(super) fn with_result(mut self, result: impl Into<Value>) -> Self {
        self.result = result.into();
        self
    }

    /// The same with one more property.
    pub(super) fn with_property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// The answer under another HTTP status than 200.
    pub(super) fn at(self, status: StatusCode) -> Response {
        let mut response = (status, Json(self)).into_response();
        response.extensions_mut().insert(OwnForm);
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        let code = code(&error);
        let details = details(&error);
        // The table of problems logs the cause, and keeps it out of the answer.
        let problem = Problem::from(error);
        let answer = Self::new(code, details.unwrap_or_else(|| problem.detail().to_owned()));
        if code == Code::Banned {
            // Which word it was is the upstream's secret.
            return answer.with_property("bannedWord", Value::Null);
        }
        answer
    }
}

/// The code of each kind of gateway error. A new kind must find its code here before this compiles.
fn code(error: &Error) -> Code {
    match (error.kind(), error.failure()) {
        (ErrorKind::Rejected, Some(FailureKind::Moderated)) => Code::Banned,
        // Refused without having asked a client: the account is not there.
        (ErrorKind::NotFound, _) | (ErrorKind::Rejected, None) => Code::NotFound,
        (
            ErrorKind::Invalid
            | ErrorKind::InvalidPrompt
            | ErrorKind::Conflict
            | ErrorKind::IdempotencyMismatch
            | ErrorKind::Rejected,
            _,
        ) => Code::Invalid,
        // Our queue is the job store: where it is full, nothing more can be queued.
        (ErrorKind::StorageFull, _) | (ErrorKind::Unavailable, Some(FailureKind::QueueFull)) => {
            Code::QueueRejected
        }
        (ErrorKind::OverBudget | ErrorKind::Unavailable | ErrorKind::Internal, _) => Code::Failure,
    }
}

/// Everything that is wrong, in this face's own names.
fn details(error: &Error) -> Option<String> {
    if let Some(report) = error.report() {
        let found = report.diagnostics().errors().iter();
        let messages: Vec<_> = found.map(|found| found.message.clone()).collect();
        return Some(format!("prompt: {}", messages.join("; ")));
    }
    let told = |field: &FieldError| {
        let name = match field.pointer.split('/').nth(1).unwrap_or_default() {
            "images" => "base64Array",
            "mask" => "maskBase64",
            "job" => "taskId",
            name => name,
        };
        format!("{name}: {}", field.detail)
    };
    let told: Vec<_> = error.fields().iter().map(told).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// A task as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MjTask)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    /// The task's id.
    pub(super) id: String,
    /// `IMAGINE`, `UPSCALE`, `VARIATION`, `REROLL`, `ZOOM`, `PAN`, `INPAINT`, `EDIT`, `RETEXTURE`, `BLEND`, `DESCRIBE`,
    /// `SHORTEN`, `VIDEO` or `VIDEO_EXTEND`.
    pub(super) action: &'static str,
    /// `NOT_START`, `SUBMITTED`, `IN_PROGRESS`, `SUCCESS`, `FAILURE`, `CANCEL` or `MODAL`.
    pub(super) status: &'static str,
    /// The prompt as it is sent.
    pub(super) prompt: String,
    /// The same; nothing is translated here.
    pub(super) prompt_en: String,
    /// What it does, in words.
    pub(super) description: String,
    /// The caller's own text.
    pub(super) state: Option<String>,
    /// When it was accepted, in milliseconds since 1970.
    pub(super) submit_time: i64,
    /// When it was first submitted to the upstream.
    pub(super) start_time: Option<i64>,
    /// When it was over.
    pub(super) finish_time: Option<i64>,
    /// The grid, or the only picture. The link opens for a day.
    pub(super) image_url: Option<String>,
    /// Each single picture.
    pub(super) image_urls: Vec<TaskImage>,
    /// `0%` to `100%`; empty where it failed.
    pub(super) progress: String,
    /// Why it failed.
    pub(super) fail_reason: Option<String>,
    /// What can be done next.
    pub(super) buttons: Vec<Button>,
    /// More about it.
    #[schema(value_type = Object)]
    pub(super) properties: Map<String, Value>,
    /// The seed, where known.
    pub(super) seed: Option<String>,
}

/// A picture of a task.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MjTaskImage)]
pub(super) struct TaskImage {
    /// The picture. The link opens for a day.
    pub(super) url: String,
    /// The same: there are no smaller ones here.
    pub(super) thumbnail: String,
}

/// What can be done with a finished task.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MjButton)]
#[serde(rename_all = "camelCase")]
pub(super) struct Button {
    /// What to give to `submit/action`.
    #[schema(example = "MJ::JOB::upsample::1::019ab3c0-d1e2-7f3a-8b4c-5d6e7f8091a2")]
    pub(super) custom_id: String,
    /// Its sign, where it has one.
    pub(super) emoji: &'static str,
    /// Its name, where it has one.
    pub(super) label: String,
    /// Always 2, a button.
    #[serde(rename = "type")]
    pub(super) kind: u8,
    /// Always 2, a button like others.
    pub(super) style: u8,
}

/// Which model draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[schema(as = MjBotType)]
pub(super) enum BotType {
    /// Midjourney's own.
    #[serde(rename = "MID_JOURNEY", alias = "mj")]
    Midjourney,
    /// Niji, for prompts that name no version.
    #[serde(rename = "NIJI_JOURNEY", alias = "niji")]
    Niji,
}

/// What `submit/change` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[schema(as = MjChange)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Change {
    /// Cut one picture out of the grid.
    Upscale,
    /// Draw one picture again, differently.
    Variation,
    /// Draw the prompt again.
    Reroll,
}

/// The form of a blend.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = MjDimensions)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Dimensions {
    /// 2:3
    Portrait,
    /// 1:1
    Square,
    /// 3:2
    Landscape,
}

impl From<Dimensions> for Shape {
    fn from(dimensions: Dimensions) -> Self {
        match dimensions {
            Dimensions::Portrait => Self::Portrait,
            Dimensions::Square => Self::Square,
            Dimensions::Landscape => Self::Landscape,
        }
    }
}

/// The size of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[schema(as = MjVideoType)]
pub(super) enum VideoType {
    /// 480 lines.
    #[serde(rename = "vid_1.1_i2v_480")]
    Sd,
    /// 720 lines.
    #[serde(rename = "vid_1.1_i2v_720")]
    Hd,
}

/// What a video starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[schema(as = MjVideoAction)]
#[serde(rename_all = "lowercase")]
pub(super) enum VideoAction {
    /// Go on with a video of a finished task.
    Extend,
}

/// Which tasks to look at.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = MjCondition)]
pub(super) struct Condition {
    /// The tasks' ids; those that are not known are left out of the answer.
    #[schema(value_type = Vec<String>)]
    pub(super) ids: Vec<Value>,
}

/// Pictures to keep.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = MjUploads)]
#[serde(rename_all = "camelCase")]
pub(super) struct Uploads {
    /// The pictures as data URLs.
    pub(super) base64_array: Option<Vec<String>>,
}

/// A body and its fields, all of which may be missing or `null`, and the two that every body has. Other fields are left
/// alone: clients send many that mean nothing here.
macro_rules! bodies {
    ($(
        $(#[$about:meta])*
        $name:ident as $schema:ident {
            $($(#[$doc:meta])* $field:ident: $type:ty,)*
        }
    )+) => {$(
        $(#[$about])*
        #[derive(Deserialize, utoipa::ToSchema)]
        #[schema(as = $schema)]
        #[serde(rename_all = "camelCase")]
        pub(super) struct $name {
            $($(#[$doc])* pub(super) $field: $type,)*
            /// A text of the caller's own, given back with the task; 255 characters at most.
            pub(super) state: Option<String>,
            /// Where the task is posted whenever its status or progress changes.
            pub(super) notify_hook: Option<String>,
        }
    )+};
}

bodies! {
    /// What to draw.
    Imagine as MjImagine {
        /// The prompt with its parameters.
        prompt: Option<String>,
        /// Reference pictures as data URLs.
        base64_array: Option<Vec<String>>,
        /// One reference picture as a data URL; the old form.
        base64: Option<String>,
        /// Which model draws.
        bot_type: Option<BotType>,
    }

    /// What to do with a picture of a finished task.
    ChangeBody as MjChangeBody {
        /// The task.
        task_id: Option<String>,
        /// What to do.
        action: Option<Change>,
        /// Which picture, 1 to 4; not for `REROLL`.
        index: Option<u8>,
    }

    /// What to do with a picture of a finished task, in short.
    SimpleChange as MjSimpleChange {
        /// The task's id and `U1` to `U4`, `V1` to `V4`, or `R`.
        content: Option<String>,
    }

    /// Which button of a finished task to press.
    Press as MjAction {
        /// The task.
        task_id: Option<String>,
        /// The button.
        custom_id: Option<String>,
        /// Ask for a new prompt first, where the button varies a picture.
        enable_remix: Option<bool>,
    }

    /// What a window waits for.
    Modal as MjModal {
        /// The window, as `submit/action` answered it.
        task_id: Option<String>,
        /// The prompt; the original's where it is empty.
        prompt: Option<String>,
        /// The mask as a data URL: white where something new is drawn, black elsewhere.
        mask_base64: Option<String>,
    }

    /// Which pictures to make one of.
    Blend as MjBlend {
        /// Two to five pictures as data URLs.
        base64_array: Option<Vec<String>>,
        /// The form; square where nothing is said.
        dimensions: Option<Dimensions>,
    }

    /// Which picture to suggest prompts for.
    Describe as MjDescribe {
        /// The picture as a data URL.
        base64: Option<String>,
        /// The picture's address instead.
        link: Option<String>,
    }

    /// Which prompt to shorten.
    Shorten as MjShorten {
        /// The prompt.
        prompt: Option<String>,
    }

    /// Which picture to change, and how.
    Edit as MjEdit {
        /// What is to be seen.
        prompt: Option<String>,
        /// The picture: its address, a data URL, or plain base64.
        image: Option<String>,
        /// The mask as a data URL; `submit/edits` alone takes one.
        mask_base64: Option<String>,
    }

    /// Which picture to make a video of, or which video to make longer.
    Film as MjVideo {
        /// What happens.
        prompt: Option<String>,
        /// How much moves; `low` where nothing is said.
        motion: Option<Motion>,
        /// The first picture: its address, a data URL, or plain base64.
        image: Option<String>,
        /// The address of the last picture.
        end_image: Option<String>,
        /// Whether it ends as it begins.
        r#loop: Option<bool>,
        /// The size.
        video_type: Option<VideoType>,
        /// How many: 1, 2 or 4.
        batch_size: Option<u8>,
        /// `extend` goes on with a video of the task.
        action: Option<VideoAction>,
        /// Which picture or video of the task, from 0.
        index: Option<u8>,
        /// The task to start from.
        task_id: Option<String>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_gateway_error_has_its_code() {
        let told = |error: Error| Answer::from(error).code;
        let table = ErrorKind::ALL.map(|kind| (kind.code(), told(Error::new(kind, "why"))));
        assert_eq!(
            table,
            [
                ("invalid_request", 4),
                ("invalid_prompt", 4),
                ("not_found", 3),
                ("conflict", 4),
                ("idempotency_mismatch", 4),
                ("upstream_rejected", 3),
                ("over_budget", 9),
                ("unavailable", 9),
                ("storage_full", 23),
                ("internal", 9),
            ]
        );
        let rejected = |failure| Error::new(ErrorKind::Rejected, "why").with_failure(failure);
        assert_eq!(told(rejected(FailureKind::Moderated)), 24);
        let full = Error::new(ErrorKind::Unavailable, "why").with_failure(FailureKind::QueueFull);
        assert_eq!(told(full), 23);
        assert_eq!(told(rejected(FailureKind::Unsupported)), 4);
    }

    #[test]
    fn wrong_fields_are_told_by_the_names_that_clients_know() {
        for (pointer, told) in [
            ("/images/0", "base64Array: why"),
            ("/mask", "maskBase64: why"),
            ("/job", "taskId: why"),
            ("/index", "index: why"),
        ] {
            assert_eq!(Answer::from(Error::field(pointer, "why")).description, told);
        }
    }
}
