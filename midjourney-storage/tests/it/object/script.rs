//! A script beside the tests, which is told lines and answers each with one.

use std::{
    env,
    ffi::OsString,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A running one; its own input ends with the process that started it.
pub(crate) struct Script {
    _process: Child,
    tell: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Script {
    /// The Python that the tests use.
    pub(crate) fn python() -> OsString {
        env::var_os("TEST_PYTHON").unwrap_or_else(|| "python3".into())
    }

    /// Starts `source`, which is in Python.
    pub(crate) fn start(source: &str, arguments: &[OsString]) -> Self {
        let mut process = Command::new(Self::python())
            .args(["-c", source])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            tell: process.stdin.take().unwrap(),
            hear: BufReader::new(process.stdout.take().unwrap()),
            _process: process,
        }
    }

    /// The next line it says; an empty one where it has ended.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// What it says to `line`.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.tell, "{line}").unwrap();
        self.line()
    }
}
