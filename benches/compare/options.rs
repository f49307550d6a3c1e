//! What the command line says.

use std::collections::HashMap;

use crate::Outcome;

/// `--name value`, each with a value.
#[derive(Debug)]
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = HashMap::new();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| format!("{word} is no option"))?;
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            options.insert(name.to_owned(), value);
        }
        Ok(Self(options))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }

    pub(crate) fn number(&self, name: &str, default: u64) -> Outcome<u64> {
        let text = self.get(name);
        text.map_or(Ok(default), |text| {
            text.parse()
                .map_err(|_| format!("--{name} {text}: expected a whole number").into())
        })
    }

    /// Whole numbers with commas between them.
    pub(crate) fn numbers(&self, name: &str, default: &str) -> Outcome<Vec<u64>> {
        let text = self.text(name, default);
        let numbers: Result<Vec<u64>, _> = text.split(',').map(|word| word.trim().parse()).collect();
        numbers.map_err(|_| format!("--{name} {text}: expected whole numbers, such as 1,64,256").into())
    }

    /// The program that everything is about.
    pub(crate) fn ours(&self) -> Outcome<&str> {
        self.get("ours").ok_or_else(|| "--ours PROGRAM is missing".into())
    }
}
