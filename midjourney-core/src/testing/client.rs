use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::Gauge;
use crate::{
    client::{Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    clock::Timestamp,
    error::{Applied, BoxError},
    id::JobId,
    image::{ByteStream, ImageKind},
    job::{
        Action, Capabilities, Failure, FailureKind, JobRequest, Nonce, RemoteImage, RemoteResult,
        RemoteStatus, UpstreamId,
    },
    key::Secret,
    webhook::{Authenticity, Incoming},
};

/// A call that fails, as a value: a [`ClientError`] can be made from it as often as needed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// What is told.
    pub failure: Failure,
    /// Whether it may have taken effect.
    pub applied: Applied,
    /// Whether the same call may pass later.
    pub retry: bool,
    /// How long to wait, where that is told.
    pub retry_after: Option<Duration>,
}

impl Trouble {
    /// Refused for good; nothing happened.
    pub const fn refused(failure: Failure) -> Self {
        Self {
            failure,
            applied: Applied::No,
            retry: false,
            retry_after: None,
        }
    }

    /// Not now; nothing happened.
    pub const fn not_now(failure: Failure, retry_after: Option<Duration>) -> Self {
        Self {
            failure,
            applied: Applied::No,
            retry: true,
            retry_after,
        }
    }

    /// The answer was lost.
    pub const fn lost(failure: Failure) -> Self {
        Self {
            failure,
            applied: Applied::Maybe,
            retry: true,
            retry_after: None,
        }
    }

    /// A passing failure of the network.
    pub fn passing() -> Self {
        Self::not_now(Failure::new(FailureKind::Transient, "the network hiccuped"), None)
    }
}

impl From<Trouble> for ClientError {
    fn from(trouble: Trouble) -> Self {
        let Trouble {
            failure,
            applied,
            retry,
            retry_after,
        } = trouble;
        let mut error = match applied {
            Applied::Maybe => Self::lost(failure),
            Applied::No if retry => Self::not_now(failure, None),
            Applied::No => Self::refused(failure),
        };
        error.retry = retry;
        error.retry_after = retry_after;
        error
    }
}

/// What one submit comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitOutcome {
    /// Accepted, and told so.
    Accept,
    /// Not accepted.
    Fail(Trouble),
    /// The request was lost on its way: not accepted, but the caller cannot know.
    LostBefore,
    /// Accepted, but the answer was lost on its way back.
    LostAfter,
    /// Not accepted; the call never returns.
    HangBefore,
    /// Accepted; the call never returns.
    HangAfter,
    /// Accepted; the client panics over the answer.
    PanicAfter,
}

/// What one fetch of a picture comes to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FetchOutcome {
    /// These bytes.
    Bytes(Bytes),
    /// A file of so many bytes, piece by piece.
    Long(Gauge, usize),
    /// These bytes, and then the line breaks.
    Cut(Bytes),
    /// No bytes.
    Fail(Trouble),
    /// The client panics over the first of them.
    Panic,
}

#[derive(Clone, Debug)]
struct Task {
    submission: Submission,
    statuses: VecDeque<Result<RemoteStatus, Trouble>>,
    polls: usize,
    cancelled: bool,
}

#[derive(Debug, Default)]
struct State {
    capabilities: Capabilities,
    check: Option<Failure>,
    submits: Vec<Submission>,
    outcomes: VecDeque<SubmitOutcome>,
    reconciles: VecDeque<Result<Reconciliation, Trouble>>,
    reconciled: usize,
    script: Vec<Result<RemoteStatus, Trouble>>,
    cancels: VecDeque<Result<bool, Trouble>>,
    confirms: VecDeque<Result<(), Trouble>>,
    confirmed: usize,
    fetches: VecDeque<FetchOutcome>,
    fetched: usize,
    order: Vec<UpstreamId>,
    tasks: HashMap<UpstreamId, Task>,
}

/// An upstream that follows a script and keeps the books: every accepted submit counts as paid.
///
/// Without a script it accepts everything, says `Waiting`, `Running` and then `Succeeded` with four pictures, and gives
/// a small PNG for each. Scripts for submits, reconciles, cancels and fetches are queues, used up call by call; an
/// empty queue means the friendly answer. The script of statuses is followed by each task from its start, and its last
/// line repeats.
#[derive(Debug)]
pub struct FakeClient {
    state: Mutex<State>,
    signs: bool,
}

impl FakeClient {
    /// A friendly upstream that can cancel, and neither repeat nor look up a submit.
    pub fn new() -> Self {
        let capabilities = Capabilities {
            cancel: true,
            ..Capabilities::default()
        };
        let state = State {
            capabilities,
            script: vec![
                Ok(RemoteStatus::Waiting),
                Ok(RemoteStatus::Running { progress: Some(50) }),
                Ok(Self::succeeded(4)),
            ],
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            signs: false,
        }
    }

    /// The header that proves its callbacks, where it signs them.
    pub const SIGNATURE: &str = "x-fake-signature";

    /// The same, signing its callbacks.
    pub const fn signing(mut self) -> Self {
        self.signs = true;
        self
    }

    /// The same, able to do this.
    pub fn with_capabilities(self, capabilities: Capabilities) -> Self {
        self.state().capabilities = capabilities;
        self
    }

    /// A finished task with `pictures` single pictures.
    pub fn succeeded(pictures: u8) -> RemoteStatus {
        let image = |index| {
            RemoteImage::new(
                format!("https://fake.invalid/{index}.png"),
                ImageKind::Single,
                index,
            )
        };
        RemoteStatus::Succeeded(RemoteResult::new((1..=pictures).map(image).collect()))
    }

    /// Refuses every submission at [`check`](MidjourneyClient::check), or none.
    pub fn refuse_check(&self, failure: Option<Failure>) {
        self.state().check = failure;
    }

    /// What the next submits come to.
    pub fn script_submits(&self, outcomes: impl IntoIterator<Item = SubmitOutcome>) {
        self.state().outcomes.extend(outcomes);
    }

    /// What the next reconciles come to, instead of the truth.
    pub fn script_reconciles(&self, answers: impl IntoIterator<Item = Result<Reconciliation, Trouble>>) {
        self.state().reconciles.extend(answers);
    }

    /// What every task accepted from now on says, poll by poll.
    pub fn script_statuses(&self, statuses: impl IntoIterator<Item = Result<RemoteStatus, Trouble>>) {
        self.state().script = statuses.into_iter().collect();
    }

    /// What the next answers to windows come to.
    pub fn script_confirms(&self, answers: impl IntoIterator<Item = Result<(), Trouble>>) {
        self.state().confirms.extend(answers);
    }

    /// How often a window was answered, or nobody knows whether it was.
    pub fn confirmed(&self) -> usize {
        self.state().confirmed
    }

    /// What the next cancels come to. An `Ok(true)` stops the task.
    pub fn script_cancels(&self, answers: impl IntoIterator<Item = Result<bool, Trouble>>) {
        self.state().cancels.extend(answers);
    }

    /// What the next fetches come to.
    pub fn script_fetches(&self, outcomes: impl IntoIterator<Item = FetchOutcome>) {
        self.state().fetches.extend(outcomes);
    }

    /// How many tasks were accepted, which is how often somebody paid.
    pub fn paid(&self) -> usize {
        self.state().order.len()
    }

    /// How many tasks of `job` were accepted.
    pub fn paid_for(&self, job: JobId) -> usize {
        self.count_tasks(|submission| submission.job == job)
    }

    /// How many tasks under `nonce` were accepted.
    pub fn paid_under(&self, nonce: &Nonce) -> usize {
        self.count_tasks(|submission| submission.nonce == *nonce)
    }

    /// Every submission that was sent, accepted or not, in order.
    pub fn submits(&self) -> Vec<Submission> {
        self.state().submits.clone()
    }

    /// The accepted tasks, in order.
    pub fn tasks(&self) -> Vec<UpstreamId> {
        self.state().order.clone()
    }

    /// How often `id` was asked for.
    pub fn polls(&self, id: &UpstreamId) -> usize {
        self.state().tasks.get(id).map_or(0, |task| task.polls)
    }

    /// How often a lost submit was looked for.
    pub fn reconciles(&self) -> usize {
        self.state().reconciled
    }

    /// How often a picture was asked for.
    pub fn fetches(&self) -> usize {
        self.state().fetched
    }

    /// Whether the task was stopped.
    pub fn was_cancelled(&self, id: &UpstreamId) -> bool {
        self.state().tasks.get(id).is_some_and(|task| task.cancelled)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_tasks(&self, wanted: impl Fn(&Submission) -> bool) -> usize {
        let state = self.state();
        state
            .tasks
            .values()
            .filter(|task| wanted(&task.submission))
            .count()
    }
}

impl Default for FakeClient {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn find(&self, nonce: &Nonce) -> Option<UpstreamId> {
        self.order
            .iter()
            .find(|id| {
                self.tasks
                    .get(*id)
                    .is_some_and(|task| task.submission.nonce == *nonce)
            })
            .cloned()
    }

    fn accept(&mut self, submission: &Submission) -> UpstreamId {
        if self.capabilities.idempotent_submit
            && let Some(known) = self.find(&submission.nonce)
        {
            return known;
        }
        let id = UpstreamId::new(format!("task-{}", self.order.len() + 1));
        let task = Task {
            submission: submission.clone(),
            statuses: self.script.iter().cloned().collect(),
            polls: 0,
            cancelled: false,
        };
        self.order.push(id.clone());
        self.tasks.insert(id.clone(), task);
        id
    }
}

fn lost() -> ClientError {
    ClientError::lost(Failure::new(
        FailureKind::Transient,
        "the connection broke before the answer came",
    ))
}

fn is_over(status: &RemoteStatus) -> bool {
    matches!(
        status,
        RemoteStatus::Succeeded(_) | RemoteStatus::Failed(_) | RemoteStatus::Cancelled
    )
}

#[async_trait]
impl MidjourneyClient for FakeClient {
    fn upstream(&self) -> &'static str {
        "fake"
    }

    fn capabilities(&self) -> Capabilities {
        self.state().capabilities
    }

    fn supports(&self, _action: Action) -> bool {
        true
    }

    fn check(&self, _request: &JobRequest, _parent: Option<&ParentTask>) -> Result<(), Failure> {
        self.state().check.clone().map_or(Ok(()), Err)
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let (answer, hangs) = {
            let mut state = self.state();
            state.submits.push(submission.clone());
            match state.outcomes.pop_front().unwrap_or(SubmitOutcome::Accept) {
                SubmitOutcome::Accept => (Ok(state.accept(submission)), false),
                SubmitOutcome::Fail(trouble) => (Err(trouble.into()), false),
                SubmitOutcome::LostBefore => (Err(lost()), false),
                SubmitOutcome::LostAfter => {
                    state.accept(submission);
                    (Err(lost()), false)
                }
                SubmitOutcome::HangBefore => (Err(lost()), true),
                SubmitOutcome::HangAfter => (Ok(state.accept(submission)), true),
                #[expect(clippy::panic, reason = "as scripted")]
                SubmitOutcome::PanicAfter => {
                    state.accept(submission);
                    drop(state);
                    panic!("as scripted")
                }
            }
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        answer
    }

    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError> {
        let mut state = self.state();
        state.reconciled += 1;
        if let Some(answer) = state.reconciles.pop_front() {
            return Ok(answer?);
        }
        Ok(state
            .find(&submission.nonce)
            .map_or(Reconciliation::Absent, Reconciliation::Found))
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        let mut state = self.state();
        let Some(task) = state.tasks.get_mut(id) else {
            return Ok(RemoteStatus::Missing);
        };
        task.polls += 1;
        if task.cancelled {
            return Ok(RemoteStatus::Cancelled);
        }
        let status = if task.statuses.len() > 1 {
            task.statuses.pop_front()
        } else {
            task.statuses.front().cloned()
        };
        Ok(status.unwrap_or(Ok(RemoteStatus::Waiting))?)
    }

    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError> {
        let mut state = self.state();
        let scripted = state.cancels.pop_front();
        let Some(task) = state.tasks.get_mut(id) else {
            return Ok(false);
        };
        let over = task.cancelled
            || task
                .statuses
                .front()
                .is_some_and(|next| task.statuses.len() == 1 && next.as_ref().is_ok_and(is_over));
        let stops = scripted.unwrap_or(Ok(!over))?;
        task.cancelled |= stops;
        Ok(stops)
    }

    async fn confirm(&self, _id: &UpstreamId, _submission: &Submission) -> Result<(), ClientError> {
        let mut state = self.state();
        let answer = state.confirms.pop_front().unwrap_or(Ok(()));
        let may_have = answer
            .as_ref()
            .map_or_else(|trouble| trouble.applied == Applied::Maybe, |()| true);
        state.confirmed += usize::from(may_have);
        answer.map_err(ClientError::from)
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        let outcome = {
            let mut state = self.state();
            state.fetched += 1;
            state.fetches.pop_front()
        };
        let pieces: Vec<Result<Bytes, BoxError>> = match outcome {
            None => vec![Ok(tiny_png(image.index))],
            Some(FetchOutcome::Bytes(bytes)) => vec![Ok(bytes)],
            Some(FetchOutcome::Long(gauge, length)) => return Ok(gauge.png(length)),
            Some(FetchOutcome::Cut(bytes)) => vec![Ok(bytes), Err("the line broke".into())],
            Some(FetchOutcome::Fail(trouble)) => return Err(trouble.into()),
            #[expect(clippy::panic, reason = "as scripted")]
            Some(FetchOutcome::Panic) => return Ok(stream::once(async { panic!("as scripted") }).boxed()),
        };
        Ok(stream::iter(pieces).boxed())
    }

    /// The body is the name of a task, as text.
    /// The header [`FakeClient::SIGNATURE`] holds the time in milliseconds, or nothing, after the word `good`.
    fn authenticate(&self, incoming: &Incoming, _address: Option<&Secret>) -> Authenticity {
        if !self.signs {
            return Authenticity::Unsigned;
        }
        let signature = incoming.headers.get(Self::SIGNATURE);
        match signature.and_then(|signature| signature.strip_prefix("good")) {
            None => Authenticity::Forged,
            Some("") => Authenticity::Signed { at: None },
            Some(time) => time
                .trim()
                .parse()
                .map_or(Authenticity::Forged, |millis| Authenticity::Signed {
                    at: Some(Timestamp::from_millis(millis)),
                }),
        }
    }

    /// The task's id, and perhaps its progress or the word `done`.
    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        let bad = || ClientError::refused(Failure::new(FailureKind::BadAnswer, "the body names no task"));
        let text = std::str::from_utf8(body).map_err(|_| bad())?;
        let (id, claim) = text.split_once(' ').unwrap_or((text, ""));
        if id.is_empty() {
            return Err(bad());
        }
        let status = match claim {
            "done" => Self::succeeded(4),
            other => RemoteStatus::Running {
                progress: other.parse().ok(),
            },
        };
        Ok(Callback::new(UpstreamId::new(id), None, status))
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A valid PNG of one grey pixel; another one for another shade.
pub fn tiny_png(shade: u8) -> Bytes {
    // A zlib stream with one stored block: the filter byte and the pixel.
    let (a, b) = (1 + u32::from(shade), 2 + u32::from(shade));
    let mut data = vec![0x78, 0x01, 0x01, 2, 0, 0xfd, 0xff, 0, shade];
    data.extend(((b << 16) | a).to_be_bytes());
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    for (name, body) in [(b"IHDR", &header[..]), (b"IDAT", &data), (b"IEND", &[])] {
        png.extend(u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
        let checked = [&name[..], body].concat();
        png.extend(&checked);
        png.extend(crc32(&checked).to_be_bytes());
    }
    png.into()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::{
        image::{MediaType, sniff},
        testing::{SeededEntropy, given::job_id},
    };

    fn submission(number: u64) -> Submission {
        let nonce = Nonce::new(&SeededEntropy::new(number));
        Submission::new(job_id(number), nonce, JobRequest::imagine("fox"))
    }

    #[tokio::test]
    async fn every_acceptance_is_paid_whether_the_answer_comes_or_not() {
        let client = FakeClient::new();
        let refused = Trouble::refused(Failure::new(FailureKind::Moderated, "no"));
        client.script_submits([
            SubmitOutcome::LostBefore,
            SubmitOutcome::LostAfter,
            SubmitOutcome::Fail(refused.clone()),
            SubmitOutcome::Fail(Trouble::passing()),
            SubmitOutcome::Accept,
        ]);
        let one = submission(1);
        let answers = [
            client.submit(&one).await,
            client.submit(&one).await,
            client.submit(&one).await,
            client.submit(&one).await,
        ];
        let told: Vec<_> = answers
            .iter()
            .map(|answer| {
                let error = answer.as_ref().unwrap_err();
                (error.applied, error.retry)
            })
            .collect();
        let (no, maybe) = (Applied::No, Applied::Maybe);
        assert_eq!(told, [(maybe, true), (maybe, true), (no, false), (no, true)]);
        assert_eq!(client.paid_for(job_id(1)), 1);
        assert_eq!(client.paid_under(&one.nonce), 1);
        client.submit(&submission(2)).await.unwrap();
        client.submit(&submission(2)).await.unwrap();
        assert_eq!((client.paid_for(job_id(2)), client.paid()), (2, 3));
        assert_eq!(client.submits().len(), 6);
        assert_eq!(
            client.reconcile(&one).await.unwrap(),
            Reconciliation::Found(client.tasks()[0].clone())
        );
        assert_eq!(
            client.reconcile(&submission(3)).await.unwrap(),
            Reconciliation::Absent
        );
    }

    #[tokio::test]
    async fn an_upstream_that_can_repeat_a_submit_is_paid_once_per_mark() {
        let client = FakeClient::new().with_capabilities(Capabilities {
            idempotent_submit: true,
            ..Capabilities::default()
        });
        let first = client.submit(&submission(1)).await.unwrap();
        assert_eq!(client.submit(&submission(1)).await.unwrap(), first);
        assert_eq!((client.paid(), client.submits().len()), (1, 2));
    }

    #[tokio::test]
    async fn each_task_follows_the_script_and_its_last_line_repeats() {
        let client = FakeClient::new();
        let two = [
            client.submit(&submission(1)).await,
            client.submit(&submission(2)).await,
        ];
        for id in two.map(Result::unwrap) {
            assert_eq!(client.status(&id).await.unwrap(), RemoteStatus::Waiting);
            client.status(&id).await.unwrap();
            for _ in 0..2 {
                assert_eq!(client.status(&id).await.unwrap(), FakeClient::succeeded(4));
            }
            assert_eq!(client.polls(&id), 4);
            assert!(!client.cancel(&id).await.unwrap(), "it is over");
        }
        let third = client.submit(&submission(3)).await.unwrap();
        assert!(client.cancel(&third).await.unwrap());
        assert!(client.was_cancelled(&third));
        assert_eq!(client.status(&third).await.unwrap(), RemoteStatus::Cancelled);
        let unheard_of = UpstreamId::new("x");
        assert_eq!(client.status(&unheard_of).await.unwrap(), RemoteStatus::Missing);
    }

    #[tokio::test]
    async fn pictures_are_png_files_and_differ() {
        let client = FakeClient::new();
        let mut seen = Vec::new();
        for index in 1..=4 {
            let image = RemoteImage::new("https://fake.invalid/x.png", ImageKind::Single, index);
            let bytes: Vec<Bytes> = client.fetch(&image).await.unwrap().try_collect().await.unwrap();
            let bytes = bytes.concat();
            let sniffed = sniff(&bytes).unwrap();
            assert_eq!((sniffed.media_type, sniffed.size), (MediaType::Png, Some((1, 1))));
            assert!(!seen.contains(&bytes));
            seen.push(bytes);
        }
        assert_eq!(client.fetches(), 4);
    }

    #[test]
    fn a_callback_names_a_task() {
        let client = FakeClient::new();
        assert_eq!(
            client.parse_callback(b"task-1").unwrap().upstream.as_str(),
            "task-1"
        );
        assert!(client.parse_callback(b"").is_err());
        assert!(client.parse_callback(b"\xff").is_err());
    }
}
