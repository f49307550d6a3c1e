//! Pictures as files below one folder, in folders by day: `2026/11/22/job_..._1.png`.
//!
//! Bytes go to a temporary file first, are hashed on the way, synced, and renamed into place; the folder is synced
//! after it. All file work is done off the async threads, in pieces, so that memory use does not grow with the
//! picture and a slow sender holds no thread.

mod file;
mod folder;

use std::{fmt, ops::Range, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use midjourney_core::{
    error::BoxError,
    image::{ByteStream, ImageKey, ImageStore, ImageStoreError, StoredImage},
};

#[cfg(feature = "assemble")]
pub(crate) use self::folder::{create_all, sync};
use self::{
    file::{Draft, Reading},
    folder::Folder,
};

const BACKEND: &str = "local";

/// Bytes written or read in one go: enough that the way to another thread and back costs little.
const CHUNK: usize = 256 * 1024;

/// An [`ImageStore`] in a folder of the local machine.
///
/// Files have mode 0600 and folders 0700. A symbolic link below the root is never followed. Several processes may
/// share the folder. Temporary files are in `.tmp` and are removed by a later [`open`](Self::open) when their process
/// is gone and they are over a minute old.
#[derive(Clone)]
pub struct LocalImageStore {
    folder: Arc<Folder>,
}

impl LocalImageStore {
    /// Opens the store in `root`; makes the folder where there is none.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, ImageStoreError> {
        let root = root.into();
        let folder = blocking("opening the folder", move || Folder::open(&root)).await?;
        Ok(Self {
            folder: Arc::new(folder),
        })
    }

    async fn fill(
        &self,
        key: &ImageKey,
        mut body: ByteStream,
        limit: u64,
    ) -> Result<StoredImage, ImageStoreError> {
        let folder = Arc::clone(&self.folder);
        let mut draft = blocking("making a temporary file", move || Draft::new(&folder)).await?;
        let mut taken: u64 = 0;
        let mut waiting = Vec::new();
        let mut size = 0_usize;
        while let Some(part) = body.next().await {
            let part = match part {
                Ok(part) => part,
                Err(source) => {
                    discard(draft).await?;
                    let key = key.clone();
                    return Err(ImageStoreError::Source { key, source });
                }
            };
            taken = taken.saturating_add(count(part.len()));
            if taken > limit {
                discard(draft).await?;
                let key = key.clone();
                return Err(ImageStoreError::TooLarge { key, limit });
            }
            size = size.saturating_add(part.len());
            waiting.push(part);
            if size >= CHUNK {
                size = 0;
                let parts = std::mem::take(&mut waiting);
                draft = blocking("writing", move || draft.write(&parts)).await?;
            }
        }
        let (folder, key) = (Arc::clone(&self.folder), key.clone());
        blocking("writing", move || draft.write(&waiting)?.keep(&folder, &key)).await
    }
}

async fn discard(draft: Draft) -> Result<(), ImageStoreError> {
    blocking("removing a temporary file", move || {
        draft.discard();
        Ok(())
    })
    .await
}

impl fmt::Debug for LocalImageStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalImageStore")
            .field("root", &self.folder.root())
            .finish()
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What went wrong with a file.
#[derive(Debug)]
enum Fault {
    Missing,
    Range { length: u64 },
    Io(std::io::Error),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

fn failed(operation: &'static str, error: std::io::Error) -> ImageStoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            ImageStoreError::Full { source: error.into() }
        }
        _ => ImageStoreError::Backend {
            backend: BACKEND,
            operation,
            source: error.into(),
        },
    }
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ImageStoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| failed(operation, error))
}

#[async_trait]
impl ImageStore for LocalImageStore {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    async fn put(
        &self,
        key: &ImageKey,
        body: ByteStream,
        limit: u64,
    ) -> Result<StoredImage, ImageStoreError> {
        self.fill(key, body, limit).await
    }

    async fn length(&self, key: &ImageKey) -> Result<Option<u64>, ImageStoreError> {
        let (folder, key) = (Arc::clone(&self.folder), key.clone());
        blocking("looking up", move || folder.length(&key)).await
    }

    async fn read(&self, key: &ImageKey, range: Option<Range<u64>>) -> Result<ByteStream, ImageStoreError> {
        let (folder, wanted) = (Arc::clone(&self.folder), key.clone());
        // The first piece comes with the opening: most reads of a small picture are one trip to another thread.
        let opened = tokio::task::spawn_blocking(move || {
            let mut reading = Reading::open(&folder, &wanted, range)?;
            let first = reading.next(CHUNK)?;
            Ok((first, reading))
        })
        .await
        .unwrap_or_else(|error| Err(Fault::Io(std::io::Error::other(error))));
        let (first, reading) = opened.map_err(|fault| match fault {
            Fault::Missing => ImageStoreError::NotFound(key.clone()),
            Fault::Range { length } => ImageStoreError::BadRange { length },
            Fault::Io(error) => failed("reading", error),
        })?;
        let rest = stream::try_unfold(reading, |mut reading| async move {
            if reading.is_done() {
                return Ok(None);
            }
            let piece = tokio::task::spawn_blocking(move || {
                let piece = reading.next(CHUNK)?;
                Ok::<_, std::io::Error>((piece, reading))
            });
            let piece = piece.await.map_err(BoxError::from)?.map_err(BoxError::from)?;
            Ok(Some(piece))
        });
        let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
        Ok(first.chain(rest).boxed())
    }

    async fn remove(&self, key: &ImageKey) -> Result<(), ImageStoreError> {
        let (folder, key) = (Arc::clone(&self.folder), key.clone());
        blocking("removing", move || folder.remove(&key)).await
    }

    async fn ping(&self) -> Result<(), ImageStoreError> {
        let folder = Arc::clone(&self.folder);
        blocking("writing", move || {
            let draft = Draft::new(&folder)?;
            draft.write(&[Bytes::from_static(b"?")])?.discard();
            Ok(())
        })
        .await
    }
}
