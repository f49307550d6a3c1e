//! What is removed, and what stays.

use std::sync::Arc;

use super::{
    super::given::{self, at, image_id, job_id},
    sight,
};
use crate::{
    id::UploadId,
    image::{Image, ImageDigest, ImageKey, MediaType, Upload},
    job::{ImageQuery, Job, JobStore, Owner, Position, Removal},
};

/// A job that is over, with two pictures.
async fn over(store: &Arc<dyn JobStore>, number: u64) -> (Job, Vec<Image>) {
    let job = given::insert_one(store, number).await;
    let pictures = vec![
        given::picture(10 * number, &job, 0),
        given::picture(10 * number + 1, &job, 1),
    ];
    let commit = given::finish(&job, 5).with_images(pictures.clone());
    (store.commit(commit).await.unwrap(), pictures)
}

/// A job goes with its events and its pictures. Others stay, and what comes later comes after all.
pub async fn what_is_removed_is_gone_with_all_that_was_its_own(store: Arc<dyn JobStore>) {
    let (other, pictures) = over(&store, 1).await;
    let before = sight(&store).await;
    let (job, _) = over(&store, 2).await;
    let head = store.head().await.unwrap();
    store.remove(&Removal::of_jobs([&job])).await.unwrap();
    assert_eq!(store.load(job.id).await.unwrap(), None);
    assert_eq!(store.history(job.id, 0, 10).await.unwrap(), []);
    assert_eq!(store.image(image_id(20)).await.unwrap(), None);
    let after = sight(&store).await;
    assert_eq!((&after.jobs, &after.images), (&before.jobs, &before.images));
    assert_eq!((&after.events, &after.counts), (&before.events, &before.counts));
    assert_eq!(store.head().await.unwrap(), head, "no place is given again");
    let third = given::insert_one(&store, 3).await;
    let events = store.events(head, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(events[0].job == third.id && events[0].position > head);
    assert_eq!(given::load(&store, 1).await, other);
    assert_eq!(
        store.images(&ImageQuery::of(other.id)).await.unwrap().items,
        pictures
    );
    // Again, and what never was.
    store.remove(&Removal::of_jobs([&job])).await.unwrap();
    assert_eq!(store.events(Position::START, 10).await.unwrap().len(), 3);
}

/// Whoever judged it did not see what it is now.
pub async fn what_has_changed_or_is_not_over_is_not_removed(store: Arc<dyn JobStore>) {
    let waiting = given::insert_one(&store, 1).await;
    let job = given::insert_one(&store, 2).await;
    let picture = given::picture(20, &job, 1);
    let commit = given::progress(&job, 5, 1).with_images(vec![picture]);
    let running = store.commit(commit).await.unwrap();
    let (mut judged, _) = over(&store, 3).await;
    judged.version -= 1;
    let before = sight(&store).await;
    let mut removal = Removal::of_jobs([&waiting, &running, &judged]);
    removal.images.push(image_id(20));
    store.remove(&removal).await.unwrap();
    assert_eq!(sight(&store).await, before);
    assert_eq!(store.leftovers(10).await.unwrap(), []);
}

/// The job and its other pictures stay.
pub async fn a_picture_can_go_alone(store: Arc<dyn JobStore>) {
    let (job, pictures) = over(&store, 1).await;
    store.remove(&Removal::of_images([&pictures[0]])).await.unwrap();
    assert_eq!(given::load(&store, 1).await, job);
    let left = store.images(&ImageQuery::of(job.id)).await.unwrap().items;
    assert_eq!(left, pictures[1..]);
    assert_eq!(store.leftovers(10).await.unwrap(), [pictures[0].key.clone()]);
}

/// Upload `number`, whose row is stored.
async fn upload(store: &Arc<dyn JobStore>, number: u64) -> Upload {
    let id = UploadId::from_bytes(*job_id(number).as_bytes());
    let key = ImageKey::upload(at(0), id, MediaType::Png);
    let digest = ImageDigest::of(&number.to_be_bytes());
    let upload = Upload::new(
        id,
        Owner::local(),
        key,
        digest,
        number,
        MediaType::Png,
        None,
        at(0),
    );
    store.put_upload(&upload).await.unwrap();
    upload
}

/// Page by page.
pub async fn uploads_are_listed_newest_first(store: Arc<dyn JobStore>) {
    let mut uploads = Vec::new();
    for number in [2, 1, 3] {
        uploads.push(upload(&store, number).await);
    }
    uploads.sort_by_key(|upload| std::cmp::Reverse(upload.id));
    let first = store.uploads(None, 2).await.unwrap();
    assert_eq!(first.items, uploads[..2]);
    let rest = store.uploads(first.next, 2).await.unwrap();
    assert_eq!((&rest.items[..], rest.next), (&uploads[2..], None));
}

/// With its file; others stay.
pub async fn an_upload_can_be_removed(store: Arc<dyn JobStore>) {
    let (gone, kept) = (upload(&store, 1).await, upload(&store, 2).await);
    store.remove(&Removal::of_uploads([&gone])).await.unwrap();
    assert_eq!(store.upload(gone.id).await.unwrap(), None);
    assert_eq!(store.uploads(None, 10).await.unwrap().items, [kept]);
    assert_eq!(
        store.leftovers(10).await.unwrap(),
        std::slice::from_ref(&gone.key)
    );
    store.remove(&Removal::of_uploads([&gone])).await.unwrap();
}

/// Else a process that dies between the two would leave files that nobody knows.
pub async fn files_of_what_was_removed_are_told_until_they_are_gone(store: Arc<dyn JobStore>) {
    let (job, pictures) = over(&store, 1).await;
    let (kept, _) = over(&store, 2).await;
    assert_eq!(store.leftovers(10).await.unwrap(), []);
    store.remove(&Removal::of_jobs([&job])).await.unwrap();
    let mut left = store.leftovers(10).await.unwrap();
    left.sort();
    let mut files: Vec<_> = pictures.into_iter().map(|picture| picture.key).collect();
    files.sort();
    assert_eq!(left, files);
    assert_eq!(store.leftovers(1).await.unwrap().len(), 1);
    store.forget_leftovers(&files[..1]).await.unwrap();
    assert_eq!(store.leftovers(10).await.unwrap(), files[1..]);
    store.forget_leftovers(&files).await.unwrap();
    assert_eq!(store.leftovers(10).await.unwrap(), []);
    assert_eq!(store.load(job_id(2)).await.unwrap(), Some(kept));
}
