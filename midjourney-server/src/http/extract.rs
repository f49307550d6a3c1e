//! What handlers take from a request. Whatever is wrong becomes a [`Problem`] that names the place.

use std::{borrow::Cow, str::FromStr, time::Duration};

use axum::{
    RequestPartsExt as _,
    body::{Body, HttpBody as _},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use midjourney_core::{
    image::rendition::MAX_SIDE,
    job::{Action, IdempotencyKey},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_path_to_error::{Path as FieldPath, Segment};

use super::problem::{self, Part, Problem};

/// The longest body that is read.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

/// How much of a body that is too long is read and thrown away, so that the client hears the answer rather than a
/// broken connection.
const BODY_DRAIN: usize = 64 * 1024 * 1024;

/// How long a body may take from its first byte to its last.
pub(super) const BODY_TIME: Duration = Duration::from_secs(30);

/// The longest wait that `Prefer: wait` can ask for.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A JSON object as the body.
#[derive(Debug)]
pub(super) struct ApiJson<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_object(request, BODY_LIMIT, BODY_TIME).await.map(Self)
    }
}

/// Reads a JSON object of up to `limit` bytes that arrives within `time`.
pub(super) async fn read_object<T: DeserializeOwned>(
    request: Request,
    limit: usize,
    time: Duration,
) -> Result<T, Problem> {
    expect_json(request.headers())?;
    // A client that asks before it sends is answered before it has sent.
    let asks = request.headers().contains_key(header::EXPECT);
    let drain = if asks { limit } else { BODY_DRAIN };
    let body = read_body(request.into_body(), limit, drain, time).await?;
    parse_object(&body)
}

fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |name: HeaderName, detail: String| {
        Err(Problem::at(
            &problem::MEDIA,
            Part::Header,
            format!("/{name}"),
            detail,
        ))
    };
    let expected = "expected application/json";
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return refuse(header::CONTENT_TYPE, format!("{expected}, but there is none"));
    };
    let essence = kind
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return refuse(header::CONTENT_TYPE, format!("{expected}, not {essence:?}"));
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => refuse(
            header::CONTENT_ENCODING,
            format!("send the body plain, not {coding:?}"),
        ),
        _ => Ok(()),
    }
}

/// Reads a body of up to `limit` bytes; throws a longer one away, up to `drain` bytes of it.
pub(super) async fn read_body(
    body: Body,
    limit: usize,
    drain: usize,
    time: Duration,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!(
            "a body may have {limit} bytes ({} MiB) at most",
            limit / 1024 / 1024
        );
        Problem::new(&problem::TOO_LARGE, detail)
    };
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > drain {
        return Err(too_large());
    }
    let reading = async {
        let mut stream = body.into_data_stream();
        // What a client only claims to send takes no room.
        let mut whole = Some(Vec::with_capacity(expected.min(16 * 1024)));
        let mut read = 0_usize;
        while let Some(chunk) = stream.next().await {
            let chunk =
                chunk.map_err(|_| Problem::new(&problem::MALFORMED, "the body broke off before its end"))?;
            read = read.saturating_add(chunk.len());
            if read > drain {
                return Err(too_large());
            }
            if read > limit {
                whole = None;
            }
            if let Some(whole) = &mut whole {
                whole.extend_from_slice(&chunk);
            }
        }
        whole.map(Bytes::from).ok_or_else(too_large)
    };
    tokio::time::timeout(time, reading).await.unwrap_or_else(|_| {
        let detail = format!("the whole body must arrive within {} s", time.as_secs());
        Err(Problem::new(&problem::TIMEOUT, detail))
    })
}

/// Reads a JSON object; a fault is told with its place.
pub(super) fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let broken = |detail: String| Problem::at(&problem::MALFORMED, Part::Body, "", detail);
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => return Err(broken("the body is empty; expected a JSON object".to_owned())),
        // Rust structures can be read from arrays too; the interface has objects only.
        Some(b'[') => {
            return Err(match serde_json::from_slice::<IgnoredAny>(body) {
                Ok(_) => Problem::at(
                    &problem::INVALID,
                    Part::Body,
                    "",
                    "expected a JSON object, not an array",
                ),
                Err(error) => broken(format!("broken JSON: {error}")),
            });
        }
        Some(_) => {}
    }
    // Keeping track of the place in the body costs something, and matters only where there is a fault to be told.
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            return Problem::at(&problem::INVALID, Part::Body, pointer, inner.to_string());
        }
        // The parser calls a number in the place of a word a syntax error too.
        let detail = inner.to_string();
        if detail.starts_with("expected value") && is_json(body) {
            let detail = "the value is of the wrong type; /openapi.json tells which it takes";
            return Problem::at(&problem::INVALID, Part::Body, pointer, detail);
        }
        broken(format!("broken JSON: {detail}"))
    })?;
    reader
        .end()
        .map_err(|error| broken(format!("broken JSON: {error}")))?;
    Ok(value)
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// The place as a JSON pointer (RFC 6901).
fn pointer(path: &FieldPath) -> String {
    let mut pointer = String::new();
    for segment in path {
        let token: Cow<'_, str> = match segment {
            Segment::Seq { index } => index.to_string().into(),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                key.replace('~', "~0").replace('/', "~1").into()
            }
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

/// The query as a struct.
#[derive(Debug)]
pub(super) struct ApiQuery<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_pairs(query);
        serde_path_to_error::deserialize(pairs)
            .map(Self)
            .map_err(|error| {
                let pointer = pointer(error.path());
                Problem::at(
                    &problem::MALFORMED,
                    Part::Query,
                    pointer,
                    error.into_inner().to_string(),
                )
            })
    }
}

fn form_pairs(query: &str) -> serde_urlencoded::Deserializer<'_> {
    serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()))
}

/// How many rows to give; longer wishes are cut to the most there can be.
pub(super) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<usize>() {
        Ok(number) if number > 0 && all_digits => Ok(Some(number)),
        // Digits that no integer holds are a large wish.
        Err(_) if all_digits => Ok(Some(usize::MAX)),
        _ => Err(serde::de::Error::custom(format!(
            "expected a whole number from 1 to 200, not {text:?}"
        ))),
    }
}

/// What made a picture.
pub(super) fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Action>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    Action::named(&text).map(Some).ok_or_else(|| {
        let mut names: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        names.dedup();
        let names = names.join(", ");
        serde::de::Error::custom(format!("expected one of {names}, not {text:?}"))
    })
}

/// The side of a picture, in pixels.
pub(super) fn side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let side = text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    side.map(Some).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "expected a number of pixels from 1 to {MAX_SIDE}, not {text:?}"
        ))
    })
}

/// The number of an event.
pub(super) fn sequence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let number = text.parse().ok().filter(|_| !text.starts_with('+'));
    number
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("expected the number of an event, a whole number"))
}

/// Which picture of a job.
pub(super) fn index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
    number
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("expected a whole number from 1 to 4"))
}

/// The id in the path.
#[derive(Debug)]
pub(super) struct ApiPath<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for ApiPath<T>
where
    S: Send + Sync,
    T: FromStr<Err: std::fmt::Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Text that is no UTF-8 behind its percent signs is no id either.
        let text = parts
            .extract::<Path<String>>()
            .await
            .map(|Path(text)| text)
            .unwrap_or_default();
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| Problem::at(&problem::NOT_FOUND, Part::Path, "/id", error.to_string()))
    }
}

/// The one value of a header; several are a mistake.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let wrong = |detail: &str| Problem::at(&problem::MALFORMED, Part::Header, format!("/{name}"), detail);
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(wrong("expected it once"));
    }
    first
        .map(|value| {
            value
                .to_str()
                .map_err(|_| wrong("expected visible ASCII characters"))
        })
        .transpose()
}

/// The header `Idempotency-Key`.
#[derive(Debug)]
pub(super) struct ApiKey(pub(super) Option<IdempotencyKey>);

impl<S: Sync> FromRequestParts<S> for ApiKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = only(&parts.headers, "idempotency-key")?
            .map(IdempotencyKey::new)
            .transpose();
        key.map(Self).map_err(|error| {
            Problem::at(
                &problem::MALFORMED,
                Part::Header,
                "/idempotency-key",
                error.to_string(),
            )
        })
    }
}

/// How long to wait for jobs to be over: the header `Prefer: wait=N` (RFC 7240), at most a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Patience(pub(super) Option<Duration>);

impl<S: Sync> FromRequestParts<S> for Patience {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut patience = None;
        for value in parts.headers.get_all("prefer") {
            // Preferences that are not known are left alone, as the RFC has it.
            for preference in value.to_str().unwrap_or_default().split([',', ';']) {
                let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
                if !name.trim().eq_ignore_ascii_case("wait") || patience.is_some() {
                    continue;
                }
                let seconds = value.trim().trim_matches('"').parse::<u32>().map_err(|_| {
                    let detail = "expected wait=N, with N in whole seconds, 60 at most";
                    Problem::at(&problem::MALFORMED, Part::Header, "/prefer", detail)
                })?;
                patience = Some(Duration::from_secs(seconds.into()).min(LONGEST_WAIT));
            }
        }
        Ok(Self(patience))
    }
}

/// The last event that a reconnecting reader has seen: the header `Last-Event-ID`.
#[derive(Debug)]
pub(super) struct LastEvent(pub(super) Option<u64>);

impl<S: Sync> FromRequestParts<S> for LastEvent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let number = only(&parts.headers, "last-event-id")?.filter(|text| !text.is_empty());
        let number = number.map(str::parse).transpose().map_err(|_| {
            let detail = "expected the `id` of an event: a whole number";
            Problem::at(&problem::MALFORMED, Part::Header, "/last-event-id", detail)
        });
        number.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only read into")]
        prompt: String,
        #[expect(dead_code, reason = "only read into")]
        nested: Option<Nested>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nested {
        #[expect(dead_code, reason = "only read into")]
        index: Vec<u8>,
    }

    fn fault(body: &str) -> String {
        format!("{:?}", parse_object::<Sample>(body.as_bytes()).unwrap_err())
    }

    #[test]
    fn a_wrong_body_is_told_with_its_place() {
        for (body, place, text) in [
            ("", "pointer: \"\"", "the body is empty"),
            ("{\"prompt\": \"a", "pointer: \"\"", "line 1 column 13"),
            ("{\"prompt\": 3}", "pointer: \"/prompt\"", "expected a string"),
            (
                "{\"prompt\": \"a\", \"promt\": 1}",
                "promt",
                "expected `prompt` or `nested`",
            ),
            (
                "{\"prompt\": \"a\", \"nested\": {\"index\": [1, 300]}}",
                "pointer: \"/nested/index/1\"",
                "u8",
            ),
            ("{\"prompt\": \"a\"} x", "pointer: \"\"", "trailing characters"),
            ("[\"a\"]", "pointer: \"\"", "not an array"),
            ("{\"prompt\": \"a\", \"prompt\": \"b\"}", "", "duplicate field"),
        ] {
            let fault = fault(body);
            assert!(fault.contains(place) && fault.contains(text), "{body} -> {fault}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(fault(&deep).contains("not an array"));
        assert!(fault(&"[".repeat(100_000)).contains("broken JSON"));
        assert!(fault(&format!("{{\"prompt\": {deep}}}")).contains("expected a string"));
    }
}
