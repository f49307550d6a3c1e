//! Callbacks that somebody else made up, to a gateway whose upstream signs as `LegNext` does.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use midjourney_core::{
    accounts::Accounts,
    client::legnext::LegNext,
    clock::Clock as _,
    engine::Parts,
    gateway::{Gateway, PromptRules},
    id::JobId,
    job::{AccountName, Job, REPLAY_WINDOW, Verdict},
    key::Secret,
    testing::{FakeClient, SeededEntropy},
    webhook::{Headers, Incoming},
};
use sha2::Sha256;
use wiremock::MockServer;

use crate::{
    callbacks::{reachable, segment, submitted},
    given::World,
    partner::options,
};

const SECRET: &str = "whsec-of-the-dashboard";
const SIGNATURE: &str = "x-legnext-signature";
const TIMESTAMP: &str = "x-legnext-timestamp";

/// A job under way, and a gateway that expects what its upstream signs.
struct Scene {
    world: World,
    gateway: Gateway,
    upstream: MockServer,
    id: JobId,
    body: String,
}

impl Scene {
    async fn new() -> Self {
        let world = reachable(FakeClient::new());
        let (id, task) = submitted(&world).await;
        let upstream = MockServer::start().await;
        let client = LegNext::new(options(&upstream.uri(), Some("key")));
        let client = Arc::new(client.with_webhook_secret(Secret::new(SECRET)));
        let images: Arc<midjourney_core::memory::MemoryImageStore> = Arc::clone(&world.images);
        let parts = Parts {
            jobs: Arc::clone(&world.jobs),
            images,
            // The account that the job is of, as another process may know it.
            accounts: Accounts::single(AccountName::new("fake"), client),
            clock: Arc::new(world.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(5)),
            policy: world.policy.clone(),
            callback: world.callback.clone(),
            links: None,
            webhooks: None,
        };
        Self {
            gateway: Gateway::new(parts, PromptRules::default()),
            body: format!(r#"{{"job_id":"{task}","status":"processing","task_type":"diffusion"}}"#),
            world,
            upstream,
            id,
        }
    }

    fn now(&self) -> i64 {
        self.world.clock.now().as_millis() / 1_000
    }

    fn address(&self) -> String {
        segment(&self.world, self.id)
    }

    async fn sent(&self, segment: &[u8], signature: &[u8], timestamp: &[u8], body: &[u8]) -> Verdict {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers: Headers = [(SIGNATURE, text(signature)), (TIMESTAMP, text(timestamp))]
            .into_iter()
            .collect();
        let incoming = Incoming::new(Bytes::copy_from_slice(body))
            .to(text(segment))
            .with_headers(headers);
        self.gateway.receive(incoming).await.unwrap().verdict
    }

    async fn job(&self) -> Job {
        self.world.job(self.id).await
    }
}

fn sign(timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{body}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Each of `bytes` with one bit of it flipped.
fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped
            .iter_mut()
            .skip(bit / 8)
            .take(1)
            .for_each(|byte| *byte ^= 1 << (bit % 8));
        flipped
    })
}

/// Every bit of the address, the signature, the time and the body, and every signature that was cut short.
#[tokio::test]
async fn no_forged_callback_changes_anything() {
    let scene = Scene::new().await;
    let (address, body) = (scene.address().into_bytes(), scene.body.clone().into_bytes());
    let time = scene.now().to_string();
    let signature = sign(&time, &scene.body).into_bytes();
    let time = time.into_bytes();
    let before = scene.job().await;
    let mut cases = 0;
    let mut refused = async |address: &[u8], signature: &[u8], time: &[u8], body: &[u8]| {
        cases += 1;
        let verdict = scene.sent(address, signature, time, body).await;
        assert!(
            matches!(verdict, Verdict::Forged | Verdict::Unknown | Verdict::Throttled),
            "{verdict:?} for case {cases}"
        );
    };
    for address in flips(&address) {
        refused(&address, &signature, &time, &body).await;
    }
    for signature in flips(&signature) {
        refused(&address, &signature, &time, &body).await;
    }
    for time in flips(&time) {
        refused(&address, &signature, &time, &body).await;
    }
    for body in flips(&body) {
        refused(&address, &signature, &time, &body).await;
    }
    for length in 0..signature.len() {
        refused(&address, signature.get(..length).unwrap(), &time, &body).await;
    }
    for other in 0..100 {
        let other = sign(&scene.now().to_string(), &format!("{{\"job_id\":\"{other}\"}}"));
        refused(&address, other.as_bytes(), &time, &body).await;
    }
    assert!(cases >= 2_000, "{cases} cases");
    assert_eq!(scene.job().await, before);
    assert!(scene.upstream.received_requests().await.unwrap().is_empty());
    let good = scene.sent(&address, &signature, &time, &body).await;
    assert_eq!(good, Verdict::Applied);
}

/// What is signed rightly, and of a time that is none, or not now.
#[tokio::test]
async fn a_signed_time_is_a_number_and_near() {
    let scene = Scene::new().await;
    let now = scene.now();
    let window = i64::try_from(REPLAY_WINDOW.as_secs()).unwrap();
    for (time, expected) in [
        ((now - window).to_string(), Verdict::Applied),
        ((now + window).to_string(), Verdict::Applied),
        ((now - window + 1).to_string(), Verdict::Applied),
        ((now + window - 1).to_string(), Verdict::Applied),
        ((now - window - 1).to_string(), Verdict::Expired),
        ((now + window + 1).to_string(), Verdict::Expired),
        (i64::MIN.to_string(), Verdict::Expired),
        (i64::MAX.to_string(), Verdict::Expired),
        ("0".to_owned(), Verdict::Expired),
        ("-1".to_owned(), Verdict::Expired),
        (format!("{}0", i64::MAX), Verdict::Forged),
        ("soon".to_owned(), Verdict::Forged),
        ("1e9".to_owned(), Verdict::Forged),
        (format!(" {now}"), Verdict::Forged),
        (format!("{now}.5"), Verdict::Forged),
    ] {
        let signature = sign(&time, &scene.body);
        let address = scene.address();
        let verdict = scene
            .sent(
                address.as_bytes(),
                signature.as_bytes(),
                time.as_bytes(),
                scene.body.as_bytes(),
            )
            .await;
        assert_eq!(verdict, expected, "{time:?}");
    }
    let time = now.to_string();
    let signature = sign(&time, &scene.body);
    let headers: Headers = [(SIGNATURE, &*signature), (TIMESTAMP, &*time), (TIMESTAMP, &*time)]
        .into_iter()
        .collect();
    let twice = Incoming::new(scene.body.clone().into())
        .to(scene.address())
        .with_headers(headers);
    let record = scene.gateway.receive(twice).await.unwrap();
    assert_eq!(record.verdict, Verdict::Forged);
}
