//! What a probe process does: it reads requests, one a line, and answers each with one line.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use argus_registry::{inspect_lock_file, try_lock_exclusive, try_lock_shared, Error, KernelLock};

use crate::cli::exit::{CommandError, Exit};

/// The size in bytes of the file that is replaced: several pages, so that a partial write shows.
pub(super) const REPLACED_FILE_SIZE: usize = 16 * 4096;
/// Each version of that file consists of one of these bytes, in turn, so that a mix shows.
pub(super) const FILL_BYTES: [u8; 2] = *b"ab";

/// How often a replacement is tried again that Windows refuses while another process reads the
/// file.
const MAX_RENAME_RETRIES: u32 = 10_000;

/// The paths of the files in the probe folder that the doctor and its probe processes share.
pub(super) struct ProbeFiles {
    folder: PathBuf,
}

impl ProbeFiles {
    pub(super) fn new(folder: &Path) -> Self {
        ProbeFiles { folder: folder.to_path_buf() }
    }

    /// Spells names as [`ProbeFolder::file`](argus_registry::ProbeFolder::file) does, which needs
    /// the value that only the doctor has. Files of other names would stay when the folder is
    /// removed.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("probe-{name}"))
    }

    pub(super) fn replaced(&self) -> PathBuf {
        self.file("replaced")
    }
}

/// Answers the doctor's requests until the doctor closes the pipe.
pub(crate) fn probe(args: &[OsString]) -> Result<Exit, CommandError> {
    let [folder] = args else {
        let message = "doctor-probe is a command that only doctor starts";
        return Err(CommandError::new(Exit::Usage, message).next("run doctor"));
    };
    let files = ProbeFiles::new(Path::new(folder));
    let mut worker = ProbeWorker { files, held: Vec::new(), version: 0 };
    for request in io::stdin().lock().lines() {
        let answer = worker.answer(&request?);
        // It fails if the doctor has ended, and then this process ends, too.
        writeln!(io::stdout(), "{}", answer.replace('\n', " "))?;
        io::stdout().flush()?;
    }
    Ok(Exit::Success)
}

struct ProbeWorker {
    files: ProbeFiles,
    held: Vec<KernelLock>,
    /// How often the file was replaced.
    version: usize,
}

impl ProbeWorker {
    fn answer(&mut self, request: &str) -> String {
        let (verb, count) = request.split_once(' ').unwrap_or((request, ""));
        match verb {
            "exclusive" => self.keep(try_lock_exclusive(self.files.file("lock"))),
            "shared" => self.keep(try_lock_shared(self.files.file("lock"))),
            "release" => {
                self.held.clear();
                "released".to_owned()
            }
            "inspect" => self.inspect(),
            "replace" => done(count.parse().map_or(Ok(()), |count| self.replace(count))),
            "sync-file" => done(self.sync_file()),
            "sync-folder" => sync_folder(&self.files.folder),
            "link" => done(self.link()),
            _ => format!("failed unknown request {verb}"),
        }
    }

    fn inspect(&self) -> String {
        match inspect_lock_file(self.files.file("lock")).map(|status| status.kernel_locks) {
            Ok(Some(true)) => "supported".to_owned(),
            Ok(Some(false)) => "unsupported".to_owned(),
            Ok(None) => "unknown".to_owned(),
            Err(error) => format!("failed {error}"),
        }
    }

    fn keep(&mut self, locked: Result<KernelLock, Error>) -> String {
        match locked {
            Ok(lock) => {
                self.held.push(lock);
                "held".to_owned()
            }
            Err(Error::LockBusy { .. }) => "busy".to_owned(),
            Err(Error::UnsupportedFileSystem { source, .. }) => format!("unsupported {source}"),
            Err(error) => format!("failed {error}"),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the doctor tests the system's own rename")]
    fn replace(&mut self, count: u32) -> io::Result<()> {
        let (temp, target) = (self.files.file("next"), self.files.replaced());
        for _ in 0..count {
            self.version += 1;
            File::create(&temp)?
                .write_all(&[FILL_BYTES[self.version % FILL_BYTES.len()]; REPLACED_FILE_SIZE])?;
            let mut retries = 0;
            loop {
                match fs::rename(&temp, &target) {
                    Err(error)
                        if cfg!(windows)
                            && error.kind() == io::ErrorKind::PermissionDenied
                            && retries < MAX_RENAME_RETRIES =>
                    {
                        retries += 1;
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
        file.write_all(&[FILL_BYTES[0]; REPLACED_FILE_SIZE])?;
        file.sync_all()
    }

    #[allow(clippy::disallowed_methods, reason = "the doctor tests the system's own link")]
    fn link(&self) -> io::Result<()> {
        let (first, second) = (self.files.file("first-name"), self.files.file("second-name"));
        File::create(&first)?.write_all(b"one")?;
        fs::hard_link(&first, &second)?;
        File::create(&first)?.write_all(b"two")?;
        match &fs::read(&second)?[..] {
            b"two" => Ok(()),
            _ => Err(io::Error::other("the second name names another file")),
        }
    }
}

fn done(result: io::Result<()>) -> String {
    match result {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("failed {error}"),
    }
}

/// Syncs the folder. An error that the library ignores (file systems without this call keep the
/// names in order without it) is "unsupported", and no failure.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> String {
    use rustix::io::Errno;
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    let unsupported =
        [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::BADF, Errno::ACCESS];
    match &synced {
        Err(error)
            if Errno::from_io_error(error).is_some_and(|error| unsupported.contains(&error)) =>
        {
            format!("unsupported {error}")
        }
        _ => done(synced),
    }
}

/// Windows has no call to wait for; NTFS journals names by itself.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> String {
    "done".to_owned()
}
