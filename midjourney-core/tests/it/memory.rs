//! The reference backends against the suites.

mod jobs {
    use std::sync::Arc;

    use midjourney_core::{job::JobStore, job_store_suite, memory::MemoryJobStore};

    async fn fresh() -> (Arc<dyn JobStore>, ()) {
        (Arc::new(MemoryJobStore::new()), ())
    }

    job_store_suite!(fresh);
}
