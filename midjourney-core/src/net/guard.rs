//! Which addresses and URLs may be called.

use std::{
    error::Error as StdError,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The address is not on the public internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is not a public address")]
pub struct BlockedAddress {
    /// The address that was not called.
    pub address: IpAddr,
}

impl BlockedAddress {
    /// The blocked address among the causes of `error`, told by type and not by text.
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

/// Why a URL is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedUrl {
    /// It is no URL at all.
    #[error("not a URL")]
    Malformed,
    /// Neither http nor https.
    #[error("only http and https are called")]
    Scheme,
    /// It holds a user name or a password.
    #[error("a URL with credentials in it is not called")]
    Credentials,
    /// It has no host.
    #[error("the URL has no host")]
    NoHost,
    /// A port other than 80 and 443.
    #[error("only the ports 80 and 443 are called")]
    Port,
    /// A redirect from https to http.
    #[error("a redirect from https to http is not followed")]
    Downgrade,
    /// Its address is not public.
    #[error("the address is not public")]
    Blocked(#[from] BlockedAddress),
}

/// Whether anybody on the internet may be found at `address`: not private, loopback, link-local, shared, multicast,
/// reserved, for documentation, or a form of IPv6 that carries some IPv4 address in it.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

#[expect(
    clippy::unnested_or_patterns,
    reason = "one range a line reads like the table it is"
)]
const fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This network, private, shared, loopback, link-local (with the clouds' metadata).
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // Protocol assignments, documentation, 6to4 relays, benchmarks.
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // Azure's own server for its guests, in the middle of public space.
            | [168, 63, 129, 16]
            // Multicast, reserved, broadcast.
            | [224..=255, ..]
    )
}

const fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocol assignments with Teredo, documentation, 6to4.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Only this eighth is given out; all else is local, reserved, or translated IPv4 (64:ff9b::).
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// How a URL is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Wherever it leads.
    Open,
    /// Only to public addresses.
    Guarded,
}

/// How far a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the usual ports of public addresses.
    Web,
    /// To all ports of public addresses.
    Public,
    /// Everywhere.
    All,
}

/// Decides about `url`, which may be at the trusted origin where `trusted` is given.
pub(super) fn check(url: &Url, trusted: Option<&Url>, reach: Reach) -> Result<Route, RefusedUrl> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(RefusedUrl::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RefusedUrl::Credentials);
    }
    let host = url.host().ok_or(RefusedUrl::NoHost)?;
    if reach == Reach::All || trusted.is_some_and(|trusted| trusted.origin() == url.origin()) {
        return Ok(Route::Open);
    }
    // The parsed host, never the text: `127.1`, `0x7f000001` and full-width digits have become addresses here.
    let address = match host {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    };
    if let Some(address) = address.filter(|address| !is_public(*address)) {
        return Err(BlockedAddress { address }.into());
    }
    if reach == Reach::Web && !matches!(url.port_or_known_default(), Some(80 | 443)) {
        return Err(RefusedUrl::Port);
    }
    Ok(Route::Guarded)
}

/// Keeps the public ones of the addresses that a name resolved to.
fn public_only(found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, BlockedAddress> {
    let (public, blocked): (Vec<_>, Vec<_>) = found.partition(|found| is_public(found.ip()));
    match blocked.first() {
        Some(first) if public.is_empty() => Err(BlockedAddress { address: first.ip() }),
        _ => Ok(public),
    }
}

/// A name leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address")]
pub(super) struct Unresolved(#[source] io::Error);

/// Resolves names. The HTTP client dials what this gives and asks nobody else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver {
    /// To public addresses only.
    pub(super) public_only: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = self.public_only;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(Unresolved)?;
            let addresses = if guarded {
                public_only(found)?
            } else {
                found.collect()
            };
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each range of the table with its edges and the addresses just outside.
    #[test]
    fn the_address_table() {
        let blocked = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 \
            127.0.0.0 127.0.0.1 127.255.255.255 169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 \
            192.0.0.0 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.255 192.88.99.0 192.88.99.255 192.168.0.0 \
            192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 \
            168.63.129.16 224.0.0.0 224.0.0.1 239.255.255.255 240.0.0.0 255.255.255.254 255.255.255.255 \
            :: ::1 ::2 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:192.168.1.1 \
            ::ffff:0:127.0.0.1 64:ff9b:: 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1:: 64:ff9b:1::a00:1 100:: 100::1 \
            2001:: 2001::1 2001:1ff:ffff:: 2001:10:: 2001:20:: 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff \
            2002:: 2002:7f00:1:: 2002:a00:1:: 2002:808:808:: 3fff:: 3fff:fff:ffff:: 5f00:: 5f00:ffff:: fc00:: fd00::1 \
            fd00:ec2::254 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe80:: fe80::1 febf:ffff:: fec0::1 feff:: ff00:: \
            ff02::1 ffff:: 4000:: 1fff:: 8000::1";
        let public = "1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
            128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 \
            192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 \
            198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 ::ffff:8.8.8.8 2000:: 2001:200:: \
            2001:db7:ffff:: 2001:db9:: 2001:4860:4860::8888 2003:: 2606:4700:4700::1111 3fff:1000:: 3ffe::1";
        let read = |list: &'static str| list.split_whitespace().map(|text| (text, text.parse().unwrap()));
        for (text, address) in read(blocked) {
            assert!(!is_public(address), "{text}");
        }
        for (text, address) in read(public) {
            assert!(is_public(address), "{text}");
        }
        assert!(read(blocked).chain(read(public)).count() >= 110);
    }

    /// Ways to write an address that is not public so that it does not look like one.
    #[test]
    fn the_spelling_table() {
        let spellings = [
            "http://127.0.0.1/",
            "http://127.0.0.1:80/",
            "http://127.1/",
            "http://127.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://0/",
            "http://0.0.0.0/",
            "http://0x0/",
            "http://127.0.0.1./",
            "http://127.000.000.001/",
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
            "http://127．0．0．1/",
            "http://①②⑦.0.0.1/",
            "http:\\\\127.0.0.1/",
            "http:127.0.0.1/",
            "http:/127.0.0.1/",
            "http:///127.0.0.1/",
            "http:////127.0.0.1/",
            "hTTp://127.0.0.1/",
            "http://127.0.0.1?x",
            "http://127.0.0.1#x",
            "http://127.0.0.1\\@example.com/",
            "http://\t127.0.0.1/",
            "http://127.0.\n0.1/",
            " http://127.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://169.254.169.254./",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "https://10.0.0.1/",
            "https://192.168.0.1/",
            "http://172.16.0.1/",
            "http://100.100.100.200/",
        ];
        assert!(spellings.len() >= 48);
        for text in spellings {
            let url = Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let answer = check(&url, None, Reach::Web);
            assert!(
                matches!(answer, Err(RefusedUrl::Blocked(_))),
                "{text} as {url}: {answer:?}"
            );
        }
    }

    #[test]
    fn what_else_is_refused() {
        let of = |text: &str| check(&Url::parse(text).unwrap(), None, Reach::Web);
        assert_eq!(of("https://cdn.example/a.png"), Ok(Route::Guarded));
        assert_eq!(of("http://8.8.8.8/"), Ok(Route::Guarded));
        for port in [22, 25, 6379, 8080, 0] {
            let url = format!("http://cdn.example:{port}/");
            assert_eq!(of(&url), Err(RefusedUrl::Port));
            let url = Url::parse(&url).unwrap();
            assert_eq!(check(&url, None, Reach::Public), Ok(Route::Guarded));
            let inside = Url::parse(&format!("http://10.0.0.1:{port}/")).unwrap();
            let refused = check(&inside, None, Reach::Public);
            assert!(matches!(refused, Err(RefusedUrl::Blocked(_))), "{refused:?}");
        }
        assert_eq!(of("https://u@cdn.example/"), Err(RefusedUrl::Credentials));
        assert_eq!(of("https://:p@cdn.example/"), Err(RefusedUrl::Credentials));
        for scheme in [
            "file:///etc/passwd",
            "gopher://a/",
            "ftp://a/",
            "data:,x",
            "ws://a/",
            "sim://1/x",
        ] {
            assert_eq!(of(scheme), Err(RefusedUrl::Scheme), "{scheme}");
        }
    }

    #[test]
    fn exactly_one_origin_is_trusted() {
        let base = Url::parse("http://127.0.0.1:8080/mj").unwrap();
        let of = |text: &str| check(&Url::parse(text).unwrap(), Some(&base), Reach::Web);
        assert_eq!(of("http://127.0.0.1:8080/other"), Ok(Route::Open));
        for text in [
            "http://127.0.0.1:8081/",
            "https://127.0.0.1:8080/",
            "http://127.0.0.2:8080/",
            "http://127.0.0.1/",
        ] {
            assert!(matches!(of(text), Err(RefusedUrl::Blocked(_))), "{text}");
        }
        assert_eq!(of("http://user@127.0.0.1:8080/"), Err(RefusedUrl::Credentials));
        let open = Url::parse("http://10.0.0.1:9000/").unwrap();
        assert_eq!(check(&open, None, Reach::All), Ok(Route::Open));
    }

    #[test]
    fn of_a_mixed_answer_only_the_public_addresses_are_dialled() {
        let of = |list: &[&str]| public_only(list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)));
        let kept = of(&["127.0.0.1", "8.8.8.8", "::1"]).unwrap();
        assert_eq!(kept, ["8.8.8.8:0".parse().unwrap()]);
        let blocked = of(&["10.0.0.1", "::1"]).unwrap_err();
        assert_eq!(blocked.address, "10.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(of(&[]), Ok(Vec::new()));
    }
}
