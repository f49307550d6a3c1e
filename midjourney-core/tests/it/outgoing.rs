//! Where the one client for outgoing calls may be sent, by addresses that strangers write, resolve and redirect.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::atomic::Ordering,
    time::Duration,
};

use futures_util::{TryStreamExt as _, future::join_all};
use midjourney_core::{
    key::Secret,
    net::{BlockedAddress, Obstacle, Outbound, OutboundError, OutboundOptions, OutboundRequest, RefusedUrl},
    testing::wait_until,
};
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use crate::{
    loopback::{CANARY, answering},
    scripted::{End, Scripted},
};

/// What is to come, comes long before.
const PATIENCE: Duration = Duration::from_secs(60);

fn guarded() -> Outbound {
    Outbound::new(OutboundOptions::default()).unwrap()
}

/// Somebody on this machine whom nobody is to call, on IPv4 and IPv6.
struct Inside {
    listeners: [TcpListener; 2],
    port: u16,
}

impl Inside {
    fn listen() -> Self {
        let open = |address: SocketAddr| {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            io::Result::Ok(listener)
        };
        let first = open((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let port = first.local_addr().unwrap().port();
        let second = open((Ipv6Addr::LOCALHOST, port).into()).unwrap();
        Self {
            listeners: [first, second],
            port,
        }
    }

    /// A connection on loopback waits here from the moment it is made.
    fn was_called(&self) -> bool {
        self.listeners.iter().any(|listener| listener.accept().is_ok())
    }
}

/// Ways to write an address that is not public, at port {p}, so that it does not look like one.
const SPELLINGS: [&str; 54] = [
    "http://127.0.0.1:{p}/",
    "http://127.1:{p}/",
    "http://127.0.1:{p}/",
    "http://2130706433:{p}/",
    "http://0x7f000001:{p}/",
    "http://0X7F000001:{p}/",
    "http://0x7f.0.0.1:{p}/",
    "http://0x7f.1:{p}/",
    "http://0177.0.0.1:{p}/",
    "http://0177.1:{p}/",
    "http://017700000001:{p}/",
    "http://0:{p}/",
    "http://0.0.0.0:{p}/",
    "http://0x0:{p}/",
    "http://127.0.0.1.:{p}/",
    "http://127.1.:{p}/",
    "http://127.000.000.001:{p}/",
    "http://127.255.255.254:{p}/",
    "http://１２７.0.0.1:{p}/",
    "http://127。0。0。1:{p}/",
    "http://127．0．0．1:{p}/",
    "http://127｡0｡0｡1:{p}/",
    "http://①②⑦.0.0.1:{p}/",
    "http://𝟏𝟐𝟕.0.0.1:{p}/",
    "http:\\\\127.0.0.1:{p}/",
    "http:127.0.0.1:{p}/",
    "http:/127.0.0.1:{p}/",
    "http:///127.0.0.1:{p}/",
    "http:////127.0.0.1:{p}/",
    "http:/\\127.0.0.1:{p}/",
    "hTTp://127.0.0.1:{p}/",
    "http://127.0.0.1:{p}?x",
    "http://127.0.0.1:{p}#x",
    "http://127.0.0.1:{p}\\@example.com/",
    "http://127.0.0.1:{p}/@example.com/",
    "http://127.0.0.1:0{p}/",
    "http://\t127.0.0.1:{p}/",
    "http://127.0.\n0.1:{p}/",
    " http://127.0.0.1:{p}/",
    "http://%31%32%37.0.0.1:{p}/",
    "http://127%2e0%2e0%2e1:{p}/",
    "http://127.0.0\u{ad}.1:{p}/",
    "http://[::1]:{p}/",
    "http://[0:0:0:0:0:0:0:1]:{p}/",
    "http://[::0001]:{p}/",
    "http://[::]:{p}/",
    "http://[::127.0.0.1]:{p}/",
    "http://[::ffff:127.0.0.1]:{p}/",
    "http://[::FFFF:7f00:1]:{p}/",
    "http://[64:ff9b::7f00:1]:{p}/",
    "http://[2002:7f00:1::]:{p}/",
    "http://169.254.169.254.:{p}/latest/meta-data/",
    "http://0xa9fea9fe:{p}/",
    "https://[::ffff:a9fe:a9fe]:{p}/",
];

/// S2: the address is read as whoever dials it reads it, before there is a socket.
#[tokio::test]
async fn no_spelling_of_an_inside_address_opens_a_socket() {
    let (inside, outbound) = (Inside::listen(), guarded().on_any_port());
    for spelling in SPELLINGS {
        let text = spelling.replace("{p}", &inside.port.to_string());
        let url = Url::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let allowed = outbound.allows(&url);
        assert!(
            matches!(allowed, Err(RefusedUrl::Blocked(_))),
            "{text}: {allowed:?}"
        );
        let downloaded = outbound.download(&text).await.map(drop);
        let sent = outbound.send(OutboundRequest::post(url, "{}")).await.map(drop);
        for call in [downloaded, sent] {
            let refused = matches!(call, Err(OutboundError::Refused(RefusedUrl::Blocked(_))));
            assert!(refused, "{text}: {call:?}");
        }
        assert!(!inside.was_called(), "{text}");
    }
}

fn to(location: impl AsRef<str>) -> ResponseTemplate {
    ResponseTemplate::new(307).insert_header("location", location.as_ref())
}

/// S3: each hop is checked as the first address was, and nobody is called behind a bad one.
#[tokio::test]
async fn a_redirect_to_where_nobody_may_go_is_refused_at_the_hop() {
    let (inside, server) = (Inside::listen(), MockServer::start().await);
    let outbound = guarded().trusting(&server.uri().parse().unwrap());
    let port = inside.port;
    let elsewhere = [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://0xa9fea9fe/".to_owned(),
        format!("http://127.0.0.1:{port}/"),
        format!("//127.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://localhost:{port}/"),
        "http://localhost/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1:6379/_FLUSHALL".to_owned(),
        "data:image/png;base64,iVBORw0KGgo=".to_owned(),
        "http://cdn.example:22/".to_owned(),
        "https://user:secret@cdn.example/".to_owned(),
        "http://[::1".to_owned(),
    ];
    for (place, location) in elsewhere.iter().enumerate() {
        Mock::given(path(format!("/{place}")))
            .respond_with(to(location))
            .expect(1)
            .mount(&server)
            .await;
        let url = format!("{}/{place}", server.uri());
        let error = outbound.download(&url).await.unwrap_err();
        let refused = matches!(error.obstacle(), Obstacle::Refused | Obstacle::NotPublic(_));
        assert!(refused, "{location}: {error:?}");
        assert!(!inside.was_called(), "{location}");
    }
    server.verify().await;
}

/// S3: the upstream's own address may be private, and is called where it says so itself; a stranger cannot send us there.
#[tokio::test]
async fn a_stranger_cannot_redirect_to_the_trusted_origin() {
    let trusted = answering(200, "inside").await;
    // What is public is reached through a proxy here, which answers in its place.
    let public = MockServer::start().await;
    let there = format!("{}/admin", trusted.uri());
    Mock::given(path("/a.png"))
        .respond_with(to(&there))
        .expect(1)
        .mount(&public)
        .await;
    let options = OutboundOptions::default().with_proxy(Some(Secret::new(public.uri())));
    let outbound = Outbound::new(options)
        .unwrap()
        .trusting(&trusted.uri().parse().unwrap());
    let error = outbound
        .download("http://stranger.example/a.png")
        .await
        .unwrap_err();
    assert!(BlockedAddress::find(&error).is_some(), "{error:?}");
    public.verify().await;
    assert!(trusted.received_requests().await.unwrap().is_empty());
    assert_eq!(outbound.download(&there).await.unwrap().status, 200);
}

/// S3: three hops, be it of twenty or of a ring.
#[tokio::test]
async fn three_redirects_are_followed_and_no_more() {
    let server = MockServer::start().await;
    for hop in 0..20 {
        let next = to(format!("/{}", hop + 1));
        Mock::given(path(format!("/{hop}")))
            .respond_with(next)
            .mount(&server)
            .await;
    }
    Mock::given(path("/ring"))
        .respond_with(to("/ring"))
        .mount(&server)
        .await;
    let end = ResponseTemplate::new(200);
    Mock::given(path("/20")).respond_with(end).mount(&server).await;
    let outbound = guarded().trusting(&server.uri().parse().unwrap());
    for (begin, called, arrives) in [
        ("/17", 4, true),
        ("/16", 4, false),
        ("/0", 4, false),
        ("/ring", 4, false),
    ] {
        let before = server.received_requests().await.unwrap().len();
        let got = outbound.download(&format!("{}{begin}", server.uri())).await;
        match got {
            Ok(answer) => assert!(arrives && answer.status == 200, "{begin}: {answer:?}"),
            Err(error) => assert!(
                !arrives && matches!(error, OutboundError::TooManyRedirects),
                "{begin}: {error:?}"
            ),
        }
        let after = server.received_requests().await.unwrap().len();
        assert_eq!(after - before, called, "{begin}");
    }
}

/// S3: what holds a key is never sent on, and what is sent on holds none.
#[tokio::test]
async fn a_key_goes_to_the_address_it_was_meant_for_alone() {
    let (server, other) = (MockServer::start().await, answering(200, "").await);
    Mock::given(path("/on"))
        .respond_with(to(other.uri()))
        .mount(&server)
        .await;
    Mock::given(path("/here"))
        .respond_with(to("/there"))
        .mount(&server)
        .await;
    // Everybody may be called here: what is sent is in question, not where to.
    let outbound = Outbound::new(OutboundOptions::default().with_allow_private(true)).unwrap();
    for route in ["/on", "/here"] {
        let url: Url = format!("{}{route}", server.uri()).parse().unwrap();
        for request in [
            OutboundRequest::get(url.clone()),
            OutboundRequest::post(url, "{}"),
        ] {
            let request = request.with_header("authorization", Secret::new(CANARY));
            assert_eq!(outbound.send(request).await.unwrap().status, 307);
        }
    }
    let seen = server.received_requests().await.unwrap();
    assert!(
        seen.iter().all(|request| request.url.path() != "/there"),
        "{seen:?}"
    );
    assert!(other.received_requests().await.unwrap().is_empty());
    let begin = format!("{}/on", server.uri());
    assert_eq!(outbound.download(&begin).await.unwrap().status, 200);
    for request in other.received_requests().await.unwrap() {
        for name in ["authorization", "cookie", "referer", "proxy-authorization"] {
            assert!(!request.headers.contains_key(name), "{name} was sent on");
        }
    }
}

/// U7: who gives a byte now and then has as much time as anybody else, and takes none from others.
#[tokio::test]
async fn who_drips_on_two_hundred_connections_is_cut_at_the_deadline() {
    const EACH: usize = 100;
    let words = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    let drip = Scripted::start(words, End::Drip).await;
    let healthy = answering(200, "fine").await;
    let mut options = OutboundOptions::default();
    options.total_timeout = Duration::from_secs(2);
    options.download_timeout = Duration::from_secs(2);
    let outbound = Outbound::new(options).unwrap();
    let (dripping, other) = (
        outbound.trusting(&drip.base),
        outbound.trusting(&healthy.uri().parse().unwrap()),
    );
    let answers = join_all((0..EACH).map(|_| dripping.send(OutboundRequest::get(drip.base.clone()))));
    let pictures = join_all((0..EACH).map(|_| async {
        let download = dripping.download(drip.base.as_str()).await.unwrap();
        download
            .body
            .try_for_each(|_| async { Ok(()) })
            .await
            .unwrap_err()
    }));
    let meanwhile = async {
        let all_came = async || match drip.asked.load(Ordering::SeqCst) {
            came if came == 2 * EACH => Ok(()),
            came => Err(came),
        };
        wait_until("all are dripped on", PATIENCE, all_came).await;
        let answer = other
            .send(OutboundRequest::get(healthy.uri().parse().unwrap()))
            .await;
        assert_eq!(answer.unwrap().body, "fine");
    };
    let all = async { tokio::join!(answers, pictures, meanwhile) };
    let (answers, pictures, ()) = tokio::time::timeout(PATIENCE, all).await.expect("an end to it");
    for answer in answers {
        assert!(matches!(answer, Err(OutboundError::TimedOut)), "{answer:?}");
    }
    for error in pictures {
        let error = error.downcast_ref::<OutboundError>();
        assert!(matches!(error, Some(OutboundError::TimedOut)), "{error:?}");
    }
    let all_left = async || match drip.left.load(Ordering::SeqCst) {
        left if left == 2 * EACH => Ok(()),
        left => Err(left),
    };
    wait_until("no connection is held", PATIENCE, all_left).await;
}
