//! Secrets of our own: each made once, shared by all processes on a data directory, or by all nodes on a database.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use midjourney_core::{
    clock::{Entropy as _, OsEntropy},
    error::BoxError,
    key::Secret,
};

use super::{AssembleError, JobDatabase};
use crate::fs::sync;

/// A secret by the file that it is kept in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Own {
    /// Proves our links.
    Links,
    /// What the signing secrets of webhooks are derived from.
    Webhooks,
}

impl Own {
    const ALL: [Self; 2] = [Self::Links, Self::Webhooks];

    const fn file(self) -> &'static str {
        match self {
            Self::Links => "links.key",
            Self::Webhooks => "webhooks.key",
        }
    }
}

/// As long as the digest that it goes into.
const BYTES: usize = 32;

/// The secret `which`, made where there is none yet: what one node signs, the others must accept.
pub(super) async fn own(
    data_dir: &Path,
    database: &JobDatabase,
    which: Own,
) -> Result<Secret, AssembleError> {
    let failed = |place: String, source: BoxError| AssembleError::OwnSecret { place, source };
    match database {
        JobDatabase::Sqlite(_) => {
            let folder = data_dir.to_owned();
            tokio::task::spawn_blocking(move || in_folder(&folder, which))
                .await
                .map_err(BoxError::from)
                .and_then(|made| made.map_err(BoxError::from))
                .map_err(|error| failed(data_dir.display().to_string(), error))
        }
        #[cfg(feature = "postgres")]
        JobDatabase::Postgres(store) => store
            .shared_secret(which.file(), &fresh())
            .await
            .map_err(|error| failed(database.to_string(), error.into())),
    }
}

/// All of them that there are, by the names of their files.
pub(super) async fn all(
    data_dir: &Path,
    database: &JobDatabase,
) -> Result<Vec<(String, Secret)>, AssembleError> {
    let failed = |place: String, source: BoxError| AssembleError::OwnSecret { place, source };
    match database {
        JobDatabase::Sqlite(_) => {
            let folder = data_dir.to_owned();
            let read = tokio::task::spawn_blocking(move || {
                let there = |which: &Own| folder.join(which.file()).exists();
                let read = |which: Own| Ok((which.file().to_owned(), in_folder(&folder, which)?));
                Own::ALL
                    .into_iter()
                    .filter(there)
                    .map(read)
                    .collect::<io::Result<_>>()
            });
            read.await
                .map_err(BoxError::from)
                .and_then(|read| read.map_err(BoxError::from))
                .map_err(|error| failed(data_dir.display().to_string(), error))
        }
        #[cfg(feature = "postgres")]
        JobDatabase::Postgres(store) => store
            .shared_secrets()
            .await
            .map_err(|error| failed(database.to_string(), error.into())),
    }
}

/// `secret` is the one called `name` from now on; one that nobody knows is left out.
pub(super) async fn replace(
    data_dir: &Path,
    database: &JobDatabase,
    name: &str,
    secret: &Secret,
) -> Result<(), AssembleError> {
    let failed = |place: String, source: BoxError| AssembleError::OwnSecret { place, source };
    let Some(which) = Own::ALL.into_iter().find(|which| which.file() == name) else {
        return Ok(());
    };
    match database {
        JobDatabase::Sqlite(_) => {
            let (folder, text) = (data_dir.to_owned(), secret.expose().to_owned());
            let written = tokio::task::spawn_blocking(move || {
                let secret = usable(&text, which)?;
                draft(&folder, which, &secret)?
                    .persist(folder.join(which.file()))
                    .map_err(|error| error.error)?;
                sync(&folder)
            });
            written
                .await
                .map_err(BoxError::from)
                .and_then(|written| written.map_err(BoxError::from))
                .map_err(|error| failed(data_dir.display().to_string(), error))
        }
        #[cfg(feature = "postgres")]
        JobDatabase::Postgres(store) => store
            .replace_secret(which.file(), secret)
            .await
            .map_err(|error| failed(database.to_string(), error.into())),
    }
}

fn fresh() -> Secret {
    let mut bytes = [0; BYTES];
    OsEntropy.fill(&mut bytes);
    let mut hex = String::with_capacity(2 * BYTES);
    for byte in bytes {
        let digits = [byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16));
        hex.extend(digits.into_iter().flatten());
    }
    Secret::new(hex)
}

/// The secret in `folder`. Blocks.
fn in_folder(folder: &Path, which: Own) -> io::Result<Secret> {
    let path = folder.join(which.file());
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder, &path, which)?,
        Err(error) => return Err(error),
        Ok(text) => return usable(&text, which),
    }
    usable(&fs::read_to_string(&path)?, which)
}

/// A file that was cut off would prove nothing.
fn usable(text: &str, which: Own) -> io::Result<Secret> {
    let hex = text.trim();
    if hex.len() == 2 * BYTES && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Secret::new(hex));
    }
    let message = format!(
        "{} is damaged; restore it from a backup, or remove it: what was proved with it is worth nothing then",
        which.file()
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// Whole or not at all; the first of several processes wins.
fn make(folder: &Path, path: &Path, which: Own) -> io::Result<()> {
    match draft(folder, which, &fresh())?.persist_noclobber(path) {
        Ok(_) => sync(folder),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// A file that is the owner's alone, and on disk.
fn draft(folder: &Path, which: Own, secret: &Secret) -> io::Result<tempfile::NamedTempFile> {
    let mut draft = tempfile::Builder::new()
        .prefix(which.file())
        .tempfile_in(folder)?;
    draft.write_all(secret.expose().as_bytes())?;
    draft.as_file().sync_all()?;
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = in_folder(folder.path(), Own::Links).unwrap();
        let again = in_folder(folder.path(), Own::Links).unwrap();
        assert_eq!(first.expose(), again.expose());
        assert_eq!(first.expose().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(Own::Links.file()))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let other = in_folder(folder.path(), Own::Webhooks).unwrap();
        assert_ne!(first.expose(), other.expose());
    }

    #[test]
    fn many_at_once_agree_on_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let made: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| in_folder(folder.path(), Own::Links)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
        });
        assert!(made.iter().all(|one| one.expose() == made[0].expose()));
    }

    #[test]
    fn a_damaged_file_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(Own::Links.file()), "deadbeef").unwrap();
        let error = in_folder(folder.path(), Own::Links).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}
