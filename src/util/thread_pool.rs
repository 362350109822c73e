//! A thread pool that starts threads when jobs arrive and ends them when they are idle.
//!
//! Its threads are detached, so they don't keep the process alive.

use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long an idle thread waits for another job before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The thread on which a job is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dispatch {
    /// A thread of the pool.
    PoolThread,
    /// A thread that calls [`ThreadPool::run`], perhaps with another job: the system refused it a
    /// new thread, and no thread of the pool will take this job.
    Refused,
}

/// A job, which the pool calls exactly once, on whichever thread [`Dispatch`] names.
pub(crate) type Job = Box<dyn FnOnce(Dispatch) + Send>;

/// A pool of at most `max_threads` threads. Further jobs wait in order of arrival.
pub(crate) struct ThreadPool {
    max_threads: usize,
    stack_bytes: usize,
    state: Mutex<PoolState>,
    job_added: Condvar,
}

struct PoolState {
    jobs: VecDeque<Job>,
    threads: usize,
    /// How many threads wait for a job, or were woken for one that they have not taken yet.
    idle: usize,
}

impl ThreadPool {
    pub(crate) const fn new(max_threads: usize, stack_bytes: usize) -> Self {
        let state = PoolState { jobs: VecDeque::new(), threads: 0, idle: 0 };
        ThreadPool { max_threads, stack_bytes, state: Mutex::new(state), job_added: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job to a thread, which is started if none is idle and the pool has fewer than
    /// `max_threads`.
    pub(crate) fn run(&'static self, job: Job) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        // One idle thread is not enough if earlier jobs still wait: each idle thread takes one job,
        // and the earlier ones come first.
        if state.jobs.len() <= state.idle {
            drop(state);
            self.job_added.notify_one();
            return;
        }
        if state.threads == self.max_threads {
            return;
        }
        state.threads += 1;
        drop(state);
        let thread = thread::Builder::new().name("argus-registry".to_owned());
        if thread.stack_size(self.stack_bytes).spawn(|| self.work()).is_err() {
            self.handle_refused_thread();
        }
    }

    /// Called when the system has refused a thread. The pool's other threads take its jobs, with
    /// two exceptions, in which this thread calls them: the pool has no thread, or it has no bound.
    /// In a pool without a bound each job may run for ever, so a thread may never come to the new
    /// one.
    fn handle_refused_thread(&self) {
        let mut state = self.lock();
        state.threads -= 1;
        let jobs = match state.threads {
            0 => std::mem::take(&mut state.jobs),
            _ if self.max_threads == usize::MAX => state.jobs.pop_back().into_iter().collect(),
            _ => return,
        };
        drop(state);
        for job in jobs {
            job(Dispatch::Refused);
        }
    }

    /// The loop of a pool thread, which ends after [`KEEP_ALIVE`] without a job.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // A thread that a panic ended would still be counted: after `max_threads` panics
                // the pool would start no thread any more.
                let _ = catch_unwind(AssertUnwindSafe(|| job(Dispatch::PoolThread)));
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let waited =
                self.job_added.wait_timeout_while(state, KEEP_ALIVE, |state| state.jobs.is_empty());
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

    const TEST_TIMEOUT: Duration = Duration::from_secs(30);

    fn pool(max_threads: usize, stack_bytes: usize) -> &'static ThreadPool {
        Box::leak(Box::new(ThreadPool::new(max_threads, stack_bytes)))
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < TEST_TIMEOUT, "the condition was not met in time");
            CancelToken::new().sleep_until(Instant::now() + Duration::from_millis(1));
        }
    }

    /// The jobs of a round wait for each other. Fewer threads than jobs would never finish them;
    /// neither would a job that was left to a thread which had been woken for another job.
    #[test]
    fn every_job_gets_a_thread_up_to_the_limit() {
        let pool = pool(3, 1 << 16);
        let (sender, ends) = mpsc::channel();
        for jobs in [1, 3, 3] {
            let all_run = Arc::new(Barrier::new(jobs));
            for _ in 0..jobs {
                let (all_run, sender) = (all_run.clone(), sender.clone());
                pool.run(Box::new(move |dispatch| {
                    all_run.wait();
                    sender.send(dispatch).unwrap();
                }));
            }
            for _ in 0..jobs {
                assert_eq!(ends.recv_timeout(TEST_TIMEOUT), Ok(Dispatch::PoolThread));
            }
            wait_until(|| pool.lock().idle == jobs);
        }
        assert_eq!(pool.lock().threads, 3);
    }

    #[test]
    fn further_jobs_wait_in_order_even_behind_a_job_that_panics() {
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
        let done: Vec<_> = (0..10).map(|_| order.recv_timeout(TEST_TIMEOUT).unwrap()).collect();
        let numbers: Vec<_> = done.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        assert!(done.iter().all(|(_, thread)| *thread == done[0].1));
    }

    #[test]
    fn idle_threads_end() {
        let pool = pool(2, 1 << 16);
        let (sender, ends) = mpsc::channel();
        pool.run(Box::new(move |_| sender.send(()).unwrap()));
        ends.recv_timeout(TEST_TIMEOUT).unwrap();
        wait_until(|| pool.lock().threads == 0);
    }

    #[test]
    fn a_refused_thread_is_reported_and_not_counted() {
        // No address space has room for a stack of this size, so the system refuses the thread.
        let pool = pool(1, usize::MAX / 4);
        let (sender, ends) = mpsc::channel();
        for _ in 0..2 {
            let sender = sender.clone();
            pool.run(Box::new(move |dispatch| sender.send(dispatch).unwrap()));
            assert_eq!(ends.try_recv(), Ok(Dispatch::Refused));
        }
    }
}
