//! Lets a change run to its end although the client hangs up.

use midjourney_core::error::Error;
use tracing::Instrument as _;

use super::{edge, problem::Problem};

/// Runs `work` as a task of its own: hyper drops a handler when its client goes away, and a request that changes
/// something must not stop half-way.
pub(super) async fn detach<T, F>(work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    match tokio::spawn(work.in_current_span()).await {
        Ok(outcome) => outcome.map_err(Problem::from),
        Err(failed) => {
            tracing::error!(
                request = edge::request_id(),
                panicked = failed.is_panic(),
                "a request's task died"
            );
            Err(Problem::internal())
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_for_it() {
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let work = async move {
            begun.send(()).unwrap();
            may_go_on.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        };
        let handler = tokio::spawn(detach(work));
        has_begun.await.unwrap();
        handler.abort();
        assert!(handler.await.unwrap_err().is_cancelled());
        go_on.send(()).unwrap();
        is_done.await.unwrap();
    }
}
