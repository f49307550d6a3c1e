//! The list of all tasks, read once for everybody who asks for it at the same time: after an outage there are hundreds
//! of lost submits to look for, and lists are long.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{
    Deserialize,
    de::{Deserializer as _, SeqAccess, Visitor},
};
use tokio::sync::Mutex;

use crate::{
    client::http::{Loose, Text},
    job::Nonce,
};

/// A task in a list, as far as looking for a mark needs it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    id: Text,
    state: Text,
}

/// The length of a mark of ours.
const MARK: usize = 32;

/// The tasks of a list that bear a mark in their `state`; the first of each.
#[derive(Debug, Default)]
pub(super) struct Marked(HashMap<String, String>);

impl Marked {
    /// Reads a list one task at a time. One that is cut short may still have named a task before the cut.
    pub(super) fn read(list: &[u8]) -> Self {
        let mut marked = Self::default();
        let _whole = serde_json::Deserializer::from_slice(list).deserialize_seq(&mut marked);
        marked
    }

    /// The id of the task that bears `mark`.
    pub(super) fn find(&self, mark: &Nonce) -> Option<&str> {
        self.0.get(mark.as_str()).map(String::as_str)
    }
}

impl<'de> Visitor<'de> for &mut Marked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(Loose(task)) = seq.next_element::<Loose<Listed>>()? {
            if task.state.as_str().len() == MARK {
                let mark = task.state.as_str().to_owned();
                self.0.entry(mark).or_insert_with(|| task.id.as_str().to_owned());
            }
        }
        Ok(())
    }
}

/// Looks at the list, one at a time.
#[derive(Debug, Default)]
pub(super) struct Looks {
    begun: AtomicU64,
    latest: Mutex<Look>,
}

#[derive(Debug, Default)]
struct Look {
    number: u64,
    /// `None` where it failed.
    seen: Option<Arc<Marked>>,
}

impl Looks {
    /// What a look shows that begins after this call: that of somebody else, who was waiting as well, or `look`. `None`
    /// where the list could not be read.
    pub(super) async fn share<E>(
        &self,
        look: impl Future<Output = Result<Option<Marked>, E>>,
    ) -> Result<Option<Arc<Marked>>, E> {
        let arrived = self.begun.load(Ordering::SeqCst);
        let mut latest = self.latest.lock().await;
        if latest.number > arrived {
            return Ok(latest.seen.clone());
        }
        // Noted before the look: whoever waits for one that fails has waited long enough.
        let number = self.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        *latest = Look { number, seen: None };
        latest.seen = look.await?.map(Arc::new);
        Ok(latest.seen.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::clock::OsEntropy;

    #[test]
    fn a_list_that_is_cut_short_tells_of_the_tasks_before_the_cut() {
        let [one, two] = [Nonce::new(&OsEntropy), Nonce::new(&OsEntropy)];
        let list = format!(
            r#"[{{"id":"7","state":"{one}"}},{{"id":"8","state":"{one}"}},{{"id":9,"state":"{two}"}},{{"id":"10","st"#,
            one = one.as_str(),
            two = two.as_str()
        );
        let marked = Marked::read(list.as_bytes());
        assert_eq!((marked.find(&one), marked.find(&two)), (Some("7"), Some("9")));
        assert_eq!(marked.find(&Nonce::new(&OsEntropy)), None);
    }

    /// Somebody whose task was taken in after a look began may not be told by that look.
    #[tokio::test]
    async fn who_comes_during_a_look_shares_the_next() {
        let looks = Looks::default();
        let count = AtomicU64::new(0);
        let look = || async {
            count.fetch_add(1, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(Some(Marked::default()))
        };
        let late = async {
            tokio::task::yield_now().await;
            tokio::join!(looks.share(look()), looks.share(look()), looks.share(look()))
        };
        let (first, late) = tokio::join!(looks.share(look()), late);
        assert!(first.unwrap().is_some() && late.2.unwrap().is_some());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert!(looks.share(look()).await.unwrap().is_some());
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }
}
