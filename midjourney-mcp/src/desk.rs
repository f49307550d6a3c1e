//! What each tool does: one or two calls to the gateway, and the answer put into words.

use std::{path::PathBuf, sync::Arc, time::Duration};

use midjourney_core::{
    engine::Engine,
    error::{Chain, Error, ErrorKind},
    gateway::{Gateway, ImageView, Imagine, JobView},
    id::JobId,
    job::{Job, JobQuery},
};
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::timeout};
use tracing::{info, warn};

use crate::{
    error,
    open::{OpenError, OpenGateway},
    picture::{self, Inline, Part, Unshowable},
    result::{self, Answer, Jobs, MAX_INLINE, image_uri},
    text::{line, quoted},
    tools::{Call, Definition, Handle, ImagineArgs, ListArgs, ShowArgs, WaitArgs},
    wait::{self, Caller},
};

/// The longer edge of the sheet in a finished result.
const SHEET_EDGE: u32 = 768;
/// The most jobs of a batch whose pictures go on one sheet.
const MAX_ON_SHEET: usize = 9;
/// The most base64 characters of a resource, so that its message stays below 1 MiB.
const MAX_BLOB: usize = 1_000_000;
/// The longer edge of a resource that has to be scaled down.
const BLOB_EDGE: u32 = 4_096;
/// Characters of a prompt in a list.
const LISTED_PROMPT: usize = 200;

/// Serves the tools. The gateway behind it is opened when it is first needed.
#[derive(Debug)]
pub(crate) struct Desk {
    opener: Arc<dyn OpenGateway>,
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
    pub(crate) fn new(opener: Arc<dyn OpenGateway>) -> Self {
        Self {
            opener,
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
            Call::Wait(args) => office.wait(args, caller).await,
            Call::GetJob(handle) => office.get_job(handle).await,
            Call::Show(args) => office.show(args, arguments).await,
            Call::ListJobs(args) => office.list(args).await,
            Call::Cancel(id) => office.cancel(id).await,
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
    async fn imagine(&self, args: ImagineArgs, caller: &dyn Caller) -> Result<Answer, Error> {
        let request = Imagine::new(args.prompt)
            .with_version(args.version)
            .with_key(args.key);
        let accepted = self.gateway.imagine(request).await?;
        let limit = Duration::from_secs(args.wait_seconds);
        let handle = match (accepted.batch, &accepted.jobs[..]) {
            (Some(batch), [_, _, ..]) => Handle::Batch(batch),
            (_, [first, ..]) => Handle::Job(first.id),
            (_, []) => return Err(Error::new(ErrorKind::Internal, "no job was made")),
        };
        // From here on the jobs are on disk: an answer that names them matters more than what else may go wrong.
        if let Err(failure) = wait::wait(&self.gateway, &accepted.jobs, limit, caller).await {
            warn!(error = %Chain(&failure), "waiting failed");
        }
        let mut answer = match self.reload(&accepted.jobs).await {
            Ok(views) => self.tell(&views, handle, true).await,
            Err(failure) => {
                warn!(error = %Chain(&failure), "the new jobs could not be read");
                let views: Vec<_> = accepted
                    .jobs
                    .iter()
                    .map(|job| JobView::of(job, &[], false))
                    .collect();
                self.jobs(&views, handle).answer(true)
            }
        };
        if accepted.replayed {
            answer.text.push_str(
                "The same request came before under this idempotency_key: this is its job, not a new one.\n",
            );
            answer.put("replayed", true);
        }
        result::warn(&mut answer, &accepted.warnings);
        Ok(answer)
    }

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

    async fn get_job(&self, handle: Handle) -> Result<Answer, Error> {
        let jobs = self.find(handle).await?;
        let views = self.views(&jobs).await?;
        Ok(self.jobs(&views, handle).answer(false))
    }

    async fn show(&self, args: ShowArgs, arguments: &Map<String, Value>) -> Result<Answer, Error> {
        let job = self.gateway.job(args.job).await?;
        let view = self.gateway.view(&job).await?;
        let Some((image, part)) = choose(&view, args.index) else {
            return Ok(nothing_to_show(&view, args.index));
        };
        let picture = match image {
            Some(image) => self.fit(image, part, args.size, MAX_INLINE).await?,
            None => {
                self.sheet(std::slice::from_ref(&view), args.size, MAX_INLINE)
                    .await?
            }
        };
        let picture = match picture {
            Ok(picture) => picture,
            Err(Unshowable(why)) => return Ok(error::unshowable(&why, arguments)),
        };
        let index = args.index.unwrap_or(0);
        let mut answer = Answer::default();
        let what = match args.index {
            None => "all pictures".to_owned(),
            Some(index) => format!("picture {index}"),
        };
        let (width, height) = (picture.width, picture.height);
        line(
            &mut answer.text,
            format_args!("Job {}: {what}, shown at {width}x{height}.", view.id),
        );
        if matches!(part, Part::Quarter(_)) {
            answer
                .text
                .push_str("Cut out of the grid, the only picture that the upstream gave.");
        }
        if view.simulated {
            answer
                .text
                .push_str("SIMULATED: a placeholder, not drawn by Midjourney.\n");
        }
        answer.put("job_id", view.id.to_string());
        answer.put("index", index);
        if let Some(image) = image {
            answer.put("uri", image_uri(image.job, image.index));
            if let Some(path) = result::path(self.images_dir.as_deref(), image) {
                line(&mut answer.text, format_args!("File: {path}"));
                answer.put("path", path);
            }
        }
        answer.put("width", picture.width);
        answer.put("height", picture.height);
        answer.put("media_type", picture.media_type);
        answer.put("simulated", view.simulated);
        answer.picture = Some(picture);
        Ok(answer)
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
            let short = quoted(prompt, LISTED_PROMPT);
            line(
                &mut answer.text,
                format_args!("{}: {status}, {}, {short}", job.id, job.life.created),
            );
            let mut row = json!({
                "job_id": job.id,
                "status": status,
                "action": job.request.action.name(),
                "prompt": crate::text::cut(prompt, LISTED_PROMPT),
                "created_at": job.life.created,
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
            .jobs(std::slice::from_ref(&view), Handle::Job(id))
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

    fn jobs<'a>(&'a self, views: &'a [JobView], handle: Handle) -> Jobs<'a> {
        Jobs {
            views,
            images_dir: self.images_dir.as_deref(),
            handle,
        }
    }

    /// The answer with a sheet of the pictures there are.
    async fn tell(&self, views: &[JobView], handle: Handle, asked_for_pictures: bool) -> Answer {
        let mut answer = self.jobs(views, handle).answer(asked_for_pictures);
        if views.iter().all(|view| view.images.is_empty()) {
            return answer;
        }
        match self.sheet(views, SHEET_EDGE, answer.room()).await {
            Ok(Ok(picture)) => {
                answer.picture = Some(picture);
                answer.text.push_str(match views {
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

    async fn fit(
        &self,
        image: &ImageView,
        part: Part,
        edge: u32,
        budget: usize,
    ) -> Result<Result<Inline, Unshowable>, Error> {
        let bytes = self.gateway.picture_bytes(image.id).await?;
        Ok(picture::fit(bytes, Some(image.media_type), part, edge, budget).await)
    }

    /// One job's grid, or its pictures on one sheet; of several jobs each one's grid or first picture.
    async fn sheet(
        &self,
        views: &[JobView],
        edge: u32,
        budget: usize,
    ) -> Result<Result<Inline, Unshowable>, Error> {
        let chosen: Vec<&ImageView> = match views {
            [only] => match only.images.iter().find(|image| image.index == 0) {
                Some(grid) => vec![grid],
                None => only.images.iter().take(MAX_ON_SHEET).collect(),
            },
            several => several
                .iter()
                .filter_map(|view| view.images.first())
                .take(MAX_ON_SHEET)
                .collect(),
        };
        if let [only] = chosen[..] {
            return self.fit(only, Part::Whole, edge, budget).await;
        }
        let mut files = Vec::with_capacity(chosen.len());
        for image in chosen {
            files.push(self.gateway.picture_bytes(image.id).await?);
        }
        Ok(picture::sheet(files, edge, budget).await)
    }

    async fn blob(&self, id: JobId, index: u8) -> Result<Blob, NoBlob> {
        let job = self.gateway.job(id).await?;
        let view = self.gateway.view(&job).await?;
        let Some(image) = view.images.iter().find(|image| image.index == index) else {
            let there: Vec<String> = view.images.iter().map(|image| image.index.to_string()).collect();
            return Err(NoBlob::NotFound(if there.is_empty() {
                format!("job {id} is {} and has no pictures", view.status)
            } else {
                format!("job {id} has no picture {index}, only {}", there.join(", "))
            }));
        };
        let bytes = self.gateway.picture_bytes(image.id).await?;
        let original = picture::whole(&bytes, image.media_type, MAX_BLOB);
        if let Some(picture) = original {
            return Ok(Blob {
                picture,
                scaled_from: None,
            });
        }
        let picture = picture::fit(bytes, None, Part::Whole, BLOB_EDGE, MAX_BLOB)
            .await
            .map_err(|Unshowable(why)| NoBlob::Failed(why))?;
        Ok(Blob {
            picture,
            scaled_from: image.width.zip(image.height),
        })
    }
}

/// The picture that `index` means, and which part of it; no picture means a sheet of all. `None` where there is
/// nothing of that index.
fn choose(view: &JobView, index: Option<u8>) -> Option<(Option<&ImageView>, Part)> {
    let at = |index| view.images.iter().find(|image| image.index == index);
    match index {
        None if view.images.is_empty() => None,
        None => Some((at(0), Part::Whole)),
        Some(index) => match (at(index), at(0)) {
            (Some(image), _) => Some((Some(image), Part::Whole)),
            // Upstreams that give only the grid still mean its four parts.
            (None, Some(grid)) if index <= 4 && view.images.len() == 1 => {
                Some((Some(grid), Part::Quarter(index)))
            }
            _ => None,
        },
    }
}

fn nothing_to_show(view: &JobView, index: Option<u8>) -> Answer {
    let id = view.id;
    if view.stage.is_some() {
        let next = ("wait", json!({"job_id": id}));
        return error::refused(
            ErrorKind::Conflict,
            &format!("Job {id} is not finished yet"),
            Some(next),
        );
    }
    if view.images.is_empty() {
        let what = format!("Job {id} is {} and has no pictures", view.status);
        return error::refused(
            ErrorKind::Conflict,
            &what,
            Some(("get_job", json!({"job_id": id}))),
        );
    }
    let there: Vec<String> = view
        .images
        .iter()
        .filter(|image| image.index > 0)
        .map(|image| image.index.to_string())
        .collect();
    let what = format!(
        "Job {id} has no picture {}; there are {}",
        index.unwrap_or(0),
        there.join(", ")
    );
    error::refused(ErrorKind::Invalid, &what, Some(("show", json!({"job_id": id}))))
}
