//! The pictures that a submission brings along, as upstreams want them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::allowed::unsupported;
use crate::{
    client::{InputPicture, Submission},
    job::Failure,
};

/// Where the upstream can get `picture`.
pub(in crate::client) fn link_of(picture: &InputPicture) -> Result<&str, Failure> {
    picture.url.as_deref().ok_or_else(|| {
        let message = "this upstream takes pictures as links only; give a link to the picture";
        unsupported(message)
    })
}

/// The bytes of `picture` in base64, without a data URL's head.
pub(in crate::client) fn base64_of(picture: &InputPicture) -> Result<String, Failure> {
    match &picture.file {
        Some((bytes, _)) => Ok(STANDARD.encode(bytes)),
        None => Err(unsupported(
            "this upstream takes this picture as a file only; upload it",
        )),
    }
}

/// The links of `images` before `text`, where Midjourney reads image prompts.
pub(in crate::client) fn with_images(images: &[InputPicture], text: &str) -> Result<String, Failure> {
    let mut words = images.iter().map(link_of).collect::<Result<Vec<_>, _>>()?;
    words.extend(Some(text).filter(|text| !text.is_empty()));
    Ok(words.join(" "))
}

/// The pictures of a blend, two to five.
pub(in crate::client) fn blended(submission: &Submission) -> Result<&[InputPicture], Failure> {
    match submission.images.len() {
        2..=5 => Ok(&submission.images),
        given => Err(unsupported(format!(
            "a blend is of two to five pictures, not of {given}"
        ))),
    }
}

/// The mask in base64, which must be there.
pub(in crate::client) fn mask_of(submission: &Submission) -> Result<String, Failure> {
    let Some(mask) = &submission.mask else {
        return Err(unsupported("an inpaint needs a mask"));
    };
    base64_of(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_prompts_come_first() {
        let images = [
            InputPicture::at("https://a/1.png"),
            InputPicture::at("https://a/2.png"),
        ];
        assert_eq!(
            with_images(&images, "a fox").unwrap(),
            "https://a/1.png https://a/2.png a fox"
        );
        assert_eq!(with_images(&[], "a fox").unwrap(), "a fox");
        assert!(with_images(&[InputPicture::default()], "a fox").is_err());
    }
}
