//! One file being written, one being read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use midjourney_core::image::{ImageDigest, ImageKey, StoredImage};
use sha2::{Digest as _, Sha256};

use super::{
    Fault, count,
    folder::{Folder, sync},
};

/// A file in the making. Removed when dropped, unless it was kept: a caller may go away at any moment.
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    path: Option<PathBuf>,
    hasher: Sha256,
    bytes: u64,
}

impl Draft {
    pub(super) fn new(folder: &Folder) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.drafts().join(format!("{}-{number}", std::process::id()));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                // Left by a process of the same number, perhaps on another machine.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    // Tells other processes that it is not a leftover; where a file system knows no locks, its age
                    // has to do.
                    file.try_lock().unwrap_or_default();
                    return Ok(Self {
                        file,
                        path: Some(path),
                        hasher: Sha256::new(),
                        bytes: 0,
                    });
                }
            }
        }
    }

    /// Appends `parts`; where that fails, the file is gone.
    pub(super) fn write(mut self, parts: &[Bytes]) -> io::Result<Self> {
        for part in parts {
            if let Err(error) = self.file.write_all(part) {
                self.discard();
                return Err(error);
            }
            self.hasher.update(part);
            self.bytes = self.bytes.saturating_add(count(part.len()));
        }
        Ok(self)
    }

    /// Removes the file, now. Not for async threads.
    pub(super) fn discard(mut self) {
        if let Some(path) = self.path.take() {
            remove(&path);
        }
    }

    /// Puts the file in its place, on disk; where that fails, it is gone.
    pub(super) fn keep(mut self, folder: &Folder, key: &ImageKey) -> io::Result<StoredImage> {
        let kept = self.settle(folder, key);
        // Nothing is left to discard once it has moved.
        self.discard();
        kept
    }

    fn settle(&mut self, folder: &Folder, key: &ImageKey) -> io::Result<StoredImage> {
        self.file.sync_all()?;
        let target = folder.make_room(key)?;
        if let Some(path) = &self.path {
            fs::rename(path, &target)?;
        }
        self.path = None;
        target.parent().map_or(Ok(()), sync)?;
        let hasher = std::mem::take(&mut self.hasher);
        Ok(StoredImage::new(
            ImageDigest::from_bytes(hasher.finalize().into()),
            self.bytes,
        ))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some(path) = self.path.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(&path))),
            Err(_) => remove(&path),
        }
    }
}

/// What cannot be removed now is a leftover, removed by a later opening.
fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_default();
}

/// A part of a file being read.
#[derive(Debug)]
pub(super) struct Reading {
    file: File,
    left: u64,
}

impl Reading {
    pub(super) fn open(folder: &Folder, key: &ImageKey, range: Option<Range<u64>>) -> Result<Self, Fault> {
        let (path, found) = folder.find(key)?.ok_or(Fault::Missing)?;
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Fault::Missing),
            other => other?,
        };
        let opened = file.metadata()?;
        if !opened.is_file() {
            return Err(Fault::Missing);
        }
        refuse_swapped(&path, &found, &opened)?;
        let length = opened.len();
        let range = range.unwrap_or(0..length);
        if range.start > length || range.end < range.start {
            return Err(Fault::Range { length });
        }
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start))?;
        }
        Ok(Self {
            file,
            left: range.end.min(length).saturating_sub(range.start),
        })
    }

    pub(super) const fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The next piece, at most `size` bytes; empty at the end.
    pub(super) fn next(&mut self, size: usize) -> io::Result<Bytes> {
        let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(size);
        let mut piece = vec![0; size];
        self.file.read_exact(&mut piece)?;
        self.left = self.left.saturating_sub(count(size));
        Ok(piece.into())
    }
}

/// Between the look and the opening, a link may have come in the file's place; a newer file may as well, and is fine.
#[cfg(unix)]
fn refuse_swapped(path: &Path, found: &fs::Metadata, opened: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    if same(found, opened) || !fs::symlink_metadata(path)?.is_symlink() {
        return Ok(());
    }
    Err(io::Error::other("the file was replaced by a link"))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail where files have identities")]
fn refuse_swapped(_: &Path, _: &fs::Metadata, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}
