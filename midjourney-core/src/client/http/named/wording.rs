//! Prompts as upstreams want them that take some of the parameters as fields.

use std::borrow::Cow;

use crate::{
    client::ParentTask,
    job::JobRequest,
    prompt::{CheckOptions, ExpandedPrompt, Place, RenderPlan, Speed, Table, check},
};

/// A canonical prompt, taken apart where the built-in table understands it. One that only an operator's table does
/// goes to the upstream as it is.
pub(in crate::client) struct Wording<'a> {
    whole: &'a str,
    read: Option<ExpandedPrompt>,
}

impl<'a> Wording<'a> {
    pub(in crate::client) fn of(prompt: &'a str) -> Self {
        let report = check(prompt, Table::builtin(), &CheckOptions::default());
        let mut jobs = report.expanded();
        let read = jobs.next().filter(|_| jobs.next().is_none()).cloned();
        Self { whole: prompt, read }
    }

    /// The parts of the prompt, where it could be taken apart.
    pub(in crate::client) const fn read(&self) -> Option<&ExpandedPrompt> {
        self.read.as_ref()
    }

    /// The prompt without the parameters called `elsewhere`, which go into fields.
    pub(in crate::client) fn without(&self, elsewhere: &[&'static str]) -> Cow<'a, str> {
        let Some(read) = &self.read else {
            return Cow::Borrowed(self.whole);
        };
        let plan = elsewhere
            .iter()
            .fold(RenderPlan::text(), |plan, name| plan.with(*name, Place::Omit));
        Cow::Owned(read.render(&plan).text)
    }

    /// The upstream's word for the speed that the prompt asks for: all that take one as a field call it so.
    pub(in crate::client) fn speed(&self) -> Option<&'static str> {
        self.read.as_ref()?.params().speed().map(Speed::name)
    }
}

/// The parameters that say how fast.
pub(in crate::client) const SPEEDS: [&str; 3] = ["fast", "relax", "turbo"];

/// Whether a follow-up has a prompt of its own, rather than its parent's.
pub(in crate::client) fn has_own_prompt(request: &JobRequest, parent: &ParentTask) -> bool {
    !request.prompt.is_empty() && request.prompt != parent.prompt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_understood_is_taken_apart() {
        let fox = Wording::of("https://cdn.example/a.png a red fox --ar 3:2 --turbo --v 7");
        assert_eq!(fox.speed(), Some("turbo"));
        assert_eq!(
            fox.without(&SPEEDS),
            "https://cdn.example/a.png a red fox --ar 3:2 --v 7"
        );
        let odd = Wording::of("a fox --operators-own 3 --relax");
        assert_eq!((odd.speed(), odd.read().is_some()), (None, false));
        assert_eq!(odd.without(&SPEEDS), "a fox --operators-own 3 --relax");
    }
}
