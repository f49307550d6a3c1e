//! Replays every file of every corpus.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::{fs, path::Path};

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is in the repository") {
        run(&fs::read(entry.expect("a readable folder").path()).expect("a readable file"));
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn prompts() {
    replay("prompt", midjourney_fuzz::prompt);
}

#[test]
fn cursors() {
    replay("cursor", midjourney_fuzz::cursor);
}

#[test]
fn configurations() {
    replay("config", midjourney_fuzz::config);
}

#[test]
fn callbacks() {
    replay("callback", midjourney_fuzz::callback);
}

#[test]
fn legnext_callbacks() {
    replay("legnext", midjourney_fuzz::legnext);
}

#[test]
fn youchuan_callbacks() {
    replay("youchuan", midjourney_fuzz::youchuan);
}

#[test]
fn evolink_callbacks() {
    replay("evolink", midjourney_fuzz::evolink);
}

#[test]
fn acedata() {
    replay("acedata", midjourney_fuzz::acedata);
}

#[test]
fn apiframe() {
    replay("apiframe", midjourney_fuzz::apiframe);
}

#[test]
fn ttapi() {
    replay("ttapi", midjourney_fuzz::ttapi);
}

#[test]
fn proxy() {
    replay("proxy", midjourney_fuzz::proxy);
}

#[test]
fn web() {
    replay("web", midjourney_fuzz::web);
}
