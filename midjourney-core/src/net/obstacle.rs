//! Where a call that got no answer came to its end, told by the types of its causes and not by their text.

use std::{error::Error as StdError, io};

use super::{
    client::OutboundError,
    guard::{BlockedAddress, Unresolved},
};

/// The step at which a call got no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The address may not be called at all.
    Refused,
    /// It leads to an address that is not public.
    NotPublic(BlockedAddress),
    /// Its name has no address.
    Name,
    /// Nobody takes the connection.
    Connection,
    /// The connection was taken, and could not be made private.
    Tls,
    /// The request was sent, and no whole answer came.
    Answer,
    /// Time ran out on the way.
    Time,
}

impl OutboundError {
    /// The step at which the call got no further.
    pub fn obstacle(&self) -> Obstacle {
        if let Some(blocked) = BlockedAddress::find(self) {
            return Obstacle::NotPublic(*blocked);
        }
        match self {
            Self::Setup(_) | Self::Refused(_) => Obstacle::Refused,
            Self::TimedOut => Obstacle::Time,
            Self::Lost(_) | Self::TooLarge { .. } | Self::TooManyRedirects => Obstacle::Answer,
            Self::Connect(cause) => connecting(&**cause),
        }
    }
}

fn connecting(cause: &(dyn StdError + 'static)) -> Obstacle {
    let mut next = Some(cause);
    while let Some(error) = next {
        if error.is::<Unresolved>() {
            return Obstacle::Name;
        }
        if error
            .downcast_ref::<reqwest::Error>()
            .is_some_and(reqwest::Error::is_timeout)
        {
            return Obstacle::Time;
        }
        match error.downcast_ref::<io::Error>().map(innermost) {
            Some(io::ErrorKind::TimedOut) => return Obstacle::Time,
            // What rustls cannot read, does not trust, or sees break off in the middle of its handshake.
            Some(io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => return Obstacle::Tls,
            _ => {}
        }
        next = error.source();
    }
    Obstacle::Connection
}

/// The kind of the first error of all: one of I/O that wraps another does not show it among its sources.
fn innermost(error: &io::Error) -> io::ErrorKind {
    let mut error = error;
    while let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        error = inner;
    }
    error.kind()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use url::Url;

    use super::*;
    use crate::net::{Outbound, OutboundOptions, OutboundRequest, RefusedUrl};

    #[test]
    fn a_call_that_was_cut_off_is_told_by_its_type() {
        let of = |error: OutboundError| error.obstacle();
        let io = |kind| OutboundError::Connect(io::Error::from(kind).into());
        assert_eq!(of(io(io::ErrorKind::ConnectionRefused)), Obstacle::Connection);
        assert_eq!(of(io(io::ErrorKind::TimedOut)), Obstacle::Time);
        assert_eq!(of(io(io::ErrorKind::InvalidData)), Obstacle::Tls);
        assert_eq!(of(OutboundError::TimedOut), Obstacle::Time);
        assert_eq!(of(OutboundError::Lost("cut".into())), Obstacle::Answer);
        assert_eq!(of(OutboundError::Refused(RefusedUrl::Scheme)), Obstacle::Refused);
    }

    /// As the real client meets them.
    #[tokio::test]
    async fn names_connections_and_handshakes_are_told_apart() {
        let outbound = Outbound::new(OutboundOptions::default().with_allow_private(true)).unwrap();
        let guarded = Outbound::new(OutboundOptions::default()).unwrap();
        let call = async |outbound: &Outbound, url: &str| {
            let request = OutboundRequest::post(Url::parse(url).unwrap(), "{}");
            outbound.send(request).await.unwrap_err().obstacle()
        };
        for client in [&outbound, &guarded] {
            assert_eq!(call(client, "http://nowhere.invalid/").await, Obstacle::Name);
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plain = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
            }
        });
        assert_eq!(
            call(&outbound, &format!("https://{address}/")).await,
            Obstacle::Tls
        );
        plain.abort();
        assert!(plain.await.unwrap_err().is_cancelled());
        assert_eq!(
            call(&outbound, &format!("http://{address}/")).await,
            Obstacle::Connection
        );
        for url in ["http://127.0.0.1/", "http://localhost/"] {
            assert!(
                matches!(call(&guarded, url).await, Obstacle::NotPublic(_)),
                "{url}"
            );
        }
    }
}
