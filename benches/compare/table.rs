//! Figures of all rounds, and the table that they make.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Command};

use crate::{Outcome, goals::GOALS, numbers::Spread};

/// What one program gave in one round: figures by their names.
pub(crate) type Figures = Vec<(String, f64)>;

/// Figures by name, one for each round.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<String, Vec<f64>>);

impl Table {
    /// Notes a figure of ours.
    pub(crate) fn note(&mut self, name: &str, figure: f64) {
        self.0.entry(name.to_owned()).or_default().push(figure);
    }

    /// Notes a round: every figure of ours, and what it is of the peers' figures of the same name.
    pub(crate) fn note_round(&mut self, ours: &Figures, peers: &[(&str, Figures)]) {
        for (name, figure) in ours {
            self.note(name, *figure);
            for (peer, theirs) in peers {
                let same = theirs.iter().find(|(other, _)| other == name);
                if let Some((_, theirs)) = same.filter(|(_, theirs)| *theirs > 0.0) {
                    self.note(&format!("{name}/{peer}"), figure / theirs);
                }
            }
        }
    }

    /// Every goal with its figure; those without a figure only where `all` are asked for.
    pub(crate) fn markdown(&self, all: bool) -> String {
        let mut rows = String::new();
        for goal in GOALS {
            let (figure, verdict) = match self.0.get(goal.figure).and_then(|figures| Spread::of(figures)) {
                Some(spread) => (short_spread(spread), goal.bound.verdict(spread)),
                None if all => ("-".to_owned(), "not measured"),
                None => continue,
            };
            let (says, bound) = (goal.says, goal.bound.text());
            // Writing to a text cannot fail.
            writeln!(rows, "| {says} | {bound} | {figure} | {verdict} |").unwrap_or_default();
        }
        if rows.is_empty() {
            return rows;
        }
        format!("| what | goal | median [least..most] | |\n|---|---|---|---|\n{rows}")
    }

    /// Every figure, whether or not there is a goal for it.
    pub(crate) fn plain(&self) -> String {
        let mut lines = String::new();
        for (name, figures) in &self.0 {
            if let Some(spread) = Spread::of(figures) {
                writeln!(lines, "{name}: {}", short_spread(spread)).unwrap_or_default();
            }
        }
        lines
    }
}

fn short_spread(Spread { least, median, most }: Spread) -> String {
    format!("{} [{}..{}]", short(median), short(least), short(most))
}

/// Three digits that count.
fn short(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.1 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}

/// The page that `--write` writes.
pub(crate) fn page(table: &Table, rounds: u64) -> String {
    format!(
        "# Ratios\n\nMeasured {} by `compare all` in {rounds} rounds, on {}. The page is written by the program; see \
         [performance.md](performance.md) for how.\n\n{}",
        today(),
        machine(),
        table.markdown(true),
    )
}

pub(crate) fn write(page: &str, path: &Path) -> Outcome<()> {
    Ok(fs::write(path, page)?)
}

/// The date of the system, in UTC.
fn today() -> String {
    said(Command::new("date").args(["-u", "+%Y-%m-%d"]))
}

/// Processor, memory and kernel, in words.
fn machine() -> String {
    let of = |path: &str, field: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(field));
        line.and_then(|line| line.split_once(':'))
            .map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    // All there are: this program keeps to one of them.
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processors = processors
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory = of("/proc/meminfo", "MemTotal")
        .replace(" kB", "")
        .parse::<u64>()
        .unwrap_or(0)
        / 1024
        / 1024;
    let kernel = said(Command::new("uname").arg("-sr"));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?");
    let model = of("/proc/cpuinfo", "model name");
    format!("{processors} processors ({model}), {memory} GiB, {kernel}, load {load}")
}

fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
