//! The calls to the upstream, each turned into the [`Input`] it amounts to.

use std::sync::Arc;

use tracing::{info, warn};

use super::{
    Parts, guard,
    pictures::{self, Unready},
};
use crate::{
    accounts::Signal,
    client::{ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    error::{Applied, Chain},
    job::{
        Failure, FailureKind, ImageQuery, Input, Job, JobStoreExt as _, Nonce, ParentRef, RemoteStatus,
        StoreError, UpstreamId,
    },
    key::Secret,
    prompt::{self, Speed},
};

/// What must be sent for `job` under `nonce`, its pictures ready. The error is what that means for a job which waits to
/// be submitted.
pub(super) async fn submission(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    nonce: &Nonce,
) -> Result<Submission, Input> {
    let parent = match job.request.parent {
        None => None,
        Some(parent) => Some(parent_task(parts, parent).await?),
    };
    let unready = |unready: Unready| match unready {
        Unready { failure, retry: true } => Input::NotAccepted { failure, after: None },
        Unready { failure, .. } => Input::Refused(failure),
    };
    let (images, mask) = pictures::ready(parts, client, &job.request)
        .await
        .map_err(unready)?;
    let callback = callback_for(parts, job, nonce);
    let slowed = if parts.accounts.is_relaxed(&job.account, parts.clock.now()) {
        let account = parts.accounts.get(&job.account);
        account.and_then(|account| account.slowed(&job.request, parent.as_ref()))
    } else {
        None
    };
    let request = slowed.unwrap_or_else(|| job.request.clone());
    Ok(Submission::new(job.id, nonce.clone(), request)
        .with_parent(parent)
        .with_pictures(images, mask)
        .with_callback(callback))
}

fn callback_for(parts: &Parts, job: &Job, nonce: &Nonce) -> Option<Secret> {
    let registration = parts.callback.as_ref()?;
    Some(registration.url_for(job.id, nonce))
}

async fn parent_task(parts: &Parts, parent: ParentRef) -> Result<ParentTask, Input> {
    let refused = |message: &str| Input::Refused(Failure::new(FailureKind::Unsupported, message));
    let read = async {
        let job = parts.jobs.get(parent.job).await?;
        let images = parts.jobs.images(&ImageQuery::of(parent.job)).await?.items;
        Ok(ParentTask::of(&job, &images, parent.index))
    };
    match read.await {
        Ok(task) => task.ok_or_else(|| refused("the parent job is not completed")),
        Err(StoreError::NoSuchJob(_)) => Err(refused("the parent job no longer exists")),
        Err(error) => {
            warn!(error = %Chain(&error), "the parent job could not be read");
            Err(Input::NotAccepted {
                failure: Failure::new(FailureKind::Transient, "the parent job could not be read"),
                after: None,
            })
        }
    }
}

/// Sends the submit. The only call that costs money; made once for each committed intent.
pub(super) async fn submit(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    submission: &Submission,
) -> Input {
    let answer = guard::answer(client.submit(submission)).await;
    if let Err(error) = &answer
        && error.failure.kind == FailureKind::QuotaExhausted
        && error.applied == Applied::No
        && prompt::speed(&submission.request.prompt) != Some(Speed::Relax)
        && parts.accounts.slow_down(&job.account, parts.clock.now())
    {
        log(client, "submit", error);
        let failure = error.failure.clone();
        let account = parts.accounts.get(&job.account);
        let slowed = account.and_then(|it| it.slowed(&submission.request, submission.parent.as_ref()));
        return match slowed {
            Some(_) => Input::NotAccepted { failure, after: None },
            None => Input::Refused(failure),
        };
    }
    note(parts, job, Signal::Answered, &answer);
    match answer {
        Ok(upstream) => {
            info!(upstream = client.upstream(), task = %upstream, "accepted by the upstream");
            Input::Accepted { upstream }
        }
        Err(error) => {
            log(client, "submit", &error);
            match error {
                ClientError {
                    applied: Applied::Maybe,
                    failure,
                    ..
                } => Input::AnswerLost(failure),
                ClientError {
                    retry: true,
                    failure,
                    retry_after,
                    ..
                } => Input::NotAccepted {
                    failure,
                    after: retry_after,
                },
                ClientError { failure, .. } => Input::Refused(failure),
            }
        }
    }
}

/// Looks for a submit whose answer was lost.
pub(super) async fn reconcile(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    nonce: &Nonce,
) -> Input {
    // Its marks alone: pictures may be gone by now, and their absence must not hide what was paid.
    let callback = callback_for(parts, job, nonce);
    let submission = Submission::new(job.id, nonce.clone(), job.request.clone()).with_callback(callback);
    let answer = guard::answer(client.reconcile(&submission)).await;
    note(parts, job, Signal::Told, &answer);
    match answer {
        Ok(Reconciliation::Found(upstream)) => Input::Accepted { upstream },
        Ok(Reconciliation::Absent) => Input::Absent,
        Ok(Reconciliation::Unknown) => Input::Inconclusive,
        Err(error) => {
            log(client, "reconcile", &error);
            Input::Inconclusive
        }
    }
}

/// Asks how the task is doing.
pub(super) async fn poll(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    upstream: &UpstreamId,
) -> Input {
    let answer = guard::answer(client.status(upstream)).await;
    note(parts, job, Signal::Told, &answer);
    match answer {
        Ok(status) => {
            // A task's own failure may be the account's, such as a ban.
            if let RemoteStatus::Failed(failure) = &status {
                let now = parts.clock.now();
                let signal = Signal::of(failure, None);
                parts
                    .accounts
                    .note(&job.account, signal, Some(&failure.message), now);
            }
            Input::Observed(status)
        }
        Err(error) => {
            log(client, "status", &error);
            Input::PollFailed {
                failure: error.failure,
                after: error.retry_after,
            }
        }
    }
}

/// Answers the window that the task opened.
pub(super) async fn confirm(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    upstream: &UpstreamId,
    submission: &Submission,
) -> Input {
    let answer = guard::answer(client.confirm(upstream, submission)).await;
    note(parts, job, Signal::Answered, &answer);
    match answer {
        Ok(()) => Input::Confirmed,
        Err(error) => {
            log(client, "confirm", &error);
            match error.applied {
                Applied::Maybe => Input::ConfirmLost(error.failure),
                Applied::No => Input::ConfirmFailed {
                    failure: error.failure,
                    retry: error.retry,
                },
            }
        }
    }
}

/// Asks for new links, the old ones having `died`; `some` pictures may be there already.
pub(super) async fn renew(
    client: &Arc<dyn MidjourneyClient>,
    upstream: &UpstreamId,
    died: Failure,
    some: bool,
) -> Input {
    match guard::answer(client.status(upstream)).await {
        Ok(RemoteStatus::Succeeded(result)) if !result.is_empty() => Input::Renewed(result),
        Ok(_) => Input::StoreFailed {
            failure: died,
            retry: false,
            some,
        },
        Err(error) => {
            log(client, "status", &error);
            Input::StoreFailed {
                failure: died,
                retry: error.retry,
                some,
            }
        }
    }
}

/// Tells the upstream to stop.
pub(super) async fn cancel(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    upstream: &UpstreamId,
) -> Input {
    if !client.capabilities().cancel {
        return Input::CancelFailed {
            failure: Failure::new(
                FailureKind::Unsupported,
                "this upstream cannot cancel a task; it may finish there and be charged",
            ),
            retry: false,
        };
    }
    let answer = guard::answer(client.cancel(upstream)).await;
    note(parts, job, Signal::Told, &answer);
    match answer {
        Ok(true) => Input::CancelDone,
        Ok(false) => Input::CancelTooLate,
        Err(error) => {
            log(client, "cancel", &error);
            Input::CancelFailed {
                failure: error.failure,
                retry: error.retry,
            }
        }
    }
}

/// What a call says about the account that it was made with; `good` if it went well.
fn note<T>(parts: &Parts, job: &Job, good: Signal, answer: &Result<T, ClientError>) {
    let signal = match answer {
        Ok(_) => good,
        Err(error) if error.failure.kind == FailureKind::TimedOut => Signal::Hung,
        Err(error) => Signal::of(&error.failure, error.retry_after),
    };
    let why = answer.as_ref().err().map(|error| &*error.failure.message);
    parts.accounts.note(&job.account, signal, why, parts.clock.now());
}

fn log(client: &Arc<dyn MidjourneyClient>, call: &'static str, error: &ClientError) {
    warn!(upstream = client.upstream(), call, error = %Chain(error), "the upstream did not do it");
}
