//! Making a backup.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    sync::Arc,
};

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use midjourney_core::{
    clock::Timestamp,
    image::{ByteStream, ImageDigest, ImageKey, ImageStore, ImageStoreError},
    key::Secret,
};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::{
    BackupError, Report,
    archive::{END, End, FILES, MANIFEST, Manifest, ROWS, SECRETS, Writer},
    sums::{Expected, Sums},
};
use crate::{Stores, transfer::Rows};

/// Writes all that is kept in `stores` to `to`, which is given back for whoever ends it.
pub(super) async fn create<W: Write + Send + 'static>(
    stores: &Stores,
    to: W,
    now: Timestamp,
) -> Result<(Report, W), BackupError> {
    let secrets = stores.secrets().await?;
    let work = Work {
        runtime: Handle::current(),
        images: Arc::clone(&stores.images),
        rows: stores.database.dump(),
    };
    tokio::task::spawn_blocking(move || work.write(to, &secrets, now)).await?
}

struct Work {
    runtime: Handle,
    images: Arc<dyn ImageStore>,
    rows: Rows,
}

impl Work {
    fn write<W: Write>(
        mut self,
        to: W,
        secrets: &[(String, Secret)],
        now: Timestamp,
    ) -> Result<(Report, W), BackupError> {
        let mut archive = Writer::new(to, now);
        archive.json(MANIFEST, &Manifest::new(now))?;
        let secrets: BTreeMap<_, _> = secrets
            .iter()
            .map(|(name, secret)| (name, secret.expose()))
            .collect();
        archive.json(SECRETS, &secrets)?;
        let mut sums = Sums::default();
        let mut number: u64 = 0;
        while let Some(batch) = self.rows.blocking_recv() {
            let batch = batch?;
            let lines = sums.add(&batch)?;
            number = number.saturating_add(1);
            archive.bytes(&format!("{ROWS}{}/{number:08}.jsonl", batch.table.name), &lines)?;
        }
        let mut report = sums.report();
        for (key, expected) in &sums.files {
            if self.file(&mut archive, key, *expected)? {
                report.files = report.files.saturating_add(1);
                report.bytes = report.bytes.saturating_add(expected.bytes);
            } else {
                report.lost.push(key.to_string());
            }
        }
        report.lost.sort();
        archive.json(
            END,
            &End {
                tables: sums.tables(),
                files: report.files,
                bytes: report.bytes,
                lost: report.lost.clone(),
            },
        )?;
        Ok((report, archive.finish()?))
    }

    /// Whether the file could be had as its row says.
    fn file(
        &self,
        archive: &mut Writer<impl Write>,
        key: &ImageKey,
        expected: Expected,
    ) -> Result<bool, BackupError> {
        if self.runtime.block_on(self.images.length(key))? != Some(expected.bytes) {
            return Ok(false);
        }
        let body = match self.runtime.block_on(self.images.read(key, None)) {
            Ok(body) => body,
            Err(ImageStoreError::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Blocking {
            runtime: &self.runtime,
            body,
            chunk: Bytes::new(),
            sum: Sha256::new(),
        };
        archive.entry(&format!("{FILES}{key}"), expected.bytes, &mut bytes)?;
        let digest: [u8; 32] = bytes.sum.finalize().into();
        Ok(ImageDigest::from_bytes(digest) == expected.digest)
    }
}

/// A stream, read by a thread that may wait.
struct Blocking<'a> {
    runtime: &'a Handle,
    body: ByteStream,
    chunk: Bytes,
    sum: Sha256,
}

impl Read for Blocking<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.body.next()) {
                None => return Ok(0),
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
            }
        }
        let length = self.chunk.len().min(into.len());
        let (filled, _) = into.split_at_mut(length);
        self.chunk.copy_to_slice(filled);
        self.sum.update(filled);
        Ok(length)
    }
}
