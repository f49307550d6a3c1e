//! Where a picture comes from, written into its file: for whoever meets the file without our database.
//!
//! As XMP (ISO 16684-1), which picture tools read from all three kinds of file. The properties are those of the IPTC Photo
//! Metadata Standard 2025.1 for pictures made by a model; PNG files also get the `Description` that Midjourney's own have.

use img_parts::{
    Bytes, DynImage,
    jpeg::{JpegSegment, markers},
    png::PngChunk,
    riff::{RiffChunk, RiffContent},
};

use super::raster::RasterError;
use crate::{clock::Timestamp, id::JobId};

/// The longest XMP packet that fits into one segment of a JPEG file, in bytes.
const MOST_XMP: usize = 65_000;

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provenance {
    /// The job that made it.
    pub job: JobId,
    /// What it was drawn from.
    pub prompt: String,
    /// The model's version, where the prompt says it.
    pub version: Option<String>,
    /// Whether it was made up by the simulator.
    pub simulated: bool,
    /// When it was stored.
    pub created: Timestamp,
}

impl Provenance {
    /// A picture of `job`, drawn from `prompt`.
    pub fn new(job: JobId, prompt: impl Into<String>, created: Timestamp) -> Self {
        Self {
            job,
            prompt: prompt.into(),
            version: None,
            simulated: false,
            created,
        }
    }

    fn xmp(&self) -> String {
        let (system, source) = if self.simulated {
            ("Midjourney (simulated)", "algorithmicMedia")
        } else {
            ("Midjourney", "trainedAlgorithmicMedia")
        };
        let prompt = escaped(&self.prompt);
        let version = self.version.as_deref().map_or_else(String::new, |version| {
            let version = escaped(version);
            format!("<Iptc4xmpExt:AISystemVersionUsed>{version}</Iptc4xmpExt:AISystemVersionUsed>")
        });
        format!(
            "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
             <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
             <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
             <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
             xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" \
             xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\">\
             <dc:identifier>{job}</dc:identifier>\
             <dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">{prompt}</rdf:li></rdf:Alt></dc:description>\
             <xmp:CreateDate>{created}</xmp:CreateDate>\
             <xmp:CreatorTool>{system}</xmp:CreatorTool>\
             <Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/{source}\
             </Iptc4xmpExt:DigitalSourceType>\
             <Iptc4xmpExt:AISystemUsed>{system}</Iptc4xmpExt:AISystemUsed>{version}\
             <Iptc4xmpExt:AIPromptInformation>{prompt}</Iptc4xmpExt:AIPromptInformation>\
             </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>",
            job = self.job,
            created = self.created,
        )
    }

    /// The same file with this in it; its pixels stay as they are.
    ///
    /// **Errors:** where the file is no PNG, JPEG or WebP file, or is damaged.
    pub fn embed(&self, file: Vec<u8>) -> Result<Vec<u8>, RasterError> {
        let xmp = self.xmp();
        if xmp.len() > MOST_XMP {
            return Err(RasterError::Unwritable(
                "the prompt is too long for it".to_owned(),
            ));
        }
        let damaged = |error: img_parts::Error| RasterError::Unreadable(error.to_string());
        let size = super::sniff(&file).and_then(|sniffed| sniffed.size);
        let mut image = DynImage::from_bytes(Bytes::from(file))
            .map_err(damaged)?
            .ok_or_else(|| {
                RasterError::Unwritable("only PNG, JPEG and WebP files can carry a description".to_owned())
            })?;
        match &mut image {
            DynImage::Png(png) => {
                let chunks = png.chunks_mut();
                // Behind the header, which must come first.
                let at = chunks.len().min(1);
                chunks.insert(at, international_text("Description", &self.prompt));
                chunks.insert(at, international_text("XML:com.adobe.xmp", &xmp));
            }
            DynImage::Jpeg(jpeg) => {
                let segments = jpeg.segments_mut();
                let jfif = segments
                    .iter()
                    .take_while(|segment| matches!(segment.marker(), markers::APP0 | markers::APP1))
                    .count();
                let contents = [&b"http://ns.adobe.com/xap/1.0/\0"[..], xmp.as_bytes()].concat();
                segments.insert(
                    jfif,
                    JpegSegment::new_with_contents(markers::APP1, Bytes::from(contents)),
                );
            }
            DynImage::WebP(webp) => {
                let chunks = webp.chunks_mut();
                extended(chunks, size)?;
                chunks.push(chunk(*b"XMP ", xmp.into_bytes()));
            }
        }
        Ok(image.encoder().bytes().to_vec())
    }
}

/// A text of a PNG file in UTF-8 (ISO 15948, `iTXt`): neither compressed nor translated.
fn international_text(keyword: &str, text: &str) -> PngChunk {
    let contents = [keyword.as_bytes(), b"\0\0\0\0\0", text.as_bytes()].concat();
    PngChunk::new(*b"iTXt", Bytes::from(contents))
}

/// Sees to it that a WebP file has the header that announces more than pixels (RFC 9649, `VP8X`), with the mark for XMP.
fn extended(chunks: &mut Vec<RiffChunk>, size: Option<(u32, u32)>) -> Result<(), RasterError> {
    const XMP: u8 = 0b0000_0100;
    const ALPHA: u8 = 0b0001_0000;
    let header = chunks.iter().find(|chunk| chunk.id() == *b"VP8X");
    let contents = if let Some(RiffContent::Data(contents)) = header.map(RiffChunk::content) {
        let mut contents = contents.to_vec();
        if let Some(flags) = contents.first_mut() {
            *flags |= XMP;
        }
        contents
    } else {
        let (width, height) =
            size.ok_or_else(|| RasterError::Unreadable("the file does not tell its size".to_owned()))?;
        let [w0, w1, w2, _] = width.saturating_sub(1).to_le_bytes();
        let [h0, h1, h2, _] = height.saturating_sub(1).to_le_bytes();
        // Lossless pixels may have alpha; the mark is a hint there.
        let lossless = chunks.iter().any(|chunk| chunk.id() == *b"VP8L");
        let flags = if lossless { XMP | ALPHA } else { XMP };
        vec![flags, 0, 0, 0, w0, w1, w2, h0, h1, h2]
    };
    chunks.retain(|chunk| chunk.id() != *b"VP8X" && chunk.id() != *b"XMP ");
    chunks.insert(0, chunk(*b"VP8X", contents));
    Ok(())
}

fn chunk(id: [u8; 4], contents: Vec<u8>) -> RiffChunk {
    RiffChunk::new(id, RiffContent::Data(Bytes::from(contents)))
}

/// The text as XML has it, without the characters that XML cannot have.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::{
        raster::{Encoding, Raster},
        sniff,
    };
    use super::*;

    fn provenance() -> Provenance {
        let at = Timestamp::from_millis(1_790_000_000_000);
        let job = JobId::new(at, &crate::clock::OsEntropy);
        let mut provenance = Provenance::new(job, "a <red> fox & \"friends\" 狐\u{7} --v 7", at);
        provenance.version = Some("7".to_owned());
        provenance
    }

    fn picture(encoding: Encoding) -> Vec<u8> {
        let pixels = Raster::sheet(&[]).unwrap();
        pixels.encode(encoding).unwrap()
    }

    #[test]
    fn each_kind_of_file_carries_it_and_still_shows_the_same() {
        for encoding in [Encoding::Png, Encoding::Jpeg, Encoding::WebP] {
            let before = picture(encoding);
            let after = provenance().embed(before.clone()).unwrap();
            assert_eq!(sniff(&after), sniff(&before), "{encoding:?}");
            assert_eq!(
                Raster::decode(&after).unwrap().encode(Encoding::Png).unwrap(),
                Raster::decode(&before).unwrap().encode(Encoding::Png).unwrap()
            );
            let text = String::from_utf8_lossy(&after);
            for part in [
                "a &lt;red&gt; fox &amp; &quot;friends&quot; 狐 --v 7",
                "trainedAlgorithmicMedia",
                "<Iptc4xmpExt:AISystemVersionUsed>7<",
            ] {
                assert!(text.contains(part), "{encoding:?}: {part}");
            }
            assert!(after.len() < before.len() + 3_000);
        }
    }

    #[test]
    fn a_simulated_picture_says_so() {
        let mut simulated = provenance();
        simulated.simulated = true;
        let file = simulated.embed(picture(Encoding::Png)).unwrap();
        let text = String::from_utf8_lossy(&file);
        assert!(text.contains("Midjourney (simulated)") && !text.contains("trainedAlgorithmicMedia"));
    }

    #[test]
    fn writing_it_twice_is_fine() {
        for encoding in [Encoding::Png, Encoding::Jpeg, Encoding::WebP] {
            let once = provenance().embed(picture(encoding)).unwrap();
            let twice = provenance().embed(once).unwrap();
            Raster::decode(&twice).unwrap();
        }
    }

    #[test]
    fn other_files_are_refused() {
        for file in [
            &b"GIF89a\x02\0\x03\0\0\0\0;"[..],
            b"",
            b"\0\0\0\x10ftypisom\0\0\x02\0",
            b"<svg/>",
        ] {
            provenance().embed(file.to_vec()).unwrap_err();
        }
    }
}
