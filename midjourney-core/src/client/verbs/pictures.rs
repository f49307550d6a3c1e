//! Pictures on their way in, as links, and on their way out, as results.

use crate::{
    client::{
        ClientError, InputPicture,
        http::{Text, web_link},
    },
    image::ImageKind,
    job::RemoteImage,
};

/// Where the upstream can get `picture`.
pub(in crate::client) fn link(picture: &InputPicture) -> Result<&str, ClientError> {
    picture.url.as_deref().ok_or_else(|| {
        ClientError::unsupported(
            "this upstream takes links only: give one, or set server.public_url so that uploads have links",
        )
    })
}

/// The videos among `files`; none where all are pictures. Those beside videos show how they begin.
pub(in crate::client) fn films(files: &[RemoteImage]) -> Vec<RemoteImage> {
    let film = |file: &&RemoteImage| {
        let path = file.url.split(['?', '#']).next().unwrap_or_default();
        path.to_ascii_lowercase().ends_with(".mp4")
    };
    files.iter().filter(film).cloned().collect()
}

/// Where the upstream can get each of `pictures`.
pub(in crate::client) fn links(pictures: &[InputPicture]) -> Result<Vec<&str>, ClientError> {
    pictures.iter().map(link).collect()
}

/// The first `most` of `links` as single pictures. A picture's number is its place, and those that moderation removed leave
/// their place empty.
pub(in crate::client) fn singles<'a>(
    links: impl IntoIterator<Item = &'a Text>,
    most: usize,
) -> Vec<RemoteImage> {
    let numbered = links.into_iter().take(most).zip(1..);
    numbered
        .filter_map(|(text, index)| {
            web_link(text.as_str()).map(|url| RemoteImage::new(url, ImageKind::Single, index))
        })
        .collect()
}
