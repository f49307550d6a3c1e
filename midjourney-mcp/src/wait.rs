//! Follows jobs for a while and tells how they are doing.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use midjourney_core::{
    error::Error,
    gateway::Gateway,
    id::JobId,
    job::{Job, Stage, Status},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

/// How often the caller hears something even if nothing happened.
const EVERY: Duration = Duration::from_secs(2);
/// News that come faster than this are told together.
const NOT_WITHIN: Duration = Duration::from_millis(200);

/// The caller, while it waits.
#[async_trait]
pub(crate) trait Caller: Send + Sync {
    /// `percent` only ever rises; `message` has at most 200 characters.
    async fn progress(&self, percent: f64, message: String);

    /// Returns once the caller has given up or gone away.
    async fn gone(&self);
}

/// How far one job is.
#[derive(Clone, Copy, Debug)]
struct Place {
    status: Status,
    stage: Option<Stage>,
    progress: Option<u8>,
}

/// Waits until all `jobs` are over, `limit` has passed or the caller is gone. The jobs go on in any case.
pub(crate) async fn wait(
    gateway: &Gateway,
    jobs: &[Job],
    limit: Duration,
    caller: &dyn Caller,
) -> Result<(), Error> {
    let mut places = BTreeMap::new();
    let mut watches = Vec::new();
    for job in jobs {
        let state = &job.life.state;
        let place = Place {
            status: state.status(),
            stage: state.stage(),
            progress: state.progress(),
        };
        places.insert(job.id, place);
        if !place.status.is_final() {
            watches.push(gateway.watch(job.id, job.sequence).await?.into_stream().boxed());
        }
    }
    if watches.is_empty() || limit.is_zero() {
        return Ok(());
    }
    let mut events = stream::select_all(watches);
    let mut told = Told::default();
    told.tell(&places, caller).await;
    let mut tick = interval_at(Instant::now() + EVERY, EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let deadline = sleep(limit);
    tokio::pin!(deadline);
    let mut news = false;
    loop {
        tokio::select! {
            biased;
            () = caller.gone() => return Ok(()),
            () = &mut deadline => return Ok(()),
            event = events.next() => match event {
                None => return Ok(()),
                Some(event) => {
                    let event = event?;
                    let place = Place {
                        status: event.status,
                        stage: event.stage,
                        progress: event.progress,
                    };
                    places.insert(event.job, place);
                    // Once only: events that keep coming must not put the telling off for ever.
                    if !news {
                        news = true;
                        tick.reset_after(NOT_WITHIN);
                    }
                }
            },
            _ = tick.tick() => {
                news = false;
                told.tell(&places, caller).await;
            }
        }
    }
}

/// What the caller was told last.
#[derive(Debug, Default)]
struct Told {
    percent: f64,
}

impl Told {
    async fn tell(&mut self, places: &BTreeMap<JobId, Place>, caller: &dyn Caller) {
        let all = f64::from(u32::try_from(places.len()).unwrap_or(u32::MAX));
        let percent = places
            .values()
            .map(|place| f64::from(percent(*place)))
            .sum::<f64>()
            / all.max(1.0);
        // The protocol wants every number larger than the one before, even where nothing has moved.
        self.percent = percent.max(self.percent + 0.01).min(99.99);
        caller.progress(self.percent, message(places)).await;
    }
}

fn percent(place: Place) -> u8 {
    if place.status.is_final() {
        return 100;
    }
    match place.stage {
        Some(Stage::Storing) => 99,
        _ => place.progress.unwrap_or(0).min(98),
    }
}

/// Our own words only: nothing that an upstream or another user wrote.
fn message(places: &BTreeMap<JobId, Place>) -> String {
    if let Some((_, place)) = places.first_key_value().filter(|_| places.len() == 1) {
        return doing(*place);
    }
    let over = places.values().filter(|place| place.status.is_final()).count();
    let furthest = places
        .values()
        .filter(|place| !place.status.is_final())
        .max_by_key(|place| percent(**place));
    let rest = furthest.map_or_else(String::new, |place| format!("; next: {}", doing(*place)));
    format!("{over} of {} jobs are over{rest}", places.len())
}

fn doing(place: Place) -> String {
    let words = match place.stage {
        None => place.status.name(),
        Some(Stage::Queued) => "waiting to be sent",
        Some(Stage::Submitting) => "being sent",
        Some(Stage::SubmitUnknown) => "sent, but the answer was lost; finding out",
        Some(Stage::Submitted) => "in Midjourney's queue",
        Some(Stage::AwaitingInput) => "the upstream waits for an input",
        Some(Stage::Cancelling) => "being cancelled",
        Some(Stage::Storing) => "drawn; storing the pictures",
        Some(_) => "drawing",
    };
    match place.progress {
        Some(percent) if place.stage == Some(Stage::Running) => format!("{words}, {percent} %"),
        _ => words.to_owned(),
    }
}
