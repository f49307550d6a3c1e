//! Reads arguments out of a JSON object and collects what is wrong with them.

use std::{fmt::Display, ops::RangeInclusive};

use midjourney_core::{
    error::FieldError,
    id::{BatchId, JobId},
};
use serde_json::{Map, Value};

use super::{
    Handle,
    picture::{MAX_PICTURE, Origin, Picture},
};
use crate::text;

pub(super) struct Reader<'a> {
    arguments: &'a Map<String, Value>,
    wrong: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    /// Objects to every argument that `input`, a schema, does not name.
    pub(super) fn new(arguments: &'a Map<String, Value>, input: fn() -> Value) -> Self {
        let mut reader = Self {
            arguments,
            wrong: Vec::new(),
        };
        let schema = input();
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        for name in arguments
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
            .take(10)
        {
            let name = text::cut(name, 60);
            let detail = format!(
                "there is no such argument; expected {}. Leave it out",
                known.join(", ")
            );
            reader.object(&name, detail);
        }
        reader
    }

    pub(super) fn object(&mut self, name: &str, detail: impl Into<String>) {
        // JSON pointer: `~` and `/` inside a name are escaped.
        let name = name.replace('~', "~0").replace('/', "~1");
        self.wrong.push(FieldError::new(format!("/{name}"), detail));
    }

    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        value.filter(|_| self.wrong.is_empty()).ok_or(self.wrong)
    }

    /// `null` counts as left out: many clients send it for what the caller did not fill in.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.arguments.get(name).filter(|value| !value.is_null())
    }

    /// Whether the argument was given, be it right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub(super) fn required<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.object(name, format!("is missing; give {what}"));
            return None;
        }
        read(self, name)
    }

    pub(super) fn text(&mut self, name: &str, most: usize) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if text.chars().nth(most).is_some() => {
                self.object(name, format!("expected at most {most} characters; shorten it"));
                None
            }
            Value::String(text) => Some(text.clone()),
            other => {
                self.object(name, format!("expected a text, got {}", shape(other)));
                None
            }
        }
    }

    pub(super) fn whole(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(name)?;
        if let Some(number) = whole(value).filter(|number| range.contains(number)) {
            return Some(number);
        }
        let (from, to) = range.into_inner();
        let expected = format!(
            "expected a whole number from {from} to {to}, got {}",
            shape(value)
        );
        self.object(name, expected);
        None
    }

    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.value(name)?;
        let number = value.as_f64().filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = range.into_inner();
            let expected = format!("expected a number from {from} to {to}, got {}", shape(value));
            self.object(name, expected);
        }
        number
    }

    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        let given = value.as_bool();
        if given.is_none() {
            self.object(name, format!("expected true or false, got {}", shape(value)));
        }
        given
    }

    /// One of these words, and what it stands for.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.value(name)?;
        let chosen = value
            .as_str()
            .and_then(|text| words.iter().find(|(word, _)| *word == text));
        if chosen.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let expected = format!("expected one of {}, got {}", words.join(", "), shape(value));
            self.object(name, expected);
        }
        chosen.map(|(_, meaning)| *meaning)
    }

    /// The value of a parameter of the prompt, which must not hold another parameter.
    pub(super) fn flag_text(&mut self, name: &str, most: usize) -> Option<String> {
        let text = self.text(name, most)?;
        let text = text.trim();
        if text.is_empty() || text.contains("--") || text.contains(['—', '–']) {
            self.object(
                name,
                "expected the value alone, without `--`; leave it out for the default",
            );
            return None;
        }
        Some(text.to_owned())
    }

    pub(super) fn picture(&mut self, name: &str) -> Option<Picture> {
        let text = self.text(name, MAX_PICTURE)?;
        let from = self.accept(name, Origin::read(&text))?;
        Some(Picture {
            place: name.to_owned(),
            from,
        })
    }

    pub(super) fn pictures(&mut self, name: &str) -> Vec<Picture> {
        let list = match self.value(name) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.object(name, format!("expected a list of pictures, got {}", shape(other)));
                return Vec::new();
            }
        };
        let mut pictures = Vec::new();
        for (place, value) in list.iter().enumerate() {
            let pointer = format!("/{name}/{place}");
            let read = value
                .as_str()
                .ok_or_else(|| format!("expected a text, got {}", shape(value)))
                .and_then(Origin::read);
            match read {
                Ok(from) => pictures.push(Picture {
                    place: format!("{name}/{place}"),
                    from,
                }),
                Err(detail) => self.wrong.push(FieldError::new(pointer, detail)),
            }
        }
        pictures
    }

    pub(super) fn one_of(&mut self, name: &str, allowed: &[u32]) -> Option<u32> {
        let value = self.value(name)?;
        let number = whole(value).and_then(|number| u32::try_from(number).ok());
        if let Some(number) = number.filter(|number| allowed.contains(number)) {
            return Some(number);
        }
        let words: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        self.object(
            name,
            format!("expected one of {}, got {}", words.join(", "), shape(value)),
        );
        None
    }

    /// A version of the model. Held to its form, so that it cannot carry other parameters into the prompt; whether
    /// there is such a version is for the prompt's own rules to say.
    pub(super) fn version(&mut self, name: &str) -> Option<String> {
        let version = match self.value(name)? {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_ascii_lowercase(),
            other => {
                self.object(
                    name,
                    format!(
                        "expected a text such as \"7\" or \"niji 6\", got {}",
                        shape(other)
                    ),
                );
                return None;
            }
        };
        let (niji, number) = match version.strip_prefix("niji") {
            Some(number) => ("niji ", number.trim_start()),
            None => ("", version.as_str()),
        };
        let parts: Vec<&str> = number.split('.').collect();
        let plain = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if (1..=2).contains(&parts.len()) && parts.iter().all(plain) {
            return Some(format!("{niji}{number}"));
        }
        self.object(
            name,
            "expected a version such as \"7\", \"6.1\" or \"niji 6\"; leave it out for the default",
        );
        None
    }

    pub(super) fn job(&mut self, name: &str) -> Option<JobId> {
        match self.handle(name)? {
            Handle::Job(id) => Some(id),
            Handle::Batch(_) => {
                self.object(
                    name,
                    "this names a batch of jobs; give one of its job ids (get_job lists them)",
                );
                None
            }
        }
    }

    pub(super) fn handle(&mut self, name: &str) -> Option<Handle> {
        let id = self.text(name, 100)?;
        let id = id.trim();
        if let Ok(batch) = id.parse::<BatchId>() {
            return Some(Handle::Batch(batch));
        }
        self.accept(name, id.parse::<JobId>()).map(Handle::Job)
    }

    pub(super) fn accept<T>(&mut self, name: &str, result: Result<T, impl Display>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.object(name, error.to_string());
                None
            }
        }
    }
}

/// `45` and `45.0`: JSON from some clients knows no whole numbers.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        format!("{number:.0}").parse().ok()
    })
}

/// What a value is, for a message.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the text {}", text::quoted(text, 40)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
