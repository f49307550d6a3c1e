//! What is read, each question answered from an index.

use midjourney_core::{
    id::{ImageId, JobId, UploadId},
    job::{IdempotencyKey, ImageQuery, JobQuery, Owner, Position, RequestDigest, Status},
    page::Cursor,
};
use tokio_postgres::Error;

use super::db::{Columns, Db, One};
use crate::rows::{
    EVENT, Earlier, IMAGE, JOB, RawEvent, RawImage, RawJob, RawUpload, UPLOAD, Value, count, int, status_code,
};

/// The columns of [`RawEvent`] from `jobs`: the first event of each. Numbers and nothings have to be told their types here.
const FIRST_EVENT: &str =
    "row AS position, id AS job_id, 1::bigint AS sequence, created_at AS at, NULL::text AS body";

/// Sorts after every id: they compare byte by byte, then by length.
const END: [u8; 17] = [0xff; 17];

/// Where a list goes on.
pub(super) fn before(after: Option<Cursor>) -> Value {
    after.map_or_else(|| (&END).into(), |cursor| (&cursor.key()).into())
}

/// What was made under `key`; `None` where it is free.
pub(super) async fn earlier(
    db: Db<'_>,
    owner: &Owner,
    key: &IdempotencyKey,
    digest: RequestDigest,
) -> Result<Option<Earlier>, Error> {
    let found: Vec<Keyed> = db
        .rows(
            &format!(
                "SELECT digest, {JOB} FROM jobs WHERE owner = $1 AND idempotency_key = $2 ORDER BY ordinal"
            ),
            &[owner.as_str().into(), key.as_str().into()],
        )
        .await?;
    let own = Value::from(digest.as_bytes());
    Ok(match found.first() {
        None => None,
        Some(Keyed(One([first]), _)) if *first != own => Some(Earlier::Other),
        Some(_) => Some(Earlier::Same(
            found.into_iter().map(|Keyed(_, job)| job).collect(),
        )),
    })
}

/// A job with the digest of its request.
struct Keyed(One, RawJob);

impl Columns for Keyed {
    fn read_from(row: &tokio_postgres::Row, from: usize) -> Result<Self, Error> {
        Ok(Self(
            One::read_from(row, from)?,
            RawJob::read_from(row, from.saturating_add(1))?,
        ))
    }
}

pub(super) async fn job(db: Db<'_>, id: JobId) -> Result<Option<RawJob>, Error> {
    let sql = format!("SELECT {JOB} FROM jobs WHERE id = $1");
    db.row(&sql, &[id.as_bytes().into()]).await
}

/// Jobs, newest first. One index, by owner, status and id, serves the lists by owner, by status and by both: as one walk
/// for each owner and status that fit, merged. An index for each of these lists would make every change dearer.
pub(super) async fn jobs(db: Db<'_>, query: &JobQuery, limit: usize) -> Result<Vec<RawJob>, Error> {
    let after = before(query.after);
    let owner = Value::from(query.owner.as_ref().map(Owner::as_str));
    if let Some(batch) = query.batch {
        let sql = format!(
            "SELECT {JOB} FROM jobs WHERE id < $1 AND batch = $3 AND ($4::text IS NULL OR owner = $4)
                 AND ($5::bigint IS NULL OR status = $5)
             ORDER BY id DESC LIMIT $2"
        );
        let status = query.status.map(status_code).into();
        let wanted = [after, count(limit).into(), batch.as_bytes().into(), owner, status];
        return db.rows(&sql, &wanted).await;
    }
    if query.owner.is_none() && query.status.is_none() {
        let sql = format!("SELECT {JOB} FROM jobs WHERE id < $1 ORDER BY id DESC LIMIT $2");
        return db.rows(&sql, &[after, count(limit).into()]).await;
    }
    let statuses = Status::ALL
        .into_iter()
        .filter(|one| query.status.is_none_or(|status| status == *one))
        .map(|status| format!("({}::bigint)", status_code(status)));
    let statuses: Vec<_> = statuses.collect();
    let sql = format!(
        "WITH RECURSIVE owners (name) AS (
             SELECT coalesce($3::text COLLATE \"C\", (SELECT min(owner) FROM jobs))
             UNION ALL
             SELECT (SELECT min(owner) FROM jobs WHERE owner > name) FROM owners
             WHERE name IS NOT NULL AND $3::text IS NULL
         ), found AS (
             SELECT walk.row, walk.id FROM owners CROSS JOIN (VALUES {}) AS statuses (code) CROSS JOIN LATERAL (
                 SELECT row, id FROM jobs WHERE owner = owners.name AND status = statuses.code AND id < $1
                 ORDER BY id DESC LIMIT $2) AS walk
             ORDER BY walk.id DESC LIMIT $2)
         SELECT {JOB} FROM jobs WHERE row IN (SELECT row FROM found) ORDER BY id DESC",
        statuses.join(", ")
    );
    db.rows(&sql, &[after, count(limit).into(), owner]).await
}

pub(super) async fn history(db: Db<'_>, id: JobId, after: u64, limit: usize) -> Result<Vec<RawEvent>, Error> {
    let sql = format!(
        "SELECT {FIRST_EVENT} FROM jobs WHERE id = $1 AND $2::bigint < 1
         UNION ALL
         SELECT {EVENT} FROM events WHERE job = (SELECT row FROM jobs WHERE id = $1) AND sequence > $2
         ORDER BY sequence LIMIT $3"
    );
    let wanted = [id.as_bytes().into(), int(after).into(), count(limit).into()];
    db.rows(&sql, &wanted).await
}

pub(super) async fn events(db: Db<'_>, after: Position, limit: usize) -> Result<Vec<RawEvent>, Error> {
    let sql = format!(
        "(SELECT {FIRST_EVENT} FROM jobs WHERE row > $1 ORDER BY row LIMIT $2)
         UNION ALL
         (SELECT {EVENT} FROM events WHERE position > $1 ORDER BY position LIMIT $2)
         ORDER BY position LIMIT $2"
    );
    db.rows(&sql, &[int(after.get()).into(), count(limit).into()])
        .await
}

pub(super) async fn image(db: Db<'_>, id: ImageId) -> Result<Option<RawImage>, Error> {
    let sql = format!("SELECT {IMAGE} FROM images WHERE id = $1");
    db.row(&sql, &[id.as_bytes().into()]).await
}

pub(super) async fn has_images(db: Db<'_>, job: JobId) -> Result<bool, Error> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM images WHERE job = $1 LIMIT 1) AS one";
    let found = db.number(sql, &[job.as_bytes().into()]).await?;
    Ok(found.is_some_and(|found| found > 0))
}

pub(super) async fn upload(db: Db<'_>, id: UploadId) -> Result<Option<RawUpload>, Error> {
    let sql = format!("SELECT {UPLOAD} FROM uploads WHERE id = $1");
    db.row(&sql, &[id.as_bytes().into()]).await
}

pub(super) async fn uploads(
    db: Db<'_>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<RawUpload>, Error> {
    let sql = format!("SELECT {UPLOAD} FROM uploads WHERE id < $1 ORDER BY id DESC LIMIT $2");
    db.rows(&sql, &[before(after), count(limit).into()]).await
}

/// The pictures of one job, grid first. A job has a handful, so this order needs no cursor.
pub(super) async fn images_of(
    db: Db<'_>,
    job: JobId,
    query: &ImageQuery,
    limit: usize,
) -> Result<Vec<RawImage>, Error> {
    let sql = format!(
        "SELECT {IMAGE} FROM images WHERE job = $1 AND ($2::text IS NULL OR owner = $2)
         ORDER BY kind, number LIMIT $3"
    );
    let owner = query.owner.as_ref().map(Owner::as_str).into();
    db.rows(&sql, &[job.as_bytes().into(), owner, count(limit).into()])
        .await
}

pub(super) async fn images(db: Db<'_>, query: &ImageQuery, limit: usize) -> Result<Vec<RawImage>, Error> {
    let mut wanted = vec![before(query.after), count(limit).into()];
    let owned = match &query.owner {
        Some(owner) => {
            wanted.push(owner.as_str().into());
            "AND owner = $3"
        }
        None => "",
    };
    let sql = format!("SELECT {IMAGE} FROM images WHERE id < $1 {owned} ORDER BY id DESC LIMIT $2");
    db.rows(&sql, &wanted).await
}
