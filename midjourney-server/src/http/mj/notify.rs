//! Posts tasks to the `notifyHook` that came with them, whenever their status or progress changes.
//!
//! Each task is followed by a worker of its own, which posts one change after the other, so they come in order. While
//! the server runs every change is posted at least once; after a restart open tasks are told as they are then. A hook
//! that does not answer is tried a few times and then waits for the next change: the task itself is always there to be
//! fetched.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use midjourney_core::{
    error::{Chain, Error, ErrorKind},
    gateway::{WatchAll, WatchFilter},
    id::JobId,
    job::{Event, EventKind, Job, JobQuery, Status},
    net::{Outbound, OutboundRequest},
};
use tokio::sync::Semaphore;
use url::Url;

use super::task::{task, task_at};
use crate::http::{App, links::Signer};

/// How many posts are under way at once.
const POSTS: usize = 32;

/// How long a hook may take to answer.
const POST_TIME: Duration = Duration::from_secs(10);

/// The waits before another try.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// How many open jobs are read at once after a restart.
const PAGE: usize = 200;

/// What all workers share.
pub(in crate::http) struct Notifier {
    outbound: Option<Outbound>,
    posts: Semaphore,
    /// Jobs that have a worker.
    followed: Mutex<HashSet<JobId>>,
}

impl Notifier {
    /// Posts through `outbound`; without one, hooks are refused.
    pub(in crate::http) fn new(outbound: Option<Outbound>) -> Self {
        Self {
            outbound,
            posts: Semaphore::new(POSTS),
            followed: Mutex::default(),
        }
    }

    /// Whether `url` may be posted to, as far as it tells by itself.
    ///
    /// **Errors:** why not, and the mend.
    pub(super) fn allows(&self, url: &Url) -> Result<(), String> {
        let Some(outbound) = &self.outbound else {
            return Err("this server posts to nobody; poll the task instead".to_owned());
        };
        outbound.allows(url).map_err(|refused| {
            format!("{refused}; give a public http or https address, or have outbound.allow_private set")
        })
    }

    /// Takes the job for one worker; `false` where it has one.
    fn take(&self, job: JobId) -> bool {
        self.followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(job)
    }

    fn leave(&self, job: JobId) {
        self.followed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&job);
    }
}

/// Follows a new job from its first event, where its caller wants that.
pub(super) fn follow(app: &Arc<App>, job: &Job, signer: Signer) {
    start(app, job, signer, 0);
}

/// Goes on following the jobs that were open when the server went down. They may be many, so they are looked for while
/// the server serves.
pub(in crate::http) async fn resume(app: &Arc<App>) {
    // From before anything happens here: what is over before it is looked at is found among these.
    let news = app.gateway.watch_all(None, WatchFilter::default()).await;
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let resumed = async { resume_all(&app, news?).await };
        tokio::select! {
            resumed = resumed => {
                if let Err(error) = resumed {
                    tracing::warn!(error = %Chain(&error), "hooks of earlier tasks are not followed");
                }
            }
            () = app.stopping.begun() => {}
        }
    });
}

async fn resume_all(app: &Arc<App>, mut news: WatchAll) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for status in [Status::Pending, Status::Processing] {
        let mut query = JobQuery::newest(PAGE);
        query.status = Some(status);
        loop {
            let page = app.gateway.jobs(&query).await?;
            for job in &page.items {
                seen.insert(job.id);
                start(app, job, app.links.unasked(), job.sequence);
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
    let listed = app.gateway.watch_all(None, WatchFilter::default()).await?;
    while news.position() < listed.position() {
        let event = news.next().await?;
        // Who has just been made is followed already.
        if !seen.insert(event.job) || event.kind == EventKind::Created {
            continue;
        }
        match app.gateway.job(event.job).await {
            Ok(job) => start(app, &job, app.links.unasked(), job.sequence),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Starts a worker for a job that has none, from behind event `after`.
fn start(app: &Arc<App>, job: &Job, signer: Signer, after: u64) {
    let Some(hook) = job
        .request
        .echo
        .notify
        .as_deref()
        .and_then(|hook| Url::parse(hook).ok())
    else {
        return;
    };
    if !app.notifier.take(job.id) {
        return;
    }
    let worker = Worker {
        app: Arc::clone(app),
        job: job.id,
        hook,
        signer,
        told: None,
    };
    tokio::spawn(async move {
        let (app, job) = (Arc::clone(&worker.app), worker.job);
        tokio::select! {
            followed = worker.follow(after) => {
                if let Err(error) = followed {
                    tracing::warn!(%job, error = %Chain(&error), "a hook is no longer followed");
                }
            }
            () = app.stopping.begun() => {}
        }
        app.notifier.leave(job);
    });
}

/// One job's changes on their way to one hook.
struct Worker {
    app: Arc<App>,
    job: JobId,
    hook: Url,
    signer: Signer,
    /// The status and progress last told.
    told: Option<(&'static str, String)>,
}

impl Worker {
    async fn follow(mut self, after: u64) -> Result<(), Error> {
        let mut watch = self.app.gateway.watch(self.job, after).await?;
        if after > 0 {
            // What changed while the server was down is in how the task is now.
            self.tell(None).await?;
        }
        while let Some(event) = watch.next().await? {
            self.tell(Some(&event)).await?;
        }
        Ok(())
    }

    /// Posts the task as it was at `event`, or as it is now, where that is news.
    async fn tell(&mut self, event: Option<&Event>) -> Result<(), Error> {
        let job = self.app.gateway.job(self.job).await?;
        let task = match event {
            Some(event) => task_at(&self.app, &self.signer, &job, event).await?,
            None => task(&self.app, &self.signer, &job).await?,
        };
        let news = (task.status, task.progress.clone());
        if self.told.as_ref() == Some(&news) {
            return Ok(());
        }
        // Texts and numbers always serialise.
        let body = Bytes::from(serde_json::to_vec(&task).unwrap_or_default());
        self.deliver(&body).await;
        self.told = Some(news);
        Ok(())
    }

    async fn deliver(&self, body: &Bytes) {
        for wait in WAITS {
            if self.post(body).await {
                return;
            }
            let until = self.app.clock.now().saturating_add(wait);
            self.app.clock.sleep_until(until).await;
        }
        if !self.post(body).await {
            tracing::warn!(job = %self.job, "a change could not be posted to the task's hook");
        }
    }

    /// Posts once. The address stays out of the log: it may hold a token.
    async fn post(&self, body: &Bytes) -> bool {
        let (Some(outbound), Ok(_permit)) = (
            &self.app.notifier.outbound,
            self.app.notifier.posts.acquire().await,
        ) else {
            return false;
        };
        let request = OutboundRequest::post(self.hook.clone(), body.clone()).within(POST_TIME);
        match outbound.send(request).await {
            Ok(answer) => (200..300).contains(&answer.status),
            Err(error) => {
                tracing::debug!(job = %self.job, error = %Chain(&error), "a hook did not answer");
                false
            }
        }
    }
}
