//! What some tests ask of the machine they run on.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Set for a test that runs where it may mount file systems.
const APART: &str = "MIDJOURNEY_TEST_APART";

/// Whether `test`, by its whole name, may mount file systems here. Else it is run anew as a process of its own, where it
/// may and where they go with it, and what came of that is its outcome. Where the kernel allows that to nobody, as in
/// many containers, it is not run and says so: no test could bring the permission about.
pub(crate) fn may_mount(test: &str) -> bool {
    if std::env::var_os(APART).is_some() {
        return true;
    }
    // Root without user namespaces, or anybody with them.
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    let try_out: &[&str] = &["mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    let Some(way) = ways
        .into_iter()
        .find(|way| can("unshare", &[*way, try_out].concat()))
    else {
        println!("NOT TESTED: {test}: nobody may mount a file system here");
        return false;
    };
    let output = Command::new("unshare")
        .args(way)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(APART, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// Whether processes can be traced. Where the kernel allows that to nobody, as in many containers, it is told.
pub(crate) fn can_trace() -> bool {
    let can = can("strace", &["true"]);
    assert!(
        can || std::env::var_os("CI").is_none() || can_run("strace"),
        "there is no strace, and this test must run on CI"
    );
    if !can {
        println!("NOT TESTED: no process can be traced here");
    }
    can
}

fn can_run(program: &str) -> bool {
    can(program, &["--version"])
}

fn can(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether `mount` did it.
pub(crate) fn mount(arguments: &[&str], place: &Path) -> bool {
    let mut command = Command::new("mount");
    let done = command.args(arguments).arg(place).output();
    done.is_ok_and(|done| done.status.success())
}
