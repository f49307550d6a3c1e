use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use midjourney_core::{
    image::{ByteStream, ImageDigest, ImageKey, ImageStore, ImageStoreError, StoredImage},
    memory::MemoryImageStore,
    testing::image_store::CASES,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    ClampsBadRanges,
    DigestOfNothing,
    EmptyIsRefused,
    FirstPieceOnly,
    IgnoresLimit,
    IgnoresSourceError,
    InclusiveRanges,
    KeysWithoutEnding,
    LimitIsTooMuch,
    MissingIsEmpty,
    NeverReplaces,
    PingFails,
    ReadsPieceByPiece,
    RemovesNothing,
    RemoveWantsSomething,
    WritesInPlace,
}

/// The reference with one thing wrong.
#[derive(Debug)]
struct Broken {
    fault: Fault,
    inner: Arc<MemoryImageStore>,
    in_place: Mutex<HashMap<ImageKey, Vec<u8>>>,
}

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn in_place(&self) -> MutexGuard<'_, HashMap<ImageKey, Vec<u8>>> {
        self.in_place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, key: &ImageKey) -> ImageKey {
        if self.has(Fault::KeysWithoutEnding) {
            let text = key.as_str().replace(".jpg", ".png");
            return text.parse().unwrap_or_else(|_| key.clone());
        }
        key.clone()
    }

    /// What is in place, where this store writes in place, as the reference keeps it.
    async fn settle(&self, key: &ImageKey) -> Result<(), ImageStoreError> {
        let bytes = self.in_place().get(key).cloned();
        if let Some(bytes) = bytes {
            self.inner.put(key, whole(bytes.into()), u64::MAX).await?;
        }
        Ok(())
    }
}

fn whole(bytes: Bytes) -> ByteStream {
    stream::iter([Ok(bytes)]).boxed()
}

#[async_trait]
impl ImageStore for Broken {
    fn backend(&self) -> &'static str {
        "broken"
    }

    async fn put(
        &self,
        key: &ImageKey,
        mut body: ByteStream,
        mut limit: u64,
    ) -> Result<StoredImage, ImageStoreError> {
        let key = &self.place(key);
        match self.fault {
            Fault::IgnoresLimit => limit = u64::MAX,
            Fault::LimitIsTooMuch => limit = limit.saturating_sub(1),
            Fault::IgnoresSourceError => {
                body = body.take_while(|piece| std::future::ready(piece.is_ok())).boxed();
            }
            Fault::FirstPieceOnly => body = body.take(1).boxed(),
            Fault::EmptyIsRefused if limit == 0 => {
                return Err(ImageStoreError::NotFound(key.clone()));
            }
            Fault::NeverReplaces => {
                if let Some(length) = self.inner.length(key).await? {
                    return Ok(StoredImage::new(ImageDigest::of(b""), length));
                }
            }
            Fault::WritesInPlace => {
                self.in_place().insert(key.clone(), Vec::new());
                let mut own = Vec::new();
                while let Some(piece) = body.next().await {
                    let piece = piece.map_err(|source| ImageStoreError::Source {
                        key: key.clone(),
                        source,
                    })?;
                    own.extend_from_slice(&piece);
                    self.in_place().entry(key.clone()).or_default().extend(piece);
                    tokio::task::yield_now().await;
                }
                let length = u64::try_from(own.len()).unwrap_or(0);
                return Ok(StoredImage::new(ImageDigest::of(&own), length));
            }
            _ => {}
        }
        let mut stored = self.inner.put(key, body, limit).await?;
        if self.has(Fault::DigestOfNothing) {
            stored.digest = ImageDigest::of(b"");
        }
        Ok(stored)
    }

    async fn length(&self, key: &ImageKey) -> Result<Option<u64>, ImageStoreError> {
        self.settle(key).await?;
        self.inner.length(&self.place(key)).await
    }

    async fn read(&self, key: &ImageKey, range: Option<Range<u64>>) -> Result<ByteStream, ImageStoreError> {
        let key = self.place(key);
        self.settle(&key).await?;
        let mut range = range;
        match self.fault {
            Fault::ClampsBadRanges => range = range.filter(|range| range.start < range.end),
            Fault::InclusiveRanges => range = range.map(|range| range.start..range.end.saturating_add(1)),
            Fault::MissingIsEmpty if self.inner.length(&key).await?.is_none() => {
                return Ok(stream::empty().boxed());
            }
            Fault::ReadsPieceByPiece if range.is_none() => {
                let inner = Arc::clone(&self.inner);
                let pieces = stream::unfold(0, move |start| {
                    let (inner, key) = (Arc::clone(&inner), key.clone());
                    async move {
                        let piece = inner.read(&key, Some(start..start + 1000)).await.ok()?;
                        let piece = piece.try_collect::<Vec<_>>().await.ok()?.concat();
                        (!piece.is_empty()).then(|| (Ok(Bytes::from(piece)), start + 1000))
                    }
                });
                return Ok(pieces.boxed());
            }
            _ => {}
        }
        self.inner.read(&key, range).await
    }

    async fn remove(&self, key: &ImageKey) -> Result<(), ImageStoreError> {
        self.in_place().remove(key);
        match self.fault {
            Fault::RemovesNothing => Ok(()),
            Fault::RemoveWantsSomething if self.inner.length(key).await?.is_none() => {
                Err(ImageStoreError::NotFound(key.clone()))
            }
            _ => self.inner.remove(key).await,
        }
    }

    async fn ping(&self) -> Result<(), ImageStoreError> {
        if self.has(Fault::PingFails) {
            return Err(ImageStoreError::Full {
                source: "no room".into(),
            });
        }
        self.inner.ping().await
    }
}

fn reference() -> Arc<dyn ImageStore> {
    Arc::new(MemoryImageStore::new())
}

fn broken(fault: Fault) -> Arc<dyn ImageStore> {
    Arc::new(Broken {
        fault,
        inner: Arc::default(),
        in_place: Mutex::default(),
    })
}

super::bites! {
    image_store, reference, broken;
    clamped_ranges: ClampsBadRanges => [read_refuses_bad_ranges],
    a_wrong_digest: DigestOfNothing => [put_tells_digest_and_length],
    empty_bodies_refused: EmptyIsRefused => [put_takes_an_empty_body],
    one_piece_only: FirstPieceOnly => [put_keeps_all_bytes, put_takes_a_large_body_in_pieces],
    ignored_limit: IgnoresLimit => [put_beyond_the_limit_keeps_the_old],
    ignored_source_error: IgnoresSourceError => [put_whose_source_fails_keeps_the_old],
    inclusive_ranges: InclusiveRanges => [read_gives_ranges],
    keys_without_ending: KeysWithoutEnding => [keys_are_apart],
    a_limit_too_low: LimitIsTooMuch => [put_up_to_the_limit_is_kept],
    missing_is_empty: MissingIsEmpty => [read_of_nothing_is_not_found],
    never_replaced: NeverReplaces => [put_replaces_what_was_there],
    a_ping_that_fails: PingFails => [ping_of_a_healthy_store_works],
    read_piece_by_piece: ReadsPieceByPiece => [a_reader_sees_one_value_while_it_is_replaced],
    nothing_removed: RemovesNothing => [remove_removes_and_may_be_repeated],
    remove_of_nothing_fails: RemoveWantsSomething => [remove_removes_and_may_be_repeated],
    written_in_place: WritesInPlace => [
        put_shows_nothing_before_it_is_done,
        put_that_is_dropped_keeps_the_old,
        put_whose_source_fails_keeps_the_old,
        puts_at_once_leave_one_whole_value
    ],
}

#[test]
fn every_case_bites() {
    super::assert_all_bite(CASES, CAUGHT_BY, &[]);
}
