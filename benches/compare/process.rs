//! Processes that end with the one that measures, and what the system says of them.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Outcome;

/// How long a server may take to be ready; one that recovers a million jobs takes a while.
const READY: Duration = Duration::from_secs(120);

/// Killed when dropped, as `kill -9` does.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts `command` and waits until `GET path` at `address` gives 200. Gives the time that this took, too.
    pub(crate) fn until_ready(
        command: &mut Command,
        address: SocketAddr,
        path: &str,
    ) -> Outcome<(Self, Duration)> {
        let begun = Instant::now();
        let mut running = Self(command.stdin(Stdio::null()).spawn()?);
        while !is_ready(address, path) {
            if let Some(status) = running.0.try_wait()? {
                return Err(format!("{command:?} ended: {status}; see it with --log FILE").into());
            }
            if begun.elapsed() > READY {
                return Err(format!("{command:?} is not ready at {address}").into());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok((running, begun.elapsed()))
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> Outcome<()> {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status()?;
        if !asked.success() {
            return Err("the server cannot be asked to end".into());
        }
        self.0.wait()?;
        Ok(())
    }

    /// Seconds of processor time so far; 0 where that cannot be told.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // Fields 14 and 15, in ticks of which Linux has a hundred a second.
        fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum::<f64>()
            / 100.0
    }

    /// KiB of memory that it holds now; 0 where that cannot be told.
    pub(crate) fn memory(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or(0.0)
    }

    fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.0.id())).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn is_ready(address: SocketAddr, path: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        std::io::Result::Ok(status)
    };
    ask().is_ok_and(|status| status == *b"HTTP/1.1 200")
}

/// A place on loopback where nobody listens yet.
pub(crate) fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// `program` on one processor.
pub(crate) fn pinned(cpu: &str, program: &str) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", cpu, program]);
    command
}

/// Puts this process, and what it starts from now on, on one processor.
pub(crate) fn pin_self(cpu: &str) {
    let own = std::process::id().to_string();
    let pinned = Command::new("taskset")
        .args(["-p", "-c", cpu, &own])
        .stdout(Stdio::null())
        .status();
    if !pinned.is_ok_and(|status| status.success()) {
        eprintln!("the load is not pinned to a processor");
    }
}

/// Says so where this process, or a server that it starts, cannot open `wanted` files.
pub(crate) fn enough_files(wanted: u64) -> Outcome<()> {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let Some(most) = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()) else {
        return Ok(());
    };
    if most < wanted {
        return Err(format!(
            "{wanted} open files are needed, {most} are allowed: run `ulimit -n {wanted}` first"
        )
        .into());
    }
    Ok(())
}

/// Copies the files of a folder, down to the disk: what is still to be written back would slow down the first commits.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            fs::File::open(&target)?.sync_all()?;
        }
    }
    Ok(())
}
