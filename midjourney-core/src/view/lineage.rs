use serde::Serialize;

use super::ImageView;
use crate::{
    clock::Timestamp,
    id::JobId,
    image::Image,
    job::{Job, ParentRef},
};

/// A job in the tree of those that came of one another: its pictures, and the jobs that started from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LineageView {
    /// The job.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub job: JobId,
    /// What it did.
    pub action: &'static str,
    /// What it drew from.
    pub prompt: String,
    /// Which picture of the job above it started from; 0 is all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_index: Option<u8>,
    /// When it was accepted.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// Its pictures: the grid first, then by index.
    pub images: Vec<ImageView>,
    /// The jobs that started from its pictures, the last one first.
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    pub children: Vec<Self>,
}

impl LineageView {
    /// `job` with its pictures, without what came of them.
    pub fn of(job: &Job, images: &[Image]) -> Self {
        Self {
            job: job.id,
            action: job.request.action.name(),
            prompt: job.request.prompt.clone(),
            parent_index: job.request.parent.map(|ParentRef { index, .. }| index),
            created_at: job.life.created,
            images: images.iter().map(ImageView::of).collect(),
            children: Vec::new(),
        }
    }
}
