//! What is to be reached. A figure that is named `<what>/<peer>` is ours divided by the peer's of the same round; one
//! without a peer is ours alone.

use crate::numbers::Spread;

/// Which side of a figure is the good one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// How far beyond its bound the worst round may lie.
const SLACK: f64 = 0.15;

impl Bound {
    /// In a word.
    pub(crate) fn verdict(self, figures: Spread) -> &'static str {
        let (is_met, is_steady) = match self {
            Self::AtLeast(least) => (figures.median >= least, figures.least >= least * (1.0 - SLACK)),
            Self::AtMost(most) => (figures.median <= most, figures.most <= most * (1.0 + SLACK)),
        };
        match (is_met, is_steady) {
            (true, true) => "met",
            (true, false) => "met, not in every round",
            (false, _) => "**missed**",
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
        }
    }
}

/// A goal for one figure.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) figure: &'static str,
    pub(crate) says: &'static str,
    pub(crate) bound: Bound,
}

const fn goal(figure: &'static str, says: &'static str, bound: Bound) -> Goal {
    Goal { figure, says, bound }
}

use Bound::{AtLeast, AtMost};

/// Every goal, in the order of the table.
pub(crate) const GOALS: &[Goal] = &[
    goal(
        "submit64/limit",
        "submits a second, 64 connections / limit server",
        AtLeast(0.75),
    ),
    goal("submit64/group", "the same / FastAPI, group commit", AtLeast(7.0)),
    goal(
        "submit64/each",
        "the same / FastAPI, a commit each",
        AtLeast(20.0),
    ),
    goal(
        "submit256/group",
        "submits a second, 256 connections / FastAPI, group commit",
        AtLeast(12.0),
    ),
    goal(
        "submit1_p50/limit",
        "time of a submit alone / limit server",
        AtMost(1.3),
    ),
    goal(
        "submit1_p50/each",
        "the same / FastAPI, a commit each",
        AtMost(0.65),
    ),
    goal(
        "callback/limit",
        "callbacks a second, 64 connections / limit server",
        AtLeast(0.8),
    ),
    goal(
        "callback_hmac/limit",
        "the same / limit server that only verifies",
        AtLeast(0.44),
    ),
    goal("callback/group", "the same / FastAPI, group commit", AtLeast(4.7)),
    goal(
        "callback/each",
        "the same / FastAPI, a commit each",
        AtLeast(16.0),
    ),
    goal(
        "repeated",
        "repeated callbacks a second / fresh ones",
        AtLeast(1.2),
    ),
    goal(
        "rejected/limit",
        "forged callbacks refused a second / limit server that only verifies",
        AtLeast(0.9),
    ),
    goal(
        "path/limit",
        "jobs a second from request to an upstream's answer / limit server",
        AtLeast(0.75),
    ),
    goal(
        "seen_poll/limit",
        "waiter sees the end after the callback's 200, long poll, p50 / limit server",
        AtMost(3.0),
    ),
    goal("seen_poll", "the same in µs", AtMost(30.0)),
    goal("seen_sse", "the same, SSE, in µs", AtMost(30.0)),
    goal("seen_ws", "the same, WebSocket, in µs", AtMost(30.0)),
    goal(
        "late_poll",
        "callback to waiter p99 / callback to 200 p99, long poll",
        AtMost(1.1),
    ),
    goal("late_sse", "the same, SSE", AtMost(1.1)),
    goal("late_ws", "the same, WebSocket", AtMost(1.1)),
    // Who hears of it before the 200 was not told early where the 200 was late.
    goal(
        "answered_poll/limit",
        "callback to its 200 beside all long polls, p50 / limit server",
        AtMost(3.0),
    ),
    goal("answered_sse/limit", "the same, SSE", AtMost(3.0)),
    goal("answered_ws/limit", "the same, WebSocket", AtMost(3.0)),
    goal(
        "crowd/limit",
        "one callback to the last of all waiters / limit server",
        AtMost(1.3),
    ),
    goal("crowd/group", "the same / FastAPI, group commit", AtMost(0.3)),
    goal(
        "poll/limit",
        "looks at one job a second / limit server",
        AtLeast(0.8),
    ),
    goal("poll/each", "the same / FastAPI, a commit each", AtLeast(8.0)),
    goal(
        "poll_growth",
        "time of a look among all jobs / among a thousand",
        AtMost(1.25),
    ),
    goal(
        "list/each",
        "newest 50 jobs / FastAPI, a commit each",
        AtLeast(15.0),
    ),
    goal(
        "list_growth",
        "time of the newest 50 among all jobs / among a thousand",
        AtMost(1.1),
    ),
    goal(
        "deep_growth",
        "time of 50 from the middle of all jobs / among a thousand",
        AtMost(1.2),
    ),
    goal(
        "filter_growth",
        "time of the slowest offered filter among all jobs / among a thousand",
        AtMost(1.3),
    ),
    goal("memory_poll", "KiB a waiter, long poll", AtMost(16.0)),
    goal("memory_sse", "KiB a waiter, SSE", AtMost(16.0)),
    goal("memory_ws", "KiB a waiter, WebSocket", AtMost(14.0)),
    goal("waiting_cpu", "% of a processor while all wait", AtMost(0.5)),
    goal(
        "cold/limit",
        "start to the first 200, new database / limit server",
        AtMost(2.0),
    ),
    goal("idle_memory/limit", "memory at rest / limit server", AtMost(2.0)),
    goal(
        "restart/limit",
        "kill -9 under load, start to ready, live jobs / limit server",
        AtMost(2.0),
    ),
    goal(
        "restart_growth",
        "start to ready with finished jobs beside 1,000 live ones / with those alone",
        AtMost(1.3),
    ),
    goal("lost", "acknowledged submits that were lost", AtMost(0.0)),
    goal("twice", "jobs that were paid twice", AtMost(0.0)),
    goal(
        "soak_rate",
        "half the peak: submits in the last minute / in the first",
        AtLeast(0.95),
    ),
    goal(
        "soak_wal",
        "the same: most MiB in the log of the database",
        AtMost(64.0),
    ),
    goal(
        "soak_memory",
        "the same: memory at the end / after the first minute",
        AtMost(1.05),
    ),
];
