//! The suite over real servers that speak the protocols of object storage, and what it cannot ask of every store.

#[cfg(feature = "azure")]
mod azurite;
mod script;
#[cfg(feature = "s3")]
pub(crate) mod server;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use midjourney_core::{
    error::Chain,
    image::{ByteStream, ImageKey, ImageStore, ImageStoreError},
    image_store_suite,
    key::Secret,
};
use midjourney_storage::object::{Bucket, BucketKind, Credentials, ObjectImageStore};

const KEY: &str = "2026/11/22/job_019ab3c0d1e27f3a8b4c5d6e7f8091a2_1.png";
/// Base64, as keys for Azure are.
const WRONG_SECRET: &str = "canaryOfTheBucket000";
const MIB: usize = 1024 * 1024;

fn key() -> ImageKey {
    KEY.parse().unwrap()
}

/// `mebibytes` of them, which are made as they are asked for, and then `end`.
fn large(mebibytes: usize, end: Option<&'static str>) -> ByteStream {
    let bytes = stream::repeat_with(|| Ok(Bytes::from(vec![7; MIB]))).take(mebibytes);
    bytes.chain(stream::iter(end.map(|end| Err(end.into())))).boxed()
}

fn small() -> ByteStream {
    stream::iter([Ok(Bytes::from_static(b"fox"))]).boxed()
}

fn store(bucket: &Bucket) -> ObjectImageStore {
    ObjectImageStore::open(bucket).unwrap()
}

/// The suite over what `$bucket` makes, and what every kind of bucket must do beside it.
macro_rules! bucket_suite {
    ($bucket:expr) => {
        async fn fresh() -> (Arc<dyn ImageStore>, ()) {
            (Arc::new(store(&$bucket)), ())
        }

        image_store_suite!(fresh);

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_picture_in_parts_is_read_as_it_came() {
            super::a_picture_in_parts_is_read_as_it_came(&$bucket).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn pictures_in_parts_at_once_leave_one_whole() {
            super::pictures_in_parts_at_once_leave_one_whole(&$bucket).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn pictures_lie_below_the_prefix() {
            super::pictures_lie_below_the_prefix(&$bucket).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn what_is_wrong_is_said_without_the_secret() {
            super::what_is_wrong_is_said_without_the_secret(&$bucket).await;
        }
    };
}

async fn a_picture_in_parts_is_read_as_it_came(bucket: &Bucket) {
    let store = store(bucket);
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

async fn pictures_in_parts_at_once_leave_one_whole(bucket: &Bucket) {
    let store = store(bucket);
    let of = |byte| {
        let bytes = stream::repeat_with(move || Ok(Bytes::from(vec![byte; MIB])));
        bytes.take(17).boxed()
    };
    let key = key();
    let (one, other) = tokio::join!(store.put(&key, of(1), u64::MAX), store.put(&key, of(2), u64::MAX));
    assert_ne!(one.unwrap().digest, other.unwrap().digest);
    let read: Vec<Bytes> = store.read(&key, None).await.unwrap().try_collect().await.unwrap();
    let read = read.concat();
    assert_eq!(read.len(), 17 * MIB);
    assert!(read.iter().all(|byte| Some(byte) == read.first()));
}

async fn a_picture_that_broke_off_is_not_there(bucket: &Bucket) {
    let store = store(bucket);
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
    let error = store.read(&key(), None).await.err().unwrap();
    assert!(matches!(error, ImageStoreError::NotFound(_)), "{error:?}");
    // What is left over does no harm to a later one.
    store.put(&key(), large(9, None), u64::MAX).await.unwrap();
    assert_eq!(
        store.length(&key()).await.unwrap(),
        Some(u64::try_from(9 * MIB).unwrap())
    );
}

async fn pictures_lie_below_the_prefix(bucket: &Bucket) {
    let mut part = bucket.clone();
    part.prefix = Some("midjourney/pictures".to_owned());
    let (whole, part) = (store(bucket), store(&part));
    part.put(&key(), small(), 10).await.unwrap();
    assert_eq!(part.length(&key()).await.unwrap(), Some(3));
    assert_eq!(whole.length(&key()).await.unwrap(), None);
    assert_eq!(part.place(), format!("{}/midjourney/pictures", whole.place()));
}

async fn what_is_wrong_is_said_without_the_secret(bucket: &Bucket) {
    let mut missing = bucket.clone();
    "nobody-has-made-this".clone_into(&mut missing.name);
    let mut nobody = bucket.clone();
    nobody.endpoint = Some("http://127.0.0.1:1".to_owned());
    for bucket in [missing, nobody] {
        refused(&wrong(&bucket)).await;
    }
}

/// `bucket` with a secret that is not its own.
fn wrong(bucket: &Bucket) -> Bucket {
    let mut bucket = bucket.clone();
    let Credentials::Key { secret, .. } = &mut bucket.credentials else {
        panic!("{bucket} has no key")
    };
    *secret = Secret::new(WRONG_SECRET);
    bucket
}

/// What is told of `bucket`, which cannot be written to; never the secret.
async fn refused(bucket: &Bucket) -> String {
    let store = store(bucket);
    let error = store.ping().await.unwrap_err();
    let told = format!("{error:?} {} {store:?} {bucket:?}", Chain(&error));
    assert!(
        matches!(error, ImageStoreError::Backend { backend, .. } if backend == bucket.kind.name()),
        "{told}"
    );
    assert!(!told.contains("canary"), "{told}");
    told
}

#[cfg(feature = "s3")]
mod s3 {
    use midjourney_core::testing::wait_until;

    use super::{server::Server, *};

    /// Nothing healthy takes this long.
    const LIMIT: Duration = Duration::from_secs(30);

    bucket_suite!(Server::s3().bucket());

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn parts_of_a_picture_that_broke_off_are_given_up() {
        let server = Server::s3();
        let bucket = server.bucket();
        a_picture_that_broke_off_is_not_there(&bucket).await;
        wait_until("all uploads are given up", LIMIT, async || {
            match server.ask(&format!("uploads {}", bucket.name)) {
                none if none == "0" => Ok(()),
                left => Err(left),
            }
        })
        .await;
    }
}

#[cfg(feature = "azure")]
mod azure {
    use super::{azurite::Azurite, *};

    bucket_suite!(Azurite::shared().bucket());

    /// Nobody can give its parts up: Azure forgets them after a week.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_picture_that_broke_off_is_not_there() {
        super::a_picture_that_broke_off_is_not_there(&Azurite::shared().bucket()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_wrong_key_is_refused() {
        let bucket = Azurite::shared().bucket();
        let own = store(&bucket);
        own.put(&key(), small(), 10).await.unwrap();
        let told = refused(&wrong(&bucket)).await;
        assert!(told.contains("403"), "{told}");
        let other = store(&wrong(&bucket));
        other.length(&key()).await.unwrap_err();
        other.read(&key(), None).await.err().unwrap();
        other.put(&key(), large(9, None), u64::MAX).await.unwrap_err();
        other.remove(&key()).await.unwrap_err();
        assert_eq!(own.length(&key()).await.unwrap(), Some(3));
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_the_secret() {
        let mut bucket = Bucket::new(BucketKind::Azure, "pictures");
        bucket.credentials = Credentials::Key {
            name: "me".to_owned(),
            secret: Secret::new("canary of the bucket"),
        };
        let error = ObjectImageStore::open(&bucket).unwrap_err();
        let told = format!("{error:?} {}", Chain(&error));
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
