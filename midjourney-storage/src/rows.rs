//! From rows of any database to values of the domain, and the forms in which these are stored. Whatever cannot be read becomes [`StoreError::Corrupt`] with its table, row and
//! column; nothing is guessed and nothing is skipped in silence.

use std::fmt::Write as _;

use midjourney_core::{
    budget::Credits,
    clock::Timestamp,
    error::BoxError,
    id::{BatchId, ImageId, JobId, UploadId},
    image::{Image, ImageDigest, ImageKey, ImageKind, InvalidTag, Marks, MediaType, Upload},
    job::{
        AccountName, Charge, Event, EventKind, Insertion, Job, JobRequest, Life, Owner, Position, Status,
        StoreError,
    },
    page::Page,
};
use sha2::{Digest as _, Sha256};

pub(crate) mod callbacks;
pub(crate) mod change;
pub(crate) mod deliveries;
pub(crate) mod library;
pub(crate) mod stored;
pub(crate) mod tallies;
mod value;

use self::stored::EventBody;
pub(crate) use self::value::Value;

/// The columns of [`RawJob`], in its order.
pub(crate) const JOB: &str = "id, version, sequence, owner, account, batch, created_at, updated_at, cost, charge, charged_at, request, life";
/// The columns of [`RawEvent`], in its order, from `events`.
pub(crate) const EVENT: &str =
    "position, (SELECT id FROM jobs WHERE row = events.job) AS job_id, sequence, at, body";
/// The columns of [`RawUpload`], in its order.
pub(crate) const UPLOAD: &str = "id, owner, key, digest, bytes, media_type, width, height, created_at";
/// The columns of [`RawImage`], in its order.
pub(crate) const IMAGE: &str = "id, job, owner, kind, number, key, digest, bytes, media_type, width, height, source_url, created_at, pinned, tags";

/// The number that stands for a status in a column.
pub(crate) const fn status_code(status: Status) -> i64 {
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
pub(crate) const fn kind_code(kind: ImageKind) -> Option<i64> {
    match kind {
        ImageKind::Grid => Some(0),
        ImageKind::Single => Some(1),
        _ => None,
    }
}

/// The statuses of jobs that are not over.
pub(crate) const LIVING: [Status; 2] = [Status::Pending, Status::Processing];

/// What an earlier request under a key has made.
#[derive(Debug)]
pub(crate) enum Earlier {
    /// These jobs, by the same request.
    Same(Vec<RawJob>),
    /// Something else.
    Other,
}

impl Earlier {
    /// The answer to whoever uses the key again.
    pub(crate) fn answer(self) -> Result<Insertion, StoreError> {
        Ok(match self {
            Self::Same(jobs) => {
                Insertion::Replayed(jobs.into_iter().map(RawJob::decode).collect::<Result<_, _>>()?)
            }
            Self::Other => Insertion::Mismatch,
        })
    }
}

/// Unsigned numbers live in signed columns; nothing here comes near the end of either.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The same for lengths.
pub(crate) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One column of one row on its way into the domain.
pub(crate) struct Cell<'a> {
    pub(crate) table: &'static str,
    pub(crate) row: &'a dyn Fn() -> String,
    pub(crate) column: &'static str,
    pub(crate) value: Value,
}

impl Cell<'_> {
    pub(crate) fn corrupt(&self, source: impl Into<BoxError>) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            row: (self.row)(),
            column: self.column,
            source: source.into(),
        }
    }

    pub(crate) fn text(self) -> Result<String, StoreError> {
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

    pub(crate) fn number<T: TryFrom<i64>>(&self) -> Result<T, StoreError> {
        T::try_from(self.int()?).map_err(|_| self.corrupt("out of range"))
    }

    pub(crate) fn blob<const N: usize>(&self) -> Result<[u8; N], StoreError> {
        match &self.value {
            Value::Blob(bytes) => {
                <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| self.corrupt(format!("not {N} bytes")))
            }
            _ => Err(self.corrupt(format!("not {N} bytes"))),
        }
    }

    pub(crate) fn time(&self) -> Result<Timestamp, StoreError> {
        self.int().map(Timestamp::from_millis)
    }

    /// What `read` makes of it; `None` for one that is empty.
    pub(crate) fn optional<T>(
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
pub(crate) fn name(value: &Value, id: impl Fn([u8; 16]) -> String) -> String {
    match value {
        Value::Blob(bytes) => {
            <[u8; 16]>::try_from(bytes.as_slice()).map_or_else(|_| format!("{bytes:02x?}"), id)
        }
        other => format!("{other:?}"),
    }
}

/// A row of `jobs` as it was read, so that it can be decoded elsewhere.
#[derive(Debug)]
pub(crate) struct RawJob(pub(crate) [Value; 13]);

impl RawJob {
    /// The job in it.
    pub(crate) fn decode(self) -> Result<Job, StoreError> {
        self.decode_as(|created, life| {
            if life.is_null() {
                Ok(Life::new(created.time()?))
            } else {
                life.text_with(stored::read)
            }
        })
    }

    /// The job in it, but living `life`; the stored one is not looked at.
    pub(crate) fn decode_with(self, life: Life) -> Result<Job, StoreError> {
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
    pub(crate) fn text_with<T>(
        self,
        parse: impl FnOnce(&str) -> Result<T, BoxError>,
    ) -> Result<T, StoreError> {
        match &self.value {
            Value::Text(text) => parse(text).map_err(|error| self.corrupt(error)),
            _ => Err(self.corrupt("not text")),
        }
    }
}

/// A row of `events` as it was read.
#[derive(Debug)]
pub(crate) struct RawEvent(pub(crate) [Value; 5]);

impl RawEvent {
    /// The event in it.
    pub(crate) fn decode(self) -> Result<Event, StoreError> {
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

/// A row of `images` as it was read.
#[derive(Debug)]
pub(crate) struct RawImage(pub(crate) [Value; 15]);

impl RawImage {
    /// The image in it.
    pub(crate) fn decode(self) -> Result<Image, StoreError> {
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
            pinned,
            tags,
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
        let mut marks = Marks::default();
        marks.pinned = cell("pinned", pinned).int()? != 0;
        marks.tags = cell("tags", tags).text_with(|text| {
            let tags = text.split(' ').filter(|tag| !tag.is_empty());
            Ok(tags.map(str::parse).collect::<Result<_, InvalidTag>>()?)
        })?;
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
        )
        .with_marks(marks))
    }
}

/// A row of `uploads`.
pub(crate) struct RawUpload(pub(crate) [Value; 9]);

impl RawUpload {
    /// The upload in it.
    pub(crate) fn decode(self) -> Result<Upload, StoreError> {
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

/// A row of `leftovers`.
pub(crate) struct RawLeftover(pub(crate) [Value; 1]);

impl RawLeftover {
    pub(crate) fn decode(self) -> Result<ImageKey, StoreError> {
        let [key] = self.0;
        let cell = Cell {
            table: "leftovers",
            row: &|| "a row".to_owned(),
            column: "key",
            value: key,
        };
        cell.text_with(|text| Ok(text.parse()?))
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

/// Line ends do not count: some checkouts change them.
pub(crate) fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text.replace('\r', ""));
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing into a string cannot fail.
        write!(hex, "{byte:02x}").unwrap_or_default();
        hex
    })
}

/// The number of rows that one page may have.
pub(crate) fn clamped(limit: usize) -> usize {
    limit.clamp(1, Page::<Job>::MAX)
}

pub(crate) fn decoded<R, T>(
    rows: Vec<R>,
    decode: fn(R) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.into_iter().map(decode).collect()
}
