//! One submit: who sent it and where, how it is carried out, and how it is answered.

use std::{
    convert::{Infallible, identity},
    sync::Arc,
};

use axum::{Extension, RequestPartsExt as _, extract::FromRequestParts, http::request::Parts};
use midjourney_core::{
    error::{Error, ErrorKind},
    gateway::{Accepted, Act, Imagine},
    id::JobId,
    job::Echo,
};

use super::{
    Speed, body, notify,
    window::{self, TaskId},
    wire::{Answer, Code},
};
use crate::http::{App, detach::detach, links::Signer};

/// One submit.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) speed: Speed,
    pub(super) signer: Signer,
}

impl FromRequestParts<Arc<App>> for Call {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let speed = parts.extract::<Extension<Speed>>().await;
        Ok(Self {
            app: Arc::clone(app),
            speed: speed.map_or(Speed(None), |Extension(speed)| speed),
            signer: Signer::from_request_parts(parts, app).await?,
        })
    }
}

/// Routes that read a body and answer what became of it.
macro_rules! submits {
    ($($(#[$doc:meta])* $name:ident $id:literal $path:literal $body:ty => $work:path;)+) => {$(
        $(#[$doc])*
        #[utoipa::path(post, path = $path, operation_id = $id, tag = "midjourney-proxy", request_body = $body,
            responses((status = 200, description = "What became of it.", body = Answer)))]
        pub(super) async fn $name(call: Call, MjJson(body): MjJson<$body>) -> Answer {
            run($work(call, body)).await
        }
    )+};
}
pub(super) use submits;

/// Does the work to its end although the client hangs up.
pub(super) async fn run(work: impl Future<Output = Result<Answer, Answer>> + Send + 'static) -> Answer {
    let done = detach(async move { Ok(work.await.unwrap_or_else(identity)) }).await;
    done.unwrap_or_else(|problem| Answer::new(Code::Failure, problem.detail()))
}

impl Call {
    /// What the caller wants to get back.
    pub(super) fn echo(&self, state: Option<String>, hook: Option<String>) -> Result<Echo, Answer> {
        body::echo(&self.app, state, hook)
    }

    /// Draws from a prompt that is one task.
    pub(super) async fn imagine(&self, wish: Imagine) -> Result<Answer, Answer> {
        let gateway = &self.app.gateway;
        let check = gateway.check_prompt(&wish.prompt, wish.version.as_deref())?;
        if check.jobs.len() > 1 {
            let tasks = check.jobs.len();
            let detail = format!(
                "permutations and repeats make it {tasks} tasks; a submit is one, so send them apart"
            );
            return Err(Answer::field("prompt", &detail));
        }
        Ok(self.accepted(gateway.imagine(wish).await?).await)
    }

    /// Does anything else.
    pub(super) async fn act(&self, act: Act) -> Result<Answer, Answer> {
        Ok(self.accepted(self.app.gateway.act(act).await?).await)
    }

    /// Tells what a submit became, and has its changes posted where that is wanted.
    async fn accepted(&self, accepted: Accepted) -> Answer {
        let Some(job) = accepted.jobs.first() else {
            return Error::new(ErrorKind::Internal, "a request became no job").into();
        };
        notify::follow(&self.app, job, self.signer.clone());
        let answer = |code, description| {
            Answer::new(code, description)
                .with_result(window::name(job))
                .with_property("discordInstanceId", job.account.as_str())
        };
        // How many wait is a courtesy; the task is on disk whether it can be told or not.
        let counts = self.app.gateway.counts().await.unwrap_or_default();
        match counts.pending.saturating_sub(1) {
            _ if accepted.replayed => answer(Code::Existed, "it was submitted before".to_owned()),
            0 => answer(Code::Success, "accepted".to_owned()),
            ahead => answer(Code::InQueue, format!("accepted; {ahead} wait before it"))
                .with_property("numberOfQueues", ahead),
        }
    }
}

/// The job behind a task's id.
pub(super) fn job_of(id: &str) -> Result<JobId, Answer> {
    let id: Result<TaskId, _> = id.parse();
    id.map(|id| id.job()).map_err(|_| no_task())
}

/// The answer to an id that names no task.
pub(super) fn no_task() -> Answer {
    Answer::not_found("there is no such task")
}
