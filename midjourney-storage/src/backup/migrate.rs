//! Moving a gateway from one kind of stores to another.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use midjourney_core::image::{ImageDigest, ImageKey, ImageStore, ImageStoreError};
use sha2::{Digest as _, Sha256};

use super::{
    BackupError, Report,
    sums::{Expected, Sums},
};
use crate::{
    Stores,
    assemble::JobDatabase,
    transfer::{self, Load},
};

/// The largest file that is moved.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Copies all that is kept in `from` to `to`, which must have no jobs yet, and compares both. No server may work on either.
///
/// Pictures go first and are known again, so that a move that broke off goes on where it was; rows are there all at once,
/// at the end. Where all rows are there already, it only looks whether the pictures are too.
///
/// **Errors:** [`BackupError::NotEmpty`] where other jobs are in `to`; [`BackupError::Differs`] where jobs changed
/// meanwhile. `from` is never changed. **Cancel safety:** begin it again.
pub async fn migrate(from: &Stores, to: &Stores) -> Result<Report, BackupError> {
    if from.database.is_the_file_of(&to.database) {
        return Err(BackupError::SamePlace(from.database.to_string()));
    }
    let before = sums(&from.database).await?;
    let there = to.database.jobs().head().await?.get() > 0;
    if there && sums(&to.database).await?.tables() != before.tables() {
        return Err(BackupError::NotEmpty(to.database.to_string()));
    }
    let mut report = before.report();
    copy_files(&before.files, &*from.images, &*to.images, &mut report).await?;
    to.take_secrets(&from.secrets().await?).await?;
    if !there {
        copy_rows(from, to, &report.lost).await?;
    }
    if sums(&from.database).await?.tables() != before.tables() {
        let what = "jobs changed where they were moved from: stop every server there and begin again, with an empty place";
        return Err(BackupError::Differs(what.to_owned()));
    }
    if report.lost.is_empty() && sums(&to.database).await?.tables() != before.tables() {
        let what = "the rows that arrived are not those that were sent; do not use them";
        return Err(BackupError::Differs(what.to_owned()));
    }
    Ok(report)
}

async fn sums(database: &JobDatabase) -> Result<Sums, BackupError> {
    let mut rows = database.dump();
    let mut sums = Sums::default();
    while let Some(batch) = rows.recv().await {
        sums.add(&batch?)?;
    }
    Ok(sums)
}

async fn copy_rows(from: &Stores, to: &Stores, lost: &[String]) -> Result<(), BackupError> {
    let mut rows = from.database.dump();
    let (sender, loads) = transfer::loads();
    let sending = async move {
        while let Some(batch) = rows.recv().await {
            if sender.send(Load::Rows(batch?)).await.is_err() {
                return Ok(());
            }
        }
        // Where nobody takes them any more, the database says why.
        drop(sender.send(Load::Forget(lost.to_vec())).await);
        drop(sender.send(Load::Commit).await);
        Ok::<_, BackupError>(())
    };
    let (loaded, sent) = tokio::join!(to.database.load_rows(loads), sending);
    sent?;
    loaded?;
    Ok(())
}

async fn copy_files(
    files: &HashMap<ImageKey, Expected>,
    from: &dyn ImageStore,
    to: &dyn ImageStore,
    report: &mut Report,
) -> Result<(), BackupError> {
    for (key, expected) in files {
        if !is_there(to, key, *expected).await? && !copy(from, to, key, *expected).await? {
            report.lost.push(key.to_string());
            continue;
        }
        report.files = report.files.saturating_add(1);
        report.bytes = report.bytes.saturating_add(expected.bytes);
    }
    report.lost.sort();
    Ok(())
}

/// Whether the very file is there.
async fn is_there(store: &dyn ImageStore, key: &ImageKey, expected: Expected) -> Result<bool, BackupError> {
    if store.length(key).await? != Some(expected.bytes) {
        return Ok(false);
    }
    let mut body = store.read(key, None).await?;
    let mut sum = Sha256::new();
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else { return Ok(false) };
        sum.update(&chunk);
    }
    let digest: [u8; 32] = sum.finalize().into();
    Ok(ImageDigest::from_bytes(digest) == expected.digest)
}

/// Whether the file could be had as its row says; else there is none where it should have gone.
async fn copy(
    from: &dyn ImageStore,
    to: &dyn ImageStore,
    key: &ImageKey,
    expected: Expected,
) -> Result<bool, BackupError> {
    let body = match from.read(key, None).await {
        Ok(body) => body,
        Err(ImageStoreError::NotFound(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let stored = to.put(key, body, LARGEST).await?;
    if stored.digest == expected.digest {
        return Ok(true);
    }
    to.remove(key).await?;
    Ok(false)
}
