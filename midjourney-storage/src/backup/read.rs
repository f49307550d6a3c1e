//! Checking a backup, and restoring it.

use std::{
    collections::{BTreeMap, HashSet},
    io::Read,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::stream;
use midjourney_core::{
    image::{ImageDigest, ImageKey, ImageStore},
    key::Secret,
};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    BackupError, Report,
    archive::{self, END, End, FILES, MANIFEST, Manifest, ROWS, SECRETS},
    sums::{self, Sums},
};
use crate::{
    Stores,
    transfer::{self, Batch, Load, TABLES, Table},
};

/// The largest file that is restored: what is kept of an upstream has 64 MiB at most.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Reads a backup to its end and checks every sum. Blocks.
pub(super) fn verify(from: impl Read) -> Result<Report, BackupError> {
    read(from, &mut Nothing)
}

/// Puts what a backup holds into `stores`.
pub(super) async fn restore(
    stores: &Stores,
    from: impl Read + Send + 'static,
) -> Result<Report, BackupError> {
    let (sender, loads) = transfer::loads();
    let mut restoring = Restoring {
        runtime: Handle::current(),
        images: Arc::clone(&stores.images),
        loads: sender,
        secrets: Vec::new(),
    };
    let reading = tokio::task::spawn_blocking(move || {
        let read = read(from, &mut restoring);
        (read, restoring.secrets)
    });
    let (loaded, read) = tokio::join!(stores.database.load_rows(loads), reading);
    let (read, secrets) = read?;
    // Where the database failed, the reader only found nobody who takes its rows.
    loaded?;
    let report = read?;
    stores.take_secrets(&secrets).await?;
    Ok(report)
}

/// What becomes of a backup's parts.
trait Sink {
    fn secrets(&mut self, secrets: BTreeMap<String, String>) -> Result<(), BackupError>;
    fn rows(&mut self, batch: Batch) -> Result<(), BackupError>;
    fn file(&mut self, key: &ImageKey, bytes: Vec<u8>) -> Result<(), BackupError>;
    fn end(&mut self, lost: &[String]) -> Result<(), BackupError>;
}

/// Only looks.
struct Nothing;

impl Sink for Nothing {
    fn secrets(&mut self, _: BTreeMap<String, String>) -> Result<(), BackupError> {
        Ok(())
    }

    fn rows(&mut self, _: Batch) -> Result<(), BackupError> {
        Ok(())
    }

    fn file(&mut self, _: &ImageKey, _: Vec<u8>) -> Result<(), BackupError> {
        Ok(())
    }

    fn end(&mut self, _: &[String]) -> Result<(), BackupError> {
        Ok(())
    }
}

struct Restoring {
    runtime: Handle,
    images: Arc<dyn ImageStore>,
    loads: mpsc::Sender<Load>,
    secrets: Vec<(String, Secret)>,
}

impl Restoring {
    fn load(&self, load: Load) -> Result<(), BackupError> {
        let gone = |_| BackupError::Broken("the database takes no more rows".into());
        self.loads.blocking_send(load).map_err(gone)
    }
}

impl Sink for Restoring {
    fn secrets(&mut self, secrets: BTreeMap<String, String>) -> Result<(), BackupError> {
        self.secrets = secrets
            .into_iter()
            .map(|(name, secret)| (name, Secret::new(secret)))
            .collect();
        Ok(())
    }

    fn rows(&mut self, batch: Batch) -> Result<(), BackupError> {
        self.load(Load::Rows(batch))
    }

    fn file(&mut self, key: &ImageKey, bytes: Vec<u8>) -> Result<(), BackupError> {
        let body = Box::pin(stream::iter([Ok(Bytes::from(bytes))]));
        self.runtime.block_on(self.images.put(key, body, LARGEST))?;
        Ok(())
    }

    fn end(&mut self, lost: &[String]) -> Result<(), BackupError> {
        self.load(Load::Forget(lost.to_vec()))?;
        self.load(Load::Commit)
    }
}

/// Reads all of a backup, checks it, and hands its parts on; the end only once everything before it is right.
fn read(from: impl Read, sink: &mut dyn Sink) -> Result<Report, BackupError> {
    let mut archive = tar::Archive::new(from);
    let mut state = State::default();
    for entry in archive.entries().map_err(|_| BackupError::NotABackup)? {
        let mut entry = entry.map_err(|error| state.cut(error))?;
        let name = entry
            .path()
            .ok()
            .and_then(|path| path.to_str().map(str::to_owned))
            .ok_or_else(|| BackupError::Damaged("an entry has no name".to_owned()))?;
        state.take(&name, &mut entry, sink)?;
    }
    if !state.begun {
        return Err(BackupError::NotABackup);
    }
    state
        .done
        .ok_or_else(|| BackupError::Damaged("its end is missing".to_owned()))
}

/// How far the reading has come.
#[derive(Default)]
struct State {
    begun: bool,
    table: usize,
    sums: Sums,
    seen: HashSet<ImageKey>,
    bytes: u64,
    wrong: Vec<ImageKey>,
    done: Option<Report>,
}

impl State {
    fn cut(&self, error: std::io::Error) -> BackupError {
        if self.begun {
            archive::cut(error)
        } else {
            BackupError::NotABackup
        }
    }

    fn take(
        &mut self,
        name: &str,
        entry: &mut tar::Entry<'_, impl Read>,
        sink: &mut dyn Sink,
    ) -> Result<(), BackupError> {
        let unexpected = || BackupError::Damaged(format!("{name:?} stands where it does not belong"));
        if self.done.is_some() || (name == MANIFEST) == self.begun {
            return Err(if self.begun {
                unexpected()
            } else {
                BackupError::NotABackup
            });
        }
        if name == MANIFEST {
            let manifest: Manifest = archive::json(name, entry).map_err(|_| BackupError::NotABackup)?;
            manifest.check()?;
            self.begun = true;
            return Ok(());
        }
        if name == SECRETS {
            return sink.secrets(archive::json(name, entry)?);
        }
        if name == END {
            return self.end(&archive::json(name, entry)?, sink);
        }
        if let Some(place) = name.strip_prefix(ROWS) {
            let table = place.split('/').next().unwrap_or_default();
            let batch = self.rows(table, &archive::lines(entry)?).ok_or_else(unexpected)?;
            self.sums.add(&batch)?;
            return sink.rows(batch);
        }
        let key = name.strip_prefix(FILES).and_then(|key| key.parse().ok());
        self.file(key.ok_or_else(unexpected)?, archive::bytes(entry, LARGEST)?, sink)
    }

    /// Rows of the table called `name`, which comes no earlier than those before it.
    fn rows(&mut self, name: &str, lines: &[u8]) -> Option<Batch> {
        let at = TABLES.iter().position(|table| table.name == name)?;
        if at < self.table {
            return None;
        }
        self.table = at;
        let table: &'static Table = TABLES.get(at)?;
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let rows = lines.map(|line| sums::row(table, line)).collect::<Option<_>>()?;
        Some(Batch { table, rows })
    }

    fn file(&mut self, key: ImageKey, bytes: Vec<u8>, sink: &mut dyn Sink) -> Result<(), BackupError> {
        let expected = self
            .sums
            .files
            .get(&key)
            .ok_or_else(|| BackupError::Damaged(format!("no row speaks of the file {key}")))?;
        if ImageDigest::of(&bytes) != expected.digest {
            // Right where the end says so: it was damaged before.
            self.wrong.push(key);
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(expected.bytes);
        sink.file(&key, bytes)?;
        if !self.seen.insert(key) {
            return Err(BackupError::Damaged("a file is in it twice".to_owned()));
        }
        Ok(())
    }

    fn end(&mut self, end: &End, sink: &mut dyn Sink) -> Result<(), BackupError> {
        let damaged = |what: String| Err(BackupError::Damaged(what));
        for (name, sum) in self.sums.tables() {
            if end.tables.get(&name) != Some(&sum) {
                return damaged(format!("the rows of {name} are not those that it was made with"));
            }
        }
        let lost: HashSet<&str> = end.lost.iter().map(String::as_str).collect();
        if let Some(key) = self.wrong.iter().find(|key| !lost.contains(key.as_str())) {
            return damaged(format!("the file {key} is not the one that it was made with"));
        }
        let missing = |key: &&ImageKey| !self.seen.contains(*key) && !lost.contains(key.as_str());
        if let Some(key) = self.sums.files.keys().find(missing) {
            return damaged(format!("the file {key} is missing"));
        }
        let mut report = self.sums.report();
        report.files = u64::try_from(self.seen.len()).unwrap_or(u64::MAX);
        report.bytes = self.bytes;
        report.lost.clone_from(&end.lost);
        if (report.files, report.bytes) != (end.files, end.bytes) {
            return damaged("its files are not those that it was made with".to_owned());
        }
        sink.end(&end.lost)?;
        self.done = Some(report);
        Ok(())
    }
}
