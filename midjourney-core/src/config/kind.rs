//! How one value is read, checked and shown. Every key of the schema has one of these kinds.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde_json::Value as Json;
use url::Url;

use super::issue::Refusal;
use super::sections::{Choice, ProxyUrl};
use super::suggest;
use super::yaml::Scalar;
use crate::budget::Credits;
use crate::clock::Timestamp;
use crate::prompt::Speed;

/// Reads, checks and shows values of type `T`.
pub(super) trait Kind<T> {
    /// Whether the value must never be shown.
    const SECRET: bool = false;
    /// What is expected, for messages.
    fn expected(&self) -> String;
    /// Reads a scalar that is not null.
    fn read(&self, scalar: &Scalar<'_>) -> Result<T, Refusal>;
    /// The value for people's eyes.
    fn show(&self, value: &T) -> Json;
}

/// A wrong value, if repeating it is useful and cannot give away a secret that stands at the wrong key.
fn quoted(text: &str) -> String {
    let number = text.len() <= 24
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'.');
    let short = text.chars().count() <= 12 && !text.contains('@') && !text.chars().any(char::is_control);
    if number || short {
        format!("`{text}`")
    } else {
        "the value".to_owned()
    }
}

/// A key that may be left out.
pub(super) struct Optional<K>(pub(super) K);

impl<T, K: Kind<T>> Kind<Option<T>> for Optional<K> {
    const SECRET: bool = K::SECRET;

    fn expected(&self) -> String {
        self.0.expected()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<Option<T>, Refusal> {
        self.0.read(scalar).map(Some)
    }

    fn show(&self, value: &Option<T>) -> Json {
        value.as_ref().map_or(Json::Null, |value| self.0.show(value))
    }
}

/// A whole number within limits.
pub(super) struct Whole {
    pub(super) least: u32,
    pub(super) most: u32,
}

impl Whole {
    fn number(&self, scalar: &Scalar<'_>) -> Result<u32, Refusal> {
        let text = &*scalar.text;
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let refusal = Refusal::wrong_type(format!("{} is no whole number", quoted(text)));
            let stripped = digits.replace('_', "");
            let separated =
                stripped.len() < digits.len() && stripped.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if separated {
                refusal.mend("write the digits without `_`")
            } else {
                refusal
            });
        }
        if scalar.quoted {
            let refusal = Refusal::wrong_type("a text in quotes, not a number");
            return Err(refusal.mend(format!("write {} without quotes", quoted(text))));
        }
        if digits.len() > 1 && digits.starts_with('0') {
            let refusal = Refusal::invalid("a leading zero can mean two things");
            return Err(refusal.mend("write the number without the leading zero"));
        }
        let number = text
            .parse::<u32>()
            .ok()
            .filter(|number| (self.least..=self.most).contains(number));
        number.ok_or_else(|| Refusal::invalid(format!("{} is out of range", quoted(text))))
    }
}

impl<T: TryFrom<u32> + Copy + Into<Json>> Kind<T> for Whole {
    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.least, self.most)
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<T, Refusal> {
        let number = self.number(scalar)?;
        T::try_from(number).map_err(|_| Refusal::invalid(format!("`{number}` is out of range")))
    }

    fn show(&self, value: &T) -> Json {
        (*value).into()
    }
}

/// A duration in whole seconds.
pub(super) struct Seconds(pub(super) Whole);

impl Kind<Duration> for Seconds {
    fn expected(&self) -> String {
        format!("whole seconds from {} to {}", self.0.least, self.0.most)
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<Duration, Refusal> {
        self.0
            .number(scalar)
            .map(|seconds| Duration::from_secs(u64::from(seconds)))
    }

    fn show(&self, value: &Duration) -> Json {
        value.as_secs().into()
    }
}

/// A moment.
pub(super) struct Moment;

impl Kind<Timestamp> for Moment {
    fn expected(&self) -> String {
        "a time such as 2026-12-24T18:00:00Z".to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<Timestamp, Refusal> {
        let refused = |_| Refusal::invalid(format!("{} is no such time", quoted(&scalar.text)));
        scalar.text.parse().map_err(refused)
    }

    fn show(&self, value: &Timestamp) -> Json {
        value.to_string().into()
    }
}

/// An amount of credits.
pub(super) struct Amount;

impl Kind<Credits> for Amount {
    fn expected(&self) -> String {
        "a number such as 8 or 0.25".to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<Credits, Refusal> {
        if scalar.quoted {
            let refusal = Refusal::wrong_type("a text in quotes, not a number");
            return Err(refusal.mend(format!("write {} without quotes", quoted(&scalar.text))));
        }
        let refused = |_| Refusal::invalid(format!("{} is no such number", quoted(&scalar.text)));
        scalar.text.parse().map_err(refused)
    }

    fn show(&self, value: &Credits) -> Json {
        serde_json::to_value(value).unwrap_or_default()
    }
}

/// Addresses and networks of addresses, in one text.
pub(super) struct Networks;

impl Kind<Vec<IpNet>> for Networks {
    fn expected(&self) -> String {
        "addresses or networks, such as `127.0.0.1, 10.0.0.0/8, 2001:db8::/32`".to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<Vec<IpNet>, Refusal> {
        scalar.text.split(',').map(|text| network(text.trim())).collect()
    }

    fn show(&self, value: &Vec<IpNet>) -> Json {
        let texts: Vec<_> = value.iter().map(ToString::to_string).collect();
        texts.join(", ").into()
    }
}

/// Addresses of IPv4 are compared as such, so a network of mapped ones would never hold any.
fn network(text: &str) -> Result<IpNet, Refusal> {
    let Some(network) = text.parse().ok().or_else(|| text.parse().ok().map(IpAddr::into)) else {
        return Err(Refusal::invalid(format!(
            "{} is no address or network",
            quoted(text)
        )));
    };
    let network: IpNet = network;
    if network.addr().to_canonical() != network.addr() {
        let refusal = Refusal::invalid("an IPv4 address that is written as one of IPv6");
        return Err(refusal.mend("write it as 192.0.2.1, or 192.0.2.0/24"));
    }
    if network.trunc() != network {
        let refusal = Refusal::invalid(format!("{} is an address within a network", quoted(text)));
        return Err(refusal.mend(format!("write {}, or the address alone", network.trunc())));
    }
    Ok(network)
}

/// Some of the speeds, in one text.
pub(super) struct Speeds;

impl Kind<Vec<Speed>> for Speeds {
    fn expected(&self) -> String {
        "one or more of fast, relax and turbo, such as `fast, relax`".to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<Vec<Speed>, Refusal> {
        let words: Vec<_> = scalar.text.split(',').map(str::trim).collect();
        let unknown = words
            .iter()
            .find(|word| Speed::ALL.iter().all(|speed| speed.name() != **word));
        if let Some(word) = unknown {
            return Err(Refusal::invalid(format!("{} is no speed", quoted(word))));
        }
        let named = |speed: &Speed| words.contains(&speed.name());
        Ok(Speed::ALL.into_iter().filter(named).collect())
    }

    fn show(&self, value: &Vec<Speed>) -> Json {
        let words: Vec<_> = value.iter().map(|speed| speed.name()).collect();
        words.join(", ").into()
    }
}

/// `true` or `false`.
pub(super) struct Switch;

impl Kind<bool> for Switch {
    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<bool, Refusal> {
        let meant = match scalar.text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "y" => Some(true),
            "false" | "no" | "off" | "0" | "n" => Some(false),
            _ => None,
        };
        match (&*scalar.text, meant) {
            ("true" | "True" | "TRUE" | "false" | "False" | "FALSE", Some(value)) if !scalar.quoted => {
                Ok(value)
            }
            (text, meant) => {
                let message = if scalar.quoted {
                    "a text in quotes".to_owned()
                } else {
                    quoted(text)
                };
                let refusal = Refusal::wrong_type(format!("{message} is neither true nor false"));
                Err(match meant {
                    Some(value) => refusal.mend(format!("write {value}")),
                    None => refusal,
                })
            }
        }
    }

    fn show(&self, value: &bool) -> Json {
        (*value).into()
    }
}

/// One of a few fixed words.
pub(super) struct OneOf<C>(PhantomData<C>);

impl<C> OneOf<C> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<C: Choice> Kind<C> for OneOf<C> {
    fn expected(&self) -> String {
        let words: Vec<String> = C::ALL
            .iter()
            .map(|choice| format!("`{}`", choice.word()))
            .collect();
        match words.as_slice() {
            [only] => only.clone(),
            [others @ .., last] => format!("{} or {last}", others.join(", ")),
            [] => String::new(),
        }
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<C, Refusal> {
        let text = &*scalar.text;
        if let Some(choice) = C::ALL.iter().find(|choice| choice.word() == text) {
            return Ok(*choice);
        }
        let words = || C::ALL.iter().map(|choice| choice.word());
        if text.contains('|')
            && text
                .split('|')
                .all(|part| words().any(|word| word == part.trim()))
        {
            return Err(Refusal::invalid("this is the list of the choices").mend("write one of them"));
        }
        let refusal = Refusal::invalid(format!("{} is none of the choices", quoted(text)));
        Err(match suggest::nearest(text, words()) {
            Some(word) => refusal.mend(format!("did you mean `{word}`?")),
            None => refusal,
        })
    }

    fn show(&self, value: &C) -> Json {
        value.word().into()
    }
}

/// A text that passes a check.
pub(super) struct Text {
    pub(super) expected: &'static str,
    pub(super) check: fn(&str) -> Result<(), Refusal>,
}

impl Kind<String> for Text {
    fn expected(&self) -> String {
        self.expected.to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<String, Refusal> {
        (self.check)(&scalar.text)?;
        Ok(scalar.text.clone().into_owned())
    }

    fn show(&self, value: &String) -> Json {
        value.as_str().into()
    }
}

/// A text that is never shown: its checks must not repeat it.
pub(super) struct Secret {
    pub(super) expected: &'static str,
    pub(super) check: fn(&str) -> Result<(), Refusal>,
}

impl Kind<SecretString> for Secret {
    const SECRET: bool = true;

    fn expected(&self) -> String {
        self.expected.to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<SecretString, Refusal> {
        (self.check)(&scalar.text)?;
        Ok(SecretString::from(&*scalar.text))
    }

    fn show(&self, _: &SecretString) -> Json {
        "set".into()
    }
}

/// A path in the file system; a relative one starts at the working directory.
pub(super) struct FilePath;

impl Kind<PathBuf> for FilePath {
    fn expected(&self) -> String {
        "a path".to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<PathBuf, Refusal> {
        let text = &*scalar.text;
        if text.chars().any(char::is_control) {
            return Err(Refusal::invalid("the path contains a control character"));
        }
        if text == "~" || text.starts_with("~/") || text.starts_with('$') || text.contains("${") {
            let refusal = Refusal::invalid("`~` and variables are not replaced here");
            return Err(refusal.mend("write the whole path"));
        }
        Ok(PathBuf::from(text))
    }

    fn show(&self, value: &PathBuf) -> Json {
        value.to_string_lossy().into()
    }
}

/// The address of a web service.
pub(super) struct WebAddress;

impl Kind<Url> for WebAddress {
    fn expected(&self) -> String {
        "an address such as https://example.com/path".to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<Url, Refusal> {
        let url = web_url(&scalar.text)?;
        if !url.username().is_empty() || url.password().is_some() {
            let refusal = Refusal::invalid("the address contains a user name or password");
            return Err(refusal.mend("remove what stands before the `@`"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            let refusal = Refusal::invalid("the address contains a `?` or `#`");
            return Err(refusal.mend("remove it and all that follows"));
        }
        Ok(url)
    }

    fn show(&self, value: &Url) -> Json {
        value.as_str().into()
    }
}

/// The address of a proxy, which may hold a password.
pub(super) struct ProxyAddress;

impl Kind<ProxyUrl> for ProxyAddress {
    fn expected(&self) -> String {
        "an address such as http://proxy.example.com:3128".to_owned()
    }

    fn read(&self, scalar: &Scalar<'_>) -> Result<ProxyUrl, Refusal> {
        let url = web_url(&scalar.text)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(Refusal::invalid("the address of a proxy ends with its port"));
        }
        Ok(ProxyUrl::new(url))
    }

    fn show(&self, value: &ProxyUrl) -> Json {
        value.to_string().into()
    }
}

/// Messages never repeat an address: it may hold credentials.
fn web_url(text: &str) -> Result<Url, Refusal> {
    let web = |url: &Url| matches!(url.scheme(), "http" | "https");
    match Url::parse(text) {
        Ok(url) if web(&url) && url.has_host() => Ok(url),
        _ if !text.contains("://") => {
            let refusal = Refusal::invalid("the address does not begin with https:// or http://");
            Err(refusal.mend("put https:// in front"))
        }
        Ok(url) if !web(&url) => Err(Refusal::invalid(
            "the address begins neither with https:// nor with http://",
        )),
        Ok(_) => Err(Refusal::invalid("the address names no host")),
        Err(error) => Err(Refusal::invalid(format!("this is no address: {error}"))),
    }
}
