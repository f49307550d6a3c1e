//! What a [`JobStore`] must do, case by case. Run by [`job_store_suite!`](crate::job_store_suite).

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Case,
    given::{self, at, job_id},
};
use crate::{
    id::JobId,
    job::{EventKind, Insertion, JobStore},
};

/// All cases.
pub const CASES: &[Case<Arc<dyn JobStore>>] = crate::__job_store_cases! { table Arc<dyn JobStore> };

#[doc(hidden)]
#[macro_export]
macro_rules! __job_store_cases {
    ($($mode:tt)+) => {
        $crate::__suite! { $($mode)+;
            insert_returns_what_load_reads,
        }
    };
}

/// What insert returns is what load reads: version 1, due at once.
pub async fn insert_returns_what_load_reads(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    assert_eq!((job.id, job.version, job.sequence), (job_id(1), 1, 1));
    assert_eq!(job.life.due, Some(at(0)), "due at once");
    assert_eq!(store.load(job_id(1)).await.unwrap(), Some(job));
}
