use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use midjourney_core::{
    client::{Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    error::Applied,
    image::ByteStream,
    job::{
        Action, Capabilities, Failure, FailureKind, JobRequest, RemoteImage, RemoteStatus, Spent, UpstreamId,
    },
    testing::client_suite::{CASES, ClientBench},
};

use crate::simulator_bench::{Bench, Counted};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    CallsRefusalLost,
    CallsEverythingTransient,
    CancelsNothing,
    ChecksNothing,
    GivesPagesForPictures,
    KnowsEveryTask,
    ProgressBeyond100,
    SaysItHasVideos,
    SubmitsTwice,
    TakesAnyCallback,
    TakesFullQueueForEnd,
    TakesGarbageForSuccess,
    TakesVanishedForWaiting,
    TellsOneIdForAll,
}

/// The simulator's client with one thing wrong.
#[derive(Debug)]
struct Broken {
    fault: Fault,
    inner: Arc<Counted>,
}

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

#[async_trait]
impl MidjourneyClient for Broken {
    fn upstream(&self) -> &'static str {
        "broken"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn supports(&self, action: Action) -> bool {
        self.has(Fault::SaysItHasVideos) || self.inner.supports(action)
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        if self.has(Fault::ChecksNothing) {
            return Ok(());
        }
        self.inner.check(request, parent)
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let answer = self.inner.submit(submission).await;
        match (self.fault, answer) {
            (Fault::SubmitsTwice, _) => self.inner.submit(submission).await,
            (Fault::TellsOneIdForAll, Ok(_)) => Ok(UpstreamId::new("1")),
            (Fault::CallsRefusalLost, Err(error)) => {
                Err(ClientError::lost(error.failure.with_spent(Spent::Maybe)))
            }
            (Fault::CallsEverythingTransient, Err(mut error)) => {
                error.failure.kind = FailureKind::Transient;
                Err(error)
            }
            (Fault::TakesGarbageForSuccess, Err(error)) if error.applied == Applied::Maybe => {
                Ok(UpstreamId::new("<html>"))
            }
            (Fault::TakesFullQueueForEnd, Err(mut error)) => {
                error.retry = false;
                Err(error)
            }
            (_, answer) => answer,
        }
    }

    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError> {
        self.inner.reconcile(submission).await
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        let status = self.inner.status(id).await?;
        Ok(match (self.fault, status) {
            (Fault::KnowsEveryTask | Fault::TakesVanishedForWaiting, RemoteStatus::Missing) => {
                RemoteStatus::Waiting
            }
            (Fault::ProgressBeyond100, RemoteStatus::Running { .. }) => {
                RemoteStatus::Running { progress: Some(101) }
            }
            (Fault::CallsEverythingTransient, RemoteStatus::Failed(failure)) => {
                let mut failure = failure.with_spent(Spent::No);
                failure.kind = FailureKind::Transient;
                RemoteStatus::Failed(failure)
            }
            (_, status) => status,
        })
    }

    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError> {
        if self.has(Fault::CancelsNothing) {
            return Ok(false);
        }
        self.inner.cancel(id).await
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        if self.has(Fault::GivesPagesForPictures) {
            let page = bytes::Bytes::from_static(b"<html>");
            return Ok(futures_util::stream::iter([Ok(page)]).boxed());
        }
        self.inner.fetch(image).await
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        if self.has(Fault::TakesAnyCallback) {
            let id = UpstreamId::new(String::from_utf8_lossy(body));
            return Ok(Callback::new(id, None, RemoteStatus::Waiting));
        }
        self.inner.parse_callback(body)
    }
}

fn reference() -> Arc<dyn ClientBench> {
    Arc::new(Bench::new(|counted| counted))
}

fn broken(fault: Fault) -> Arc<dyn ClientBench> {
    Arc::new(Bench::new(|inner| Arc::new(Broken { fault, inner })))
}

super::bites! {
    client_suite, reference, broken;
    a_refusal_called_lost: CallsRefusalLost => [a_refusal_is_not_paid, a_full_queue_is_not_now],
    everything_transient: CallsEverythingTransient => [moderation_is_told_as_such, a_task_that_fails_says_so],
    nothing_cancelled: CancelsNothing => [a_cancelled_task_stops],
    nothing_checked: ChecksNothing => [
        an_unsupported_action_is_refused_before_spending,
        a_follow_up_of_nothing_is_refused_before_spending
    ],
    pages_for_pictures: GivesPagesForPictures => [imagine_gives_pictures],
    every_task_known: KnowsEveryTask => [an_unknown_task_is_missing],
    progress_beyond_100: ProgressBeyond100 => [progress_rises_to_100_and_not_beyond],
    videos_that_are_not_there: SaysItHasVideos => [every_supported_action_gives_its_result],
    submitted_twice: SubmitsTwice => [an_accepted_submit_is_paid_once],
    any_callback_taken: TakesAnyCallback => [a_callback_of_garbage_is_refused],
    a_full_queue_taken_for_the_end: TakesFullQueueForEnd => [a_full_queue_is_not_now],
    garbage_taken_for_success: TakesGarbageForSuccess => [a_lost_answer_is_maybe],
    a_vanished_task_waits: TakesVanishedForWaiting => [a_task_that_vanishes_is_missing],
    one_id_for_all: TellsOneIdForAll => [submits_at_once_are_told_apart],
}

#[test]
fn every_case_bites() {
    // What goes wrong on a wire only: the simulator has none.
    let spared = [
        "a_breakdown_after_a_submit_is_maybe",
        "a_dead_link_is_replaced_once_asked",
        "a_dripping_answer_is_cut",
        "a_huge_answer_is_not_kept",
        "a_lost_submit_is_found_by_its_mark",
        "a_spoiled_answer_about_a_task_changes_nothing",
        "an_account_without_credit_is_told_as_such",
        "callbacks_name_their_task",
        "garbage_for_an_answer_is_maybe",
        "half_an_answer_is_maybe",
        "no_secret_is_in_any_error",
        "too_many_requests_wait_as_long_as_is_asked",
    ];
    super::assert_all_bite(CASES, CAUGHT_BY, &spared);
}
