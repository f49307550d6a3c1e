use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use midjourney_core::{
    error::Chain,
    image::{ByteStream, ImageKey, ImageStore, ImageStoreError},
    image_store_suite,
    testing::{Gauge, wait_until},
};
use midjourney_storage::fs::LocalImageStore;
use tempfile::TempDir;

const KEY: &str = "2026/11/22/job_019ab3c0d1e27f3a8b4c5d6e7f8091a2_1.png";

async fn open(folder: &TempDir) -> LocalImageStore {
    LocalImageStore::open(folder.path().join("images")).await.unwrap()
}

fn key() -> ImageKey {
    KEY.parse().unwrap()
}

fn body(bytes: &'static [u8]) -> ByteStream {
    stream::iter([Ok(Bytes::from_static(bytes))]).boxed()
}

fn drafts(folder: &TempDir) -> Vec<PathBuf> {
    let drafts = std::fs::read_dir(folder.path().join("images/.tmp")).unwrap();
    drafts.map(|entry| entry.unwrap().path()).collect()
}

mod suite {
    use super::*;

    async fn fresh() -> (Arc<dyn ImageStore>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(open(&folder).await), folder)
    }

    image_store_suite!(fresh);
}

#[test]
fn no_text_from_outside_names_a_file_elsewhere() {
    let long = format!("2026/11/22/{}.png", "a".repeat(300));
    for bad in [
        "",
        "/",
        "..",
        "../../../etc/passwd",
        "2026/11/22/..",
        "2026/../../x.png",
        "2026/11/22/../x.png",
        "2026/11/22/./x.png",
        "/2026/11/22/x.png",
        "2026//11/x.png",
        "2026/11/22",
        "2026/11/22/x/y.png",
        "2026/11/22/",
        "2026/11/22/.x.png",
        ".tmp/11/22/x.png",
        "2026/11/22/%2e%2e%2fx",
        "%2e%2e/11/22/x",
        "..%5c/11/22/x",
        "..\\11\\22\\x",
        "2026/11/22/..\\x",
        "C:/11/22/x",
        "\\\\server/11/22/x",
        "2026/11/22/x\0.png",
        "2026/11/22/x.png\n",
        "2026/11/22/x y.png",
        "2026/11/22/x:y",
        "2026/11/22/X.png",
        "2026/11/22/\u{ff0e}\u{ff0e}",
        "2026/11/22/\u{202e}gnp.x",
        "2026/11/22/~",
        "2026/11/22/-x",
        "2026/11/22/*",
        "2026/11/22/$x",
        &long,
    ] {
        assert!(bad.parse::<ImageKey>().is_err(), "{bad:?}");
    }
    assert_eq!(key().as_str(), KEY);
}

#[tokio::test]
async fn pictures_survive_a_new_opening_under_readable_names() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).await.put(&key(), body(b"one"), 9).await.unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("images").join(KEY)).unwrap(),
        b"one"
    );
    let again = open(&folder).await.read(&key(), None).await.unwrap();
    let pieces: Vec<Bytes> = again.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"one");
    assert!(drafts(&folder).is_empty());
}

#[tokio::test]
async fn nothing_is_left_of_a_failed_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let too_large = store.put(&key(), body(b"0123456789"), 9).await;
    assert!(matches!(
        too_large,
        Err(ImageStoreError::TooLarge { limit: 9, .. })
    ));
    let broken = stream::iter([Ok(Bytes::from_static(b"0")), Err("the line went dead".into())]);
    let broken = store.put(&key(), broken.boxed(), 9).await;
    assert!(matches!(broken, Err(ImageStoreError::Source { .. })));
    assert!(drafts(&folder).is_empty());
    assert_eq!(store.length(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn a_picture_is_never_held_whole() {
    const MIB: usize = 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let (long, endless) = (Gauge::default(), Gauge::default());
    let stored = store.put(&key(), long.png(48 * MIB), 64 << 20).await.unwrap();
    assert_eq!(stored.bytes, 48 << 20);
    let refused = store.put(&key(), endless.png(1024 * MIB), 64 << 20).await;
    assert!(matches!(refused, Err(ImageStoreError::TooLarge { .. })));
    for gauge in [long, endless] {
        assert!(gauge.peak() <= MIB, "{} bytes were held at once", gauge.peak());
        assert!(gauge.given() <= 65 * MIB, "{} bytes were taken", gauge.given());
    }
    let mut pieces = store.read(&key(), None).await.unwrap();
    while let Some(piece) = pieces.try_next().await.unwrap() {
        assert!(piece.len() <= MIB, "{} bytes in one piece", piece.len());
    }
    assert!(drafts(&folder).is_empty());
}

#[tokio::test]
async fn nothing_is_left_of_a_write_whose_caller_went_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let never = stream::iter([Ok(Bytes::from_static(b"0"))])
        .chain(stream::pending())
        .boxed();
    let (writing, wanted) = (store.clone(), key());
    let writing = tokio::spawn(async move { writing.put(&wanted, never, 9).await });
    let drafted = async |wanted: usize| {
        wait_until(
            "the temporary file is there or gone",
            Duration::from_secs(20),
            async || {
                let found = drafts(&folder).len();
                if found == wanted { Ok(()) } else { Err(found) }
            },
        )
        .await;
    };
    drafted(1).await;
    writing.abort();
    drafted(0).await;
}

#[tokio::test]
async fn only_old_leftovers_that_nobody_writes_are_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let temporary = folder.path().join("images/.tmp");
    let make = |name: &str, age: u64| {
        let file = std::fs::File::create(temporary.join(name)).unwrap();
        let at = SystemTime::UNIX_EPOCH
            .max(std::fs::metadata(&temporary).unwrap().modified().unwrap() - Duration::from_secs(age));
        file.set_modified(at).unwrap();
        file
    };
    make("old", 61);
    make("young", 5);
    let held = make("held", 3_600);
    held.lock().unwrap();
    drop(store);
    open(&folder).await;
    let mut left: Vec<_> = drafts(&folder)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["held", "young"]);
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folders_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = LocalImageStore::open(folder.path().join("deep/images"))
        .await
        .unwrap();
    store.put(&key(), body(b"one"), 9).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut path = folder.path().join("deep/images").join(KEY);
    assert_eq!(mode(&path), 0o600);
    while path.pop() && path != folder.path() {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    assert_eq!(mode(&folder.path().join("deep/images/.tmp")), 0o700);
}

#[cfg(unix)]
#[tokio::test]
async fn links_below_the_root_are_not_followed() {
    use std::os::unix::fs::symlink;
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(elsewhere.path().join("11/22")).unwrap();
    let secret = elsewhere
        .path()
        .join("11/22")
        .join(Path::new(KEY).file_name().unwrap());
    std::fs::write(&secret, b"secret").unwrap();

    for linked in ["2026", "2026/11", "2026/11/22", KEY] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        let link = folder.path().join("images").join(linked);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        let rest = Path::new(KEY).strip_prefix(linked).unwrap();
        let target = secret.ancestors().nth(rest.components().count()).unwrap();
        symlink(target, &link).unwrap();

        let refused = match store.read(&key(), None).await {
            Err(error) => Chain(&error).to_string(),
            Ok(_) => panic!("a link at {linked} was followed"),
        };
        assert!(refused.contains("symbolic link"), "{refused}");
        assert!(store.length(&key()).await.is_err());
        assert!(store.remove(&key()).await.is_err());
        let put = store.put(&key(), body(b"new"), 9).await;
        // The file itself is replaced, link or not; a folder on the way is refused.
        assert_eq!(put.is_ok(), linked == KEY, "{linked}");
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
        assert!(drafts(&folder).is_empty());
    }
}
