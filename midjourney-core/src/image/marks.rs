//! What people put on pictures.

use std::{borrow::Cow, collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// The most tags of one picture.
pub const MAX_TAGS: usize = 20;

/// A word that somebody files a picture under: 1 to 40 letters, digits, `-` and `_`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text cannot be a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag is 1 to 40 letters, digits, - and _")]
pub struct InvalidTag;

impl FromStr for Tag {
    type Err = InvalidTag;

    /// Capitals are taken as small letters.
    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let text = text.to_lowercase();
        let plain = text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        let length = text.chars().count();
        (plain && (1..=40).contains(&length))
            .then_some(Self(text))
            .ok_or(InvalidTag)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|error| de::Error::custom(format!("{error}, not {text:?}")))
    }
}

/// What people have put on a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marks {
    /// Kept, whatever retention says.
    pub pinned: bool,
    /// What it is filed under.
    pub tags: BTreeSet<Tag>,
}

impl Marks {
    /// The marks after `change`.
    pub fn after(&self, change: &MarkChange) -> Self {
        Self {
            pinned: change.pinned.unwrap_or(self.pinned),
            tags: change.tags.clone().unwrap_or_else(|| self.tags.clone()),
        }
    }
}

/// What is to become of a picture's marks; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MarkChange {
    /// Whether it is pinned from now on.
    pub pinned: Option<bool>,
    /// All its tags from now on, [`MAX_TAGS`] at most.
    pub tags: Option<BTreeSet<Tag>>,
}

impl MarkChange {
    /// Pins the picture, or unpins it.
    pub fn pin(pinned: bool) -> Self {
        Self {
            pinned: Some(pinned),
            ..Self::default()
        }
    }

    /// Gives the picture these tags and no others.
    pub fn tag(tags: BTreeSet<Tag>) -> Self {
        Self {
            tags: Some(tags),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_plain_words() {
        for (text, tag) in [
            ("Cats", Some("cats")),
            ("shot_2-b", Some("shot_2-b")),
            ("狐", Some("狐")),
        ] {
            assert_eq!(text.parse::<Tag>().ok().as_ref().map(Tag::as_str), tag);
        }
        for text in ["", "two words", "a,b", "a:b", "x\u{0}", &"x".repeat(41)] {
            assert_eq!(text.parse::<Tag>(), Err(InvalidTag), "{text:?}");
        }
    }
}
