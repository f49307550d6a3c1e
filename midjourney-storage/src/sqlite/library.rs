//! Filing pictures, finding them, and what people put on them.

use std::collections::BTreeSet;

use midjourney_core::{
    id::{ImageId, JobId},
    image::{Image, MarkChange},
    job::{ImageSearch, Shelf, Status, Term, library},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    columns::Columns as _,
    queries,
    writer::{Command, Refusal, Tx},
};
use crate::rows::{IMAGE, JOB, RawImage, RawJob, change::tags, count, int, library as stored, status_code};

/// Files the pictures of the job in `row` under `terms`, and nothing else.
pub(super) fn file(db: &Connection, row: i64, terms: &BTreeSet<Term>) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO library (rowid, terms) VALUES (?1, ?2)")?
        .execute(params![row, stored::joined(terms)])?;
    Ok(())
}

/// Forgets what the pictures of the job in `row` were filed under.
pub(super) fn forget(db: &Connection, row: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM library WHERE rowid = ?1")?
        .execute([row])?;
    Ok(())
}

/// Files the pictures of a job anew, after their marks have changed or some have gone.
pub(super) fn file_anew(db: &Connection, job: JobId) -> Result<(), Refusal> {
    let found: Option<(i64, i64, RawJob)> = db
        .prepare_cached(&format!("SELECT row, status, {JOB} FROM jobs WHERE id = ?1"))?
        .query_row([job.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, RawJob::read_from(row, 2)?))
        })
        .optional()?;
    let Some((row, status, job)) = found else {
        return Ok(());
    };
    if status != status_code(Status::Completed) {
        return Ok(());
    }
    let job = job.decode()?;
    let images: Vec<_> = db
        .prepare_cached(&format!("SELECT {IMAGE} FROM images WHERE job = ?1"))?
        .query_map([job.id.as_bytes()], RawImage::read)?
        .collect::<rusqlite::Result<_>>()?;
    if images.is_empty() {
        return Ok(forget(db, row)?);
    }
    let images = crate::rows::decoded(images, RawImage::decode)?;
    Ok(file(db, row, &library::terms(&job, &images))?)
}

/// The pictures of as many jobs as a page of `limit` may need, each with its job's row.
pub(super) fn search(
    db: &Connection,
    search: &ImageSearch,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, RawImage)>> {
    let from = search
        .after
        .map(Shelf::behind)
        .map_or(i64::MAX, |shelf| int(shelf.job));
    db.prepare_cached(&format!(
        "SELECT filed.row, {IMAGE}
         FROM (SELECT rowid AS row FROM library WHERE library MATCH ?1 AND rowid <= ?2
               ORDER BY rowid DESC LIMIT ?3) AS filed
         CROSS JOIN images ON images.job = (SELECT jobs.id FROM jobs WHERE jobs.row = filed.row)
         ORDER BY filed.row DESC, kind, number"
    ))?
    .query_map(
        params![stored::fts5(search), from, count(stored::jobs_for(limit))],
        |row| Ok((row.get(0)?, RawImage::read_from(row, 1)?)),
    )?
    .collect()
}

/// [`JobStore::mark`](midjourney_core::job::JobStore::mark).
pub(super) struct Mark(pub(super) ImageId, pub(super) MarkChange);

impl Command for Mark {
    type Output = Option<Image>;
    const OPERATION: &'static str = "marking a picture";

    fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Image>, Refusal> {
        let Self(id, change) = self;
        let Some(image) = queries::image(tx.db, *id)? else {
            return Ok(None);
        };
        let image = image.decode()?;
        let marks = image.marks.after(change);
        let marked = tx
            .db
            .prepare_cached(
                "UPDATE images SET pinned = ?2, tags = ?3
                 WHERE id = ?1 AND (SELECT status FROM jobs WHERE jobs.id = images.job) >= ?4",
            )?
            .execute(params![
                id.as_bytes(),
                marks.pinned,
                tags(&marks),
                status_code(Status::Completed)
            ])?;
        if marked == 0 {
            return Ok(None);
        }
        file_anew(tx.db, image.job)?;
        Ok(Some(image.with_marks(marks)))
    }
}
