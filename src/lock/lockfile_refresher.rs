//! Renews the lockfiles of locks that are held for long, on a thread of its own.
//!
//! An older argus version takes over a lockfile whose mtime is 10 s old, so the mtime must be
//! renewed while the lock is held. The holder's thread can't do that: JavaScript may be blocked, or
//! wait for a slow promise. One thread serves all held locks of the process. It starts with the
//! first one and stays for [`KEEP_ALIVE`] after the last, so that short holds in succession don't
//! start a thread each.

use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::lock::lockfile::Lockfile;

/// The age at which an older argus version calls a lockfile stale, whatever this process's
/// threshold is.
const OLD_ARGUS_STALE_AFTER: Duration = Duration::from_secs(10);

/// How often a lockfile is renewed in the time after which it would be stale. One write may be
/// late, or even two, without harm.
const REFRESHES_PER_STALE_AFTER: u32 = 4;

/// The shortest pause between two writes. A caller's threshold near zero must not make the thread
/// write without a pause.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_millis(10);

/// How long the thread waits for the next lock before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A lockfile that the thread renews until this value is dropped.
#[derive(Debug)]
pub(crate) struct RefreshedLockfile {
    task: Arc<RefreshTask>,
}

#[derive(Debug)]
struct RefreshTask {
    lockfile: Lockfile,
    interval: Duration,
    /// When to renew the lockfile next; `None` once the lock is released.
    due: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct LockfileRefresher {
    state: Mutex<RefresherState>,
    changed: Condvar,
}

#[derive(Default)]
struct RefresherState {
    tasks: Vec<Arc<RefreshTask>>,
    /// When the thread will check its tasks next; `None` if there is no thread.
    wakes_at: Option<Instant>,
    /// The process whose tasks and thread these are.
    pid: u32,
}

static REFRESHER: LazyLock<LockfileRefresher> = LazyLock::new(LockfileRefresher::default);

impl RefreshedLockfile {
    /// Has a lockfile renewed that was just created.
    pub(crate) fn new(lockfile: Lockfile, stale_after: Duration) -> Self {
        let interval = stale_after.min(OLD_ARGUS_STALE_AFTER) / REFRESHES_PER_STALE_AFTER;
        let interval = interval.max(MIN_REFRESH_INTERVAL);
        let due = Instant::now() + interval;
        let task = Arc::new(RefreshTask { lockfile, interval, due: Mutex::new(Some(due)) });
        REFRESHER.add(task.clone(), due);
        RefreshedLockfile { task }
    }

    pub(crate) fn lockfile(&self) -> &Lockfile {
        &self.task.lockfile
    }
}

impl Drop for RefreshedLockfile {
    /// Waits for a write to this lockfile that is under way. Afterwards the thread writes nothing
    /// to it any more: on Unix the file is the guard, into which the next holder writes its record.
    fn drop(&mut self) {
        if !self.task.lockfile.is_of_this_process() {
            // In a forked process no thread unlocks a mutex that the parent's thread had at the fork. What
            // is not taken off the list here keeps its descriptor until the process ends.
            if let Ok(mut state) = REFRESHER.state.try_lock() {
                state.tasks.retain(|task| !Arc::ptr_eq(task, &self.task));
            }
            return;
        }
        *self.task.due() = None;
        REFRESHER.lock().tasks.retain(|task| !Arc::ptr_eq(task, &self.task));
    }
}

impl LockfileRefresher {
    fn add(&self, task: Arc<RefreshTask>, due: Instant) {
        let mut state = self.lock();
        let pid = std::process::id();
        if state.pid != pid {
            // The thread of its parent is not in a forked process: without one of its own, an older argus
            // version would take over the lockfile of a long hold.
            *state = RefresherState { pid, ..RefresherState::default() };
        }
        state.tasks.push(task);
        match state.wakes_at {
            Some(wakes_at) if wakes_at <= due => {}
            Some(_) => self.changed.notify_one(),
            None => {
                let spawned = thread::Builder::new()
                    .name("argus-refresher".into())
                    .stack_size(256 * 1024)
                    .spawn(|| REFRESHER.run());
                // Without the thread the guard still excludes other processes. Only an older argus
                // version may take the lockfile of a long hold for stale, and the fence refuses to
                // write then.
                state.wakes_at = spawned.is_ok().then_some(due);
            }
        }
    }

    fn run(&self) {
        let mut idle_since = None;
        loop {
            let now = Instant::now();
            // Renewed without the mutex: a file system that hangs must not keep other threads from
            // acquiring or releasing their locks.
            let tasks = self.lock().tasks.clone();
            for task in &tasks {
                task.refresh_if_due(now);
            }
            // Dropped before the thread sleeps, or it would keep the files of released locks open
            // until it wakes.
            drop(tasks);
            let mut state = self.lock();
            let next = state.tasks.iter().filter_map(|task| *task.due()).min();
            if next.is_some() {
                idle_since = None;
            }
            let wake_at = next.unwrap_or_else(|| *idle_since.get_or_insert(now) + KEEP_ALIVE);
            if next.is_none() && wake_at <= now {
                state.wakes_at = None;
                return;
            }
            state.wakes_at = Some(wake_at);
            let left = wake_at.saturating_duration_since(Instant::now());
            drop(self.changed.wait_timeout(state, left));
        }
    }

    fn lock(&self) -> MutexGuard<'_, RefresherState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RefreshTask {
    fn refresh_if_due(&self, now: Instant) {
        let mut due = self.due();
        if due.is_some_and(|due| due <= now) {
            // An error, such as of a full disk, is ignored: if another process takes over the
            // lockfile because of it, the fence reports that before the next write.
            let _ = self.lockfile.refresh();
            *due = Some(now + self.interval);
        }
    }

    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
