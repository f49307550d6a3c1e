//! What a [`MidjourneyClient`] must do, case by case. Run by [`client_suite!`](crate::client_suite).

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::task::JoinSet;

use super::{Case, given, tiny_png};
use crate::{
    client::{ClientError, InputPicture, MidjourneyClient, ParentTask, Reconciliation, Submission},
    clock::OsEntropy,
    error::{Applied, Chain},
    id::JobId,
    image::{ImageKind, MediaType, sniff},
    job::{
        Action, FailureKind, InputImage, JobRequest, Need, Nonce, ParentRef, PictureForm, RemoteImage,
        RemoteResult, RemoteStatus, Spent, UpscaleMode, UpstreamId,
    },
    key::Secret,
};

/// How something goes wrong at the upstream, or on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mishap {
    /// The submit is refused: forbidden content.
    Moderated,
    /// The submit is refused: it cannot be read.
    Invalid,
    /// The submit is turned away: the queue is full.
    QueueFull,
    /// The submit is turned away: no credit is left.
    NoCredit,
    /// The call is turned away, with a time to wait.
    RateLimited,
    /// The answer never comes. A submit was accepted.
    Lost,
    /// Half of the answer comes. A submit was accepted.
    Half,
    /// The answer is a web page. A submit was accepted.
    NotJson,
    /// The answer is a breakdown (HTTP 5xx). A submit was accepted.
    Breakdown,
    /// The answer is longer than anybody reads. A submit was accepted.
    Huge,
    /// The answer comes byte by byte. A submit was accepted.
    Drip,
    /// The answer is a breakdown that repeats the key and the callback address. A submit was accepted.
    Echo,
    /// The task fails halfway: forbidden content.
    TaskModerated,
    /// The task fails for another reason.
    TaskFails,
    /// The task is not known any more after a while.
    TaskVanishes,
    /// The links to the finished pictures are dead until the task is asked about once more.
    DeadLinks,
}

/// An upstream that does as it is told, with a client for it.
pub trait ClientBench: fmt::Debug + Send + Sync + 'static {
    /// The client that is tested; the same one each time.
    fn client(&self) -> Arc<dyn MidjourneyClient>;

    /// Makes the next submit go wrong so; `false` where that does not happen at this upstream.
    fn spoil_submit(&self, mishap: Mishap) -> bool;

    /// Makes the next answer to a question about a task go wrong so; `false` where that does not happen.
    fn spoil_question(&self, mishap: Mishap) -> bool;

    /// How many tasks were started, and so are paid.
    fn paid(&self) -> usize;

    /// How many requests came that were to start a task, the refused ones too.
    fn submits(&self) -> usize;

    /// How long a task takes.
    fn duration(&self) -> Duration;

    /// Lets the upstream's time pass.
    fn advance(&self, span: Duration);

    /// The key that the client was given; must show nowhere.
    fn secret(&self) -> Option<&'static str> {
        None
    }

    /// What the task that was started last does, in the words of [`Action`], and to which picture; `None` where nobody
    /// tells.
    fn done(&self) -> Option<(String, u8)> {
        None
    }

    /// Where callbacks are taken; `None` where the upstream sends none that arrive here.
    fn callback_url(&self) -> Option<String> {
        None
    }

    /// The bodies of the callbacks that were taken, in order.
    fn callbacks(&self) -> Vec<Bytes> {
        Vec::new()
    }
}

type Bench = Arc<dyn ClientBench>;

/// All cases.
pub const CASES: &[Case<Arc<dyn ClientBench>>] = crate::__client_cases! { table Arc<dyn ClientBench> };

#[doc(hidden)]
#[macro_export]
macro_rules! __client_cases {
    ($($mode:tt)+) => {
        $crate::__suite! { $($mode)+;
            imagine_gives_pictures,
            every_supported_action_gives_its_result,
            an_accepted_submit_is_paid_once,
            submits_at_once_are_told_apart,
            a_refusal_is_not_paid,
            moderation_is_told_as_such,
            a_full_queue_is_not_now,
            an_account_without_credit_is_told_as_such,
            too_many_requests_wait_as_long_as_is_asked,
            a_lost_answer_is_maybe,
            half_an_answer_is_maybe,
            garbage_for_an_answer_is_maybe,
            a_breakdown_after_a_submit_is_maybe,
            a_huge_answer_is_not_kept,
            a_dripping_answer_is_cut,
            a_lost_submit_is_found_by_its_mark,
            an_unsupported_action_is_refused_before_spending,
            a_follow_up_of_nothing_is_refused_before_spending,
            an_unknown_task_is_missing,
            a_task_that_vanishes_is_missing,
            a_task_that_fails_says_so,
            progress_rises_to_100_and_not_beyond,
            a_spoiled_answer_about_a_task_changes_nothing,
            a_cancelled_task_stops,
            a_dead_link_is_replaced_once_asked,
            callbacks_name_their_task,
            a_callback_of_garbage_is_refused,
            no_secret_is_in_any_error,
        }
    };
}

/// No healthy client takes this long for one call.
const CALL: Duration = Duration::from_secs(61);

const PROMPT: &str = "a red fox --ar 3:2 --v 7";

/// The end of callback addresses, which is enough to misuse them.
const PROOF: &str = "pr00f-of-the-callback";

fn request(action: Action) -> JobRequest {
    let needs = action.needs();
    let prompt = if needs.prompt == Need::No { "" } else { PROMPT };
    let images = (1..=needs.images.0).map(|number| InputImage::Url(picture_url(number)));
    let mask = (needs.mask == Need::Must).then(|| InputImage::Url(picture_url(0)));
    JobRequest::new(action, prompt)
        .with_images(images.collect())
        .with_mask(mask)
}

fn picture_url(number: usize) -> String {
    format!("https://pictures.example/{number}.png")
}

fn job() -> JobId {
    JobId::new(given::at(0), &OsEntropy)
}

/// `request` with its pictures in the form that the client takes them in.
fn submission(client: &dyn MidjourneyClient, request: JobRequest) -> Submission {
    let can = client.capabilities();
    let picture = |image: &InputImage, form| {
        let InputImage::Url(url) = image else {
            panic!("the cases name pictures by their addresses: {image:?}")
        };
        match form {
            PictureForm::Link => InputPicture::at(url.as_str()),
            PictureForm::Bytes => InputPicture::of(tiny_png(1), MediaType::Png),
            PictureForm::Either => InputPicture::of(tiny_png(1), MediaType::Png).with_url(Some(url.clone())),
        }
    };
    let images = request.images.iter();
    let images = images.map(|image| picture(image, can.pictures)).collect();
    let mask = request.mask.as_ref().map(|mask| picture(mask, can.mask));
    Submission::new(job(), Nonce::new(&OsEntropy), request).with_pictures(images, mask)
}

fn imagine(bench: &Bench) -> Submission {
    submission(&*bench.client(), request(Action::Imagine))
}

async fn submit(bench: &Bench, submission: &Submission) -> Result<UpstreamId, ClientError> {
    let answer = tokio::time::timeout(CALL, bench.client().submit(submission)).await;
    answer.expect("a submit ends within its minute")
}

async fn status(bench: &Bench, id: &UpstreamId) -> RemoteStatus {
    bench.client().status(id).await.unwrap()
}

/// Lets the task go on until it is over, answering its window.
async fn end(bench: &Bench, id: &UpstreamId, submission: &Submission) -> RemoteStatus {
    let client = bench.client();
    let mut last = None;
    for _ in 0..30 {
        match status(bench, id).await {
            RemoteStatus::AwaitingInput if client.capabilities().windows => {
                client.confirm(id, submission).await.unwrap();
            }
            over @ (RemoteStatus::Succeeded(_)
            | RemoteStatus::Failed(_)
            | RemoteStatus::Cancelled
            | RemoteStatus::Missing) => return over,
            waiting => last = Some(waiting),
        }
        bench.advance(bench.duration() / 10);
    }
    panic!("{} does not end: {last:?}", submission.request.action)
}

async fn finish(bench: &Bench, submission: &Submission) -> (UpstreamId, RemoteResult) {
    let action = submission.request.action;
    let id = match submit(bench, submission).await {
        Ok(id) => id,
        Err(error) => panic!("{action} was not taken: {}", Chain(&error)),
    };
    match end(bench, &id, submission).await {
        RemoteStatus::Succeeded(result) => (id, result),
        other => panic!("{action} ended as {other:?}"),
    }
}

/// The bytes of a picture.
async fn fetch(bench: &Bench, image: &RemoteImage) -> Result<Vec<u8>, ClientError> {
    let pieces: Vec<Bytes> = bench.client().fetch(image).await?.try_collect().await.unwrap();
    Ok(pieces.concat())
}

/// Checks what an action gave.
async fn assert_fits(bench: &Bench, action: Action, result: &RemoteResult) {
    assert!(!result.is_empty(), "{action} gave nothing");
    if action.gives_text() {
        assert!(
            result.texts.iter().all(|text| !text.trim().is_empty()) && !result.texts.is_empty(),
            "{action}: {result:?}"
        );
        return;
    }
    let mut places = HashSet::new();
    for image in &result.images {
        assert!(
            image.index <= 4 && places.insert(image.index),
            "{action}: {result:?}"
        );
        assert_eq!(
            image.index == 0,
            image.kind == ImageKind::Grid,
            "{action}: {image:?}"
        );
    }
    if let Action::Upscale { .. } = action {
        assert_eq!(result.images.len(), 1, "{action} gives one picture: {result:?}");
    }
    let bytes = fetch(bench, &result.images[0]).await.unwrap();
    assert!(sniff(&bytes).is_some(), "{action} gave no picture");
}

async fn parent_of(
    bench: &Bench,
    id: &UpstreamId,
    result: &RemoteResult,
    submission: &Submission,
) -> ParentTask {
    let prompt = submission.request.prompt.clone();
    let first = result.images.first();
    let url = first.map(|image| image.url.clone());
    let size = match first {
        // The gateway has stored it by now.
        Some(image) => sniff(&fetch(bench, image).await.unwrap()).and_then(|told| told.size),
        None => None,
    };
    ParentTask::new(id.clone(), result.actions.clone(), prompt)
        .with_action(submission.request.action)
        .with_handle(result.handle.clone())
        .with_picture_url(url)
        .with_picture_size(size)
}

const CUTOUT: Action = Action::Upscale {
    mode: UpscaleMode::Cutout,
};

/// The ways to ask for `action`: without a mask and with one, where it may have one.
fn forms(action: Action) -> impl Iterator<Item = JobRequest> {
    let masked = (action.needs().mask == Need::May)
        .then(|| request(action).with_mask(Some(InputImage::Url(picture_url(0)))));
    [Some(request(action)), masked].into_iter().flatten()
}

/// `action` on a finished task, where that offers it.
fn follow_up(client: &dyn MidjourneyClient, action: Action, parent: &ParentTask) -> Option<Submission> {
    let needs = action.needs();
    let indexes: &[u8] = if needs.index == Need::Must {
        &[2, 1]
    } else {
        &[0, 2, 1]
    };
    let request = indexes.iter().find_map(|index| {
        forms(action).find_map(|form| {
            let mut request = form.with_parent(Some(ParentRef::new(job(), *index)));
            if needs.prompt == Need::May {
                // What the gateway puts there.
                request.prompt.clone_from(&parent.prompt);
            }
            client.check(&request, Some(parent)).is_ok().then_some(request)
        })
    })?;
    Some(submission(client, request).with_parent(Some(parent.clone())))
}

/// Finished tasks of all kinds that something may start from.
async fn parents(bench: &Bench) -> Vec<ParentTask> {
    let client = bench.client();
    let mut parents = Vec::new();
    for prompt in [PROMPT, "a red fox --v 5.2"] {
        let grid = submission(&*client, JobRequest::imagine(prompt));
        if prompt != PROMPT && client.check(&grid.request, None).is_err() {
            // Not every upstream has the old versions.
            continue;
        }
        let (id, result) = finish(bench, &grid).await;
        parents.push(parent_of(bench, &id, &result, &grid).await);
        if client.supports(CUTOUT) {
            let last = &parents[parents.len() - 1];
            let single = follow_up(&*client, CUTOUT, last).expect("a grid can be cut");
            let (id, result) = finish(bench, &single).await;
            parents.push(parent_of(bench, &id, &result, &single).await);
        }
    }
    let animate = Action::ALL
        .into_iter()
        .find(|action| matches!(action, Action::Animate { .. }) && client.supports(*action));
    if let Some(video) = animate.and_then(|animate| start(&*client, animate, &parents)) {
        let (id, result) = finish(bench, &video).await;
        parents.push(parent_of(bench, &id, &result, &video).await);
    }
    parents
}

/// `action`, from any of `parents` or from pictures of its own.
fn start(client: &dyn MidjourneyClient, action: Action, parents: &[ParentTask]) -> Option<Submission> {
    let followed = || {
        parents
            .iter()
            .find_map(|parent| follow_up(client, action, parent))
    };
    if action.needs().parent == Need::No {
        let count = action.needs().images.0;
        let request = request(action).with_images(vec![picture_in(parents); count]);
        return Some(submission(client, request));
    }
    followed().or_else(|| own(client, action, parents))
}

/// A picture that can be had where it is: one of an earlier task.
fn picture_in(parents: &[ParentTask]) -> InputImage {
    let url = parents.iter().find_map(|parent| parent.picture_url.clone());
    InputImage::Url(url.unwrap_or_else(|| picture_url(1)))
}

/// Why `action` may start from none of `parents`.
fn refusals(client: &dyn MidjourneyClient, action: Action, parents: &[ParentTask]) -> String {
    let asked = request(action).with_parent(Some(ParentRef::new(job(), 1)));
    let why = parents.iter().map(|parent| {
        let failure = client.check(&asked, Some(parent)).err();
        let failure = failure.map_or_else(|| "it is offered".to_owned(), |failure| failure.to_string());
        format!("{} of \"{}\": {failure}", parent.action, parent.prompt)
    });
    why.collect::<Vec<_>>().join("; ")
}

/// `action` on a picture of its own, where it may start from one.
fn own(client: &dyn MidjourneyClient, action: Action, parents: &[ParentTask]) -> Option<Submission> {
    let needs = action.needs();
    if needs.parent != Need::May {
        return None;
    }
    let request = forms(action)
        .map(|form| form.with_images(vec![picture_in(parents)]))
        .find(|request| client.check(request, None).is_ok())?;
    Some(submission(client, request))
}

/// A prompt becomes pictures that can be fetched, and stays so.
pub async fn imagine_gives_pictures(bench: Arc<dyn ClientBench>) {
    let asked = imagine(&bench);
    let (id, result) = finish(&bench, &asked).await;
    assert_fits(&bench, Action::Imagine, &result).await;
    for image in &result.images {
        assert!(sniff(&fetch(&bench, image).await.unwrap()).is_some(), "{image:?}");
    }
    bench.advance(bench.duration());
    match status(&bench, &id).await {
        RemoteStatus::Succeeded(later) => assert_eq!(later.images.len(), result.images.len()),
        other => panic!("a finished task became {other:?}"),
    }
}

/// What the client says it has, it can do, from a finished task or from a picture, and is paid for once.
pub async fn every_supported_action_gives_its_result(bench: Arc<dyn ClientBench>) {
    let client = bench.client();
    let parents = parents(&bench).await;
    for action in Action::ALL {
        if !client.supports(action) {
            continue;
        }
        let asked = start(&*client, action, &parents).unwrap_or_else(|| {
            panic!(
                "{action} is supported, and {}",
                refusals(&*client, action, &parents)
            )
        });
        for asked in [Some(asked), own(&*client, action, &parents)]
            .into_iter()
            .flatten()
        {
            let before = bench.paid();
            let (_, result) = finish(&bench, &asked).await;
            assert_fits(&bench, action, &result).await;
            assert_eq!(bench.paid(), before + 1, "{action} is paid once");
            assert_was_asked(&bench, &asked);
        }
    }
}

/// Whether somebody who was asked for `action` did it, having `done` this in the words of [`Action`].
pub fn did(action: Action, done: &str) -> bool {
    match action {
        // How far is left to the upstream.
        Action::Variation { strength: None } => done.starts_with(action.name()),
        // Some have it as a prompt of links.
        Action::Blend { .. } if done == Action::Imagine.name() => true,
        _ => done == action.to_string(),
    }
}

/// Numbers mean other things at every upstream: the right thing must come of them.
fn assert_was_asked(bench: &Bench, asked: &Submission) {
    let action = asked.request.action;
    let Some((done, picture)) = bench.done() else {
        return;
    };
    assert!(did(action, &done), "{action} was asked for, and {done} was done");
    let parent = asked.parent.as_ref();
    let of_grid = parent.is_some_and(|parent| !matches!(parent.action, Action::Upscale { .. }));
    if of_grid && action.needs().index == Need::Must {
        let wanted = asked.request.parent.map(|parent| parent.index);
        assert_eq!(Some(picture), wanted, "{action} of another picture");
    }
}

/// One submit, one request, one task, however often it is asked about.
pub async fn an_accepted_submit_is_paid_once(bench: Arc<dyn ClientBench>) {
    let asked = imagine(&bench);
    finish(&bench, &asked).await;
    assert_eq!((bench.paid(), bench.submits()), (1, 1));
}

/// Answers go to those who asked.
pub async fn submits_at_once_are_told_apart(bench: Arc<dyn ClientBench>) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let bench = Arc::clone(&bench);
        tasks.spawn(async move { submit(&bench, &imagine(&bench)).await.unwrap() });
    }
    let ids: HashSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!((ids.len(), bench.paid()), (8, 8));
}

/// Submits once while `mishap` happens; `None` where it does not happen here.
async fn spoiled(bench: &Bench, mishap: Mishap) -> Option<Result<UpstreamId, ClientError>> {
    let asked = imagine(bench);
    if !bench.spoil_submit(mishap) {
        return None;
    }
    let before = bench.submits();
    let answer = submit(bench, &asked).await;
    assert_eq!(bench.submits(), before + 1, "{mishap:?}: sent exactly once");
    Some(answer)
}

/// The refusal that `mishap` ends in, which must be for free.
async fn refusal(bench: &Bench, mishap: Mishap) -> Option<ClientError> {
    let error = spoiled(bench, mishap).await?.unwrap_err();
    assert_eq!(error.applied, Applied::No, "{mishap:?}: {error:?}");
    assert_eq!(error.failure.spent, Spent::No, "{mishap:?}: {error:?}");
    assert_eq!(bench.paid(), 0, "{mishap:?}");
    Some(error)
}

/// What cannot be read is refused for good.
pub async fn a_refusal_is_not_paid(bench: Arc<dyn ClientBench>) {
    if let Some(error) = refusal(&bench, Mishap::Invalid).await {
        assert_eq!(error.failure.kind, FailureKind::InvalidPrompt, "{error:?}");
        assert!(!error.retry, "{error:?}");
    }
}

/// Whether the submit is refused or the task fails, it is told why, and not tried again.
pub async fn moderation_is_told_as_such(bench: Arc<dyn ClientBench>) {
    let asked = imagine(&bench);
    for mishap in [Mishap::Moderated, Mishap::TaskModerated] {
        if !bench.spoil_submit(mishap) {
            continue;
        }
        let failure = match submit(&bench, &asked).await {
            Err(error) => {
                assert_eq!((error.applied, error.retry), (Applied::No, false), "{error:?}");
                error.failure
            }
            Ok(id) => match end(&bench, &id, &asked).await {
                RemoteStatus::Failed(failure) => {
                    assert_ne!(failure.spent, Spent::No, "{failure:?}");
                    failure
                }
                other => panic!("{mishap:?} ended as {other:?}"),
            },
        };
        assert_eq!(failure.kind, FailureKind::Moderated, "{failure:?}");
    }
}

/// Nothing was started; another time it may be.
pub async fn a_full_queue_is_not_now(bench: Arc<dyn ClientBench>) {
    if let Some(error) = refusal(&bench, Mishap::QueueFull).await {
        // Some upstreams have one answer for both.
        let kinds = [FailureKind::QueueFull, FailureKind::RateLimited];
        assert!(error.retry && kinds.contains(&error.failure.kind), "{error:?}");
    }
}

/// Nobody tries again with an empty purse.
pub async fn an_account_without_credit_is_told_as_such(bench: Arc<dyn ClientBench>) {
    if let Some(error) = refusal(&bench, Mishap::NoCredit).await {
        assert_eq!(error.failure.kind, FailureKind::QuotaExhausted, "{error:?}");
        assert!(!error.retry, "{error:?}");
    }
}

/// The upstream's wish is passed on.
pub async fn too_many_requests_wait_as_long_as_is_asked(bench: Arc<dyn ClientBench>) {
    if let Some(error) = refusal(&bench, Mishap::RateLimited).await {
        assert_eq!(error.failure.kind, FailureKind::RateLimited, "{error:?}");
        assert!(error.retry && error.retry_after.is_some(), "{error:?}");
    }
}

/// The error of a submit that was accepted, whose answer was spoiled.
async fn loss(bench: &Bench, mishap: Mishap) -> Option<ClientError> {
    let error = match spoiled(bench, mishap).await? {
        Err(error) => error,
        Ok(id) => panic!("{mishap:?} was taken for the task {id}"),
    };
    assert_eq!(error.applied, Applied::Maybe, "{mishap:?}: {error:?}");
    assert_ne!(error.failure.spent, Spent::No, "{mishap:?}: {error:?}");
    assert_eq!(bench.paid(), 1, "{mishap:?} is paid");
    Some(error)
}

/// Nobody can tell whether it was taken.
pub async fn a_lost_answer_is_maybe(bench: Arc<dyn ClientBench>) {
    loss(&bench, Mishap::Lost).await;
}

/// A beginning is no answer.
pub async fn half_an_answer_is_maybe(bench: Arc<dyn ClientBench>) {
    loss(&bench, Mishap::Half).await;
}

/// Somebody in between answered, after or before.
pub async fn garbage_for_an_answer_is_maybe(bench: Arc<dyn ClientBench>) {
    loss(&bench, Mishap::NotJson).await;
}

/// It may have broken down after the task was started.
pub async fn a_breakdown_after_a_submit_is_maybe(bench: Arc<dyn ClientBench>) {
    loss(&bench, Mishap::Breakdown).await;
}

/// Neither read to its end nor kept in the error.
pub async fn a_huge_answer_is_not_kept(bench: Arc<dyn ClientBench>) {
    if let Some(error) = loss(&bench, Mishap::Huge).await {
        let told = format!("{error:?}").len();
        assert!(told < 16 * 1024, "the error is {told} bytes long");
    }
}

/// No call takes for ever.
pub async fn a_dripping_answer_is_cut(bench: Arc<dyn ClientBench>) {
    loss(&bench, Mishap::Drip).await;
}

/// What was accepted is found, what was never sent is not.
pub async fn a_lost_submit_is_found_by_its_mark(bench: Arc<dyn ClientBench>) {
    let client = bench.client();
    if !client.capabilities().reconcile {
        return;
    }
    let (asked, other, never) = (imagine(&bench), imagine(&bench), imagine(&bench));
    submit(&bench, &other).await.unwrap();
    if !bench.spoil_submit(Mishap::Lost) {
        return;
    }
    submit(&bench, &asked).await.unwrap_err();
    let Reconciliation::Found(id) = client.reconcile(&asked).await.unwrap() else {
        panic!("the task was not found by its mark");
    };
    assert!(matches!(
        end(&bench, &id, &asked).await,
        RemoteStatus::Succeeded(_)
    ));
    let found = client.reconcile(&never).await.unwrap();
    assert!(!matches!(found, Reconciliation::Found(_)), "{found:?}");
    assert_eq!(bench.paid(), 2, "looking is free");
}

/// Nothing leaves the machine for what the upstream does not have.
pub async fn an_unsupported_action_is_refused_before_spending(bench: Arc<dyn ClientBench>) {
    let client = bench.client();
    let parents = parents(&bench).await;
    let (paid, submits) = (bench.paid(), bench.submits());
    for action in Action::ALL {
        if client.supports(action) {
            continue;
        }
        for parent in &parents {
            let mut request = request(action);
            if action.needs().parent != Need::No {
                request = request.with_parent(Some(ParentRef::new(job(), 1)));
            }
            let failure = client
                .check(&request, Some(parent))
                .expect_err("what is not supported is refused");
            assert_eq!(failure.kind, FailureKind::Unsupported, "{action}: {failure}");
            let asked = submission(&*client, request).with_parent(Some(parent.clone()));
            let error = submit(&bench, &asked).await.unwrap_err();
            assert_eq!(
                (error.applied, error.retry),
                (Applied::No, false),
                "{action}: {error:?}"
            );
        }
    }
    assert_eq!((bench.paid(), bench.submits()), (paid, submits));
}

/// A follow-up needs a finished task, and a picture that is there.
pub async fn a_follow_up_of_nothing_is_refused_before_spending(bench: Arc<dyn ClientBench>) {
    let client = bench.client();
    let asked = imagine(&bench);
    let (id, result) = finish(&bench, &asked).await;
    let parent = parent_of(&bench, &id, &result, &asked).await;
    let follow_ups = Action::ALL.into_iter().filter(|action| {
        let needs = action.needs();
        client.supports(*action) && needs.parent == Need::Must && needs.index == Need::Must
    });
    for action in follow_ups {
        assert!(
            client.check(&request(action), None).is_err(),
            "{action} of nothing"
        );
        let beyond = request(action).with_parent(Some(ParentRef::new(job(), 9)));
        assert!(
            client.check(&beyond, Some(&parent)).is_err(),
            "{action} of picture 9"
        );
        let asked = submission(&*client, beyond).with_parent(Some(parent.clone()));
        assert_eq!(submit(&bench, &asked).await.unwrap_err().applied, Applied::No);
    }
    assert_eq!((bench.paid(), bench.submits()), (1, 1));
}

/// An id that was never given is no error.
pub async fn an_unknown_task_is_missing(bench: Arc<dyn ClientBench>) {
    for id in ["1700000000000999", "0f0e0d0c-0000-4000-8000-000000000001"] {
        let unknown = status(&bench, &UpstreamId::new(id)).await;
        assert_eq!(unknown, RemoteStatus::Missing, "{id}");
    }
}

/// Nor is one that the upstream has forgotten.
pub async fn a_task_that_vanishes_is_missing(bench: Arc<dyn ClientBench>) {
    if let Some(id) = spoiled(&bench, Mishap::TaskVanishes).await {
        let over = end(&bench, &id.unwrap(), &imagine(&bench)).await;
        assert_eq!(over, RemoteStatus::Missing);
    }
}

/// It was paid, and is not taken for refused content.
pub async fn a_task_that_fails_says_so(bench: Arc<dyn ClientBench>) {
    if let Some(id) = spoiled(&bench, Mishap::TaskFails).await {
        match end(&bench, &id.unwrap(), &imagine(&bench)).await {
            RemoteStatus::Failed(failure) => {
                assert_ne!(failure.kind, FailureKind::Moderated, "{failure:?}");
                assert_ne!(failure.spent, Spent::No, "{failure:?}");
            }
            other => panic!("it ended as {other:?}"),
        }
    }
}

/// Percent are percent, and what is done stays done.
pub async fn progress_rises_to_100_and_not_beyond(bench: Arc<dyn ClientBench>) {
    let id = submit(&bench, &imagine(&bench)).await.unwrap();
    let mut highest = 0;
    for _ in 0..60 {
        match status(&bench, &id).await {
            RemoteStatus::Waiting => assert_eq!(highest, 0, "it waits again"),
            RemoteStatus::Running { progress } => {
                let progress = progress.unwrap_or(highest);
                assert!((highest..=100).contains(&progress), "{progress} after {highest}");
                highest = progress;
            }
            RemoteStatus::Succeeded(_) => return,
            other => panic!("it became {other:?}"),
        }
        bench.advance(bench.duration() / 40);
    }
    panic!("it does not end");
}

/// Trouble with a question is no news about the task.
pub async fn a_spoiled_answer_about_a_task_changes_nothing(bench: Arc<dyn ClientBench>) {
    let id = submit(&bench, &imagine(&bench)).await.unwrap();
    let client = bench.client();
    for mishap in [
        Mishap::Lost,
        Mishap::Half,
        Mishap::NotJson,
        Mishap::Breakdown,
        Mishap::Huge,
        Mishap::RateLimited,
        Mishap::Echo,
    ] {
        if !bench.spoil_question(mishap) {
            continue;
        }
        match client.status(&id).await {
            // It may have asked again by itself.
            Ok(RemoteStatus::Waiting | RemoteStatus::Running { .. }) => {}
            Err(error) => {
                assert_eq!(
                    (error.applied, error.retry),
                    (Applied::No, true),
                    "{mishap:?}: {error:?}"
                );
                assert!(format!("{error:?}").len() < 16 * 1024, "{mishap:?}");
            }
            Ok(other) => panic!("{mishap:?} was taken for {other:?}"),
        }
        let after = status(&bench, &id).await;
        assert!(
            matches!(after, RemoteStatus::Waiting | RemoteStatus::Running { .. }),
            "{mishap:?}: {after:?}"
        );
    }
    assert_eq!(bench.paid(), 1, "asking is free");
}

/// A stopped task gives no pictures any more.
pub async fn a_cancelled_task_stops(bench: Arc<dyn ClientBench>) {
    let client = bench.client();
    let asked = imagine(&bench);
    let id = submit(&bench, &asked).await.unwrap();
    bench.advance(bench.duration() / 4);
    let stopped = client.cancel(&id).await;
    let capabilities = client.capabilities();
    if !capabilities.cancel {
        assert!(stopped.is_err(), "what cannot be done is not done");
        return;
    }
    assert!(stopped.unwrap(), "it was running");
    // A task that costs nothing and is kept nowhere has nothing to stop.
    if !capabilities.simulated {
        let over = end(&bench, &id, &asked).await;
        assert!(
            matches!(over, RemoteStatus::Cancelled | RemoteStatus::Missing),
            "{over:?}"
        );
    }
}

/// Links die; the task knows new ones.
pub async fn a_dead_link_is_replaced_once_asked(bench: Arc<dyn ClientBench>) {
    let asked = imagine(&bench);
    if !bench.spoil_submit(Mishap::DeadLinks) {
        return;
    }
    let (id, result) = finish(&bench, &asked).await;
    let error = fetch(&bench, &result.images[0]).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::ImageExpired, "{error:?}");
    match status(&bench, &id).await {
        RemoteStatus::Succeeded(renewed) => assert_fits(&bench, Action::Imagine, &renewed).await,
        other => panic!("asked again, it is {other:?}"),
    }
}

/// What the upstream posts names its task, and ours where it names one, and tells of the end.
pub async fn callbacks_name_their_task(bench: Arc<dyn ClientBench>) {
    let client = bench.client();
    if !client.capabilities().callbacks {
        return;
    }
    let Some(url) = bench.callback_url() else {
        return;
    };
    let asked = imagine(&bench).with_callback(Some(Secret::new(url)));
    let (id, _) = finish(&bench, &asked).await;
    let told = async {
        while !heard(&bench, &id, &asked) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let told = tokio::time::timeout(given::DEADLINE, told).await;
    assert!(
        told.is_ok(),
        "no callback told of the end: {:?}",
        bench.callbacks()
    );
}

/// Whether a callback has told of the end. All of them must be about this task.
fn heard(bench: &Bench, id: &UpstreamId, asked: &Submission) -> bool {
    let client = bench.client();
    let bodies = bench.callbacks();
    let told: Vec<_> = bodies
        .iter()
        .map(|body| client.parse_callback(body).unwrap())
        .collect();
    for callback in &told {
        assert_eq!(callback.upstream, *id);
        let nonce = callback.nonce.as_deref();
        assert!(
            nonce.is_none_or(|nonce| nonce == asked.nonce.as_str()),
            "{nonce:?}"
        );
    }
    told.iter()
        .any(|callback| matches!(callback.status, RemoteStatus::Succeeded(_)))
}

/// Anybody can post anything.
pub async fn a_callback_of_garbage_is_refused(bench: Arc<dyn ClientBench>) {
    let client = bench.client();
    let deep = "[".repeat(100_000);
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    for body in [
        "",
        " ",
        "null",
        "[]",
        "{}",
        "0",
        "\"\"",
        "{\"id\":",
        "<html>",
        "{\"id\":{}}",
        "{\"id\":\"../x\"}",
        &deep,
        &long,
    ] {
        let told = client.parse_callback(body.as_bytes());
        assert!(told.is_err(), "{body:.40} was taken for {told:?}");
    }
    assert!(client.parse_callback(b"\xff\xfe").is_err());
}

/// Neither the key nor the callback address shows in any error, nor in the client.
pub async fn no_secret_is_in_any_error(bench: Arc<dyn ClientBench>) {
    let client = bench.client();
    let assert_clean = |what: &str, text: String| {
        let secrets = bench.secret().into_iter().chain([PROOF]);
        for secret in secrets {
            assert!(!text.contains(secret), "{what}: {text}");
        }
    };
    assert_clean("the client", format!("{client:?}"));
    let running = submit(&bench, &imagine(&bench)).await.unwrap();
    let callback = format!("http://127.0.0.1:9/callbacks/main/{PROOF}");
    for mishap in [
        Mishap::Moderated,
        Mishap::Invalid,
        Mishap::QueueFull,
        Mishap::NoCredit,
        Mishap::RateLimited,
        Mishap::Lost,
        Mishap::Half,
        Mishap::NotJson,
        Mishap::Breakdown,
        Mishap::Echo,
    ] {
        let what = format!("{mishap:?}");
        if bench.spoil_submit(mishap) {
            let asked = imagine(&bench).with_callback(Some(Secret::new(callback.clone())));
            assert_clean(&what, format!("{asked:?}"));
            if let Err(error) = submit(&bench, &asked).await {
                assert_clean(&what, format!("{error} {error:?} {}", Chain(&error)));
            }
        }
        if bench.spoil_question(mishap)
            && let Err(error) = client.status(&running).await
        {
            assert_clean(&what, format!("{error} {error:?} {}", Chain(&error)));
        }
    }
}
