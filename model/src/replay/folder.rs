//! The real folder as the model sees it: which model's name and inode each real one is.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::configuration::{Files, DEAD};
use crate::file_system::{Content, Ino, Name, Pid, Updates};
use crate::state::State;

const REGISTRY: &str = "registry.json";
const OLDER_TEMP: &str = "older.";

/// A folder of one replay, which is deleted when this is dropped.
pub struct Folder {
    path: PathBuf,
    /// The temp files that are known.
    temps: BTreeMap<String, Name>,
    inodes: HashMap<Ino, u64>,
    /// Without kernel locks the guard stays empty.
    is_guard_used: bool,
}

impl Folder {
    /// In memory where that is possible: a disk would be waited for at each sync.
    pub fn create(files: Files) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("argus-replay-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a folder can be created");
        let empty = "{\n  \"version\": 1,\n  \"updatedAt\": 0,\n  \"watchers\": {}\n}";
        let (temps, inodes) = (BTreeMap::new(), HashMap::new());
        let folder = Folder { path, temps, inodes, is_guard_used: files.kernel_locks };
        folder.write(REGISTRY, empty);
        folder
    }

    pub fn registry(&self) -> PathBuf {
        self.path.join(REGISTRY)
    }

    pub fn at(&self, name: Name) -> PathBuf {
        let fixed = match name {
            Name::Guard => "registry.json.guard".to_owned(),
            Name::Lockfile => "registry.json.lock".to_owned(),
            Name::Registry => REGISTRY.to_owned(),
            Name::OlderTemp(pid) => format!("{OLDER_TEMP}{pid}"),
            other => panic!("{other:?} has no name that is known before"),
        };
        self.path.join(fixed)
    }

    #[allow(clippy::disallowed_methods, reason = "what an older argus does")]
    fn write(&self, name: &str, content: &str) {
        fs::write(self.path.join(name), content).expect("a file can be written");
    }

    /// Writes a temp file as an older argus does: what it has read, and its own updates.
    pub fn write_updates(&self, name: Name, updates: Updates) {
        let entries: Vec<String> = (0..16)
            .filter(|bit| updates & (1 << bit) != 0)
            .map(|bit| format!("\n    \"{}\": {{\"id\": \"{0}\"}}", entry(bit)))
            .collect();
        let text = format!(
            "{{\n  \"version\": 1,\n  \"updatedAt\": 0,\n  \"watchers\": {{{}\n  }}\n}}",
            entries.join(",")
        );
        let path = self.at(name);
        self.write(path.file_name().and_then(|name| name.to_str()).expect("it has one"), &text);
    }

    /// Whether the folder is as a state says. `pids` are the real numbers of the model's processes; `ahead` is
    /// one that waits in the kernel, and may have got a lock that the model still calls free.
    pub fn compare(
        &mut self,
        state: &State,
        pids: &HashMap<Pid, u32>,
        ahead: &[Pid],
    ) -> Result<(), String> {
        let mut real = BTreeMap::new();
        for found in fs::read_dir(&self.path).expect("the folder can be read") {
            let found = found.expect("the folder can be read");
            let name = found.file_name().into_string().expect("its name is text");
            real.insert(name, found.metadata().expect("no process is at work").ino());
        }
        self.pair_names(state, &real)?;
        for (name, ino) in state.fs.names() {
            let (text, number) = &self
                .real_name(*name)
                .and_then(|text| Some((text.clone(), *real.get(&text)?)))
                .ok_or_else(|| format!("there is no {name:?}"))?;
            let known = *self.inodes.entry(*ino).or_insert(*number);
            if known != *number {
                return Err(format!("{name:?} is another file than in the model"));
            }
            self.compare_content(*name, text, state.fs.inode(*ino).content, pids)?;
        }
        let numbers: Vec<u64> =
            state.fs.inos().filter_map(|ino| self.inodes.get(&ino).copied()).collect();
        let distinct: std::collections::HashSet<&u64> = numbers.iter().collect();
        if distinct.len() != numbers.len() {
            return Err("two files of the model are one".to_owned());
        }
        // The kernel hands out the table of all locks in pieces. If another program releases a lock between two
        // pieces, a lock behind it may be missing.
        let compared = || self.compare_locks(state, pids, ahead);
        (1..LOCK_TABLE_READS).find_map(|_| compared().ok()).map_or_else(compared, Ok)
    }

    /// Finds the model's name of a temp file that has just appeared, and forgets those that are gone.
    fn pair_names(&mut self, state: &State, real: &BTreeMap<String, u64>) -> Result<(), String> {
        self.temps.retain(|text, _| real.contains_key(text));
        let fixed = [Name::Guard, Name::Lockfile, Name::Registry];
        let is_fixed = |text: &String| {
            fixed.iter().any(|name| self.at(*name).ends_with(text)) || text.starts_with(OLDER_TEMP)
        };
        let appeared: Vec<&String> =
            real.keys().filter(|text| !is_fixed(text) && !self.temps.contains_key(*text)).collect();
        let temps = state.fs.names().iter().map(|(name, _)| *name).filter(|name| name.is_temp());
        let expected: Vec<Name> =
            temps.filter(|name| !self.temps.values().any(|known| known == name)).collect();
        match (appeared.as_slice(), expected.as_slice()) {
            ([], []) => {}
            ([text], [name]) => _ = self.temps.insert((*text).clone(), *name),
            _ => return Err(format!("there are the new files {appeared:?} for {expected:?}")),
        }
        let is_in_model = |name: Name| state.fs.at(name).is_some();
        if let Some((text, name)) = self.temps.iter().find(|(_, name)| !is_in_model(**name)) {
            return Err(format!("{text}, which is {name:?}, is still there"));
        }
        for name in fixed.into_iter().filter(|name| !is_in_model(*name)) {
            if self.at(name).exists() {
                return Err(format!("there is a {name:?}"));
            }
        }
        Ok(())
    }

    fn real_name(&self, name: Name) -> Option<String> {
        if name.is_temp() {
            return self.temps.iter().find(|(_, at)| **at == name).map(|(text, _)| text.clone());
        }
        let path = self.at(name);
        path.file_name().and_then(|text| text.to_str()).map(str::to_owned)
    }

    fn compare_content(
        &self,
        name: Name,
        text: &str,
        content: Content,
        pids: &HashMap<Pid, u32>,
    ) -> Result<(), String> {
        if name == Name::Guard && !self.is_guard_used {
            return Ok(());
        }
        let bytes = fs::read(self.path.join(text)).expect("it can be read");
        let real = String::from_utf8_lossy(&bytes);
        let is_equal = match content {
            Content::Empty => real.is_empty(),
            Content::Updates(updates) => read_updates(&real) == Some(updates),
            Content::Record(record) => {
                pids.get(&record.pid).is_some_and(|pid| real.contains(&format!("\"pid\":{pid},")))
            }
        };
        match is_equal {
            true => Ok(()),
            false => Err(format!("in {name:?} is not {content:?}, but {:?}", real.trim_end())),
        }
    }

    fn compare_locks(
        &self,
        state: &State,
        pids: &HashMap<Pid, u32>,
        ahead: &[Pid],
    ) -> Result<(), String> {
        let held = kernel_locks();
        for ino in state.fs.inos() {
            let Some(number) = self.inodes.get(&ino) else { continue };
            let owner = |pid: &u32| pids.iter().find(|(_, real)| *real == pid).map(|(pid, _)| *pid);
            let real = held.iter().find(|lock| lock.inode == *number && !lock.waits);
            let real = real.and_then(|lock| owner(&lock.pid));
            let is_ahead = real.is_some_and(|pid| ahead.contains(&pid));
            let modelled = state.fs.inode(ino).locked_by;
            if real != modelled && !(modelled.is_none() && is_ahead) {
                return Err(format!("file {ino} is locked by {real:?}, not by {modelled:?}"));
            }
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The id of the entry that stands for an update.
fn entry(bit: u8) -> String {
    format!("{}{}", char::from(b'a' + bit / 2), bit % 2)
}

/// The name under which a process enters its updates.
pub fn process_name(pid: Pid) -> String {
    if pid == DEAD {
        return "dead".to_owned();
    }
    char::from(b'a' + pid).to_string()
}

/// The updates in a registry's text; `None` if it is cut.
fn read_updates(text: &str) -> Option<Updates> {
    let bits = (0..16).filter(|bit| text.contains(&format!("\"{}\":", entry(*bit))));
    text.ends_with('}').then(|| bits.fold(0, |bits, bit| bits | 1 << bit))
}

/// How often the table of locks is read before it counts as another than the model's.
const LOCK_TABLE_READS: u32 = 100;

struct KernelLock {
    pid: u32,
    inode: u64,
    waits: bool,
}

/// The exclusive locks of `flock` that are held or waited for.
fn kernel_locks() -> Vec<KernelLock> {
    let text = fs::read_to_string("/proc/locks").expect("Linux lists its locks");
    let locks = text.lines().filter_map(|line| {
        let waits = line.contains("-> ");
        let line = line.replace("-> ", "");
        let mut fields = line.split_whitespace().skip(1);
        if fields.next() != Some("FLOCK") || fields.nth(1) != Some("WRITE") {
            return None;
        }
        let pid = fields.next()?.parse().ok()?;
        let inode = fields.next()?.rsplit(':').next()?.parse().ok()?;
        Some(KernelLock { pid, inode, waits })
    });
    locks.collect()
}

/// Whether a process waits in the kernel for a lock.
pub fn is_blocked(pid: u32) -> bool {
    kernel_locks().iter().any(|lock| lock.pid == pid && lock.waits)
}
