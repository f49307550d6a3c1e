//! What each tool does: one or two calls to the gateway, and the answer put into words.

mod make;
mod show;

use std::{path::PathBuf, sync::Arc, time::Duration};

use midjourney_core::{
    engine::Engine,
    error::{Error, ErrorKind},
    gateway::{Gateway, JobView},
    id::JobId,
    job::{ImageQuery, InputImage, Job, JobQuery},
};
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::timeout};
use tracing::{info, warn};

use crate::{
    bring, error,
    open::{OpenError, OpenGateway},
    picture::{Inline, Unshowable},
    result::{self, Answer, Jobs},
    steps::Steps,
    text::{line, quoted},
    tools::{Call, Definition, GetArgs, Handle, ListArgs, Picture, WaitArgs},
    transport::Reach,
    wait::{self, Caller},
};

/// The longer edge of the sheet in a finished result.
const SHEET_EDGE: u32 = 768;
/// Characters of a prompt in a list.
const LISTED_PROMPT: usize = 200;

/// Serves the tools. The gateway behind it is opened when it is first needed.
#[derive(Debug)]
pub(crate) struct Desk {
    opener: Arc<dyn OpenGateway>,
    reach: Reach,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed,
    Open(Arc<Office>),
    /// The client has gone; nothing is opened any more.
    Over,
}

/// An open gateway and the engine beside it.
#[derive(Debug)]
struct Office {
    gateway: Gateway,
    images_dir: Option<PathBuf>,
    reach: Reach,
    engine: Mutex<Option<Engine>>,
    _keep: Keep,
}

struct Keep(
    #[expect(dead_code, reason = "held only to be dropped last")]
    Option<Box<dyn std::any::Any + Send + Sync>>,
);

impl std::fmt::Debug for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keep(..)")
    }
}

/// A picture as a resource.
#[derive(Debug)]
pub(crate) struct Blob {
    pub picture: Inline,
    /// The original's size where this is a smaller copy.
    pub scaled_from: Option<(u32, u32)>,
}

/// Why there is no such resource.
#[derive(Debug)]
pub(crate) enum NoBlob {
    NotFound(String),
    Failed(String),
}

impl Desk {
    pub(crate) fn new(opener: Arc<dyn OpenGateway>, reach: Reach) -> Self {
        Self {
            opener,
            reach,
            state: Mutex::new(State::Closed),
        }
    }

    pub(crate) fn notice(&self) -> Option<String> {
        self.opener.notice()
    }

    /// Opens the gateway and starts the engine, so that jobs of earlier sessions go on.
    pub(crate) async fn warm_up(&self) {
        // The client may have come and gone within the same breath.
        if matches!(*self.state.lock().await, State::Over) {
            return;
        }
        if let Err(failure) = self.office().await {
            error::not_open(&failure);
        }
    }

    /// Stops the engine. Jobs that are under way are taken up by the next process.
    pub(crate) async fn close(&self, limit: Duration) {
        // An opening that is still under way holds the lock, for as long as a busy database lets it wait.
        let Ok(mut state) = timeout(limit, self.state.lock()).await else {
            return;
        };
        let state = std::mem::replace(&mut *state, State::Over);
        if let State::Open(office) = state
            && let Some(engine) = office.engine.lock().await.take()
            && !engine.shutdown(limit).await
        {
            warn!("work was cut off at the end; it is taken up again by the next start");
        }
    }

    async fn office(&self) -> Result<Arc<Office>, OpenError> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Open(office) => return Ok(Arc::clone(office)),
            State::Over => return Err(OpenError::new("the server is shutting down")),
            State::Closed => {}
        }
        let opened = self.opener.open().await?;
        info!(
            upstream = opened.gateway.default_upstream(),
            "the gateway is open"
        );
        let engine = opened.engine.map(|config| opened.gateway.start_engine(config));
        let office = Arc::new(Office {
            gateway: opened.gateway,
            images_dir: opened.images_dir,
            reach: self.reach,
            engine: Mutex::new(engine),
            _keep: Keep(opened.keep),
        });
        *state = State::Open(Arc::clone(&office));
        Ok(office)
    }

    /// Calls a tool. Whatever goes wrong is part of the answer.
    pub(crate) async fn call(
        &self,
        tool: &Definition,
        arguments: &Map<String, Value>,
        caller: &dyn Caller,
    ) -> Answer {
        let call = match Call::read(tool, arguments) {
            Ok(call) => call,
            Err(wrong) => return error::bad_arguments(tool, &wrong),
        };
        let office = match self.office().await {
            Ok(office) => office,
            Err(failure) => return error::not_open(&failure),
        };
        let answer = match call {
            Call::Imagine(args) => office.imagine(args, caller).await,
            Call::Act(args) => office.act(args, caller).await,
            Call::Wait(args) => office.wait(args, caller).await,
            Call::GetJob(args) => office.get_job(args).await,
            Call::Show(args) => office.show(args, arguments).await,
            Call::ListJobs(args) => office.list(args).await,
            Call::Cancel(id) => office.cancel(id).await,
            Call::Account => office.account().await,
        };
        answer.unwrap_or_else(|failure| error::failed(tool, &failure, arguments))
    }

    /// The picture at an `mj://` address.
    pub(crate) async fn read(&self, uri: &str) -> Result<Blob, NoBlob> {
        let (job, index) = result::parse_image_uri(uri).ok_or_else(|| {
            NoBlob::NotFound("expected an address of the form mj://jobs/{job_id}/images/{index}".to_owned())
        })?;
        let office = self
            .office()
            .await
            .map_err(|failure| NoBlob::Failed(failure.detail().to_owned()))?;
        office.blob(job, index).await
    }
}

impl From<Error> for NoBlob {
    fn from(failure: Error) -> Self {
        match failure.kind() {
            ErrorKind::NotFound => Self::NotFound(failure.detail().to_owned()),
            _ => Self::Failed(failure.detail().to_owned()),
        }
    }
}

impl Office {
    async fn wait(&self, args: WaitArgs, caller: &dyn Caller) -> Result<Answer, Error> {
        let jobs = self.find(args.handle).await?;
        wait::wait(
            &self.gateway,
            &jobs,
            Duration::from_secs(args.wait_seconds),
            caller,
        )
        .await?;
        let views = self.reload(&jobs).await?;
        Ok(self.tell(&views, args.handle, true).await)
    }

    async fn get_job(&self, args: GetArgs) -> Result<Answer, Error> {
        let jobs = self.find(args.handle).await?;
        let views = self.views(&jobs).await?;
        let steps = self.steps(&views).await;
        let mut answer = self.jobs(&views, args.handle, steps).answer(false);
        if let ([view], true) = (&views[..], args.seed)
            && view.seed.is_none()
        {
            self.ask_seed(view.id, &mut answer).await;
        }
        Ok(answer)
    }

    /// Puts the seed into the answer. An upstream that does not say spoils nothing else.
    async fn ask_seed(&self, id: JobId, answer: &mut Answer) {
        let why = match self.gateway.seed(id).await {
            Ok(Some(seed)) => {
                line(&mut answer.text, format_args!("Seed: {seed}"));
                answer.put("seed", seed);
                return;
            }
            Ok(None) => "the upstream does not tell".to_owned(),
            Err(failure) => crate::text::clean(failure.detail()),
        };
        line(&mut answer.text, format_args!("Seed: not known ({why})."));
    }

    async fn list(&self, args: ListArgs) -> Result<Answer, Error> {
        let mut query = JobQuery::newest(args.limit);
        query.status = args.status;
        query.after = args.after;
        let page = self.gateway.jobs(&query).await?;
        let mut answer = Answer::default();
        let mut jobs = Vec::with_capacity(page.items.len());
        for job in &page.items {
            let (status, prompt) = (job.status().name(), &job.request.prompt);
            let (action, created) = (job.request.action.name(), job.life.created);
            let short = quoted(prompt, LISTED_PROMPT);
            line(
                &mut answer.text,
                format_args!("{}: {status}, {created}, {action} {short}", job.id),
            );
            let mut row = json!({
                "job_id": job.id,
                "status": status,
                "action": action,
                "prompt": crate::text::cut(prompt, LISTED_PROMPT),
                "created_at": created,
            });
            if let (Some(row), Some(batch)) = (row.as_object_mut(), job.batch) {
                row.insert("batch_id".to_owned(), json!(batch));
            }
            jobs.push(row);
        }
        if jobs.is_empty() {
            answer.text.push_str("There are no such jobs.");
        }
        answer.put("jobs", jobs);
        if let Some(next) = page.next {
            let mut arguments = json!({"after": next, "limit": args.limit});
            if let (Some(map), Some(status)) = (arguments.as_object_mut(), args.status) {
                map.insert("status".to_owned(), json!(status.name()));
            }
            line(
                &mut answer.text,
                format_args!("There are more. Next: list_jobs {arguments}"),
            );
            answer.put("next_cursor", next.to_string());
            answer.put("next", result::next_call("list_jobs", &arguments));
        }
        Ok(answer)
    }

    async fn cancel(&self, id: JobId) -> Result<Answer, Error> {
        let job = self.gateway.cancel(id).await?;
        let view = self.gateway.view(&job).await?;
        let mut answer = self
            .jobs(std::slice::from_ref(&view), Handle::Job(id), Steps::default())
            .answer(false);
        let said = if job.status().is_final() {
            if view.submits == 0 {
                answer.put("spent", "no");
                "Cancelled before it was sent. Nothing was spent.\n"
            } else {
                "Cancelled after it was sent; the upstream may charge for it.\n"
            }
        } else {
            answer.put("spent", "maybe");
            "The upstream is being told to stop; it may charge for the job all the same. It may still finish.\n"
        };
        answer.text.insert_str(0, said);
        Ok(answer)
    }

    async fn account(&self) -> Result<Answer, Error> {
        let accounts = self.gateway.accounts().await?;
        let mut answer = Answer::default();
        for account in &accounts {
            let simulated = if account.simulated {
                ", SIMULATED: pictures are placeholders and nothing is spent"
            } else {
                ""
            };
            let health = match account.waits_until {
                Some(until) => format!("{} until {until}", account.condition),
                None => account.condition.to_owned(),
            };
            line(
                &mut answer.text,
                format_args!(
                    "{} ({}{simulated}): {health}; {} jobs wait, {} run. Can: {}.",
                    crate::text::clean(&account.name),
                    account.upstream.unwrap_or("nobody works on its jobs"),
                    account.pending,
                    account.running,
                    account.actions.join(", ")
                ),
            );
        }
        let mut configured = accounts.iter().filter(|account| account.upstream.is_some());
        answer.put("simulated", configured.all(|account| account.simulated));
        answer.put("accounts", json!(accounts));
        Ok(answer)
    }

    fn jobs<'a>(&'a self, views: &'a [JobView], handle: Handle, steps: Steps) -> Jobs<'a> {
        Jobs {
            views,
            images_dir: self.images_dir.as_deref(),
            handle,
            steps,
        }
    }

    /// What can be done next with a job that is alone and completed.
    async fn steps(&self, views: &[JobView]) -> Steps {
        let [view] = views else {
            return Steps::default();
        };
        let (job, images) = (self.gateway.job(view.id).await, ImageQuery::of(view.id));
        let possible = match (job, self.gateway.images(&images).await) {
            (Ok(job), Ok(page)) => self.gateway.follow_ups(&job, &page.items),
            // The answer is good without.
            _ => Vec::new(),
        };
        let is_prompt = |text: &str| {
            let check = self.gateway.check_prompt(text, None);
            check.is_ok_and(|check| check.jobs.len() == 1)
        };
        Steps::of(view, &possible, is_prompt)
    }

    async fn bring(&self, picture: Picture) -> Result<InputImage, Error> {
        bring::bring(&self.gateway, picture, self.reach).await
    }

    /// The answer with a sheet of the pictures there are.
    async fn tell(&self, views: &[JobView], handle: Handle, asked_for_pictures: bool) -> Answer {
        let steps = self.steps(views).await;
        let mut answer = self.jobs(views, handle, steps).answer(asked_for_pictures);
        if views.iter().all(|view| view.images.is_empty()) {
            return answer;
        }
        match self.sheet(views, SHEET_EDGE, answer.room()).await {
            Ok(Ok(picture)) => {
                answer.picture = Some(picture);
                answer.text.push_str(match views {
                    [only] if only.images.len() == 1 => "The picture here is a small copy. For a larger one, call show.\n",
                    [_] => "The picture here is a small sheet of all of them, 1 to 4 left to right, top to bottom. For one larger, call show.\n",
                    _ => "The picture here is a small sheet with one part for each finished job, in order (9 at most). For one job, call show.\n",
                });
            }
            Ok(Err(Unshowable(why))) => {
                let why = crate::text::clean(&why);
                line(
                    &mut answer.text,
                    format_args!("No picture is shown here ({why}); use the files or links."),
                );
            }
            Err(failure) => {
                let why = crate::text::clean(failure.detail());
                line(
                    &mut answer.text,
                    format_args!("The pictures could not be read ({why})."),
                );
            }
        }
        answer
    }

    async fn find(&self, handle: Handle) -> Result<Vec<Job>, Error> {
        match handle {
            Handle::Job(id) => Ok(vec![self.gateway.job(id).await?]),
            Handle::Batch(batch) => {
                let mut query = JobQuery::newest(midjourney_core::page::Page::<Job>::MAX);
                query.batch = Some(batch);
                let mut jobs = self.gateway.jobs(&query).await?.items;
                jobs.reverse();
                if jobs.is_empty() {
                    return Err(Error::new(
                        ErrorKind::NotFound,
                        format!("there is no batch {batch}"),
                    ));
                }
                Ok(jobs)
            }
        }
    }

    async fn reload(&self, jobs: &[Job]) -> Result<Vec<JobView>, Error> {
        let mut views = Vec::with_capacity(jobs.len());
        for job in jobs {
            let job = self.gateway.job(job.id).await?;
            views.push(self.gateway.view(&job).await?);
        }
        Ok(views)
    }

    async fn views(&self, jobs: &[Job]) -> Result<Vec<JobView>, Error> {
        let mut views = Vec::with_capacity(jobs.len());
        for job in jobs {
            views.push(self.gateway.view(job).await?);
        }
        Ok(views)
    }
}
