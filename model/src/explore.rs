//! Explores a configuration, and says what it found.

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::configuration::Configuration;
use crate::model::{Action, PROPERTIES};
use crate::state::{Limit, State};

/// One order of actions, which leads from an initial state to one that shows something.
pub struct Trace {
    pub start: State,
    pub actions: Vec<Action>,
}

pub struct Found {
    pub states: usize,
    pub depth: usize,
    pub time: Duration,
    /// The properties that do not hold, each with the shortest order that shows it.
    pub broken: Vec<(&'static str, Trace)>,
    /// The limits that were found, each with the shortest order that shows it.
    pub limits: Vec<(Limit, Trace)>,
}

impl Found {
    /// What is not as the configuration expects it.
    pub fn surprises(&self, configuration: &Configuration) -> Vec<String> {
        let mut surprises: Vec<String> =
            self.broken.iter().map(|(name, _)| format!("not true: {name}")).collect();
        for limit in Limit::ALL {
            let is_found = self.limits.iter().any(|(found, _)| found == limit);
            match (is_found, configuration.limits.contains(limit)) {
                (true, false) => surprises.push(format!("a limit not expected: {limit:?}")),
                (false, true) => surprises.push(format!("an expected limit not found: {limit:?}")),
                _ => {}
            }
        }
        surprises
    }
}

/// Explores all states that a configuration reaches, the nearest first.
pub fn explore(configuration: &Configuration, threads: usize) -> Found {
    let started = Instant::now();
    let checker = configuration.clone().checker().threads(threads);
    let checker = match configuration.mutation {
        // One violation is enough.
        Some(_) => checker.finish_when(HasDiscoveries::Any),
        None => checker,
    };
    let checker = checker.spawn_bfs().join();
    let mut found = Found {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time: started.elapsed(),
        broken: Vec::new(),
        limits: Vec::new(),
    };
    for (name, path) in checker.discoveries() {
        let states: Vec<(State, Option<Action>)> = path.into_vec();
        let actions = states.iter().filter_map(|(_, action)| *action).collect();
        let trace = Trace { start: states[0].0.clone(), actions };
        let limit = Limit::ALL.iter().find(|limit| format!("{limit:?}") == name);
        match limit {
            // A limit may have the name of no property.
            Some(limit) if !PROPERTIES.iter().any(|(property, _)| *property == name) => {
                found.limits.push((*limit, trace));
            }
            _ => found.broken.push((name, trace)),
        }
    }
    found.broken.sort_by_key(|(name, trace)| (trace.actions.len(), *name));
    found.limits.sort_by_key(|(limit, _)| *limit);
    found
}
