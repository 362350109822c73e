//! Who holds a lock.

use std::fmt;
use std::time::SystemTime;

/// Who holds a lock, as far as it can be known from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The process, where the holder left a record; a lockfile of an older argus has none.
    pub pid: Option<u32>,
    /// The host name that the holder saw.
    pub host: Option<String>,
    /// Since when the lock is held.
    pub since: Option<SystemTime>,
    /// Whether it lives; `None` where this process can't tell (another host or pid namespace).
    pub alive: Option<bool>,
}

impl Holder {
    /// Who it is, without since when.
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
