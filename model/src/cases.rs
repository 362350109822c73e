//! What each further model explores, in one form for the reports.

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::file_system::Pid;

pub struct Explored {
    pub states: usize,
    pub depth: usize,
    pub time: Duration,
    /// What was found, each with the shortest order that shows it.
    pub found: Vec<(&'static str, Vec<String>)>,
}

/// A configuration of a model, and what it has to find.
pub struct Case {
    pub name: &'static str,
    pub covers: &'static str,
    /// The properties that do not hold: of known limits, or because a check is left out.
    pub finds: Option<&'static str>,
    pub long_only: bool,
    pub explore: Box<dyn Fn(usize) -> Explored>,
}

/// A check that is left out, and where it is in the source.
pub struct LeftOut {
    pub what: &'static str,
    pub place: &'static str,
    pub explore: Box<dyn Fn(usize) -> Explored>,
}

/// A model whose orders can be shown.
pub trait Shown: Model {
    /// What the processes do, and what is there at first.
    fn introduction(&self) -> String;

    fn describe(action: &Self::Action) -> String;
}

/// The letter that stands for a process.
pub fn letter(pid: Pid) -> char {
    char::from(b'A' + pid)
}

/// Explores all states that a model reaches, or until one property fails.
pub fn explore<M>(model: M, threads: usize, until_any: bool) -> Explored
where
    M: Shown + Send + Sync + 'static,
    M::State: std::hash::Hash + Send + Sync + Clone + PartialEq + std::fmt::Debug,
    M::Action: std::fmt::Debug + Clone + PartialEq,
{
    let started = Instant::now();
    let introduction = model.introduction();
    let checker = model.checker().threads(threads);
    let checker = match until_any {
        true => checker.finish_when(HasDiscoveries::Any),
        false => checker,
    };
    let checker = checker.spawn_bfs().join();
    let mut found: Vec<(&'static str, Vec<String>)> = checker
        .discoveries()
        .into_iter()
        .map(|(name, path)| {
            let actions = path.into_actions();
            let shown = actions.iter().map(M::describe);
            (name, std::iter::once(introduction.clone()).chain(shown).collect())
        })
        .collect();
    found.sort_by_key(|(name, actions)| (actions.len(), *name));
    Explored {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time: started.elapsed(),
        found,
    }
}
