//! Sockets: accepting, limits of time and number, and an orderly end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    http::{Request, header},
};
use axum_server::{Handle, accept::Accept};
use futures_util::future::try_join_all;
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The most bytes of a request's line and headers.
const HEAD_LIMIT: usize = 32 * 1024;

/// Tells that the server is going down, so that waits and event streams end by themselves. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stopping(Arc<watch::Sender<bool>>);

impl Default for Stopping {
    fn default() -> Self {
        Self::new()
    }
}

impl Stopping {
    /// Nothing is going down yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Begins the end. Calling it again changes nothing.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether the end has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the end has begun.
    ///
    /// **Cancel safety:** dropping the future only ends the wait.
    pub async fn begun(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        drop(self.0.subscribe().wait_for(|begun| *begun).await);
    }
}

/// Limits of the sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeOptions {
    /// How long a connection may take to send the head of a request, counted from its opening or from the end of the
    /// request before. Default 10 s.
    pub head_time: Duration,
    /// How long a connection may take none of what it is sent. Default 30 s.
    pub write_time: Duration,
    /// How many connections may be open at once over all listeners; more are closed as they come. Default 4,096.
    pub connections: usize,
    /// How long requests under way may take once the end has begun. Default 10 s.
    pub grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(10),
            write_time: Duration::from_secs(30),
            connections: 4096,
            grace: Duration::from_secs(10),
        }
    }
}

impl ServeOptions {
    /// The same, with requests under way given this long once the end has begun.
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The same, with heads of requests given this long.
    pub const fn with_head_time(mut self, head_time: Duration) -> Self {
        self.head_time = head_time;
        self
    }

    /// The same, with answers that nobody takes held for this long.
    pub const fn with_write_time(mut self, write_time: Duration) -> Self {
        self.write_time = write_time;
        self
    }

    /// The same, with this many connections at once.
    pub const fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }
}

/// Opens a socket that listens on `address`. Must be called within a tokio runtime.
///
/// **Errors:** the operating system's, such as "address in use".
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // On Windows this would let two servers share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Serves `router` on all `listeners` until `stopping` begins; then takes no new connections, lets requests under way
/// end within the grace, and returns.
///
/// Give the same `stopping` to [`HttpOptions`](super::HttpOptions), or event streams will use up the whole grace.
///
/// **Errors:** a listener that cannot be used. **Cancel safety:** dropping the future closes the listeners; requests
/// under way go on as long as the runtime does.
pub async fn serve(
    router: Router,
    listeners: Vec<TcpListener>,
    options: ServeOptions,
    stopping: Stopping,
) -> io::Result<()> {
    let most = options.connections.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    let cap = Cap {
        places: Arc::clone(&places),
        write_time: options.write_time,
    };
    let mut servers = Vec::with_capacity(listeners.len());
    let mut handles = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(listener)?
            .acceptor(cap.clone())
            .handle(handle.clone())
            .first_request_timeout(options.head_time)
            .accept_error_handler(|_, error| tracing::debug!(%error, "a connection was not taken"));
        let http = server.http_builder();
        http.http1()
            .keep_alive(true)
            .header_read_timeout(options.head_time)
            // Most answers are short: one buffer costs less to send than a list of them, and copying a piece of a
            // picture is little beside sending it.
            .writev(false)
            .max_buf_size(HEAD_LIMIT);
        http.http2()
            .max_concurrent_streams(128)
            .max_header_list_size(32 * 1024)
            .keep_alive_interval(Some(Duration::from_secs(30)))
            .keep_alive_timeout(Duration::from_secs(20));
        handles.push(handle);
        servers.push(server.serve(router.clone().into_make_service_with_connect_info::<SocketAddr>()));
    }
    let end = async {
        stopping.begun().await;
        for handle in &handles {
            handle.graceful_shutdown(Some(options.grace));
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = try_join_all(servers) => drop(served?),
        () = end => {}
        () = tick(options.head_time / 2) => {}
    }
    // What became a WebSocket is no connection of the server's any more, but still has its place.
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    drop(tokio::time::timeout(options.grace, places.acquire_many(all)).await);
    Ok(())
}

/// Never ends. Without it about every second request would cost a system call more: tokio makes one for each timer that
/// ends before all others, and while the requests on all connections are being answered, there is no other when the
/// wait for the next head begins.
async fn tick(period: Duration) {
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
    }
}

/// Lets only so many connections in, and ends those that take nothing of what they are sent.
#[derive(Clone, Debug)]
struct Cap {
    places: Arc<Semaphore>,
    write_time: Duration,
}

impl<S> Accept<TcpStream, S> for Cap {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = Admitted<S>;
    type Future = std::future::Ready<io::Result<(Self::Stream, Admitted<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // An event must not wait until the client has confirmed the one before. Where it cannot be set, it does.
        stream.set_nodelay(true).unwrap_or_default();
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_time));
        let admitted = Arc::clone(&self.places)
            .try_acquire_owned()
            .map(|permit| {
                let place = Place(Arc::new(permit));
                (Box::pin(stream), Admitted { service, place })
            })
            .map_err(|_| io::Error::other("as many connections as may be are open"));
        std::future::ready(admitted)
    }
}

/// A connection's place among those that may be open at once; given back when the last copy is dropped.
#[derive(Clone, Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "only kept")] Arc<OwnedSemaphorePermit>);

/// A connection's service; gives its place back when the connection ends.
#[derive(Clone, Debug)]
struct Admitted<S> {
    service: S,
    place: Place,
}

impl<B, S: Service<Request<B>>> Service<Request<B>> for Admitted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        // What the connection is to become outlives it, and keeps its place.
        if request.headers().contains_key(header::UPGRADE) {
            request.extensions_mut().insert(self.place.clone());
        }
        self.service.call(request)
    }
}
