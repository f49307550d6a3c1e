//! The JSON of the wire. What is read is read leniently: nobody has promised any of it.

use serde::{Deserialize, Serialize};

use super::pair::Pair;
use crate::client::http::{List, Loose, Text};

/// `POST /api/submit-jobs`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Submit<'a> {
    #[serde(flatten)]
    what: What<'a>,
    channel_id: String,
    f: Flags,
    room_id: Option<&'a str>,
    metadata: Metadata,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "t", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum What<'a> {
    Imagine {
        prompt: String,
    },
    Vary {
        id: &'a str,
        index: u8,
        strong: bool,
    },
    Upscale {
        id: &'a str,
        index: u8,
        #[serde(rename = "type")]
        kind: &'a str,
    },
    Pan {
        id: &'a str,
        index: u8,
        direction: u8,
        new_prompt: String,
        fraction: f32,
        stitch: bool,
    },
    Remix {
        id: &'a str,
        index: u8,
        strong: bool,
        new_prompt: String,
    },
    Reroll {
        id: &'a str,
    },
    Video {
        video_type: &'static str,
        new_prompt: String,
        /// Without one, the link of a picture leads the prompt.
        parent_job: Option<ParentJob<'a>>,
        animate_mode: &'static str,
    },
}

/// The picture that a video begins with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ParentJob<'a> {
    pub(super) job_id: &'a str,
    pub(super) image_num: u8,
}

#[derive(Serialize)]
struct Flags {
    mode: &'static str,
    private: bool,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    is_mobile: Option<bool>,
    image_prompts: usize,
    image_references: usize,
    character_references: usize,
    depth_references: usize,
    lightbox_open: Option<bool>,
}

impl<'a> Submit<'a> {
    /// `what`, done for `user`.
    pub(super) fn new(what: What<'a>, user: &str, mode: &'static str, private: bool, images: usize) -> Self {
        Self {
            what,
            channel_id: format!("singleplayer_{user}"),
            f: Flags { mode, private },
            room_id: None,
            metadata: Metadata {
                image_prompts: images,
                ..Metadata::default()
            },
        }
    }
}

/// `POST /api/describe`.
#[derive(Serialize)]
pub(super) struct Describe {
    pub(super) image_url: String,
}

/// `POST /api/job-status`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobStatus<'a> {
    pub(super) job_ids: [&'a str; 1],
}

/// `POST /api/firebase-login`.
#[derive(Serialize)]
pub(super) struct Login<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    cookie: LoginCookie<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoginCookie<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id_token: &'a str,
    refresh_token: &'a str,
}

impl<'a> Login<'a> {
    pub(super) fn of(pair: &'a Pair) -> Self {
        Self {
            kind: "firebase",
            cookie: LoginCookie {
                kind: "firebase",
                id_token: pair.id().expose(),
                refresh_token: pair.refresh().expose(),
            },
        }
    }
}

/// The answer to signing in, whether or not `authUser` is around it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AuthUser {
    id: Text,
    auth_user: Loose<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    id: Text,
}

impl AuthUser {
    /// Who is signed in; `None` where that is no id.
    pub(super) fn id(&self) -> Option<String> {
        let plain = |id: &&str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            (1..=64).contains(&id.len()) && id.bytes().all(fits)
        };
        let ids = [self.auth_user.0.id.as_str(), self.id.as_str()];
        ids.into_iter().find(plain).map(str::to_owned)
    }
}

/// The answer to handing over a file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Uploaded {
    bucket_pathname: Text,
}

impl Uploaded {
    /// Where the file is; `None` where that is no path.
    pub(super) fn path(&self) -> Option<&str> {
        let path = self.bucket_pathname.as_str().trim_start_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        let fits = (1..=512).contains(&path.len()) && path.bytes().all(plain) && !path.contains("..");
        fits.then_some(path)
    }
}

/// The answer of the token service.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Renewed {
    pub(super) id_token: Text,
    pub(super) refresh_token: Text,
}

/// The answer to a submit, and to describing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Submitted {
    /// What was started. Of describing, a word instead.
    pub(super) success: List<Loose<Started>>,
    pub(super) failure: List<Loose<Refused>>,
    pub(super) data: Loose<Described>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Started {
    pub(super) job_id: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refused {
    #[serde(rename = "type")]
    pub(super) kind: Text,
    pub(super) message: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Described {
    pub(super) descriptions: List<Text>,
}

/// A job, as asking for it gives it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Job {
    pub(super) id: Text,
    #[serde(rename = "job_type")]
    pub(super) kind: Text,
    #[serde(rename = "current_status")]
    pub(super) status: Text,
    pub(super) batch_size: Text,
}
