//! Which addresses and URLs may be called.

use std::{
    error::Error as StdError,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    header::HeaderValue,
};
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

/// Where `location`, which the server at `from` answered with, leads. Whether that may be called is for [`check`] to say.
pub(super) fn next_hop(from: &Url, location: &HeaderValue) -> Result<Url, RefusedUrl> {
    let location = location.to_str().map_err(|_| RefusedUrl::Malformed)?;
    let next = from.join(location).map_err(|_| RefusedUrl::Malformed)?;
    if from.scheme() == "https" && next.scheme() == "http" {
        return Err(RefusedUrl::Downgrade);
    }
    Ok(next)
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
mod tests;
