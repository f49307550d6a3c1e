//! The real router behind a real socket, on stores in memory.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use ipnet::IpNet;
use midjourney_core::{
    accounts::Accounts,
    client::{
        MidjourneyClient,
        simulator::{Simulator, SimulatorOptions},
    },
    clock::{Clock, OsEntropy, SystemClock},
    delivery::{SigningKey, Webhooks},
    engine::{Engine, EngineConfig, Parts},
    gateway::{Gateway, PromptRules},
    image::ImageStore,
    job::{AccountName, Backoff, JobStore, Policy},
    key::Secret,
    link::PublicLinks,
    memory::{MemoryDeliveryStore, MemoryImageStore, MemoryJobStore},
    net::{Outbound, OutboundOptions},
    webhook::CallbackRegistration,
};
use midjourney_server::http::{self, Hosts, HttpOptions, ServeOptions, Stopping};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};

/// How a server is put together.
pub(crate) struct Setup {
    pub(crate) client: Arc<dyn MidjourneyClient>,
    pub(crate) jobs: Arc<dyn JobStore>,
    pub(crate) images: Arc<dyn ImageStore>,
    pub(crate) options: HttpOptions,
    pub(crate) serve: ServeOptions,
    pub(crate) engine: bool,
    pub(crate) links: Option<PublicLinks>,
    pub(crate) webhooks: Option<Webhooks>,
    /// Whether there are links that lead to this very server, whatever `links` says.
    pub(crate) links_here: bool,
    /// Whether upstreams are told to call this very server.
    pub(crate) callbacks_here: bool,
    /// Where upstreams are told to call, where that is not this very server.
    pub(crate) callback: Option<CallbackRegistration>,
    /// Where callbacks may come from.
    pub(crate) callback_senders: Vec<IpNet>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) listen: SocketAddr,
    /// How often a task is looked at.
    pub(crate) poll: Backoff,
}

impl Setup {
    /// What proves the addresses of callbacks.
    pub(crate) const CALLBACK_SECRET: &str = "a secret of this test";
    /// What proves to whoever asks that the address of callbacks is ours.
    pub(crate) const VERIFICATION_TOKEN: &str = "a-token-of-this-test";

    /// The simulator with small, quick pictures, and an engine.
    pub(crate) fn new() -> Self {
        let options = SimulatorOptions::default()
            .with_duration(Duration::from_millis(30))
            .with_side(16);
        Self {
            client: Arc::new(Simulator::new(Arc::new(SystemClock), options)),
            jobs: Arc::new(MemoryJobStore::new()),
            images: Arc::new(MemoryImageStore::new()),
            options: HttpOptions::new(Stopping::new()),
            serve: ServeOptions::default(),
            engine: true,
            links: None,
            webhooks: Some(Self::webhooks(OutboundOptions::default())),
            links_here: false,
            callbacks_here: false,
            callback: None,
            callback_senders: Vec::new(),
            clock: Arc::new(SystemClock),
            listen: ([127, 0, 0, 1], 0).into(),
            poll: Backoff::new(Duration::from_millis(5), Duration::from_millis(20)),
        }
    }

    /// Webhooks that go out by these rules.
    pub(crate) fn webhooks(options: OutboundOptions) -> Webhooks {
        Webhooks {
            store: Arc::new(MemoryDeliveryStore::new()),
            transport: Arc::new(Outbound::new(options).unwrap()),
            key: SigningKey::new(Secret::new("the root of this test")),
        }
    }

    /// The same without an engine: jobs stay pending.
    pub(crate) fn idle() -> Self {
        Self {
            engine: false,
            ..Self::new()
        }
    }

    pub(crate) fn options(mut self, change: impl FnOnce(HttpOptions) -> HttpOptions) -> Self {
        self.options = change(self.options);
        self
    }

    pub(crate) async fn start(self) -> Server {
        let mut policy = Policy::default();
        policy.poll = self.poll;
        policy.callback_senders = self.callback_senders;
        policy.retry = Backoff::new(Duration::from_millis(5), Duration::from_millis(20));
        let listener = http::listen(self.listen).unwrap();
        let address = listener.local_addr().unwrap();
        let here = || PublicLinks::new(format!("http://{address}"), Secret::new("of this test"));
        let callbacks = || {
            let place = format!("http://{address}/webhook/midjourney");
            CallbackRegistration::new(place, Secret::new(Self::CALLBACK_SECRET))
                .with_verification_token(Secret::new(Self::VERIFICATION_TOKEN))
        };
        let jobs = Arc::clone(&self.jobs);
        let parts = Parts {
            jobs: self.jobs,
            images: self.images,
            accounts: Accounts::single(AccountName::new("main"), self.client),
            clock: self.clock,
            entropy: Arc::new(OsEntropy),
            policy,
            callback: self.callbacks_here.then(callbacks).or(self.callback),
            links: self.links_here.then(here).or(self.links),
            webhooks: self.webhooks,
        };
        let gateway = Gateway::new(parts, PromptRules::default());
        let stopping = self.options.stopping.clone();
        let router = http::router(gateway.clone(), self.options).await;
        let engine = self.engine.then(|| gateway.start_engine(EngineConfig::default()));
        let task = tokio::spawn(http::serve(router, vec![listener], self.serve, stopping.clone()));
        Server {
            address,
            gateway,
            jobs,
            stopping,
            task,
            client: client(),
            _engine: engine,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test plays the outside world")]
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30));
    builder
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Gateway,
    pub(crate) jobs: Arc<dyn JobStore>,
    pub(crate) stopping: Stopping,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
    client: reqwest::Client,
    _engine: Option<Engine>,
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    /// Gets an address as a stranger does, who knows nothing but the address.
    pub(crate) fn open(&self, url: &str) -> RequestBuilder {
        self.client.get(url)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method.parse().unwrap(), self.url(path))
    }

    /// A completed job, made over HTTP.
    pub(crate) async fn finished(&self, prompt: &str) -> Value {
        let request = self
            .post("/imagine")
            .header("prefer", "wait=30")
            .json(&json!({"prompt": prompt}));
        let (status, body) = send(request).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["jobs"][0].clone()
    }

    /// Sends these bytes and reads all that comes until the server closes.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // The server may close before it has read everything.
        drop(socket.write_all(request).await);
        let mut answer = Vec::new();
        let reading = async {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                answer.extend_from_slice(&buffer[..read]);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reading)
            .await
            .expect("the server closes");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Status and JSON body of an answer.
pub(crate) async fn send(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: no JSON: {text:?}"));
    (status, body)
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name:?} in {value}"))
}

pub(crate) fn any_host(options: HttpOptions) -> HttpOptions {
    options.with_hosts(Hosts::Any)
}

/// What the log says.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Writes down what this thread alone says up to this level.
    pub(crate) fn listen(&self, level: tracing::Level) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(level)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn count(&self, word: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap())
            .matches(word)
            .count()
    }
}
