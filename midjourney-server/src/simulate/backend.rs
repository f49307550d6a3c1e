//! The one heart behind every dialect: tasks, their progress, what was paid, what goes wrong.
//!
//! A dialect reads an [`Order`] from its wire and says on its wire what came of it; it decides nothing. What is drawn,
//! and when, is the core's [`Simulator`], which lives by the injected clock.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::response::Response;
use midjourney_core::{
    client::{
        MidjourneyClient as _, ParentTask, Submission,
        simulator::{Simulator, SimulatorOptions},
    },
    clock::{Clock, Entropy, Timestamp},
    id::JobId,
    image::ImageKind,
    job::{Action, InputImage, JobRequest, Nonce, ParentRef, RemoteImage, RemoteStatus, UpstreamId},
};

use super::{
    answer,
    callback::{self, Posted, Postman},
    dialects::Wire,
    faults::{self, Fault, Faults, Plan},
    ledger::{Account, Paid},
};

/// How many tasks are kept; then the queue is full for good.
const MAX_TASKS: usize = 65_536;

/// How many tasks are looked at to tell how long the queue is.
const QUEUE: usize = 16;

/// How many tasks are drawn at once at the upstreams that tell so.
pub(super) const AT_ONCE: usize = 3;

/// What a submit asks for.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a wish of its own, which few wires have"
)]
pub(super) struct Order {
    pub(super) action: Action,
    /// Empty where the wire had none.
    pub(super) prompt: String,
    /// The task it starts from, and which of its pictures; 0 for all.
    pub(super) parent: Option<(String, u8)>,
    /// What the wire gives back to tell submits apart.
    pub(super) mark: String,
    pub(super) callback: Option<String>,
    /// How many pictures came along.
    pub(super) images: usize,
    /// Whether it opens a window first, and is paid once that is answered.
    pub(super) window: bool,
    /// Whether the parent offers this.
    pub(super) offered: bool,
    /// Whether the single pictures are wanted beside the grid, where the wire asks.
    pub(super) parts: bool,
    /// Whether it is done with the submit.
    pub(super) at_once: bool,
    /// What the dialect needs of the request to tell about the task later.
    pub(super) kept: Option<String>,
}

impl Order {
    pub(super) const fn new(action: Action, prompt: String) -> Self {
        Self {
            action,
            prompt,
            parent: None,
            mark: String::new(),
            callback: None,
            images: 0,
            window: false,
            offered: true,
            parts: false,
            at_once: false,
            kept: None,
        }
    }
}

/// Why a submit started nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Moderated,
    Invalid,
    QueueFull,
    NoCredit,
    RateLimited,
    UnknownParent,
    UnfinishedParent,
    /// The parent does not offer this.
    NotOffered,
}

/// A task as it is at one moment.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) order: Order,
    pub(super) submitted: Timestamp,
    pub(super) status: RemoteStatus,
    /// How many tasks are before it.
    pub(super) ahead: usize,
    /// Its id is to be sent as a number.
    pub(super) numeric: bool,
}

impl Seen {
    /// Its finished pictures of this kind; none before it is done.
    pub(super) fn links(&self, kind: ImageKind) -> Vec<&str> {
        let RemoteStatus::Succeeded(result) = &self.status else {
            return Vec::new();
        };
        let images = result.images.iter().filter(|image| image.kind == kind);
        images.map(|image| image.url.as_str()).collect()
    }

    /// Whether nothing about it will change any more.
    pub(super) const fn is_over(&self) -> bool {
        matches!(
            self.status,
            RemoteStatus::Succeeded(_)
                | RemoteStatus::Failed(_)
                | RemoteStatus::Cancelled
                | RemoteStatus::Missing
        )
    }
}

#[derive(Clone, Debug)]
enum Work {
    /// A window is open.
    Window,
    /// The simulator draws it.
    Drawing(UpstreamId),
}

#[derive(Clone, Debug)]
struct Task {
    order: Order,
    faults: Faults,
    submitted: Timestamp,
    work: Work,
    cancelled: bool,
    /// Its place among all tasks.
    place: usize,
    /// How often it was asked about.
    asked: u64,
    /// How often it was shown finished.
    shown: u64,
    /// Its place in the account, once it is paid.
    paid: Option<usize>,
}

#[derive(Debug, Default)]
struct State {
    tasks: HashMap<String, Task>,
    /// Their ids, in order.
    order: Vec<String>,
    account: Account,
    last: u64,
}

/// A simulated upstream without a wire.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) plan: Plan,
    /// What is wanted of callers; anything goes where it is `None`.
    pub(super) key: Option<String>,
    pub(super) postman: Postman,
    /// What callbacks are signed with, where they are.
    callback_secret: String,
    wire: Box<dyn Wire>,
    simulator: Simulator,
    /// Draws without taking time.
    instant: Simulator,
    duration: Duration,
    dice: Dice,
    /// Where the pictures are.
    origin: OnceLock<String>,
    state: Mutex<State>,
}

impl Backend {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        wire: Box<dyn Wire>,
        plan: Plan,
        key: Option<String>,
        callback_secret: String,
        options: SimulatorOptions,
        seed: u64,
    ) -> Self {
        Self {
            simulator: Simulator::new(Arc::clone(&clock), options),
            instant: Simulator::new(Arc::clone(&clock), options.with_duration(Duration::ZERO)),
            clock,
            plan,
            key,
            wire,
            postman: Postman::default(),
            callback_secret,
            duration: options.duration,
            dice: Dice(AtomicU64::new(seed)),
            origin: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// Tells where it can be reached; the first word counts.
    pub(super) fn settle_at(&self, origin: String) {
        self.origin.get_or_init(|| origin);
    }

    pub(super) fn wire(&self) -> &dyn Wire {
        &*self.wire
    }

    /// What is posted about a task as it is now.
    pub(super) fn signed(&self, seen: &Seen) -> Option<Posted> {
        self.wire.callback(seen, self.clock.now(), &self.callback_secret)
    }

    /// How long to wait until a task has probably changed.
    pub(super) fn step(&self) -> Duration {
        (self.duration / 16).max(Duration::from_millis(5))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a submit, and spoils what is said of it where that was asked for.
    pub(super) async fn submit(
        self: &Arc<Self>,
        order: Order,
        say: impl FnOnce(Result<&Seen, Refusal>) -> Response + Send,
    ) -> Response {
        let mut faults = self.plan.submit(&order.prompt);
        if !self.wire.refuses_content() {
            faults = faults.turning(Fault::Banned, Fault::Moderated);
        }
        if order.at_once {
            // What is over with its submit has no time left to vanish in.
            faults = faults.turning(Fault::Vanish, Fault::Fail);
        }
        self.state().account.submits += 1;
        if faults.has(Fault::Cloudflare) {
            self.state().account.refused += 1;
            return answer::challenge();
        }
        match self.take(order, faults.clone()).await {
            Ok(seen) => {
                let said = say(Ok(&seen));
                self.finish(said, &seen.order, &faults)
            }
            Err(refusal) => {
                self.state().account.refused += 1;
                if refusal == Refusal::RateLimited {
                    return answer::rate_limited();
                }
                say(Err(refusal))
            }
        }
    }

    /// Answers a window: the task goes on, and is paid now.
    pub(super) async fn confirm(
        self: &Arc<Self>,
        id: &str,
        prompt: String,
        say: impl FnOnce(Result<&Seen, Refusal>) -> Response + Send,
    ) -> Response {
        self.state().account.submits += 1;
        let faults = self.plan.submit(&prompt);
        match self.answer_window(id, prompt, &faults).await {
            Ok(seen) => {
                let said = say(Ok(&seen));
                self.finish(said, &seen.order, &faults)
            }
            Err(refusal) => {
                self.state().account.refused += 1;
                say(Err(refusal))
            }
        }
    }

    fn finish(&self, said: Response, order: &Order, faults: &Faults) -> Response {
        let mut said = said;
        for fault in faults.iter() {
            if fault.hides_the_answer() {
                self.state().account.lost += 1;
            }
            said = answer::spoil(said, fault, &self.secrets(Some(order)));
        }
        said
    }

    fn secrets(&self, order: Option<&Order>) -> String {
        let callback = order.and_then(|order| order.callback.as_deref());
        let kept = order.and_then(|order| order.kept.as_deref());
        let shown = self.wire.shown(self.key.as_deref());
        let told: Vec<_> = [shown.as_deref(), callback, kept].into_iter().flatten().collect();
        told.join(" ")
    }

    async fn take(self: &Arc<Self>, order: Order, faults: Faults) -> Result<Seen, Refusal> {
        for (fault, refusal) in [
            (Fault::Banned, Refusal::Moderated),
            (Fault::Invalid, Refusal::Invalid),
            (Fault::QueueFull, Refusal::QueueFull),
            (Fault::NoCredit, Refusal::NoCredit),
            (Fault::RateLimited, Refusal::RateLimited),
        ] {
            if faults.has(fault) {
                return Err(refusal);
            }
        }
        let mut order = order;
        let parent = self.parent(&order).await?;
        if !order.offered {
            return Err(Refusal::NotOffered);
        }
        if let Some((_, parent)) = &parent
            && order.prompt.is_empty()
        {
            order.prompt.clone_from(&parent.prompt);
        }
        let work = if order.window {
            Work::Window
        } else {
            self.draw(&order, &faults, parent).await?
        };
        let task = Task {
            order,
            faults,
            submitted: self.clock.now(),
            work,
            cancelled: false,
            place: 0,
            asked: 0,
            shown: 0,
            paid: None,
        };
        let callback = task.order.callback.clone();
        let id = self.keep(task).ok_or(Refusal::QueueFull)?;
        callback::follow(self, &id, callback.as_deref());
        self.peek(&id).await.ok_or(Refusal::QueueFull)
    }

    async fn answer_window(
        self: &Arc<Self>,
        id: &str,
        prompt: String,
        faults: &Faults,
    ) -> Result<Seen, Refusal> {
        let mut order = {
            let state = self.state();
            let task = state.tasks.get(id).ok_or(Refusal::UnknownParent)?;
            if task.cancelled || !matches!(task.work, Work::Window) {
                return Err(Refusal::UnfinishedParent);
            }
            task.order.clone()
        };
        if !prompt.is_empty() {
            order.prompt = prompt;
        }
        let parent = self.parent(&order).await?;
        let work = self.draw(&order, faults, parent).await?;
        {
            let mut state = self.state();
            let task = state.tasks.get_mut(id).ok_or(Refusal::UnknownParent)?;
            // Somebody else's answer may have come first.
            if !matches!(task.work, Work::Window) {
                return Err(Refusal::UnfinishedParent);
            }
            task.order = order;
            task.work = work;
            Self::pay(&mut state, id, self.clock.now());
        }
        self.peek(id).await.ok_or(Refusal::UnknownParent)
    }

    /// The parent of an order, as the simulator wants it: checked to be finished.
    async fn parent(&self, order: &Order) -> Result<Option<(u8, ParentTask)>, Refusal> {
        let Some((id, index)) = &order.parent else {
            return Ok(None);
        };
        let parent = self.peek(id).await.ok_or(Refusal::UnknownParent)?;
        let RemoteStatus::Succeeded(result) = parent.status else {
            return Err(Refusal::UnfinishedParent);
        };
        let drawn = self.drawing(id).ok_or(Refusal::UnknownParent)?;
        let prompt = faults::plain(&parent.order.prompt);
        Ok(Some((*index, ParentTask::new(drawn, result.actions, prompt))))
    }

    /// Has the simulator begin.
    async fn draw(
        &self,
        order: &Order,
        faults: &Faults,
        parent: Option<(u8, ParentTask)>,
    ) -> Result<Work, Refusal> {
        // The simulator does what its own word says; all else is done here.
        let words = faults.iter().find_map(Fault::word).into_iter();
        let prompt = faults::plain(&order.prompt);
        let prompt: Vec<_> = words.chain([prompt.as_str()]).collect();
        let mut request = JobRequest::new(drawable(order.action), prompt.join(" ").trim().to_owned());
        let job = JobId::new(self.clock.now(), &self.dice);
        let mut submission_parent = None;
        if let Some((index, parent)) = parent {
            request = request.with_parent(Some(ParentRef::new(job, index)));
            submission_parent = Some(parent);
        }
        let pictures = (1..=order.images).map(|number| InputImage::Url(format!("picture-{number}")));
        request = request.with_images(pictures.collect());
        let submission = Submission::new(job, Nonce::new(&self.dice), request).with_parent(submission_parent);
        let simulator = if order.at_once {
            &self.instant
        } else {
            &self.simulator
        };
        let started = simulator.submit(&submission).await;
        started.map(Work::Drawing).map_err(|_| Refusal::NotOffered)
    }

    /// Takes a task in under an id of its own.
    fn keep(&self, mut task: Task) -> Option<String> {
        let mut state = self.state();
        if state.order.len() >= MAX_TASKS {
            return None;
        }
        let millis = u64::try_from(task.submitted.as_millis()).unwrap_or_default();
        let random = self.dice.roll();
        state.last = (millis.saturating_mul(1_000) + random % 500).max(state.last + 1);
        let id = self.wire.id(state.last, random);
        task.place = state.order.len();
        let waits = matches!(task.work, Work::Window);
        let now = task.submitted;
        state.tasks.insert(id.clone(), task);
        state.order.push(id.clone());
        if waits {
            state.account.windows += 1;
        } else {
            Self::pay(&mut state, &id, now);
        }
        Some(id)
    }

    fn pay(state: &mut State, id: &str, at: Timestamp) {
        let State { tasks, account, .. } = state;
        if let Some(task) = tasks.get_mut(id) {
            task.paid = Some(account.paid.len());
            account.paid.push(Paid {
                task: id.to_owned(),
                mark: task.order.mark.clone(),
                action: task.order.action.to_string(),
                prompt: task.order.prompt.clone(),
                parent: task.order.parent.as_ref().map(|(parent, _)| parent.clone()),
                picture: task.order.parent.as_ref().map_or(0, |(_, index)| *index),
                asked: 0,
                at,
            });
        }
    }

    fn drawing(&self, id: &str) -> Option<UpstreamId> {
        match &self.state().tasks.get(id)?.work {
            Work::Drawing(drawn) => Some(drawn.clone()),
            Work::Window => None,
        }
    }

    /// Shows a task to a caller, and spoils the answer where that was asked for.
    pub(super) async fn show(
        &self,
        id: &str,
        say: impl FnOnce(Option<&Seen>) -> Response + Send,
    ) -> Response {
        if let Some(task) = self.state().tasks.get_mut(id) {
            task.asked += 1;
        }
        let seen = self.peek(id).await;
        if let Some(seen) = &seen
            && matches!(seen.status, RemoteStatus::Succeeded(_))
            && let Some(task) = self.state().tasks.get_mut(id)
        {
            task.shown += 1;
        }
        self.told(say(seen.as_ref()))
    }

    /// Shows all of these tasks that there are; all of all where none is named.
    pub(super) async fn list(
        &self,
        ids: Option<&[String]>,
        say: impl FnOnce(&[Seen]) -> Response + Send,
    ) -> Response {
        for id in ids.into_iter().flatten() {
            if let Some(task) = self.state().tasks.get_mut(id) {
                task.asked += 1;
            }
        }
        let ids = ids.map_or_else(|| self.state().order.clone(), <[String]>::to_vec);
        let mut all = Vec::new();
        for id in ids {
            all.extend(self.peek(&id).await);
        }
        self.told(say(&all))
    }

    /// An answer to a question, spoiled where that was asked for.
    fn told(&self, said: Response) -> Response {
        match self.plan.question() {
            Some(Fault::RateLimited) => answer::rate_limited(),
            Some(Fault::Cloudflare) => answer::challenge(),
            Some(fault) => answer::spoil(said, fault, &self.secrets(None)),
            None => said,
        }
    }

    /// A task as it is, without anybody having asked.
    pub(super) async fn peek(&self, id: &str) -> Option<Seen> {
        let (task, ahead) = {
            let state = self.state();
            let task = state.tasks.get(id)?.clone();
            let ahead = self.ahead(&state, task.place);
            (task, ahead)
        };
        let status = match &task.work {
            _ if task.cancelled => RemoteStatus::Cancelled,
            Work::Window => RemoteStatus::AwaitingInput,
            Work::Drawing(drawn) => match self.simulator.status(drawn).await {
                Ok(RemoteStatus::Missing) | Err(_) => return None,
                Ok(status) => status,
            },
        };
        let dead = task.faults.has(Fault::ExpiredLinks) && task.shown == 0;
        Some(Seen {
            status: self.with_our_links(id, status, dead),
            id: id.to_owned(),
            submitted: task.submitted,
            numeric: task.faults.has(Fault::Numeric),
            order: task.order,
            ahead,
        })
    }

    /// How many of the tasks before this one are not done, among the last few.
    fn ahead(&self, state: &State, place: usize) -> usize {
        let now = self.clock.now();
        let before = state.order.get(..place).unwrap_or_default().iter().rev();
        let running = before.take(QUEUE).filter(|other| {
            state.tasks.get(*other).is_some_and(|task| {
                !task.cancelled
                    && matches!(task.work, Work::Drawing(_))
                    && now < task.submitted.saturating_add(self.duration)
            })
        });
        running.count()
    }

    fn with_our_links(&self, id: &str, status: RemoteStatus, dead: bool) -> RemoteStatus {
        let RemoteStatus::Succeeded(mut result) = status else {
            return status;
        };
        let origin = self.origin.get().map_or("", String::as_str);
        let proof = if dead { "?proof=expired" } else { "" };
        for image in &mut result.images {
            image.url = format!("{origin}/pictures/{id}/{}.png{proof}", image.index);
        }
        RemoteStatus::Succeeded(result)
    }

    /// Stops a task; `None` where there is none, `false` where it is over.
    pub(super) async fn cancel(&self, id: &str) -> Option<bool> {
        let seen = self.peek(id).await?;
        if seen.is_over() {
            return Some(false);
        }
        self.state().tasks.get_mut(id)?.cancelled = true;
        Some(true)
    }

    /// The bytes of a task's picture, and what they are; `None` where there is no such picture.
    pub(super) async fn picture(&self, id: &str, index: u8) -> Option<RemoteImage> {
        let drawn = self.drawing(id)?;
        match self.simulator.status(&drawn).await {
            Ok(RemoteStatus::Succeeded(result)) => {
                result.images.into_iter().find(|image| image.index == index)
            }
            _ => None,
        }
    }

    /// What goes wrong with a task.
    pub(super) fn faults(&self, id: &str) -> Faults {
        let state = self.state();
        state
            .tasks
            .get(id)
            .map(|task| task.faults.clone())
            .unwrap_or_default()
    }

    pub(super) const fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// What was paid until now.
    pub(super) fn account(&self) -> Account {
        let state = self.state();
        let mut account = state.account.clone();
        for task in state.tasks.values() {
            if let Some(paid) = task.paid.and_then(|place| account.paid.get_mut(place)) {
                paid.asked = task.asked;
            }
        }
        account
    }
}

/// The simulator makes no videos; a changed picture stands for one, which may be of a task or come along, as there.
const fn drawable(action: Action) -> Action {
    match action {
        Action::Animate { .. } | Action::Extend { .. } => Action::Edit,
        other => other,
    }
}

/// The same sequence for the same seed.
#[derive(Debug)]
struct Dice(AtomicU64);

impl Dice {
    fn roll(&self) -> u64 {
        let n = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    }
}

impl Entropy for Dice {
    fn fill(&self, out: &mut [u8]) {
        for piece in out.chunks_mut(8) {
            for (byte, random) in piece.iter_mut().zip(self.roll().to_le_bytes()) {
                *byte = random;
            }
        }
    }
}
