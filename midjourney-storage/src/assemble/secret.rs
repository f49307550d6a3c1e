//! The secret that proves our links: made once, shared by all processes on a data directory.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use midjourney_core::{
    clock::{Entropy, OsEntropy},
    key::Secret,
};

use crate::fs::sync;

const FILE: &str = "links.key";

/// As long as the digest that it goes into.
const BYTES: usize = 32;

/// The secret in `folder`, made where there is none yet. Blocks.
pub(super) fn links(folder: &Path) -> io::Result<Secret> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder, &path)?,
        Err(error) => return Err(error),
        Ok(text) => return usable(&text),
    }
    usable(&fs::read_to_string(&path)?)
}

/// A file that was cut off would prove nothing.
fn usable(text: &str) -> io::Result<Secret> {
    let hex = text.trim();
    if hex.len() == 2 * BYTES && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Secret::new(hex));
    }
    let message = format!("{FILE} is damaged; remove it, and links that were given out stop working");
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// Whole or not at all; the first of several processes wins.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    let mut draft = tempfile::Builder::new().prefix(FILE).tempfile_in(folder)?;
    let mut bytes = [0; BYTES];
    OsEntropy.fill(&mut bytes);
    for byte in bytes {
        write!(draft, "{byte:02x}")?;
    }
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(path) {
        Ok(_) => sync(folder),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = links(folder.path()).unwrap();
        let again = links(folder.path()).unwrap();
        assert_eq!(first.expose(), again.expose());
        assert_eq!(first.expose().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_at_once_agree_on_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let made: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| links(folder.path()))).collect();
            all.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
        });
        assert!(made.iter().all(|one| one.expose() == made[0].expose()));
    }

    #[test]
    fn a_damaged_file_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "deadbeef").unwrap();
        let error = links(folder.path()).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}
