//! The suite over real servers that speak the protocols of object storage, and what it cannot ask of every store.

pub(crate) mod server;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use midjourney_core::{
    error::Chain,
    image::{ByteStream, ImageKey, ImageStore, ImageStoreError},
    image_store_suite,
    key::Secret,
    testing::wait_until,
};
use midjourney_storage::object::{Bucket, BucketKind, Credentials, ObjectImageStore};

use self::server::Server;

const KEY: &str = "2026/11/22/job_019ab3c0d1e27f3a8b4c5d6e7f8091a2_1.png";
/// Nothing healthy takes this long.
const LIMIT: Duration = Duration::from_secs(30);
const MIB: usize = 1024 * 1024;

fn key() -> ImageKey {
    KEY.parse().unwrap()
}

/// `mebibytes` of them, which are made as they are asked for, and then `end`.
fn large(mebibytes: usize, end: Option<&'static str>) -> ByteStream {
    let bytes = stream::repeat_with(|| Ok(Bytes::from(vec![7; MIB]))).take(mebibytes);
    bytes.chain(stream::iter(end.map(|end| Err(end.into())))).boxed()
}

fn store(bucket: &Bucket) -> ObjectImageStore {
    ObjectImageStore::open(bucket).unwrap()
}

mod s3_suite {
    use super::*;

    async fn fresh() -> (Arc<dyn ImageStore>, ()) {
        (Arc::new(store(&Server::s3().bucket())), ())
    }

    image_store_suite!(fresh);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_in_parts_is_read_as_it_came() {
    let store = store(&Server::s3().bucket());
    let stored = store.put(&key(), large(21, None), u64::MAX).await.unwrap();
    assert_eq!(stored.bytes, u64::try_from(21 * MIB).unwrap());
    let read: Vec<Bytes> = store
        .read(&key(), None)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(read.iter().map(Bytes::len).sum::<usize>(), 21 * MIB);
    assert!(read.iter().all(|piece| piece.iter().all(|byte| *byte == 7)));
    // Where two parts meet.
    let middle = u64::try_from(8 * MIB).unwrap();
    let around: Vec<Bytes> = store
        .read(&key(), Some(middle - 2..middle + 2))
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(around.concat(), [7; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_picture_that_broke_off_are_given_up() {
    let server = Server::s3();
    let bucket = server.bucket();
    let store = store(&bucket);
    let error = store
        .put(&key(), large(20, Some("the line is dead")), u64::MAX)
        .await
        .unwrap_err();
    assert!(matches!(error, ImageStoreError::Source { .. }), "{error:?}");
    let limit = u64::try_from(18 * MIB).unwrap();
    let error = store.put(&key(), large(20, None), limit).await.unwrap_err();
    assert!(matches!(error, ImageStoreError::TooLarge { .. }), "{error:?}");
    // One whose caller went away.
    let stops = large(20, None).chain(stream::pending()).boxed();
    let dropped = tokio::time::timeout(Duration::from_secs(5), store.put(&key(), stops, u64::MAX)).await;
    assert!(dropped.is_err());
    assert_eq!(store.length(&key()).await.unwrap(), None);
    wait_until("all uploads are given up", LIMIT, async || {
        match server.ask(&format!("uploads {}", bucket.name)) {
            none if none == "0" => Ok(()),
            left => Err(left),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_lie_below_the_prefix() {
    let whole = Server::s3().bucket();
    let mut part = whole.clone();
    part.prefix = Some("midjourney/pictures".to_owned());
    let (whole, part) = (store(&whole), store(&part));
    let body = || stream::iter([Ok(Bytes::from_static(b"fox"))]).boxed();
    part.put(&key(), body(), 10).await.unwrap();
    assert_eq!(part.length(&key()).await.unwrap(), Some(3));
    assert_eq!(whole.length(&key()).await.unwrap(), None);
    assert_eq!(part.place(), format!("{}/midjourney/pictures", whole.place()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_without_the_secret() {
    let server = Server::s3();
    let bucket = server.bucket();
    let mut missing = bucket.clone();
    missing.name = "nobody-has-made-this".to_owned();
    let mut nobody = bucket.clone();
    nobody.endpoint = Some("http://127.0.0.1:1".to_owned());
    for bucket in [missing, nobody] {
        let mut bucket = bucket;
        bucket.credentials = Credentials::Key {
            name: "me".to_owned(),
            secret: Secret::new("canary-of-the-bucket"),
        };
        let store = store(&bucket);
        let error = store.ping().await.unwrap_err();
        let told = format!("{error:?} {} {store:?} {bucket:?}", Chain(&error));
        assert!(
            matches!(error, ImageStoreError::Backend { backend: "s3", .. }),
            "{told}"
        );
        assert!(!told.contains("canary"), "{told}");
    }
}

#[test]
fn options_without_sense_are_refused() {
    for (kind, prefix) in [(BucketKind::S3, "a//b"), (BucketKind::Azure, "")] {
        let mut bucket = Bucket::new(kind, "pictures");
        bucket.prefix = Some(prefix.to_owned());
        // No account is named for Azure.
        bucket.credentials = Credentials::File("/nowhere".into());
        assert!(ObjectImageStore::open(&bucket).is_err(), "{bucket}");
    }
}
