//! S5: all that is sent out goes through the one guarded client, so that its rules are everybody's.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The crates that are shipped.
const SHIPPED: [&str; 4] = [
    "midjourney-core",
    "midjourney-storage",
    "midjourney-server",
    "midjourney-mcp",
];

/// Where the guarded client lives: `net.rs` and what is below it.
const HOME: &str = "midjourney-core/src/net";

/// What connects to others, asks where they are, or widens where the guarded client goes.
const WAYS: [&str; 14] = [
    "reqwest",
    "hyper",
    "ureq",
    "isahc",
    "tungstenite",
    "Stream::connect",
    ".connect(",
    "UdpSocket",
    "lookup_host",
    "to_socket_addrs",
    "allow_private(true)",
    "allow_private = true",
    ".trusting(",
    ".on_any_port(",
];

/// Who does so elsewhere, and why that may be.
const KNOWN: [(&str, &str); 6] = [
    // The address that the operator wrote for an upstream. No link that came over the network is called by this.
    ("midjourney-core/src/client/http.rs", ".trusting("),
    // Our own public address, which the operator wrote too.
    ("midjourney-core/src/gateway/probes.rs", ".on_any_port("),
    // Whether the configured upstreams take connections; nothing is sent.
    ("midjourney-server/src/cli/doctor.rs", "Stream::connect"),
    // Where to listen.
    ("midjourney-server/src/cli/serve.rs", "lookup_host"),
    // `midjourney simulate` calls back to this machine, and nowhere else.
    (
        "midjourney-server/src/simulate/callback.rs",
        "allow_private(true)",
    ),
    // The job database that the operator named.
    ("midjourney-storage/src/postgres/listen.rs", ".connect("),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sources below `folder`, tests aside, by their paths from the root.
fn sources(folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            sources(&path, found);
        } else if entry.path().extension().is_some_and(|end| end == "rs") && !path.contains("/tests") {
            found.push(path);
        }
    }
}

#[test]
fn nobody_else_makes_outgoing_calls() {
    let mut files = Vec::new();
    for package in SHIPPED {
        sources(&format!("{package}/src"), &mut files);
    }
    assert!(files.len() > 300, "only {} files were read", files.len());
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|file| !file.starts_with(HOME)) {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            found.extend(
                WAYS.iter()
                    .filter(|way| line.contains(**way))
                    .map(|way| (file.as_str(), *way)),
            );
        }
    }
    assert_eq!(found, KNOWN.into_iter().collect());
}

/// What a crate does not depend on it cannot call, under whatever name.
#[test]
fn nobody_else_has_a_client_to_make_them_with() {
    for package in SHIPPED {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let shipped = manifest.split("[dev-dependencies]").next().unwrap();
        let clients: Vec<_> = ["reqwest", "hyper", "ureq", "isahc", "curl", "tokio-tungstenite"]
            .into_iter()
            .filter(|name| shipped.lines().any(|line| line.starts_with(name)))
            .collect();
        let expected: &[&str] = if package == "midjourney-core" {
            &["reqwest"]
        } else {
            &[]
        };
        assert_eq!(clients, expected, "{package}");
    }
}
