//! The checks of the folder's file system, each with its outcome in words.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use argus_registry::ProbeFolder;

use super::probe_process::{NoAnswer, ProbeProcess, ANSWER_TIMEOUT};
use super::probe_worker::{ProbeFiles, FILL_BYTES, REPLACED_FILE_SIZE};
use super::report::{DoctorCheck, DoctorReport};

/// How often the file is replaced at least, and how often it is read meanwhile at least.
const MIN_REPLACEMENTS: u32 = 300;
const MIN_READS: u32 = 300;
/// Few enough that a slow file system, too, does them within the timeout for one answer.
const REPLACEMENTS_PER_REQUEST: u32 = 20;

const USE_LOCAL_DISK: &str = "keep the file on a local disk, and see docs/how-to/operations.md";

/// What can be expected of kernel locks here.
pub(super) enum LockSupport {
    Reliable,
    /// There are none, and every program that asks for one gets an error.
    Unsupported,
    /// They don't exclude, or the call for one never returns.
    Unreliable,
}

/// Tests kernel locks between two processes, within one, and after the death of a holder.
pub(super) fn locks(probe: &ProbeFolder, report: &mut DoctorReport) -> io::Result<LockSupport> {
    let (support, check) = match try_locks(probe.path()) {
        Ok(()) => {
            let message = "processes exclude each other, and so do two handles in one process; \
                           readers share a lock; a killed process's lock is free at once";
            (LockSupport::Reliable, DoctorCheck::ok("locks", message))
        }
        Err(ProbeError::Unsupported(error)) => (LockSupport::Unsupported, unsupported(&error)),
        Err(ProbeError::Failed(reason)) if is_disk_full(&reason) => {
            (LockSupport::Unreliable, disk_full("locks", &reason))
        }
        Err(ProbeError::Failed(reason)) => {
            let message = format!(
                "kernel locks are unreliable here: {reason}. Two writers can write at once, and \
                 lose each other's updates"
            );
            (LockSupport::Unreliable, DoctorCheck::fail("locks", message).next(USE_LOCAL_DISK))
        }
        Err(ProbeError::NoAnswer(reason)) => (LockSupport::Unreliable, no_answer("locks", reason)),
    };
    report.add(check)?;
    Ok(support)
}

/// Asks for a lock on the folder itself, for a folder in which this user can create no file.
pub(super) fn locks_without_writing(
    folder: &Path,
    report: &mut DoctorReport,
) -> io::Result<LockSupport> {
    let answer = ProbeProcess::start(folder).and_then(|mut process| process.ask("inspect"));
    let (support, check) = match answer {
        Ok(answer) => match answer.as_str() {
            "supported" => {
                let message = "this file system has kernel locks; whether they exclude can't be \
                               tried without a file";
                (LockSupport::Reliable, DoctorCheck::warn("locks", message))
            }
            "unsupported" => (LockSupport::Unsupported, unsupported("the system reports it")),
            answer => {
                let reason = failure_reason(answer);
                let message =
                    format!("whether this file system has kernel locks is not known: {reason}");
                (LockSupport::Unreliable, DoctorCheck::warn("locks", message))
            }
        },
        Err(reason) => (LockSupport::Unreliable, no_answer("locks", reason)),
    };
    report.add(check)?;
    Ok(support)
}

fn unsupported(error: &str) -> DoctorCheck {
    let message = format!(
        "this file system has no kernel locks ({error}): registries go on with the lockfile \
         alone, which is weaker (a holder on another host is judged by age); documents can be read \
         but not written, and lock files fail with UNSUPPORTED_FILE_SYSTEM"
    );
    DoctorCheck::fail("locks", message).next(USE_LOCAL_DISK)
}

fn no_answer(name: &'static str, reason: NoAnswer) -> DoctorCheck {
    match reason {
        NoAnswer::TimedOut => {
            let message = format!(
                "no answer within {} s: every program that makes this call on this file system may \
                 hang",
                ANSWER_TIMEOUT.as_secs()
            );
            DoctorCheck::fail(name, message).next(
                "check the server of the network file system, or keep the file on a local disk",
            )
        }
        NoAnswer::NotStarted(error) => {
            let message = format!("could not be tried: this program can't start itself: {error}");
            DoctorCheck::fail(name, message).next(if cfg!(target_os = "linux") {
                "mount /proc, which tells where the program is, let this user start it, and run doctor again"
            } else {
                "let this user start the program, and run doctor again"
            })
        }
        NoAnswer::Ended(reason) => DoctorCheck::fail(name, format!("could not be tried: {reason}"))
            .next("run doctor again"),
    }
}

/// The numbers of the errors for a full disk and for a quota that is used up, as they are printed.
const DISK_FULL_ERRORS: &[&str] = if cfg!(windows) {
    &["(os error 112)", "(os error 39)", "(os error 1295)"]
} else if cfg!(target_os = "linux") {
    &["(os error 28)", "(os error 122)"]
} else {
    &["(os error 28)", "(os error 69)"]
};

fn is_disk_full(answer: &str) -> bool {
    DISK_FULL_ERRORS.iter().any(|error| answer.contains(error))
}

/// A full disk tells nothing about what the file system can do when there is room.
fn disk_full(name: &'static str, answer: &str) -> DoctorCheck {
    let message = format!(
        "could not be tried: the disk is full, or this user's quota is used up ({}). Updates fail, \
         and leave the old file",
        failure_reason(answer)
    );
    DoctorCheck::fail(name, message).next("make room, and run doctor again")
}

/// The reason in the answer of a probe process.
fn failure_reason(answer: &str) -> &str {
    answer.strip_prefix("failed ").unwrap_or(answer)
}

/// Why a test in the probe folder did not pass.
enum ProbeError {
    Unsupported(String),
    Failed(String),
    NoAnswer(NoAnswer),
}

impl From<NoAnswer> for ProbeError {
    fn from(reason: NoAnswer) -> Self {
        ProbeError::NoAnswer(reason)
    }
}

fn try_locks(folder: &Path) -> Result<(), ProbeError> {
    let (mut first, mut second) = (ProbeProcess::start(folder)?, ProbeProcess::start(folder)?);
    let expect = |process: &mut ProbeProcess, request: &str, expected: &str, otherwise: &str| {
        let answer = process.ask(request)?;
        let (word, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
        match word {
            word if word == expected => Ok(()),
            "unsupported" => Err(ProbeError::Unsupported(rest.to_owned())),
            "failed" => Err(ProbeError::Failed(rest.to_owned())),
            _ => Err(ProbeError::Failed(otherwise.to_owned())),
        }
    };
    let not_free = "a lock that no process holds can't be taken";
    let writers = "while one process held the lock exclusively, another got it exclusively, too";
    let reader = "while one process held the lock exclusively, another got it shared";
    let not_shared = "while one process held the lock shared, another could not share it";
    let writer = "while two processes held the lock shared, one of them got it exclusively";
    let within = "while one handle of a process held the lock exclusively, another handle of the \
                  same process got it, too";
    let not_after_death = "the lock of a killed process was not free after its death";
    for turn in 0..2 {
        let (holder, other) = match turn {
            0 => (&mut first, &mut second),
            _ => (&mut second, &mut first),
        };
        expect(holder, "exclusive", "held", not_free)?;
        expect(other, "exclusive", "busy", writers)?;
        expect(other, "shared", "busy", reader)?;
        expect(holder, "exclusive", "busy", within)?;
        expect(holder, "shared", "busy", within)?;
        expect(holder, "release", "released", not_free)?;
        expect(holder, "shared", "held", not_free)?;
        expect(other, "shared", "held", not_shared)?;
        expect(other, "exclusive", "busy", writer)?;
        expect(holder, "release", "released", not_free)?;
        expect(other, "release", "released", not_free)?;
    }
    expect(&mut first, "exclusive", "held", not_free)?;
    first.kill()?;
    expect(&mut second, "exclusive", "held", not_after_death)
}

/// Tests whether a reader ever finds less than a whole version of a file that is being replaced.
pub(super) fn rename(probe: &ProbeFolder, report: &mut DoctorReport) -> io::Result<()> {
    let check = match replace_and_read(probe.path()) {
        Ok((replacements, reads)) => {
            let message = format!(
                "a reader sees the old file or the new one: {replacements} replacements, {reads} \
                 reads"
            );
            DoctorCheck::ok("rename", message)
        }
        Err(ProbeError::NoAnswer(reason)) => no_answer("rename", reason),
        Err(ProbeError::Failed(reason) | ProbeError::Unsupported(reason)) => {
            if is_disk_full(&reason) {
                disk_full("rename", &reason)
            } else {
                let message = format!(
                    "replacing a file is not atomic here: {reason}. A reader can find such a file, \
                     and so can a process after a crash"
                );
                DoctorCheck::fail("rename", message).next(USE_LOCAL_DISK)
            }
        }
    };
    report.add(check)
}

/// A probe process replaces a file over and over while this process reads it.
fn replace_and_read(folder: &Path) -> Result<(u32, u32), ProbeError> {
    let mut process = ProbeProcess::start(folder)?;
    let file = ProbeFiles::new(folder).replaced();
    let (mut replacements, mut reads, mut defect) = (0, 0, None);
    let mut last_progress = Instant::now();
    let expect_done = |answer: String| match answer.as_str() {
        "done" => Ok(()),
        answer => Err(ProbeError::Failed(failure_reason(answer).to_owned())),
    };
    expect_done(process.ask("replace 1")?)?;
    while replacements < MIN_REPLACEMENTS || reads < MIN_READS {
        let answer = process.ask_while(&format!("replace {REPLACEMENTS_PER_REQUEST}"), || {
            reads += 1;
            defect = defect.take().or_else(|| find_defect(&file));
        })?;
        expect_done(answer)?;
        if let Some(defect) = defect {
            return Err(ProbeError::Failed(defect));
        }
        replacements += REPLACEMENTS_PER_REQUEST;
        if last_progress.elapsed() > Duration::from_secs(1) && io::stderr().is_terminal() {
            last_progress = Instant::now();
            // The progress is for a person alone: that it can't be printed is no reason to stop.
            let _ = writeln!(io::stderr(), "... {replacements} of {MIN_REPLACEMENTS} replacements");
        }
    }
    Ok((replacements, reads))
}

/// What is wrong with the file that a reader finds, if anything is.
fn find_defect(file: &Path) -> Option<String> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        // Windows refuses readers for the moment in which a file is replaced.
        Err(error) if cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied => {
            return None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some("the file was missing for a moment".to_owned())
        }
        Err(error) => return Some(format!("the file could not be read for a moment ({error})")),
    };
    if bytes.len() != REPLACED_FILE_SIZE {
        let length = bytes.len();
        return Some(format!(
            "the file had {length} of its {REPLACED_FILE_SIZE} bytes for a moment"
        ));
    }
    let first = bytes.first().filter(|byte| FILL_BYTES.contains(byte));
    let is_whole = first.is_some_and(|first| bytes.iter().all(|byte| byte == first));
    (!is_whole).then(|| "the file was a mix of two versions for a moment".to_owned())
}

/// Tests whether data and names can be made to reach the disk.
pub(super) fn fsync(probe: &ProbeFolder, report: &mut DoctorReport) -> io::Result<()> {
    let answers = ProbeProcess::start(probe.path())
        .and_then(|mut process| Ok((process.ask("sync-file")?, process.ask("sync-folder")?)));
    let (file, folder) = match answers {
        Ok(answers) => answers,
        Err(reason) => return report.add(no_answer("fsync", reason)),
    };
    let failed = |what: &str, answer: &str| {
        let reason = failure_reason(answer);
        if is_disk_full(reason) {
            return disk_full("fsync", reason);
        }
        let message = format!("{what} can't be synced ({reason}): every durable update fails");
        DoctorCheck::fail("fsync", message).next(
            "look for errors of the disk in the system's log; where durability is not wanted, \
             write with `durable` off",
        )
    };
    report.add(match (file.as_str(), folder.as_str()) {
        ("done", "done") => DoctorCheck::ok(
            "fsync",
            "file and folder can be synced, so updates survive a power failure",
        ),
        ("done", answer) => match answer.strip_prefix("unsupported ") {
            Some(reason) => DoctorCheck::warn(
                "fsync",
                format!(
                    "files can be synced, the folder can't ({reason}): a power failure may undo \
                     the last update, but the file stays whole"
                ),
            ),
            None => failed("the folder", answer),
        },
        (answer, _) => failed("a file", answer),
    })
}

/// Tests whether files can have two names, and says what follows for the lockfile.
pub(super) fn links(probe: &ProbeFolder, report: &mut DoctorReport) -> io::Result<()> {
    let answer = ProbeProcess::start(probe.path()).and_then(|mut process| process.ask("link"));
    report.add(match answer {
        Err(reason) => no_answer("links", reason),
        Ok(answer) => match answer.as_str() {
            "done" if cfg!(windows) => DoctorCheck::ok(
                "links",
                "files can have two names; a registry's lockfile is a file of its own",
            ),
            "done" => DoctorCheck::ok(
                "links",
                "files can have two names: a registry's lockfile is a second name of its guard",
            ),
            answer if is_disk_full(answer) => disk_full("links", answer),
            answer => DoctorCheck::warn(
                "links",
                format!(
                    "files can't have two names ({}): a registry's lockfile is a file of its own, \
                     and if its holder is killed while it creates the lockfile, other processes \
                     wait until that lockfile is stale",
                    failure_reason(answer)
                ),
            ),
        },
    })
}
