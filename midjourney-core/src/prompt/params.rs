//! The parameters of one prompt, typed.

use std::fmt;

use serde::Serialize;
use serde::ser::SerializeMap;

use super::value::{Aspect, Number, Reference, Value};

/// One parameter that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Param {
    /// Its full name: `aspect`.
    pub name: String,
    /// The name it is written with: `ar`.
    pub write: String,
    /// Its value.
    pub value: Value,
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}", self.write)?;
        match &self.value {
            Value::Flag => Ok(()),
            value => write!(f, " {value}"),
        }
    }
}

/// How fast, and how dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Speed {
    /// From fast hours.
    Fast,
    /// Waits, costs nothing.
    Relax,
    /// About four times the speed at twice the price.
    Turbo,
}

/// Typed access to the parameters of one variant, in the order they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<Param>);

impl Params {
    pub(super) fn push(&mut self, param: Param) {
        self.0.push(param);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|param| param.name != name);
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Param> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the parameter with this full name, also of one that only an operator's table knows.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|param| param.name == name)
            .map(|param| &param.value)
    }

    /// Whether it is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A numeric value.
    pub fn number(&self, name: &str) -> Option<&Number> {
        match self.get(name)? {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn whole(&self, name: &str) -> Option<u32> {
        self.number(name)?.to_u64()?.try_into().ok()
    }

    fn decimal(&self, name: &str) -> Option<f64> {
        self.number(name).map(Number::to_f64)
    }

    fn word(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    fn list(&self, name: &str) -> &[String] {
        match self.get(name) {
            Some(Value::List(items) | Value::Urls(items)) => items,
            _ => &[],
        }
    }

    fn references(&self, name: &str) -> &[Reference] {
        match self.get(name) {
            Some(Value::References(items)) => items,
            _ => &[],
        }
    }

    /// `--ar`
    pub fn aspect(&self) -> Option<Aspect> {
        match self.get("aspect")? {
            Value::Aspect(aspect) => Some(*aspect),
            _ => None,
        }
    }

    /// `--v`
    pub fn version(&self) -> Option<&str> {
        self.word("version")
    }

    /// `--niji`
    pub fn niji(&self) -> Option<&str> {
        self.word("niji")
    }

    /// `--c`, 0 to 100.
    pub fn chaos(&self) -> Option<u32> {
        self.whole("chaos")
    }

    /// `--s`, 0 to 1000.
    pub fn stylize(&self) -> Option<u32> {
        self.whole("stylize")
    }

    /// `--w`, 0 to 3000.
    pub fn weird(&self) -> Option<u32> {
        self.whole("weird")
    }

    /// `--q`; its steps depend on the version.
    pub fn quality(&self) -> Option<f64> {
        self.decimal("quality")
    }

    /// `--seed`
    pub fn seed(&self) -> Option<u32> {
        self.whole("seed")
    }

    /// `--stop`, 10 to 100.
    pub fn stop(&self) -> Option<u32> {
        self.whole("stop")
    }

    /// `--iw`, the weight of image prompts.
    pub fn image_weight(&self) -> Option<f64> {
        self.decimal("iw")
    }

    /// `--sref`
    pub fn style_references(&self) -> &[Reference] {
        self.references("sref")
    }

    /// `--sw`
    pub fn style_weight(&self) -> Option<u32> {
        self.whole("sw")
    }

    /// `--sv`
    pub fn style_version(&self) -> Option<u32> {
        self.whole("sv")
    }

    /// `--cref`
    pub fn character_references(&self) -> &[String] {
        self.list("cref")
    }

    /// `--cw`
    pub fn character_weight(&self) -> Option<u32> {
        self.whole("cw")
    }

    /// `--oref`
    pub fn omni_reference(&self) -> Option<&str> {
        self.list("oref").first().map(String::as_str)
    }

    /// `--ow`
    pub fn omni_weight(&self) -> Option<u32> {
        self.whole("ow")
    }

    /// `--edit`
    pub fn edit(&self) -> &[String] {
        self.list("edit")
    }

    /// `--raw`, or the older `--style raw`.
    pub fn is_raw(&self) -> bool {
        self.has("raw") || self.word("style") == Some("raw")
    }

    /// `--style`
    pub fn style(&self) -> Option<&str> {
        self.word("style")
    }

    /// `--exp`
    pub fn experimental(&self) -> Option<u32> {
        self.whole("exp")
    }

    /// `--draft`
    pub fn is_draft(&self) -> bool {
        self.has("draft")
    }

    /// `--p`: codes; empty with `--p` alone, which means the account's own profile.
    pub fn profiles(&self) -> Option<&[Reference]> {
        self.get("profile").map(|_| self.references("profile"))
    }

    /// `--hd` or `--sd`: true for HD, none when the account decides.
    pub fn hd(&self) -> Option<bool> {
        if self.has("hd") {
            Some(true)
        } else {
            self.has("sd").then_some(false)
        }
    }

    /// `--fast`, `--relax` or `--turbo`; none when the account decides.
    pub fn speed(&self) -> Option<Speed> {
        [
            ("fast", Speed::Fast),
            ("relax", Speed::Relax),
            ("turbo", Speed::Turbo),
        ]
        .into_iter()
        .find_map(|(name, speed)| self.has(name).then_some(speed))
    }

    /// `--stealth` or `--public`: true for stealth, none when the account decides.
    pub fn stealth(&self) -> Option<bool> {
        if self.has("stealth") {
            Some(true)
        } else {
            self.has("public").then_some(false)
        }
    }

    /// `--video`
    pub fn is_video(&self) -> bool {
        self.has("video")
    }

    /// `--motion`: `low` or `high`.
    pub fn motion(&self) -> Option<&str> {
        self.word("motion")
    }

    /// `--loop`
    pub fn is_loop(&self) -> bool {
        self.has("loop")
    }

    /// `--end`: a URL or `loop`.
    pub fn end(&self) -> Option<&str> {
        self.word("end")
    }

    /// `--bs`: videos in a batch.
    pub fn batch_size(&self) -> Option<u32> {
        self.whole("bs")
    }

    /// `--zoom`
    pub fn zoom(&self) -> Option<f64> {
        self.decimal("zoom")
    }

    /// `--tile`
    pub fn is_tile(&self) -> bool {
        self.has("tile")
    }

    /// `--r`: how many jobs. Gone from expanded prompts, which are one job each.
    pub fn repeat(&self) -> Option<u32> {
        self.whole("repeat")
    }

    /// `--no`
    pub fn no(&self) -> &[String] {
        self.list("no")
    }
}

impl<'a> IntoIterator for &'a Params {
    type Item = &'a Param;
    type IntoIter = std::slice::Iter<'a, Param>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Params {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for param in &self.0 {
            map.serialize_entry(&param.name, &param.value.to_json())?;
        }
        map.end()
    }
}
