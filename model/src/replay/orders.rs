//! Orders of a configuration that are replayed: random walks, and shortest orders to distinct ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::configuration::Configuration;
use crate::model::Action;
use crate::state::State;
use crate::step::Step;

/// How many states are looked at for the shortest orders.
const MAX_STATES: usize = 50_000;

/// How likely a fault is at each step of a walk, in percent: most walks have a few steps of every process
/// before it.
const FAULT_PERCENT: u64 = 3;

/// An order of actions, and the state that the model has before and after each.
pub struct Order {
    pub what: String,
    pub states: Vec<State>,
    pub actions: Vec<Action>,
}

/// Draws numbers from a seed (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

fn is_fault(action: Action) -> bool {
    matches!(action, Action::Crash(_) | Action::DeleteGuard)
}

/// What can be replayed of the actions that a state allows.
fn actions(configuration: &Configuration, state: &State) -> Vec<Action> {
    let mut actions = Vec::new();
    configuration.actions_of(state, &mut actions);
    actions.retain(|action| match action {
        // Of several temp files a real sweep removes first whichever the folder lists first.
        Action::Step(pid, Step::RemoveTemp) => state.processes[usize::from(*pid)].temps.len() == 1,
        Action::Step(..) | Action::Queue(_) => true,
        other => is_fault(*other),
    });
    actions
}

fn next(configuration: &Configuration, state: &State, action: Action) -> State {
    let mut next = state.clone();
    configuration.apply(&mut next, action);
    next
}

/// A random order.
pub fn walk(configuration: &Configuration, seed: u64) -> Order {
    let mut random = Random::new(seed);
    let starts: Vec<State> = configuration.initial_states();
    let start = random.below(starts.len() as u64) as usize;
    let mut order = Order {
        what: format!("walk {seed}"),
        states: vec![starts[start].clone()],
        actions: Vec::new(),
    };
    loop {
        let state = order.states.last().expect("there is a first one");
        let (faults, steps): (Vec<_>, Vec<_>) =
            actions(configuration, state).into_iter().partition(|action| is_fault(*action));
        if steps.is_empty() {
            return order;
        }
        let is_fault_due = !faults.is_empty() && random.below(100) < FAULT_PERCENT;
        let action = random.pick(if is_fault_due { &faults } else { &steps });
        order.states.push(next(configuration, state, action));
        order.actions.push(action);
    }
}

/// What distinguishes two ends.
fn outcome(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    let contents: Vec<_> =
        state.fs.names().iter().map(|(name, ino)| (*name, state.fs.inode(*ino).content)).collect();
    let steps: Vec<_> =
        state.processes.iter().map(|process| (process.alive, process.step)).collect();
    (state.acknowledged, state.limits, contents, steps).hash(&mut hasher);
    hasher.finish()
}

/// The shortest orders to distinct ends, at most `count` of them, drawn by a seed. An end is a state in which no
/// process can go on, or in which one was just killed.
pub fn shortest(configuration: &Configuration, count: usize, seed: u64) -> Vec<Order> {
    let mut states: Vec<(State, Option<(usize, Action)>)> =
        configuration.initial_states().into_iter().map(|state| (state, None)).collect();
    let mut known: HashMap<State, usize> =
        states.iter().enumerate().map(|(place, (state, _))| (state.clone(), place)).collect();
    let mut waiting: VecDeque<usize> = (0..states.len()).collect();
    let (mut ends, mut outcomes) = (Vec::new(), HashSet::new());
    while let Some(place) = waiting.pop_front() {
        let allowed = actions(configuration, &states[place].0);
        let is_end = allowed.iter().all(|action| is_fault(*action));
        if is_end && outcomes.insert(outcome(&states[place].0)) {
            ends.push(place);
        }
        for action in allowed.into_iter().filter(|_| !is_end) {
            let next = next(configuration, &states[place].0, action);
            if states.len() < MAX_STATES && !known.contains_key(&next) {
                known.insert(next.clone(), states.len());
                waiting.push_back(states.len());
                states.push((next, Some((place, action))));
            }
        }
    }
    let mut random = Random::new(seed);
    while ends.len() > count {
        ends.swap_remove(random.below(ends.len() as u64) as usize);
    }
    ends.iter().map(|end| path(&states, *end)).collect()
}

fn path(states: &[(State, Option<(usize, Action)>)], end: usize) -> Order {
    let what = format!("the shortest order to state {end}");
    let mut order = Order { what, states: Vec::new(), actions: Vec::new() };
    let mut place = end;
    loop {
        order.states.push(states[place].0.clone());
        let Some((before, action)) = states[place].1 else { break };
        order.actions.push(action);
        place = before;
    }
    order.states.reverse();
    order.actions.reverse();
    order
}
