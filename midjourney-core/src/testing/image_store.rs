//! What an [`ImageStore`] must do, case by case. Run by [`image_store_suite!`](crate::image_store_suite).

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    Case,
    given::{at, job_id},
};
use crate::{
    error::BoxError,
    image::{
        ByteStream, ImageDigest, ImageKey, ImageKind, ImageStore, ImageStoreError, MediaType, StoredImage,
    },
};

/// All cases.
pub const CASES: &[Case<Arc<dyn ImageStore>>] = crate::__image_store_cases! { table Arc<dyn ImageStore> };

#[doc(hidden)]
#[macro_export]
macro_rules! __image_store_cases {
    ($($mode:tt)+) => {
        $crate::__suite! { $($mode)+;
            put_keeps_all_bytes,
            put_tells_digest_and_length,
            put_takes_an_empty_body,
            put_takes_a_large_body_in_pieces,
            put_replaces_what_was_there,
            put_up_to_the_limit_is_kept,
            put_beyond_the_limit_keeps_the_old,
            put_whose_source_fails_keeps_the_old,
            put_shows_nothing_before_it_is_done,
            put_that_is_dropped_keeps_the_old,
            puts_at_once_leave_one_whole_value,
            keys_are_apart,
            a_reader_sees_one_value_while_it_is_replaced,
            read_gives_ranges,
            read_refuses_bad_ranges,
            read_of_nothing_is_not_found,
            remove_removes_and_may_be_repeated,
            ping_of_a_healthy_store_works,
        }
    };
}

const NO_LIMIT: u64 = u64::MAX;

fn place(number: u64) -> ImageKey {
    ImageKey::new(at(0), job_id(number), ImageKind::Single, 1, MediaType::Png)
}

fn parts(parts: Vec<Result<Bytes, BoxError>>) -> ByteStream {
    stream::iter(parts).boxed()
}

fn body(bytes: &[u8]) -> ByteStream {
    let pieces = bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece)));
    parts(pieces.collect())
}

/// Bytes that differ from place to place and from seed to seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let dice = super::SeededEntropy::new(seed);
    let mut bytes = vec![0; length];
    crate::clock::Entropy::fill(&dice, &mut bytes);
    bytes
}

async fn put(store: &Arc<dyn ImageStore>, number: u64, bytes: &[u8]) -> StoredImage {
    store.put(&place(number), body(bytes), NO_LIMIT).await.unwrap()
}

async fn drain(stream: ByteStream) -> Vec<u8> {
    let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
    pieces.concat()
}

async fn read(store: &Arc<dyn ImageStore>, number: u64) -> Vec<u8> {
    drain(store.read(&place(number), None).await.unwrap()).await
}

async fn read_range(store: &Arc<dyn ImageStore>, range: Range<u64>) -> Vec<u8> {
    drain(store.read(&place(1), Some(range)).await.unwrap()).await
}

/// What is put can be read.
pub async fn put_keeps_all_bytes(store: Arc<dyn ImageStore>) {
    let bytes = noise(1, 5_000);
    put(&store, 1, &bytes).await;
    assert_eq!(read(&store, 1).await, bytes);
    assert_eq!(read(&store, 1).await, bytes, "as often as wanted");
    assert_eq!(store.length(&place(1)).await.unwrap(), Some(5_000));
}

/// The digest and the length are those of the bytes.
pub async fn put_tells_digest_and_length(store: Arc<dyn ImageStore>) {
    for length in [0, 1, 999, 1000, 1001, 70_000] {
        let bytes = noise(2, length);
        let expected = StoredImage::new(ImageDigest::of(&bytes), u64::try_from(length).unwrap());
        assert_eq!(put(&store, 1, &bytes).await, expected);
    }
}

/// Whether nothing is a picture is for others to say.
pub async fn put_takes_an_empty_body(store: Arc<dyn ImageStore>) {
    for empty in [parts(Vec::new()), parts(vec![Ok(Bytes::new()), Ok(Bytes::new())])] {
        let stored = store.put(&place(1), empty, 0).await.unwrap();
        assert_eq!(stored, StoredImage::new(ImageDigest::of(b""), 0));
        assert_eq!(read(&store, 1).await, b"");
        assert_eq!(read_range(&store, 0..10).await, b"");
        assert_eq!(store.length(&place(1)).await.unwrap(), Some(0));
    }
}

/// 8 MiB in pieces of all sizes.
pub async fn put_takes_a_large_body_in_pieces(store: Arc<dyn ImageStore>) {
    let bytes = noise(3, 8 * 1024 * 1024);
    let mut rest = Bytes::from(bytes.clone());
    let mut pieces = Vec::new();
    for size in (0..).map(|n| (n * 7_919) % 131_072) {
        if rest.is_empty() {
            break;
        }
        pieces.push(Ok(rest.split_to(size.min(rest.len()))));
    }
    let stored = store.put(&place(1), parts(pieces), NO_LIMIT).await.unwrap();
    assert_eq!(stored.digest, ImageDigest::of(&bytes));
    assert!(read(&store, 1).await == bytes, "the same 8 MiB");
    let middle = read_range(&store, 4_000_000..5_000_000).await;
    assert!(middle == bytes[4_000_000..5_000_000], "the middle of them");
}

/// The last put wins, longer or shorter.
pub async fn put_replaces_what_was_there(store: Arc<dyn ImageStore>) {
    for (seed, length) in [(1, 3_000), (2, 10), (3, 6_000)] {
        let bytes = noise(seed, length);
        put(&store, 1, &bytes).await;
        assert_eq!(read(&store, 1).await, bytes);
    }
}

/// As many bytes as the limit are within it.
pub async fn put_up_to_the_limit_is_kept(store: Arc<dyn ImageStore>) {
    let bytes = noise(1, 2_500);
    store.put(&place(1), body(&bytes), 2_500).await.unwrap();
    assert_eq!(read(&store, 1).await, bytes);
}

/// One byte more is refused, and nothing has changed.
pub async fn put_beyond_the_limit_keeps_the_old(store: Arc<dyn ImageStore>) {
    let refused = store.put(&place(1), body(&noise(1, 2_501)), 2_500).await;
    assert!(
        matches!(&refused, Err(ImageStoreError::TooLarge { key, limit: 2_500 }) if *key == place(1)),
        "{refused:?}"
    );
    assert_eq!(store.length(&place(1)).await.unwrap(), None);

    let old = noise(2, 100);
    put(&store, 1, &old).await;
    // A body without end is cut off at the limit, not read to the end.
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 4096]))).boxed();
    let refused = store.put(&place(1), endless, 100_000).await;
    assert!(
        matches!(refused, Err(ImageStoreError::TooLarge { .. })),
        "{refused:?}"
    );
    assert_eq!(read(&store, 1).await, old);
}

/// A body that breaks off is not a picture.
pub async fn put_whose_source_fails_keeps_the_old(store: Arc<dyn ImageStore>) {
    let broken = || {
        parts(vec![
            Ok(Bytes::from_static(b"half")),
            Err("the line broke".into()),
        ])
    };
    let refused = store.put(&place(1), broken(), NO_LIMIT).await;
    match refused {
        Err(ImageStoreError::Source { key, source }) => {
            assert_eq!(key, place(1));
            assert_eq!(source.to_string(), "the line broke", "the cause is kept");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.length(&place(1)).await.unwrap(), None);
    let old = noise(2, 100);
    put(&store, 1, &old).await;
    assert!(store.put(&place(1), broken(), NO_LIMIT).await.is_err());
    assert_eq!(read(&store, 1).await, old);
}

/// A body that goes on as told, and says when it is asked for more.
fn slow_body() -> (ByteStream, mpsc::Sender<Bytes>, oneshot::Receiver<()>) {
    let (send, receive) = mpsc::channel(1);
    let (asked, was_asked) = oneshot::channel();
    let state = (receive, Some(asked), false);
    let body = stream::unfold(state, |(mut receive, mut asked, begun)| async move {
        if begun && let Some(asked) = asked.take() {
            // Nobody may be waiting to hear it.
            let _unheard = asked.send(());
        }
        let piece: Bytes = receive.recv().await?;
        Some((Ok(piece), (receive, asked, true)))
    });
    (body.boxed(), send, was_asked)
}

/// While bytes arrive, readers see what was there before; afterwards, the new ones.
pub async fn put_shows_nothing_before_it_is_done(store: Arc<dyn ImageStore>) {
    for old in [None, Some(b"old".to_vec())] {
        let key = place(1);
        store.remove(&key).await.unwrap();
        if let Some(old) = &old {
            put(&store, 1, old).await;
        }
        let (body, send, asked_for_more) = slow_body();
        let writer = tokio::spawn({
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.put(&key, body, NO_LIMIT).await.unwrap() }
        });
        send.send(Bytes::from_static(b"ne")).await.unwrap();
        asked_for_more.await.unwrap();
        match &old {
            Some(old) => assert_eq!(read(&store, 1).await, *old),
            None => assert_eq!(store.length(&key).await.unwrap(), None),
        }
        send.send(Bytes::from_static(b"w")).await.unwrap();
        drop(send);
        writer.await.unwrap();
        assert_eq!(read(&store, 1).await, b"new");
    }
}

/// A put that is given up half way has not happened, and does not stand in the way of the next.
pub async fn put_that_is_dropped_keeps_the_old(store: Arc<dyn ImageStore>) {
    put(&store, 1, b"old").await;
    let (body, send, asked_for_more) = slow_body();
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.put(&place(1), body, NO_LIMIT).await.map(drop) }
    });
    send.send(Bytes::from_static(b"ne")).await.unwrap();
    asked_for_more.await.unwrap();
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    assert_eq!(read(&store, 1).await, b"old");
    put(&store, 1, b"newer").await;
    assert_eq!(read(&store, 1).await, b"newer");
}

/// 8 puts at once on one key leave one of their values, whole.
pub async fn puts_at_once_leave_one_whole_value(store: Arc<dyn ImageStore>) {
    let values: Vec<_> = (0..8).map(|seed| noise(seed, 300_000)).collect();
    let mut tasks = JoinSet::new();
    for value in values.clone() {
        let store = Arc::clone(&store);
        tasks.spawn(async move { (put(&store, 1, &value).await.digest, ImageDigest::of(&value)) });
    }
    for (told, own) in tasks.join_all().await {
        assert_eq!(told, own, "each is told the digest of its own bytes");
    }
    let found = read(&store, 1).await;
    assert!(values.contains(&found), "one of the eight");
}

/// What happens under one key says nothing about another.
pub async fn keys_are_apart(store: Arc<dyn ImageStore>) {
    let keys = [
        place(1),
        place(2),
        ImageKey::new(at(0), job_id(1), ImageKind::Single, 2, MediaType::Png),
        ImageKey::new(at(0), job_id(1), ImageKind::Grid, 0, MediaType::Png),
        ImageKey::new(at(0), job_id(1), ImageKind::Single, 1, MediaType::Jpeg),
        ImageKey::new(at(86_400_000), job_id(1), ImageKind::Single, 1, MediaType::Png),
    ];
    for (seed, key) in (0..).zip(&keys) {
        store.put(key, body(&noise(seed, 50)), NO_LIMIT).await.unwrap();
    }
    for (seed, key) in (0..).zip(&keys) {
        let found = drain(store.read(key, None).await.unwrap()).await;
        assert_eq!(found, noise(seed, 50), "{key}");
        store.remove(key).await.unwrap();
    }
}

/// A reader that began with the old bytes never goes on with the new ones.
pub async fn a_reader_sees_one_value_while_it_is_replaced(store: Arc<dyn ImageStore>) {
    let (old, new) = (noise(1, 1_000_000), noise(2, 1_000_000));
    put(&store, 1, &old).await;
    let mut reader = store.read(&place(1), None).await.unwrap();
    let first = reader.next().await.unwrap().unwrap();
    put(&store, 1, &new).await;
    let mut found = first.to_vec();
    found.extend(drain(reader).await);
    assert!(found == old || found == new, "no mix of the two");
    assert!(read(&store, 1).await == new, "the new one for new readers");
}

/// From, to, and cut to the length.
pub async fn read_gives_ranges(store: Arc<dyn ImageStore>) {
    let bytes = noise(1, 200_000);
    put(&store, 1, &bytes).await;
    for (range, expected) in [
        (0..200_000, &bytes[..]),
        (0..1, &bytes[..1]),
        (199_999..200_000, &bytes[199_999..]),
        (65_535..65_537, &bytes[65_535..65_537]),
        (100..150_000, &bytes[100..150_000]),
        (5..5, &[]),
        (199_990..200_001, &bytes[199_990..]),
        (100_000..u64::MAX, &bytes[100_000..]),
        (200_000..200_000, &[]),
        (200_000..u64::MAX, &[]),
    ] {
        let found = read_range(&store, range.clone()).await;
        assert!(found == expected, "{range:?} gave {} bytes", found.len());
    }
}

/// A range that starts past the end, or ends before it starts, is told apart, with the length.
pub async fn read_refuses_bad_ranges(store: Arc<dyn ImageStore>) {
    put(&store, 1, &noise(1, 100)).await;
    let backwards = Range { start: 50, end: 49 };
    for range in [101..102, 101..101, u64::MAX..u64::MAX, backwards] {
        let refused = store.read(&place(1), Some(range.clone())).await.err();
        assert!(
            matches!(refused, Some(ImageStoreError::BadRange { length: 100 })),
            "{range:?} gave {refused:?}"
        );
    }
}

/// Nothing there is told as such.
pub async fn read_of_nothing_is_not_found(store: Arc<dyn ImageStore>) {
    for range in [None, Some(0..1), Some(Range { start: 9, end: 1 })] {
        let refused = store.read(&place(1), range).await.err();
        assert!(
            matches!(&refused, Some(ImageStoreError::NotFound(key)) if *key == place(1)),
            "{refused:?}"
        );
    }
    assert_eq!(store.length(&place(1)).await.unwrap(), None);
}

/// What was removed is gone; to remove nothing is fine.
pub async fn remove_removes_and_may_be_repeated(store: Arc<dyn ImageStore>) {
    store.remove(&place(1)).await.unwrap();
    put(&store, 1, b"old").await;
    put(&store, 2, b"other").await;
    store.remove(&place(1)).await.unwrap();
    assert_eq!(store.length(&place(1)).await.unwrap(), None);
    assert!(store.read(&place(1), None).await.is_err());
    store.remove(&place(1)).await.unwrap();
    assert_eq!(read(&store, 2).await, b"other");
    put(&store, 1, b"new").await;
    assert_eq!(read(&store, 1).await, b"new");
}

/// Readiness, and that asking leaves nothing behind.
pub async fn ping_of_a_healthy_store_works(store: Arc<dyn ImageStore>) {
    put(&store, 1, b"here").await;
    store.ping().await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(read(&store, 1).await, b"here");
    assert!(!store.backend().is_empty());
}
