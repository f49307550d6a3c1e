//! Opening: make a database where there is none, refuse what is not ours, change nothing that is refused.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use midjourney_core::{
    error::{Applied, Retry},
    job::StoreError,
};
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    SqliteOptions,
    error::{classify, classify_unknown, damaged, failed, is_busy},
    migrate,
};

/// Between two tries at opening.
const PAUSE: Duration = Duration::from_millis(5);

const OPERATION: &str = "opening the database";

/// A SQLite file is at least one page, and a page at least this long.
const SMALLEST: u64 = 512;

/// What is left of a creation is removed once it is this old: until then its process may be at work.
const LEFTOVER_AGE: Duration = Duration::from_secs(60);

/// The open connections of a store.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) readers: Vec<Connection>,
}

/// Opens the database at `path`, which is absolute; makes it where there is none.
///
/// Another process may be recovering the log, closing the database as its last user, or making it. SQLite does not
/// wait for all of these, so an opening that meets one begins anew, for as long as the options allow.
pub(super) fn open(path: &Path, options: &SqliteOptions) -> Result<Opened, StoreError> {
    let mut tries = options.busy_limit.as_millis() / PAUSE.as_millis();
    loop {
        match try_open(path, options) {
            Err(error) if is_busy_store(&error) && tries > 0 => tries = tries.saturating_sub(1),
            other => return other,
        }
        thread::sleep(PAUSE);
    }
}

fn is_busy_store(error: &StoreError) -> bool {
    match error {
        StoreError::Backend { source, .. } => source.downcast_ref().is_some_and(is_busy),
        _ => false,
    }
}

fn try_open(path: &Path, options: &SqliteOptions) -> Result<Opened, StoreError> {
    match fs::metadata(path) {
        Ok(found) => refuse_short(path, found.len())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, options.busy_limit)?,
        Err(error) => return Err(io_failed(error)),
    }
    probe(path)?;
    let sql = |error| classify(path, OPERATION, Applied::No, error);
    let writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options).map_err(sql)?;
    migrate::apply(&writer, path, options.busy_limit)?;
    prepare_writer(&writer, path)?;
    let readers = (0..options.readers.max(1))
        .map(|_| {
            let reader = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options)?;
            // A reader that finds the rare lock (a recovery) asks again off the async threads.
            reader.busy_timeout(Duration::ZERO)?;
            reader.execute_batch("PRAGMA cache_size = -8192; PRAGMA query_only = ON;")?;
            Ok(reader)
        })
        .collect::<rusqlite::Result<_>>()
        .map_err(sql)?;
    Ok(Opened { writer, readers })
}

/// An empty file is what a full disk or a careless copy leaves. SQLite would take it for a new database; the jobs
/// that were in it would be gone without a word. Ours are never empty: they appear whole, by a link.
fn refuse_short(path: &Path, length: u64) -> Result<(), StoreError> {
    if length < SMALLEST {
        return Err(damaged(path, format!("it is only {length} bytes long")));
    }
    Ok(())
}

/// Looks at the file through a connection that cannot write to it, so that a refused one stays as it is. Not through
/// `std::fs`: closing a second descriptor would drop the locks that this process holds on the same file.
fn probe(path: &Path) -> Result<(), StoreError> {
    let sql = |error| classify_unknown(path, OPERATION, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(sql)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(sql)?;
    migrate::verify(&db, path)?;
    // The far ends of the tables, which a cut file has lost. A full check takes minutes on a large one: that is
    // `SqliteJobStore::integrity_check`.
    for query in [
        "SELECT count(*) FROM sqlite_schema",
        "SELECT max(row) FROM jobs",
        "SELECT max(position) FROM events",
        "SELECT max(row) FROM images",
        "SELECT sum(number) FROM tallies",
    ] {
        db.query_row(query, [], |_| Ok(())).map_err(sql)?;
    }
    Ok(())
}

pub(super) fn connect(
    path: &Path,
    access: OpenFlags,
    options: &SqliteOptions,
) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(options.busy_limit)?;
    db.set_prepared_statement_cache_capacity(64);
    // Plans depend on the statement alone: else SQLite makes a cached one anew whenever a bound value changes.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.execute_batch("PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;")?;
    Ok(db)
}

fn prepare_writer(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let sql = |error| classify(path, OPERATION, Applied::No, error);
    let mode: String = db
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sql)?;
    if mode != "wal" {
        let reason = format!("the file system cannot hold a write-ahead log (journal mode {mode})");
        return Err(failed(OPERATION, Applied::No, Retry::Never, reason));
    }
    // FULL: every commit is synced before it is answered. The writer runs the checkpoints itself, after the answers;
    // the log keeps its size in between, for overwriting it is cheaper than growing it, up to a bound. The cache holds
    // what is written again and again, the ends of tables and indexes; a larger one is slower, since it is always cold.
    db.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -16384;",
    )
    .map_err(sql)?;
    db.busy_timeout(Duration::ZERO).map_err(sql)
}

/// Makes a whole database beside `path` and links it into place: the link fails where another process was first, and
/// nobody ever sees a half-made or empty file under the real name.
fn create(path: &Path, limit: Duration) -> Result<(), StoreError> {
    let (Some(folder), Some(_)) = (path.parent(), path.file_name()) else {
        return Err(io_failed(io::ErrorKind::IsADirectory.into()));
    };
    create_folder(folder).map_err(io_failed)?;
    for suffix in ["-wal", "-journal"] {
        let log = beside(path, suffix);
        // Asked in this order: the log of a database that another process makes right now comes after its file.
        if log.exists() && !path.exists() {
            let text = format!(
                "it is missing, but its log {} is there and may hold jobs",
                log.display()
            );
            return Err(damaged(path, text));
        }
    }
    remove_leftovers(folder, path);
    let draft = Draft::new(path).map_err(io_failed)?;
    let sql = |error| classify(path, "creating the database", Applied::No, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&draft.0, flags).map_err(sql)?;
    migrate::apply(&db, path, limit)?;
    // Here, where nobody else has it open: the change of mode needs the file for itself.
    db.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    db.close().map_err(|(_, error)| sql(error))?;
    match fs::hard_link(&draft.0, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io_failed(error)),
        _ => sync_folder(folder).map_err(io_failed),
    }
}

/// A database in the making; removed however that ends.
struct Draft(PathBuf);

impl Draft {
    fn new(path: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let draft = beside(path, &format!("{DRAFT}{}-{number}", std::process::id()));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&draft) {
                Ok(_) => return Ok(Self(draft)),
                // Left by a process of the same number, perhaps on another machine.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

const DRAFT: &str = ".new-";

impl Drop for Draft {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            // What stays is removed by a later creation.
            fs::remove_file(beside(&self.0, suffix)).unwrap_or_default();
        }
    }
}

fn remove_leftovers(folder: &Path, path: &Path) {
    let prefix = path.file_name().map(|name| {
        let mut prefix = name.to_os_string();
        prefix.push(DRAFT);
        prefix
    });
    let (Some(prefix), Ok(entries)) = (prefix, fs::read_dir(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let old = entry
            .metadata()
            .and_then(|data| data.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFTOVER_AGE));
        let name = entry.file_name();
        if old && name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            fs::remove_file(entry.path()).unwrap_or_default();
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let Some(parent) = folder.parent() else {
        return Ok(());
    };
    if folder.is_dir() {
        return Ok(());
    }
    create_folder(parent)?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(parent),
    }
}

/// Makes a new name in `folder` survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn io_failed(error: io::Error) -> StoreError {
    if matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        return StoreError::Full { source: error.into() };
    }
    failed(OPERATION, Applied::No, Retry::Never, error)
}
