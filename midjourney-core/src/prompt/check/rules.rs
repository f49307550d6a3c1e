//! Judges parameters in each other's company, by the table's rules.

use super::finding::Finding;
use super::judge::Judge;
use super::mend;
use super::values::out_of_range;
use crate::prompt::diagnostic::Code;
use crate::prompt::table::{Conflict, Term};
use crate::prompt::template::Span;
use crate::prompt::value::Value;

pub(super) fn rules(judge: &mut Judge<'_>) {
    let table = judge.table;
    for conflict in &table.conflicts {
        conflicts(judge, conflict);
    }
    for requirement in &table.requirements {
        let Some(given) = judge.given(&requirement.parameter).cloned() else {
            continue;
        };
        if !requirement.any.iter().any(|term| judge.holds(term)) {
            let span = given.written.span();
            let fix = judge.without(&span);
            let finding = Finding::error(Code::ParamNeeds, span, requirement.why.clone())
                .allowed(format!(
                    "together with {}",
                    names(&requirement.any, judge, " or ")
                ))
                .fix(fix.0, fix.1);
            judge.find(finding.disputed(requirement.disputed.as_deref()));
        }
    }
    for cap in &table.caps {
        let Some(given) = judge.given(&cap.parameter).cloned() else {
            continue;
        };
        if judge.given(&cap.with).is_none() {
            continue;
        }
        let span = given.written.value.clone();
        match &given.value {
            Some(Value::Aspect(aspect)) if aspect.stretch() > cap.max => {
                let allowed = format!("{}: {}", cap.why, mend::ratio_range(cap.max));
                let fix = (span, mend::ratio(*aspect, cap.max));
                out_of_range(judge, &given, &aspect.to_string(), allowed, None, Some(fix));
            }
            Some(Value::Number(number)) if number.to_f64() > cap.max => {
                let allowed = format!("{}: at most {}", cap.why, cap.max);
                let (text, fix) = (number.to_string(), (span, cap.max.to_string()));
                out_of_range(judge, &given, &text, allowed, None, Some(fix));
            }
            _ => {}
        }
    }
}

fn conflicts(judge: &mut Judge<'_>, conflict: &Conflict) {
    let plan = judge.options.plan;
    let by_plan = !conflict.plans.is_empty();
    if by_plan && !plan.is_some_and(|plan| conflict.plans.contains(&plan)) {
        return;
    }
    let on_version =
        conflict.on.is_empty() || judge.version.is_some_and(|version| version.is_in(&conflict.on));
    if !on_version || !conflict.all.iter().all(|term| judge.holds(term)) {
        return;
    }
    // The last of them to be written is the one to take out.
    let span: Span = conflict
        .all
        .iter()
        .filter_map(|term| judge.place(term))
        .max_by_key(|span| span.start)
        .unwrap_or(0..judge.text.len());
    let fix = judge.without(&span);
    let (code, allowed) = if by_plan {
        (
            Code::PlanLacks,
            format!("a plan other than {}", plan.map_or("this", super::Plan::as_str)),
        )
    } else {
        (
            Code::ParamConflict,
            format!("not {} together", names(&conflict.all, judge, " and ")),
        )
    };
    let finding = Finding::error(code, span, conflict.why.clone())
        .allowed(allowed)
        .fix(fix.0, fix.1);
    judge.find(finding.disputed(conflict.disputed.as_deref()));
}

fn names(terms: &[Term], judge: &Judge<'_>, word: &str) -> String {
    let write = |name: &String| {
        judge
            .table
            .param(name)
            .map_or(name.clone(), |spec| spec.write.clone())
    };
    let name = |term: &Term| match term {
        Term::Param(name) => format!("`--{}`", write(name)),
        Term::ParamValue(name, value) => format!("`--{} {value}`", write(name)),
        Term::Image => "an image prompt".to_owned(),
        Term::Text => "text".to_owned(),
        Term::Permutations => "permutations".to_owned(),
        Term::Moodboard => "a moodboard".to_owned(),
    };
    terms.iter().map(name).collect::<Vec<_>>().join(word)
}

impl Judge<'_> {
    fn holds(&self, term: &Term) -> bool {
        match term {
            Term::Param(name) => self.given(name).is_some(),
            Term::ParamValue(name, value) => match self.number(name) {
                Some(number) => number.as_str() == value,
                None => self
                    .given(name)
                    .and_then(|given| given.value.as_ref())
                    .is_some_and(|given| given.to_string() == *value),
            },
            Term::Image => !self.outline.images.is_empty(),
            Term::Text => self.has_text(),
            Term::Permutations => self.permutations > 1,
            Term::Moodboard => self.moodboard(),
        }
    }

    /// A code of `m` and digits names a moodboard.
    fn moodboard(&self) -> bool {
        let value = self.given("profile").and_then(|given| given.value.as_ref());
        let Some(Value::References(codes)) = value else {
            return false;
        };
        codes.iter().any(|code| {
            code.target
                .strip_prefix('m')
                .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
        })
    }

    /// Where a term stands, for terms that are parameters.
    fn place(&self, term: &Term) -> Option<Span> {
        match term {
            Term::Param(name) | Term::ParamValue(name, _) => {
                self.given(name).map(|given| given.written.span())
            }
            _ => None,
        }
    }
}
