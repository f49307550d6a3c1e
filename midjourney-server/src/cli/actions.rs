//! What can be done beside drawing from a prompt: a command for each action.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use midjourney_core::{
    gateway::{Act, Gateway},
    id::JobId,
    image::MAX_UPLOAD,
    job::{Action, Direction, InputImage, Motion, Owner, ParentRef, Shape, Strength, UpscaleMode, Zoom},
};

use super::{args::FollowArgs, context::Context, draw::follow, output::Failure};

/// The word of a core's enumeration as a choice on the command line.
macro_rules! choices {
    ($($(#[$about:meta])* $name:ident => $core:ident { $($(#[$doc:meta])* $variant:ident $(= $word:literal)?,)+ })+) => {
        $(
            $(#[$about])*
            #[derive(Clone, Copy, Debug, ValueEnum)]
            pub(super) enum $name {
                $($(#[$doc])* $(#[value(name = $word)])? $variant,)+
            }

            impl From<$name> for $core {
                fn from(choice: $name) -> Self {
                    match choice {
                        $($name::$variant => Self::$variant,)+
                    }
                }
            }
        )+
    };
}

choices! {
    /// How a picture is made larger.
    Mode => UpscaleMode {
        /// Cut it out of the grid
        Cutout,
        /// Double the size, close to the original
        Subtle,
        /// Double the size, with new detail
        Creative,
        /// Double the size, as versions 5 do
        Double = "2x",
        /// Four times the size, as versions 5 do
        Quadruple = "4x",
    }
    /// How far from the original.
    Distance => Strength { Subtle, Strong, }
    /// Which side.
    Side => Direction { Left, Right, Up, Down, }
    /// How much moves.
    Movement => Motion { Low, High, }
    /// Which form.
    Form => Shape { Portrait, Square, Landscape, }
}

/// One picture of a finished job.
#[derive(Debug, Args)]
pub(super) struct OfJob {
    /// The job
    job: JobId,
    /// Which of its pictures, 1 to 4
    index: u8,
}

impl OfJob {
    const fn parent(&self) -> ParentRef {
        ParentRef::new(self.job, self.index)
    }
}

/// A finished job's picture, or one of your own.
#[derive(Debug, Args)]
pub(super) struct Origin {
    /// A finished job
    #[arg(long)]
    job: Option<JobId>,
    /// Which of its pictures, 1 to 4
    #[arg(long, requires = "job")]
    index: Option<u8>,
    /// A picture of your own: a file, a link, or the id of an upload
    #[arg(long, value_name = "FILE|URL|ID", conflicts_with = "job")]
    image: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ActionCommand {
    /// Make one picture of a finished job larger
    Upscale {
        #[command(flatten)]
        of: OfJob,
        /// How
        #[arg(long, value_enum, default_value = "cutout")]
        mode: Mode,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Draw one picture of a finished job again, differently
    Variation {
        #[command(flatten)]
        of: OfJob,
        /// How far from the original [default: as the upstream does it]
        #[arg(long, value_enum)]
        strength: Option<Distance>,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Draw a finished job's prompt again
    Reroll {
        /// The job
        job: JobId,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Draw one picture of a finished job again, from another prompt
    Remix {
        #[command(flatten)]
        of: OfJob,
        /// The prompt
        prompt: String,
        /// How far from the original
        #[arg(long, value_enum, default_value = "strong")]
        strength: Distance,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Add to one picture of a finished job on all sides
    Zoom {
        #[command(flatten)]
        of: OfJob,
        /// 1.5x, 2x, square, or a factor of more than 1 and 2 at most
        #[arg(long, value_parser = zoom, default_value = "2x")]
        to: Zoom,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Add to one picture of a finished job on one side
    Pan {
        #[command(flatten)]
        of: OfJob,
        /// On which side
        #[arg(value_enum)]
        direction: Side,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Draw a part of one picture of a finished job anew
    Inpaint {
        #[command(flatten)]
        of: OfJob,
        /// White where something new is drawn, black elsewhere: a file, a link, or the id of an upload
        #[arg(long, value_name = "FILE|URL|ID")]
        mask: String,
        /// What to draw there [default: the job's prompt]
        #[arg(long)]
        prompt: Option<String>,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Change a picture as a prompt says
    Edit {
        /// The prompt
        prompt: String,
        #[command(flatten)]
        origin: Origin,
        /// White where something may change, black elsewhere
        #[arg(long, value_name = "FILE|URL|ID")]
        mask: Option<String>,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Draw a picture anew in a prompt's style, keeping its shapes
    Retexture {
        /// A file, a link, or the id of an upload
        #[arg(value_name = "FILE|URL|ID")]
        image: String,
        /// The prompt
        prompt: String,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Make one picture of two to five
    Blend {
        /// Files, links, or ids of uploads
        #[arg(value_name = "FILE|URL|ID", num_args = 2..=5, required = true)]
        images: Vec<String>,
        /// Of which form
        #[arg(long, value_enum, default_value = "square")]
        shape: Form,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Suggest prompts for a picture
    Describe {
        #[command(flatten)]
        origin: Origin,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Shorten a prompt to what matters in it
    Shorten {
        /// The prompt
        prompt: String,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Make a video from a picture
    Animate {
        #[command(flatten)]
        origin: Origin,
        /// How much moves
        #[arg(long, value_enum, default_value = "low")]
        motion: Movement,
        /// What to draw [default: the job's prompt]
        #[arg(long)]
        prompt: Option<String>,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Make a video longer
    Extend {
        #[command(flatten)]
        of: OfJob,
        /// How much moves
        #[arg(long, value_enum, default_value = "low")]
        motion: Movement,
        #[command(flatten)]
        follow: FollowArgs,
    },
}

fn zoom(text: &str) -> Result<Zoom, String> {
    let wrong = || "expected 1.5x, 2x, square, or a factor of more than 1 and 2 at most".to_owned();
    match text {
        "1.5x" => Ok(Zoom::OneAndAHalf),
        "2x" => Ok(Zoom::Double),
        "square" => Ok(Zoom::Square),
        factor => Zoom::custom(factor.parse().map_err(|_| wrong())?).ok_or_else(wrong),
    }
}

/// What a command asks for, its pictures still as they were written.
struct Wish {
    action: Action,
    parent: Option<ParentRef>,
    prompt: Option<String>,
    images: Vec<String>,
    mask: Option<String>,
}

impl Wish {
    const fn new(action: Action) -> Self {
        Self {
            action,
            parent: None,
            prompt: None,
            images: Vec::new(),
            mask: None,
        }
    }

    fn on(mut self, of: &OfJob) -> Self {
        self.parent = Some(of.parent());
        self
    }

    fn from(mut self, origin: Origin) -> Self {
        self.parent = origin
            .job
            .map(|job| ParentRef::new(job, origin.index.unwrap_or(0)));
        self.images = origin.image.into_iter().collect();
        self
    }

    fn with_prompt(mut self, prompt: Option<String>) -> Self {
        self.prompt = prompt;
        self
    }
}

fn wish(command: ActionCommand) -> (Wish, FollowArgs) {
    use ActionCommand as C;

    match command {
        C::Upscale { of, mode, follow } => (Wish::new(Action::Upscale { mode: mode.into() }).on(&of), follow),
        C::Variation { of, strength, follow } => {
            let strength = strength.map(Into::into);
            (Wish::new(Action::Variation { strength }).on(&of), follow)
        }
        C::Reroll { job, follow } => {
            let mut wish = Wish::new(Action::Reroll);
            wish.parent = Some(ParentRef::new(job, 0));
            (wish, follow)
        }
        C::Remix {
            of,
            prompt,
            strength,
            follow,
        } => {
            let strength = strength.into();
            let wish = Wish::new(Action::Remix { strength }).on(&of);
            (wish.with_prompt(Some(prompt)), follow)
        }
        C::Zoom { of, to, follow } => (Wish::new(Action::Zoom { zoom: to }).on(&of), follow),
        C::Pan {
            of,
            direction,
            follow,
        } => {
            let direction = direction.into();
            (Wish::new(Action::Pan { direction }).on(&of), follow)
        }
        C::Inpaint {
            of,
            mask,
            prompt,
            follow,
        } => {
            let mut wish = Wish::new(Action::Inpaint).on(&of).with_prompt(prompt);
            wish.mask = Some(mask);
            (wish, follow)
        }
        C::Edit {
            prompt,
            origin,
            mask,
            follow,
        } => {
            let mut wish = Wish::new(Action::Edit).from(origin).with_prompt(Some(prompt));
            wish.mask = mask;
            (wish, follow)
        }
        C::Retexture {
            image,
            prompt,
            follow,
        } => {
            let mut wish = Wish::new(Action::Retexture).with_prompt(Some(prompt));
            wish.images = vec![image];
            (wish, follow)
        }
        C::Blend {
            images,
            shape,
            follow,
        } => {
            let mut wish = Wish::new(Action::Blend { shape: shape.into() });
            wish.images = images;
            (wish, follow)
        }
        C::Describe { origin, follow } => (Wish::new(Action::Describe).from(origin), follow),
        C::Shorten { prompt, follow } => (Wish::new(Action::Shorten).with_prompt(Some(prompt)), follow),
        C::Animate {
            origin,
            motion,
            prompt,
            follow,
        } => {
            let motion = motion.into();
            let wish = Wish::new(Action::Animate { motion }).from(origin);
            (wish.with_prompt(prompt), follow)
        }
        C::Extend { of, motion, follow } => {
            let motion = motion.into();
            (Wish::new(Action::Extend { motion }).on(&of), follow)
        }
    }
}

pub(super) async fn run(context: &Context, command: ActionCommand) -> Result<ExitCode, Failure> {
    let (wish, args) = wish(command);
    let key = args.idempotency_key.clone();
    follow(context, args, async |gateway| {
        let mut images = Vec::new();
        for image in wish.images {
            images.push(picture(gateway, image).await?);
        }
        let mask = match wish.mask {
            Some(mask) => Some(picture(gateway, mask).await?),
            None => None,
        };
        let act = Act::new(wish.action)
            .with_parent(wish.parent)
            .with_prompt(wish.prompt)
            .with_images(images)
            .with_mask(mask)
            .with_key(key);
        Ok(gateway.act(act).await?)
    })
    .await
}

/// A link or the id of an upload as it is; a file is taken in.
pub(super) async fn picture(gateway: &Gateway, text: String) -> Result<InputImage, Failure> {
    if text.starts_with("https://") || text.starts_with("http://") {
        return Ok(InputImage::Url(text));
    }
    if let Ok(id) = text.parse() {
        return Ok(InputImage::Upload(id));
    }
    let unreadable = |error| Failure::failed(&format!("{text} cannot be read"), error);
    let length = tokio::fs::metadata(&text).await.map_err(unreadable)?.len();
    if length > MAX_UPLOAD {
        return Err(Failure::usage(format!(
            "{text} has {length} bytes; a picture may have {MAX_UPLOAD} at most"
        )));
    }
    let bytes = tokio::fs::read(&text).await.map_err(unreadable)?;
    let upload = gateway.upload_bytes(Owner::local(), bytes.into()).await?;
    Ok(InputImage::Upload(upload.id))
}
