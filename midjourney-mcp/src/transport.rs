//! Standard input and output, and serving until the client is gone.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rmcp::{ServiceExt as _, service::ServerInitializeError, transport::stdio_pipes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::timeout,
};
use tracing::{debug, warn};

use crate::{desk::Desk, open::OpenGateway, server::Server};

/// How long answers that are under way may take once the client is gone.
const LAST_ANSWERS: Duration = Duration::from_millis(400);
/// How long the engine may take to put its work down. Together with the above well below two seconds.
const LAST_WORK: Duration = Duration::from_millis(1_200);

/// Tells whether the client is gone: its side is closed, or we were told to stop.
#[derive(Clone, Debug)]
pub(crate) struct Gone(watch::Receiver<bool>);

impl Gone {
    pub(crate) async fn wait(&self) {
        let mut gone = self.0.clone();
        // An error means that the transport itself is gone.
        gone.wait_for(|gone| *gone).await.ok();
    }
}

/// Where the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is on this machine or it is not")]
pub enum Reach {
    /// On this machine, as its user: files that it names are read.
    ThisMachine,
    /// Elsewhere, or nobody knows: paths are refused.
    Elsewhere,
}

/// Serves one client over standard input and output until it closes them or the process is told to stop.
///
/// **Errors:** the transport's, before the client was greeted.
pub async fn serve_stdio(opener: Arc<dyn OpenGateway>) -> io::Result<()> {
    let (read, write) = stdio_pipes();
    serve(opener, Reach::ThisMachine, read, write, stop_signal()).await
}

/// Serves one client over any pair of streams until `read` ends or `stop` returns.
///
/// **Errors:** the transport's, before the client was greeted.
pub async fn serve<R, W>(
    opener: Arc<dyn OpenGateway>,
    reach: Reach,
    read: R,
    write: W,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let (leave, gone) = watch::channel(false);
    let leave = Arc::new(leave);
    let gone = Gone(gone);
    let desk = Arc::new(Desk::new(opener, reach));
    let read = Watched {
        inner: read,
        leave: Arc::clone(&leave),
    };
    let server = Server::new(Arc::clone(&desk), gone.clone());
    tokio::pin!(stop);
    let session = async {
        let running = match server.serve((read, write)).await {
            Ok(running) => running,
            Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
                return Ok(());
            }
            Err(error) => return Err(io::Error::other(error.to_string())),
        };
        // Waits end as soon as the client is gone; what is left then are answers on their way out.
        let waiting = running.waiting();
        tokio::pin!(waiting);
        tokio::select! {
            _ = &mut waiting => return Ok(()),
            () = gone.wait() => {}
        }
        if timeout(LAST_ANSWERS, &mut waiting).await.is_err() {
            warn!("some answers were cut off at the end");
        }
        Ok(())
    };
    let outcome = tokio::select! {
        over = session => over,
        () = &mut stop => Ok(()),
    };
    debug!("the client is gone");
    leave.send_replace(true);
    desk.close(LAST_WORK).await;
    outcome
}

/// Returns when the process is asked to end.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut end), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        {
            tokio::select! {
                _ = end.recv() => {}
                _ = interrupt.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Reads, and tells when there is nothing more to come.
struct Watched<R> {
    inner: R,
    leave: Arc<watch::Sender<bool>>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let over = match &polled {
            Poll::Ready(Ok(())) => buf.filled().len() == before && buf.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if over {
            self.leave.send_replace(true);
        }
        polled
    }
}
