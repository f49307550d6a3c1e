//! The file that a backup is in: whole under its name or not there, its owner's alone, encrypted where that is wanted.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read},
    path::{Path, PathBuf},
};

use midjourney_core::clock::Timestamp;

use super::{BackupError, Report, create, read, reading, writing};
use crate::{Stores, fs::sync};

/// What an encrypted file begins with.
const SEALED: &[u8] = b"age-encryption.org/v1\n";

/// A file with a backup in it, or one to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackupFile {
    path: PathBuf,
    recipients: Vec<String>,
    identity: Option<PathBuf>,
}

impl BackupFile {
    /// The file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            recipients: Vec::new(),
            identity: None,
        }
    }

    /// The same, encrypted for these: public keys of age, `age1...`. Their owners need nothing of us to read it.
    pub fn sealed_for(mut self, recipients: Vec<String>) -> Self {
        self.recipients = recipients;
        self
    }

    /// The same, opened with the secret keys in this file.
    pub fn opened_with(mut self, identity: Option<PathBuf>) -> Self {
        self.identity = identity;
        self
    }

    /// Writes all that is kept in `stores`, as it is at one moment; what is accepted meanwhile is not in it. Nobody has to
    /// stop. Memory: some 150 bytes for each picture.
    ///
    /// A picture whose file is gone or damaged is left out and [told](Report::lost). A file that is there already is not
    /// written over.
    ///
    /// **Errors:** then there is no file. **Cancel safety:** dropping the future may leave a file that ends in `.part`.
    pub async fn create(&self, stores: &Stores, now: Timestamp) -> Result<Report, BackupError> {
        let draft = Draft::new(&self.path).map_err(writing)?;
        let to = seal::Sealing::new(
            BufWriter::new(draft.file.try_clone().map_err(writing)?),
            &self.recipients,
        )?;
        let (report, to) = create::create(stores, to, now).await?;
        tokio::task::spawn_blocking(move || {
            let file = to
                .finish()?
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            draft.keep()
        })
        .await?
        .map_err(writing)?;
        Ok(report)
    }

    /// Reads the backup to its end and checks every sum. Changes nothing.
    ///
    /// **Errors:** what is wrong with it.
    pub async fn verify(&self) -> Result<Report, BackupError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || read::verify(this.open()?)).await?
    }

    /// Puts what the backup holds into `stores`, which must have no jobs yet. The file is checked to its end before
    /// anything is written, and rows are there all at once, after their pictures.
    ///
    /// **Errors:** [`BackupError::NotEmpty`], or what is wrong; then there are no rows, and what was stored of pictures is
    /// written over by the next try. **Cancel safety:** the same.
    pub async fn restore(&self, stores: &Stores) -> Result<Report, BackupError> {
        if stores.database.jobs().head().await?.get() > 0 {
            return Err(BackupError::NotEmpty(stores.database.to_string()));
        }
        self.verify().await?;
        read::restore(stores, self.open()?).await
    }

    fn open(&self) -> Result<Box<dyn Read + Send>, BackupError> {
        let mut file = File::open(&self.path).map_err(reading)?;
        let mut head = Vec::new();
        let length = u64::try_from(SEALED.len()).unwrap_or(u64::MAX);
        (&file).take(length).read_to_end(&mut head).map_err(reading)?;
        io::Seek::rewind(&mut file).map_err(reading)?;
        let file = BufReader::new(file);
        match (head == SEALED, &self.identity) {
            (false, _) => Ok(Box::new(file)),
            (true, Some(identity)) => seal::open(file, identity),
            (true, None) => Err(BackupError::Sealed),
        }
    }
}

/// A file in the making, under a name of its own; removed unless it is kept.
struct Draft {
    file: File,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Draft {
    fn new(path: &Path) -> io::Result<Self> {
        if path.exists() {
            let there = format!("{} is there already; name another file", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, there));
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".part");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self {
            file: options.open(&draft)?,
            unfinished: draft.into(),
            path: path.to_owned(),
        })
    }

    /// Gives it its name, unless another file has that by now.
    fn keep(self) -> io::Result<()> {
        fs::hard_link(&self.unfinished, &self.path)?;
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => sync(folder),
            _ => sync(Path::new(".")),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // One that stays is written over by the next backup of this name.
        fs::remove_file(&self.unfinished).unwrap_or_default();
    }
}

#[cfg(feature = "age")]
mod seal {
    use std::{
        io::{self, Read, Write},
        path::Path,
    };

    use age::{Decryptor, Encryptor, IdentityFile, stream::StreamWriter, x25519};

    use super::{super::reading, BackupError};

    /// Writes as it is, or encrypted.
    pub(super) enum Sealing<W: Write> {
        Plain(W),
        Sealed(StreamWriter<W>),
    }

    impl<W: Write> Sealing<W> {
        pub(super) fn new(to: W, recipients: &[String]) -> Result<Self, BackupError> {
            if recipients.is_empty() {
                return Ok(Self::Plain(to));
            }
            let recipients = recipients
                .iter()
                .map(|text| {
                    let key: Result<x25519::Recipient, _> = text.trim().parse();
                    key.map_err(|_| BackupError::Recipient(text.clone()))
                })
                .collect::<Result<Vec<_>, _>>()?;
            let each = recipients.iter().map(|key| -> &dyn age::Recipient { key });
            let sealed = Encryptor::with_recipients(each)
                .map_err(io::Error::other)
                .and_then(|encryptor| encryptor.wrap_output(to));
            sealed.map(Self::Sealed).map_err(super::writing)
        }

        pub(super) fn finish(self) -> io::Result<W> {
            match self {
                Self::Plain(to) => Ok(to),
                Self::Sealed(to) => to.finish(),
            }
        }
    }

    impl<W: Write> Write for Sealing<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self {
                Self::Plain(to) => to.write(bytes),
                Self::Sealed(to) => to.write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            match self {
                Self::Plain(to) => to.flush(),
                Self::Sealed(to) => to.flush(),
            }
        }
    }

    /// What is in a file that was encrypted for one of the secret keys in `identity`.
    pub(super) fn open(
        from: impl Read + Send + 'static,
        identity: &Path,
    ) -> Result<Box<dyn Read + Send>, BackupError> {
        let keys = IdentityFile::from_file(identity.display().to_string()).map_err(reading)?;
        let wrong = |error: age::DecryptError| BackupError::Unopened(error.into());
        let keys = keys.into_identities().map_err(wrong)?;
        let each = keys.iter().map(|key| -> &dyn age::Identity { &**key });
        let opened = Decryptor::new(from)
            .and_then(|decryptor| decryptor.decrypt(each))
            .map_err(wrong)?;
        Ok(Box::new(opened))
    }
}

#[cfg(not(feature = "age"))]
mod seal {
    use std::{
        io::{self, Read, Write},
        path::Path,
    };

    use super::BackupError;

    /// Writes as it is.
    pub(super) struct Sealing<W: Write>(W);

    impl<W: Write> Sealing<W> {
        pub(super) fn new(to: W, recipients: &[String]) -> Result<Self, BackupError> {
            if recipients.is_empty() {
                Ok(Self(to))
            } else {
                Err(BackupError::NoAge)
            }
        }

        #[expect(clippy::unnecessary_wraps, reason = "where it encrypts, it can fail")]
        pub(super) fn finish(self) -> io::Result<W> {
            Ok(self.0)
        }
    }

    impl<W: Write> Write for Sealing<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    pub(super) fn open(_: impl Read, _: &Path) -> Result<Box<dyn Read + Send>, BackupError> {
        Err(BackupError::NoAge)
    }
}
