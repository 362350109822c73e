//! The process that holds a lock.

use std::fmt;
use std::time::SystemTime;

/// The process that holds a lock, as far as another process can know it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The process id, where the holder left a record. A lockfile of an older argus has none.
    pub pid: Option<u32>,
    /// The host name of the holder's machine, as the holder read it.
    pub host: Option<String>,
    /// When the holder took the lock.
    pub since: Option<SystemTime>,
    /// Whether the process runs; `None` where the calling process can't tell (another host or pid
    /// namespace).
    pub alive: Option<bool>,
}

impl Holder {
    /// The process and its host, without the time for which it has held the lock.
    pub(crate) fn name(&self) -> String {
        let mut name = match self.pid {
            Some(pid) => format!("process {pid}"),
            None => "another process (its lockfile names no owner)".to_owned(),
        };
        if let Some(host) = &self.host {
            name.push_str(&format!(" on {host}"));
        }
        name
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(held) = self.since.and_then(|since| since.elapsed().ok()) {
            write!(f, ", for {:.1} s", held.as_secs_f64())?;
        }
        Ok(())
    }
}
