//! Pictures as arguments: one of ours, a link, the file itself, or where it is on this machine.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use midjourney_core::{
    id::{JobId, UploadId},
    image::sniff,
};

use crate::result::parse_image_uri;

/// The most characters of one: a whole file in base64 and what stands before it.
pub(super) const MAX_PICTURE: usize = 28_000_000;

/// What every picture is told to be where it is none of them.
const EXPECTED: &str = "expected mj://jobs/{job_id}/images/{index}, an https link, the file as a data: URL or base64, or \
                        its absolute path";

/// A picture that a caller names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// The argument it was given as: `image`, `images/1`.
    pub(crate) place: String,
    pub(crate) from: Origin,
}

/// Where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A picture of a finished job; 0 is the grid.
    Ours(JobId, u8),
    /// It was brought along before.
    Upload(UploadId),
    /// It is on the web.
    Link(String),
    /// The file itself.
    Bytes(Vec<u8>),
    /// A file on this machine.
    File(PathBuf),
}

impl Origin {
    /// Reads what a caller wrote. A bare base64 text is told from a path by being a picture.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        match scheme {
            "mj" => {
                let (job, index) = parse_image_uri(text)
                    .ok_or("expected mj://jobs/{job_id}/images/{index}, as results name their pictures")?;
                return Ok(Self::Ours(job, index));
            }
            "https" | "http" => return Ok(Self::Link(text.to_owned())),
            "data" => {
                let (kind, data) = rest.split_once(',').unwrap_or_default();
                let bytes = decode(data).filter(|_| kind.ends_with(";base64"));
                return bytes
                    .map(Self::Bytes)
                    .ok_or_else(|| "expected data:image/png;base64, and the file in base64".to_owned());
            }
            "file" => return Err("give the absolute path itself, without file://".to_owned()),
            _ => {}
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Upload(id));
        }
        if let Some(bytes) = decode(text).filter(|bytes| sniff(bytes).is_some()) {
            return Ok(Self::Bytes(bytes));
        }
        let path = PathBuf::from(text);
        if path.is_absolute() {
            Ok(Self::File(path))
        } else {
            Err(EXPECTED.to_owned())
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use midjourney_core::testing::tiny_png;

    use super::*;

    #[test]
    fn each_way_to_name_a_picture_is_told_by_its_form() {
        let job = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2";
        let id: JobId = job.parse().unwrap();
        let png = tiny_png(1).to_vec();
        let base64 = STANDARD.encode(&png);
        // Base64 of a JPEG begins like a path.
        let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01".to_vec();
        assert!(STANDARD.encode(&jpeg).starts_with("/9j/"));
        for (text, origin) in [
            (format!("mj://jobs/{job}/images/2"), Origin::Ours(id, 2)),
            (
                "https://a.example/b.png".to_owned(),
                Origin::Link("https://a.example/b.png".to_owned()),
            ),
            (
                format!("data:image/png;base64,{base64}"),
                Origin::Bytes(png.clone()),
            ),
            (
                format!(" {}\n{} ", &base64[..8], &base64[8..]),
                Origin::Bytes(png),
            ),
            (STANDARD.encode(&jpeg), Origin::Bytes(jpeg)),
            ("/home/me/fox".to_owned(), Origin::File("/home/me/fox".into())),
        ] {
            assert_eq!(Origin::read(&text), Ok(origin), "{text}");
        }
        for (text, part) in [
            (job.to_owned(), "mj://jobs/"),
            (format!("mj://jobs/{job}"), "images/{index}"),
            ("fox.png".to_owned(), "absolute path"),
            ("../fox.png".to_owned(), "absolute path"),
            ("file:///home/me/fox.png".to_owned(), "without file://"),
            ("data:image/png,abc".to_owned(), "base64"),
            ("data:image/png;base64,a!".to_owned(), "base64"),
            (String::new(), "expected"),
        ] {
            let said = Origin::read(&text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
