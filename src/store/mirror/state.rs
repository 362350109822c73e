//! The files beside a mirrored registry file: the lock of the working mirror, and what it has copied.
//!
//! | path | what it is |
//! |---|---|
//! | `<file>.mirror` | carries the kernel lock of the mirror that works. Empty, and never deleted |
//! | `<file>.mirror.json` | what the mirror has copied. It is replaced as a whole, by the holder of that lock |
//! | `<file>.mirror.json.tmp` | the next such file, while it is written |

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::merge::{Content, Copied, Origin, WasMissing};
use crate::error::{Error, Result};
use crate::files::new_file;
use crate::files::paths::FilePaths;
use crate::folder::id::EntryId;
use crate::lock::file_lock::{self, KernelLock};
use crate::lock::kernel_lock::LockMode;
use crate::lock::wait::{LockOptions, Wait};
use crate::sys;
use crate::util::cancel::CancelToken;

/// The version of the state that this crate writes and reads.
const VERSION: u32 = 1;

/// The entries that a mirror has copied.
pub(super) type CopiedEntries = HashMap<EntryId, Copied>;

/// Where a mirror keeps what it knows.
#[derive(Debug, Clone)]
pub(crate) struct MirrorPaths {
    lock: PathBuf,
    state: PathBuf,
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    argus_registry_mirror: u32,
    /// The path of the store.
    source: String,
    entries: Vec<StateEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateEntry {
    id: Box<RawValue>,
    origin: Origin,
    content: Content,
    date: u64,
    is_made: bool,
    #[serde(default)]
    was_missing: WasMissing,
}

impl MirrorPaths {
    /// The paths beside a registry file. All paths of one file lead to one mirror's lock.
    pub(crate) fn of_file(file: &FilePaths) -> Self {
        let with = |ending: &str| {
            let mut path = OsString::from(&file.target);
            path.push(ending);
            PathBuf::from(path)
        };
        let (lock, state) = (with(".mirror"), with(".mirror.json"));
        MirrorPaths { lock, state, folder: file.folder.clone() }
    }

    /// The state's file if there is one: a mirror works on the registry file, or has worked on it.
    pub(crate) fn existing_state(&self) -> Option<&Path> {
        self.state.exists().then_some(&*self.state)
    }

    /// Waits until no other mirror works on the file.
    pub(super) fn lock(&self, token: &CancelToken) -> Result<KernelLock> {
        let options =
            LockOptions { timeout: None, cancel: Some(token.clone()), ..LockOptions::default() };
        let create = |path: &Path| match new_file::create(path, None) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                new_file::create_folder(&self.folder)?;
                new_file::create(path, None)
            }
            created => created,
        };
        file_lock::lock(&self.lock, LockMode::Exclusive, &Wait::start(&options), create)
    }

    /// Reads what an earlier mirror of this source has copied. A state that can't be parsed, which a power
    /// failure may leave, counts as none: entries that were removed meanwhile come back then, and none is
    /// lost.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the file is the mirror of another store: what that one copied would be
    /// taken for removed from this one.
    pub(super) fn read(&self, source: &Path) -> Result<CopiedEntries> {
        let bytes = match fs::read(&self.state) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
            read => read.map_err(|error| Error::from_io(&self.state, "read", error))?,
        };
        let Ok(state) = serde_json::from_slice::<State>(&bytes) else { return Ok(HashMap::new()) };
        if state.argus_registry_mirror != VERSION {
            let (path, found) = (self.state.clone(), state.argus_registry_mirror.to_string());
            return Err(Error::UnsupportedVersion { path, found, expected: VERSION });
        }
        if is_another(&state.source, source) {
            let reason = format!(
                "it is what a mirror of {} has copied, and not one of {}; mirror to another file, or delete \
                 this one if that mirror is not used any more",
                state.source,
                source.display()
            );
            return Err(Error::InvalidValue { path: self.state.clone(), reason });
        }
        let entries = state.entries.into_iter().map(|entry| {
            let StateEntry { id, origin, content, date, is_made, was_missing } = entry;
            let copied = Copied { origin, content, date, is_made, was_missing };
            (EntryId::of_json(id.get()), copied)
        });
        Ok(entries.collect())
    }

    /// Replaces the state. It is not synced to the disk: after a power failure an older one is as good as
    /// none.
    pub(super) fn write(&self, source: &Path, copied: &CopiedEntries) -> Result<()> {
        let entries = copied.iter().map(|(id, copied)| {
            let Copied { origin, content, date, is_made, was_missing } = *copied;
            StateEntry { id: id.to_json(), origin, content, date, is_made, was_missing }
        });
        let source = identity_of(source);
        let state = State { argus_registry_mirror: VERSION, source, entries: entries.collect() };
        let text = serde_json::to_vec(&state).expect("a state serialises");
        let mut temp = OsString::from(&self.state);
        temp.push(".tmp");
        let temp = PathBuf::from(temp);
        let written = || -> io::Result<()> {
            // An earlier mirror may have died while it wrote. Only the holder of the lock writes it.
            sys::remove_if_there(&temp)?;
            let file = new_file::create(&temp, None)?;
            sys::write_start(&file, &text)?;
            sys::rename(&temp, &self.state)
        };
        written().map_err(|error| Error::from_io(&self.state, "write", error))
    }
}

/// How the state names a store.
fn identity_of(source: &Path) -> String {
    if is_address(source) {
        return source.to_string_lossy().into_owned();
    }
    let real = sys::canonicalize(source).or_else(|_| path::absolute(source));
    let real: PathBuf = real.unwrap_or_else(|_| source.to_path_buf()).components().collect();
    real.to_string_lossy().into_owned()
}

fn is_address(source: &Path) -> bool {
    source.to_string_lossy().contains("://")
}

/// Whether a store is certainly not the one that the state names. Another container may have mounted the
/// folder at another path, which is not there in this one.
fn is_another(named: &str, source: &Path) -> bool {
    let is_same = identity_of(source) == named;
    let can_tell = is_address(source) || is_address(named.as_ref()) || Path::new(named).exists();
    !is_same && can_tell
}
