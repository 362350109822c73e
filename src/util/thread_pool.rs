//! Threads that come with the work, go when there is none, and keep no process alive.

use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// So long a thread waits for more work before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Where a job is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    /// On a thread of the pool.
    ByThread,
    /// Where it was handed in: the system refused a thread, and there is none that will come to it.
    Refused,
}

/// Called once, whatever happens.
pub(crate) type Job = Box<dyn FnOnce(Called) + Send>;

/// A bounded number of threads. More jobs wait, first come, first served.
pub(crate) struct ThreadPool {
    most: usize,
    stack_bytes: usize,
    state: Mutex<State>,
    came: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// How many of them wait for jobs, or have been woken for one that they have not taken yet.
    idle: usize,
}

impl ThreadPool {
    pub(crate) const fn new(most: usize, stack_bytes: usize) -> Self {
        let state = State { jobs: VecDeque::new(), threads: 0, idle: 0 };
        ThreadPool { most, stack_bytes, state: Mutex::new(state), came: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn run(&'static self, job: Job) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        // Not just any idle thread will do: each takes one of the jobs, and those before it may not
        // have been taken yet.
        if state.jobs.len() <= state.idle {
            drop(state);
            self.came.notify_one();
            return;
        }
        if state.threads == self.most {
            return;
        }
        state.threads += 1;
        drop(state);
        let thread = thread::Builder::new().name("argus-registry".to_owned());
        if thread.stack_size(self.stack_bytes).spawn(|| self.work()).is_err() {
            self.do_without();
        }
    }

    /// The system has refused a thread. Those that there are do its work, too, unless they may never
    /// come to it: in a pool without a bound, jobs may last for ever. If there are none, nobody would.
    fn do_without(&self) {
        let mut state = self.lock();
        state.threads -= 1;
        let jobs = match state.threads {
            0 => std::mem::take(&mut state.jobs),
            _ if self.most == usize::MAX => state.jobs.pop_back().into_iter().collect(),
            _ => return,
        };
        drop(state);
        for job in jobs {
            job(Called::Refused);
        }
    }

    /// What a thread does, as long as there is something to do.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // A thread that ended here would still be counted, and at last there would be none.
                let _ = catch_unwind(AssertUnwindSafe(|| job(Called::ByThread)));
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let waited =
                self.came.wait_timeout_while(state, KEEP_ALIVE, |state| state.jobs.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            if state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::cancel::CancelToken;
    use std::sync::{mpsc, Arc, Barrier};
    use std::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn pool(most: usize, stack_bytes: usize) -> &'static ThreadPool {
        Box::leak(Box::new(ThreadPool::new(most, stack_bytes)))
    }

    fn until(is_so: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < PATIENCE, "it never came to be");
            CancelToken::new().sleep_until(Instant::now() + Duration::from_millis(1));
        }
    }

    /// Jobs that wait for each other: fewer threads than jobs would never finish them, nor would a
    /// job left to a thread that another one has woken already.
    #[test]
    fn every_job_gets_a_thread_up_to_the_most() {
        let pool = pool(3, 1 << 16);
        let (sender, ends) = mpsc::channel();
        for jobs in [1, 3, 3] {
            let all_run = Arc::new(Barrier::new(jobs));
            for _ in 0..jobs {
                let (all_run, sender) = (all_run.clone(), sender.clone());
                pool.run(Box::new(move |called| {
                    all_run.wait();
                    sender.send(called).unwrap();
                }));
            }
            for _ in 0..jobs {
                assert_eq!(ends.recv_timeout(PATIENCE), Ok(Called::ByThread));
            }
            until(|| pool.lock().idle == jobs);
        }
        assert_eq!(pool.lock().threads, 3);
    }

    #[test]
    fn the_rest_wait_in_order_even_behind_one_that_panics() {
        let pool = pool(1, 1 << 16);
        let (go, gone) = mpsc::channel();
        let (sender, order) = mpsc::channel();
        pool.run(Box::new(move |_| gone.recv().unwrap()));
        pool.run(Box::new(|_| panic!("on purpose")));
        for number in 0..10 {
            let sender = sender.clone();
            pool.run(Box::new(move |_| sender.send((number, thread::current().id())).unwrap()));
        }
        go.send(()).unwrap();
        let done: Vec<_> = (0..10).map(|_| order.recv_timeout(PATIENCE).unwrap()).collect();
        let numbers: Vec<_> = done.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        assert!(done.iter().all(|(_, thread)| *thread == done[0].1));
    }

    #[test]
    fn idle_threads_end() {
        let pool = pool(2, 1 << 16);
        let (sender, ends) = mpsc::channel();
        pool.run(Box::new(move |_| sender.send(()).unwrap()));
        ends.recv_timeout(PATIENCE).unwrap();
        until(|| pool.lock().threads == 0);
    }

    #[test]
    fn a_refused_thread_is_told_and_not_counted() {
        // No address space has room for such a stack.
        let pool = pool(1, usize::MAX / 4);
        let (sender, ends) = mpsc::channel();
        for _ in 0..2 {
            let sender = sender.clone();
            pool.run(Box::new(move |called| sender.send(called).unwrap()));
            assert_eq!(ends.try_recv(), Ok(Called::Refused));
        }
    }
}
