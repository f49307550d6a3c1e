//! Bodies of forms with files (RFC 7578).

use std::borrow::Cow;

/// A body of `multipart/form-data`.
#[derive(Debug)]
pub(in crate::client) struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    /// A form whose parts are kept apart by `boundary`: letters and digits that occur in none of them.
    pub(in crate::client) fn new(boundary: &str) -> Self {
        Self {
            boundary: boundary.to_owned(),
            body: Vec::new(),
        }
    }

    /// The same form with a text. `name` needs no escapes.
    pub(in crate::client) fn text(mut self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), None, value.as_bytes());
        self
    }

    /// The same form with a file. `name` and `file_name` need no escapes.
    pub(in crate::client) fn file(mut self, name: &str, file_name: &str, mime: &str, bytes: &[u8]) -> Self {
        let named = format!("name=\"{name}\"; filename=\"{file_name}\"");
        self.part(&named, Some(mime), bytes);
        self
    }

    fn part(&mut self, named: &str, mime: Option<&str>, bytes: &[u8]) {
        let kind = mime
            .map(|mime| format!("Content-Type: {mime}\r\n"))
            .unwrap_or_default();
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; {named}\r\n{kind}\r\n",
            self.boundary
        );
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
    }

    /// The header that names its type, and the body.
    pub(in crate::client) fn finish(mut self) -> (Cow<'static, str>, Vec<u8>) {
        self.body
            .extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        let kind = format!("multipart/form-data; boundary={}", self.boundary);
        (Cow::Owned(kind), self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_spelled_as_the_standard_has_it() {
        let (kind, body) = Form::new("b0")
            .text("jobId", "1")
            .file("mask", "mask.png", "image/png", b"\x89PNG")
            .finish();
        assert_eq!(kind, "multipart/form-data; boundary=b0");
        let expected = b"--b0\r\nContent-Disposition: form-data; name=\"jobId\"\r\n\r\n1\r\n\
            --b0\r\nContent-Disposition: form-data; name=\"mask\"; filename=\"mask.png\"\r\n\
            Content-Type: image/png\r\n\r\n\x89PNG\r\n--b0--\r\n";
        assert_eq!(body, expected);
    }
}
