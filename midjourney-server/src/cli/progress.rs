//! Shows how a job is doing: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use midjourney_core::{
    id::JobId,
    job::{Event, Stage},
};

use super::output::note;

/// The progress of several jobs on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    bars: Option<MultiProgress>,
}

/// The progress of one of them.
#[derive(Debug)]
pub(super) struct Line {
    job: JobId,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            bars: (!quiet && std::io::stderr().is_terminal()).then(MultiProgress::new),
        }
    }

    pub(super) fn line(&self, job: JobId) -> Line {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(100));
            if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos:>3}% {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(job.to_string());
            bar
        });
        Line { job, bar }
    }
}

impl Line {
    pub(super) fn tell(&self, event: &Event) {
        let what = event.stage.map_or(event.status.name(), Stage::name);
        match &self.bar {
            Some(bar) => {
                bar.set_message(what);
                bar.set_position(event.progress.map_or(0, u64::from));
                if event.status.is_final() {
                    bar.finish();
                }
            }
            None => match event.progress {
                Some(percent) if !event.status.is_final() => {
                    note(format_args!("{} {what} {percent} %", self.job));
                }
                _ => note(format_args!("{} {what}", self.job)),
            },
        }
    }
}
