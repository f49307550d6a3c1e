//! A file that says which submits go wrong: JSON lines, one rule each.
//!
//! ```json
//! {"submit": 3, "fault": "lost"}
//! {"word": "fox", "fault": "banned", "times": 2}
//! ```
//!
//! The first rule is for the third submit, the second for the first two whose prompt holds the word `fox`. A rule for
//! a word without `times` holds for all of them. Empty lines and lines that begin with `#` are skipped.

use serde::Deserialize;

use super::Fault;

/// How many rules a script may have.
const MAX_RULES: usize = 10_000;

/// How long a script may be, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Which submits go wrong, and how. The default lets all of them pass.
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<Rule>);

/// The text is no script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// A line is no rule.
    #[error("line {line} of the script is no rule such as {{\"submit\": 3, \"fault\": \"lost\"}}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// There is more of it than is read.
    #[error("a script has at most {MAX_RULES} rules and {MAX_BYTES} bytes")]
    TooLong,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Line")]
struct Rule {
    when: When,
    fault: Fault,
    times: Option<u64>,
}

#[derive(Clone, Debug)]
enum When {
    /// The n-th submit, from 1.
    Submit(u64),
    /// Submits whose prompt holds this word.
    Word(String),
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    submit: Option<u64>,
    word: Option<String>,
    fault: Fault,
    times: Option<u64>,
}

impl TryFrom<Line> for Rule {
    type Error = &'static str;

    fn try_from(line: Line) -> Result<Self, Self::Error> {
        let when = match (line.submit, line.word) {
            (Some(number), None) => When::Submit(number),
            (None, Some(word)) => When::Word(word),
            _ => return Err("a rule names either a `submit` or a `word`"),
        };
        Ok(Self {
            when,
            fault: line.fault,
            times: line.times,
        })
    }
}

impl Script {
    /// Reads a script.
    pub fn read(text: &str) -> Result<Self, ScriptError> {
        if text.len() > MAX_BYTES {
            return Err(ScriptError::TooLong);
        }
        let mut rules = Vec::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if rules.len() == MAX_RULES {
                return Err(ScriptError::TooLong);
            }
            let rule = serde_json::from_str(text).map_err(|source| ScriptError::Line { line, source })?;
            rules.push(rule);
        }
        Ok(Self(rules))
    }

    /// What goes wrong with submit `number`. Counts the rules that are used up.
    pub(super) fn faults(&mut self, number: u64, prompt: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        for rule in &mut self.0 {
            let meant = match &rule.when {
                When::Submit(n) => *n == number,
                When::Word(wanted) => prompt.split_whitespace().any(|word| word == wanted),
            };
            if !meant || rule.times == Some(0) {
                continue;
            }
            rule.times = rule.times.map(|left| left - 1);
            faults.push(rule.fault);
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hold_for_their_submits() {
        let text = "# a script\n\n{\"submit\":2,\"fault\":\"lost\"}\n{\"word\":\"fox\",\"fault\":\"banned\",\"times\":1}";
        let mut script = Script::read(text).unwrap();
        assert_eq!(script.faults(1, "a fox"), [Fault::Banned]);
        assert_eq!(script.faults(2, "a fox"), [Fault::Lost]);
        assert_eq!(script.faults(3, "a fox"), []);
    }

    #[test]
    fn what_is_no_rule_is_told_with_its_line() {
        for bad in [
            "\n{",
            "\n{\"fault\":\"lost\"}",
            "\n{\"submit\":1,\"fault\":\"no\"}",
            "\n[]",
        ] {
            let error = Script::read(bad).unwrap_err();
            assert!(
                matches!(error, ScriptError::Line { line: 2, .. }),
                "{bad}: {error}"
            );
        }
        assert!(matches!(
            Script::read(&" ".repeat(MAX_BYTES + 1)),
            Err(ScriptError::TooLong)
        ));
    }
}
