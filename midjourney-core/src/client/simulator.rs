//! An upstream that lives in this process. It draws real PNG files, costs nothing, and says so on every picture.
//!
//! It keeps no state: a task's id holds the whole task, and its progress follows from the clock. So a task outlives
//! the process that started it, and several processes may share it.
//!
//! The prompt's `--ar`, `--seed`, `--v`, `--niji` and `--hd` are honoured; the same prompt and seed always give the
//! same pictures.
//!
//! # Faults on command
//!
//! A word in the prompt makes a task go wrong:
//!
//! | word | what happens |
//! |---|---|
//! | `sim:banned` | the submit is refused as moderated |
//! | `sim:invalid` | the submit is refused as an invalid prompt |
//! | `sim:queue-full` | the submit is turned away, to be tried again in two seconds, every time |
//! | `sim:lost` | the submit's answer is lost, every time |
//! | `sim:moderated` | the task fails as moderated halfway |
//! | `sim:fail` | the task fails in a passing way at 60 % |
//! | `sim:vanish` | the task is no longer known after half its time |
//! | `sim:window` | the task waits for input for ever |
//! | `sim:hang` | the task runs for ever |
//! | `sim:slow` | the task takes ten times as long |
//! | `sim:bad-image` | the task succeeds, but its pictures are web pages |

mod draw;
mod font;
mod params;
mod scene;
mod task;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use self::{draw::Picture, task::Task};
use crate::{
    client::{Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    clock::Clock,
    image::ByteStream,
    job::{Action, Capabilities, Failure, FailureKind, JobRequest, RemoteImage, RemoteStatus, UpstreamId},
};

/// How many bytes of a picture are given at a time.
const CHUNK: usize = 64 * 1024;

/// How the simulator behaves.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SimulatorOptions {
    /// How long a task takes.
    pub duration: Duration,
    /// The side of a square picture, in pixels; other aspects get about the same area. Small ones make tests fast.
    pub side: u16,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            duration: Duration::from_millis(2_500),
            side: 1_024,
        }
    }
}

impl SimulatorOptions {
    /// Tasks that take `duration`.
    pub const fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// Square pictures of `side` pixels, at least 16 and at most 2,048.
    pub const fn with_side(mut self, side: u16) -> Self {
        self.side = side;
        self
    }
}

/// The upstream `simulator`. See the [module](self) for what it can be told to do.
#[derive(Clone, Debug)]
pub struct Simulator {
    clock: Arc<dyn Clock>,
    options: SimulatorOptions,
}

impl Simulator {
    /// A simulator that lives by `clock`.
    pub fn new(clock: Arc<dyn Clock>, options: SimulatorOptions) -> Self {
        Self { clock, options }
    }
}

#[async_trait]
impl MidjourneyClient for Simulator {
    fn upstream(&self) -> &'static str {
        "simulator"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // Nothing is spent, so doing it twice spends nothing twice.
            idempotent_submit: true,
            reconcile: false,
            cancel: true,
            callbacks: false,
            simulated: true,
            ..Capabilities::default()
        }
    }

    fn supports(&self, action: Action) -> bool {
        task::supports(action)
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        task::check(request, parent).map(drop)
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        Task::start(submission, self.clock.now(), self.options)
    }

    async fn reconcile(&self, _submission: &Submission) -> Result<Reconciliation, ClientError> {
        Ok(Reconciliation::Unknown)
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        Ok(Task::read(id).map_or(RemoteStatus::Missing, |task| task.status(self.clock.now())))
    }

    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError> {
        // There is no place to note it. The caller's own record of the cancellation is what counts.
        Ok(Task::read(id).is_some_and(|task| !task.is_over(self.clock.now())))
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        let unavailable = |message: &str| {
            ClientError::refused(Failure::new(FailureKind::ImageUnavailable, message.to_owned()))
        };
        let picture = Picture::from_url(&image.url)
            .ok_or_else(|| unavailable("this is not the address of a simulated picture"))?;
        let bytes = if picture.spoiled {
            Bytes::from_static(b"<!doctype html><title>403 Forbidden</title><p>sim:bad-image</p>")
        } else {
            let drawn = tokio::task::spawn_blocking(move || picture.png()).await;
            match drawn {
                Ok(Ok(png)) => Bytes::from(png),
                Ok(Err(error)) => {
                    return Err(unavailable("the simulated picture could not be encoded").with_source(error));
                }
                Err(error) => {
                    return Err(unavailable("the simulated picture could not be drawn").with_source(error));
                }
            }
        };
        let mut rest = bytes;
        Ok(Box::pin(futures_util::stream::iter(std::iter::from_fn(
            move || {
                let next = rest.split_to(rest.len().min(CHUNK));
                (!next.is_empty()).then_some(Ok(next))
            },
        ))))
    }

    fn parse_callback(&self, _body: &[u8]) -> Result<Callback, ClientError> {
        Err(ClientError::unsupported("the simulator does not call back"))
    }
}
