//! What goes wrong, and when: asked for by a word in the prompt, by the script, or for the next call.

mod script;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer as _, value},
};

pub use self::script::{Script, ScriptError};

/// Something that goes wrong. In a prompt its name stands behind `sim:`, such as `sim:lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// The submit is refused as moderated; where the upstream has no such answer, the task fails so.
    Banned,
    /// The submit is refused as invalid.
    Invalid,
    /// The submit is turned away: the queue is full.
    QueueFull,
    /// The submit is turned away: no credit is left.
    NoCredit,
    /// HTTP 429 with `Retry-After: 7`.
    RateLimited,
    /// Cloudflare stands in the way: HTTP 403, its page, and a header that says so.
    Cloudflare,

    /// The task is accepted and the connection closed before the first byte of the answer.
    Lost,
    /// The task is accepted and half of the answer sent.
    Half,
    /// The task is accepted, the answer is a web page with status 200.
    Html,
    /// The task is accepted, the answer is a web page with status 502.
    Error,
    /// The task is accepted, the answer is 24 MiB long.
    Huge,
    /// The task is accepted, the answer comes a byte every tenth of a second.
    Drip,
    /// The task is accepted, the answer calls itself a web page, which it is not.
    WrongType,
    /// The task is accepted, the answer is status 500 and repeats every secret it was sent.
    Echo,
    /// The task is accepted, its id is a number where other answers have a text.
    Numeric,

    /// The task fails as moderated halfway.
    Moderated,
    /// The task fails in a passing way at 60 %.
    Fail,
    /// The task is no longer known after half its time.
    Vanish,
    /// The task waits for input for ever.
    Window,
    /// The task runs for ever.
    Hang,
    /// The task takes ten times as long.
    Slow,
    /// The task succeeds, but its pictures are web pages.
    BadImage,
    /// The links are dead (403) when the finished task is first shown; asked again, it shows new ones.
    ExpiredLinks,

    /// No callback is sent.
    NoCallbacks,
    /// Every callback is sent three times.
    RepeatedCallbacks,
    /// All callbacks are sent at the end, the last one first.
    ReorderedCallbacks,
}

impl Fault {
    /// The fault of this name.
    pub fn named(name: &str) -> Option<Self> {
        let name: value::StrDeserializer<'_, value::Error> = name.into_deserializer();
        Self::deserialize(name).ok()
    }

    /// What the core's simulator calls it, where the simulator does it by itself.
    pub(super) const fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::Moderated => "sim:moderated",
            Self::Fail => "sim:fail",
            Self::Vanish => "sim:vanish",
            Self::Window => "sim:window",
            Self::Hang => "sim:hang",
            Self::Slow => "sim:slow",
            Self::BadImage => "sim:bad-image",
            _ => return None,
        })
    }

    /// Whether the answer is spoiled so that nobody can tell from it what happened.
    pub(super) const fn hides_the_answer(self) -> bool {
        matches!(
            self,
            Self::Lost | Self::Half | Self::Html | Self::Error | Self::Huge | Self::Drip | Self::Echo
        )
    }
}

/// What goes wrong with one task.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Faults(Vec<Fault>);

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Faults {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Fault> {
        self.0.iter().copied()
    }

    /// The same faults, with one in the place of another.
    pub(super) fn turning(mut self, from: Fault, into: Fault) -> Self {
        for fault in self.0.iter_mut().filter(|fault| **fault == from) {
            *fault = into;
        }
        self
    }
}

/// The faults that the words of a prompt ask for.
fn words(prompt: &str) -> impl Iterator<Item = Fault> {
    prompt
        .split_whitespace()
        .filter_map(|word| Fault::named(name(word)?))
}

/// What stands behind `sim:` in a word.
fn name(word: &str) -> Option<&str> {
    word.trim_end_matches([',', '.', '!']).strip_prefix("sim:")
}

/// A prompt without the words that ask for faults.
pub(super) fn plain(prompt: &str) -> String {
    let kept: Vec<_> = prompt
        .split_whitespace()
        .filter(|word| name(word).is_none())
        .collect();
    kept.join(" ")
}

/// Decides what goes wrong with each call.
#[derive(Debug)]
pub(super) struct Plan(Mutex<State>);

#[derive(Debug)]
struct State {
    script: Script,
    submits: u64,
    next_submit: VecDeque<Fault>,
    next_question: VecDeque<Fault>,
}

impl Plan {
    pub(super) const fn new(script: Script) -> Self {
        Self(Mutex::new(State {
            script,
            submits: 0,
            next_submit: VecDeque::new(),
            next_question: VecDeque::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next submit that has not been told otherwise goes wrong so.
    pub(super) fn order_submit(&self, fault: Fault) {
        self.state().next_submit.push_back(fault);
    }

    /// The next answer to a question about a task goes wrong so.
    pub(super) fn order_question(&self, fault: Fault) {
        self.state().next_question.push_back(fault);
    }

    /// What goes wrong with this submit. Counts it.
    pub(super) fn submit(&self, prompt: &str) -> Faults {
        let mut state = self.state();
        state.submits += 1;
        let number = state.submits;
        let mut faults: Vec<_> = state.next_submit.pop_front().into_iter().collect();
        faults.extend(state.script.faults(number, prompt));
        faults.extend(words(prompt));
        Faults(faults)
    }

    /// What goes wrong with this answer to a question.
    pub(super) fn question(&self) -> Option<Fault> {
        self.state().next_question.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_asked_for_by_words_script_and_order() {
        let script = Script::read("{\"submit\": 2, \"fault\": \"half\"}").unwrap();
        let plan = Plan::new(script);
        plan.order_submit(Fault::Huge);
        let first = plan.submit("sim:lost, a fox sim:slow sim:nonsense --v 7");
        assert_eq!(first.0, [Fault::Huge, Fault::Lost, Fault::Slow]);
        assert_eq!(plan.submit("a fox").0, [Fault::Half]);
        assert_eq!(plan.submit("a fox").0, []);
        assert_eq!(plan.question(), None);
        assert_eq!(plain("sim:lost, a fox sim:slow --v 7"), "a fox --v 7");
    }
}
