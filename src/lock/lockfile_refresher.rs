//! Keeps the lockfiles of long holds fresh, from a thread of its own.
//!
//! Old argus takes over a lockfile whose mtime is 10 s old, so a hold that lasts has to say that
//! it lives. It can't rely on its caller's thread for that: JavaScript may be blocked, or wait
//! for a promise that takes its time. One thread serves all holds of the process. It starts with
//! the first hold and ends when none came for a while, so that short holds cost it nothing.

use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::lock::lockfile::Lockfile;

/// After how long old argus calls a lockfile stale, whatever our own threshold is.
const OLD_ARGUS_STALE: Duration = Duration::from_secs(10);

/// A lockfile is refreshed this often before it would be stale: one write may be late, and even
/// two, without harm.
const REFRESHES_PER_STALE: u32 = 4;

/// A threshold of next to nothing is not met by writing without a pause.
const SHORTEST: Duration = Duration::from_millis(10);

/// How long the thread stays around for the next hold.
const LINGER: Duration = Duration::from_secs(5);

/// A lockfile in the keeper's care; it leaves the keeper when this is dropped.
#[derive(Debug)]
pub(crate) struct RefreshedLockfile {
    entry: Arc<Entry>,
}

#[derive(Debug)]
struct Entry {
    lockfile: Lockfile,
    every: Duration,
    /// When to refresh next; `None` once the hold is over.
    due: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct LockfileRefresher {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: Vec<Arc<Entry>>,
    /// When the thread will look next; `None` if there is no thread.
    wakes_at: Option<Instant>,
}

static REFRESHER: LazyLock<LockfileRefresher> = LazyLock::new(LockfileRefresher::default);

impl RefreshedLockfile {
    /// Puts a fresh lockfile into the keeper's care.
    pub(crate) fn new(lockfile: Lockfile, stale_after: Duration) -> Self {
        let every = stale_after.min(OLD_ARGUS_STALE) / REFRESHES_PER_STALE;
        let every = every.max(SHORTEST);
        let due = Instant::now() + every;
        let entry = Arc::new(Entry { lockfile, every, due: Mutex::new(Some(due)) });
        REFRESHER.add(entry.clone(), due);
        RefreshedLockfile { entry }
    }

    pub(crate) fn lockfile(&self) -> &Lockfile {
        &self.entry.lockfile
    }
}

impl Drop for RefreshedLockfile {
    /// Waits for a write to this lockfile that is under way. After this the keeper writes nothing
    /// more to it: the guard it would write to is the next holder's.
    fn drop(&mut self) {
        *self.entry.due() = None;
        REFRESHER.lock().entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
    }
}

impl LockfileRefresher {
    fn add(&self, entry: Arc<Entry>, due: Instant) {
        let mut state = self.lock();
        state.entries.push(entry);
        match state.wakes_at {
            Some(wakes_at) if wakes_at <= due => {}
            Some(_) => self.changed.notify_one(),
            None => {
                let spawned = thread::Builder::new()
                    .name("argus-refresher".into())
                    .stack_size(256 * 1024)
                    .spawn(|| REFRESHER.run());
                // Without the thread the hold still holds, by the guard; only old argus may take
                // a long one for stale, and then the fence refuses our write.
                state.wakes_at = spawned.is_ok().then_some(due);
            }
        }
    }

    fn run(&self) {
        let mut idle_since = None;
        loop {
            let now = Instant::now();
            // Not under the keeper's lock: a file system that hangs must not keep others from taking
            // or releasing theirs.
            let entries = self.lock().entries.clone();
            for entry in &entries {
                entry.refresh_if_due(now);
            }
            // Or a hold that is over would keep its file open until we wake again.
            drop(entries);
            let mut state = self.lock();
            let next = state.entries.iter().filter_map(|entry| *entry.due()).min();
            if next.is_some() {
                idle_since = None;
            }
            let wake_at = next.unwrap_or_else(|| *idle_since.get_or_insert(now) + LINGER);
            if next.is_none() && wake_at <= now {
                state.wakes_at = None;
                return;
            }
            state.wakes_at = Some(wake_at);
            let left = wake_at.saturating_duration_since(Instant::now());
            drop(self.changed.wait_timeout(state, left));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn refresh_if_due(&self, now: Instant) {
        let mut due = self.due();
        if due.is_some_and(|due| due <= now) {
            // A failure (a full disk, say) is met again at the fence, where it counts.
            let _ = self.lockfile.refresh();
            *due = Some(now + self.every);
        }
    }

    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
