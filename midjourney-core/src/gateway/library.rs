//! The library of pictures: finding them, marking them, what came of what, and removing them by hand.

use std::collections::{BTreeMap, VecDeque};

use super::{Gateway, LineageView};
use crate::{
    engine,
    error::{Error, ErrorKind},
    id::{ImageId, JobId},
    image::{Image, MAX_TAGS, MarkChange},
    job::{ImageQuery, ImageSearch, Job, Removal},
    page::Page,
};

/// How many jobs a tree shows at most.
pub const MAX_LINEAGE: usize = 500;

impl Gateway {
    /// Pictures of completed jobs that all that is said holds for; those of the job that was accepted last come first.
    ///
    /// **Errors:** [`ErrorKind::Invalid`] where the first day comes after the last, or parameters are none.
    pub async fn search(&self, search: &ImageSearch) -> Result<Page<Image>, Error> {
        if !search.has_parameters_only() {
            let detail = format!(
                "expected parameters as in a prompt, such as --ar 3:2 --raw, not {:?}; words belong into text",
                search.parameters
            );
            return Err(Error::field("/parameters", detail));
        }
        if let (Some(from), Some(to)) = (search.from, search.to)
            && from > to
        {
            let detail = format!("expected a day up to {to}, the last that is asked for, not {from}");
            return Err(Error::field("/from", detail));
        }
        Ok(self.parts.jobs.search(search).await?)
    }

    /// Pins or tags a picture, and returns it as it is then.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] while its job is under way; [`ErrorKind::Invalid`] for
    /// more than [`MAX_TAGS`] tags.
    pub async fn mark(&self, id: ImageId, change: &MarkChange) -> Result<Image, Error> {
        if change.tags.as_ref().is_some_and(|tags| tags.len() > MAX_TAGS) {
            return Err(Error::field("/tags", format!("expected {MAX_TAGS} tags at most")));
        }
        if let Some(marked) = self.parts.jobs.mark(id, change).await? {
            return Ok(marked);
        }
        let job = self.image(id).await?.job;
        Err(Error::new(
            ErrorKind::Conflict,
            format!("the picture's job {job} is still under way; wait for its end"),
        ))
    }

    /// Removes a picture, its row and its file. Its job stays.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where it is pinned, or while its job is under way.
    /// **Cancel safety:** a file that is left over is removed another time.
    pub async fn remove_image(&self, id: ImageId) -> Result<(), Error> {
        let image = self.image(id).await?;
        let pinned = "the picture is pinned; unpin it first";
        if image.marks.pinned {
            return Err(Error::new(ErrorKind::Conflict, pinned));
        }
        self.parts.jobs.remove(&Removal::of_images([&image])).await?;
        match self.parts.jobs.image(id).await? {
            None => Ok(engine::remove_files(&self.parts).await?),
            Some(image) if image.marks.pinned => Err(Error::new(ErrorKind::Conflict, pinned)),
            Some(image) => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the picture's job {} is still under way; wait for its end",
                    image.job
                ),
            )),
        }
    }

    /// The tree that a job stands in: from the first job that it goes back to and is still there, down to all that came of
    /// that, [`MAX_LINEAGE`] jobs at most, the nearest to the root first. Only jobs with pictures have a place in it.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn lineage(&self, id: JobId) -> Result<LineageView, Error> {
        let root = self.root(self.job(id).await?).await?;
        let mut children: BTreeMap<JobId, Vec<JobId>> = BTreeMap::new();
        let mut views = BTreeMap::from([(root.id, self.leaf(&root).await?)]);
        let mut queue = VecDeque::from([root.id]);
        let mut order = Vec::new();
        while let Some(parent) = queue.pop_front() {
            order.push(parent);
            for child in self.children(parent).await? {
                if views.len() >= MAX_LINEAGE {
                    break;
                }
                if let std::collections::btree_map::Entry::Vacant(place) = views.entry(child.id) {
                    place.insert(self.leaf(&child).await?);
                    children.entry(parent).or_default().push(child.id);
                    queue.push_back(child.id);
                }
            }
        }
        // Those furthest from the root first, so that each is whole before it goes into its parent.
        for parent in order.iter().rev() {
            let below: Vec<_> = children
                .remove(parent)
                .unwrap_or_default()
                .into_iter()
                .filter_map(|child| views.remove(&child))
                .collect();
            if let Some(view) = views.get_mut(parent) {
                view.children = below;
            }
        }
        views
            .remove(&root.id)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the tree lost its root"))
    }

    /// The first of the jobs that `job` goes back to, as far as they are still there.
    async fn root(&self, mut job: Job) -> Result<Job, Error> {
        for _ in 0..MAX_LINEAGE {
            let Some(parent) = job.request.parent else {
                break;
            };
            match self.parts.jobs.load(parent.job).await? {
                Some(parent) => job = parent,
                None => break,
            }
        }
        Ok(job)
    }

    /// The completed jobs that started from pictures of this one, the last one first.
    async fn children(&self, parent: JobId) -> Result<Vec<Job>, Error> {
        let mut search = ImageSearch::newest(Page::<Image>::MAX);
        search.parent = Some(parent);
        let mut children: Vec<Job> = Vec::new();
        loop {
            let page = self.parts.jobs.search(&search).await?;
            for image in page.items {
                if children.last().is_none_or(|last| last.id != image.job) {
                    children.extend(self.parts.jobs.load(image.job).await?);
                }
            }
            search.after = page.next;
            if search.after.is_none() || children.len() >= MAX_LINEAGE {
                return Ok(children);
            }
        }
    }

    async fn leaf(&self, job: &Job) -> Result<LineageView, Error> {
        let images = self.parts.jobs.images(&ImageQuery::of(job.id)).await?.items;
        Ok(LineageView::of(job, &images))
    }
}
