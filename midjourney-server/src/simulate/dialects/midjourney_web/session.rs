//! The session: a pair of tokens, renewed at Google's secure-token service, shown in two cookies.
//!
//! "Two refreshes at once can kill a rotated token": here they always do. How a refusal to renew is worded is Google's
//! documentation, not that of anybody who uses it for this service.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use midjourney_core::clock::Timestamp;
use serde_json::json;

/// Who is signed in, whatever the tokens.
pub(super) const USER: &str = "5151c0de-0000-4000-8000-000000000001";

/// How long an id token lasts ("about 1 hour").
pub(super) const LASTS: Duration = Duration::from_secs(3_600);

const ID: &str = "__Host-Midjourney.AuthUserTokenV3_i=";
const REFRESH: &str = "__Host-Midjourney.AuthUserTokenV3_r=";

/// The tokens that a renewal gives.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) id: String,
    pub(super) refresh: String,
}

/// The sessions of one imitation. The key that callers must show is the first refresh token.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    renewals: u64,
    /// The refresh token that the last renewal gave.
    live: Option<String>,
    /// Those that renew nothing any more.
    spent: HashSet<String>,
    /// Id tokens, and until when each is good.
    issued: Vec<(String, Timestamp)>,
    /// The cookies that were shown last.
    shown: String,
}

impl Sessions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// New tokens for `refresh`, which is spent by that. One that is spent already ends the session.
    pub(super) fn renew(&self, key: Option<&str>, refresh: &str, now: Timestamp) -> Option<Tokens> {
        let mut state = self.state();
        if state.spent.contains(refresh) {
            let ended = state.live.take();
            state.spent.extend(ended);
            return None;
        }
        let known = key.is_none_or(|key| state.live.as_deref().unwrap_or(key) == refresh);
        if refresh.is_empty() || !known {
            return None;
        }
        state.spent.insert(refresh.to_owned());
        state.renewals += 1;
        let until = now.saturating_add(LASTS);
        // Both end with the key, so that it is told wherever one of them is.
        let mark = key.unwrap_or("simulated");
        let claims = json!({"sub": USER, "exp": until.as_millis() / 1_000, "jti": state.renewals});
        let tokens = Tokens {
            id: format!("e30.{}.{mark}", URL_SAFE_NO_PAD.encode(claims.to_string())),
            refresh: format!("{}.{mark}", state.renewals),
        };
        state.live = Some(tokens.refresh.clone());
        state.issued.retain(|(_, until)| now < *until);
        state.issued.push((tokens.id.clone(), until));
        Some(tokens)
    }

    /// Whether the cookies show somebody who is signed in.
    pub(super) fn admits(&self, key: Option<&str>, headers: &HeaderMap, now: Timestamp) -> bool {
        let cookies = headers.get(header::COOKIE).and_then(|shown| shown.to_str().ok());
        let cookies = cookies.unwrap_or_default();
        let find = |name: &str| cookies.split("; ").find_map(|cookie| cookie.strip_prefix(name));
        let mut state = self.state();
        cookies.clone_into(&mut state.shown);
        match (find(ID), find(REFRESH)) {
            (Some(id), Some(refresh)) if !refresh.is_empty() => key.is_none() || state.knows(id, now),
            _ => false,
        }
    }

    /// Whether `id` is an id token that is still good.
    pub(super) fn knows(&self, key: Option<&str>, id: &str, now: Timestamp) -> bool {
        key.is_none() || self.state().knows(id, now)
    }

    pub(super) fn shown(&self) -> String {
        self.state().shown.clone()
    }
}

impl State {
    fn knows(&self, id: &str, now: Timestamp) -> bool {
        let mut issued = self.issued.iter();
        issued.any(|(known, until)| known == id && now < *until)
    }
}
