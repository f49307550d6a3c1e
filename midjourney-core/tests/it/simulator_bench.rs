//! The simulator as an upstream that does as it is told, and against the suite.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use midjourney_core::{
    client::{
        Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission,
        simulator::{Simulator, SimulatorOptions},
    },
    error::Applied,
    image::ByteStream,
    job::{Action, Capabilities, Failure, JobRequest, RemoteImage, RemoteStatus, UpstreamId},
    testing::{
        FakeClock,
        client_suite::{ClientBench, Mishap},
    },
};

const DURATION: Duration = Duration::from_secs(60);

/// The simulator, which is asked for mishaps by words, with somebody who keeps its books.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: Simulator,
    word: Mutex<Option<&'static str>>,
    paid: AtomicUsize,
    submits: AtomicUsize,
}

#[async_trait]
impl MidjourneyClient for Counted {
    fn upstream(&self) -> &'static str {
        self.inner.upstream()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn supports(&self, action: Action) -> bool {
        self.inner.supports(action)
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        self.inner.check(request, parent)
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let mut submission = submission.clone();
        if let Some(word) = self.word.lock().unwrap_or_else(PoisonError::into_inner).take() {
            submission.request.prompt = format!("{word} {}", submission.request.prompt);
        }
        self.check(&submission.request, submission.parent.as_ref())
            .map_err(ClientError::refused)?;
        self.submits.fetch_add(1, Ordering::SeqCst);
        let answer = self.inner.submit(&submission).await;
        if answer
            .as_ref()
            .map_or_else(|error| error.applied == Applied::Maybe, |_| true)
        {
            self.paid.fetch_add(1, Ordering::SeqCst);
        }
        answer
    }

    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError> {
        self.inner.reconcile(submission).await
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        self.inner.status(id).await
    }

    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError> {
        self.inner.cancel(id).await
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        self.inner.fetch(image).await
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        self.inner.parse_callback(body)
    }
}

/// The bench of a client that stands between a case and the simulator.
#[derive(Debug)]
pub(crate) struct Bench {
    clock: FakeClock,
    counted: Arc<Counted>,
    client: Arc<dyn MidjourneyClient>,
}

impl Bench {
    /// The simulator behind what `wrap` makes of it.
    pub(crate) fn new(wrap: impl FnOnce(Arc<Counted>) -> Arc<dyn MidjourneyClient>) -> Self {
        let clock = FakeClock::new();
        let options = SimulatorOptions::default().with_duration(DURATION).with_side(16);
        let counted = Arc::new(Counted {
            inner: Simulator::new(Arc::new(clock.clone()), options),
            word: Mutex::default(),
            paid: AtomicUsize::new(0),
            submits: AtomicUsize::new(0),
        });
        Self {
            clock,
            client: wrap(Arc::clone(&counted)),
            counted,
        }
    }
}

impl ClientBench for Bench {
    fn client(&self) -> Arc<dyn MidjourneyClient> {
        Arc::clone(&self.client)
    }

    fn spoil_submit(&self, mishap: Mishap) -> bool {
        let word = match mishap {
            Mishap::Moderated => "sim:banned",
            Mishap::Invalid => "sim:invalid",
            Mishap::QueueFull => "sim:queue-full",
            Mishap::Lost => "sim:lost",
            Mishap::TaskModerated => "sim:moderated",
            Mishap::TaskFails => "sim:fail",
            Mishap::TaskVanishes => "sim:vanish",
            _ => return false,
        };
        *self.counted.word.lock().unwrap_or_else(PoisonError::into_inner) = Some(word);
        true
    }

    fn spoil_question(&self, _mishap: Mishap) -> bool {
        false
    }

    fn paid(&self) -> usize {
        self.counted.paid.load(Ordering::SeqCst)
    }

    fn submits(&self) -> usize {
        self.counted.submits.load(Ordering::SeqCst)
    }

    fn duration(&self) -> Duration {
        DURATION
    }

    fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }
}

async fn fresh() -> (Arc<dyn ClientBench>, ()) {
    (Arc::new(Bench::new(|counted| counted)), ())
}

midjourney_core::client_suite!(fresh);
