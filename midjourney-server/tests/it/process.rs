//! Real processes of ours on a data directory of their own.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
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

    fn with(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let home = Self { folder };
        std::fs::write(home.config(), config).unwrap();
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

    /// Starts `midjourney serve` on a free port and waits until it says where it listens.
    pub(crate) fn serve(&self) -> Server {
        let mut command = self.command();
        command
            .args(["serve", "--port", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let url = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("serve ended before it listened:\n{seen}")
            };
            if let Some(at) = line.find("http://127.0.0.1:") {
                break line[at..]
                    .split_whitespace()
                    .next()
                    .unwrap()
                    .trim_end_matches('/')
                    .to_owned();
            }
            seen.push_str(&line);
            seen.push('\n');
        };
        // Somebody must go on reading, or the server would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, url }
    }
}

/// A running `midjourney serve`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// SIGKILL: no warning, no clean-up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "a test plays the outside world")]
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        // The server closes what is idle for longer; a request must not set out on a connection that is being closed.
        .pool_idle_timeout(Duration::from_secs(5))
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// Reads `url` until `enough` says so; the last answer is told when that does not happen in time.
pub(crate) async fn until(what: &str, url: &str, seconds: u64, enough: impl Fn(&Value) -> bool) -> Value {
    let client = http();
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
