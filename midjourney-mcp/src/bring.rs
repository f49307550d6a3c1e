//! Pictures that callers name, made into what the gateway takes.

use std::{io, path::Path};

use bytes::Bytes;
use midjourney_core::{
    error::Error,
    gateway::Gateway,
    id::JobId,
    image::MAX_UPLOAD,
    job::{ImageQuery, InputImage, Owner},
};
use tokio::io::AsyncReadExt as _;

use crate::{
    tools::{Origin, Picture},
    transport::Reach,
};

/// Takes `picture` in. A picture of ours becomes a copy: the upstream may not know it.
///
/// **Errors:** naming the argument; what is no picture is refused by its bytes.
pub(crate) async fn bring(gateway: &Gateway, picture: Picture, reach: Reach) -> Result<InputImage, Error> {
    let place = format!("/{}", picture.place);
    let wrong = |detail: String| Error::field(place.clone(), detail);
    let bytes = match picture.from {
        Origin::Link(url) => return Ok(InputImage::Url(url)),
        Origin::Upload(id) => return Ok(InputImage::Upload(id)),
        Origin::Bytes(bytes) => bytes.into(),
        Origin::Ours(job, index) => ours(gateway, job, index, wrong).await?,
        Origin::File(_) if reach == Reach::Elsewhere => {
            return Err(wrong(
                "files are only read for a client on this machine; give a link, or the file itself in base64"
                    .to_owned(),
            ));
        }
        Origin::File(path) => file(&path).await.map_err(wrong)?,
    };
    let upload = gateway.upload_bytes(Owner::local(), bytes).await;
    let upload = upload.map_err(|error| match error.fields() {
        [field] => wrong(field.detail.clone()),
        _ => error,
    })?;
    Ok(InputImage::Upload(upload.id))
}

async fn ours(
    gateway: &Gateway,
    job: JobId,
    index: u8,
    wrong: impl Fn(String) -> Error,
) -> Result<Bytes, Error> {
    let status = gateway.job(job).await?.status();
    let images = gateway.images(&ImageQuery::of(job)).await?.items;
    let Some(image) = images.iter().find(|image| image.index == index) else {
        let there: Vec<_> = images.iter().map(|image| image.index.to_string()).collect();
        return Err(wrong(if there.is_empty() {
            format!("job {job} is {} and has no pictures", status.name())
        } else {
            format!("job {job} has no picture {index}, only {}", there.join(", "))
        }));
    };
    Ok(gateway.picture_bytes(image.id).await?.into())
}

/// The bytes of a file; whether they are a picture is told from them, elsewhere.
async fn file(path: &Path) -> Result<Bytes, String> {
    let unreadable = |error: io::Error| format!("the file cannot be read: {error}");
    // Asked first: opening a pipe or a device may wait for ever.
    let facts = tokio::fs::metadata(path).await.map_err(unreadable)?;
    if !facts.is_file() {
        return Err("expected a file; this is a folder or a device".to_owned());
    }
    if facts.len() > MAX_UPLOAD {
        return Err(format!(
            "the file has {} bytes; a picture may have {MAX_UPLOAD} at most",
            facts.len()
        ));
    }
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    file.take(MAX_UPLOAD + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(unreadable)?;
    Ok(bytes.into())
}
