//! The shapes a parameter's value can have, and how each is read and written.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::outline::{is_dashed, is_url};
use super::table::ValueKind;

/// A decimal number kept as text, so that writing it loses nothing: no leading or trailing zeros.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(String);

impl Number {
    /// Reads `12`, `-0.5`, `.5`. Signs other than `-`, exponents and a bare point are no numbers here.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling = digits.ends_with('.');
        if digits.is_empty() || dangling || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        Some(Self(match (whole, fraction) {
            ("", "") => "0".to_owned(),
            (whole, "") => [sign, whole].concat(),
            ("", fraction) => [sign, "0.", fraction].concat(),
            (whole, fraction) => [sign, whole, ".", fraction].concat(),
        }))
    }

    /// The nearest float; infinite when it is beyond all floats.
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::INFINITY)
    }

    /// The whole number it is, when it is one that fits.
    pub fn to_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no fraction.
    pub fn is_whole(&self) -> bool {
        !self.0.contains('.')
    }

    fn to_json(&self) -> Json {
        serde_json::from_str(&self.0).unwrap_or_else(|_| Json::String(self.0.clone()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// Width to height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Aspect {
    /// Parts of width.
    pub width: u32,
    /// Parts of height.
    pub height: u32,
}

impl Aspect {
    /// What prompts get that name none.
    pub const SQUARE: Self = Self { width: 1, height: 1 };

    /// Reads `16:9`; both sides whole and above 0.
    pub fn parse(text: &str) -> Option<Self> {
        let (width, height) = text.split_once(':')?;
        let side = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|side| digits && *side > 0)
        };
        Some(Self {
            width: side(width)?,
            height: side(height)?,
        })
    }

    /// The longer side over the shorter.
    pub fn stretch(self) -> f64 {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        width.max(height) / width.min(height)
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.width, self.height)
    }
}

/// What a style reference or a profile names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// A URL, a code, or `random`.
    pub target: String,
    /// Its weight among its neighbours, 1 unless given.
    pub weight: Option<Number>,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target)?;
        self.weight
            .as_ref()
            .map_or(Ok(()), |weight| write!(f, "::{weight}"))
    }
}

/// A value that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// The parameter is there; that is all.
    Flag,
    /// A number.
    Number(Number),
    /// A ratio.
    Aspect(Aspect),
    /// A word, or free text.
    Word(String),
    /// Phrases.
    List(Vec<String>),
    /// Addresses.
    Urls(Vec<String>),
    /// Things with weights.
    References(Vec<Reference>),
}

impl Value {
    /// Reads a value of this kind; none when it is not one.
    pub(super) fn parse(kind: ValueKind, text: &str) -> Option<Self> {
        let words = || text.split_whitespace();
        match kind {
            ValueKind::Flag => text.is_empty().then_some(Self::Flag),
            ValueKind::Integer => Number::parse(text).filter(Number::is_whole).map(Self::Number),
            ValueKind::Decimal => Number::parse(text).map(Self::Number),
            ValueKind::Ratio => Aspect::parse(text).map(Self::Aspect),
            ValueKind::Word | ValueKind::Version | ValueKind::Niji => {
                (words().count() == 1).then(|| Self::Word(text.to_owned()))
            }
            ValueKind::Text => Some(Self::Word(text.to_owned())),
            ValueKind::List => {
                let items: Vec<_> = list_items(text).map(str::to_owned).collect();
                let plain = !items.iter().any(|item| is_dashed(item));
                (plain && !items.is_empty()).then_some(Self::List(items))
            }
            ValueKind::Urls => {
                let urls: Vec<_> = words().map(str::to_owned).collect();
                (!urls.is_empty() && urls.iter().all(|url| is_url(url))).then_some(Self::Urls(urls))
            }
            ValueKind::Frame => (words().count() == 1 && (is_url(text) || text.eq_ignore_ascii_case("loop")))
                .then(|| Self::Word(text.to_owned())),
            ValueKind::References => references(text, is_reference),
            ValueKind::Codes => references(text, is_code),
        }
    }

    /// As a field of a JSON body.
    pub fn to_json(&self) -> Json {
        let texts = |items: &[String]| Json::Array(items.iter().cloned().map(Json::String).collect());
        match self {
            Self::Flag => Json::Bool(true),
            Self::Number(number) => number.to_json(),
            Self::Aspect(aspect) => Json::String(aspect.to_string()),
            Self::Word(word) => Json::String(word.clone()),
            Self::List(items) | Self::Urls(items) => texts(items),
            Self::References(items) => {
                Json::Array(items.iter().map(|item| Json::String(item.to_string())).collect())
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => Ok(()),
            Self::Number(number) => number.fmt(f),
            Self::Aspect(aspect) => aspect.fmt(f),
            Self::Word(word) => f.write_str(word),
            Self::Urls(items) => f.write_str(&items.join(" ")),
            Self::List(items) => f.write_str(&items.join(", ")),
            Self::References(items) => {
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { " " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

fn list_items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn references(text: &str, accept: fn(&str) -> bool) -> Option<Value> {
    let items: Option<Vec<_>> = text
        .split_whitespace()
        .map(|word| reference(word).filter(|item| accept(&item.target)))
        .collect();
    items.filter(|items| !items.is_empty()).map(Value::References)
}

/// `target::weight`. A URL may hold `::` of its own, so the last one counts, and only before a number.
fn reference(word: &str) -> Option<Reference> {
    if let Some((target, weight)) = word.rsplit_once("::") {
        if weight.is_empty() {
            return Some(Reference {
                target: target.to_owned(),
                weight: None,
            });
        }
        if let Some(weight) = Number::parse(weight) {
            return Some(Reference {
                target: target.to_owned(),
                weight: Some(weight),
            });
        }
        if !is_url(word) {
            return None;
        }
    }
    Some(Reference {
        target: word.to_owned(),
        weight: None,
    })
}

fn is_reference(target: &str) -> bool {
    let code = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_digit());
    code || is_url(target) || target.eq_ignore_ascii_case("random")
}

fn is_code(target: &str) -> bool {
    !target.is_empty()
        && target
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The value in canonical writing: numbers without idle zeros, lists with one comma and space.
pub(super) fn canonical(kind: ValueKind, text: &str) -> Option<String> {
    match kind {
        ValueKind::Integer | ValueKind::Decimal | ValueKind::Ratio | ValueKind::References => {
            Value::parse(kind, text).map(|value| value.to_string())
        }
        // A space before `--` would make a parameter of it.
        ValueKind::List if !list_items(text).any(is_dashed) => {
            Some(list_items(text).collect::<Vec<_>>().join(", "))
        }
        ValueKind::Version | ValueKind::Niji => Number::parse(text).map(|number| number.0),
        _ => None,
    }
}
