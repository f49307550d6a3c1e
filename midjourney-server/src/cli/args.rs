//! What can be typed.

#[cfg(feature = "simulator")]
use std::net::SocketAddr;
use std::{path::PathBuf, time::Duration};

#[cfg(feature = "simulator")]
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use midjourney_core::{
    clock::Day,
    delivery::DeliveryState,
    id::{BatchId, DeliveryId, ImageId, JobId, SubscriptionId},
    image::{Tag, raster::Encoding},
    job::{Action, IdempotencyKey, Status, Verdict},
    page::Cursor,
};

use super::actions::ActionCommand;
#[cfg(feature = "simulator")]
use crate::simulate::Dialect;

/// Send a prompt, get a durable job, get the images.
#[derive(Debug, Parser)]
#[command(name = "midjourney", version, propagate_version = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    /// The configuration file [default: midjourney.yaml here, else in the platform's configuration directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where jobs and pictures are kept [default: the platform's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Draw from a prompt and wait for the pictures
    Imagine(ImagineArgs),
    #[command(flatten)]
    Act(ActionCommand),
    /// List, show, follow and settle jobs
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// List and copy pictures
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Back up everything into one file, check it, restore it
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Copy everything to the stores of another configuration; no server may work on either
    Migrate(MigrateArgs),
    /// Serve the HTTP API
    Serve(ServeArgs),
    /// List the accounts: what waits, what runs, and what was spent
    Accounts,
    /// What upstreams post to this gateway, and who is told what happens to jobs
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Check the configuration, the storage and the upstream
    Doctor,
    /// Imitate an upstream on this machine, over its own wire format; costs nothing
    #[cfg(feature = "simulator")]
    Simulate(SimulateArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum BackupCommand {
    /// Write jobs and pictures into a file, as they are at one moment; servers may go on
    Create {
        /// The file; one that is there is not written over
        file: PathBuf,
        /// Encrypt it for this public key of age (age1...); may be said several times
        #[arg(long, value_name = "KEY")]
        recipient: Vec<String>,
    },
    /// Check a backup to its last sum; changes nothing
    Verify(BackupArgs),
    /// Put a backup into the configured stores, which must have no jobs yet
    Restore(BackupArgs),
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file
    pub(super) file: PathBuf,
    /// A file with the secret key, for an encrypted one
    #[arg(long, value_name = "FILE")]
    pub(super) identity: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// The configuration whose stores everything is copied to
    #[arg(long, value_name = "FILE")]
    pub(super) to: PathBuf,
    /// Its data directory, where it is another
    #[arg(long, value_name = "DIR")]
    pub(super) to_data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum WebhooksCommand {
    /// Tell whether upstreams can call back here, and what came in so far
    Status,
    /// Send a probe through the whole public path, as an upstream would call
    Test,
    /// List the callbacks that came in, newest first
    Events {
        /// Only those about this job
        #[arg(long)]
        job: Option<JobId>,
        /// Only those with this verdict, such as forged
        #[arg(long, value_parser = verdict)]
        verdict: Option<Verdict>,
        /// How many, 1 to 200
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=200))]
        limit: u8,
        /// Go on where the last page ended
        #[arg(long)]
        after: Option<Cursor>,
    },
    /// Have a server told what happens to jobs; prints the secret that messages are signed with
    Subscribe {
        /// Where messages are posted: a public https address
        url: String,
        /// Which events, such as job.completed,job.failed, or `*` for all; otherwise the ends of jobs and what they need
        /// somebody for
        #[arg(long, value_delimiter = ',')]
        events: Vec<String>,
    },
    /// List who is told
    Subscriptions,
    /// Tell a server nothing more
    Unsubscribe {
        /// The subscription
        id: SubscriptionId,
    },
    /// Start a subscription again that was disabled
    Enable {
        /// The subscription
        id: SubscriptionId,
    },
    /// Stop a subscription; what waits for it is given up
    Disable {
        /// The subscription
        id: SubscriptionId,
    },
    /// Give a subscription a new secret and print it; the one before is good for 24 hours more
    Rotate {
        /// The subscription
        id: SubscriptionId,
    },
    /// Send a test message, and tell what came of it
    SendTest {
        /// The subscription
        id: SubscriptionId,
    },
    /// List what was sent, newest first
    Deliveries {
        /// Only those to this subscription
        #[arg(long)]
        subscription: Option<SubscriptionId>,
        /// Only those about this job
        #[arg(long)]
        job: Option<JobId>,
        /// Only those in this state
        #[arg(long, value_parser = DeliveryState::NAMES)]
        state: Option<String>,
        /// How many, 1 to 200
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=200))]
        limit: u8,
        /// Go on where the last page ended
        #[arg(long)]
        after: Option<Cursor>,
    },
    /// Send a message again, whatever became of it
    Replay {
        /// The message
        id: DeliveryId,
    },
}

fn verdict(text: &str) -> Result<Verdict, String> {
    let known = Verdict::ALL.into_iter().find(|verdict| verdict.name() == text);
    known.ok_or_else(|| format!("expected one of {}", Verdict::ALL.map(Verdict::name).join(", ")))
}

#[derive(Debug, Args)]
pub(super) struct ImagineArgs {
    /// The prompt, with parameters such as --ar 3:2 in the same quotes
    pub(super) prompt: String,
    /// The version for a prompt that names none, such as 7 or "niji 7"
    #[arg(long, value_name = "VERSION")]
    pub(super) model: Option<String>,
    /// A reference picture; may be given several times: a file, a link, or the id of an upload
    #[arg(long, value_name = "FILE|URL|ID")]
    pub(super) image: Vec<String>,
    #[command(flatten)]
    pub(super) follow: FollowArgs,
}

#[derive(Debug, Args)]
pub(super) struct FollowArgs {
    /// Answer once the job is on disk, without waiting for the pictures
    #[arg(long)]
    pub(super) no_wait: bool,
    /// How long to wait, such as 90s or 10m; the job goes on after that
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "30m")]
    pub(super) timeout: Duration,
    /// Copy the pictures into this folder
    #[arg(long, short, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// Repeating the command under the same key returns the same job
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub(super) idempotency_key: Option<IdempotencyKey>,
}

#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// List jobs, newest first
    List {
        /// Only jobs of this status
        #[arg(long)]
        status: Option<Status>,
        /// Only jobs of this batch
        #[arg(long)]
        batch: Option<BatchId>,
        /// How many, 1 to 200
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=200))]
        limit: u8,
        /// Go on where the last page ended
        #[arg(long)]
        after: Option<Cursor>,
    },
    /// Show one job
    Show {
        /// The job
        job: JobId,
    },
    /// Wait until a job is over
    Wait {
        /// The job
        job: JobId,
        /// How long to wait, such as 90s or 10m
        #[arg(long, value_name = "TIME", value_parser = span, default_value = "30m")]
        timeout: Duration,
    },
    /// Print a job's events as they happen
    Watch {
        /// The job
        job: JobId,
    },
    /// Tell a finished job's seed, asking the upstream where it has not told
    Seed {
        /// The job
        job: JobId,
    },
    /// Cancel a job
    Cancel {
        /// The job
        job: JobId,
    },
    /// Remove the jobs and pictures that the configuration does not keep any more, as the server does every hour
    Clean {
        /// Only show what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Settle a job whose submit was lost
    Resolve(ResolveArgs),
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// The job
    pub(super) job: JobId,
    #[command(flatten)]
    pub(super) decision: Decision,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Decision {
    /// The upstream did accept it, under this id
    #[arg(long, value_name = "UPSTREAM_ID")]
    pub(super) adopt: Option<String>,
    /// Submit it again, knowing that it may be paid twice
    #[arg(long)]
    pub(super) resubmit: bool,
    /// Let it go
    #[arg(long)]
    pub(super) give_up: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImagesCommand {
    /// List pictures, newest first, or search for some
    List(Find),
    /// Show one picture's facts
    Show {
        /// The picture
        image: ImageId,
    },
    /// Copy pictures into a folder; never overwrites
    Export {
        /// A picture or a job
        what: Exported,
        /// The folder
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// No wider than so many pixels, 1 to 4096
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
        width: Option<u32>,
        /// No higher than so many pixels, 1 to 4096
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
        height: Option<u32>,
        /// As another kind of file: png, jpeg or webp
        #[arg(long, value_parser = encoding)]
        format: Option<Encoding>,
        /// Write the prompt and where the picture comes from into the file
        #[arg(long)]
        metadata: bool,
    },
    /// Keep pictures, whatever retention says
    Pin {
        /// The pictures
        #[arg(required = true)]
        images: Vec<ImageId>,
    },
    /// Keep pictures no longer than others
    Unpin {
        /// The pictures
        #[arg(required = true)]
        images: Vec<ImageId>,
    },
    /// Give a picture these tags and no others; without any, it has none
    Tag {
        /// The picture
        image: ImageId,
        /// The tags: words of letters, digits, - and _
        tags: Vec<Tag>,
    },
    /// Remove pictures and their files; their jobs stay
    Remove {
        /// The pictures
        #[arg(required = true)]
        images: Vec<ImageId>,
    },
    /// Show what came of what: the tree of jobs that this one stands in
    Tree {
        /// Any job in it
        job: JobId,
    },
}

/// Which pictures to list. All that is said must hold.
#[derive(Debug, Args)]
pub(super) struct Find {
    /// Only pictures of this job
    #[arg(long, conflicts_with_all = ["text", "parameters", "action", "parent", "from", "to", "pinned", "tag"])]
    pub(super) job: Option<JobId>,
    /// Words of the prompt, all of them, each as a word or its beginning
    #[arg(long)]
    pub(super) text: Option<String>,
    /// Parameters of the prompt, written as in one: --parameters='--ar 3:2 --v 7'
    #[arg(long, allow_hyphen_values = true)]
    pub(super) parameters: Option<String>,
    /// What made them, such as imagine or upscale
    #[arg(long, value_parser = action)]
    pub(super) action: Option<Action>,
    /// Only those that were made from pictures of this job
    #[arg(long, value_name = "JOB")]
    pub(super) parent: Option<JobId>,
    /// From jobs of this day (UTC) on, such as 2026-11-24
    #[arg(long, value_name = "DAY")]
    pub(super) from: Option<Day>,
    /// From jobs up to this day (UTC)
    #[arg(long, value_name = "DAY")]
    pub(super) to: Option<Day>,
    /// Only pinned ones
    #[arg(long)]
    pub(super) pinned: bool,
    /// Only those with this tag
    #[arg(long)]
    pub(super) tag: Option<Tag>,
    /// How many, 1 to 200
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=200))]
    pub(super) limit: u8,
    /// Go on where the last page ended
    #[arg(long)]
    pub(super) after: Option<Cursor>,
}

fn action(text: &str) -> Result<Action, String> {
    Action::named(text).ok_or_else(|| {
        let mut names: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        names.dedup();
        format!("expected one of {}", names.join(", "))
    })
}

fn encoding(text: &str) -> Result<Encoding, String> {
    match text {
        "png" => Ok(Encoding::Png),
        "jpeg" | "jpg" => Ok(Encoding::Jpeg),
        "webp" => Ok(Encoding::WebP),
        _ => Err("expected png, jpeg or webp".to_owned()),
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Exported {
    Image(ImageId),
    Job(JobId),
}

impl std::str::FromStr for Exported {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self::Image)
            .or_else(|_| text.parse().map(Self::Job))
            .map_err(|_: midjourney_core::id::ParseIdError| {
                "expected an id of the form img_ or job_ followed by 32 hex digits".to_owned()
            })
    }
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The address to listen on [default: server.host of the configuration]
    #[arg(long)]
    pub(super) host: Option<String>,
    /// The port; 0 takes any free one [default: server.port of the configuration]
    #[arg(long)]
    pub(super) port: Option<u16>,
}

#[cfg(feature = "simulator")]
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Which upstream
    #[arg(long, value_parser = PossibleValuesParser::new(Dialect::ALL.map(Dialect::name)).try_map(|name| name.parse::<Dialect>()))]
    pub(super) dialect: Dialect,
    /// The address to listen on, of this machine only; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,
    /// What goes wrong: one rule a line, such as {"submit": 3, "fault": "lost"} or {"word": "fox", "fault": "banned"}
    #[arg(long, value_name = "FILE")]
    pub(super) script: Option<PathBuf>,
    /// How long a task takes, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 2_500)]
    pub(super) duration_ms: u64,
    /// What ids and variations follow from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
}

fn key(text: &str) -> Result<IdempotencyKey, midjourney_core::job::request::InvalidIdempotencyKey> {
    IdempotencyKey::new(text)
}

/// `90`, `90s`, `10m` or `2h`.
fn span(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is no time; expected a number with s, m or h, such as 90s or 10m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).ok_or_else(expected)?;
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(expected()),
    };
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_take_a_unit_and_nothing_else() {
        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "m", "-1s", "1d", "1.5m", "99999999999999999999h", "5 m", "1µ"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
