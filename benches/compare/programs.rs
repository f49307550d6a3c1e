//! The programs that are measured in turn, and how each is started.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    Outcome,
    options::Options,
    process::{Running, free_address, pinned},
    surface::Surface,
    upstream::Upstream,
};

/// More than any measurement opens.
const CONNECTIONS: &str = "100000";

/// A program. `{addr}`, `{port}`, `{data}`, `{upstream}` and `{commit}` in a peer's line are filled in.
#[derive(Debug)]
pub(crate) struct Program {
    /// `ours`, or the name of the peer in the table.
    pub(crate) name: &'static str,
    pub(crate) surface: Surface,
    line: String,
    server_cpu: String,
    log: Option<String>,
}

impl Program {
    /// Ours first, and every peer that there is.
    pub(crate) fn all(options: &Options) -> Outcome<Vec<Self>> {
        let program = |name, surface, line: String| Self {
            name,
            surface,
            line,
            server_cpu: options.text("server-cpu", "0").to_owned(),
            log: options.get("log").map(str::to_owned),
        };
        let ours = std::path::absolute(options.ours()?)?;
        let mut all = vec![program(
            "ours",
            Surface::Ours,
            ours.to_string_lossy().into_owned(),
        )];
        if let Some(line) = options.get("limit-server") {
            all.push(program("limit", Surface::Peer, line.to_owned()));
        }
        if let Some(line) = options.get("fastapi") {
            for (name, commit) in [("each", "each"), ("group", "group")] {
                all.push(program(name, Surface::Peer, line.replace("{commit}", commit)));
            }
        }
        Ok(all)
    }

    /// Starts it on the data in `data`. Ours has these settings, or works with its simulator; peers call nobody.
    pub(crate) fn start(&self, data: &Path, settings: Option<&str>) -> Outcome<Server> {
        self.start_at(free_address()?, data, settings)
    }

    /// The same, at a certain address.
    pub(crate) fn start_at(
        &self,
        address: SocketAddr,
        data: &Path,
        settings: Option<&str>,
    ) -> Outcome<Server> {
        let command = match self.surface {
            Surface::Ours => self.ours(address, data, settings)?,
            Surface::Peer => self.peer(address, data, "")?,
        };
        self.until_ready(command, address)
    }

    /// Starts a peer that has `upstream` take each job before it acknowledges it.
    pub(crate) fn start_calling(&self, data: &Path, upstream: &Upstream) -> Outcome<Server> {
        let address = free_address()?;
        let command = self.peer(address, data, &format!("{}/submit", upstream.url()))?;
        self.until_ready(command, address)
    }

    fn until_ready(&self, mut command: Command, address: SocketAddr) -> Outcome<Server> {
        let log = || match &self.log {
            Some(log) => Ok(fs::File::options().create(true).append(true).open(log)?.into()),
            None => Outcome::Ok(Stdio::null()),
        };
        command.stdout(log()?).stderr(log()?);
        let (process, ready_after) = Running::until_ready(&mut command, address, self.surface.ready())?;
        Ok(Server {
            process,
            address,
            surface: self.surface,
            ready_after,
        })
    }

    fn ours(&self, address: SocketAddr, data: &Path, settings: Option<&str>) -> Outcome<Command> {
        let mut command = pinned(&self.server_cpu, &self.line);
        // Away from any configuration of the person who measures.
        command.current_dir(data).env("HOME", data);
        command.env("MIDJOURNEY__SERVER__MAX_CONNECTIONS", CONNECTIONS);
        if let Some(settings) = settings {
            let file = data.join("compare.yaml");
            fs::write(&file, settings)?;
            command.arg("--config").arg(file);
        }
        command.arg("--data-dir").arg(data);
        command.args(["serve", "--port", &address.port().to_string()]);
        Ok(command)
    }

    /// An empty word for the upstream says that there is none.
    fn peer(&self, address: SocketAddr, data: &Path, upstream: &str) -> Outcome<Command> {
        let data = data.to_string_lossy();
        let mut words = self.line.split_whitespace().map(|word| {
            word.replace("{addr}", &address.to_string())
                .replace("{port}", &address.port().to_string())
                .replace("{data}", &data)
                .replace("{upstream}", upstream)
        });
        let program = words.next().ok_or("the line of a peer is empty")?;
        let mut command = pinned(&self.server_cpu, &program);
        command.args(words);
        Ok(command)
    }
}

/// A program that is ready.
pub(crate) struct Server {
    pub(crate) process: Running,
    pub(crate) address: SocketAddr,
    pub(crate) surface: Surface,
    /// From its start to its first 200.
    pub(crate) ready_after: Duration,
}
