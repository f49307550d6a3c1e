//! What a subscriber reads of a try that failed.

use std::net::TcpListener;

use super::*;
use crate::{
    clock::OsEntropy,
    delivery::Outcome,
    net::{Outbound, OutboundOptions},
};

/// Whoever could name addresses on our network and read what came of it would have a scanner of its ports.
#[tokio::test]
async fn whether_anybody_listens_inside_is_not_told() {
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    open.set_nonblocking(true).unwrap();
    // Bound and not listened at, so that nobody else takes it: whoever connects is refused.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let ports = [open.local_addr().unwrap(), closed.local_addr().unwrap()].map(|address| address.port());
    // All ports, or the rule about those would hide what is looked for.
    let outbound = Outbound::new(OutboundOptions::default()).unwrap().on_any_port();
    for host in [
        "localhost",
        "127.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ] {
        for port in ports {
            let at = Timestamp::from_millis(0);
            let post = Post::new(
                Secret::new(format!("http://{host}:{port}/")),
                DeliveryId::new(at, &OsEntropy),
                at,
                Secret::new("v1,signature"),
                "{}".to_owned(),
            );
            let told = outbound.post(post).await;
            let same = Outcome::Unanswered("the address leads to a private network".to_owned());
            assert_eq!(told, same, "{host}:{port}");
        }
    }
    assert!(open.accept().is_err(), "somebody was called");
}
