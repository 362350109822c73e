//! Where a process stops for the replay of the model's orders on this code (`model/src/replay/`).
//!
//! The points have the names of the model's steps. They are compiled to nothing without
//! `--cfg argus_stopping_points`, which no published build has.

/// Stops before a step: writes its name to standard output, and waits for a byte on standard input. Does
/// nothing in a process that was not started for a replay.
#[cfg(argus_stopping_points)]
pub(crate) fn before(step: &str) {
    use std::io::{self, Read, Write};

    if std::env::var_os("ARGUS_STOPPING_POINTS").is_none() {
        return;
    }
    let mut output = io::stdout().lock();
    let said = writeln!(output, "at {step}").and_then(|()| output.flush());
    drop(output);
    if said.and_then(|()| io::stdin().lock().read_exact(&mut [0])).is_err() {
        // The replay is over.
        std::process::exit(1);
    }
}

#[cfg(not(argus_stopping_points))]
#[inline(always)]
pub(crate) fn before(_step: &str) {}
