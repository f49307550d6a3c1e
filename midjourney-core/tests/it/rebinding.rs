//! The address that is checked is the address that is dialled, whatever a name server says from one question to the next.
//!
//! The way is the real one from the system's resolver to the socket, so the test needs a network of its own: one in which
//! public addresses are its own, and in which it is the name server.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::{
    net::Ipv4Addr,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use midjourney_core::net::{BlockedAddress, Obstacle, Outbound, OutboundOptions, OutboundRequest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};
use url::Url;

/// Set for the process that runs in the network of its own.
const WITHIN: &str = "A_NETWORK_OF_ITS_OWN";

/// Ours within that network, and public to whoever looks at it.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);

/// Public too, and nowhere to be reached from there.
const DEAD: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);

const INSIDE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// How often each name is asked for.
const CALLS: usize = 1_000;

/// S4, with 1,000 calls to each of three names: one whose address changes from question to question, one that has good and bad
/// addresses at once, and one whose only good address is dead, so that whoever had the others would try them.
#[test]
#[ignore = "needs a network namespace: `unshare` and `ip` of Linux, and the right to use them"]
fn the_address_checked_is_the_address_dialled() {
    if std::env::var_os(WITHIN).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.unwrap().block_on(call_and_count());
    }
    let folder = tempfile::tempdir().unwrap();
    let servers = folder.path().join("resolv.conf");
    std::fs::write(&servers, "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n").unwrap();
    let status = within_a_network_of_its_own(&servers).status().unwrap();
    assert!(status.success(), "{status}");
}

/// This very test once more.
fn within_a_network_of_its_own(servers: &Path) -> Command {
    let prepare = format!(
        "ip link set lo up && ip address add {PUBLIC}/32 dev lo && mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\""
    );
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--net", "--mount", "sh", "-c", &prepare, "sh"])
        .arg(servers)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("rebinding::the_address_checked_is_the_address_dialled")
        .env(WITHIN, "yes");
    command
}

async fn call_and_count() {
    let public = answer_at(PUBLIC).await;
    let inside = answer_at(INSIDE).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let socket = UdpSocket::bind((INSIDE, 53)).await.unwrap();
    tokio::spawn(serve_names(socket, Arc::clone(&asked)));
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();

    // What is posted goes over a connection of its own, for which the name is asked for anew.
    for (name, expected) in [
        ("changing.example", CALLS / 2),
        ("mixed.example", CALLS),
        ("dead.example", 0),
    ] {
        let url: Url = format!("http://{name}/").parse().unwrap();
        let before = public.load(Ordering::SeqCst);
        let mut refused = 0;
        for _ in 0..CALLS {
            match outbound.send(OutboundRequest::post(url.clone(), "{}")).await {
                Ok(answer) => assert_eq!(answer.status, 200, "{name}"),
                Err(error) if BlockedAddress::find(&error).is_some() => refused += 1,
                Err(error) => assert_eq!(error.obstacle(), Obstacle::Connection, "{name}: {error:?}"),
            }
        }
        assert_eq!(public.load(Ordering::SeqCst) - before, expected, "{name}");
        let changes = name == "changing.example";
        assert_eq!(refused, if changes { CALLS / 2 } else { 0 }, "{name}");
    }
    assert_eq!(inside.load(Ordering::SeqCst), 0, "somebody came in");
    // As often as was called, and not once more: what was checked was not asked for again.
    assert_eq!(asked.load(Ordering::SeqCst), 3 * CALLS);
}

/// Somebody at port 80 of `address`, and how many came.
async fn answer_at(address: Ipv4Addr) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((address, 80)).await.unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = [0; 1_024];
                drop(stream.read(&mut request).await);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                drop(stream.write_all(answer).await);
            });
        }
    });
    came
}

/// A name server; counts the questions for addresses of IPv4. There are none of IPv6.
async fn serve_names(socket: UdpSocket, asked: Arc<AtomicUsize>) {
    let mut question = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut question).await {
        // Behind the head of 12 bytes: the name, its type (1 is A) and its class.
        let question = &question[..length];
        let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
        let addresses = if question[end - 4..end - 2] == [0, 1] {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            match question[13] {
                b'c' if number.is_multiple_of(2) => vec![PUBLIC],
                b'c' => vec![INSIDE],
                b'm' => vec![INSIDE, PRIVATE, PUBLIC, INSIDE],
                _ => vec![INSIDE, DEAD, PRIVATE, INSIDE],
            }
        } else {
            Vec::new()
        };
        let count = u8::try_from(addresses.len()).unwrap();
        let mut answer = [
            &question[..2],
            &[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0],
            &question[12..end],
        ]
        .concat();
        for address in addresses {
            // The name is that of the question; what follows is good for no time at all.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            answer.extend(address.octets());
        }
        socket.send_to(&answer, from).await.unwrap();
    }
}
