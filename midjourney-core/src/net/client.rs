//! The client that all outgoing calls go through.

use std::{borrow::Cow, fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Method, Response,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use super::{
    guard::{self, Reach, RefusedUrl, Resolver, Route},
    tls,
};
use crate::{error::BoxError, image::ByteStream, key::Secret};

/// How many redirects a download follows.
const MAX_HOPS: usize = 3;

/// How outgoing calls are made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutboundOptions {
    /// Call addresses that are not public, and any port. For closed networks and tests.
    pub allow_private: bool,
    /// An HTTP proxy for all calls; its URL may hold a password. Names are then resolved, and have to be guarded, by
    /// the proxy. The environment's proxy variables are never used.
    pub proxy: Option<Secret>,
    /// What the client calls itself.
    pub user_agent: String,
    /// For the connection with its TLS handshake.
    pub connect_timeout: Duration,
    /// From the start of a call to the answer's headers, for calls that set no time of their own.
    pub headers_timeout: Duration,
    /// Between two pieces of a download.
    pub idle_timeout: Duration,
    /// For a whole call.
    pub total_timeout: Duration,
    /// For a whole download: enough for the largest picture over a slow line, and an end to one that only drips.
    pub download_timeout: Duration,
    /// The longest answer read whole, in bytes. Downloads are bounded by their reader.
    pub body_limit: usize,
}

impl Default for OutboundOptions {
    fn default() -> Self {
        Self {
            allow_private: false,
            proxy: None,
            user_agent: concat!("midjourney-gateway/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            headers_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(60),
            download_timeout: Duration::from_secs(600),
            body_limit: 8 * 1024 * 1024,
        }
    }
}

impl OutboundOptions {
    /// The same options, calling private addresses too or not.
    pub const fn with_allow_private(mut self, allow: bool) -> Self {
        self.allow_private = allow;
        self
    }

    /// The same options, through a proxy or not.
    pub fn with_proxy(mut self, proxy: Option<Secret>) -> Self {
        self.proxy = proxy;
        self
    }
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The client could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] BoxError),
    /// The URL is not one to call. Nothing was sent.
    #[error("the address may not be called")]
    Refused(#[source] RefusedUrl),
    /// There was no connection to send the request on.
    #[error("no connection could be made")]
    Connect(#[source] BoxError),
    /// The request may have been sent; its answer did not come.
    #[error("the answer was lost")]
    Lost(#[source] BoxError),
    /// The request may have been sent; its answer did not come in time.
    #[error("no answer within the time limit")]
    TimedOut,
    /// The answer is longer than the limit.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A download was sent on once too often.
    #[error("more than {MAX_HOPS} redirects")]
    TooManyRedirects,
}

impl OutboundError {
    /// Whether the request may have reached the other side.
    pub const fn may_have_arrived(&self) -> bool {
        matches!(
            self,
            Self::Lost(_) | Self::TimedOut | Self::TooLarge { .. } | Self::TooManyRedirects
        )
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, Secret)>,
    body: Option<Bytes>,
    content_type: Cow<'static, str>,
    time: Option<Duration>,
    reads_body: bool,
}

impl OutboundRequest {
    /// A GET.
    pub const fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: Vec::new(),
            body: None,
            content_type: Cow::Borrowed("application/json"),
            time: None,
            reads_body: true,
        }
    }

    /// A POST of JSON.
    pub fn post(url: Url, json: impl Into<Bytes>) -> Self {
        Self {
            method: Method::POST,
            body: Some(json.into()),
            ..Self::get(url)
        }
    }

    /// The same request, whose body is of this type rather than JSON.
    pub fn with_content_type(mut self, content_type: impl Into<Cow<'static, str>>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// The same request with a header, whose value is kept secret. `name` is lower case.
    pub fn with_header(mut self, name: &'static str, value: Secret) -> Self {
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    /// The same request, of whose answer only the head is read: its body is empty here, however long it is.
    pub const fn for_status(mut self) -> Self {
        self.reads_body = false;
        self
    }

    /// The same request, answered within `time` or not at all. Never longer than the client's own limit.
    pub const fn within(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }
}

/// A whole answer.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An answer may repeat what was sent to get it.
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// An answer whose body is still to come.
pub struct Download {
    /// The HTTP status; never a redirect.
    pub status: u16,
    /// The body: bounded in time, not in length.
    pub body: ByteStream,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Download({})", self.status)
    }
}

/// The HTTP client. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Outbound {
    open: Lines,
    guarded: Lines,
    trusted: Option<Url>,
    reach: Reach,
    options: OutboundOptions,
}

/// Two ways to the same places.
#[derive(Clone)]
struct Lines {
    /// Over connections that are kept for the next call.
    kept: Client,
    /// Each call over a connection of its own: a kept one may have died unnoticed, and then nobody could tell whether
    /// the request had arrived.
    fresh: Client,
}

impl Lines {
    fn build(options: &OutboundOptions, guarded: bool) -> Result<Self, OutboundError> {
        Ok(Self {
            kept: build(options, guarded, true)?,
            fresh: build(options, guarded, false)?,
        })
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self
            .trusted
            .as_ref()
            .map(|url| url.origin().ascii_serialization());
        f.debug_struct("Outbound")
            .field("trusted", &origin)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// A client that calls public addresses only, unless its options say otherwise.
    ///
    /// **Errors:** [`OutboundError::Setup`].
    pub fn new(options: OutboundOptions) -> Result<Self, OutboundError> {
        Ok(Self {
            open: Lines::build(&options, false)?,
            guarded: Lines::build(&options, true)?,
            trusted: None,
            reach: if options.allow_private {
                Reach::All
            } else {
                Reach::Web
            },
            options,
        })
    }

    /// The same client, which calls any port of public addresses. For addresses that the operator configured and others
    /// are to call.
    pub fn on_any_port(&self) -> Self {
        let mut wider = self.clone();
        if wider.reach == Reach::Web {
            wider.reach = Reach::Public;
        }
        wider
    }

    /// The same client, which calls also the origin (scheme, host and port) of `base`, wherever it is. For addresses
    /// that the operator configured, never for ones that came over the network.
    pub fn trusting(&self, base: &Url) -> Self {
        Self {
            trusted: Some(base.clone()),
            ..self.clone()
        }
    }

    /// Whether `url` may be called, as far as it tells by itself: a name may still lead to a private address, which the
    /// call then refuses.
    ///
    /// **Errors:** why not.
    pub fn allows(&self, url: &Url) -> Result<(), RefusedUrl> {
        guard::check(url, self.trusted.as_ref(), self.reach).map(drop)
    }

    fn route(&self, url: &Url, may_trust: bool) -> Result<&Lines, OutboundError> {
        let trusted = self.trusted.as_ref().filter(|_| may_trust);
        match guard::check(url, trusted, self.reach) {
            Ok(Route::Open) => Ok(&self.open),
            Ok(Route::Guarded) => Ok(&self.guarded),
            Err(refused) => Err(OutboundError::Refused(refused)),
        }
    }

    /// Sends a request, once, and reads its whole answer. Redirects are answers like others. What is not a GET goes over
    /// a connection of its own.
    ///
    /// **Cancel safety:** the request may have arrived.
    pub async fn send(&self, request: OutboundRequest) -> Result<Answer, OutboundError> {
        let total = self.options.total_timeout;
        let deadline = Instant::now() + request.time.unwrap_or(total).min(total);
        let lines = self.route(&request.url, true)?;
        let client = if request.method == Method::GET {
            &lines.kept
        } else {
            &lines.fresh
        };
        // Who allows a call so much time means the wait for its headers too.
        let headers = request.time.unwrap_or(self.options.headers_timeout);
        let mut sending = client.request(request.method, request.url);
        for (name, value) in request.headers {
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| OutboundError::Setup("a header value holds forbidden characters".into()))?;
            value.set_sensitive(true);
            sending = sending.header(name, value);
        }
        if let Some(body) = request.body {
            sending = sending
                .header(CONTENT_TYPE, request.content_type.as_ref())
                .body(body);
        }
        let mut response = headers_of(sending, deadline.min(Instant::now() + headers)).await?;
        let limit = self.options.body_limit;
        let mut body = BytesMut::new();
        if !request.reads_body {
            return Ok(Answer {
                status: response.status().as_u16(),
                headers: std::mem::take(response.headers_mut()),
                body: body.freeze(),
            });
        }
        // An honest length spares the reading.
        if response
            .content_length()
            .is_some_and(|length| usize::try_from(length).is_ok_and(|l| l > limit))
        {
            return Err(OutboundError::TooLarge { limit });
        }
        while let Some(chunk) = timeout_at(deadline, response.chunk())
            .await
            .map_err(|_| OutboundError::TimedOut)?
            .map_err(lost)?
        {
            if body.len() + chunk.len() > limit {
                return Err(OutboundError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: body.freeze(),
        })
    }

    /// Gets `url`, following at most three redirects, each checked like the first address. Carries no credentials.
    ///
    /// **Cancel safety:** safe.
    pub async fn download(&self, url: &str) -> Result<Download, OutboundError> {
        let deadline = Instant::now() + self.options.download_timeout;
        let mut url = Url::parse(url).map_err(|_| OutboundError::Refused(RefusedUrl::Malformed))?;
        // A stranger's redirect must not reach the trusted origin, which may be an open gateway on this machine.
        let mut may_trust = true;
        for _ in 0..=MAX_HOPS {
            let client = &self.route(&url, may_trust)?.kept;
            let until = deadline.min(Instant::now() + self.options.headers_timeout);
            let response = headers_of(client.get(url.clone()), until).await?;
            let to = response
                .headers()
                .get(LOCATION)
                .filter(|_| response.status().is_redirection());
            let Some(to) = to else {
                return Ok(Download {
                    status: response.status().as_u16(),
                    body: self.stream(response, deadline),
                });
            };
            let next = guard::next_hop(&url, to).map_err(OutboundError::Refused)?;
            may_trust &= next.origin() == url.origin();
            url = next;
        }
        Err(OutboundError::TooManyRedirects)
    }

    fn stream(&self, response: Response, deadline: Instant) -> ByteStream {
        let idle = self.options.idle_timeout;
        Box::pin(futures_util::stream::try_unfold(
            response,
            move |mut response| async move {
                let until = deadline.min(Instant::now() + idle);
                let chunk = timeout_at(until, response.chunk())
                    .await
                    .map_err(|_| OutboundError::TimedOut)?
                    .map_err(lost)?;
                Ok::<_, BoxError>(chunk.map(|chunk| (chunk, response)))
            },
        ))
    }
}

async fn headers_of(request: reqwest::RequestBuilder, until: Instant) -> Result<Response, OutboundError> {
    timeout_at(until, request.send())
        .await
        .map_err(|_| OutboundError::TimedOut)?
        .map_err(|error| {
            if error.is_connect() || error.is_builder() {
                OutboundError::Connect(error.without_url().into())
            } else {
                lost(error)
            }
        })
}

/// A URL in an error would reach logs, and may hold a signature.
fn lost(error: reqwest::Error) -> OutboundError {
    if error.is_timeout() {
        OutboundError::TimedOut
    } else {
        OutboundError::Lost(error.without_url().into())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that may build a client"
)]
fn build(options: &OutboundOptions, guarded: bool, keep: bool) -> Result<Client, OutboundError> {
    let setup = |error: reqwest::Error| OutboundError::Setup(error.without_url().into());
    let tls = tls::settings().map_err(|error| OutboundError::Setup(error.into()))?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(&options.user_agent)
        .connect_timeout(options.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        // A submit costs money: nothing below this layer may send a request again.
        .retry(reqwest::retry::never())
        .http1_max_headers(128)
        .http2_max_header_list_size(64 * 1024)
        .no_proxy();
    if !keep {
        builder = builder.pool_max_idle_per_host(0);
    }
    if let Some(proxy) = &options.proxy {
        let url = Url::parse(proxy.expose())
            .map_err(|_| OutboundError::Setup("the outbound proxy is not a URL".into()))?;
        // A proxy cannot reach what is on this machine, so a trusted origin here is called directly. The guarded
        // client makes no exception: without its resolver, the proxy is what keeps it out.
        let custom = move |to: &Url| {
            let local = match to.host() {
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                Some(Host::Domain(name)) => name == "localhost",
                None => true,
            };
            (guarded || !local).then(|| url.clone())
        };
        builder = builder.proxy(reqwest::Proxy::custom(custom));
    } else {
        builder = builder.dns_resolver(Resolver { public_only: guarded });
    }
    builder.build().map_err(setup)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::BlockedAddress;

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_by_type() {
        let outbound = Outbound::new(OutboundOptions::default()).unwrap();
        let error = outbound.download("http://localhost/").await.unwrap_err();
        assert!(BlockedAddress::find(&error).is_some(), "{error:?}");
        assert!(!error.may_have_arrived());
        let error = outbound.download("http://127.1/").await.unwrap_err();
        assert!(BlockedAddress::find(&error).is_some(), "{error:?}");
        assert!(matches!(
            outbound.download("nonsense").await,
            Err(OutboundError::Refused(RefusedUrl::Malformed))
        ));
    }

    #[tokio::test]
    async fn a_configured_proxy_is_asked_and_inside_literals_are_refused_all_the_same() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4_096];
            let length = stream.read(&mut head).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        let options = OutboundOptions::default().with_proxy(Some(Secret::new(proxy)));
        let outbound = Outbound::new(options).unwrap();
        let error = outbound.download("http://169.254.169.254/").await.unwrap_err();
        assert!(BlockedAddress::find(&error).is_some(), "{error:?}");
        assert_eq!(
            outbound
                .download("http://cdn.example/a.png")
                .await
                .unwrap()
                .status,
            204
        );
        assert!(served.await.unwrap().starts_with("GET http://cdn.example/a.png "));
    }

    /// A server may close a kept connection at the very moment it is used again; nobody could tell then whether the
    /// request had arrived.
    #[tokio::test]
    async fn what_may_cost_money_never_goes_over_a_kept_connection() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    // One answer, and then silence: what comes next on this connection is lost.
                    let mut head = [0; 4_096];
                    let read = stream.read(&mut head).await.unwrap();
                    assert!(read > 0);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                    drop(stream.read(&mut head).await);
                });
            }
        });
        let outbound = Outbound::new(OutboundOptions::default()).unwrap().trusting(&base);
        let get = OutboundRequest::get(base.clone());
        assert_eq!(outbound.send(get).await.unwrap().status, 200);
        for _ in 0..2 {
            let post = OutboundRequest::post(base.clone(), "{}").within(Duration::from_secs(20));
            assert_eq!(outbound.send(post).await.unwrap().status, 200);
        }
        server.abort();
    }

    #[tokio::test]
    async fn a_call_has_the_time_that_it_asks_for() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4_096];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            tokio::time::sleep(Duration::from_millis(300)).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        });
        let options = OutboundOptions {
            headers_timeout: Duration::from_millis(50),
            ..OutboundOptions::default()
        };
        let outbound = Outbound::new(options).unwrap().trusting(&base);
        let patient = OutboundRequest::get(base).within(Duration::from_secs(20));
        assert_eq!(outbound.send(patient).await.unwrap().status, 200);
        server.await.unwrap();
    }

    #[test]
    fn no_secret_is_printed() {
        let options =
            OutboundOptions::default().with_proxy(Some(Secret::new("http://u:canary@proxy.example:3128")));
        let outbound = Outbound::new(options).unwrap();
        assert!(!format!("{outbound:?}").contains("canary"));
        let request = OutboundRequest::get(Url::parse("https://a.example/").unwrap())
            .with_header("authorization", Secret::new("canary"));
        assert!(!format!("{request:?}").contains("canary"));
        let bad = OutboundOptions::default().with_proxy(Some(Secret::new("canary")));
        assert!(!format!("{:?}", Outbound::new(bad).unwrap_err()).contains("canary"));
    }
}
