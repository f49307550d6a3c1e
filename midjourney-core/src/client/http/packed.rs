//! Results that came at once, as the id of a task that is over.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::job::{RemoteResult, UpstreamId};

/// What no id of the upstream begins with: a `/` is refused there.
const HEAD: &str = "texts/";

/// The longest id that is read. Texts are bounded before they are packed.
const MAX_ID: usize = 64 * 1024;

/// An id that holds `texts`.
pub(in crate::client) fn write(texts: &[String]) -> UpstreamId {
    // Writing plain texts into memory cannot fail.
    let json = serde_json::to_vec(texts).unwrap_or_default();
    UpstreamId::new(format!("{HEAD}{}", URL_SAFE_NO_PAD.encode(json)))
}

/// What an id holds; `None` for the ids of tasks.
pub(in crate::client) fn read(id: &UpstreamId) -> Option<RemoteResult> {
    let packed = id.as_str().strip_prefix(HEAD)?;
    if packed.len() > MAX_ID {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(packed).ok()?;
    let texts: Vec<String> = serde_json::from_slice(&json).ok()?;
    Some(RemoteResult::new(Vec::new()).with_texts(texts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::http::task_id;

    #[test]
    fn texts_survive_as_an_id_that_no_task_has() {
        let texts = vec!["a red fox --ar 3:2".to_owned(), "é \"\n".to_owned()];
        let id = write(&texts);
        assert_eq!(read(&id).unwrap().texts, texts);
        assert_eq!(task_id(id.as_str()), None);
        for other in ["", "texts", "texts/", "texts/!", "texts/e30", "aaaa-1"] {
            assert_eq!(read(&UpstreamId::new(other)), None, "{other}");
        }
        assert_eq!(
            read(&UpstreamId::new(format!("{HEAD}{}", "W".repeat(MAX_ID + 1)))),
            None
        );
    }
}
