//! What people do with the library of pictures: pin, tag, remove, and look what came of what.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use midjourney_core::{
    gateway::{ImageView, LineageView},
    id::{ImageId, JobId},
    image::{MarkChange, Tag},
};
use serde::Deserialize;

use super::{
    App,
    extract::{ApiJson, ApiPath},
    problem::Problem,
};

/// Pin an image: it is kept, whatever retention says.
#[utoipa::path(put, path = "/images/{id}/pin", tag = "images",
    params(("id" = String, Path, description = "The image's id.")),
    responses((status = 200, description = "The image as it is now.", body = ImageView)))]
pub(super) async fn pin(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ImageId>,
) -> Result<Json<ImageView>, Problem> {
    mark(&app, id, MarkChange::pin(true)).await
}

/// Unpin an image.
#[utoipa::path(delete, path = "/images/{id}/pin", tag = "images",
    params(("id" = String, Path, description = "The image's id.")),
    responses((status = 200, description = "The image as it is now.", body = ImageView)))]
pub(super) async fn unpin(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ImageId>,
) -> Result<Json<ImageView>, Problem> {
    mark(&app, id, MarkChange::pin(false)).await
}

/// What an image is filed under.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TagsBody {
    /// All its tags from now on, 20 at most: words of 1 to 40 letters, digits, `-` and `_`.
    #[schema(value_type = Vec<String>, max_items = 20)]
    tags: Vec<Tag>,
}

/// Give an image these tags and no others.
#[utoipa::path(put, path = "/images/{id}/tags", tag = "images", request_body = TagsBody,
    params(("id" = String, Path, description = "The image's id.")),
    responses((status = 200, description = "The image as it is now.", body = ImageView)))]
pub(super) async fn tag(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ImageId>,
    ApiJson(body): ApiJson<TagsBody>,
) -> Result<Json<ImageView>, Problem> {
    let tags = body.tags.into_iter().collect();
    mark(&app, id, MarkChange::tag(tags)).await
}

async fn mark(app: &App, id: ImageId, change: MarkChange) -> Result<Json<ImageView>, Problem> {
    Ok(Json(ImageView::of(&app.gateway.mark(id, &change).await?)))
}

/// Remove an image and its file; its job stays.
#[utoipa::path(delete, path = "/images/{id}", tag = "images",
    params(("id" = String, Path, description = "The image's id.")),
    responses((status = 204, description = "It is removed.")))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ImageId>,
) -> Result<StatusCode, Problem> {
    app.gateway.remove_image(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Look at the tree of jobs that came of one another, from the first that this one goes back to.
#[utoipa::path(get, path = "/jobs/{id}/tree", tag = "images",
    params(("id" = String, Path, description = "The id of any job in it.")),
    responses((status = 200, description = "The tree, with 500 jobs at most.", body = LineageView)))]
pub(super) async fn tree(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<JobId>,
) -> Result<Json<LineageView>, Problem> {
    Ok(Json(app.gateway.lineage(id).await?))
}
