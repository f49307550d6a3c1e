//! An upstream of your own: implement [`MidjourneyClient`] and hand it to the gateway.
//!
//! This one "draws" a fixed picture and keeps its tasks in memory. A real one must answer
//! [`ClientError::lost`] whenever a submit may have been accepted without a readable answer: that is the line between
//! paying once and paying twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use midjourney_core::{
    accounts::Accounts,
    client::{Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    clock::{OsEntropy, SystemClock},
    engine::{EngineConfig, Parts},
    gateway::{Gateway, Imagine, PromptRules},
    image::{ByteStream, ImageKind},
    job::{
        AccountName, Action, Capabilities, Failure, FailureKind, ImageQuery, JobRequest, Policy, RemoteImage,
        RemoteResult, RemoteStatus, UpstreamId,
    },
    memory::{MemoryImageStore, MemoryJobStore},
};

/// The smallest GIF there is: one transparent pixel.
const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\
                       \x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";

#[derive(Debug, Default)]
struct PixelStudio {
    /// Task id by our mark, so that a lost answer can be looked up.
    tasks: Mutex<HashMap<String, UpstreamId>>,
}

#[async_trait]
impl MidjourneyClient for PixelStudio {
    fn upstream(&self) -> &'static str {
        "pixel-studio"
    }

    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::default();
        can.reconcile = true;
        can.simulated = true;
        can
    }

    fn supports(&self, action: Action) -> bool {
        matches!(action, Action::Imagine)
    }

    fn check(&self, request: &JobRequest, _parent: Option<&ParentTask>) -> Result<(), Failure> {
        match request.action {
            Action::Imagine => Ok(()),
            _ => Err(Failure::new(
                FailureKind::Unsupported,
                "the pixel studio only draws from prompts",
            )),
        }
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let id = UpstreamId::new(format!("pixel-{}", submission.nonce.as_str()));
        let mut tasks = self.tasks.lock().expect("not poisoned");
        tasks.insert(submission.nonce.as_str().to_owned(), id.clone());
        Ok(id)
    }

    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError> {
        let tasks = self.tasks.lock().expect("not poisoned");
        // This list is complete, so what is not on it was surely never accepted.
        Ok(tasks
            .get(submission.nonce.as_str())
            .cloned()
            .map_or(Reconciliation::Absent, Reconciliation::Found))
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        let image = RemoteImage::new(format!("pixel://{id}"), ImageKind::Single, 1);
        Ok(RemoteStatus::Succeeded(RemoteResult::new(vec![image])))
    }

    async fn cancel(&self, _id: &UpstreamId) -> Result<bool, ClientError> {
        Err(ClientError::unsupported("pixels cannot be stopped"))
    }

    async fn fetch(&self, _image: &RemoteImage) -> Result<ByteStream, ClientError> {
        Ok(Box::pin(futures_util::stream::once(async { Ok(PIXEL.into()) })))
    }

    fn parse_callback(&self, _body: &[u8]) -> Result<Callback, ClientError> {
        Err(ClientError::unsupported("the pixel studio never calls back"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let gateway = Gateway::new(
        Parts {
            jobs: Arc::new(MemoryJobStore::new()),
            images: Arc::new(MemoryImageStore::new()),
            accounts: Accounts::single(AccountName::new("studio"), Arc::new(PixelStudio::default())),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            policy: Policy::default(),
            callback: None,
            links: None,
            webhooks: None,
        },
        PromptRules::default(),
    );
    let engine = gateway.start_engine(EngineConfig::default());
    let job = gateway.imagine(Imagine::new("one pixel")).await?.jobs.remove(0);
    let job = gateway.wait(job.id, Duration::from_secs(30)).await?;
    let images = gateway.images(&ImageQuery::of(job.id)).await?.items;
    println!(
        "{}: {} picture of {} bytes",
        job.status().name(),
        images.len(),
        images[0].bytes
    );
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
