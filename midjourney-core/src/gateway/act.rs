//! Takes in everything but imagines: follow-ups on finished pictures, and what starts from pictures or texts that come
//! along. What an action is made of is checked here, once for all upstreams.

use super::{Accepted, Gateway, PromptCheck, follow_ups::last_index, intake::Intake};
use crate::{
    client::ParentTask,
    error::{Error, ErrorKind},
    id::{ImageId, JobId},
    image::{Image, MAX_PICTURES},
    job::{
        AccountName, Action, Capabilities, Echo, IdempotencyKey, ImageQuery, InputImage, JobRequest,
        JobStoreExt as _, Need, Owner, ParentRef, PictureForm, Zoom,
    },
    prompt::Diagnostic,
};

/// A request to do anything but draw from a prompt: go on from a finished picture, or start from pictures or a text that
/// come along. [`Action::needs`] says what each takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Act {
    /// What to do.
    pub action: Action,
    /// The picture of ours to start from.
    pub parent: Option<ParentRef>,
    /// What to draw; where it may be left out, the parent's prompt is used.
    pub prompt: Option<String>,
    /// Pictures that come along.
    pub images: Vec<InputImage>,
    /// Which part is to be drawn anew: white there, black elsewhere.
    pub mask: Option<InputImage>,
    /// Repeating the request under the same key returns the same job.
    pub key: Option<IdempotencyKey>,
    /// Whose the job is.
    pub owner: Owner,
    /// What the caller wants to get back with the job.
    pub echo: Echo,
    /// The id that the job is to have, where the caller has given it out already.
    pub id: Option<JobId>,
}

/// How callers name the picture to start from: by `image`, or by `job` and `index`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the three ways to name a picture")]
pub struct Start {
    /// The job that made it.
    pub job: Option<JobId>,
    /// The picture itself, which tells its job and its index.
    pub image: Option<ImageId>,
    /// Which of the job's pictures, from 1.
    pub index: Option<u8>,
}

impl Act {
    /// Do `action`, for the local owner.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            parent: None,
            prompt: None,
            images: Vec::new(),
            mask: None,
            key: None,
            owner: Owner::local(),
            echo: Echo::default(),
            id: None,
        }
    }

    /// The same request, starting from a picture of ours.
    pub const fn on(self, parent: ParentRef) -> Self {
        self.with_parent(Some(parent))
    }

    /// The same request, starting from a picture of ours where there is one.
    pub const fn with_parent(mut self, parent: Option<ParentRef>) -> Self {
        self.parent = parent;
        self
    }

    /// The same request with a text of its own.
    pub fn with_prompt(mut self, prompt: Option<String>) -> Self {
        self.prompt = prompt;
        self
    }

    /// The same request with these pictures.
    pub fn with_images(mut self, images: Vec<InputImage>) -> Self {
        self.images = images;
        self
    }

    /// The same request within this mask.
    pub fn with_mask(mut self, mask: Option<InputImage>) -> Self {
        self.mask = mask;
        self
    }

    /// The same request under an idempotency key.
    pub fn with_key(mut self, key: Option<IdempotencyKey>) -> Self {
        self.key = key;
        self
    }

    /// The same request of a caller that wants this back.
    pub fn with_echo(mut self, echo: Echo) -> Self {
        self.echo = echo;
        self
    }

    /// The same request, with signed [webhooks](crate::delivery) about each job sent to this address.
    pub fn with_webhook(mut self, url: Option<String>) -> Self {
        self.echo.webhook = url;
        self
    }

    /// The same request for a job of this id, which must be new.
    pub const fn with_id(mut self, id: Option<JobId>) -> Self {
        self.id = id;
        self
    }
}

impl Gateway {
    /// Accepts anything but an imagine; the job is on disk when this returns.
    ///
    /// **Errors:** [`ErrorKind::Invalid`] for a part that is missing, too much, or wrong, by its name;
    /// [`ErrorKind::NotFound`] for an unknown parent; [`ErrorKind::Conflict`] where it is not completed;
    /// [`ErrorKind::Rejected`] where the upstream cannot do it. **Cancel safety:** as for [`imagine`](Gateway::imagine).
    pub async fn act(&self, request: Act) -> Result<Accepted, Error> {
        check_parts(&request)?;
        let home = match request.parent {
            None => None,
            Some(parent) => Some(self.parent(request.action, parent).await?),
        };
        let (prompt, warnings) = if let Some(text) = &request.prompt {
            self.one_prompt(text)?
        } else {
            let prompt = home.as_ref().map(|(_, task)| task.prompt.clone());
            (prompt.unwrap_or_default(), Vec::new())
        };
        let job = JobRequest::new(request.action, prompt)
            .with_parent(request.parent)
            .with_images(request.images)
            .with_mask(request.mask)
            .with_echo(request.echo);
        let mut accepted = self
            .take_in(Intake {
                owner: request.owner,
                requests: vec![job],
                home,
                key: request.key,
                id: request.id,
            })
            .await?;
        accepted.warnings = warnings;
        Ok(accepted)
    }

    /// The picture that `start` names for `action`; `None` where it names none.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Invalid`] where it is named in two ways that differ, or not
    /// wholly.
    pub async fn start(&self, action: Action, start: Start) -> Result<Option<ParentRef>, Error> {
        let which = "expected 1 to 4: which of the job's pictures";
        let one = action.needs().index == Need::Must;
        match start {
            Start {
                job: None,
                image: None,
                index: None,
            } => Ok(None),
            Start {
                job: Some(job),
                image: None,
                index,
            } => match index {
                None if one => Err(Error::field("/index", which)),
                index => Ok(Some(ParentRef::new(job, index.unwrap_or(0)))),
            },
            Start {
                job: None,
                image: Some(image),
                index,
            } => {
                let image = self.image(image).await?;
                match (image.index, index) {
                    (0, None) if one => Err(Error::field(
                        "/index",
                        format!("{which}; the image is the grid of them all"),
                    )),
                    (own, Some(index)) if own != 0 && own != index => {
                        let detail = format!("the image is picture {own}, not {index}; leave `index` out");
                        Err(Error::field("/index", detail))
                    }
                    (own, index) => Ok(Some(ParentRef::new(image.job, index.unwrap_or(own)))),
                }
            }
            Start { job: Some(_), .. } => Err(Error::field("/image", "give `job` or `image`, not both")),
            Start { job: None, .. } => Err(Error::field("/job", "give `job` and `index`, or `image`")),
        }
    }

    /// The account and the task of a finished picture.
    async fn parent(&self, action: Action, parent: ParentRef) -> Result<(AccountName, ParentTask), Error> {
        let job = self.parts.jobs.get(parent.job).await?;
        let images = self.parts.jobs.images(&ImageQuery::of(job.id)).await?.items;
        let Some(task) = ParentTask::of(&job, &images, parent.index) else {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "job {} is {}; follow-ups need a completed job",
                    job.id,
                    job.status().name()
                ),
            ));
        };
        check_index(action, parent, &images)?;
        Ok((job.account, task))
    }

    /// A prompt that must be one job, in canonical form, with what is doubtful about it.
    fn one_prompt(&self, text: &str) -> Result<(String, Vec<Diagnostic>), Error> {
        let PromptCheck { report, mut jobs } = self.check_prompt(text, None)?;
        if !report.is_valid() {
            return Err(Error::prompt(report));
        }
        if jobs.len() != 1 {
            let detail = format!(
                "expected one prompt; permutations and repeats make it {}",
                jobs.len()
            );
            return Err(Error::field("/prompt", detail));
        }
        Ok((jobs.remove(0), report.diagnostics().warnings().to_vec()))
    }

    /// Whether each picture of `job` and its mask is there, is the caller's, and comes in a form that the upstream takes;
    /// and whether they are not too large together.
    pub(super) async fn check_pictures(
        &self,
        can: Capabilities,
        job: &JobRequest,
        owner: &Owner,
    ) -> Result<(), Error> {
        let mut room = MAX_PICTURES;
        let images = job.images.iter().enumerate();
        let images = images.map(|(number, picture)| (format!("/images/{number}"), can.pictures, picture));
        let mask = job.mask.iter().map(|mask| ("/mask".to_owned(), can.mask, mask));
        for (place, form, picture) in images.chain(mask) {
            let length = self.check_picture(&place, form, picture, owner).await?;
            room = room.checked_sub(length).ok_or_else(|| {
                Error::field(
                    place,
                    "all pictures of one request may come to 40 MiB; give smaller ones",
                )
            })?;
        }
        Ok(())
    }

    /// How many bytes of it have to be handed on, as far as is known.
    async fn check_picture(
        &self,
        place: &str,
        form: PictureForm,
        picture: &InputImage,
        owner: &Owner,
    ) -> Result<u64, Error> {
        let id = match picture {
            InputImage::Url(url) if is_link(url) => return Ok(0),
            InputImage::Url(_) => {
                let detail = "expected an http or https link, or the id of an upload";
                return Err(Error::field(place, detail));
            }
            InputImage::Upload(id) => *id,
        };
        let upload = self.parts.jobs.upload(id).await?;
        let Some(upload) = upload.filter(|upload| upload.owner == *owner) else {
            return Err(Error::field(place, format!("there is no upload {id}")));
        };
        match form {
            PictureForm::Link if self.parts.links.is_none() => {
                let detail = "this upstream takes links only: give one, or set server.public_url so that uploads \
                              have links";
                Err(Error::field(place, detail))
            }
            PictureForm::Link => Ok(0),
            _ => Ok(upload.bytes),
        }
    }
}

/// The longest link to a picture.
const MAX_LINK: usize = 2_048;

fn is_link(url: &str) -> bool {
    let web = url.starts_with("https://") || url.starts_with("http://");
    web && url.len() <= MAX_LINK && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Whether a request has all that its action takes, and nothing that it does not.
fn check_parts(request: &Act) -> Result<(), Error> {
    let (action, needs) = (request.action, request.action.needs());
    let name = action.name();
    let part = |field: &str, need: Need, there: bool, what: &str| match (need, there) {
        (Need::Must, false) => Err(Error::field(field, format!("{name} needs {what}"))),
        (Need::No, true) => Err(Error::field(
            field,
            format!("{name} takes no such thing; leave it out"),
        )),
        _ => Ok(()),
    };
    part(
        "/job",
        needs.parent,
        request.parent.is_some(),
        "the job of a finished picture",
    )?;
    part("/prompt", needs.prompt, request.prompt.is_some(), "a prompt")?;
    part(
        "/mask",
        needs.mask,
        request.mask.is_some(),
        "a mask: white where it draws anew",
    )?;
    let (least, most) = needs.images;
    let given = request.images.len();
    if !(least..=most).contains(&given) {
        let detail = match (least, most) {
            (_, 0) => format!("{name} takes no pictures of its own; leave them out"),
            (least, most) if least == most => format!("{name} takes {most}, not {given}"),
            _ => format!("{name} takes {least} to {most}, not {given}"),
        };
        return Err(Error::field("/images", detail));
    }
    // What may start from either must start from one of them.
    if needs.parent == Need::May && request.parent.is_some() == (given > 0) {
        return Err(Error::field(
            "/job",
            format!("{name} starts from a finished job or from a picture of your own: give one of the two"),
        ));
    }
    if let Action::Zoom {
        zoom: Zoom::Custom(hundredths),
    } = action
        && !(101..=200).contains(&hundredths)
    {
        return Err(Error::field("/zoom", "expected more than 1 and 2 at most"));
    }
    Ok(())
}

fn check_index(action: Action, parent: ParentRef, images: &[Image]) -> Result<(), Error> {
    match action.needs().index {
        Need::May if parent.index == 0 => return Ok(()),
        Need::No => return Ok(()),
        _ => {}
    }
    let most = last_index(images);
    if (1..=most).contains(&parent.index) {
        return Ok(());
    }
    let expected = if most == 1 {
        "1, its only picture".to_owned()
    } else {
        format!("1 to {most}")
    };
    Err(Error::field(
        "/index",
        format!("expected {expected}, not {}", parent.index),
    ))
}
