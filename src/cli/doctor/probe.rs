//! The helper's side: reads what it is to do, a line each, and answers each with a line.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use argus_registry::{inspect_lock_file, try_lock_exclusive, try_lock_shared, Error, KernelLock};

use crate::exit::{Exit, Failure};

/// What is in the file that is replaced: several pages, all of one letter.
pub(super) const SIZE: usize = 16 * 4096;
pub(super) const LETTERS: [u8; 2] = *b"ab";

/// How often a replacement is tried again that Windows refuses while somebody reads the file.
const RETRIES: u32 = 10_000;

/// The names that the helpers and the doctor share.
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        Files { folder: folder.to_path_buf() }
    }

    /// As [`ProbeFolder::file`](argus_registry::ProbeFolder::file), which is the doctor's own.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("probe-{name}"))
    }

    pub(super) fn replaced(&self) -> PathBuf {
        self.file("replaced")
    }
}

pub(crate) fn probe(args: &[OsString]) -> Result<Exit, Failure> {
    let [folder] = args else {
        let message = "doctor-probe is what doctor starts";
        return Err(Failure::new(Exit::Usage, message).next("run doctor"));
    };
    let mut helper = Hands { files: Files::new(Path::new(folder)), held: Vec::new(), version: 0 };
    for question in io::stdin().lock().lines() {
        let answer = helper.answer(&question?);
        // Whoever asks is gone: so is the question.
        writeln!(io::stdout(), "{}", answer.replace('\n', " "))?;
        io::stdout().flush()?;
    }
    Ok(Exit::Fine)
}

struct Hands {
    files: Files,
    held: Vec<KernelLock>,
    version: usize,
}

impl Hands {
    fn answer(&mut self, question: &str) -> String {
        let (what, count) = question.split_once(' ').unwrap_or((question, ""));
        match what {
            "exclusive" => self.keep(try_lock_exclusive(self.files.file("lock"))),
            "shared" => self.keep(try_lock_shared(self.files.file("lock"))),
            "release" => {
                self.held.clear();
                "released".to_owned()
            }
            "look" => match inspect_lock_file(self.files.file("lock")).map(|it| it.kernel_locks) {
                Ok(Some(true)) => "locks".to_owned(),
                Ok(Some(false)) => "unsupported".to_owned(),
                Ok(None) => "unknown".to_owned(),
                Err(error) => format!("failed {error}"),
            },
            "replace" => done(count.parse().map_or(Ok(()), |count| self.replace(count))),
            "sync-file" => done(self.sync_file()),
            "sync-folder" => sync_folder(&self.files.folder),
            "link" => done(self.link()),
            _ => format!("failed unknown question {what}"),
        }
    }

    fn keep(&mut self, tried: Result<KernelLock, Error>) -> String {
        match tried {
            Ok(lock) => {
                self.held.push(lock);
                "held".to_owned()
            }
            Err(Error::LockBusy { .. }) => "busy".to_owned(),
            Err(Error::UnsupportedFileSystem { source, .. }) => format!("unsupported {source}"),
            Err(error) => format!("failed {error}"),
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "what the system's own rename does is the question"
    )]
    fn replace(&mut self, count: u32) -> io::Result<()> {
        let (temp, target) = (self.files.file("next"), self.files.replaced());
        for _ in 0..count {
            self.version += 1;
            File::create(&temp)?.write_all(&[LETTERS[self.version % LETTERS.len()]; SIZE])?;
            let mut tries = 0;
            loop {
                match fs::rename(&temp, &target) {
                    Err(error)
                        if cfg!(windows)
                            && error.kind() == io::ErrorKind::PermissionDenied
                            && tries < RETRIES =>
                    {
                        tries += 1;
                        std::thread::yield_now();
                    }
                    renamed => break renamed?,
                }
            }
        }
        Ok(())
    }

    fn sync_file(&self) -> io::Result<()> {
        let mut file = File::create(self.files.file("synced"))?;
        file.write_all(&[LETTERS[0]; SIZE])?;
        file.sync_all()
    }

    #[allow(clippy::disallowed_methods, reason = "what the system's own link does is the question")]
    fn link(&self) -> io::Result<()> {
        let (first, second) = (self.files.file("first-name"), self.files.file("second-name"));
        File::create(&first)?.write_all(b"one")?;
        fs::hard_link(&first, &second)?;
        File::create(&first)?.write_all(b"two")?;
        match &fs::read(&second)?[..] {
            b"two" => Ok(()),
            _ => Err(io::Error::other("the second name stands for another file")),
        }
    }
}

fn done(tried: io::Result<()>) -> String {
    match tried {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("failed {error}"),
    }
}

/// What the library makes of each failure: some file systems have no such call, and keep names in
/// order all the same.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> String {
    use rustix::io::Errno;
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    match &synced {
        Err(error)
            if matches!(
                Errno::from_io_error(error),
                Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::BADF | Errno::ACCESS)
            ) =>
        {
            format!("unsupported {error}")
        }
        _ => done(synced),
    }
}

/// NTFS journals names itself; there is no call to wait for it.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> String {
    "done".to_owned()
}
