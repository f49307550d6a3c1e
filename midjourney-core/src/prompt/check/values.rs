//! Judges parameters one by one: name, value, and what the version takes.

use std::borrow::Cow;

use super::finding::Finding;
use super::judge::Judge;
use super::mend;
use crate::prompt::diagnostic::Code;
use crate::prompt::outline::{Oddity, WrittenParam};
use crate::prompt::render::collapse;
use crate::prompt::table::{Domain, ParamSpec, ValueKind, Version};
use crate::prompt::template::Span;
use crate::prompt::value::{Number, Value};

/// A parameter that the table knows.
#[derive(Debug, Clone)]
pub(super) struct Given<'a> {
    pub(super) spec: &'a ParamSpec,
    pub(super) written: &'a WrittenParam,
    /// None when it could not be read.
    pub(super) value: Option<Value>,
}

impl Given<'_> {
    /// The value, or the name where there is none.
    fn place(&self) -> Span {
        if self.written.value.is_empty() {
            self.written.span()
        } else {
            self.written.value.clone()
        }
    }
}

pub(super) fn values(judge: &mut Judge<'_>) {
    let outline = judge.outline;
    for written in &outline.params {
        known(judge, written);
    }
    // Taken out while findings are added, and put back for the rules, which look at all of them together.
    let all_given = std::mem::take(&mut judge.given);
    judge.version = version(judge, &all_given);
    for given in &all_given {
        match (judge.version, given.spec.domains.as_slice(), &given.value) {
            (Some(version), _, _) => allowed(judge, given, version),
            // Without a version, what holds for all of them still holds.
            (None, [domain], Some(value)) if domain.on.is_empty() => within(judge, given, value, domain),
            _ => {}
        }
    }
    judge.given = all_given;
}

fn known<'a>(judge: &mut Judge<'a>, written: &'a WrittenParam) {
    let name = judge.slice(&written.name);
    let Some(spec) = judge.table.param(name) else {
        let finding = Finding::error(
            Code::ParamUnknown,
            written.dashes.start..written.name.end,
            format!("there is no parameter `--{name}`"),
        );
        return judge.find(match mend::name(name, judge.table) {
            Some(better) => finding
                .allowed(format!("did you mean `--{better}`?"))
                .fix(written.name.clone(), better),
            None => finding,
        });
    };
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let message = format!("parameters are written small: `--{}`", name.to_ascii_lowercase());
        let finding = Finding::warning(Code::ParamCase, written.name.clone(), message);
        judge.find(finding.fix(written.name.clone(), name.to_ascii_lowercase()));
    }
    let text = collapse(judge.slice(&written.value));
    let value = read(judge, spec, written, &text);
    if let Some(earlier) = judge.given(&spec.name).cloned() {
        return repeated(judge, &earlier, written, value.as_ref());
    }
    judge.given.push(Given { spec, written, value });
}

fn read(judge: &mut Judge<'_>, spec: &ParamSpec, written: &WrittenParam, text: &str) -> Option<Value> {
    if text.is_empty() && spec.value != ValueKind::Flag {
        if spec.optional {
            return Some(Value::Flag);
        }
        let message = format!("`--{}` needs a value", spec.write);
        let default = match spec.value {
            ValueKind::Version => Some(judge.table.default_version.clone()),
            ValueKind::Niji => judge.table.default_niji.strip_prefix("niji ").map(str::to_owned),
            _ => None,
        };
        let end = written.name.end..written.name.end;
        let fix = default.map(|value| (end, format!(" {value}")));
        let finding = Finding::error(Code::ValueMissing, written.span(), message);
        judge.find(finding.allowed(mend::shape(spec.value)).fix_if(fix));
        return None;
    }
    let version = match spec.value {
        ValueKind::Version | ValueKind::Niji => Number::parse(text),
        _ => None,
    };
    let value = Value::parse(spec.value, version.as_ref().map_or(text, Number::as_str));
    if value.is_none() {
        malformed(judge, spec, written, text);
    }
    value
}

fn malformed(judge: &mut Judge<'_>, spec: &ParamSpec, written: &WrittenParam, text: &str) {
    let span = written.value.clone();
    let shape = mend::shape(spec.value);
    let swallows = |(oddity, at): &(Oddity, Span)| {
        *oddity == Oddity::JoinedDashes && span.start <= at.start && at.end <= span.end
    };
    if judge.outline.oddities.iter().any(swallows) {
        // Said already, with the mend.
        return;
    }
    if let Some((kept, stray)) = mend::stray_text(spec.value, judge.slice(&span)) {
        let stray = span.start + stray.start..span.start + stray.end;
        let message = format!("nothing but parameters may follow `--{}`", spec.write);
        let fix = moved(judge, written, span.start + kept, &stray);
        let finding = Finding::error(Code::TextAfterParams, stray, message);
        return judge.find(
            finding
                .allowed("text before the first parameter")
                .fix(fix.0, fix.1),
        );
    }
    if spec.value == ValueKind::Flag {
        let message = format!("`--{}` takes no value", spec.write);
        let off = ["false", "no", "off", "0"].contains(&text);
        let fix = judge.without(&if off { written.span() } else { span.clone() });
        return judge.find(Finding::error(Code::ValueUnexpected, span, message).fix(fix.0, fix.1));
    }
    let message = format!("`{text}` is no value for `--{}`", spec.write);
    let finding = Finding::error(Code::ValueMalformed, span.clone(), message).allowed(shape);
    if let Some(niji) = text
        .strip_prefix("niji")
        .filter(|_| spec.value == ValueKind::Version)
    {
        return judge.find(finding.fix(written.span(), format!("--niji {}", niji.trim_start())));
    }
    let fix = mend::value(spec.value, text);
    judge.find(finding.fix_if(fix.map(|better| (span, better))));
}

/// The edit that moves stray text to where text belongs.
fn moved(judge: &Judge<'_>, written: &WrittenParam, kept: usize, stray: &Span) -> (Span, String) {
    let first = judge
        .outline
        .params
        .first()
        .map_or(written.dashes.start, |param| param.dashes.start);
    let head = judge.slice(&(first..kept)).trim_end();
    (first..stray.end, format!("{} {head}", judge.slice(stray)))
}

fn repeated(judge: &mut Judge<'_>, earlier: &Given<'_>, written: &WrittenParam, value: Option<&Value>) {
    let name = &earlier.spec.write;
    if value.is_some() && value == earlier.value.as_ref() {
        let fix = judge.without(&written.span());
        let finding = Finding::warning(
            Code::ParamRepeated,
            written.span(),
            format!("`--{name}` says the same twice"),
        );
        return judge.find(finding.fix(fix.0, fix.1));
    }
    let separator = match earlier.spec.value {
        ValueKind::List => Some(", "),
        ValueKind::References | ValueKind::Urls | ValueKind::Codes => Some(" "),
        _ => None,
    };
    let message = format!("`--{name}` is given twice");
    let finding = Finding::error(Code::ParamRepeated, written.span(), message);
    let first = earlier.written.span();
    judge.find(if let Some(separator) = separator {
        let between = judge.slice(&(first.end..written.dashes.start)).trim_end();
        let both = [
            judge.slice(&first),
            separator,
            judge.slice(&written.value),
            between,
        ]
        .concat();
        finding
            .allowed("all values behind one")
            .fix(first.start..written.span().end, both)
    } else {
        let fix = judge.without(&first);
        finding.allowed("one of them").fix(fix.0, fix.1)
    });
}

/// The version this variant runs on; none when the prompt asks for one that does not exist.
fn version<'a>(judge: &mut Judge<'a>, given: &[Given<'a>]) -> Option<&'a Version> {
    let table = judge.table;
    let asked = given
        .iter()
        .filter(|given| matches!(given.spec.value, ValueKind::Version | ValueKind::Niji));
    let mut found = None;
    for given in asked {
        // Unreadable, and said so: judging the rest by another version would only mislead.
        let Some(Value::Word(number)) = &given.value else {
            return None;
        };
        let niji = given.spec.value == ValueKind::Niji;
        let id: Cow<'_, str> = if niji {
            format!("niji {number}").into()
        } else {
            number.into()
        };
        let Some(version) = table.version(&id).filter(|version| version.is_niji() == niji) else {
            unknown_version(judge, given, number, niji);
            return None;
        };
        retired(judge, given, version);
        found = found.or(Some(version));
    }
    if found.is_some() {
        return found;
    }
    let id = judge
        .options
        .default_version
        .as_ref()
        .unwrap_or(&table.default_version);
    let version = table.version(id);
    if version.is_none() {
        let message = format!("the default version `{id}` is not in the table");
        judge.find(Finding::error(Code::VersionUnknown, 0..0, message));
    }
    version
}

fn unknown_version(judge: &mut Judge<'_>, given: &Given<'_>, number: &str, niji: bool) {
    let versions = judge.table.versions.iter();
    let known: Vec<_> = versions
        .filter(|version| version.is_niji() == niji && version.retired.is_none())
        .map(|version| version.id.trim_start_matches("niji "))
        .collect();
    let span = given.place();
    let message = format!(
        "there is no {} `{number}`",
        if niji { "niji version" } else { "version" }
    );
    let fix = mend::nearest(number, &known).map(|better| (span.clone(), better.to_owned()));
    let finding = Finding::error(Code::VersionUnknown, span, message);
    judge.find(finding.allowed(known.join(", ")).fix_if(fix));
}

fn retired(judge: &mut Judge<'_>, given: &Given<'_>, version: &Version) {
    if let Some(day) = version.retired {
        let message = format!("version {} was taken away on {day}", version.id);
        let default = judge.table.default_version.clone();
        let span = given.place();
        let finding = Finding::error(Code::VersionRetired, span.clone(), message);
        judge.find(finding.fix(span, default));
    }
}

/// What the version says about a parameter and its value.
fn allowed(judge: &mut Judge<'_>, given: &Given<'_>, version: &Version) {
    let spec = given.spec;
    let domain = spec.domain(version);
    let Some(domain) = domain.filter(|domain| domain.taken) else {
        let message = format!("version {} does not take `--{}`", version.id, spec.write);
        let takers: Vec<_> = spec
            .domains
            .iter()
            .filter(|domain| domain.taken)
            .flat_map(|domain| domain.on.iter().map(String::as_str))
            .collect();
        let fix = judge.without(&given.written.span());
        let mut finding = Finding::error(Code::ParamNotInVersion, given.written.span(), message);
        if !takers.is_empty() {
            finding = finding.allowed(format!("`--{}` on {}", spec.write, takers.join(", ")));
        }
        let reason = domain.and_then(|domain| domain.disputed.as_deref());
        return judge.find(finding.fix(fix.0, fix.1).disputed(reason));
    };
    if let Some(reason) = &domain.disputed_use {
        let message = format!(
            "sources disagree about `--{}` on version {}",
            spec.write, version.id
        );
        let finding = Finding::warning(Code::ParamDisputed, given.written.span(), message);
        judge.find(finding.disputed(Some(reason)));
    }
    if let Some(value) = &given.value {
        within(judge, given, value, domain);
    }
}

fn within(judge: &mut Judge<'_>, given: &Given<'_>, value: &Value, domain: &Domain) {
    let span = given.place();
    let count = match value {
        Value::Urls(items) => items.len(),
        Value::References(items) => items.len(),
        _ => 0,
    };
    if let Some(most) = domain.most.filter(|most| count > *most) {
        let message = format!("`--{}` has {count} values", given.spec.write);
        let text = collapse(judge.slice(&span));
        let kept: Vec<_> = text.split(' ').take(most).collect();
        let finding = Finding::error(Code::ValuesTooMany, span.clone(), message)
            .allowed(format!("at most {most}"))
            .fix(span.clone(), kept.join(" "));
        judge.find(finding.disputed(domain.disputed_most.as_deref().or(domain.disputed.as_deref())));
    }
    if !domain.one_of.is_empty() {
        let text = value.to_string();
        let known: Vec<_> = domain.one_of.iter().map(String::as_str).collect();
        if !known.contains(&text.as_str()) {
            let fix = mend::nearest(&text, &known).map(|better| (span.clone(), better.to_owned()));
            out_of_range(
                judge,
                given,
                &text,
                known.join(", "),
                domain.disputed.as_deref(),
                fix,
            );
        }
        return;
    }
    let number = match value {
        Value::Number(number) => number.to_f64(),
        Value::Aspect(aspect) => aspect.stretch(),
        _ => return,
    };
    let low = domain.min.filter(|min| number < *min);
    let high = domain.max.filter(|max| number > *max);
    let Some(bound) = low.or(high) else { return };
    let (range, better) = match value {
        Value::Aspect(aspect) => (mend::ratio_range(bound), mend::ratio(*aspect, bound)),
        _ => (mend::range(domain.min, domain.max), bound.to_string()),
    };
    out_of_range(
        judge,
        given,
        &value.to_string(),
        range,
        domain.disputed.as_deref(),
        Some((span, better)),
    );
}

pub(super) fn out_of_range(
    judge: &mut Judge<'_>,
    given: &Given<'_>,
    text: &str,
    allowed: String,
    disputed: Option<&str>,
    fix: Option<(Span, String)>,
) {
    let message = format!("`{text}` is not allowed for `--{}`", given.spec.write);
    let finding = Finding::error(Code::ValueOutOfRange, given.place(), message);
    judge.find(finding.allowed(allowed).fix_if(fix).disputed(disputed));
}
