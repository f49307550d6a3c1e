//! Who a request comes from, as far as proxies are trusted to tell.

use std::net::{IpAddr, SocketAddr};

use axum::{extract::ConnectInfo, extract::Request, http::HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client that sent `request`; `None` where the connection has none.
pub(super) fn of(request: &Request, trusted: &[IpNet]) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    let lines = request.headers().get_all(X_FORWARDED_FOR).into_iter();
    let lines: Vec<_> = lines.map(|line| line.to_str().unwrap_or("?")).collect();
    Some(client(peer.ip(), &lines, trusted))
}

/// The client behind `peer`, whose request came with these lines of `X-Forwarded-For`.
///
/// Each proxy writes on the right whom it heard from. They are read from there, for as long as the one who wrote is
/// trusted: the first who is not is the client, whatever stands further left. What cannot be read ends the search at the
/// proxy that passed it on.
fn client(peer: IpAddr, lines: &[&str], trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for hop in hops {
        if !is_among(client, trusted) {
            break;
        }
        match address(hop.trim()) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

fn is_among(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address as proxies write it: with a port at times, then in brackets where it is of IPv6.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let bare = bare.map_or_else(|| text.parse().ok(), |inner| inner.parse().ok().map(IpAddr::V6));
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    Some(bare.or_else(with_port)?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trusted are this machine, `10.0.0.0/8` and `2001:db8:1::/48`.
    const TABLE: [(&str, &[&str], &str); 44] = [
        // Nobody in front.
        ("192.0.2.1", &[], "192.0.2.1"),
        ("127.0.0.1", &[], "127.0.0.1"),
        ("::1", &[], "::1"),
        ("::ffff:192.0.2.1", &[], "192.0.2.1"),
        // A stranger's word is not taken.
        ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
        ("192.0.2.1", &["127.0.0.1"], "192.0.2.1"),
        ("192.0.2.1", &["198.51.100.7, 10.0.0.1"], "192.0.2.1"),
        ("::ffff:192.0.2.1", &["10.0.0.1"], "192.0.2.1"),
        ("2001:db8:2::1", &["198.51.100.7"], "2001:db8:2::1"),
        ("11.0.0.1", &["198.51.100.7"], "11.0.0.1"),
        // One proxy.
        ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        ("::1", &["198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        ("2001:db8:1::9", &["198.51.100.7"], "198.51.100.7"),
        ("10.255.255.255", &["2001:db8:2::1"], "2001:db8:2::1"),
        ("10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
        // What the client wrote itself stands on the left.
        ("10.0.0.1", &["127.0.0.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["10.0.0.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["192.0.2.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["192.0.2.9", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["garbage, 198.51.100.7"], "198.51.100.7"),
        // Several proxies.
        ("10.0.0.1", &["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", &["198.51.100.7", "10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", &["198.51.100.7,10.0.0.3,10.0.0.2"], "198.51.100.7"),
        (
            "10.0.0.1",
            &["192.0.2.9, 198.51.100.7, ::ffff:10.0.0.2"],
            "198.51.100.7",
        ),
        (
            "10.0.0.1",
            &["198.51.100.7, 2001:db8:1::5, 127.0.0.1"],
            "198.51.100.7",
        ),
        (
            "10.0.0.1",
            &["198.51.100.7, 203.0.113.5, 10.0.0.2"],
            "203.0.113.5",
        ),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("127.0.0.1", &["127.0.0.1"], "127.0.0.1"),
        // Other spellings.
        ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", &["[2001:db8:2::1]"], "2001:db8:2::1"),
        ("10.0.0.1", &["[2001:db8:2::1]:4711"], "2001:db8:2::1"),
        ("10.0.0.1", &["  198.51.100.7  "], "198.51.100.7"),
        ("10.0.0.1", &["198.51.100.7,\t10.0.0.2"], "198.51.100.7"),
        // Garbage: no further than the proxy that passed it on.
        ("10.0.0.1", &[""], "10.0.0.1"),
        ("10.0.0.1", &["?"], "10.0.0.1"),
        ("10.0.0.1", &["unknown"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["198.51.100.7,"], "10.0.0.1"),
        ("10.0.0.1", &["[198.51.100.7]"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.777"], "10.0.0.1"),
        ("10.0.0.1", &["010.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", &["localhost"], "10.0.0.1"),
    ];

    #[test]
    fn only_the_word_of_trusted_proxies_is_taken() {
        let trusted = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "2001:db8:1::/48"];
        let trusted = trusted.map(|network| network.parse().unwrap());
        for (peer, lines, expected) in TABLE {
            let found = client(peer.parse().unwrap(), lines, &trusted);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
            let alone = client(peer.parse().unwrap(), lines, &[]);
            assert_eq!(alone, peer.parse::<IpAddr>().unwrap().to_canonical());
        }
        let long = "10.0.0.2, ".repeat(3_000);
        let found = client("10.0.0.1".parse().unwrap(), &[&long, "10.0.0.4"], &trusted);
        assert_eq!(found, "10.0.0.4".parse::<IpAddr>().unwrap());
    }
}
