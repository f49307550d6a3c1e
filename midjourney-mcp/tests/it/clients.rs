//! Real MCP clients, written by others.

use std::{io::Write as _, process::Stdio};

use tokio::process::Command;

use crate::session::BINARY;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/python_sdk.py");

fn variable(name: &str) -> Option<String> {
    std::env::vars()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value)
}

/// The official Python SDK, where `TEST_PYTHON` or `python3` has the package `mcp`.
#[tokio::test]
async fn the_python_sdk_gets_its_pictures() {
    let python = variable("TEST_PYTHON").unwrap_or_else(|| "python3".to_owned());
    let there = Command::new(&python)
        .args(["-c", "import mcp"])
        .stderr(Stdio::null())
        .status()
        .await
        .is_ok_and(|status| status.success());
    if !there {
        let mend = "python3 -m venv /tmp/test-venv && /tmp/test-venv/bin/pip install mcp, then set TEST_PYTHON to \
                    /tmp/test-venv/bin/python";
        assert!(
            variable("CI").is_none_or(|ci| ci != "true"),
            "{python} has no package `mcp`, which CI must have: {mend}"
        );
        // Past the test harness, which would keep it to itself.
        writeln!(
            std::io::stderr(),
            "SKIPPED: the Python SDK was NOT tried, {python} has no package `mcp`. To try it: {mend}"
        )
        .ok();
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(&python)
        .arg(SCRIPT)
        .arg(BINARY)
        .arg(data.path())
        .output()
        .await
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("everything was as it should be"), "{out}\n{err}");
}
