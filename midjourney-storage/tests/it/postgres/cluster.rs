//! A PostgreSQL of the tests' own: private, without a password, and gone with the process that started it.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// Makes a cluster, serves it, says where, and ends it when its own input ends: at the latest with the test process. With
/// a folder of certificates and a port, it is served there as well.
const SCRIPT: &str = r#"
set -e
folder=$(mktemp -d)
"$1/initdb" --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 --no-locale >/dev/null
addresses=
if [ -n "$2" ]; then
  cp "$2/server.crt" "$2/server.key" "$folder/data"
  chmod 600 "$folder/data/server.key"
  printf 'ssl = on\nport = %s\n' "$3" >>"$folder/data/postgresql.conf"
  export PGPORT="$3"
  addresses=127.0.0.1
fi
"$1/postgres" -D "$folder/data" -k "$folder" -c listen_addresses="$addresses" -c max_connections=400 >"$folder/log" 2>&1 &
server=$!
until "$1/pg_isready" --quiet --host="$folder"; do
  kill -0 "$server" || { cat "$folder/log" >&2; exit 1; }
  sleep 0.05
done
echo "$folder"
cat >/dev/null
"$1/pg_ctl" stop --silent --mode=immediate --pgdata="$folder/data" || true
rm -rf "$folder"
"#;

/// A running server.
pub(crate) struct Cluster {
    pub(crate) folder: PathBuf,
    programs: PathBuf,
    databases: AtomicU32,
    _script: Child,
    _alive: ChildStdin,
}

impl Cluster {
    /// Starts one.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one for which the script gets `more`.
    pub(crate) fn start_with(more: &[&OsStr]) -> Self {
        let Some(programs) = programs() else {
            panic!(
                "PostgreSQL is not installed, so nothing was tested of it. Install it (Debian: postgresql), or name the \
                 folder of its programs in PG_BIN"
            )
        };
        let mut command = unprivileged("sh");
        let mut script = command
            .args(["-c", SCRIPT, "sh"])
            .arg(&programs)
            .args(more)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let alive = script.stdin.take().unwrap();
        let mut folder = String::new();
        BufReader::new(script.stdout.take().unwrap())
            .read_line(&mut folder)
            .unwrap();
        assert!(!folder.is_empty(), "PostgreSQL did not start");
        Self {
            folder: folder.trim().into(),
            programs,
            databases: AtomicU32::new(0),
            _script: script,
            _alive: alive,
        }
    }

    /// The address of a new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = unprivileged(self.programs.join("createdb").to_str().unwrap())
            .args(["--username=postgres", "--host"])
            .arg(&self.folder)
            .arg(&name)
            .current_dir("/")
            .status();
        assert!(made.unwrap().success(), "no database was made");
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}/{name}")
    }

    /// Ends every process of the server at once, as a crash would, and starts it again.
    pub(crate) fn crash(&self) {
        self.control("restart");
    }

    pub(crate) fn control(&self, what: &str) {
        let program = self.programs.join("pg_ctl");
        let mut given = vec![what, "--silent", "--wait", "--mode=immediate", "--pgdata=data"];
        if what == "restart" {
            given.push("--log=log");
        }
        self.run(program.to_str().unwrap(), &given);
    }

    pub(crate) fn run(&self, program: &str, given: &[&str]) {
        let script = r#"cd "$1" && shift && exec "$@""#;
        let mut command = unprivileged("sh");
        command.args(["-c", script, "sh"]).arg(&self.folder).arg(program);
        let status = command.args(given).current_dir("/").status().unwrap();
        assert!(status.success(), "{program} {given:?} failed");
    }
}

/// A program as another user than root, by whom the server refuses to be run.
fn unprivileged(program: &str) -> Command {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", program]);
    command
}

/// Where the server's programs are.
fn programs() -> Option<PathBuf> {
    let here = |folder: &Path| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    if let Some(named) = env::var_os("PG_BIN") {
        return Some(named.into());
    }
    let debian = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut versions: Vec<_> = debian.map(|entry| entry.unwrap().path().join("bin")).collect();
    versions.sort();
    versions.into_iter().rev().find(|folder| here(folder))
}
