//! The list of all tasks, read once for everybody who asks for it at the same time: after an outage there are hundreds
//! of lost submits to look for, and lists are long.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{
    Deserialize,
    de::{Deserializer as _, SeqAccess, Visitor},
};
use tokio::sync::Mutex;

use crate::{
    client::{
        ClientError,
        http::{Loose, Text},
    },
    job::{Failure, Nonce},
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

#[derive(Debug)]
struct Look {
    number: u64,
    /// `None` where the upstream has no list that can be read; else why it gave none, and how long it asked to wait.
    seen: Result<Option<Arc<Marked>>, (Failure, Option<Duration>)>,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            number: 0,
            seen: Ok(None),
        }
    }
}

impl Looks {
    /// What a look shows that begins after this call: that of somebody else, who was waiting as well, or `look`. `None`
    /// where there is no list that can be read. A look that fails has failed for all who share it; one that is cut off is
    /// made anew.
    pub(super) async fn share(
        &self,
        look: impl Future<Output = Result<Option<Marked>, ClientError>>,
    ) -> Result<Option<Arc<Marked>>, ClientError> {
        let arrived = self.begun.load(Ordering::SeqCst);
        let mut latest = self.latest.lock().await;
        if latest.number > arrived {
            let seen = latest.seen.clone();
            return seen.map_err(|(failure, after)| ClientError::not_now(failure, after));
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let seen = look.await.map(|marked| marked.map(Arc::new));
        latest.number = number;
        latest.seen = match &seen {
            Ok(marked) => Ok(marked.clone()),
            Err(error) => Err((error.failure.clone(), error.retry_after)),
        };
        seen
    }
}

#[cfg(test)]
mod tests {
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
            Ok(Some(Marked::default()))
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

    /// Nobody knows what it would have shown.
    #[tokio::test]
    async fn a_look_that_is_cut_off_is_shared_by_nobody() {
        let looks = Looks::default();
        let (end, first) = tokio::sync::oneshot::channel();
        let mut first = Box::pin(looks.share(async { Ok(first.await.ok()) }));
        let mut cut = Box::pin(looks.share(std::future::pending()));
        let mut waits = Box::pin(looks.share(async { Ok(Some(Marked::default())) }));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut cut).is_pending());
        assert!(futures_util::poll!(&mut waits).is_pending());
        end.send(Marked::default()).unwrap();
        assert!(first.await.unwrap().is_some());
        assert!(futures_util::poll!(&mut cut).is_pending());
        drop(cut);
        assert!(waits.await.unwrap().is_some());
    }
}
