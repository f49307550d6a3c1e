//! YAML text to a small tree with places. The only module that knows the parser.
//!
//! A configuration needs maps, scalars and nothing else, so anchors, aliases and tags are refused: what
//! cannot be written cannot be a bomb, and the file stays one that a program can write back.

use std::borrow::Cow;

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::issue::{IssueKind, Refusal};

/// Maps within maps; the configuration itself has two levels.
const MAX_DEPTH: usize = 16;
/// Scalars, lists and maps in one file; the configuration itself has about a hundred.
const MAX_NODES: usize = 5_000;

/// A place in the text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A scalar as it was written. It may be a secret, hence no `Debug`.
pub(super) struct Scalar<'t> {
    pub(super) text: Cow<'t, str>,
    pub(super) quoted: bool,
}

impl<'t> Scalar<'t> {
    /// Text from a place without quotes, such as the environment.
    pub(super) const fn plain(text: &'t str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            quoted: false,
        }
    }

    /// Whether this says "not set": empty, or an unquoted `null` or `~`.
    pub(super) fn is_null(&self) -> bool {
        self.text.is_empty() || (!self.quoted && matches!(&*self.text, "~" | "null" | "Null" | "NULL"))
    }
}

pub(super) enum Value<'t> {
    Scalar(Scalar<'t>),
    List,
    Map(Vec<(Node<'t>, Node<'t>)>),
    /// Something already reported.
    Refused,
}

pub(super) struct Node<'t> {
    pub(super) place: Place,
    pub(super) value: Value<'t>,
}

impl Node<'_> {
    /// The keys of a section, as far as they are texts.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.pairs().filter_map(|(key, _)| key.text())
    }

    /// The value of a key in a section.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let found = self.pairs().find(|(key, _)| key.text() == Some(name));
        found.map(|(_, value)| value)
    }

    fn pairs(&self) -> impl Iterator<Item = &(Self, Self)> {
        let pairs: &[(Self, Self)] = match &self.value {
            Value::Map(pairs) => pairs,
            _ => &[],
        };
        pairs.iter()
    }

    fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }
}

/// A mistake in the text itself.
pub(super) struct Problem {
    pub(super) place: Place,
    pub(super) refusal: Refusal,
}

/// Reads the one document of a file; `None` if there is nothing in it, or a problem that ends the reading.
pub(super) fn read(text: &str) -> (Option<Node<'_>>, Vec<Problem>) {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut reader = Reader::new(text, options);
    let root = reader.document();
    let root = root.unwrap_or_else(|problem| {
        reader.problems.push(problem);
        None
    });
    (root, reader.problems)
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, options: Options) -> Self {
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            nodes: 0,
            problems: Vec::new(),
        }
    }

    fn document(&mut self) -> Result<Option<Node<'t>>, Problem> {
        let mut root = None;
        let mut documents = 0;
        while let Some((event, place)) = self.next()? {
            match event {
                Event::DocumentStart(..) if documents == 1 => {
                    let message = "a second document begins here";
                    return Err(unsupported(
                        place,
                        message,
                        "keep one document: remove this `---` line",
                    ));
                }
                Event::DocumentStart(..) => documents += 1,
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                event => root = Some(self.node(event, place)?),
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Place)>, Problem> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, place(&span.start)))),
            Some(Err(error)) => Err(syntax(&error)),
        }
    }

    /// The node that begins with this event. Its depth is bounded by the parser.
    fn node(&mut self, event: Event<'t>, place: Place) -> Result<Node<'t>, Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("the file has more than {MAX_NODES} values");
            return Err(Problem {
                place,
                refusal: refusal(IssueKind::TooLarge, message, None),
            });
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_node(place, anchor, tag.as_deref());
                Value::Scalar(Scalar {
                    text,
                    quoted: style != ScalarStyle::Plain,
                })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.plain_node(place, anchor, tag.as_deref());
                while let Some((event, place)) = self.next()? {
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    self.node(event, place)?;
                }
                Value::List
            }
            Event::MappingStart(_, anchor, tag) => {
                self.plain_node(place, anchor, tag.as_deref());
                Value::Map(self.pairs()?)
            }
            _ => {
                let mend = "write the value itself in this place";
                self.problems
                    .push(unsupported(place, "aliases are not taken here", mend));
                Value::Refused
            }
        };
        Ok(Node { place, value })
    }

    fn pairs(&mut self) -> Result<Vec<(Node<'t>, Node<'t>)>, Problem> {
        let mut pairs = Vec::new();
        while let Some((event, place)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, place)?;
            let Some((event, place)) = self.next()? else { break };
            pairs.push((key, self.node(event, place)?));
        }
        Ok(pairs)
    }

    fn plain_node(&mut self, place: Place, anchor: usize, tag: Option<&Tag>) {
        if anchor != 0 {
            let mend = "remove the `&name` and write the value wherever it is needed";
            self.problems
                .push(unsupported(place, "anchors are not taken here", mend));
        }
        if tag.is_some() {
            self.problems
                .push(unsupported(place, "tags are not taken here", "remove the `!tag`"));
        }
    }
}

fn place(marker: &Marker) -> Place {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place {
        line: count(marker.line()),
        column: count(marker.col().saturating_add(1)),
    }
}

fn refusal(kind: IssueKind, message: impl Into<String>, mend: Option<&str>) -> Refusal {
    Refusal {
        kind,
        message: message.into(),
        mend: mend.map(str::to_owned),
    }
}

fn unsupported(place: Place, message: &str, mend: &str) -> Problem {
    Problem {
        place,
        refusal: refusal(IssueKind::Unsupported, message, Some(mend)),
    }
}

/// The parser's own words, which hold no text of the file, or better ones where people often need them.
fn syntax(error: &ScanError) -> Problem {
    let (kind, message, mend) = match error.kind() {
        ErrorKind::RecursionLimitExceeded => (
            IssueKind::TooLarge,
            format!("nested deeper than {MAX_DEPTH} levels"),
            None,
        ),
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => (
            IssueKind::Syntax,
            "a tab where only spaces may stand".to_owned(),
            Some("indent with spaces"),
        ),
        ErrorKind::UnexpectedCharacter { .. } => (
            IssueKind::Syntax,
            "a character that may not begin a value".to_owned(),
            Some("put the value in quotes"),
        ),
        ErrorKind::MappingValueNotAllowed => (
            IssueKind::Syntax,
            "a `: ` where none may stand".to_owned(),
            Some("check the indentation; put a value that contains `: ` in quotes"),
        ),
        ErrorKind::SimpleKeyExpected => (
            IssueKind::Syntax,
            "a line that is no `key: value`".to_owned(),
            Some("write a colon and a space between key and value"),
        ),
        ErrorKind::UnclosedQuotedScalar => (
            IssueKind::Syntax,
            "a quote is opened but not closed".to_owned(),
            Some("close the quote"),
        ),
        other => (IssueKind::Syntax, other.to_string(), None),
    };
    Problem {
        place: place(error.marker()),
        refusal: refusal(kind, message, mend),
    }
}
