//! Pictures that callers bring along.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::TryStreamExt as _;
use midjourney_core::{clock::Timestamp, id::UploadId, image::Upload, job::Owner, link::upload_path};
use serde::Serialize;

use super::{
    App,
    extract::{ApiPath, ApiQuery},
    links::Proof,
    problem::Problem,
};

/// A picture that requests can refer to by its id.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct UploadView {
    /// The picture's id, to be given as one of `images` or as `mask`.
    #[schema(value_type = String, example = "upl_019ab3c0d1e27f3a8b4c5d6e7f8091a2")]
    id: UploadId,
    /// Told from the bytes.
    media_type: &'static str,
    /// The file's length.
    bytes: u64,
    /// In pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    /// In pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    /// SHA-256 of the bytes, in hex.
    sha256: String,
    /// When it was taken in.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Upload> for UploadView {
    fn from(upload: Upload) -> Self {
        Self {
            id: upload.id,
            media_type: upload.media_type.mime(),
            bytes: upload.bytes,
            width: upload.size.map(|(width, _)| width),
            height: upload.size.map(|(_, height)| height),
            sha256: upload.digest.to_string(),
            created_at: upload.created,
        }
    }
}

/// Bring a picture along: a reference, a mask, an original to edit.
///
/// The body is the file itself: PNG, JPEG, WebP or GIF, told from its bytes, 20 MiB at most.
#[utoipa::path(post, path = "/images/uploads", tag = "images",
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file."),
    responses((status = 201, description = "The picture is on disk.", body = UploadView)))]
pub(super) async fn create(State(app): State<Arc<App>>, body: Body) -> Result<Response, Problem> {
    let body = Box::pin(body.into_data_stream().map_err(Into::into));
    let upload = app.gateway.upload(Owner::local(), body).await?;
    let place = HeaderValue::try_from(upload_path(upload.id)).ok();
    let mut response = (StatusCode::CREATED, Json(UploadView::from(upload))).into_response();
    response
        .headers_mut()
        .extend(place.map(|place| (header::LOCATION, place)));
    Ok(response)
}

/// The bytes of a picture that was brought along.
#[utoipa::path(get, path = "/images/uploads/{id}/content", tag = "images",
    params(("id" = String, Path, description = "The upload's id."), Proof),
    responses((status = 200, description = "The bytes.", body = Vec<u8>, content_type = "image/png")))]
pub(super) async fn content(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<UploadId>,
    ApiQuery(proof): ApiQuery<Proof>,
) -> Result<Response, Problem> {
    let linked = app.links.check(&proof, &upload_path(id))?;
    let (upload, body) = app.gateway.uploaded(id).await?;
    let kind = HeaderValue::from_static(upload.media_type.mime());
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_LENGTH, HeaderValue::from(upload.bytes)),
    ];
    let mut response = (headers, Body::from_stream(body)).into_response();
    if linked {
        // Who has a link may show it on any page.
        response.headers_mut().insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        );
    }
    Ok(response)
}
