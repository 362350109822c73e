//! The checks, each with its verdict in words.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use argus_registry::ProbeFolder;

use super::helper::{Helper, Silence, PATIENCE};
use super::probe::{Files, LETTERS, SIZE};
use super::report::{Check, Report};

/// How often the file is replaced, and how often it has to have been read meanwhile.
const REPLACEMENTS: u32 = 300;
const READS: u32 = 300;
/// Each batch has to be done within the patience for one answer, on slow file systems too.
const BATCH: u32 = 20;

const LOCAL_DISK: &str = "keep the file on a local disk, and see docs/operations.md";

/// What can be expected of kernel locks here.
pub(super) enum Locks {
    Work,
    /// There are none, and everybody is told so.
    Unsupported,
    /// They lie, or never answer.
    Broken,
}

/// Locks, between two processes, within one, and after a death.
pub(super) fn locks(probe: &ProbeFolder, report: &mut Report) -> io::Result<Locks> {
    let (locks, check) = match try_locks(probe.path()) {
        Ok(()) => {
            let message = "processes exclude each other, and so do two handles in one process; \
                           readers go together; a killed process's lock is free at once";
            (Locks::Work, Check::ok("locks", message))
        }
        Err(Flaw::Unsupported(error)) => (Locks::Unsupported, unsupported(&error)),
        Err(Flaw::Wrong(what)) if is_full(&what) => (Locks::Broken, full("locks", &what)),
        Err(Flaw::Wrong(what)) => {
            let message = format!(
                "kernel locks can't be relied on here: {what}. Two writers can be at work at once \
                 and lose each other's updates"
            );
            (Locks::Broken, Check::fail("locks", message).next(LOCAL_DISK))
        }
        Err(Flaw::Silent(silence)) => (Locks::Broken, silent("locks", silence)),
    };
    report.add(check)?;
    Ok(locks)
}

/// Where nothing can be made: by asking for a lock on the folder itself.
pub(super) fn locks_by_looking(folder: &Path, report: &mut Report) -> io::Result<Locks> {
    let looked = Helper::start(folder).and_then(|mut helper| helper.ask("look"));
    let (locks, check) = match looked.as_deref() {
        Ok("locks") => {
            let message = "this file system has kernel locks; whether they exclude can't be tried \
                           without a file";
            (Locks::Work, Check::warn("locks", message))
        }
        Ok("unsupported") => (Locks::Unsupported, unsupported("it says so")),
        Ok(answer) => {
            let why = answer.strip_prefix("failed ").unwrap_or(answer);
            let message = format!("whether this file system has kernel locks is not known: {why}");
            (Locks::Broken, Check::warn("locks", message))
        }
        Err(_) => {
            let silence = looked.expect_err("it is one");
            (Locks::Broken, silent("locks", silence))
        }
    };
    report.add(check)?;
    Ok(locks)
}

fn unsupported(error: &str) -> Check {
    let message = format!(
        "this file system has no kernel locks ({error}): registries go on with the lockfile \
         alone, which is weaker (a holder on another host is judged by age); documents can be read \
         but not written, and lock files fail with UNSUPPORTED_FILE_SYSTEM"
    );
    Check::fail("locks", message).next(LOCAL_DISK)
}

fn silent(check: &'static str, silence: Silence) -> Check {
    match silence {
        Silence::Hangs => {
            let message = format!(
                "no answer within {} s: every program that asks the same of this file system may \
                 hang",
                PATIENCE.as_secs()
            );
            Check::fail(check, message).next(
                "check the server of the network file system, or keep the file on a local disk",
            )
        }
        Silence::Ended(why) => {
            Check::fail(check, format!("could not be tried: {why}")).next("run doctor again")
        }
    }
}

/// What systems call a full disk, or one on which a user has used up his share.
const FULL: &[&str] = if cfg!(windows) {
    &["(os error 112)", "(os error 39)", "(os error 1295)"]
} else if cfg!(target_os = "linux") {
    &["(os error 28)", "(os error 122)"]
} else {
    &["(os error 28)", "(os error 69)"]
};

fn is_full(answer: &str) -> bool {
    FULL.iter().any(|error| answer.contains(error))
}

/// It tells nothing of what could be done if there were room.
fn full(check: &'static str, answer: &str) -> Check {
    let why = answer.strip_prefix("failed ").unwrap_or(answer);
    let message = format!(
        "could not be tried: the disk is full, or this user's share of it ({why}). Updates fail, \
         and leave the old file"
    );
    Check::fail(check, message).next("make room, and run doctor again")
}

enum Flaw {
    Unsupported(String),
    Wrong(String),
    Silent(Silence),
}

impl From<Silence> for Flaw {
    fn from(silence: Silence) -> Self {
        Flaw::Silent(silence)
    }
}

fn try_locks(folder: &Path) -> Result<(), Flaw> {
    let (mut first, mut second) = (Helper::start(folder)?, Helper::start(folder)?);
    let after = |helper: &mut Helper, question: &str, expected: &str, if_not: &str| {
        let answer = helper.ask(question)?;
        let (word, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
        match word {
            word if word == expected => Ok(()),
            "unsupported" => Err(Flaw::Unsupported(rest.to_owned())),
            "failed" => Err(Flaw::Wrong(rest.to_owned())),
            _ => Err(Flaw::Wrong(if_not.to_owned())),
        }
    };
    let not_free = "a lock that nobody holds can't be had";
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
        after(holder, "exclusive", "held", not_free)?;
        after(other, "exclusive", "busy", writers)?;
        after(other, "shared", "busy", reader)?;
        after(holder, "exclusive", "busy", within)?;
        after(holder, "shared", "busy", within)?;
        after(holder, "release", "released", not_free)?;
        after(holder, "shared", "held", not_free)?;
        after(other, "shared", "held", not_shared)?;
        after(other, "exclusive", "busy", writer)?;
        after(holder, "release", "released", not_free)?;
        after(other, "release", "released", not_free)?;
    }
    after(&mut first, "exclusive", "held", not_free)?;
    first.kill()?;
    after(&mut second, "exclusive", "held", not_after_death)
}

/// A process replaces a file over and over while this one reads it.
pub(super) fn rename(probe: &ProbeFolder, report: &mut Report) -> io::Result<()> {
    let check = match replace_and_read(probe.path()) {
        Ok((replaced, reads)) => Check::ok(
            "rename",
            format!(
                "a reader sees the old file or the new one: {replaced} replacements, {reads} reads"
            ),
        ),
        Err(Flaw::Silent(silence)) => silent("rename", silence),
        Err(Flaw::Wrong(what) | Flaw::Unsupported(what)) if is_full(&what) => full("rename", &what),
        Err(Flaw::Wrong(what) | Flaw::Unsupported(what)) => {
            let message = format!(
                "replacing a file is not atomic here: {what}. Readers, and a crash, can find such \
                 a file"
            );
            Check::fail("rename", message).next(LOCAL_DISK)
        }
    };
    report.add(check)
}

fn replace_and_read(folder: &Path) -> Result<(u32, u32), Flaw> {
    let mut helper = Helper::start(folder)?;
    let file = Files::new(folder).replaced();
    let (mut replaced, mut reads, mut flaw) = (0, 0, None);
    let mut told = Instant::now();
    let expect_done = |answer: String| match answer.as_str() {
        "done" => Ok(()),
        other => Err(Flaw::Wrong(other.strip_prefix("failed ").unwrap_or(other).to_owned())),
    };
    expect_done(helper.ask("replace 1")?)?;
    while replaced < REPLACEMENTS || reads < READS {
        let answer = helper.ask_while(&format!("replace {BATCH}"), || {
            reads += 1;
            flaw = flaw.take().or_else(|| flaw_of(&file));
        })?;
        expect_done(answer)?;
        if let Some(flaw) = flaw {
            return Err(Flaw::Wrong(flaw));
        }
        replaced += BATCH;
        if told.elapsed() > Duration::from_secs(1) && io::stderr().is_terminal() {
            told = Instant::now();
            // Nobody to tell it to is no reason to stop.
            let _ = writeln!(io::stderr(), "... {replaced} of {REPLACEMENTS} replacements");
        }
    }
    Ok((replaced, reads))
}

/// What is wrong with the file that a reader finds, if anything is.
fn flaw_of(file: &Path) -> Option<String> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        // Windows lets nobody in for the moment in which a file is replaced.
        Err(error) if cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied => {
            return None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some("the file was missing for a moment".to_owned())
        }
        Err(error) => return Some(format!("the file could not be read for a moment ({error})")),
    };
    let first = bytes.first().copied().filter(|letter| LETTERS.contains(letter));
    if bytes.len() != SIZE {
        return Some(format!("the file had {} of its {SIZE} bytes for a moment", bytes.len()));
    }
    let whole = first.is_some_and(|first| bytes.iter().all(|byte| *byte == first));
    (!whole).then(|| "the file was a mix of two versions for a moment".to_owned())
}

/// Whether data and names can be made to reach the disk.
pub(super) fn fsync(probe: &ProbeFolder, report: &mut Report) -> io::Result<()> {
    let answers = Helper::start(probe.path())
        .and_then(|mut helper| Ok((helper.ask("sync-file")?, helper.ask("sync-folder")?)));
    let (file, folder) = match answers {
        Ok(answers) => answers,
        Err(silence) => return report.add(silent("fsync", silence)),
    };
    let failed = |what: &str, answer: &str| {
        let why = answer.strip_prefix("failed ").unwrap_or(answer);
        if is_full(why) {
            return full("fsync", why);
        }
        let message = format!("{what} can't be synced ({why}): every durable update fails");
        Check::fail("fsync", message).next(
            "look for errors of the disk in the system's log; where durability is not wanted, \
             write with `durable` off",
        )
    };
    report.add(match (file.as_str(), folder.as_str()) {
        ("done", "done") => {
            Check::ok("fsync", "file and folder can be synced, so updates survive a power failure")
        }
        ("done", answer) => match answer.strip_prefix("unsupported ") {
            Some(why) => Check::warn(
                "fsync",
                format!(
                    "files can be synced, the folder can't ({why}): after a power failure the last \
                     update may be undone, but the file is whole"
                ),
            ),
            None => failed("the folder", answer),
        },
        (answer, _) => failed("a file", answer),
    })
}

/// Whether files can have two names, and what follows from it for the lockfile.
pub(super) fn links(probe: &ProbeFolder, report: &mut Report) -> io::Result<()> {
    let answer = Helper::start(probe.path()).and_then(|mut helper| helper.ask("link"));
    report.add(match answer.as_deref() {
        Err(_) => silent("links", answer.expect_err("it is one")),
        Ok("done") if cfg!(windows) => {
            Check::ok("links", "files can have two names; a registry's lockfile is a file of its own")
        }
        Ok("done") => Check::ok(
            "links",
            "files can have two names: a registry's lockfile is its guard under a second one",
        ),
        Ok(answer) if is_full(answer) => full("links", answer),
        Ok(answer) => Check::warn(
            "links",
            format!(
                "files can't have two names ({}): a registry's lockfile is a file of its own, and a \
                 holder that is killed while it makes it is waited for until the lockfile is stale",
                answer.strip_prefix("failed ").unwrap_or(answer)
            ),
        ),
    })
}
