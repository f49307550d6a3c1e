//! The environment overlay: `MIDJOURNEY__SERVER__PORT=9000` for every key.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::issue::{IssueKind, Origin, Refusal, Report};
use super::suggest;

/// What every overlay variable begins with; the same two underscores separate its levels.
pub const ENV_PREFIX: &str = "MIDJOURNEY__";

/// Short names for the two keys that are set this way most.
const SHORT_NAMES: [(&str, &str); 2] = [
    ("MIDJOURNEY_API_KEY", "api.midjourney_key"),
    ("MIDJOURNEY_DATA_DIR", "data_dir"),
];

/// The environment variables that concern the configuration, as they were at one moment.
///
/// Values may be secrets, so only names are ever printed.
#[derive(Clone, Default)]
pub struct Environment {
    /// `None` stands for a value that is not UTF-8.
    variables: BTreeMap<String, Option<SecretString>>,
}

impl Environment {
    /// No variables.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os())
    }

    /// Keeps the pairs whose name begins with `MIDJOURNEY_`.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
            .filter(|(name, _)| name.starts_with("MIDJOURNEY_"))
            .map(|(name, value)| (name, value.into_string().ok().map(SecretString::from)))
            .collect();
        Self { variables }
    }

    /// The values by key. Variables that fit no key are reported.
    pub(super) fn overlay(&self, paths: &[String], report: &mut Report) -> BTreeMap<String, EnvValue<'_>> {
        let mut overlay: BTreeMap<String, EnvValue<'_>> = BTreeMap::new();
        for (name, value) in &self.variables {
            let Some(path) = self.path_of(name, paths, report) else {
                continue;
            };
            let Some(value) = value else {
                let refusal = Refusal::wrong_type("the value is not UTF-8 text");
                report.issue(path, origin(name), refusal, None);
                continue;
            };
            let value = EnvValue {
                variable: name,
                text: value.expose_secret(),
            };
            if value.text.is_empty() {
                continue;
            }
            // Short names come first: capital letters sort before the second underscore.
            match overlay.entry(path.to_owned()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(value);
                }
                Entry::Occupied(kept) => {
                    let message = format!("is not used because {} is set as well", kept.get().variable);
                    report.warning(path, value.origin(), message, "set only one of them");
                }
            }
        }
        overlay
    }

    fn path_of<'p>(&self, name: &str, paths: &'p [String], report: &mut Report) -> Option<&'p str> {
        if let Some((_, path)) = SHORT_NAMES.iter().find(|(short, _)| *short == name) {
            return Some(path);
        }
        let found = paths
            .iter()
            .map(String::as_str)
            .find(|path| variable(path) == name);
        if found.is_some() {
            return found;
        }
        if name.starts_with(ENV_PREFIX) {
            report.issue("", origin(name), unknown(name, paths), None);
        } else if let Some(path) = paths
            .iter()
            .find(|path| variable(path).replace("__", "_") == name)
        {
            let meant = variable(path);
            let mend = format!("two underscores separate the levels: {meant}");
            if !self.variables.contains_key(&meant) {
                report.warning(path, origin(name), "this variable is not read", &mend);
            }
        }
        None
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.keys()).finish()
    }
}

/// One variable that sets a key.
#[derive(Clone, Copy)]
pub(super) struct EnvValue<'e> {
    pub(super) variable: &'e str,
    pub(super) text: &'e str,
}

impl EnvValue<'_> {
    pub(super) fn origin(&self) -> Origin {
        origin(self.variable)
    }
}

/// The overlay variable of a key: `MIDJOURNEY__SERVER__PORT` for `server.port`.
pub fn variable(path: &str) -> String {
    // No shell sets a variable with a `-`, which the names of accounts may have.
    format!(
        "{ENV_PREFIX}{}",
        path.replace('.', "__").replace('-', "_").to_uppercase()
    )
}

fn origin(variable: &str) -> Origin {
    Origin::Env {
        variable: variable.to_owned(),
    }
}

fn unknown(name: &str, paths: &[String]) -> Refusal {
    let variables: Vec<String> = paths.iter().map(|path| variable(path)).collect();
    let section = format!("{name}__");
    let message = if variables.iter().any(|variable| variable.starts_with(&section)) {
        "this variable names a section, only single keys can be set"
    } else {
        "this variable fits no key"
    };
    let mend = suggest::nearest(name, variables.iter().map(String::as_str))
        .map(|meant| format!("did you mean {meant}?"));
    Refusal {
        kind: IssueKind::UnknownKey,
        message: message.to_owned(),
        mend,
    }
}
