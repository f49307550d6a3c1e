use std::{path::Path, sync::Arc};

use midjourney_core::{job::JobStore, job_store_suite};
use midjourney_storage::sqlite::{SqliteJobStore, SqliteOptions};
use tempfile::TempDir;

async fn open(folder: &Path) -> SqliteJobStore {
    SqliteJobStore::open(folder.join("jobs.db"), SqliteOptions::default())
        .await
        .unwrap()
}

mod suite {
    use super::*;

    async fn fresh() -> (Arc<dyn JobStore>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(open(folder.path()).await), folder)
    }

    job_store_suite!(fresh);
}
