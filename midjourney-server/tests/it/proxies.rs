//! Which proxy calls go through: the one that the configuration names, whatever the environment says.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs::OpenOptions,
    io::Write as _,
    net::TcpListener,
    process::{Command, Stdio},
    time::Duration,
};

use midjourney_core::testing::wait_until;

use crate::{imitation::Imitation, process::Home};

/// Somebody who would like to be the proxy, and takes no calls.
struct Proxy(TcpListener);

impl Proxy {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// A connection on loopback waits here from the moment it is made.
    fn was_called(&self) -> bool {
        self.0.accept().is_ok()
    }
}

/// The command that draws a picture, with every variable set by which programs are told of a proxy.
fn imagine(home: &Home, proxy: &Proxy) -> Command {
    let mut command = home.command();
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env(name, proxy.address());
        command.env(name.to_uppercase(), proxy.address());
    }
    command.args(["imagine", "a red fox"]);
    command
}

/// S6: the environment of a server is no place from which all its traffic may be led away.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_not_used() {
    let (imitation, proxy) = (Imitation::start(), Proxy::listen());
    let home = Home::against(&imitation.base_url());
    let output = imagine(&home, &proxy).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(imitation.paid()["a red fox"], 1);
    assert!(!proxy.was_called());
}

/// S6: the one that is configured is used, and not the environment's.
#[tokio::test]
async fn a_proxy_of_the_configuration_is_used() {
    let (configured, proxy) = (Proxy::listen(), Proxy::listen());
    let home = Home::against("http://upstream.invalid");
    let outbound = format!(
        "outbound:\n  allow_private: true\n  proxy: {}\n",
        configured.address()
    );
    let mut config = OpenOptions::new().append(true).open(home.config()).unwrap();
    config.write_all(outbound.as_bytes()).unwrap();
    let mut command = imagine(&home, &proxy);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let called = async || {
        if configured.was_called() {
            Ok(())
        } else {
            Err("nobody came")
        }
    };
    wait_until("the configured proxy is called", Duration::from_secs(60), called).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!proxy.was_called());
}
