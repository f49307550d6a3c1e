//! Reads a table from JSON by hand, so that every error can name the path of the field that is wrong.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;

use super::cursor::{At, Result, TableError, shortened};
use super::{
    Cap, Conflict, Domain, ParamSpec, Plan, PlanLimits, Requirement, TABLE_SCHEMA, Table, Term, ValueKind,
    Version,
};
use crate::prompt::outline::LONGEST_NAME;

/// The table that knows nothing and so lets nothing pass.
pub(in crate::prompt) fn nothing() -> Table {
    Table {
        revision: String::new(),
        default_version: String::new(),
        default_niji: String::new(),
        characters: 0,
        jobs: 0,
        versions: Vec::new(),
        multi_prompt: Vec::new(),
        params: Vec::new(),
        caps: Vec::new(),
        conflicts: Vec::new(),
        requirements: Vec::new(),
        plans: BTreeMap::new(),
        names: HashMap::new(),
        json: Json::Null,
    }
}

const FIELDS: [&str; 12] = [
    "schema",
    "revision",
    "default_version",
    "default_niji",
    "limits",
    "versions",
    "multi_prompt",
    "parameters",
    "caps",
    "conflicts",
    "requirements",
    "plans",
];

pub(super) fn read(json: Json) -> Result<Table> {
    let root = At {
        path: String::new(),
        value: Some(&json),
    };
    let schema = root.field("schema");
    if schema.value.and_then(Json::as_u64) != Some(TABLE_SCHEMA) {
        let found = schema.value.map_or_else(|| "nothing".to_owned(), shortened);
        return Err(TableError::Schema { found });
    }
    root.entries(&FIELDS)?;
    let limits = root.field("limits");
    limits.entries(&["characters", "jobs"])?;
    let versions = versions(&root.field("versions"))?;
    let params = params(&root.field("parameters"), &versions)?;
    let names = names(&root.field("parameters"), &params)?;
    let known = Known {
        versions: &versions,
        names: &names,
        params: &params,
    };
    let mut table = Table {
        revision: root.field("revision").text()?,
        default_version: known.version(&root.field("default_version"), false)?,
        default_niji: known.version(&root.field("default_niji"), true)?,
        characters: limits.field("characters").size()?,
        jobs: limits.field("jobs").count()?,
        multi_prompt: known.selectors(&root, "multi_prompt")?,
        caps: root.list_or_none("caps", |at| known.cap(at))?,
        conflicts: root.list_or_none("conflicts", |at| known.conflict(at))?,
        requirements: root.list_or_none("requirements", |at| known.requirement(at))?,
        plans: plans(&root.field("plans"))?,
        versions: versions.clone(),
        params: params.clone(),
        names: names.clone(),
        json: Json::Null,
    };
    table.json = json;
    Ok(table)
}

fn versions(at: &At<'_>) -> Result<Vec<Version>> {
    let mut versions = Vec::new();
    for id in at.entries(&[])?.keys() {
        let entry = at.field(id);
        entry.entries(&["groups", "released", "default_from", "default_until", "retired"])?;
        versions.push(Version {
            id: id.clone(),
            groups: entry.texts("groups")?,
            released: entry.optional("released", At::date)?,
            default_from: entry.optional("default_from", At::date)?,
            default_until: entry.optional("default_until", At::date)?,
            retired: entry.optional("retired", At::date)?,
        });
    }
    let number = |version: &Version| {
        version
            .id
            .trim_start_matches("niji ")
            .parse::<f64>()
            .unwrap_or(f64::INFINITY)
    };
    versions.sort_by(|a, b| {
        a.is_niji()
            .cmp(&b.is_niji())
            .then(number(a).total_cmp(&number(b)))
            .then_with(|| a.id.cmp(&b.id))
    });
    Ok(versions)
}

fn selectors(at: &At<'_>, name: &str, versions: &[Version]) -> Result<Vec<String>> {
    at.list_or_none(name, |entry| {
        let text = entry.text()?;
        let known = versions
            .iter()
            .any(|version| version.id == text || version.groups.contains(&text));
        if known {
            Ok(text)
        } else {
            entry.wrong("a version or a group of versions")
        }
    })
}

const KINDS: [(&str, ValueKind); 13] = [
    ("flag", ValueKind::Flag),
    ("integer", ValueKind::Integer),
    ("decimal", ValueKind::Decimal),
    ("ratio", ValueKind::Ratio),
    ("word", ValueKind::Word),
    ("version", ValueKind::Version),
    ("niji", ValueKind::Niji),
    ("list", ValueKind::List),
    ("references", ValueKind::References),
    ("urls", ValueKind::Urls),
    ("codes", ValueKind::Codes),
    ("frame", ValueKind::Frame),
    ("text", ValueKind::Text),
];

fn params(at: &At<'_>, versions: &[Version]) -> Result<Vec<ParamSpec>> {
    let mut params = Vec::new();
    for name in at.entries(&[])?.keys() {
        let entry = at.field(name);
        entry.entries(&["write", "aliases", "value", "optional", "domains", "source"])?;
        let kind = entry.field("value");
        let kind_name = kind.text()?;
        let Some((_, value)) = KINDS.iter().find(|(known, _)| *known == kind_name) else {
            return kind.wrong(format!("one of {}", KINDS.map(|(known, _)| known).join(", ")));
        };
        let domains = entry.optional("domains", |field| field.list(|at| domain(at, versions)))?;
        params.push(ParamSpec {
            name: name.clone(),
            write: entry.field("write").text()?,
            aliases: entry.texts("aliases")?,
            value: *value,
            optional: entry.optional("optional", At::truth)?.unwrap_or(false),
            domains: domains.unwrap_or_else(|| {
                vec![Domain {
                    taken: true,
                    ..Domain::default()
                }]
            }),
            source: entry.optional("source", At::text)?.unwrap_or_default(),
        });
    }
    Ok(params)
}

fn domain(at: &At<'_>, versions: &[Version]) -> Result<Domain> {
    at.entries(&[
        "on",
        "taken",
        "min",
        "max",
        "one_of",
        "most",
        "disputed",
        "disputed_most",
        "disputed_use",
    ])?;
    let domain = Domain {
        on: selectors(at, "on", versions)?,
        taken: at.optional("taken", At::truth)?.unwrap_or(true),
        min: at.optional("min", At::number)?,
        max: at.optional("max", At::number)?,
        one_of: at.texts("one_of")?,
        most: at.optional("most", At::size)?,
        disputed: at.optional("disputed", At::text)?,
        disputed_most: at.optional("disputed_most", At::text)?,
        disputed_use: at.optional("disputed_use", At::text)?,
    };
    match (domain.min, domain.max) {
        (Some(min), Some(max)) if min > max => at.field("max").wrong(format!("at least {min}")),
        _ => Ok(domain),
    }
}

fn names(at: &At<'_>, params: &[ParamSpec]) -> Result<HashMap<String, usize>> {
    let mut names = HashMap::new();
    for (index, param) in params.iter().enumerate() {
        let entry = at.field(&param.name);
        for name in [&param.name, &param.write].into_iter().chain(&param.aliases) {
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase());
            if !plain || name.is_empty() || name.len() > LONGEST_NAME {
                return entry.wrong(format!(
                    "names of 1 to {LONGEST_NAME} small letters, not `{name}`"
                ));
            }
            if names
                .insert(name.clone(), index)
                .is_some_and(|other| other != index)
            {
                return entry.wrong(format!("names of its own; `{name}` belongs to another parameter"));
            }
        }
    }
    Ok(names)
}

/// What the rules may refer to.
struct Known<'a> {
    versions: &'a [Version],
    names: &'a HashMap<String, usize>,
    params: &'a [ParamSpec],
}

impl Known<'_> {
    fn version(&self, at: &At<'_>, niji: bool) -> Result<String> {
        let id = at.text()?;
        let found = self
            .versions
            .iter()
            .any(|version| version.id == id && version.is_niji() == niji);
        if found {
            Ok(id)
        } else {
            at.wrong(if niji {
                "a known niji version"
            } else {
                "a known version"
            })
        }
    }

    fn selectors(&self, at: &At<'_>, name: &str) -> Result<Vec<String>> {
        selectors(at, name, self.versions)
    }

    fn param(&self, at: &At<'_>) -> Result<String> {
        let name = at.text()?;
        let found = self.params.iter().any(|param| param.name == name);
        if found {
            Ok(name)
        } else {
            at.wrong("the full name of a parameter")
        }
    }

    fn term(&self, at: &At<'_>) -> Result<Term> {
        let text = at.text()?;
        match text.as_str() {
            "@image" => return Ok(Term::Image),
            "@text" => return Ok(Term::Text),
            "@permutations" => return Ok(Term::Permutations),
            "@moodboard" => return Ok(Term::Moodboard),
            _ => {}
        }
        let (name, value) = text
            .split_once('=')
            .map_or((text.as_str(), None), |(n, v)| (n, Some(v)));
        if !self.names.contains_key(name) || !self.params.iter().any(|param| param.name == name) {
            return at.wrong("the full name of a parameter, with `=value` or without, or @image, @text, @permutations, @moodboard");
        }
        Ok(value.map_or_else(
            || Term::Param(name.to_owned()),
            |value| Term::ParamValue(name.to_owned(), value.to_owned()),
        ))
    }

    fn cap(&self, at: &At<'_>) -> Result<Cap> {
        at.entries(&["parameter", "with", "max", "why"])?;
        Ok(Cap {
            parameter: self.param(&at.field("parameter"))?,
            with: self.param(&at.field("with"))?,
            max: at.field("max").number()?,
            why: at.field("why").text()?,
        })
    }

    fn conflict(&self, at: &At<'_>) -> Result<Conflict> {
        at.entries(&["all", "on", "plans", "why", "disputed"])?;
        let all = at.field("all").list(|term| self.term(term))?;
        if all.is_empty() {
            return at.field("all").wrong("at least one thing");
        }
        Ok(Conflict {
            all,
            on: self.selectors(at, "on")?,
            plans: at.list_or_none("plans", plan)?,
            why: at.field("why").text()?,
            disputed: at.optional("disputed", At::text)?,
        })
    }

    fn requirement(&self, at: &At<'_>) -> Result<Requirement> {
        at.entries(&["parameter", "any", "why", "disputed"])?;
        Ok(Requirement {
            parameter: self.param(&at.field("parameter"))?,
            any: at.field("any").list(|term| self.term(term))?,
            why: at.field("why").text()?,
            disputed: at.optional("disputed", At::text)?,
        })
    }
}

fn plan(at: &At<'_>) -> Result<Plan> {
    let name = at.text()?;
    Plan::from_name(&name).map_or_else(|| at.wrong("basic, standard, pro or mega"), Ok)
}

fn plans(at: &At<'_>) -> Result<BTreeMap<Plan, PlanLimits>> {
    let mut plans = BTreeMap::new();
    for name in at.entries(&Plan::ALL.map(Plan::as_str))?.keys() {
        let entry = at.field(name);
        entry.entries(&["permutations", "disputed"])?;
        if let Some(plan) = Plan::from_name(name) {
            let permutations = entry.field("permutations").count()?;
            plans.insert(
                plan,
                PlanLimits {
                    permutations,
                    disputed: entry.optional("disputed", At::text)?,
                },
            );
        }
    }
    Ok(plans)
}
