//! What every measurement needs, and the rounds in which the programs run in turn.

use std::{collections::BTreeMap, time::Duration};

use tokio::runtime::{Builder, Runtime};

use crate::{
    Outcome,
    options::Options,
    programs::Program,
    surface::Surface,
    table::{Figures, Table},
};

pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) programs: Vec<Program>,
    /// The load's; one thread.
    pub(crate) runtime: Runtime,
    pub(crate) rounds: u64,
}

impl Bench {
    pub(crate) fn new(options: Options) -> Outcome<Self> {
        Ok(Self {
            programs: Program::all(&options)?,
            runtime: Builder::new_current_thread().enable_all().build()?,
            rounds: options.number("rounds", 5)?,
            options,
        })
    }

    /// How long a load is counted.
    pub(crate) fn span(&self) -> Outcome<Duration> {
        Ok(Duration::from_secs(self.options.number("secs", 2)?))
    }

    pub(crate) fn ours(&self) -> Outcome<&Program> {
        let ours = self
            .programs
            .iter()
            .find(|program| program.surface == Surface::Ours);
        ours.ok_or_else(|| "ours is missing".into())
    }

    /// Measures each program that `takes_part` once a round, in turn.
    pub(crate) fn in_turn(
        &self,
        table: &mut Table,
        takes_part: impl Fn(&Program) -> bool,
        mut measure: impl FnMut(&Program) -> Outcome<Figures>,
    ) -> Outcome<()> {
        for round in 1..=self.rounds {
            let mut ours = Figures::new();
            let mut peers = Vec::new();
            for program in self.programs.iter().filter(|program| takes_part(program)) {
                let figures = measure(program)?;
                let said: Vec<_> = figures
                    .iter()
                    .map(|(name, figure)| format!("{name} {figure:.3}"))
                    .collect();
                println!("round {round} {}: {}", program.name, said.join(", "));
                match program.surface {
                    Surface::Ours => ours = figures,
                    Surface::Peer => peers.push((program.name, figures)),
                }
            }
            table.note_round(&ours, &peers);
        }
        Ok(())
    }
}

/// Something for each program, made once.
pub(crate) fn for_each<'a, T>(
    programs: impl IntoIterator<Item = &'a Program>,
    mut make: impl FnMut(&Program) -> Outcome<T>,
) -> Outcome<BTreeMap<&'static str, T>> {
    programs
        .into_iter()
        .map(|program| Ok((program.name, make(program)?)))
        .collect()
}
