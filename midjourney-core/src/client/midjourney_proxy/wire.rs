//! The JSON of the wire, read leniently: the lines of this family disagree about types, so a field of another type is
//! as good as missing, and unknown fields are skipped without being kept.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// How many entries of a list are kept, save for the list of tasks.
const MAX_ENTRIES: usize = 64;

/// `POST /mj/submit/imagine`.
#[derive(Serialize)]
pub(super) struct Imagine<'a> {
    pub(super) prompt: &'a str,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/action`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Press<'a> {
    pub(super) task_id: &'a str,
    pub(super) custom_id: &'a str,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/change`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change<'a> {
    pub(super) task_id: &'a str,
    pub(super) action: &'a str,
    pub(super) index: u8,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// What every submit may carry.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Common<'a> {
    /// Echoed in the task and in callbacks.
    pub(super) state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notify_hook: Option<&'a str>,
}

/// The answer to a submit. `message` belongs to the shape of trueai's middleware.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Submitted {
    pub(super) code: Text,
    pub(super) description: Text,
    pub(super) message: Text,
    pub(super) result: Text,
    pub(super) properties: Loose<SubmitProperties>,
}

/// What comes along with a submit's answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SubmitProperties {
    pub(super) banned_word: Text,
}

/// A task, as fetching it and callbacks give it. `code` and `description` are there when it is not a task at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) id: Text,
    pub(super) action: Text,
    pub(super) status: Text,
    pub(super) progress: Text,
    pub(super) image_url: Text,
    pub(super) image_urls: List<Loose<Link>>,
    pub(super) fail_reason: Text,
    pub(super) state: Text,
    pub(super) seed: Text,
    pub(super) buttons: List<Loose<Button>>,
    pub(super) code: Text,
    pub(super) description: Text,
}

/// One of trueai's picture links.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    pub(super) url: Text,
}

/// A button under a task.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Button {
    pub(super) custom_id: Text,
    pub(super) label: Text,
}

/// A task in a list, as far as looking for a mark needs it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Listed {
    pub(super) id: Text,
    pub(super) state: Text,
}

/// The id of the first task in a list whose `state` is `mark`. Keeps one task at a time: lists are long.
pub(super) fn find_marked(list: &[u8], mark: &str) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_slice(list);
    // A list cut short may still have named the task before the cut.
    let mut found = None;
    let _whole = deserializer.deserialize_seq(MarkVisitor {
        mark,
        found: &mut found,
    });
    found
}

struct MarkVisitor<'a> {
    mark: &'a str,
    found: &'a mut Option<String>,
}

impl<'de> Visitor<'de> for MarkVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(Loose(task)) = seq.next_element::<Loose<Listed>>()? {
            if self.found.is_none() && task.state.as_str() == self.mark {
                *self.found = Some(task.id.as_str().to_owned());
            }
        }
        Ok(())
    }
}

/// A text, or a number as text; empty for anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl Text {
    pub(super) fn as_str(&self) -> &str {
        self.0.trim()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}

/// An object; its default for anything else.
#[derive(Debug, Default)]
pub(super) struct Loose<T>(pub(super) T);

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor(PhantomData))
    }
}

struct LooseVisitor<T>(PhantomData<T>);

impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for LooseVisitor<T> {
    type Value = Loose<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loose<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Loose)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Loose<T>, A::Error> {
        TextVisitor.visit_seq(seq).map(|_| Loose::default())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Loose<T>, E> {
        Ok(Loose::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Loose<T>, E> {
        Ok(Loose::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Loose<T>, E> {
        Ok(Loose::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Loose<T>, E> {
        Ok(Loose::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Loose<T>, E> {
        Ok(Loose::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Loose<T>, E> {
        Ok(Loose::default())
    }
}

/// The first entries of an array; none for anything else.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MAX_ENTRIES {
            match seq.next_element()? {
                Some(entry) => kept.push(entry),
                None => return Ok(List(kept)),
            }
        }
        TextVisitor.visit_seq(seq).map(|_| List(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
        TextVisitor.visit_map(map).map(|_| List::default())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }
}
