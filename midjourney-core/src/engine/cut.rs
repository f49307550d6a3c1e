//! Cuts a grid into its four pictures, where that is all that the upstream gives.

use bytes::Bytes;
use futures_util::stream;
use tracing::warn;

use super::{Parts, download};
use crate::{
    error::Chain,
    image::{
        Image, ImageKind, MediaType, Sniffed,
        raster::{Encoding, Raster, RasterError, beside},
        read_whole,
    },
    job::{Job, RemoteImage},
};

/// The four pictures of `grid`, stored beside it. None where it cannot be cut: the grid is kept all the same, and each
/// picture can still be asked of the upstream.
pub(super) async fn singles(parts: &Parts, job: &Job, grid: &Image) -> Vec<Image> {
    match cut(parts, grid).await {
        Ok(files) => keep(parts, job, grid, files).await,
        Err(error) => {
            warn!(%error, job = %job.id, "the grid could not be cut into its pictures");
            Vec::new()
        }
    }
}

/// Four files without loss, in reading order, and the size of each picture.
async fn cut(parts: &Parts, grid: &Image) -> Result<Vec<(Vec<u8>, (u32, u32))>, RasterError> {
    if !grid.media_type.is_picture() {
        return Ok(Vec::new());
    }
    let body = parts.images.read(&grid.key, None).await;
    let bytes = match body {
        Ok(body) => read_whole(body, grid.bytes)
            .await
            .map_err(|error| RasterError::Unreadable(error.to_string()))?,
        Err(error) => return Err(RasterError::Unreadable(error.to_string())),
    };
    beside(move || {
        let grid = Raster::decode(&bytes)?;
        (1..=4)
            .map(|index| {
                let quarter = grid.quarter(index);
                Ok((quarter.encode(Encoding::Png)?, quarter.size()))
            })
            .collect()
    })
    .await
}

async fn keep(parts: &Parts, job: &Job, grid: &Image, files: Vec<(Vec<u8>, (u32, u32))>) -> Vec<Image> {
    let mut images = Vec::new();
    for (index, (file, size)) in (1..).zip(files) {
        let remote = RemoteImage::new(grid.source_url.as_str(), ImageKind::Single, index);
        let sniffed = Sniffed {
            media_type: MediaType::Png,
            size: Some(size),
        };
        let body = Box::pin(stream::iter([Ok(Bytes::from(file))]));
        match download::store(parts, job, &remote, sniffed, body).await {
            Ok(image) => images.push(image),
            Err(error) => {
                warn!(error = %Chain(&error), job = %job.id, index, "a picture cut from a grid was not stored");
            }
        }
    }
    images
}
