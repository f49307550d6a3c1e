//! How requests are read: errors have this face's own form, and are HTTP 200 as all answers to submits are.

use std::{convert::Infallible, time::Duration};

use axum::{
    RequestPartsExt as _,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use midjourney_core::job::Echo;
use serde::de::DeserializeOwned;
use url::Url;

use super::wire::Answer;
use crate::http::{App, extract};

/// The longest body: 8 MiB of pictures in base64, and what stands around them.
const BODY_LIMIT: usize = 12 * 1024 * 1024;

/// The longest text of the caller's own, in characters.
const STATE_LIMIT: usize = 255;

/// The longest address to post to.
const HOOK_LIMIT: usize = 2_000;

/// How long a body of that size may take.
const BODY_TIME: Duration = Duration::from_secs(60);

/// A JSON object as the body.
pub(super) struct MjJson<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for MjJson<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        extract::read_object(request, BODY_LIMIT, BODY_TIME)
            .await
            .map(Self)
            .map_err(|problem| {
                let detail = problem.detail().trim_start_matches('/');
                let mut response = Answer::invalid(detail).into_response();
                if matches!(
                    problem.status(),
                    StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT
                ) {
                    // What is left of the body must not be read as the next request.
                    response
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                response
            })
    }
}

/// The id in the path. What is no text is no id either, and no id is an unknown one.
pub(super) struct MjPath(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for MjPath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let id = parts.extract::<Path<String>>().await;
        Ok(Self(id.map(|Path(id)| id).unwrap_or_default()))
    }
}

/// A field that must be there and say something.
pub(super) fn required(name: &str, text: Option<String>) -> Result<String, Answer> {
    said(text).ok_or_else(|| Answer::field(name, "expected a text that is not empty"))
}

/// A text that may be missing, and counts as missing where it says nothing.
pub(super) fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// What the caller wants to get back, where it is within its limits and the address may be called.
pub(super) fn echo(app: &App, state: Option<String>, hook: Option<String>) -> Result<Echo, Answer> {
    let given = |text: &String| !text.is_empty();
    let (state, hook) = (state.filter(given), hook.filter(given));
    if state
        .as_ref()
        .is_some_and(|state| state.chars().count() > STATE_LIMIT)
    {
        let detail = format!("expected {STATE_LIMIT} characters at most");
        return Err(Answer::field("state", &detail));
    }
    if let Some(hook) = &hook {
        check_hook(app, hook).map_err(|detail| Answer::field("notifyHook", &detail))?;
    }
    Ok(Echo::new(state, hook))
}

fn check_hook(app: &App, hook: &str) -> Result<(), String> {
    if hook.len() > HOOK_LIMIT {
        return Err(format!("expected {HOOK_LIMIT} characters at most"));
    }
    let url = Url::parse(hook).map_err(|_| "expected an http or https address".to_owned())?;
    app.notifier.allows(&url)
}
