//! How pictures are found again, and what people put on them.

use std::{collections::BTreeSet, sync::Arc};

use super::super::given::{self, at, image_id, job_id};
use crate::{
    id::ImageId,
    image::{Image, MarkChange, Tag},
    job::{
        AccountName, Action, ImageSearch, Job, JobRequest, JobStore, NewJob, NewJobs, Owner, ParentRef,
        Removal,
    },
};

/// Job `number` of `owner`, completed, with pictures `10 * number` to `10 * number + 2`: the grid and two singles.
async fn over(store: &Arc<dyn JobStore>, number: u64, owner: &str, request: JobRequest) -> Job {
    let new = NewJob::new(job_id(number), request);
    let jobs = NewJobs::new(
        Owner::new(owner),
        AccountName::new("main"),
        vec![new],
        at(i64::try_from(number).unwrap() * 86_400_000),
    );
    let job = given::insert(store, jobs).await.remove(0);
    let pictures = (0..3).map(|index| given::picture(10 * number + u64::from(index), &job, index));
    let commit = given::finish(&job, 5).with_images(pictures.collect());
    store.commit(commit).await.unwrap()
}

async fn fox(store: &Arc<dyn JobStore>, number: u64) -> Job {
    over(
        store,
        number,
        "local",
        JobRequest::imagine(format!("fox {number}")),
    )
    .await
}

async fn found(store: &Arc<dyn JobStore>, search: &ImageSearch) -> Vec<ImageId> {
    let page = store.search(search).await.unwrap();
    page.items.iter().map(|image| image.id).collect()
}

fn ids(numbers: &[u64]) -> Vec<ImageId> {
    numbers.iter().map(|number| image_id(*number)).collect()
}

fn tags(words: &[&str]) -> BTreeSet<Tag> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

async fn mark(store: &Arc<dyn JobStore>, number: u64, change: MarkChange) -> Option<Image> {
    store.mark(image_id(number), &change).await.unwrap()
}

fn search(fill: impl FnOnce(&mut ImageSearch)) -> ImageSearch {
    let mut search = ImageSearch::newest(200);
    fill(&mut search);
    search
}

/// Each thing that can be said narrows what is found, and all of them hold together.
pub async fn search_finds_what_all_that_was_said_holds_for(store: Arc<dyn JobStore>) {
    let first = over(
        &store,
        1,
        "local",
        JobRequest::imagine("A red fox, in the snow --ar 3:2 --v 7"),
    )
    .await;
    let parent = Some(ParentRef::new(first.id, 2));
    let again = JobRequest::new(Action::Variation { strength: None }, "a red fox --ar 3:2 --v 7");
    over(&store, 2, "local", again.with_parent(parent)).await;
    over(
        &store,
        3,
        "anna",
        JobRequest::imagine("ein Fuchs' bau \"狐\" --ar 2:3"),
    )
    .await;
    let all = ids(&[30, 31, 32, 20, 21, 22, 10, 11, 12]);
    let (one, two, three) = (&all[6..], &all[3..6], &all[..3]);
    let day = |number: i64| Some(crate::clock::Day::of(at(number * 86_400_000)));
    let cases: Vec<(ImageSearch, Vec<ImageId>)> = vec![
        (search(|_| {}), all.clone()),
        (search(|s| "fox".clone_into(&mut s.text)), [two, one].concat()),
        (search(|s| "FO sn".clone_into(&mut s.text)), one.to_vec()),
        (search(|s| "狐 fuchs".clone_into(&mut s.text)), three.to_vec()),
        (search(|s| "ox".clone_into(&mut s.text)), vec![]),
        (search(|s| "' OR \" * ) --".clone_into(&mut s.text)), vec![]),
        (
            search(|s| "--aspect 3:2".clone_into(&mut s.parameters)),
            [two, one].concat(),
        ),
        (search(|s| "--ar".clone_into(&mut s.parameters)), all.clone()),
        (search(|s| "--ar 2:3 --v 7".clone_into(&mut s.parameters)), vec![]),
        (
            search(|s| s.action = Some(Action::Variation { strength: None })),
            two.to_vec(),
        ),
        (search(|s| s.parent = Some(first.id)), two.to_vec()),
        (search(|s| s.owner = Some(Owner::new("anna"))), three.to_vec()),
        (
            search(|s| (s.from, s.to) = (day(2), day(3))),
            [three, two].concat(),
        ),
        (search(|s| s.to = day(1)), one.to_vec()),
        (search(|s| s.pinned = true), vec![]),
        (
            search(|s| {
                "red".clone_into(&mut s.text);
                "--v 7".clone_into(&mut s.parameters);
                s.from = day(2);
            }),
            two.to_vec(),
        ),
    ];
    for (search, expected) in cases {
        assert_eq!(found(&store, &search).await, expected, "{search:?}");
    }
}

/// Only what is completed is filed; the pictures of others may still change.
pub async fn search_finds_completed_jobs_only(store: Arc<dyn JobStore>) {
    let job = given::insert_one(&store, 1).await;
    let commit = given::progress(&job, 5, 1).with_images(vec![given::picture(10, &job, 1)]);
    let job = store.commit(commit).await.unwrap();
    assert_eq!(found(&store, &ImageSearch::newest(10)).await, []);
    assert_eq!(mark(&store, 10, MarkChange::pin(true)).await, None);
    let commit = given::finish(&job, 6).with_images(vec![given::picture(11, &job, 2)]);
    store.commit(commit).await.unwrap();
    assert_eq!(found(&store, &ImageSearch::newest(10)).await, ids(&[10, 11]));
}

/// The job that was accepted last comes first, whenever its pictures came; pages may end within a job, and removals in
/// between neither repeat nor skip anything.
pub async fn search_pages_stay_stable_while_pictures_go(store: Arc<dyn JobStore>) {
    let mut jobs = Vec::new();
    for number in 1..=5 {
        jobs.push(fox(&store, number).await);
    }
    let mut search = search(|s| "fox".clone_into(&mut s.text));
    search.limit = 4;
    let page = store.search(&search).await.unwrap();
    let seen: Vec<_> = page.items.iter().map(|image| image.id).collect();
    assert_eq!(seen, ids(&[50, 51, 52, 40]));
    // The one that the next page begins behind goes, and one that is still to come.
    store.remove(&Removal::of_images([&page.items[3]])).await.unwrap();
    store.remove(&Removal::of_jobs([&jobs[2]])).await.unwrap();
    fox(&store, 6).await;
    search.after = page.next;
    let page = store.search(&search).await.unwrap();
    let seen: Vec<_> = page.items.iter().map(|image| image.id).collect();
    assert_eq!(seen, ids(&[41, 42, 20, 21]));
    search.after = page.next;
    let page = store.search(&search).await.unwrap();
    let seen: Vec<_> = page.items.iter().map(|image| image.id).collect();
    assert_eq!((seen, page.next), (ids(&[22, 10, 11, 12]), None));
}

/// They stay on the picture, wherever it is read, and it is found by them.
pub async fn marks_are_kept_and_found(store: Arc<dyn JobStore>) {
    fox(&store, 1).await;
    fox(&store, 2).await;
    let pinned = mark(&store, 11, MarkChange::pin(true)).await.unwrap();
    assert!(pinned.marks.pinned && pinned.marks.tags.is_empty());
    let both = mark(&store, 11, MarkChange::tag(tags(&["best", "foxes"])))
        .await
        .unwrap();
    assert!(both.marks.pinned);
    assert_eq!(both.marks.tags, tags(&["best", "foxes"]));
    mark(&store, 22, MarkChange::tag(tags(&["foxes"]))).await.unwrap();
    assert_eq!(store.image(image_id(11)).await.unwrap(), Some(both.clone()));
    let listed = store
        .images(&crate::job::ImageQuery::of(job_id(1)))
        .await
        .unwrap();
    assert_eq!(listed.items[1], both);
    let pinned = search(|s| s.pinned = true);
    let foxes = search(|s| s.tag = Some("foxes".parse().unwrap()));
    let best = search(|s| {
        s.tag = Some("best".parse().unwrap());
        "fox".clone_into(&mut s.text);
    });
    assert_eq!(found(&store, &pinned).await, ids(&[11]));
    assert_eq!(found(&store, &foxes).await, ids(&[22, 11]));
    assert_eq!(found(&store, &best).await, ids(&[11]));
    mark(&store, 11, MarkChange::tag(tags(&["foxes"]))).await.unwrap();
    mark(&store, 11, MarkChange::pin(false)).await.unwrap();
    for (search, expected) in [(pinned, vec![]), (foxes, ids(&[22, 11])), (best, vec![])] {
        assert_eq!(found(&store, &search).await, expected, "{search:?}");
    }
}

/// Nobody is told that it was done.
pub async fn a_mark_of_an_unknown_picture_is_none(store: Arc<dyn JobStore>) {
    fox(&store, 1).await;
    assert_eq!(mark(&store, 404, MarkChange::pin(true)).await, None);
}

/// Whoever judged that it goes may not have seen the pin.
pub async fn what_is_pinned_is_not_removed(store: Arc<dyn JobStore>) {
    let job = fox(&store, 1).await;
    let pinned = mark(&store, 11, MarkChange::pin(true)).await.unwrap();
    let mut removal = Removal::of_jobs([&job]);
    removal.images.extend([image_id(11), image_id(12)]);
    store.remove(&removal).await.unwrap();
    assert_eq!(store.load(job.id).await.unwrap(), Some(job.clone()));
    assert_eq!(store.image(image_id(11)).await.unwrap(), Some(pinned));
    assert_eq!(found(&store, &ImageSearch::newest(10)).await, ids(&[10, 11]));
    assert_eq!(store.leftovers(10).await.unwrap().len(), 1);
    mark(&store, 11, MarkChange::pin(false)).await.unwrap();
    store.remove(&removal).await.unwrap();
    assert_eq!(found(&store, &ImageSearch::newest(10)).await, []);
    assert_eq!(store.load(job.id).await.unwrap(), None);
}
