//! Pictures: what is known about them, and their bytes.

use std::{ops::Range, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::Engine as _;
use bytes::Bytes;
use midjourney_core::{
    clock::Day,
    error::Error,
    gateway::ImageView,
    id::{ImageId, JobId},
    image::{Image, MediaType, Tag, raster::Encoding, rendition::Rendition},
    job::{Action, ImageQuery, ImageSearch},
    link::image_path,
    page::Cursor,
};
use serde::{Deserialize, Serialize};

use super::{
    App,
    conditional::{Wanted, matches_etag, wanted},
    extract::{self, ApiPath, ApiQuery},
    jobs::ROWS,
    links::Proof,
    problem::{self, Problem},
};

/// How long an address is good at which others hand out a picture.
const ELSEWHERE: Duration = Duration::from_secs(3_600);

/// The largest picture that is given as text inside JSON.
const INLINE_LIMIT: u64 = 32 * 1024 * 1024;

/// Which images to list. All that is said must hold.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ImagesQuery {
    /// Only pictures of this job, the grid first, then by index. Said alone.
    #[param(value_type = Option<String>)]
    job: Option<JobId>,
    /// Words of the prompt, all of them, each as a word or its beginning.
    text: Option<String>,
    /// Parameters of the prompt, written as in one: `--ar 3:2 --raw`. One without a value matches any.
    #[param(example = "--ar 3:2")]
    parameters: Option<String>,
    /// The model's version: the same as `--v` among the parameters.
    version: Option<String>,
    /// What made them: `imagine`, `upscale`, `variation` and so on.
    #[serde(default, deserialize_with = "extract::action")]
    #[param(value_type = Option<String>)]
    action: Option<Action>,
    /// Only those that were made from pictures of this job.
    #[param(value_type = Option<String>)]
    parent: Option<JobId>,
    /// Of jobs that were accepted on this day (UTC) or later.
    #[param(value_type = Option<String>, example = "2026-11-01")]
    from: Option<Day>,
    /// Of jobs that were accepted on this day (UTC) or before.
    #[param(value_type = Option<String>, example = "2026-11-24")]
    to: Option<Day>,
    /// With `true`, only pinned ones.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    pinned: bool,
    /// Only those with this tag.
    #[param(value_type = Option<String>)]
    tag: Option<Tag>,
    /// At most this many, 1 to 200; 50 where nothing is said.
    #[serde(default, deserialize_with = "extract::limit")]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

impl ImagesQuery {
    /// What is searched for; `None` where all pictures are meant, or those of a job.
    fn search(&self) -> Option<ImageSearch> {
        let mut search = ImageSearch::newest(0);
        search.text = self.text.clone().unwrap_or_default();
        search.parameters = self.parameters.clone().unwrap_or_default();
        if let Some(version) = &self.version {
            search.parameters = format!("{} --v {version}", search.parameters);
        }
        search.action = self.action;
        search.parent = self.parent;
        (search.from, search.to) = (self.from, self.to);
        search.pinned = self.pinned;
        search.tag.clone_from(&self.tag);
        if search == ImageSearch::default() {
            return None;
        }
        search.after = self.after;
        search.limit = self.limit.unwrap_or(ROWS);
        Some(search)
    }
}

/// A page of images.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ImagePage {
    /// The images, newest first.
    images: Vec<ImageView>,
    /// Give it as `after` for the next page; `null` at the end.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// How to show an image.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageFormat {
    /// `base64` adds the bytes as `data`.
    #[param(value_type = Option<String>)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Base64,
}

/// An image, with its bytes where they were asked for.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ImageDetail {
    #[serde(flatten)]
    image: ImageView,
    /// The bytes in base64, with `?format=base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

/// List images, newest first, or search for some.
///
/// A search lists the pictures of the job that was accepted last first, and a page of it may be short though there is a
/// `next`.
#[utoipa::path(get, path = "/images", tag = "images", params(ImagesQuery),
    responses((status = 200, description = "A page of images.", body = ImagePage)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<ImagesQuery>,
) -> Result<Json<ImagePage>, Problem> {
    let page = match (query.search(), query.job) {
        (Some(_), Some(_)) => {
            let detail = "expected it alone: the pictures of one job are not searched through";
            return Err(Error::field("/job", detail).into());
        }
        (Some(search), None) => app.gateway.search(&search).await?,
        (None, job) => {
            let mut wanted = ImageQuery::newest(query.limit.unwrap_or(ROWS));
            (wanted.job, wanted.after) = (job, query.after);
            app.gateway.images(&wanted).await?
        }
    };
    Ok(Json(ImagePage {
        images: page.items.iter().map(ImageView::of).collect(),
        next: page.next,
    }))
}

/// Look at what is known about an image.
#[utoipa::path(get, path = "/images/{id}", tag = "images",
    params(("id" = String, Path, description = "The image's id."), ImageFormat),
    responses((status = 200, description = "The image.", body = ImageDetail)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ImageId>,
    ApiQuery(query): ApiQuery<ImageFormat>,
) -> Result<Json<ImageDetail>, Problem> {
    let image = app.gateway.image(id).await?;
    let data = match query.format {
        None => None,
        Some(Format::Base64) if image.bytes > INLINE_LIMIT => {
            let detail =
                format!("the picture has more than {INLINE_LIMIT} bytes; get /images/{id}/content instead");
            return Err(Error::field("/format", detail).into());
        }
        Some(Format::Base64) => {
            let bytes = app.gateway.picture_bytes(id).await?;
            Some(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
    };
    Ok(Json(ImageDetail {
        image: ImageView::of(&image),
        data,
    }))
}

/// How the bytes are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Shape {
    /// No wider than this, in pixels: a smaller picture in the same proportions.
    #[serde(default, deserialize_with = "extract::side")]
    #[param(minimum = 1, maximum = 4096)]
    width: Option<u32>,
    /// No higher than this, in pixels.
    #[serde(default, deserialize_with = "extract::side")]
    #[param(minimum = 1, maximum = 4096)]
    height: Option<u32>,
    /// The kind of file: `png`, `jpeg` or `webp`; what it is already where nothing is said.
    #[param(value_type = Option<String>)]
    format: Option<Encoding>,
    /// With `true`, the prompt and where the picture comes from are written into the file, as XMP (IPTC 2025.1).
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    metadata: bool,
}

impl Shape {
    const fn rendition(&self) -> Rendition {
        Rendition::new(self.width, self.height, self.format)
    }

    /// The strong tag of the picture in this shape.
    fn etag(&self, image: &Image) -> String {
        let digest = image.digest;
        if self.is_original(image) {
            return format!("\"{digest}\"");
        }
        let side = |side: Option<u32>| side.unwrap_or(0);
        let format = self.format.map_or("", |format| format.media_type().extension());
        let metadata = if self.metadata { "m" } else { "" };
        format!(
            "\"{digest}-{}x{}{format}{metadata}\"",
            side(self.width),
            side(self.height)
        )
    }

    fn is_original(&self, image: &Image) -> bool {
        !self.metadata && self.rendition().is_met_by(image.media_type, image.size)
    }
}

/// Get the bytes of an image, or a part of them; in another size or format where that is asked for.
#[utoipa::path(get, path = "/images/{id}/content", tag = "images",
    params(
        ("id" = String, Path, description = "The image's id."),
        Shape,
        Proof,
        ("Range" = Option<String>, Header, description = "One range of bytes, such as `bytes=0-1023`."),
        ("If-Range" = Option<String>, Header, description = "The `ETag` that the range continues."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the copy at hand."),
    ),
    responses(
        (status = 200, description = "The picture.", content_type = "image/png", body = Vec<u8>,
            headers(("ETag" = String, description = "The SHA-256 of the original, and the shape where it is another."))),
        (status = 206, description = "The part of it that was asked for.", content_type = "image/png", body = Vec<u8>),
        (status = 304, description = "The copy at hand is good."),
        (status = 307, description = "The bytes are to be had there, where `storage.signed_links` or \
            `storage.public_base_url` say so."),
    ),
)]
pub(super) async fn content(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<ImageId>,
    ApiQuery(proof): ApiQuery<Proof>,
    ApiQuery(shape): ApiQuery<Shape>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let linked = app.links.check(&proof, &image_path(id))?;
    let image = app.gateway.image(id).await?;
    if shape.is_original(&image)
        && let Some(link) = app.gateway.picture_link(&image, ELSEWHERE).await?
    {
        let passing = (header::CACHE_CONTROL, "no-store".to_owned());
        return Ok((
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, link), passing],
        )
            .into_response());
    }
    let etag = shape.etag(&image);
    let common = [
        (header::ETAG, etag.clone()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (
            header::CACHE_CONTROL,
            "private, max-age=31536000, immutable".to_owned(),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; sandbox".to_owned(),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            // Who has a link may show it on any page.
            if linked { "cross-origin" } else { "same-site" }.to_owned(),
        ),
    ];
    if matches_etag(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let file = File::open(&app, &image, &shape).await?;
    let wanted = if method == Method::GET {
        wanted(&headers, file.length, &etag)
    } else {
        Wanted::Whole
    };
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, None),
        Wanted::Part(start, end) => (StatusCode::PARTIAL_CONTENT, Some(start..end)),
        Wanted::Outside => return Ok(outside(file.length)),
    };
    let length = range
        .as_ref()
        .map_or(file.length, |range| range.end.saturating_sub(range.start));
    let span = range.as_ref().map(|range| {
        let last = range.end.saturating_sub(1);
        (
            header::CONTENT_RANGE,
            format!("bytes {}-{last}/{}", range.start, file.length),
        )
    });
    let described = [
        (header::CONTENT_TYPE, file.media_type.mime().to_owned()),
        (header::CONTENT_DISPOSITION, file.disposition(&image)),
    ];
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        file.body(&app, id, range).await?
    };
    let mut response = (status, common, described, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.extend(span.and_then(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))));
    Ok(response)
}

/// The bytes in the shape that was asked for.
struct File {
    media_type: MediaType,
    length: u64,
    /// Those that were made for this; else the original's.
    made: Option<Bytes>,
}

impl File {
    async fn open(app: &App, image: &Image, shape: &Shape) -> Result<Self, Problem> {
        if shape.is_original(image) {
            return Ok(Self {
                media_type: image.media_type,
                length: image.bytes,
                made: None,
            });
        }
        let mut rendered = app.gateway.rendition(image.id, &shape.rendition()).await?;
        if shape.metadata {
            rendered = app.gateway.described(rendered).await?;
        }
        Ok(Self {
            media_type: rendered.media_type,
            length: u64::try_from(rendered.bytes.len()).unwrap_or(u64::MAX),
            made: Some(rendered.bytes),
        })
    }

    fn disposition(&self, image: &Image) -> String {
        let name = image.key.as_str().rsplit('/').next().unwrap_or("image");
        let stem = name.split('.').next().unwrap_or(name);
        format!("inline; filename=\"{stem}.{}\"", self.media_type.extension())
    }

    async fn body(self, app: &App, id: ImageId, range: Option<Range<u64>>) -> Result<Body, Problem> {
        let Some(made) = self.made else {
            return Ok(Body::from_stream(app.gateway.picture(id, range).await?.body));
        };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(made.len());
        Ok(Body::from(match range {
            Some(range) => made.slice(place(range.start)..place(range.end)),
            None => made,
        }))
    }
}

fn outside(length: u64) -> Response {
    let detail = format!("the picture has {length} bytes, counted from 0");
    let mut response = Problem::new(&problem::RANGE, detail).into_response();
    let value = HeaderValue::try_from(format!("bytes */{length}")).ok();
    response
        .headers_mut()
        .extend(value.map(|value| (header::CONTENT_RANGE, value)));
    response
}
