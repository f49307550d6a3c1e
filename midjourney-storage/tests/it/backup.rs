//! Backups and moves: what arrives is what was there, and what is wrong is told before anything is done.
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use midjourney_core::{
    clock::Timestamp,
    config::Config,
    id::{ImageId, JobId, UploadId},
    image::{Image, ImageDigest, ImageKey, ImageKind, MarkChange, MediaType, Upload},
    job::{
        AccountName, Commit, Event, EventKind, ImageQuery, ImageSearch, Job, JobQuery, JobRequest, JobState,
        NewJob, NewJobs, Owner, Position, UpstreamId,
    },
    testing::SeededEntropy,
};
use midjourney_storage::{
    Stores,
    backup::{BackupError, BackupFile, Report},
};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// Stores in `folder`, with this in the configuration.
async fn stores(folder: &Path, config: &str) -> Stores {
    let config = Config::from_yaml(config).unwrap();
    Stores::open(&config, folder).await.unwrap()
}

async fn local(folder: &Path) -> Stores {
    stores(folder, "{}").await
}

/// Job `number`, completed with two pictures.
async fn one(stores: &Stores, entropy: &SeededEntropy, number: u8) {
    let jobs = stores.database.jobs();
    let id = JobId::new(NOW, entropy);
    let new = NewJob::new(
        id,
        JobRequest::imagine(format!("fox {number} \0 \"狐\" --ar 3:2")),
    );
    jobs.insert(NewJobs::new(
        Owner::local(),
        AccountName::new("main"),
        vec![new],
        NOW,
    ))
    .await
    .unwrap();
    let job = jobs.load(id).await.unwrap().unwrap();
    let mut images = Vec::new();
    for index in 1..=2 {
        let bytes = vec![number; 1_000 * usize::from(number) + usize::from(index)];
        let key = ImageKey::new(NOW, id, ImageKind::Single, index, MediaType::Png);
        put(stores, &key, &bytes).await;
        images.push(Image::new(
            ImageId::new(NOW, entropy),
            id,
            Owner::local(),
            ImageKind::Single,
            index,
            key,
            ImageDigest::of(&bytes),
            u64::try_from(bytes.len()).unwrap(),
            MediaType::Png,
            None,
            "https://upstream.invalid/x.png".to_owned(),
            NOW,
        ));
    }
    let mut life = job.life.clone();
    life.state = serde_json::from_value::<JobState>(serde_json::json!({
        "is": "completed", "upstream": UpstreamId::new(format!("task-{number}"))
    }))
    .unwrap();
    life.due = None;
    let commit = Commit::new(&job, life, Some(EventKind::Completed), NOW).with_images(images);
    jobs.commit(commit).await.unwrap();
}

async fn put(stores: &Stores, key: &ImageKey, bytes: &[u8]) {
    let body = Box::pin(stream::iter([Ok(Bytes::copy_from_slice(bytes))]));
    stores.images.put(key, body, u64::MAX).await.unwrap();
}

/// Seven jobs with pictures, one of them pinned and tagged, one that waits, and a file that somebody brought along.
async fn fill(stores: &Stores) {
    let entropy = SeededEntropy::new(1);
    for number in 1..=7 {
        one(stores, &entropy, number).await;
    }
    let jobs = stores.database.jobs();
    let id = JobId::new(NOW, &entropy);
    let waiting = NewJob::new(id, JobRequest::imagine("a wolf"));
    jobs.insert(NewJobs::new(
        Owner::local(),
        AccountName::new("main"),
        vec![waiting],
        NOW,
    ))
    .await
    .unwrap();
    let pictures = jobs.images(&ImageQuery::newest(3)).await.unwrap().items;
    let tags = ["best".parse().unwrap()].into();
    jobs.mark(pictures[1].id, &MarkChange::tag(tags)).await.unwrap();
    jobs.mark(pictures[1].id, &MarkChange::pin(true)).await.unwrap();
    let id = UploadId::new(NOW, &entropy);
    let key = ImageKey::upload(NOW, id, MediaType::Jpeg);
    put(stores, &key, b"upload").await;
    let digest = ImageDigest::of(b"upload");
    let upload = Upload::new(id, Owner::local(), key, digest, 6, MediaType::Jpeg, None, NOW);
    jobs.put_upload(&upload).await.unwrap();
}

/// All that anybody can see.
#[derive(Debug, PartialEq, Eq)]
struct Sight {
    jobs: Vec<Job>,
    events: Vec<Event>,
    images: Vec<Image>,
    files: BTreeMap<String, Option<ImageDigest>>,
    found: Vec<ImageId>,
    pinned: Vec<ImageId>,
    counts: String,
}

async fn sight(stores: &Stores) -> Sight {
    let jobs = stores.database.jobs();
    let images = jobs.images(&ImageQuery::newest(200)).await.unwrap().items;
    let mut files = BTreeMap::new();
    for image in &images {
        files.insert(image.key.to_string(), digest(stores, &image.key).await);
    }
    let found = |search: ImageSearch| {
        let jobs = Arc::clone(&jobs);
        async move {
            let page = jobs.search(&search).await.unwrap();
            page.items.iter().map(|image| image.id).collect()
        }
    };
    let (mut foxes, mut pinned) = (ImageSearch::newest(200), ImageSearch::newest(200));
    "fox".clone_into(&mut foxes.text);
    pinned.pinned = true;
    Sight {
        events: jobs.events(Position::START, 1_000).await.unwrap(),
        counts: format!("{:?}", jobs.counts().await.unwrap()),
        found: found(foxes).await,
        pinned: found(pinned).await,
        jobs: jobs.list(&JobQuery::newest(200)).await.unwrap().items,
        images,
        files,
    }
}

async fn digest(stores: &Stores, key: &ImageKey) -> Option<ImageDigest> {
    let mut body = stores.images.read(key, None).await.ok()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    Some(ImageDigest::of(&bytes))
}

async fn backed_up(stores: &Stores, to: &Path) -> Report {
    BackupFile::at(to).create(stores, NOW).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_is_what_was_there() {
    let folder = TempDir::new().unwrap();
    let from = local(&folder.path().join("from")).await;
    fill(&from).await;
    let key = "ab".repeat(32);
    fs::write(folder.path().join("from/webhooks.key"), &key).unwrap();
    let file = folder.path().join("backup.tar");
    let made = backed_up(&from, &file).await;
    assert_eq!((made.jobs, made.files, made.lost.len()), (8, 15, 0));
    assert_eq!(BackupFile::at(&file).verify().await.unwrap(), made);

    let to = local(&folder.path().join("to")).await;
    assert_eq!(BackupFile::at(&file).restore(&to).await.unwrap(), made);
    let before = sight(&from).await;
    assert_eq!(before.found.len(), 14);
    assert_eq!(before.pinned.len(), 1);
    assert_eq!(sight(&to).await, before);
    let secret = fs::read_to_string(folder.path().join("to/webhooks.key")).unwrap();
    assert_eq!(secret, key);
    // It goes on from there.
    one(&to, &SeededEntropy::new(2), 9).await;
    assert_eq!(sight(&to).await.events.len(), before.events.len() + 2);

    let again = BackupFile::at(&file).restore(&to).await.unwrap_err();
    assert!(matches!(again, BackupError::NotEmpty(_)), "{again:?}");
}

/// D18: nobody has to stop, and what comes out is as it all was at one moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_writers_holds_one_moment() {
    let folder = TempDir::new().unwrap();
    let from = local(&folder.path().join("from")).await;
    fill(&from).await;
    let done = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (from, done) = (from.clone(), Arc::clone(&done));
        async move {
            let entropy = SeededEntropy::new(5);
            let mut written = 0_u32;
            while !done.load(Ordering::Relaxed) || written < 20 {
                one(&from, &entropy, 8).await;
                written += 1;
            }
        }
    });
    for round in 0..5 {
        let file = folder.path().join(format!("{round}.tar"));
        backed_up(&from, &file).await;
        let to = local(&folder.path().join(format!("to-{round}"))).await;
        BackupFile::at(&file).restore(&to).await.unwrap();
        let all = from
            .database
            .jobs()
            .events(Position::START, 100_000)
            .await
            .unwrap();
        let restored = to.database.jobs().events(Position::START, 100_000).await.unwrap();
        assert!(all.starts_with(&restored), "the first so many, and all of them");
        let images = to
            .database
            .jobs()
            .images(&ImageQuery::newest(200))
            .await
            .unwrap()
            .items;
        for image in images {
            assert_eq!(digest(&to, &image.key).await, Some(image.digest), "{}", image.key);
        }
    }
    done.store(true, Ordering::Relaxed);
    writing.await.unwrap();
}

/// Nothing is half done: neither by a file that was cut, nor by one wrong byte anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_refused_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let from = local(&folder.path().join("from")).await;
    fill(&from).await;
    let file = folder.path().join("backup.tar");
    backed_up(&from, &file).await;
    let whole = fs::read(&file).unwrap();
    let to = local(&folder.path().join("to")).await;
    let bad = folder.path().join("bad.tar");
    let mut tried = Vec::new();
    for cut in (0..whole.len()).step_by(whole.len() / 40) {
        tried.push(whole[..cut].to_vec());
    }
    for at in (0..whole.len() - 2_048).step_by(whole.len() / 150) {
        let mut wrong = whole.clone();
        wrong[at] ^= 0x20;
        tried.push(wrong);
    }
    let mut harmless = 0;
    for bytes in tried {
        fs::write(&bad, &bytes).unwrap();
        match BackupFile::at(&bad).verify().await {
            // Padding, and dates of entries, mean nothing.
            Ok(report) => {
                assert_eq!(report, BackupFile::at(&file).verify().await.unwrap());
                harmless += 1;
            }
            Err(BackupError::Damaged(_) | BackupError::NotABackup | BackupError::OtherRelease(_)) => {
                BackupFile::at(&bad).restore(&to).await.unwrap_err();
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(harmless < 60, "{harmless}");
    assert_eq!(to.database.jobs().head().await.unwrap(), Position::START);
    let left: Vec<PathBuf> = walk(&folder.path().join("to/images"));
    assert!(left.is_empty(), "{left:?}");
    // And the good one still goes in.
    BackupFile::at(&file).restore(&to).await.unwrap();
    assert_eq!(sight(&to).await, sight(&from).await);
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// H7: names in an archive lead nowhere.
#[tokio::test]
async fn names_in_a_backup_lead_nowhere() {
    let folder = TempDir::new().unwrap();
    let from = local(&folder.path().join("from")).await;
    let file = folder.path().join("backup.tar");
    backed_up(&from, &file).await;
    let whole = fs::read(&file).unwrap();
    for name in [
        "files/../../../etc/x",
        "/etc/x",
        "files/2026/11/22/..",
        "rows/../x",
        "other.json",
    ] {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_cksum();
        // In front of the end, which is the last entry.
        let mut archive = tar::Archive::new(&whole[..]);
        let end = archive
            .entries()
            .unwrap()
            .last()
            .unwrap()
            .unwrap()
            .raw_header_position();
        let end = usize::try_from(end).unwrap();
        let hostile = [&whole[..end], header.as_bytes(), &whole[end..]].concat();
        let file = folder.path().join("hostile.tar");
        fs::write(&file, hostile).unwrap();
        let told = BackupFile::at(&file).verify().await.unwrap_err();
        assert!(told.to_string().contains("damaged"), "{name}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_gone_or_damaged_are_told_and_left_out() {
    let folder = TempDir::new().unwrap();
    let from = local(&folder.path().join("from")).await;
    fill(&from).await;
    let mut files = walk(&folder.path().join("from/images"));
    files.retain(|file| file.to_string_lossy().contains("job_"));
    files.sort();
    fs::remove_file(&files[0]).unwrap();
    let mut damaged = fs::OpenOptions::new().write(true).open(&files[1]).unwrap();
    damaged.write_all(b"x").unwrap();
    let file = folder.path().join("backup.tar");
    let made = backed_up(&from, &file).await;
    let mut lost: Vec<_> = files[..2]
        .iter()
        .map(|file| file.strip_prefix(folder.path().join("from/images")).unwrap())
        .map(|key| key.to_string_lossy().into_owned())
        .collect();
    lost.sort();
    assert_eq!((made.files, &made.lost), (13, &lost));
    let to = local(&folder.path().join("to")).await;
    assert_eq!(BackupFile::at(&file).restore(&to).await.unwrap(), made);
    let seen = sight(&to).await;
    assert_eq!(seen.images.len(), 12);
    assert!(seen.files.values().all(Option::is_some));
}

/// The file is there whole or not at all, its owner's alone, and nobody's work is written over.
#[tokio::test]
async fn a_backup_file_is_its_owners_alone_and_writes_over_nothing() {
    let folder = TempDir::new().unwrap();
    let from = local(&folder.path().join("from")).await;
    let path = folder.path().join("backup.tar");
    backed_up(&from, &path).await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
    let before = fs::read(&path).unwrap();
    let refused = BackupFile::at(&path).create(&from, NOW).await.unwrap_err();
    assert!(matches!(refused, BackupError::File { .. }), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["backup.tar", "from"]);
}

#[cfg(feature = "age")]
#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_backup_opens_with_its_key_alone() {
    use age::secrecy::ExposeSecret as _;

    let folder = TempDir::new().unwrap();
    let from = local(&folder.path().join("from")).await;
    fill(&from).await;
    let keys = [
        age::x25519::Identity::generate(),
        age::x25519::Identity::generate(),
    ];
    let identity = |number: usize| {
        let path = folder.path().join(format!("key-{number}"));
        fs::write(&path, keys[number].to_string().expose_secret()).unwrap();
        Some(path)
    };
    let file = BackupFile::at(folder.path().join("backup.age"));
    let sealed = file.clone().sealed_for(vec![keys[0].to_public().to_string()]);
    let made = sealed.create(&from, NOW).await.unwrap();
    let bytes = fs::read(folder.path().join("backup.age")).unwrap();
    for word in [&b"midjourney"[..], b"fox", b"task-1"] {
        assert!(!bytes.windows(word.len()).any(|part| part == word), "{word:?}");
    }
    let open = file.clone().opened_with(identity(0));
    assert_eq!(open.verify().await.unwrap(), made);
    let to = local(&folder.path().join("to")).await;
    open.restore(&to).await.unwrap();
    assert_eq!(sight(&to).await, sight(&from).await);

    let closed = file.verify().await.unwrap_err();
    assert!(matches!(closed, BackupError::Sealed), "{closed:?}");
    let other = file.clone().opened_with(identity(1)).verify().await.unwrap_err();
    assert!(matches!(other, BackupError::Unopened(_)), "{other:?}");
    let nobody = BackupFile::at(folder.path().join("x")).sealed_for(vec!["age1nobody".to_owned()]);
    let nobody = nobody.create(&from, NOW).await.unwrap_err();
    assert!(matches!(nobody, BackupError::Recipient(_)), "{nobody:?}");
    assert!(!folder.path().join("x").exists());
    // One wrong byte in it is as good as another key.
    let mut wrong = bytes.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    fs::write(folder.path().join("backup.age"), wrong).unwrap();
    open.verify().await.unwrap_err();
}

#[cfg(all(feature = "postgres", feature = "s3"))]
mod elsewhere {
    use super::*;
    use midjourney_storage::backup;

    use crate::{object::server::Server, postgres::shared};

    /// PostgreSQL and a bucket, both new.
    async fn many_nodes(folder: &Path) -> Stores {
        let bucket = Server::s3().bucket();
        let config = format!(
            "storage: {{type: s3, bucket: {}, endpoint: {:?}, region: us-east-1, access_key_id: tests, \
             secret_access_key: tests, database_url: {:?}}}",
            bucket.name,
            bucket.endpoint.unwrap(),
            shared().database()
        );
        stores(folder, &config).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_gateway_moves_there_and_back_and_is_the_same() {
        let folder = TempDir::new().unwrap();
        let from = local(&folder.path().join("from")).await;
        fill(&from).await;
        fs::write(folder.path().join("from/links.key"), "cd".repeat(32)).unwrap();
        let there = many_nodes(&folder.path().join("there")).await;
        // What an earlier try has brought is known again, and what it has half brought is not taken for it.
        let image = &from
            .database
            .jobs()
            .images(&ImageQuery::newest(1))
            .await
            .unwrap()
            .items[0];
        let half = vec![0; usize::try_from(image.bytes).unwrap()];
        put(&there, &image.key, &half).await;
        let moved = backup::migrate(&from, &there).await.unwrap();
        assert_eq!((moved.jobs, moved.files, moved.lost.len()), (8, 15, 0));
        let before = sight(&from).await;
        assert_eq!(sight(&there).await, before);
        // Again is fine, as long as nothing has happened there.
        assert_eq!(backup::migrate(&from, &there).await.unwrap(), moved);

        let back = local(&folder.path().join("back")).await;
        assert_eq!(backup::migrate(&there, &back).await.unwrap(), moved);
        assert_eq!(sight(&back).await, before);
        let secret = fs::read_to_string(folder.path().join("back/links.key")).unwrap();
        assert_eq!(secret, "cd".repeat(32));

        one(&there, &SeededEntropy::new(3), 9).await;
        let refused = backup::migrate(&from, &there).await.unwrap_err();
        assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_backup_of_one_kind_is_restored_to_another() {
        let folder = TempDir::new().unwrap();
        let from = many_nodes(&folder.path().join("from")).await;
        fill(&from).await;
        let file = folder.path().join("backup.tar");
        let made = backed_up(&from, &file).await;
        let to = local(&folder.path().join("to")).await;
        assert_eq!(BackupFile::at(&file).restore(&to).await.unwrap(), made);
        let before = sight(&from).await;
        assert_eq!(sight(&to).await, before);
        let again = many_nodes(&folder.path().join("again")).await;
        BackupFile::at(&file).restore(&again).await.unwrap();
        assert_eq!(sight(&again).await, before);
        one(&again, &SeededEntropy::new(4), 9).await;
        assert_eq!(again.database.jobs().counts().await.unwrap().completed, 8);
    }
}
