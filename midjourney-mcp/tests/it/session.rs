//! A client that speaks raw JSON-RPC and keeps every line it got.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use midjourney_core::{
    accounts::Accounts,
    client::{
        MidjourneyClient,
        simulator::{Simulator, SimulatorOptions},
    },
    clock::{Clock, OsEntropy, SystemClock},
    engine::{EngineConfig, Parts},
    gateway::{Gateway, PromptRules},
    job::{AccountName, Policy},
    memory::{MemoryImageStore, MemoryJobStore},
};
use midjourney_mcp::{
    open::{OpenError, OpenGateway, Opened},
    transport::{Reach, serve},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, Lines, duplex},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_midjourney-mcp");
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Session {
    write: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    read: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    next_id: u64,
    /// Notifications that came so far.
    pub(crate) notes: Vec<Value>,
    pub(crate) child: Option<Child>,
    pub(crate) serving: Option<JoinHandle<std::io::Result<()>>>,
}

/// The program on this data directory, with no configuration but these variables.
pub(crate) fn command(data: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .arg("--data-dir")
        .arg(data)
        .env_clear()
        .env("HOME", data)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Session {
    pub(crate) fn process(data: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = command(data, variables).spawn().unwrap();
        let (write, read) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child: Some(child),
            ..Self::over(Box::new(read), Box::new(write))
        }
    }

    /// In this process, on the stores of `opener`.
    pub(crate) fn local(opener: Arc<dyn OpenGateway>) -> Self {
        Self::at(Reach::ThisMachine, opener)
    }

    /// The same for a client on another machine.
    pub(crate) fn far(opener: Arc<dyn OpenGateway>) -> Self {
        Self::at(Reach::Elsewhere, opener)
    }

    fn at(reach: Reach, opener: Arc<dyn OpenGateway>) -> Self {
        let (near_write, far_read) = duplex(1 << 16);
        let (far_write, near_read) = duplex(1 << 16);
        let serving = tokio::spawn(serve(opener, reach, far_read, far_write, std::future::pending()));
        Self {
            serving: Some(serving),
            ..Self::over(Box::new(near_read), Box::new(near_write))
        }
    }

    /// In this process, with fast and small simulated pictures, and greeted.
    pub(crate) async fn quick() -> Self {
        let mut session = Self::local(Memory::quick());
        session.greet().await;
        session
    }

    fn over(read: Box<dyn AsyncRead + Send + Unpin>, write: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self {
            write: Some(write),
            read: BufReader::new(read).lines(),
            next_id: 0,
            notes: Vec::new(),
            child: None,
            serving: None,
        }
    }

    pub(crate) async fn greet(&mut self) -> Value {
        let hello = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
        });
        let greeting = self.request("initialize", hello).await;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        greeting
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        let write = self.write.as_mut().unwrap();
        write.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        write.flush().await.unwrap();
    }

    /// Sends a request without waiting for its answer.
    pub(crate) async fn start(&mut self, method: &str, params: Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
        id
    }

    /// The next message. Anything that is not one JSON-RPC message fails the test.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        let line = timeout(PATIENCE, self.read.next_line())
            .await
            .expect("an answer in time")
            .unwrap()?;
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        Some(message)
    }

    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.message().await.expect("an answer before the end");
            if message["id"] == id {
                return message;
            }
            self.notes.push(message);
        }
    }

    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.start(method, params).await;
        self.answer(id).await
    }

    /// Calls a tool; a protocol error fails the test.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self
            .request("tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        assert!(answer["error"].is_null(), "{tool}: {answer}");
        answer["result"].clone()
    }

    /// Calls a tool that must succeed, and gives its data.
    pub(crate) async fn good(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// Calls a tool that must fail with this code, and gives its text.
    pub(crate) async fn bad(&mut self, tool: &str, arguments: Value, code: &str) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{tool}: {result}");
        assert_eq!(result["structuredContent"]["code"], code, "{tool}: {result}");
        text(&result)
    }

    /// Closes our side and waits until the server has closed its own.
    pub(crate) async fn hang_up(&mut self) -> Vec<Value> {
        self.write = None;
        let mut rest = Vec::new();
        while let Some(message) = self.message().await {
            rest.push(message);
        }
        rest
    }
}

/// The text block of a result.
pub(crate) fn text(result: &Value) -> String {
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// The blocks of one type.
pub(crate) fn blocks<'a>(result: &'a Value, kind: &str) -> Vec<&'a Value> {
    let content = result["content"].as_array().unwrap();
    content.iter().filter(|block| block["type"] == kind).collect()
}

/// A gateway on memory stores. Opening it twice gives the same stores.
#[derive(Debug)]
pub(crate) struct Memory(pub(crate) Gateway);

impl Memory {
    pub(crate) fn quick() -> Arc<Self> {
        Self::drawing(64, Duration::from_millis(50))
    }

    pub(crate) fn drawing(side: u16, duration: Duration) -> Arc<Self> {
        let options = SimulatorOptions::default()
            .with_side(side)
            .with_duration(duration);
        Self::with(Arc::new(Simulator::new(Arc::new(SystemClock), options)))
    }

    pub(crate) fn with(client: Arc<dyn MidjourneyClient>) -> Arc<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut policy = Policy::default();
        policy.poll =
            midjourney_core::job::Backoff::new(Duration::from_millis(20), Duration::from_millis(50));
        let parts = Parts {
            jobs: Arc::new(MemoryJobStore::new()),
            images: Arc::new(MemoryImageStore::new()),
            accounts: Accounts::single(AccountName::new("main"), client),
            clock,
            entropy: Arc::new(OsEntropy),
            policy,
            callback: None,
            links: None,
            webhooks: None,
        };
        Arc::new(Self(Gateway::new(parts, PromptRules::default())))
    }
}

#[async_trait]
impl OpenGateway for Memory {
    async fn open(&self) -> Result<Opened, OpenError> {
        Ok(Opened::new(self.0.clone(), Some(EngineConfig::default())))
    }
}
