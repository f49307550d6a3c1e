//! What Midjourney takes, as data.
//!
//! The facts live in `prompt/table.json`, built in and overridable: [`Table::from_json`] reads a whole table,
//! [`Table::overlay`] lays a JSON merge patch (RFC 7396) over one, so that an operator's file holds only what
//! differs. Where sources disagree an entry carries a `disputed` reason and what it forbids is a warning.
//!
//! Sources: the official parameter, Version, Draft, Video and plan pages as of September 2026; each parameter
//! names its own. What only third parties say is marked disputed.

mod cursor;
pub(super) mod reader;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use self::cursor::TableError;

/// The format of table files this build reads.
pub const TABLE_SCHEMA: u64 = 1;

const BUILTIN: &str = include_str!("table.json");

/// A subscription, as far as prompts depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Plan {
    /// No relax, no stealth.
    Basic,
    /// Relax, no stealth.
    Standard,
    /// Relax and stealth.
    Pro,
    /// As Pro, with more fast hours.
    Mega,
}

impl Plan {
    /// Every plan.
    pub const ALL: [Self; 4] = [Self::Basic, Self::Standard, Self::Pro, Self::Mega];

    /// Its name in tables and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Pro => "pro",
            Self::Mega => "mega",
        }
    }

    /// The plan with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plan| plan.as_str() == name)
    }
}

/// One model version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// `8.2` or `niji 7`.
    pub id: String,
    /// Families that rules speak of, such as `v8`.
    pub groups: Vec<String>,
    /// First day, where known.
    pub released: Option<Date>,
    /// First day as the default.
    pub default_from: Option<Date>,
    /// Last day as the default.
    pub default_until: Option<Date>,
    /// The day it was taken away.
    pub retired: Option<Date>,
}

impl Version {
    /// Whether it is a niji model.
    pub fn is_niji(&self) -> bool {
        self.id.starts_with("niji ")
    }

    /// Whether a rule for these versions and families means this one; an empty list means all.
    pub fn is_in(&self, selectors: &[String]) -> bool {
        selectors.is_empty()
            || selectors
                .iter()
                .any(|selector| *selector == self.id || self.groups.contains(selector))
    }

    /// How a prompt asks for it: `--v 8.2`, `--niji 7`.
    pub fn as_parameter(&self) -> String {
        self.id
            .strip_prefix("niji ")
            .map_or_else(|| format!("--v {}", self.id), |n| format!("--niji {n}"))
    }
}

/// What a parameter's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// No value.
    Flag,
    /// A whole number.
    Integer,
    /// A number.
    Decimal,
    /// `W:H` in whole numbers.
    Ratio,
    /// One word.
    Word,
    /// A number of a version.
    Version,
    /// A number of a niji version.
    Niji,
    /// Phrases parted by commas.
    List,
    /// URLs, codes or `random`, each with an optional `::weight`.
    References,
    /// URLs.
    Urls,
    /// Personalization codes, each with an optional `::weight`.
    Codes,
    /// A URL or `loop`.
    Frame,
    /// Anything.
    Text,
}

/// What one parameter takes on some versions.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Domain {
    /// Versions or families; empty for all.
    pub on: Vec<String>,
    /// Whether these versions take the parameter at all.
    pub taken: bool,
    /// Least number.
    pub min: Option<f64>,
    /// Greatest number; for ratios the greatest quotient of the longer side by the shorter.
    pub max: Option<f64>,
    /// The only values.
    pub one_of: Vec<String>,
    /// The most URLs or references.
    pub most: Option<usize>,
    /// Why a breach is only a warning.
    pub disputed: Option<String>,
    /// Why too many values are only a warning.
    pub disputed_most: Option<String>,
    /// Why every use deserves a warning.
    pub disputed_use: Option<String>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ParamSpec {
    /// Its full name, which tables, fields and messages use: `aspect`.
    pub name: String,
    /// The name prompts are written with: `ar`.
    pub write: String,
    /// Further names that are read.
    pub aliases: Vec<String>,
    /// The shape of its value.
    pub value: ValueKind,
    /// Whether the value may be missing.
    pub optional: bool,
    /// The first that fits a version counts; none means that the version does not take the parameter.
    pub domains: Vec<Domain>,
    /// Where the facts come from.
    pub source: String,
}

impl ParamSpec {
    /// What a version allows; none when it does not take the parameter.
    pub fn domain(&self, version: &Version) -> Option<&Domain> {
        self.domains.iter().find(|domain| version.is_in(&domain.on))
    }
}

/// A tighter upper bound while another parameter is present.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Cap {
    /// The bounded parameter.
    pub parameter: String,
    /// The parameter that tightens the bound.
    pub with: String,
    /// The bound.
    pub max: f64,
    /// The fact behind it.
    pub why: String,
}

/// A thing a prompt may have: a parameter, one with a value, or a fact about the rest of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Term {
    /// `hd`
    Param(String),
    /// `quality=4`
    ParamValue(String, String),
    /// `@image`: at least one image prompt.
    Image,
    /// `@text`: text beside the images.
    Text,
    /// `@permutations`: more than one variant.
    Permutations,
    /// `@moodboard`: a profile code that names a moodboard.
    Moodboard,
}

/// Things that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// All of them at once are wrong.
    pub all: Vec<Term>,
    /// Only on these versions; empty for all.
    pub on: Vec<String>,
    /// Only under these plans; empty for all.
    pub plans: Vec<Plan>,
    /// The fact behind it.
    pub why: String,
    /// Why a breach is only a warning.
    pub disputed: Option<String>,
}

/// A parameter that means nothing alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// The parameter.
    pub parameter: String,
    /// One of these must be there.
    pub any: Vec<Term>,
    /// The fact behind it.
    pub why: String,
    /// Why a breach is only a warning.
    pub disputed: Option<String>,
}

/// Numbers of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanLimits {
    /// The most variants of one prompt.
    pub permutations: u64,
    /// Why a breach is only a warning.
    pub disputed: Option<String>,
}

/// Everything the checker knows about Midjourney.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Table {
    /// Which state of the facts this is.
    pub revision: String,
    /// The version of prompts that name none.
    pub default_version: String,
    /// The newest niji version.
    pub default_niji: String,
    /// The most characters of a prompt. 8192 is what most gateways take; clients may know less.
    pub characters: usize,
    /// The most jobs one prompt may expand to: our own bound, against paying by accident.
    pub jobs: u64,
    /// Versions, oldest first, niji last.
    pub versions: Vec<Version>,
    /// Versions or families that take `::` weights.
    pub multi_prompt: Vec<String>,
    /// Parameters by full name.
    pub params: Vec<ParamSpec>,
    /// Tighter bounds in company.
    pub caps: Vec<Cap>,
    /// Things that do not go together.
    pub conflicts: Vec<Conflict>,
    /// Parameters that need company.
    pub requirements: Vec<Requirement>,
    /// Numbers by plan.
    pub plans: BTreeMap<Plan, PlanLimits>,
    names: HashMap<String, usize>,
    json: Json,
}

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::from_json(BUILTIN).unwrap_or_else(|_| reader::nothing()));

impl Table {
    /// The table this build was made with.
    ///
    /// A test proves that it reads. Were it broken all the same, the table would hold no version and no
    /// parameter, so that every prompt is refused and nothing is spent.
    pub fn builtin() -> &'static Self {
        &TABLE
    }

    /// Reads a whole table.
    ///
    /// # Errors
    /// Text that is no JSON, another schema, or a field that is missing, unknown or of the wrong kind: the
    /// error names its path.
    pub fn from_json(text: &str) -> Result<Self, TableError> {
        let json = serde_json::from_str(text).map_err(|error| TableError::Syntax {
            line: error.line(),
            column: error.column(),
        })?;
        reader::read(json)
    }

    /// Lays a merge patch over this table: objects merge, `null` removes, everything else replaces.
    ///
    /// # Errors
    /// As [`Table::from_json`], about the merged table.
    pub fn overlay(&self, patch: &str) -> Result<Self, TableError> {
        let patch: Json = serde_json::from_str(patch).map_err(|error| TableError::Syntax {
            line: error.line(),
            column: error.column(),
        })?;
        let mut json = self.json.clone();
        cursor::merge(&mut json, patch);
        reader::read(json)
    }

    /// The JSON behind the table, to start an override from.
    pub fn as_json(&self) -> &Json {
        &self.json
    }

    /// The parameter with this name or alias, in any case.
    pub fn param(&self, name: &str) -> Option<&ParamSpec> {
        let index = match self.names.get(name) {
            Some(index) => index,
            None if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.names.get(name.to_ascii_lowercase().as_str())?
            }
            None => return None,
        };
        self.params.get(*index)
    }

    /// Every name a prompt may use.
    pub fn param_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The version with this id.
    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }
}
