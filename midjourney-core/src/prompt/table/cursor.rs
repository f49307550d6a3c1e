//! JSON with the way to it, and merging.

use jiff::civil::Date;
use serde_json::{Map, Value as Json};

use super::TABLE_SCHEMA;

/// Why a table file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The text is no JSON.
    #[error("the table is not JSON: line {line}, column {column}")]
    Syntax {
        /// One-based line.
        line: usize,
        /// One-based column.
        column: usize,
    },
    /// A format this build does not read.
    #[error("`schema` must be {TABLE_SCHEMA}, found {found}")]
    Schema {
        /// What stands there.
        found: String,
    },
    /// A field is missing, unknown, or not what it must be.
    #[error("`{path}`: expected {expected}, found {found}")]
    Field {
        /// Where, such as `parameters.aspect.domains[0].max`.
        path: String,
        /// What belongs there.
        expected: String,
        /// What stands there.
        found: String,
    },
}

pub(super) type Result<T> = std::result::Result<T, TableError>;

/// A value and the way to it.
pub(super) struct At<'a> {
    pub(super) path: String,
    pub(super) value: Option<&'a Json>,
}

impl<'a> At<'a> {
    pub(super) fn wrong<T>(&self, expected: impl Into<String>) -> Result<T> {
        let found = self.value.map_or_else(|| "nothing".to_owned(), shortened);
        Err(TableError::Field {
            path: self.path.clone(),
            expected: expected.into(),
            found,
        })
    }

    pub(super) fn entries(&self, known: &[&str]) -> Result<&'a Map<String, Json>> {
        let Some(Json::Object(map)) = self.value else {
            return self.wrong("an object");
        };
        match map
            .keys()
            .find(|key| !known.is_empty() && !known.contains(&key.as_str()))
        {
            Some(key) => self.field(key).wrong(format!("one of {}", known.join(", "))),
            None => Ok(map),
        }
    }

    pub(super) fn field(&self, name: &str) -> Self {
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        Self {
            path,
            value: self.value.and_then(|value| value.get(name)),
        }
    }

    pub(super) fn optional<T>(&self, name: &str, read: impl FnOnce(&Self) -> Result<T>) -> Result<Option<T>> {
        let field = self.field(name);
        field.value.map(|_| read(&field)).transpose()
    }

    pub(super) fn text(&self) -> Result<String> {
        match self.value {
            Some(Json::String(text)) => Ok(text.clone()),
            _ => self.wrong("text"),
        }
    }

    pub(super) fn number(&self) -> Result<f64> {
        self.value
            .and_then(Json::as_f64)
            .map_or_else(|| self.wrong("a number"), Ok)
    }

    pub(super) fn count(&self) -> Result<u64> {
        match self.value.and_then(Json::as_u64).filter(|count| *count > 0) {
            Some(count) => Ok(count),
            None => self.wrong("a whole number above 0"),
        }
    }

    pub(super) fn size(&self) -> Result<usize> {
        self.count()
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    pub(super) fn truth(&self) -> Result<bool> {
        self.value
            .and_then(Json::as_bool)
            .map_or_else(|| self.wrong("true or false"), Ok)
    }

    pub(super) fn date(&self) -> Result<Date> {
        self.text()?
            .parse()
            .or_else(|_| self.wrong("a date such as 2026-07-24"))
    }

    pub(super) fn list<T>(&self, read: impl Fn(&Self) -> Result<T>) -> Result<Vec<T>> {
        let Some(Json::Array(items)) = self.value else {
            return self.wrong("a list");
        };
        let item = |(index, value)| {
            read(&Self {
                path: format!("{}[{index}]", self.path),
                value: Some(value),
            })
        };
        items.iter().enumerate().map(item).collect()
    }

    pub(super) fn list_or_none<T>(&self, name: &str, read: impl Fn(&Self) -> Result<T>) -> Result<Vec<T>> {
        Ok(self.optional(name, |field| field.list(read))?.unwrap_or_default())
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        self.list_or_none(name, Self::text)
    }
}

/// A value, cut to what a message can hold.
pub(super) fn shortened(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// RFC 7396. Tables are a few levels deep, and the JSON reader bounds the depth of patches.
pub(super) fn merge(target: &mut Json, patch: Json) {
    let Json::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    if let Json::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(&key);
            } else {
                merge(target.entry(key).or_insert(Json::Null), value);
            }
        }
    }
}
