//! What the tools are called, what they take, and how arguments are read.
//!
//! Arguments are read here and not by the protocol layer, so that a wrong one gets an answer that a model can act on:
//! which field, what was expected, and the mend, for all wrong fields at once.

mod definitions;
mod flags;
mod picture;
mod reader;
mod schemas;
mod wishes;

use midjourney_core::{
    error::FieldError,
    id::{BatchId, JobId},
    job::{IdempotencyKey, Status},
    page::Cursor,
};
use serde_json::{Map, Value};

pub(crate) use definitions::{Definition, INSTRUCTIONS, Kind, all};
pub(crate) use flags::is_flag;
pub(crate) use picture::{Origin, Picture};
use reader::Reader;
pub(crate) use wishes::ActArgs;

/// How long `imagine` and `wait` wait where the caller does not say: inside the 60 s that many clients allow.
const DEFAULT_WAIT: u64 = 45;
/// The longest wait.
const MAX_WAIT: u64 = 50;
/// The longest prompt that is looked at. Midjourney takes a tenth of it.
const MAX_PROMPT_CHARS: usize = 60_000;
/// The most jobs in one page of `list_jobs`.
const MAX_LIST: u64 = 50;

/// A job, or all the jobs that one prompt became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handle {
    Job(JobId),
    Batch(BatchId),
}

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Job(id) => id.fmt(f),
            Self::Batch(id) => id.fmt(f),
        }
    }
}

/// What every tool takes that makes jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Common {
    pub wait_seconds: u64,
    pub key: Option<IdempotencyKey>,
}

impl Common {
    fn read(read: &mut Reader<'_>) -> Self {
        let key = read.text("idempotency_key", 255);
        Self {
            wait_seconds: read.whole("wait_seconds", 0..=MAX_WAIT).unwrap_or(DEFAULT_WAIT),
            key: key.and_then(|key| read.accept("idempotency_key", IdempotencyKey::new(key))),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImagineArgs {
    /// With the parameters that were given as arguments.
    pub prompt: String,
    pub version: Option<String>,
    pub images: Vec<Picture>,
    pub common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GetArgs {
    pub handle: Handle,
    /// Whether to ask the upstream for the seed where it did not tell.
    pub seed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitArgs {
    pub handle: Handle,
    pub wait_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShowArgs {
    pub job: JobId,
    /// `None` means the sheet of all pictures.
    pub index: Option<u8>,
    pub size: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListArgs {
    pub status: Option<Status>,
    pub limit: usize,
    pub after: Option<Cursor>,
}

/// A tool call with arguments that make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Imagine(ImagineArgs),
    Act(ActArgs),
    Wait(WaitArgs),
    GetJob(GetArgs),
    Show(ShowArgs),
    ListJobs(ListArgs),
    Cancel(JobId),
    Account,
}

/// The tool, or `None` where there is none of that name.
pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    all().iter().find(|tool| tool.name == name)
}

impl Call {
    /// Reads the arguments of the tool `name`.
    ///
    /// **Errors:** every wrong field.
    pub(crate) fn read(tool: &Definition, arguments: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut read = Reader::new(arguments, tool.input);
        let call = match tool.name {
            "imagine" => {
                let prompt = read.required("prompt", "the prompt as text", |read, name| {
                    read.text(name, MAX_PROMPT_CHARS)
                });
                let flags = flags::read(&mut read);
                let version = read.version("version");
                let images = read.pictures("images");
                let common = Common::read(&mut read);
                prompt.map(|prompt| {
                    Self::Imagine(ImagineArgs {
                        prompt: prompt + &flags,
                        version,
                        images,
                        common,
                    })
                })
            }
            "vary" | "upscale" | "edit" | "blend" | "describe" | "animate" => {
                ActArgs::read(tool.name, &mut read).map(Self::Act)
            }
            "account" => Some(Self::Account),
            "wait" => {
                let handle = read.required("job_id", "the job_id that imagine gave", Reader::handle);
                let wait_seconds = read.whole("wait_seconds", 0..=MAX_WAIT).unwrap_or(DEFAULT_WAIT);
                handle.map(|handle| Self::Wait(WaitArgs { handle, wait_seconds }))
            }
            "get_job" => {
                let handle = read.required("job_id", "the job_id that imagine gave", Reader::handle);
                let seed = read.switch("seed").unwrap_or(false);
                if seed && matches!(handle, Some(Handle::Batch(_))) {
                    read.object(
                        "seed",
                        "a batch has no seed of its own; give the job_id of one of its jobs",
                    );
                }
                handle.map(|handle| Self::GetJob(GetArgs { handle, seed }))
            }
            "show" => {
                let job = read.required("job_id", "the job_id that imagine gave", Reader::job);
                let index = read.whole("index", 0..=16).filter(|index| *index > 0);
                let size = read.one_of("size", &[256, 512, 768, 1024]).unwrap_or(768);
                job.map(|job| {
                    Self::Show(ShowArgs {
                        job,
                        index: index.and_then(|index| u8::try_from(index).ok()),
                        size,
                    })
                })
            }
            "list_jobs" => {
                let status = read
                    .text("status", 20)
                    .and_then(|status| read.accept("status", status.parse::<Status>()));
                let limit = read.whole("limit", 1..=MAX_LIST).unwrap_or(10);
                let after = read
                    .text("after", 64)
                    .and_then(|after| read.accept("after", after.parse::<Cursor>()));
                Some(Self::ListJobs(ListArgs {
                    status,
                    limit: usize::try_from(limit).unwrap_or(10),
                    after,
                }))
            }
            _ => read
                .required("job_id", "the job_id that imagine gave", Reader::job)
                .map(Self::Cancel),
        };
        read.finish(call)
    }
}

#[cfg(test)]
mod tests;
