//! Lets a change run to its end although the client hangs up.

use midjourney_core::error::Error;
use tracing::Instrument as _;

use super::problem::Problem;

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
            tracing::error!(panicked = failed.is_panic(), "a request's task died");
            Err(Problem::internal())
        }
    }
}
