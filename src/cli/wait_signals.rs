//! Signals that come while `run` waits for a lock that a server keeps.

use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;

use argus_registry::CancelToken;
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::{flag, low_level};

use crate::cli::exit::Exit;
use crate::cli::signals::forwarded;

/// Catches the signals that would end this program, and ends its wait instead. A program that a signal ends leaves its
/// place in the queue to its lease: no process could change the registry for ten seconds.
pub(crate) struct SignalsWhileWaiting {
    /// The last one; 0 for none. Set by the handler itself: what came before a `SignalForwarder` was created, and is
    /// not forwarded for that reason, is seen here afterwards.
    caught: Arc<AtomicUsize>,
    is_waiting: Arc<AtomicBool>,
    handle: Handle,
}

impl SignalsWhileWaiting {
    /// The first signal cancels this token, the second one ends the program at once.
    pub(crate) fn new(token: CancelToken) -> io::Result<Self> {
        let (caught, is_waiting) = (Arc::<AtomicUsize>::default(), Arc::new(AtomicBool::new(true)));
        let mut signals = SignalsInfo::<SignalOnly>::new(forwarded())?;
        for signal in forwarded() {
            flag::register_usize(signal, caught.clone(), usize::try_from(signal).unwrap_or(0))?;
        }
        let (handle, waits) = (signals.handle(), is_waiting.clone());
        thread::Builder::new().name("argus-signals".into()).spawn(move || {
            for signal in signals.forever() {
                if token.is_cancelled() && waits.load(Ordering::SeqCst) {
                    process::exit(Exit::Command(128 + signal).code());
                }
                token.cancel();
            }
        })?;
        Ok(SignalsWhileWaiting { caught, is_waiting, handle })
    }

    /// Leaves signals to a `SignalForwarder`, which has to be there already. Returns whether none came before.
    pub(crate) fn end(&self) -> bool {
        self.is_waiting.store(false, Ordering::SeqCst);
        self.handle.close();
        self.caught.load(Ordering::SeqCst) == 0
    }

    /// Does what a signal that was caught would have done: if there was one, this does not return.
    pub(crate) fn obey(&self) {
        let signal = i32::try_from(self.caught.load(Ordering::SeqCst)).unwrap_or(0);
        if signal != 0 {
            let _ = low_level::emulate_default_handler(signal);
            process::exit(Exit::Command(128 + signal).code());
        }
    }
}
