//! What the fuzzers call, as ordinary functions. Each must return, whatever the bytes.
//!
//! `cargo +nightly fuzz run --features libfuzzer prompt` searches; `cargo test -p midjourney-fuzz` replays the corpora,
//! so that what was once found stays mended on every toolchain.

use std::sync::{Arc, LazyLock};

use midjourney_core::{
    client::{
        ClientError, HttpOptions, MidjourneyClient, acedata, apiframe,
        evolink::EvoLink,
        legnext::LegNext,
        midjourney_proxy::{self, MidjourneyProxy},
        midjourney_web, ttapi,
        youchuan::YouChuan,
    },
    clock::{SystemClock, Timestamp},
    config::Config,
    error::Applied,
    job::{IdempotencyKey, RemoteStatus, UpstreamId},
    key::KeyName,
    memory::MemoryKeys,
    net::{Outbound, OutboundOptions},
    page::Cursor,
    prompt::{self, CheckOptions, Prompt, Table},
};

/// Any text is a prompt: it parses, keeps every byte, checks, and its canonical form is stable.
///
/// # Panics
/// Where one of that does not hold.
pub fn prompt(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let table = Table::builtin();
    let parsed = Prompt::parse(text);
    assert_eq!(parsed.as_written(), text, "parsing lost something");
    let canonical = parsed.canonical(table);
    assert_eq!(
        Prompt::parse(&canonical).canonical(table),
        canonical,
        "the canonical form is not stable"
    );
    let report = prompt::check(text, table, &CheckOptions::default());
    if let Ok(valid) = report.into_valid()
        && let Ok(expanded) = valid.expand(40)
    {
        assert!(expanded.len() <= 40, "expansion is not bounded");
    }
}

/// Ids, cursors and keys from outside.
///
/// # Panics
/// Where a cursor does not survive its own text.
pub fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text, "a cursor has two spellings");
    }
    if let Ok(id) = text.parse::<midjourney_core::id::JobId>() {
        assert_eq!(id.to_string(), text, "an id has two spellings");
    }
    drop(IdempotencyKey::new(text));
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(
            time.to_string().parse(),
            Ok(time),
            "a time does not survive its own text"
        );
    }
    drop(text.parse::<midjourney_core::image::ImageKey>());
}

/// Any text as a configuration file.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = Config::from_yaml(text) {
        drop(error.to_string());
    }
}

/// Any bytes as a callback of `midjourney-proxy`.
pub fn callback(data: &[u8]) {
    static CLIENT: LazyLock<Option<MidjourneyProxy>> = LazyLock::new(|| options().map(MidjourneyProxy::new));
    read(CLIENT.as_ref(), data);
}

/// Any bytes as a callback of `LegNext`.
pub fn legnext(data: &[u8]) {
    static CLIENT: LazyLock<Option<LegNext>> = LazyLock::new(|| options().map(LegNext::new));
    read(CLIENT.as_ref(), data);
}

/// Any bytes as a callback of `YouChuan`.
pub fn youchuan(data: &[u8]) {
    static CLIENT: LazyLock<Option<YouChuan>> = LazyLock::new(|| options().map(YouChuan::new));
    read(CLIENT.as_ref(), data);
}

/// Any bytes as a callback of `EvoLink`.
pub fn evolink(data: &[u8]) {
    static CLIENT: LazyLock<Option<EvoLink>> = LazyLock::new(|| options().map(EvoLink::new));
    read(CLIENT.as_ref(), data);
}

fn read(client: Option<&impl MidjourneyClient>, data: &[u8]) {
    if let Some(client) = client {
        drop(client.parse_callback(data));
    }
}

/// Any bytes as an answer or a callback of `acedata`.
///
/// # Panics
/// Where an answer counts as what it cannot be.
pub fn acedata(data: &[u8]) {
    static CLIENT: LazyLock<Option<acedata::AceData>> =
        LazyLock::new(|| options().map(acedata::AceData::new));
    upstream(CLIENT.as_ref(), acedata::judge, data);
}

/// Any bytes as an answer or a callback of `apiframe`.
///
/// # Panics
/// Where an answer counts as what it cannot be.
pub fn apiframe(data: &[u8]) {
    static CLIENT: LazyLock<Option<apiframe::ApiFrame>> =
        LazyLock::new(|| options().map(apiframe::ApiFrame::new));
    upstream(CLIENT.as_ref(), apiframe::judge, data);
}

/// Any bytes as an answer or a callback of `ttapi`.
///
/// # Panics
/// Where an answer counts as what it cannot be.
pub fn ttapi(data: &[u8]) {
    static CLIENT: LazyLock<Option<ttapi::TtApi>> = LazyLock::new(|| options().map(ttapi::TtApi::new));
    upstream(CLIENT.as_ref(), ttapi::judge, data);
}

/// Any bytes as an answer or a callback of `midjourney-proxy`.
///
/// # Panics
/// Where an answer counts as what it cannot be.
pub fn proxy(data: &[u8]) {
    static CLIENT: LazyLock<Option<MidjourneyProxy>> = LazyLock::new(|| options().map(MidjourneyProxy::new));
    upstream(CLIENT.as_ref(), midjourney_proxy::judge, data);
}

/// Any bytes as an answer of `midjourney-web`, which does not call back.
///
/// # Panics
/// Where an answer counts as what it cannot be.
pub fn web(data: &[u8]) {
    upstream(None::<&MidjourneyProxy>, midjourney_web::judge, data);
}

/// What an answer means to a submit and to a question.
type Judge =
    fn(u16, &[u8], &UpstreamId) -> (Result<UpstreamId, ClientError>, Result<RemoteStatus, ClientError>);

/// `data` is a body, under each status that is read in a way of its own.
fn upstream(client: Option<&impl MidjourneyClient>, judge: Judge, data: &[u8]) {
    let id = UpstreamId::new("aaaa");
    for status in [200, 302, 307, 400, 401, 403, 404, 408, 429, 500, 503] {
        let (submitted, told) = judge(status, data, &id);
        match submitted {
            Ok(id) => {
                assert!(status < 300, "a refusal counts as accepted");
                assert!(!id.as_str().is_empty(), "an accepted task has no name");
            }
            Err(error) => assert!(
                status < 500 || error.applied == Applied::Maybe,
                "a breakdown counts as a refusal"
            ),
        }
        if let Ok(RemoteStatus::Succeeded(result)) = told {
            assert!(status < 300 && !result.is_empty(), "nothing counts as a result");
            assert!(result.images.len() <= 5, "results are not bounded");
        }
    }
    read(client, data);
}

fn options() -> Option<HttpOptions> {
    let outbound = Outbound::new(OutboundOptions::default()).ok()?;
    let base_url = "https://gateway.invalid".parse().ok()?;
    Some(HttpOptions::new(
        base_url,
        KeyName::new("midjourney"),
        Arc::new(MemoryKeys::new()),
        Arc::new(SystemClock),
        outbound,
    ))
}
