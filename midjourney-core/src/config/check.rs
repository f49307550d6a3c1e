//! Checks of single texts. Those for secrets never repeat what they look at.

use std::net::{IpAddr, Ipv4Addr};

use url::Url;

use super::issue::Refusal;

/// An IP address or a host name, without scheme or port.
pub(super) fn host(text: &str) -> Result<(), Refusal> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let wrong = |message: &str, mend: &str| Err(Refusal::invalid(message).mend(mend));
    if text == "*" {
        return wrong(
            "`*` is no address",
            "write 0.0.0.0 for every address of this machine",
        );
    }
    if text.contains("://") {
        return wrong("this is a URL", "write only the host, such as 127.0.0.1");
    }
    if let Some(inner) = text.strip_prefix('[') {
        let bare = inner
            .strip_suffix(']')
            .is_some_and(|inner| inner.parse::<IpAddr>().is_ok());
        let mend = if bare {
            "write the address without brackets"
        } else {
            "put the port into server.port"
        };
        return wrong("brackets do not belong here", mend);
    }
    if let Some((name, port)) = text.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && !name.contains(':')
    {
        return wrong("the port does not belong here", "put it into server.port");
    }
    let label = |label: &str| {
        let inner = label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric && name.parse::<Ipv4Addr>().is_err() {
        return Err(Refusal::invalid("this is no IPv4 address"));
    }
    if name.len() <= 253 && name.split('.').all(label) {
        Ok(())
    } else {
        Err(Refusal::invalid("this is neither an IP address nor a host name"))
    }
}

/// A key that travels in an HTTP header.
pub(super) fn header_secret(text: &str) -> Result<(), Refusal> {
    if text
        .get(..7)
        .is_some_and(|head| head.eq_ignore_ascii_case("bearer "))
    {
        let refusal = Refusal::invalid("the word `Bearer` is not part of the key");
        return Err(refusal.mend("write only what follows it"));
    }
    secret(text)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(Refusal::invalid(
            "the key contains a space or a character that no HTTP header can carry",
        ))
    }
}

/// A secret that people or programs agreed upon.
pub(super) fn secret(text: &str) -> Result<(), Refusal> {
    if text.chars().any(char::is_control) {
        return Err(Refusal::invalid(
            "the value contains a line break or another control character",
        ));
    }
    if text.trim() != text {
        return Err(Refusal::invalid("the value begins or ends with a space").mend("remove the space"));
    }
    Ok(())
}

/// The address of a PostgreSQL database, with its password.
pub(super) fn database_address(text: &str) -> Result<(), Refusal> {
    secret(text)?;
    let wrong = |message: &str, mend: &str| Err(Refusal::invalid(message).mend(mend));
    let Some((scheme, _)) = text.split_once("://") else {
        return wrong("this is no URL", "write postgres:// in front");
    };
    if !matches!(scheme, "postgres" | "postgresql") {
        return wrong(
            "only PostgreSQL can be reached by an address",
            "for SQLite, write the path of its file into storage.database",
        );
    }
    let Ok(url) = Url::parse(text) else {
        return wrong(
            "this is no URL",
            "write `@`, `:`, `/`, `#`, `?` and `%` in the password as %40, %3A, %2F, %23, %3F and %25",
        );
    };
    if url.path().len() < 2 {
        return wrong("the database is not named", "write its name after the host");
    }
    Ok(())
}

/// A name in the cloud: of a bucket, a region, a key.
pub(super) fn name(text: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=255).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(());
    }
    let refusal = Refusal::invalid("this is no name");
    Err(if text.contains('/') {
        refusal.mend("write only the name, without a scheme or a path; a path goes into storage.prefix")
    } else {
        refusal
    })
}

/// What stands in front of names in a bucket.
pub(super) fn prefix(text: &str) -> Result<(), Refusal> {
    let part = |part: &str| name(part).is_ok() && part.bytes().any(|byte| byte != b'.');
    if text.len() <= 200 && text.split('/').all(part) {
        return Ok(());
    }
    let refusal = Refusal::invalid("this is no prefix");
    Err(if text.starts_with('/') || text.ends_with('/') {
        refusal.mend("write it without `/` at either end")
    } else {
        refusal
    })
}

/// A short name for an account.
pub(super) fn account(text: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(Refusal::invalid("this is no account name"))
    }
}

/// What the name of an account's section may be; it is part of the names of variables.
pub(super) const SECTION_NAME: &str = "a name of 1 to 64 small letters, digits or `-`";

pub(super) fn is_section_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// A version as prompts name it, such as `7`, `6.1` or `niji 6`; whether it exists is up to the table.
pub(super) fn version(text: &str) -> Result<(), Refusal> {
    let flags = ["--version ", "--v ", "version ", "v", "V"];
    let number = flags.iter().find_map(|flag| text.strip_prefix(flag));
    if let Some(number) = number.filter(|number| number.starts_with(|c: char| c.is_ascii_digit())) {
        let refusal = Refusal::invalid("only the version itself belongs here");
        let short = number.len() <= 8;
        return Err(if short {
            refusal.mend(format!("write {number}"))
        } else {
            refusal
        });
    }
    if text
        .strip_prefix("--niji ")
        .is_some_and(|number| number.len() <= 8)
    {
        let refusal = Refusal::invalid("only the version itself belongs here");
        return Err(refusal.mend(format!("write {}", text.trim_start_matches('-'))));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b' ' | b'-');
    if text.len() <= 32 && !text.starts_with('-') && text.trim() == text && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(Refusal::invalid("this is no version"))
    }
}

/// A log level, or a list of levels for parts of the program.
pub(super) fn log_level(text: &str) -> Result<(), Refusal> {
    let level = |word: &str| {
        let word = word.to_ascii_lowercase();
        matches!(
            word.as_str(),
            "off" | "error" | "warn" | "info" | "debug" | "trace"
        )
    };
    let target = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
    };
    let directive = |part: &str| match part.split_once('=') {
        Some((name, word)) => target(name) && level(word),
        None => level(part),
    };
    if text.split(',').map(str::trim).all(directive) {
        return Ok(());
    }
    let refusal = Refusal::invalid("this is no log level");
    Err(match text.to_ascii_lowercase().as_str() {
        "warning" => refusal.mend("write warn"),
        "verbose" | "all" => refusal.mend("write trace"),
        "none" | "quiet" => refusal.mend("write off"),
        "critical" | "fatal" => refusal.mend("write error"),
        _ => refusal,
    })
}
