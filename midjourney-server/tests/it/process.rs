//! Real processes of ours on a data directory of their own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A data directory with its configuration.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// One that works against the imitation at `base_url`, with short leases so that a killed process is missed soon.
    pub(crate) fn against(base_url: &str) -> Self {
        Self::with(&format!(
            "upstream:\n  kind: midjourney-proxy\n  base_url: \"{base_url}\"\n  dialect: trueai\n  timeout_seconds: 2\n\
             engine:\n  lease_seconds: 4\n  submit_timeout_seconds: 2\n  concurrency: 32\n"
        ))
    }

    /// One that uses the simulator.
    pub(crate) fn simulated() -> Self {
        Self::with("")
    }

    /// One of this configuration.
    pub(crate) fn with(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let home = Self { folder };
        fs::write(home.config(), config).unwrap();
        home
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("midjourney.yaml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The `midjourney` command on this home.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midjourney"));
        self.prepare(&mut command);
        command
    }

    /// The `midjourney-mcp` program on this home.
    pub(crate) fn mcp(&self) -> Command {
        // Another package's program lies beside ours; where only this package was built, it is built now.
        let program = Path::new(env!("CARGO_BIN_EXE_midjourney")).with_file_name("midjourney-mcp");
        if !program.exists() {
            let built = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "-p", "midjourney-mcp"])
                .status();
            assert!(
                built.unwrap().success() && program.exists(),
                "{} cannot be built",
                program.display()
            );
        }
        let mut command = Command::new(program);
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("MIDJOURNEY_API_KEY", "key-of-the-imitation")
            .current_dir(self.folder.path())
            .arg("--config")
            .arg(self.config())
            .arg("--data-dir")
            .arg(self.data());
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The `midjourney` command on this home, under another program with these arguments.
    pub(crate) fn command_under(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg(env!("CARGO_BIN_EXE_midjourney"));
        self.prepare(&mut command);
        command
    }

    /// Starts `midjourney serve` on a free port and waits until it says where it listens.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.command())
            .unwrap_or_else(|(_, said)| panic!("serve ended before it listened:\n{said}"))
    }
}

/// A running `midjourney serve`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    said: Arc<Mutex<String>>,
}

impl Server {
    /// Has `command` serve on a free port; how it ended and what it said where it did so before it listened.
    pub(crate) fn start(mut command: Command) -> Result<Self, (ExitStatus, String)> {
        command
            .args(["serve", "--port", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let url = loop {
            let Some(Ok(line)) = lines.next() else {
                return Err((child.wait().unwrap(), seen));
            };
            seen.push_str(&line);
            seen.push('\n');
            if let Some(at) = line.find("http://127.0.0.1:") {
                break line[at..]
                    .split_whitespace()
                    .next()
                    .unwrap()
                    .trim_end_matches('/')
                    .to_owned();
            }
        };
        let said = Arc::new(Mutex::new(seen));
        // Somebody must go on reading, or the server would block on a full pipe.
        std::thread::spawn({
            let said = Arc::clone(&said);
            move || {
                for line in lines.map_while(Result::ok) {
                    let mut said = said.lock().unwrap();
                    said.push_str(&line);
                    said.push('\n');
                }
            }
        });
        Ok(Self { child, url, said })
    }

    /// What it has written to standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// SIGKILL: no warning, no clean-up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it `signal`, such as `TERM`; where it runs under another program, to it alone.
    pub(crate) fn signal(&self, signal: &str) {
        let outer = self.child.id();
        let inner = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
        let inner = inner
            .ok()
            .and_then(|it| it.split_whitespace().next().map(str::to_owned));
        let target = inner.unwrap_or_else(|| outer.to_string());
        let sent = Command::new("kill").args(["-s", signal, &target]).status();
        assert!(sent.unwrap().success(), "no {signal} was sent to {target}");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The address of a route.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// How it ended, of itself or as it was told to, which must be within `limit`.
    pub(crate) fn ended(&mut self, limit: Duration) -> ExitStatus {
        const TICK: Duration = Duration::from_millis(5);
        for _ in 0..limit.as_millis() / TICK.as_millis() {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(TICK);
        }
        panic!("it did not end within {limit:?}; it said:\n{}", self.said())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Xorshift: what is random is so in every run alike.
pub(crate) fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

pub(crate) fn http() -> reqwest::Client {
    client(reqwest::redirect::Policy::limited(1))
}

/// One that stays where it is sent on.
pub(crate) fn http_that_stays() -> reqwest::Client {
    client(reqwest::redirect::Policy::none())
}

#[expect(clippy::disallowed_methods, reason = "a test plays the outside world")]
fn client(redirects: reqwest::redirect::Policy) -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(redirects)
        // The server closes what is idle for longer; a request must not set out on a connection that is being closed.
        .pool_idle_timeout(Duration::from_secs(5))
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// What came of an order.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Acknowledged, with the job's id.
    Taken(String),
    /// Answered otherwise.
    Refused(StatusCode, Value),
    /// There was no whole answer.
    Lost,
}

impl Answer {
    pub(crate) fn taken(self) -> String {
        match self {
            Self::Taken(id) => id,
            other => panic!("the order was not taken: {other:?}"),
        }
    }
}

/// Orders a picture of the server at `url`.
pub(crate) async fn order(client: &reqwest::Client, url: &str, prompt: &str) -> Answer {
    let request = client
        .post(format!("{url}/imagine"))
        .json(&json!({ "prompt": prompt }));
    let Ok(answer) = request.send().await else {
        return Answer::Lost;
    };
    let status = answer.status();
    match answer.json::<Value>().await {
        Ok(body) if status == StatusCode::ACCEPTED => {
            Answer::Taken(body["jobs"][0]["id"].as_str().unwrap().to_owned())
        }
        Ok(body) => Answer::Refused(status, body),
        Err(_) => Answer::Lost,
    }
}

/// The status of the answer to a question, if there is any.
pub(crate) async fn status(client: &reqwest::Client, url: &str) -> Option<StatusCode> {
    client.get(url).send().await.ok().map(|answer| answer.status())
}

/// Reads `url` until `enough` says so; the last answer is told when that does not happen in time.
pub(crate) async fn until(what: &str, url: &str, seconds: u64, enough: impl Fn(&Value) -> bool) -> Value {
    until_by(&http(), what, url, seconds, enough).await
}

/// The same by a client that is there already: making one takes longer than many a question.
pub(crate) async fn until_by(
    client: &reqwest::Client,
    what: &str,
    url: &str,
    seconds: u64,
    enough: impl Fn(&Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    let patient = async {
        loop {
            if let Ok(answer) = client.get(url).send().await
                && let Ok(value) = answer.json::<Value>().await
            {
                if enough(&value) {
                    return value;
                }
                last = value;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(seconds), patient).await;
    outcome.unwrap_or_else(|_| panic!("{what} did not come within {seconds} s; last: {last}"))
}
