//! Which line of the family answers: as it is set, or as its answers tell.

use std::sync::{Arc, OnceLock};

use super::wire::Refused;
use crate::client::http::{Loose, Reply};

/// Which line of the family answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// Told from what the gateway answers. The key goes into both of the common headers until a refusal tells that it
    /// is looked for elsewhere.
    #[default]
    Auto,
    /// The original.
    Java,
    /// midjourney-proxy-plus.
    Plus,
    /// The C# line.
    TrueAi,
    /// new-api and the resellers that run it.
    NewApi,
}

/// The line behind one client and its copies.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    set: Dialect,
    learnt: Arc<OnceLock<Dialect>>,
}

impl Line {
    pub(super) fn of(set: Dialect) -> Self {
        Self {
            set,
            learnt: Arc::default(),
        }
    }

    /// The line, as far as it is known.
    pub(super) fn dialect(&self) -> Dialect {
        match self.set {
            Dialect::Auto => self.learnt.get().copied().unwrap_or_default(),
            set => set,
        }
    }

    /// Learns from the answer to a request that was made as `asked`. Tells whether it was refused only because of how
    /// it was made, so that it may pass when it is made again.
    pub(super) fn hear(&self, asked: Dialect, reply: &Reply<'_>) -> bool {
        let heard = match (self.set, asked) {
            (Dialect::Auto, Dialect::Auto) => told_by(reply),
            _ => None,
        };
        let Some(heard) = heard else {
            return false;
        };
        self.learnt.get_or_init(|| heard) == &Dialect::TrueAi
    }
}

/// The line that refuses so. Only refusals count: what a gateway accepts may come through from another one behind it.
fn told_by(reply: &Reply<'_>) -> Option<Dialect> {
    let says = |words: &str| {
        reply
            .body
            .windows(words.len())
            .any(|part| part == words.as_bytes())
    };
    match reply.status {
        // It reads `Authorization` as it is and knows no `Bearer` ("Base, auth, transport" of the wire facts).
        401 if says("Authorization header missing") => Some(Dialect::TrueAi),
        403 if says("未登录") => Some(Dialect::TrueAi),
        // "Own errors: HTTP 400 with `description`, `type`, `code`": no other line has a `type`.
        400 => {
            let Loose(refused) = serde_json::from_slice::<Loose<Refused>>(reply.body).ok()?;
            let own = refused.code.as_str() == "4" && !refused.kind.as_str().is_empty();
            own.then_some(Dialect::NewApi)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn reply(status: u16, body: &str) -> Reply<'_> {
        Reply {
            status,
            body: body.as_bytes(),
            retry_after: None,
            now: Timestamp::default(),
            secrets: &[],
        }
    }

    #[test]
    fn lines_are_told_apart_row_by_row() {
        let own = r#"{"description":"quota_not_enough","type":"upstream_error","code":4}"#;
        for (status, body, told) in [
            (401, "Authorization header missing.", Some(Dialect::TrueAi)),
            (403, "未登录", Some(Dialect::TrueAi)),
            (403, "\"未登录\"", Some(Dialect::TrueAi)),
            (400, own, Some(Dialect::NewApi)),
            // A key that is refused for what it is.
            (403, "账号不可用", None),
            (401, "", None),
            (401, "未登录", None),
            (200, "未登录", None),
            (200, own, None),
            (400, r#"{"description":"x","code":4}"#, None),
            (
                400,
                r#"{"description":"x","type":"upstream_error","code":1}"#,
                None,
            ),
            (400, "<html>", None),
            (403, "<html>Forbidden</html>", None),
        ] {
            assert_eq!(told_by(&reply(status, body)), told, "{status} {body}");
        }
    }

    #[test]
    fn what_was_learnt_stays_and_what_is_set_is_not_learnt() {
        let refused = reply(403, "未登录");
        let line = Line::default();
        let copy = line.clone();
        assert!(line.hear(Dialect::Auto, &refused));
        assert_eq!(copy.dialect(), Dialect::TrueAi, "copies know it too");
        // Two requests may have been on their way at once; both may be made again.
        assert!(copy.hear(Dialect::Auto, &refused));
        // Made the right way, the refusal is meant.
        assert!(!line.hear(Dialect::TrueAi, &refused));

        let set = Line::of(Dialect::Plus);
        assert!(!set.hear(Dialect::Plus, &refused));
        assert_eq!(set.dialect(), Dialect::Plus);

        let reseller = Line::default();
        let own = r#"{"description":"quota_not_enough","type":"upstream_error","code":4}"#;
        assert!(!reseller.hear(Dialect::Auto, &reply(400, own)), "meant as it is");
        assert_eq!(reseller.dialect(), Dialect::NewApi);
    }
}
