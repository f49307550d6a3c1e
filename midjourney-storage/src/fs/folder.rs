//! The folder, and the way from a key to a file in it.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use midjourney_core::image::ImageKey;

/// Where files are until they are whole. No key begins with a dot.
const DRAFTS: &str = ".tmp";

/// What is left of a write is removed once it is this old.
const LEFTOVER_AGE: Duration = Duration::from_secs(60);

/// The root of a store.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Takes `root`, which is made where it is missing, and clears what earlier processes left half-done.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        create_all(&root)?;
        // The root itself may be reached by a link: where it is, is the operator's choice.
        let folder = Self {
            root: root.canonicalize()?,
        };
        create(&folder.drafts())?;
        refuse_link(&folder.drafts(), &fs::symlink_metadata(folder.drafts())?)?;
        folder.remove_leftovers()?;
        Ok(folder)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn drafts(&self) -> PathBuf {
        self.root.join(DRAFTS)
    }

    /// The file of `key`, without a look at the disk. Keys are of plain parts only, so it lies below the root.
    pub(super) fn path(&self, key: &ImageKey) -> PathBuf {
        key.as_str()
            .split('/')
            .fold(self.root.clone(), |path, part| path.join(part))
    }

    /// The file of `key` with what is there, if anything is. No link on the way is followed.
    pub(super) fn find(&self, key: &ImageKey) -> io::Result<Option<(PathBuf, Metadata)>> {
        let mut path = self.root.clone();
        let mut found = None;
        for part in key.as_str().split('/') {
            path.push(part);
            let metadata = match fs::symlink_metadata(&path) {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Ok(None);
                }
                other => other?,
            };
            refuse_link(&path, &metadata)?;
            found = Some(metadata);
        }
        Ok(found.filter(Metadata::is_file).map(|metadata| (path, metadata)))
    }

    pub(super) fn length(&self, key: &ImageKey) -> io::Result<Option<u64>> {
        Ok(self.find(key)?.map(|(_, metadata)| metadata.len()))
    }

    /// The path for a new file of `key`; makes the folders on the way.
    pub(super) fn make_room(&self, key: &ImageKey) -> io::Result<PathBuf> {
        let target = self.path(key);
        let mut folder = self.root.clone();
        let mut parts = key.as_str().split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                break;
            }
            folder.push(part);
            create(&folder)?;
            refuse_link(&folder, &fs::symlink_metadata(&folder)?)?;
        }
        Ok(target)
    }

    pub(super) fn remove(&self, key: &ImageKey) -> io::Result<()> {
        let Some((path, _)) = self.find(key)? else {
            return Ok(());
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => {
                other?;
                path.parent().map_or(Ok(()), sync)
            }
        }
    }

    fn remove_leftovers(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.drafts())? {
            let entry = entry?;
            let old = entry
                .metadata()
                .and_then(|data| data.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFTOVER_AGE));
            // Whoever still writes holds a lock on the file, however slowly its bytes come.
            if old
                && OpenOptions::new()
                    .write(true)
                    .open(entry.path())
                    .is_ok_and(|file| file.try_lock().is_ok())
            {
                fs::remove_file(entry.path()).unwrap_or_default();
            }
        }
        Ok(())
    }
}

fn refuse_link(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.is_symlink() {
        let text = format!("{} is a symbolic link; links are not followed", path.display());
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// Makes `folder` and the folders above it.
pub(crate) fn create_all(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_all(parent)?;
    }
    create(folder)
}

/// Makes one folder that survives a power cut; fine where it is there.
fn create(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => folder.parent().map_or(Ok(()), sync),
    }
}

/// Makes the names in `folder` survive a power cut.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
