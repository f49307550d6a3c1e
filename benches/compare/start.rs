//! From the start of a process to its answer to the MCP request `initialize`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use tempfile::TempDir;

use crate::{
    Outcome,
    numbers::{Spread, millis},
    options::Options,
    process::Running,
};

pub(crate) fn start(options: &Options) -> Outcome<()> {
    let runs = options.number("runs", 40)?;
    let data = TempDir::new()?;
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let mut command = Command::new(options.ours()?);
        command.env("MIDJOURNEY_DATA_DIR", data.path());
        let own = initialize(&mut command)?;
        let peer = match options.get("peer") {
            Some(peer) => Some(initialize(&mut Command::new(peer))?),
            None => None,
        };
        // The first brings the files into memory.
        if run > 0 {
            ours.push(own);
            peers.extend(peer);
        }
    }
    let own = Spread::of(&ours).ok_or("no runs")?;
    println!(
        "ours: {:.2} ms [{:.2}..{:.2}] over {runs} runs",
        own.median, own.least, own.most
    );
    if let Some(peer) = Spread::of(&peers) {
        println!(
            "peer: {:.2} ms [{:.2}..{:.2}] over {runs} runs",
            peer.median, peer.least, peer.most
        );
        println!(
            "start to initialize, ours / peer: {:.3} (medians)",
            own.median / peer.median
        );
    }
    Ok(())
}

/// Milliseconds from the start of the process to its answer.
fn initialize(command: &mut Command) -> Outcome<f64> {
    let begun = Instant::now();
    let mut server = Running(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut input = server.0.stdin.take().ok_or("no standard input")?;
    let mut output = BufReader::new(server.0.stdout.take().ok_or("no standard output")?);
    writeln!(
        input,
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-06-18","capabilities":{{}},"clientInfo":{{"name":"compare","version":"0"}}}}}}"#
    )?;
    let mut line = String::new();
    while !line.contains("\"id\":1") {
        line.clear();
        if output.read_line(&mut line)? == 0 {
            return Err("the server ended without an answer".into());
        }
    }
    Ok(millis(begun.elapsed()))
}
