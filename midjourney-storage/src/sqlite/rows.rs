//! From rows to values of the domain. Whatever cannot be read becomes [`StoreError::Corrupt`] with its table, row and
//! column; nothing is guessed and nothing is skipped in silence.

use midjourney_core::{
    budget::Credits,
    clock::Timestamp,
    error::BoxError,
    id::{BatchId, ImageId, JobId, UploadId},
    image::{Image, ImageDigest, ImageKind, MediaType, Upload},
    job::{
        AccountName, Charge, Event, EventKind, Job, JobRequest, Life, Owner, Position, Status, StoreError,
    },
};
use rusqlite::{Row, types::Value};

use super::stored::{self, EventBody};

/// The columns of [`RawJob`], in its order.
pub(super) const JOB: &str = "id, version, sequence, owner, account, batch, created_at, updated_at, cost, charge, charged_at, request, life";
/// The columns of [`RawEvent`], in its order, from `events`.
pub(super) const EVENT: &str =
    "position, (SELECT id FROM jobs WHERE row = events.job) AS job_id, sequence, at, body";
/// The same from `jobs`: the first event of each.
pub(super) const FIRST_EVENT: &str =
    "row AS position, id AS job_id, 1 AS sequence, created_at AS at, NULL AS body";
/// The columns of [`RawUpload`], in its order.
pub(super) const UPLOAD: &str = "id, owner, key, digest, bytes, media_type, width, height, created_at";
/// The columns of [`RawImage`], in its order.
pub(super) const IMAGE: &str =
    "id, job, owner, kind, number, key, digest, bytes, media_type, width, height, source_url, created_at";

/// The number that stands for a status in a column.
pub(super) const fn status_code(status: Status) -> i64 {
    match status {
        Status::Pending => 0,
        Status::Processing => 1,
        Status::Completed => 2,
        Status::Failed => 3,
        Status::Cancelled => 4,
        Status::Expired => 5,
    }
}

/// The number that stands for a kind of image in a column; the grid sorts first.
pub(super) const fn kind_code(kind: ImageKind) -> Option<i64> {
    match kind {
        ImageKind::Grid => Some(0),
        ImageKind::Single => Some(1),
        _ => None,
    }
}

/// Unsigned numbers live in signed columns; nothing here comes near the end of either.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The same for lengths.
pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One column of one row on its way into the domain.
pub(super) struct Cell<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a dyn Fn() -> String,
    pub(super) column: &'static str,
    pub(super) value: Value,
}

impl Cell<'_> {
    pub(super) fn corrupt(&self, source: impl Into<BoxError>) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            row: (self.row)(),
            column: self.column,
            source: source.into(),
        }
    }

    pub(super) fn text(self) -> Result<String, StoreError> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.corrupt("not text")),
        }
    }

    fn int(&self) -> Result<i64, StoreError> {
        match self.value {
            Value::Integer(number) => Ok(number),
            _ => Err(self.corrupt("not a whole number")),
        }
    }

    pub(super) fn number<T: TryFrom<i64>>(&self) -> Result<T, StoreError> {
        T::try_from(self.int()?).map_err(|_| self.corrupt("out of range"))
    }

    pub(super) fn blob<const N: usize>(&self) -> Result<[u8; N], StoreError> {
        match &self.value {
            Value::Blob(bytes) => {
                <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| self.corrupt(format!("not {N} bytes")))
            }
            _ => Err(self.corrupt(format!("not {N} bytes"))),
        }
    }

    pub(super) fn time(&self) -> Result<Timestamp, StoreError> {
        self.int().map(Timestamp::from_millis)
    }

    /// What `read` makes of it; `None` for one that is empty.
    pub(super) fn optional<T>(
        self,
        read: impl FnOnce(Self) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if self.is_null() {
            return Ok(None);
        }
        read(self).map(Some)
    }

    const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }
}

/// A row's name in errors: its id where that can be read, else its bytes.
pub(super) fn name(value: &Value, id: impl Fn([u8; 16]) -> String) -> String {
    match value {
        Value::Blob(bytes) => {
            <[u8; 16]>::try_from(bytes.as_slice()).map_or_else(|_| format!("{bytes:02x?}"), id)
        }
        other => format!("{other:?}"),
    }
}

/// A row of `jobs` as SQLite gave it, so that it can be decoded off the thread that read it.
#[derive(Debug)]
pub(super) struct RawJob([Value; 13]);

impl RawJob {
    /// Takes the columns [`JOB`], of which the first is number `from`.
    pub(super) fn read(row: &Row<'_>, from: usize) -> rusqlite::Result<Self> {
        values(row, from).map(Self)
    }

    /// The job in it.
    pub(super) fn decode(self) -> Result<Job, StoreError> {
        self.decode_as(|created, life| {
            if life.is_null() {
                Ok(Life::new(created.time()?))
            } else {
                life.text_with(stored::read)
            }
        })
    }

    /// The job in it, but living `life`; the stored one is not looked at.
    pub(super) fn decode_with(self, life: Life) -> Result<Job, StoreError> {
        self.decode_as(|_, _| Ok(life))
    }

    fn decode_as(
        self,
        life: impl FnOnce(Cell<'_>, Cell<'_>) -> Result<Life, StoreError>,
    ) -> Result<Job, StoreError> {
        let [
            id,
            version,
            sequence,
            owner,
            account,
            batch,
            created,
            updated,
            cost,
            charge,
            charged,
            request,
            raw_life,
        ] = self.0;
        let key = id.clone();
        let row = || name(&key, |id| JobId::from_bytes(id).to_string());
        let cell = |column, value| Cell {
            table: "jobs",
            row: &row,
            column,
            value,
        };
        let batch = cell("batch", batch);
        let created = cell("created_at", created);
        let (charge, charged) = (cell("charge", charge), cell("charged_at", charged));
        let cost = Credits::from_thousandths(cell("cost", cost).number()?);
        let charge = Charge {
            cost: if charge.is_null() {
                cost
            } else {
                Credits::from_thousandths(charge.number()?)
            },
            at: if charged.is_null() {
                created.time()?
            } else {
                charged.time()?
            },
        };
        Ok(Job::restore(
            JobId::from_bytes(cell("id", id).blob()?),
            cell("version", version).number()?,
            cell("sequence", sequence).number()?,
            Owner::new(cell("owner", owner).text()?),
            AccountName::new(cell("account", account).text()?),
            if batch.is_null() {
                None
            } else {
                Some(BatchId::from_bytes(batch.blob()?))
            },
            cell("request", request).text_with(stored::read::<JobRequest>)?,
            life(created, cell("life", raw_life))?,
            cost,
            charge,
            cell("updated_at", updated).time()?,
        ))
    }
}

impl Cell<'_> {
    pub(super) fn text_with<T>(
        self,
        parse: impl FnOnce(&str) -> Result<T, BoxError>,
    ) -> Result<T, StoreError> {
        match &self.value {
            Value::Text(text) => parse(text).map_err(|error| self.corrupt(error)),
            _ => Err(self.corrupt("not text")),
        }
    }
}

/// A row of `events` as SQLite gave it.
#[derive(Debug)]
pub(super) struct RawEvent([Value; 5]);

impl RawEvent {
    /// Takes the columns [`EVENT`] or [`FIRST_EVENT`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        values(row, 0).map(Self)
    }

    /// The event in it.
    pub(super) fn decode(self) -> Result<Event, StoreError> {
        let [position, job, sequence, at, body] = self.0;
        let key = position.clone();
        let row = || match &key {
            Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        let cell = |column, value| Cell {
            table: "events",
            row: &row,
            column,
            value,
        };
        let at = cell("at", at).time()?;
        let body = cell("body", body);
        let body = if body.is_null() {
            EventBody::of(EventKind::Created, &Life::new(at))
        } else {
            body.text_with(stored::read)?
        };
        let mut event = Event::of(
            JobId::from_bytes(cell("job", job).blob()?),
            cell("sequence", sequence).number()?,
            Position::new(cell("position", position).number()?),
            at,
            body.kind(),
            &Life::new(at),
        );
        body.fill(&mut event);
        Ok(event)
    }
}

/// A row of `images` as SQLite gave it.
#[derive(Debug)]
pub(super) struct RawImage([Value; 13]);

impl RawImage {
    /// Takes the columns [`IMAGE`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        values(row, 0).map(Self)
    }

    /// The image in it.
    pub(super) fn decode(self) -> Result<Image, StoreError> {
        let [
            id,
            job,
            owner,
            kind,
            number,
            key,
            digest,
            bytes,
            media_type,
            width,
            height,
            source_url,
            created,
        ] = self.0;
        let own = id.clone();
        let row = || name(&own, |id| ImageId::from_bytes(id).to_string());
        let cell = |column, value| Cell {
            table: "images",
            row: &row,
            column,
            value,
        };
        let (width, height) = (cell("width", width), cell("height", height));
        let kind = cell("kind", kind);
        Ok(Image::new(
            ImageId::from_bytes(cell("id", id).blob()?),
            JobId::from_bytes(cell("job", job).blob()?),
            Owner::new(cell("owner", owner).text()?),
            match kind.int()? {
                0 => ImageKind::Grid,
                1 => ImageKind::Single,
                other => return Err(kind.corrupt(format!("no kind has number {other}"))),
            },
            cell("number", number).number()?,
            cell("key", key).text_with(|text| Ok(text.parse()?))?,
            ImageDigest::from_bytes(cell("digest", digest).blob()?),
            cell("bytes", bytes).number()?,
            cell("media_type", media_type).text_with(media)?,
            size(&width, &height)?,
            cell("source_url", source_url).text()?,
            cell("created_at", created).time()?,
        ))
    }
}

/// A row of `uploads`.
pub(super) struct RawUpload([Value; 9]);

impl RawUpload {
    /// Takes the columns [`UPLOAD`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        values(row, 0).map(Self)
    }

    /// The upload in it.
    pub(super) fn decode(self) -> Result<Upload, StoreError> {
        let [id, owner, key, digest, bytes, media_type, width, height, created] = self.0;
        let own = id.clone();
        let row = || name(&own, |id| UploadId::from_bytes(id).to_string());
        let cell = |column, value| Cell {
            table: "uploads",
            row: &row,
            column,
            value,
        };
        Ok(Upload::new(
            UploadId::from_bytes(cell("id", id).blob()?),
            Owner::new(cell("owner", owner).text()?),
            cell("key", key).text_with(|text| Ok(text.parse()?))?,
            ImageDigest::from_bytes(cell("digest", digest).blob()?),
            cell("bytes", bytes).number()?,
            cell("media_type", media_type).text_with(media)?,
            size(&cell("width", width), &cell("height", height))?,
            cell("created_at", created).time()?,
        ))
    }
}

fn media(text: &str) -> Result<MediaType, BoxError> {
    MediaType::from_mime(text).ok_or_else(|| "not a known type".into())
}

fn size(width: &Cell<'_>, height: &Cell<'_>) -> Result<Option<(u32, u32)>, StoreError> {
    if width.is_null() || height.is_null() {
        return Ok(None);
    }
    Ok(Some((width.number()?, height.number()?)))
}

pub(super) fn values<const N: usize>(row: &Row<'_>, from: usize) -> rusqlite::Result<[Value; N]> {
    let mut values = [const { Value::Null }; N];
    for (value, column) in values.iter_mut().zip(from..) {
        // Text that is not UTF-8 is a fault of that row, to be told by the decoder, not of the query.
        *value = match row.get_ref(column)?.try_into() {
            Ok(value) => value,
            Err(_) => Value::Null,
        };
    }
    Ok(values)
}
