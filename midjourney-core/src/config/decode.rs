//! From the tree of a file and the environment to typed values, and from values to a list of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::Config;
use super::check;
use super::env::EnvValue;
use super::issue::{IssueKind, Origin, Refusal, Report};
use super::kind::Kind;
use super::schema::{self, ACCOUNTS, Visitor};
use super::source::Source;
use super::suggest::{nearest, speakable};
use super::yaml::{self, Node, Place, Scalar, Value};

/// No single value needs more.
const MAX_VALUE_BYTES: usize = 4096;

/// Where each value that somebody set comes from.
pub(super) type Origins = BTreeMap<String, Origin>;

/// One key of the configuration with its value and where that comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The key, such as `server.port`.
    pub path: String,
    /// The value; for a secret `"set"` or null.
    pub value: Json,
    /// Whether the key holds a secret.
    pub secret: bool,
    /// Where the value comes from.
    pub origin: Origin,
}

/// The values of a file by key. Everything that is no value of a known key is reported.
pub(super) struct FileValues<'t> {
    source: &'t Source,
    root: Option<Node<'t>>,
    values: BTreeMap<String, Node<'t>>,
}

impl<'t> FileValues<'t> {
    /// Reads the text; [`Self::take`] looks at what it says.
    pub(super) fn read(source: &'t Source, report: &mut Report) -> Self {
        let mut file = Self {
            source,
            root: None,
            values: BTreeMap::new(),
        };
        if source.text().len() > super::MAX_FILE_BYTES {
            let message = format!("the text is longer than {} bytes", super::MAX_FILE_BYTES);
            let refusal = Refusal {
                kind: IssueKind::TooLarge,
                message,
                mend: None,
            };
            report.issue("", file.origin(Place { line: 1, column: 1 }), refusal, None);
            return file;
        }
        let (root, problems) = yaml::read(source.text());
        for problem in problems {
            report.issue("", file.origin(problem.place), problem.refusal, None);
        }
        file.root = root;
        file
    }

    /// The names in `section` at the top of the file that can be those of accounts.
    pub(super) fn names(&self, section: &str) -> Vec<String> {
        let inside = self.root.as_ref().and_then(|root| root.get(section));
        let names = inside.into_iter().flat_map(Node::keys);
        names
            .filter(|name| check::is_section_name(name))
            .map(str::to_owned)
            .collect()
    }

    /// Takes the values of `paths`; what else there is, is reported.
    pub(super) fn take(&mut self, paths: &[String], report: &mut Report) {
        if let Some(root) = self.root.take() {
            self.section("", root, paths, report);
        }
    }

    fn origin(&self, place: Place) -> Origin {
        Origin::File {
            name: self.source.name().to_owned(),
            line: place.line,
            column: place.column,
        }
    }

    /// Takes the keys of one section; the whole file is the section without a name.
    fn section(&mut self, section: &str, node: Node<'t>, paths: &[String], report: &mut Report) {
        let pairs = match node.value {
            Value::Map(pairs) => pairs,
            Value::Refused => return,
            Value::Scalar(scalar) if scalar.is_null() => return,
            Value::Scalar(_) | Value::List => {
                let refusal = Refusal::wrong_type(match node.value {
                    Value::List => "a list, not a section",
                    _ => "a single value, not a section",
                });
                let expected = names_in(section, paths).join(", ");
                report.issue(
                    section,
                    self.origin(node.place),
                    refusal,
                    Some(format!("the keys {expected}")),
                );
                return;
            }
        };
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for (key, value) in pairs {
            let origin = self.origin(key.place);
            let Value::Scalar(Scalar { text: name, .. }) = key.value else {
                let refusal = Refusal::wrong_type("a key that is no text");
                report.issue(section, origin, refusal, None);
                continue;
            };
            let path = join(section, speakable(&name).unwrap_or("(not shown)"));
            if let Some(first) = seen.insert((*name).to_owned(), key.place.line) {
                let refusal = Refusal {
                    kind: IssueKind::DuplicateKey,
                    message: format!("this key is already on line {first}"),
                    mend: Some("remove one of them".to_owned()),
                };
                report.issue(path, origin, refusal, None);
                continue;
            }
            // `server.port:` at the top is no way to write a key of a section.
            let known = paths.contains(&path) && !name.contains('.');
            if known {
                self.values.insert(path, value);
            } else if !name.contains('.') && is_section(&path, paths) {
                self.section(&path, value, paths, report);
            } else {
                let expected = match section {
                    ACCOUNTS => check::SECTION_NAME.to_owned(),
                    _ => format!("one of {}", names_in(section, paths).join(", ")),
                };
                report.issue(
                    path.as_str(),
                    origin,
                    unknown(section, &name, paths),
                    Some(expected),
                );
            }
        }
    }
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

fn is_section(path: &str, paths: &[String]) -> bool {
    path == ACCOUNTS || !names_in(path, paths).is_empty()
}

/// The keys and sections in a section; the whole file is the section without a name.
fn names_in<'p>(section: &str, paths: &'p [String]) -> Vec<&'p str> {
    let inside = paths.iter().filter_map(|path| match section {
        "" => Some(path.as_str()),
        _ => path.strip_prefix(section)?.strip_prefix('.'),
    });
    let mut names: Vec<&str> = inside
        .map(|path| path.split_once('.').map_or(path, |(first, _)| first))
        .collect();
    names.dedup();
    names
}

fn unknown(section: &str, name: &str, paths: &[String]) -> Refusal {
    if section == ACCOUNTS {
        return Refusal::invalid("this is no name for an account");
    }
    let elsewhere = || {
        let mut fitting = paths
            .iter()
            .filter_map(|path| path.split_once('.'))
            .filter(|(_, key)| *key == name);
        let (home, _) = fitting.next()?;
        fitting
            .next()
            .is_none()
            .then(|| format!("`{name}` belongs into the section `{home}`"))
    };
    let dotted = || {
        let (home, key) = paths.iter().find(|path| *path == name)?.split_once('.')?;
        section
            .is_empty()
            .then(|| format!("write the section `{home}:` and `{key}:` indented below it"))
    };
    let near = || nearest(name, names_in(section, paths)).map(|meant| format!("did you mean `{meant}`?"));
    Refusal {
        kind: IssueKind::UnknownKey,
        message: "unknown key".to_owned(),
        mend: dotted().or_else(elsewhere).or_else(near),
    }
}

/// Sets every key of a configuration that the file or the environment names.
pub(super) struct Decoder<'a, 't> {
    pub(super) file: Option<FileValues<'t>>,
    pub(super) overlay: BTreeMap<String, EnvValue<'a>>,
    pub(super) report: &'a mut Report,
    pub(super) origins: Origins,
}

impl Decoder<'_, '_> {
    fn set<T>(&mut self, path: &str, scalar: &Scalar<'_>, origin: Origin, kind: &impl Kind<T>) -> Option<T> {
        let length = scalar.text.len();
        let read = if length > MAX_VALUE_BYTES {
            let message = format!("the value has {length} bytes, more than {MAX_VALUE_BYTES}");
            Err(Refusal {
                kind: IssueKind::TooLarge,
                message,
                mend: None,
            })
        } else {
            kind.read(scalar)
        };
        match read {
            Ok(value) => {
                self.origins.insert(path.to_owned(), origin);
                Some(value)
            }
            Err(refusal) => {
                self.report.issue(path, origin, refusal, Some(kind.expected()));
                None
            }
        }
    }
}

impl Visitor for Decoder<'_, '_> {
    fn key<T: Clone>(&mut self, path: &str, slot: &mut T, kind: impl Kind<T>) {
        let default = slot.clone();
        if let Some(file) = &mut self.file
            && let Some(node) = file.values.remove(path)
        {
            let origin = file.origin(node.place);
            let what = match &node.value {
                Value::Scalar(scalar) if scalar.is_null() => None,
                Value::Scalar(scalar) => {
                    if let Some(value) = self.set(path, scalar, origin.clone(), &kind) {
                        *slot = value;
                    }
                    None
                }
                Value::List => Some("a list, not a single value"),
                Value::Map(_) => Some("a section, not a single value"),
                Value::Refused => None,
            };
            if let Some(what) = what {
                self.report
                    .issue(path, origin, Refusal::wrong_type(what), Some(kind.expected()));
            }
        }
        if let Some(value) = self.overlay.get(path).copied() {
            if is_secret(&kind)
                && let Some(in_file) = self.origins.get(path).cloned()
            {
                let message = format!("is not used because {} is set", value.variable);
                self.report
                    .warning(path, in_file, message, "remove it from the file");
            }
            let scalar = Scalar::plain(value.text);
            if scalar.is_null() {
                *slot = default;
                self.origins.insert(path.to_owned(), value.origin());
            } else if let Some(value) = self.set(path, &scalar, value.origin(), &kind) {
                *slot = value;
            }
        }
    }
}

fn is_secret<T, K: Kind<T>>(_: &K) -> bool {
    K::SECRET
}

/// Every key with its value, in the order of the schema.
pub(super) fn entries(config: &Config) -> Vec<Entry> {
    struct Lister<'c> {
        origins: &'c Origins,
        entries: Vec<Entry>,
    }
    impl Visitor for Lister<'_> {
        fn key<T: Clone>(&mut self, path: &str, slot: &mut T, kind: impl Kind<T>) {
            self.entries.push(Entry {
                path: path.to_owned(),
                value: kind.show(slot),
                secret: is_secret(&kind),
                origin: self.origins.get(path).cloned().unwrap_or(Origin::Default),
            });
        }
    }
    let mut lister = Lister {
        origins: &config.origins,
        entries: Vec::new(),
    };
    schema::visit(&mut config.clone(), &mut lister);
    lister.entries
}
