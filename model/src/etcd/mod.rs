//! A model of the store in etcd: updates of the whole registry, each one transaction, beside removals, leases that
//! end and keys that other programs delete. The numbers of the comparisons are those of `etcd/src/update.rs`.

mod cases;

use stateright::{Model, Property};

use crate::file_system::Pid;
pub use cases::{cases, left_out, UNSEEN, UNSEEN_MEANING};

const KEYS: usize = 2;

type Key = usize;
type Revision = u8;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// An update that counts up a number in `meta`.
    CountUp,
    /// An update that adds an entry, if it is missing, with the number of entries in it.
    Add(Key),
    /// An update that removes an entry if there is another one.
    RemoveOneOf(Key),
    /// An update that writes into an entry what is in the other.
    Copy(Key),
    /// `removal::remove`: one entry, by a transaction that compares it alone.
    Remove(Key),
    /// An entry is written again as it is.
    Renew(Key),
}

/// A comparison that a mutation leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    NoWriteAfter,
    Removals,
    Meta,
    Written,
    Read,
    LockIsFree,
    LockIsHeld,
}

#[derive(Clone, Debug)]
pub struct Etcd {
    pub calls: Vec<Call>,
    /// Which of them take the registry's lock.
    pub locked: Vec<bool>,
    pub at_first: [Option<bool>; KEYS],
    /// How many keys with a lease may vanish, and how many others another program may delete.
    pub expiries: u8,
    pub deletions: u8,
    /// How often the lease of a lock may end.
    pub lost_locks: u8,
    /// Whether the transaction has room for the entries that are only read: the fifth comparison.
    pub has_room: bool,
    pub without: Option<Left>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    value: u8,
    written: Revision,
    has_lease: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Content {
    entries: [Option<Entry>; KEYS],
    meta: u8,
    meta_written: Revision,
    removals: Revision,
    revision: Revision,
}

/// A registry without what only etcd knows.
type Registry = ([Option<u8>; KEYS], u8);

impl Content {
    fn registry(&self) -> Registry {
        (self.entries.map(|entry| entry.map(|entry| entry.value)), self.meta)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Lock,
    Wait,
    Read,
    Commit,
    Unlock,
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Client {
    step: Step,
    read: Option<Content>,
    is_done: bool,
    /// Whether it has changed anything.
    has_written: bool,
    /// What had ended when it began: one bit for each operation.
    after: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    content: Content,
    clients: Vec<Client>,
    /// The clients that hold the lock or wait for it, in order.
    lock: Vec<Pid>,
    /// The keys that vanished, each with what had ended before.
    deleted: Vec<(Key, u16)>,
    ended: u16,
    expiries: u8,
    deletions: u8,
    lost_locks: u8,
    /// Whether a transaction was made that another client's lock excludes.
    has_ignored_lock: bool,
    /// Whether an update was made on entries that were not there any more.
    has_old_read: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Step(Pid, Step),
    Expire(Key),
    Delete(Key),
    LoseLock(Pid),
}

/// What a call makes of a registry.
fn change(call: Call, registry: Registry) -> Registry {
    let (mut entries, mut meta) = registry;
    match call {
        Call::CountUp => meta += 1,
        Call::Add(key) => {
            let number = entries.iter().flatten().count() as u8;
            entries[key] = entries[key].or(Some(number + 1));
        }
        Call::RemoveOneOf(key) => {
            if entries.iter().flatten().count() == KEYS {
                entries[key] = None;
            }
        }
        Call::Copy(key) => {
            let other = entries[(key + 1) % KEYS].unwrap_or(0);
            entries[key] = entries[key].map(|_| other + 10);
        }
        Call::Remove(key) => entries[key] = None,
        Call::Renew(_) => {}
    }
    (entries, meta)
}

impl Etcd {
    fn without(&self, left: Left) -> bool {
        self.without == Some(left)
    }

    /// Whether the server makes the transaction of a client.
    fn is_allowed(&self, state: &State, pid: Pid) -> bool {
        let place = usize::from(pid);
        let read = state.clients[place].read.expect("it has read");
        let now = &state.content;
        let is_unchanged = |key: Key| {
            now.entries[key].map(|entry| entry.written)
                == read.entries[key].map(|entry| entry.written)
        };
        let lock_allows = match self.locked[place] {
            true => state.lock.first() == Some(&pid) || self.without(Left::LockIsHeld),
            false => state.lock.is_empty() || self.without(Left::LockIsFree),
        };
        let call = self.calls[place];
        if let Call::Remove(key) | Call::Renew(key) = call {
            return lock_allows && is_unchanged(key);
        }
        let (new, _) = change(call, read.registry());
        let is_written = |key: &Key| new[*key] != read.registry().0[*key];
        let (written, others): (Vec<Key>, Vec<Key>) = (0..KEYS).partition(is_written);
        let has_no_write_after =
            now.entries.iter().flatten().all(|entry| entry.written <= read.revision);
        let was_read = |key: &Key| read.entries[*key].is_some();
        lock_allows
            && (has_no_write_after || self.without(Left::NoWriteAfter))
            && (now.removals == read.removals || self.without(Left::Removals))
            && (now.meta_written == read.meta_written || self.without(Left::Meta))
            && (written.into_iter().all(is_unchanged) || self.without(Left::Written))
            && (!self.has_room
                || self.without(Left::Read)
                || others.into_iter().filter(was_read).all(is_unchanged))
    }

    /// Makes the transaction of a client.
    fn commit(&self, state: &mut State, pid: Pid) {
        let call = self.calls[usize::from(pid)];
        let read = state.clients[usize::from(pid)].read.expect("it has read");
        let (old, old_meta) = read.registry();
        let (new, meta) = change(call, (old, old_meta));
        let revision = state.content.revision + 1;
        let content = &mut state.content;
        content.revision = revision;
        for key in 0..KEYS {
            let is_renewed = call == Call::Renew(key);
            if new[key] == old[key] && !is_renewed {
                continue;
            }
            content.removals = if new[key].is_none() { revision } else { content.removals };
            let has_lease = read.entries[key].is_some_and(|entry| entry.has_lease);
            content.entries[key] =
                new[key].map(|value| Entry { value, written: revision, has_lease });
        }
        if meta != old_meta {
            content.meta = meta;
            content.meta_written = revision;
        }
    }

    fn step(&self, state: &mut State, pid: Pid) {
        let place = usize::from(pid);
        let ended = state.ended;
        state.clients[place].after.get_or_insert(ended);
        match state.clients[place].step {
            Step::Lock => {
                state.lock.push(pid);
                state.clients[place].step = Step::Wait;
            }
            // Its turn has come.
            Step::Wait => state.clients[place].step = Step::Read,
            Step::Read => {
                let content = state.content;
                state.clients[place].read = Some(content);
                let is_renewed = match self.calls[place] {
                    Call::Renew(key) => content.entries[key].is_some(),
                    _ => false,
                };
                let is_empty = change(self.calls[place], content.registry()) == content.registry();
                match is_empty && !is_renewed {
                    true => self.end(state, pid, true),
                    false => state.clients[place].step = Step::Commit,
                }
            }
            Step::Commit if self.is_allowed(state, pid) => {
                let read = state.clients[place].read.expect("it has read").registry();
                let is_update = !matches!(self.calls[place], Call::Remove(_) | Call::Renew(_));
                state.has_old_read |= is_update && read != state.content.registry();
                state.has_ignored_lock |= state.lock.first().is_some_and(|holder| *holder != pid);
                self.commit(state, pid);
                state.clients[place].has_written = true;
                self.end(state, pid, true);
            }
            // The lock is gone: nothing is written.
            Step::Commit if self.locked[place] && state.lock.first() != Some(&pid) => {
                self.end(state, pid, false);
            }
            Step::Commit => state.clients[place].step = Step::Read,
            Step::Unlock => {
                state.lock.retain(|other| *other != pid);
                state.clients[place].step = Step::Ended;
            }
            Step::Ended => unreachable!("no step is left"),
        }
    }

    fn end(&self, state: &mut State, pid: Pid, is_done: bool) {
        let client = &mut state.clients[usize::from(pid)];
        client.is_done = is_done;
        client.read = None;
        client.step = if self.locked[usize::from(pid)] { Step::Unlock } else { Step::Ended };
        state.ended |= 1 << pid;
    }

    fn vanish(&self, state: &mut State, key: Key) {
        let number = self.calls.len() + state.deleted.len();
        state.deleted.push((key, state.ended));
        state.content.entries[key] = None;
        state.content.revision += 1;
        state.ended |= 1 << number;
    }

    fn can_step(&self, state: &State, pid: Pid) -> bool {
        match state.clients[usize::from(pid)].step {
            Step::Ended => false,
            Step::Wait => state.lock.first() == Some(&pid) || !state.lock.contains(&pid),
            _ => true,
        }
    }

    fn first(&self) -> Content {
        let entry = |has_lease| Entry { value: 1, written: 1, has_lease };
        let entries = self.at_first.map(|found| found.map(entry));
        Content { entries, revision: 1, ..Content::default() }
    }

    /// Whether all that was done could have been done one after the other, each after what had ended when it
    /// began.
    fn is_serialisable(&self, state: &State) -> bool {
        self.is_explained(state, |_| true, true)
    }

    /// Like [`is_serialisable`](Self::is_serialisable), for the calls that have changed something: a key that
    /// vanished may have done so at any time.
    fn has_serialisable_changes(&self, state: &State) -> bool {
        self.is_explained(state, |client| client.has_written, false)
    }

    fn is_explained(&self, state: &State, takes: impl Fn(&Client) -> bool, is_exact: bool) -> bool {
        let clients = state.clients.iter().zip(&self.calls).enumerate();
        let mut made: Vec<(u16, u16, Call)> = clients
            .filter(|(_, (client, _))| client.is_done && takes(client))
            .map(|(place, (client, call))| (1 << place, client.after.unwrap_or(0), *call))
            .collect();
        let deleted = state.deleted.iter().enumerate();
        made.extend(deleted.map(|(number, (key, after))| {
            let after = if is_exact { *after } else { 0 };
            (1 << (self.calls.len() + number), after, Call::Remove(*key))
        }));
        let bits = made.iter().fold(0, |bits, (bit, _, call)| match call {
            Call::Remove(_) if !is_exact && *bit >= 1 << self.calls.len() => bits,
            _ => bits | bit,
        });
        is_explained(&made, !bits, self.first().registry(), state.content.registry())
    }

    fn is_over(state: &State) -> bool {
        state.clients.iter().all(|client| client.step == Step::Ended)
    }
}

/// Whether some order of these operations leads from one registry to the other.
fn is_explained(left: &[(u16, u16, Call)], done: u16, from: Registry, to: Registry) -> bool {
    if left.is_empty() {
        return from == to;
    }
    (0..left.len()).any(|next| {
        let (bit, after, call) = left[next];
        let rest: Vec<_> = left.iter().enumerate().filter(|(place, _)| *place != next).collect();
        let rest: Vec<_> = rest.into_iter().map(|(_, operation)| *operation).collect();
        after & !done == 0 && is_explained(&rest, done | bit, change(call, from), to)
    })
}

impl Model for Etcd {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let first = |locked: &bool| if *locked { Step::Lock } else { Step::Read };
        let client = |locked| Client {
            step: first(locked),
            read: None,
            is_done: false,
            has_written: false,
            after: None,
        };
        vec![State {
            content: self.first(),
            clients: self.locked.iter().map(client).collect(),
            lock: Vec::new(),
            deleted: Vec::new(),
            ended: 0,
            expiries: self.expiries,
            deletions: self.deletions,
            lost_locks: self.lost_locks,
            has_ignored_lock: false,
            has_old_read: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for pid in 0..self.calls.len() as Pid {
            if self.can_step(state, pid) {
                actions.push(Action::Step(pid, state.clients[usize::from(pid)].step));
            }
        }
        if state.clients.iter().all(|client| client.step == Step::Ended) {
            return;
        }
        for (key, entry) in state.content.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            if state.expiries > 0 && entry.has_lease {
                actions.push(Action::Expire(key));
            }
            if state.deletions > 0 {
                actions.push(Action::Delete(key));
            }
        }
        if let (true, Some(holder)) = (state.lost_locks > 0, state.lock.first()) {
            actions.push(Action::LoseLock(*holder));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(pid, _) => self.step(&mut state, pid),
            Action::Expire(key) => {
                state.expiries -= 1;
                self.vanish(&mut state, key);
            }
            Action::Delete(key) => {
                state.deletions -= 1;
                self.vanish(&mut state, key);
            }
            Action::LoseLock(pid) => {
                state.lost_locks -= 1;
                state.lock.retain(|holder| *holder != pid);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(
                "all calls could have been made one after the other",
                |etcd: &Etcd, state: &State| {
                    !Etcd::is_over(state)
                        || match etcd.has_room {
                            true => etcd.is_serialisable(state),
                            false => etcd.has_serialisable_changes(state),
                        }
                },
            ),
            Property::<Self>::always(
                "while a client has the lock, no other changes anything",
                |_, state| !state.has_ignored_lock,
            ),
            Property::<Self>::always(
                "an update knows all that is there, as long as the registry is small",
                |etcd: &Etcd, state: &State| !etcd.has_room || !state.has_old_read,
            ),
            Property::<Self>::always("every call ends", |etcd: &Etcd, state: &State| {
                Etcd::is_over(state)
                    || (0..etcd.calls.len() as Pid).any(|pid| etcd.can_step(state, pid))
            }),
        ];
        if self.without.is_none() && !self.has_room {
            properties.push(Property::<Self>::sometimes(UNSEEN, |etcd: &Etcd, state: &State| {
                Etcd::is_over(state) && !etcd.is_serialisable(state)
            }));
        }
        properties
    }
}
