//! The tools that make jobs: asking for them, waiting a while, and telling what came of it.

use std::time::Duration;

use midjourney_core::{
    error::{Chain, Error, ErrorKind},
    gateway::{Accepted, Act, Imagine, JobView},
    job::{Action, InputImage, Need, ParentRef},
};
use tracing::warn;

use super::Office;
use crate::{
    result::{self, Answer},
    steps::Steps,
    tools::{ActArgs, Common, Handle, ImagineArgs, Origin, Picture},
    wait::{self, Caller},
};

impl Office {
    pub(super) async fn imagine(&self, args: ImagineArgs, caller: &dyn Caller) -> Result<Answer, Error> {
        let request = Imagine::new(args.prompt)
            .with_version(args.version)
            .with_images(self.bring_all(args.images).await?)
            .with_key(args.common.key.clone());
        let accepted = self.gateway.imagine(request).await?;
        self.follow(accepted, &args.common, caller).await
    }

    pub(super) async fn act(&self, args: ActArgs, caller: &dyn Caller) -> Result<Answer, Error> {
        let (action, named) = (args.action, args.pictures);
        let (parent, images) = match &named[..] {
            [only] if action.needs().parent != Need::No => parent(only),
            _ => None,
        }
        .map_or((None, named), |parent| (Some(parent), Vec::new()));
        let mask = match args.mask {
            Some(mask) => Some(self.bring(mask).await?),
            None => None,
        };
        let request = Act::new(action)
            .with_parent(parent)
            .with_prompt(args.prompt)
            .with_images(self.bring_all(images).await?)
            .with_mask(mask)
            .with_key(args.common.key.clone());
        let accepted = self.gateway.act(request).await;
        let accepted = accepted.map_err(|error| in_words_of_the_tool(error, action))?;
        self.follow(accepted, &args.common, caller).await
    }

    async fn bring_all(&self, pictures: Vec<Picture>) -> Result<Vec<InputImage>, Error> {
        let mut brought = Vec::with_capacity(pictures.len());
        for picture in pictures {
            brought.push(self.bring(picture).await?);
        }
        Ok(brought)
    }

    async fn follow(
        &self,
        accepted: Accepted,
        common: &Common,
        caller: &dyn Caller,
    ) -> Result<Answer, Error> {
        let limit = Duration::from_secs(common.wait_seconds);
        let handle = match (accepted.batch, &accepted.jobs[..]) {
            (Some(batch), [_, _, ..]) => Handle::Batch(batch),
            (_, [first, ..]) => Handle::Job(first.id),
            (_, []) => return Err(Error::new(ErrorKind::Internal, "no job was made")),
        };
        // From here on the jobs are on disk: an answer that names them matters more than what else may go wrong.
        if let Err(failure) = wait::wait(&self.gateway, &accepted.jobs, limit, caller).await {
            warn!(error = %Chain(&failure), "waiting failed");
        }
        let mut answer = match self.reload(&accepted.jobs).await {
            Ok(views) => self.tell(&views, handle, true).await,
            Err(failure) => {
                warn!(error = %Chain(&failure), "the new jobs could not be read");
                let views: Vec<_> = accepted
                    .jobs
                    .iter()
                    .map(|job| JobView::of(job, &[], false))
                    .collect();
                self.jobs(&views, handle, Steps::default()).answer(true)
            }
        };
        if accepted.replayed {
            answer.text.push_str(
                "The same request came before under this idempotency_key: this is its job, not a new one.\n",
            );
            answer.put("replayed", true);
        }
        result::warn(&mut answer, &accepted.warnings);
        Ok(answer)
    }
}

const fn parent(picture: &Picture) -> Option<ParentRef> {
    match picture.from {
        Origin::Ours(job, index) => Some(ParentRef::new(job, index)),
        _ => None,
    }
}

/// The gateway names the parts of a request by its own words; most tools have one `image` for several of them.
fn in_words_of_the_tool(error: Error, action: Action) -> Error {
    let [field] = error.fields() else {
        return error;
    };
    let detail = match field.pointer.as_str() {
        "/index" => format!("its index: {}", field.detail),
        "/job" => field.detail.clone(),
        place if place.starts_with("/images") && !matches!(action, Action::Blend { .. }) => {
            field.detail.clone()
        }
        _ => return error,
    };
    Error::field("/image", detail)
}
