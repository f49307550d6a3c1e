//! From rows of `callbacks` to values of the domain.

use midjourney_core::{
    id::{CallbackId, JobId},
    job::{AccountName, CallbackRecord, CallbackTally, StoreError, UpstreamId, Verdict},
};

use super::{Cell, Value, name};

/// The columns of [`RawCallback`], in its order.
pub(crate) const CALLBACK: &str = "id, received_at, account, job, task, verdict, detail, bytes, source, mark";

/// A verdict, how many there are, and when the newest came.
pub(crate) struct RawTally(pub(crate) [Value; 3]);

impl RawTally {
    pub(crate) fn decode(self) -> Result<(Verdict, CallbackTally), StoreError> {
        let [verdict, count, newest] = self.0;
        let row = String::new;
        let cell = |column, value| Cell {
            table: "callbacks",
            row: &row,
            column,
            value,
        };
        let tally = CallbackTally {
            count: cell("count", count).number()?,
            newest: cell("received_at", newest).time()?,
        };
        Ok((known_verdict(&cell("verdict", verdict))?, tally))
    }
}

fn known_verdict(cell: &Cell<'_>) -> Result<Verdict, StoreError> {
    let known = Verdict::ALL.get(cell.number::<usize>()?).copied();
    known.ok_or_else(|| cell.corrupt("no verdict has that number"))
}

/// A row of `callbacks`.
pub(crate) struct RawCallback(pub(crate) [Value; 10]);

impl RawCallback {
    /// The callback in it.
    pub(crate) fn decode(self) -> Result<CallbackRecord, StoreError> {
        let [id, at, account, job, task, verdict, detail, bytes, source, mark] = self.0;
        let own = id.clone();
        let row = || name(&own, |id| CallbackId::from_bytes(id).to_string());
        let cell = |column, value| Cell {
            table: "callbacks",
            row: &row,
            column,
            value,
        };
        let mut callback = CallbackRecord::new(
            CallbackId::from_bytes(cell("id", id).blob()?),
            cell("received_at", at).time()?,
            cell("bytes", bytes).number()?,
            cell("source", source).optional(|source| source.text_with(|text| Ok(text.parse()?)))?,
            known_verdict(&cell("verdict", verdict))?,
        );
        callback.account = cell("account", account)
            .optional(Cell::text)?
            .map(AccountName::new);
        callback.job = cell("job", job)
            .optional(|job| job.blob())?
            .map(JobId::from_bytes);
        callback.task = cell("task", task).optional(Cell::text)?.map(UpstreamId::new);
        callback.detail = cell("detail", detail).text()?;
        callback.mark = cell("mark", mark).optional(|mark| mark.blob())?;
        Ok(callback)
    }
}
