//! The standard library, with shuttle's threads, mutexes and condition variables: the library's sources are
//! compiled against it as they are.

pub use ::std::*;

pub mod thread {
    pub use ::std::thread::panicking;
    pub use shuttle::thread::*;
}

pub mod sync {
    use std::time::Duration;

    pub use shuttle::sync::{Arc, Mutex, MutexGuard, Weak};
    pub use std::sync::{atomic, LazyLock, LockResult, PoisonError};

    /// A wait with a timeout may end at any time; shuttle's own never times out.
    #[derive(Debug, Default)]
    pub struct Condvar(shuttle::sync::Condvar);

    impl Condvar {
        pub const fn new() -> Self {
            Condvar(shuttle::sync::Condvar::new())
        }

        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        pub fn notify_all(&self) {
            self.0.notify_all();
        }

        pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait(guard)
        }

        pub fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, ())> {
            let is_over = atomic::AtomicBool::new(false);
            shuttle::thread::scope(|scope| {
                // The time: it wakes all that sleep, which they have to expect in any case.
                scope.spawn(|| {
                    while !is_over.load(atomic::Ordering::Relaxed) {
                        self.0.notify_all();
                        shuttle::thread::yield_now();
                    }
                });
                let guard = self.0.wait(guard);
                is_over.store(true, atomic::Ordering::Relaxed);
                match guard {
                    Ok(guard) => Ok((guard, ())),
                    Err(error) => Err(PoisonError::new((error.into_inner(), ()))),
                }
            })
        }

        pub fn wait_timeout_while<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            time: Duration,
            mut condition: impl FnMut(&mut T) -> bool,
        ) -> LockResult<(MutexGuard<'a, T>, ())> {
            match condition(&mut guard) {
                true => self.wait_timeout(guard, time),
                false => Ok((guard, ())),
            }
        }
    }
}
