//! Filing pictures, finding them, and what people put on them.

use std::collections::BTreeSet;

use midjourney_core::{
    id::{ImageId, JobId},
    image::{Image, MarkChange},
    job::{ImageSearch, Shelf, Status, Term, library},
};
use tokio_postgres::Error;

use super::{
    db::Db,
    queries,
    writer::{Command, Refusal, Tx},
};
use crate::rows::{
    IMAGE, JOB, RawImage, RawJob, Value, change::tags, count, decoded, int, library as stored, status_code,
};

/// Files the pictures of the job in `row` under `terms`, and nothing else.
pub(super) async fn file(db: Db<'_>, row: i64, terms: &BTreeSet<Term>) -> Result<(), Error> {
    let sql = "INSERT INTO library (job, terms) VALUES ($1, array_to_tsvector(string_to_array($2, ' ')))
               ON CONFLICT (job) DO UPDATE SET terms = excluded.terms";
    db.execute(sql, &[row.into(), stored::joined(terms).into()])
        .await?;
    Ok(())
}

/// Files the pictures of a job anew, after their marks have changed or some have gone.
pub(super) async fn file_anew(db: Db<'_>, job: JobId) -> Result<(), Refusal> {
    let sql = format!("SELECT row, {JOB} FROM jobs WHERE id = $1 AND status = $2");
    let wanted = [job.as_bytes().into(), Value::from(status_code(Status::Completed))];
    let Some((row, job)) = db.row::<(i64, RawJob)>(&sql, &wanted).await? else {
        return Ok(());
    };
    let job = job.decode()?;
    let sql = format!("SELECT {IMAGE} FROM images WHERE job = $1");
    let images: Vec<RawImage> = db.rows(&sql, &[job.id.as_bytes().into()]).await?;
    if images.is_empty() {
        let sql = "DELETE FROM library WHERE job = $1";
        db.execute(sql, &[row.into()]).await?;
        return Ok(());
    }
    let images = decoded(images, RawImage::decode)?;
    Ok(file(db, row, &library::terms(&job, &images)).await?)
}

/// The pictures of as many jobs as a page of `limit` may need, each with its job's row.
pub(super) async fn search(
    db: Db<'_>,
    search: &ImageSearch,
    limit: usize,
) -> Result<Vec<(i64, RawImage)>, Error> {
    let from = search
        .after
        .map(Shelf::behind)
        .map_or(i64::MAX, |shelf| int(shelf.job));
    let sql = format!(
        "SELECT filed.row, {IMAGE}
         FROM (SELECT job AS row FROM library WHERE terms @@ $1::text::tsquery AND job <= $2
               ORDER BY job DESC LIMIT $3) AS filed
         JOIN images ON images.job = (SELECT jobs.id FROM jobs WHERE jobs.row = filed.row)
         ORDER BY filed.row DESC, kind, number"
    );
    let jobs = count(stored::jobs_for(limit));
    db.rows(&sql, &[stored::tsquery(search).into(), from.into(), jobs.into()])
        .await
}

/// [`JobStore::mark`](midjourney_core::job::JobStore::mark).
pub(super) struct Mark(pub(super) ImageId, pub(super) MarkChange);

impl Command for Mark {
    type Output = Option<Image>;
    const OPERATION: &'static str = "marking a picture";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Image>, Refusal> {
        let Self(id, change) = self;
        let Some(image) = queries::image(tx.db, *id).await? else {
            return Ok(None);
        };
        let image = image.decode()?;
        let marks = image.marks.after(change);
        let sql = "UPDATE images SET pinned = $2, tags = $3
                   WHERE id = $1 AND (SELECT status FROM jobs WHERE jobs.id = images.job) >= $4";
        let values = [
            id.as_bytes().into(),
            marks.pinned.into(),
            tags(&marks).into(),
            status_code(Status::Completed).into(),
        ];
        if tx.db.execute(sql, &values).await? == 0 {
            return Ok(None);
        }
        file_anew(tx.db, image.job).await?;
        Ok(Some(image.with_marks(marks)))
    }
}
