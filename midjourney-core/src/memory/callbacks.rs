use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

use crate::{
    id::CallbackId,
    job::{CALLBACKS_KEPT, CallbackQuery, CallbackRecord, CallbackTally, KNOWN_AGAIN, Verdict},
    page::Page,
};

/// The callbacks that came in.
#[derive(Default)]
pub(super) struct Callbacks {
    /// Those with a mark.
    heeded: BTreeMap<CallbackId, CallbackRecord>,
    marks: HashSet<[u8; 32]>,
    refused: BTreeMap<CallbackId, CallbackRecord>,
}

impl Callbacks {
    pub(super) fn knows(&self, callback: &CallbackRecord) -> bool {
        callback.mark.is_some_and(|mark| self.marks.contains(&mark))
    }

    pub(super) fn put(&mut self, callback: CallbackRecord) {
        let kept = usize::try_from(CALLBACKS_KEPT).unwrap_or(usize::MAX);
        let Some(mark) = callback.mark else {
            self.refused.insert(callback.id, callback);
            while self.refused.len() > kept {
                self.refused.pop_first();
            }
            return;
        };
        if !self.marks.insert(mark) {
            return;
        }
        let now = callback.at;
        self.heeded.insert(callback.id, callback);
        while self.heeded.len() > kept
            && let Some(oldest) = self.heeded.first_entry()
            && now.saturating_since(oldest.get().at) > KNOWN_AGAIN
        {
            let oldest = oldest.remove();
            oldest.mark.map(|mark| self.marks.remove(&mark));
        }
    }

    pub(super) fn tallies(&self) -> BTreeMap<Verdict, CallbackTally> {
        let mut tallies = BTreeMap::new();
        for callback in self.heeded.values().chain(self.refused.values()) {
            let tally = tallies.entry(callback.verdict).or_insert(CallbackTally {
                count: 0,
                newest: callback.at,
            });
            tally.count = tally.count.saturating_add(1);
            tally.newest = tally.newest.max(callback.at);
        }
        tallies
    }

    pub(super) fn list(&self, query: &CallbackQuery, limit: usize) -> Page<CallbackRecord> {
        let before = query.after.map_or(Bound::Unbounded, |cursor| {
            Bound::Excluded(CallbackId::from_bytes(cursor.key()))
        });
        let newest_first = |of: &'_ BTreeMap<CallbackId, CallbackRecord>| -> Vec<CallbackRecord> {
            let fits = |one: &&CallbackRecord| {
                query.job.is_none_or(|job| one.job == Some(job))
                    && query.verdict.is_none_or(|verdict| one.verdict == verdict)
                    && query.since.is_none_or(|since| one.at >= since)
                    && query
                        .task
                        .as_ref()
                        .is_none_or(|task| one.task.as_ref() == Some(task))
            };
            let older = of.range((Bound::Unbounded, before)).rev().map(|(_, one)| one);
            older
                .filter(fits)
                .take(limit.saturating_add(1))
                .cloned()
                .collect()
        };
        let mut rows = [newest_first(&self.heeded), newest_first(&self.refused)].concat();
        rows.sort_unstable_by_key(|one| Reverse(one.id));
        rows.truncate(limit.saturating_add(1));
        Page::from_probe(rows, limit, |one: &CallbackRecord| *one.id.as_bytes())
    }
}
