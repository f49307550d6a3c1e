//! The one façade that adapters and embedders call.
//!
//! ```no_run
//! # async fn demo(gateway: midjourney_core::gateway::Gateway) -> Result<(), midjourney_core::error::Error> {
//! use std::time::Duration;
//! use midjourney_core::gateway::Imagine;
//!
//! let accepted = gateway.imagine(Imagine::new("a red fox in the snow --ar 3:2")).await?;
//! for job in &accepted.jobs {
//!     let done = gateway.wait(job.id, Duration::from_secs(120)).await?;
//!     println!("{}: {}", done.id, done.status().name());
//! }
//! # Ok(())
//! # }
//! ```

mod accounts;
mod act;
mod callbacks;
mod follow_ups;
mod hub;
mod intake;
mod library;
mod pictures;
mod probes;
#[cfg(feature = "renditions")]
mod renditions;
#[cfg(feature = "simulator")]
mod simulated;
mod uploads;
mod watch;
mod watch_all;
mod webhooks;

use std::{sync::Arc, time::Duration};

pub use accounts::{AccountView, BudgetView, SpendingView};
pub use act::{Act, Start};
pub use hub::SharedEvent;
pub use intake::{Accepted, Imagine, PromptCheck, PromptRules};
pub use library::MAX_LINEAGE;
pub use pictures::Picture;
pub use probes::{CallbackStatusView, ProbeView};
#[cfg(feature = "renditions")]
pub use renditions::Rendered;
pub use watch::Watch;
pub use watch_all::{WatchAll, WatchFilter};
pub use webhooks::{MOST_SUBSCRIPTIONS, Subscribe};

pub use crate::view::{
    AttemptView, CallbackView, DeliveryView, EventView, FailureView, ImageView, JobView, LineageView,
    SubscriptionView,
};
use crate::{
    engine::{self, Cleaned, Engine, EngineConfig, Parts},
    error::{Error, ErrorKind},
    id::{ImageId, JobId},
    image::Image,
    job::{
        Capabilities, Commit, Counts, Event, ImageQuery, Input, Job, JobQuery, JobState, JobStoreExt as _,
        Moment, Position, Resolution, StoreError, step,
    },
    link::PublicLinks,
    page::Page,
    webhook::Guesses,
};

/// How often a change that somebody asks for is decided anew when the engine changes the job at the same moment.
const CHANGE_TRIES: usize = 20;

/// Accepts requests, tells how jobs are doing, and hands out pictures. Cheap to clone.
///
/// A gateway alone does not work on jobs: start an engine with [`start_engine`](Gateway::start_engine), here or in
/// another process on the same store.
#[derive(Clone, Debug)]
pub struct Gateway {
    parts: Arc<Parts>,
    prompts: Arc<PromptRules>,
    hub: Arc<hub::Hub>,
    refusals: Arc<callbacks::Refusals>,
    guesses: Arc<Guesses>,
    #[cfg(feature = "renditions")]
    renditions: Arc<crate::image::rendition::Renditions>,
}

impl Gateway {
    /// A gateway made of `parts`.
    pub fn new(parts: Parts, prompts: PromptRules) -> Self {
        let hub = Arc::new(hub::Hub::new(Arc::clone(&parts.jobs), Arc::clone(&parts.clock)));
        Self {
            parts: Arc::new(parts),
            prompts: Arc::new(prompts),
            hub,
            refusals: Arc::default(),
            guesses: Arc::default(),
            #[cfg(feature = "renditions")]
            renditions: Arc::default(),
        }
    }

    /// Starts working on jobs in this process. Must be called within a tokio runtime.
    pub fn start_engine(&self, config: EngineConfig) -> Engine {
        Engine::start((*self.parts).clone(), config)
    }

    /// The rules that prompts are checked by.
    pub fn prompt_rules(&self) -> &PromptRules {
        &self.prompts
    }

    /// What the upstream of `job`'s account can do; nothing where this process has no such account.
    pub fn capabilities(&self, job: &Job) -> Capabilities {
        self.parts
            .accounts
            .client(&job.account)
            .map(|client| client.capabilities())
            .unwrap_or_default()
    }

    /// What the first account's upstream can do.
    pub fn default_capabilities(&self) -> Capabilities {
        let accounts = &self.parts.accounts;
        accounts
            .all()
            .first()
            .map(|account| account.client.capabilities())
            .unwrap_or_default()
    }

    /// The name of the first account's upstream.
    pub fn default_upstream(&self) -> &'static str {
        let accounts = &self.parts.accounts;
        accounts
            .all()
            .first()
            .map_or("none", |account| account.client.upstream())
    }

    /// How others reach our files, if they can.
    pub fn links(&self) -> Option<&PublicLinks> {
        self.parts.links.as_ref()
    }

    /// The job.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn job(&self, id: JobId) -> Result<Job, Error> {
        Ok(self.parts.jobs.get(id).await?)
    }

    /// Jobs, newest first.
    pub async fn jobs(&self, query: &JobQuery) -> Result<Page<Job>, Error> {
        Ok(self.parts.jobs.list(query).await?)
    }

    /// How many jobs there are of each status.
    pub async fn counts(&self) -> Result<Counts, Error> {
        Ok(self.parts.jobs.counts().await?)
    }

    /// The row of one image.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn image(&self, id: ImageId) -> Result<Image, Error> {
        let image = self.parts.jobs.image(id).await?;
        image.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no image {id}")))
    }

    /// Images, newest first; those of one job with the grid first, then by index.
    pub async fn images(&self, query: &ImageQuery) -> Result<Page<Image>, Error> {
        Ok(self.parts.jobs.images(query).await?)
    }

    /// Up to `limit` events of one job after sequence number `after`.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn history(&self, id: JobId, after: u64, limit: usize) -> Result<Vec<Event>, Error> {
        self.job(id).await?;
        Ok(self.parts.jobs.history(id, after, limit).await?)
    }

    /// Follows a job: every committed event after sequence number `after`, as it is committed, to the last.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn watch(&self, id: JobId, after: u64) -> Result<Watch, Error> {
        self.job(id).await?;
        Ok(Watch::start(Arc::clone(&self.parts.jobs), &self.hub, id, after))
    }

    /// Follows all jobs: every event after `after` that passes the filter, as it is committed; without `after`, those that
    /// are committed from now on.
    ///
    /// **Errors:** the store's.
    pub async fn watch_all(&self, after: Option<Position>, filter: WatchFilter) -> Result<WatchAll, Error> {
        WatchAll::start(Arc::clone(&self.parts.jobs), &self.hub, after, filter).await
    }

    /// Removes what [`Policy::retention`](crate::job::Policy::retention) does not keep any more, as an engine does every
    /// hour; with `dry_run`, only says what would go.
    ///
    /// **Errors:** the store's; what was removed before it is gone. **Cancel safety:** the rest is removed another time.
    pub async fn clean(&self, dry_run: bool) -> Result<Cleaned, Error> {
        Ok(engine::clean(&self.parts, self.parts.clock.now(), dry_run).await?)
    }

    /// Waits until the job is over, at most `limit`, and returns it as it is then: look at its status.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]. **Cancel safety:** dropping the future ends the wait, never the job.
    pub async fn wait(&self, id: JobId, limit: Duration) -> Result<Job, Error> {
        let deadline = self.parts.clock.now().saturating_add(limit);
        let job = self.job(id).await?;
        if job.status().is_final() {
            return Ok(job);
        }
        let mut watch = Watch::start(Arc::clone(&self.parts.jobs), &self.hub, id, job.sequence);
        let over = async {
            while let Some(event) = watch.next().await? {
                if event.status.is_final() {
                    break;
                }
            }
            Ok::<_, Error>(())
        };
        tokio::select! {
            done = over => done?,
            () = self.parts.clock.sleep_until(deadline) => {}
        }
        self.job(id).await
    }

    /// Cancels a job: at once where nothing has been spent, else as soon as the upstream lets go of it.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where it is over or its pictures are being stored.
    /// Cancelling twice is fine.
    pub async fn cancel(&self, id: JobId) -> Result<Job, Error> {
        self.change(id, &Input::CancelRequested).await
    }

    /// Settles a job whose submit was lost.
    ///
    /// Submitting it again is charged again, and what it was charged with before stays charged.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where it is not in that state;
    /// [`ErrorKind::OverBudget`] where a budget does not allow to submit it again.
    pub async fn resolve(&self, id: JobId, resolution: Resolution) -> Result<Job, Error> {
        self.change(id, &Input::Resolve(resolution)).await
    }

    async fn change(&self, id: JobId, input: &Input) -> Result<Job, Error> {
        for _ in 0..CHANGE_TRIES {
            let job = self.parts.jobs.get(id).await?;
            let at = Moment {
                now: self.parts.clock.now(),
                chance: self.parts.entropy.chance(),
            };
            let next = step(&job.life, input.clone(), &self.parts.policy, at)
                .map_err(|invalid| Error::new(ErrorKind::Conflict, invalid.to_string()))?;
            if next.life == job.life {
                return Ok(job);
            }
            let commit = Commit::step(&job, next, at.now).within(self.parts.budgets(&job.account));
            match self.parts.jobs.commit(commit).await {
                Err(StoreError::Stale(_)) => {}
                Err(StoreError::Overdrawn(overdrawn)) => return Err(self.over_budget(&overdrawn)),
                other => return Ok(other?),
            }
        }
        Err(
            Error::new(ErrorKind::Unavailable, "the job is changing too fast; try again")
                .with_retry_after(Duration::from_secs(1)),
        )
    }

    /// Everything that is known about a job, ready to be shown.
    pub async fn view(&self, job: &Job) -> Result<JobView, Error> {
        let images = if matches!(job.life.state, JobState::Completed { .. }) {
            self.parts.jobs.images(&ImageQuery::of(job.id)).await?.items
        } else {
            Vec::new()
        };
        Ok(JobView::of(job, &images, self.capabilities(job).simulated))
    }

    /// Whether jobs and pictures can be stored at the moment.
    ///
    /// **Errors:** [`ErrorKind::Unavailable`], naming the part that cannot.
    pub async fn ready(&self) -> Result<(), Error> {
        let broken = |part: &str| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the {part} store cannot be written to"),
            )
        };
        self.parts
            .jobs
            .ping()
            .await
            .map_err(|error| broken("job").with_source(error))?;
        self.parts
            .images
            .ping()
            .await
            .map_err(|error| broken("image").with_source(error))?;
        Ok(())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let later =
            |detail: &str| Self::new(ErrorKind::Unavailable, detail).with_retry_after(Duration::from_secs(1));
        match &error {
            StoreError::NoSuchJob(id) => {
                return Self::new(ErrorKind::NotFound, format!("there is no job {id}"));
            }
            StoreError::Stale(_) | StoreError::LeaseLost(_) | StoreError::Repeated(_) => {
                later("the job has changed in the meantime; try again")
            }
            StoreError::NoSlot(_) => later("the account has no free slot at the moment"),
            StoreError::Overdrawn(_) => Self::new(ErrorKind::OverBudget, "a budget does not allow it"),
            StoreError::Full { .. } => {
                Self::new(ErrorKind::StorageFull, "no room left where jobs are stored")
            }
            StoreError::Stopped { .. } => later("the job store writes nothing more until a restart"),
            StoreError::Backend {
                retry: crate::error::Retry::Never,
                ..
            }
            | StoreError::Corrupt { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::Damaged { .. } => Self::new(ErrorKind::Internal, "the job store failed"),
            StoreError::Backend { .. } => later("the job store cannot be reached at the moment"),
        }
        .with_source(error)
    }
}
