//! Hands out pictures in other sizes and formats, and with a description inside.

use bytes::Bytes;

use super::Gateway;
use crate::{
    error::{Error, ErrorKind},
    id::ImageId,
    image::{
        Image, MediaType,
        provenance::Provenance,
        raster::{RasterError, beside, hold},
        rendition::Rendition,
    },
    prompt::Prompt,
};

/// A picture as it was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rendered {
    /// What is known about the original.
    pub image: Image,
    /// What kind of file this is.
    pub media_type: MediaType,
    /// The file.
    pub bytes: Bytes,
}

impl Gateway {
    /// A picture in another size or format, or as it is where that meets the wish already.
    ///
    /// Pictures are unpacked two at a time within 128 MiB each, and eight are held at most while they wait for it; what was
    /// made is remembered, 64 MiB of it.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Invalid`] for videos, and for pictures that cannot be unpacked.
    pub async fn rendition(&self, id: ImageId, wanted: &Rendition) -> Result<Rendered, Error> {
        let image = self.image(id).await?;
        if wanted.is_met_by(image.media_type, image.size) {
            let _hold = hold().await;
            return Ok(Rendered {
                bytes: self.picture_bytes(id).await?.into(),
                media_type: image.media_type,
                image,
            });
        }
        let encoding = wanted.encoding_of(image.media_type).ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "a video has no other sizes or formats; get it as it is",
            )
        })?;
        let make = async {
            let _hold = hold().await;
            let original = self.picture_bytes(id).await?;
            let wanted = *wanted;
            Ok::<_, Error>(beside(move || wanted.render(&original, encoding)).await?)
        };
        let bytes = self.renditions.get(image.digest, *wanted, encoding, make).await?;
        Ok(Rendered {
            media_type: encoding.media_type(),
            bytes,
            image,
        })
    }

    /// The same file with its prompt and where it comes from written into it, for whoever meets it elsewhere. Its pixels
    /// stay as they are.
    ///
    /// **Errors:** [`ErrorKind::Invalid`] where files of this kind cannot carry it; as for [`job`](Gateway::job).
    pub async fn described(&self, rendered: Rendered) -> Result<Rendered, Error> {
        let job = self.job(rendered.image.job).await?;
        let mut provenance = Provenance::new(job.id, &*job.request.prompt, rendered.image.created);
        let prompt = Prompt::parse(&job.request.prompt);
        provenance.version = prompt
            .params()
            .find(|param| matches!(param.name, "v" | "version" | "niji"))
            .map(|param| match param.name {
                "niji" => format!("niji {}", param.value),
                _ => param.value.to_owned(),
            });
        provenance.simulated = self.capabilities(&job).simulated;
        let _hold = hold().await;
        let file = rendered.bytes;
        let bytes = beside(move || provenance.embed(file.into())).await?;
        Ok(Rendered {
            bytes: bytes.into(),
            ..rendered
        })
    }
}

impl From<RasterError> for Error {
    fn from(error: RasterError) -> Self {
        match &error {
            RasterError::Broken => Self::new(ErrorKind::Internal, "the picture could not be worked on"),
            other => Self::new(ErrorKind::Invalid, format!("{other}; get it as it is")),
        }
        .with_source(error)
    }
}
