//! Where the pid in an entry names a process: [`PidScope`].

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The member of an entry that holds its [`PidScope`].
pub(crate) const PID_SCOPE: &str = "pidScope";

/// Where a pid names a process. Written into an entry by the process that has the pid: no other one
/// surely knows it.
///
/// A scope with further members is of a later version, to which these do not say enough. It can't be
/// read, so that its process is not judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PidScope {
    /// The pid that this is about. An entry can get another pid from a program that does not know the
    /// scope and copies it: then the scope says nothing about the entry.
    pub(crate) pid: u32,
    /// The id of the system's boot; `None` where the platform has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
    /// The pid namespace; `None` where the platform has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<u64>,
    /// What stays the machine's when it boots again; `None` in a container, where this can't be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<String>,
}

/// What a pid of another process's scope means to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PidMeaning {
    /// The process that has this number here, or one that had it.
    ProcessHere,
    /// A process that ended when this machine was booted.
    EarlierBoot,
    /// A process of another pid namespace, another machine or a place that is not known.
    Unknown,
}

impl PidScope {
    /// What a pid of this scope means in the scope of the process that asks.
    pub(crate) fn seen_from(&self, here: &PidScope) -> PidMeaning {
        let is_same_machine = self.machine.is_some() && self.machine == here.machine;
        let is_same_namespace = self.namespace == here.namespace;
        match (&self.boot, &here.boot) {
            (Some(boot), Some(here_boot)) if is_same_namespace && self.namespace.is_some() => {
                match boot == here_boot {
                    true => PidMeaning::ProcessHere,
                    // Only in the initial namespace, which is one in all boots: a container's scope has
                    // no machine.
                    false if is_same_machine => PidMeaning::EarlierBoot,
                    false => PidMeaning::Unknown,
                }
            }
            (None, None) if is_same_namespace && self.namespace.is_none() && is_same_machine => {
                PidMeaning::ProcessHere
            }
            _ => PidMeaning::Unknown,
        }
    }
}

/// What an entry says about the scope of its pid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum EntryScope {
    /// Nothing: it was written by an older argus, or for another process than the one that wrote it.
    #[default]
    Missing,
    /// Something that this version can't read.
    Unreadable,
    Readable(PidScope),
}

impl EntryScope {
    pub(crate) fn parse(member: Option<&str>) -> Self {
        let Some(member) = member else { return EntryScope::Missing };
        serde_json::from_str(member).map_or(EntryScope::Unreadable, EntryScope::Readable)
    }

    /// What is said about this pid.
    pub(crate) fn of_pid(&self, pid: u32) -> &Self {
        match self {
            EntryScope::Readable(scope) if scope.pid != pid => &EntryScope::Missing,
            other => other,
        }
    }
}

impl<'de> Deserialize<'de> for EntryScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(EntryScope::parse(Some(<&RawValue>::deserialize(deserializer)?.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PidMeaning::{EarlierBoot, ProcessHere, Unknown};

    fn scope(boot: &str, namespace: u64, machine: &str) -> PidScope {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let namespace = Some(namespace).filter(|namespace| *namespace > 0);
        PidScope { pid: 1, boot: text(boot), namespace, machine: text(machine) }
    }

    #[test]
    fn a_pid_means_a_process_here_in_one_boot_and_namespace_only() {
        let here = scope("b", 1, "m");
        for (boot, namespace, machine, meaning) in [
            ("b", 1, "m", ProcessHere),
            // A container in the machine's own namespace has another machine id, or none.
            ("b", 1, "other", ProcessHere),
            ("b", 1, "", ProcessHere),
            ("b", 2, "", Unknown),
            ("b", 2, "m", Unknown),
            ("b", 0, "m", Unknown),
            ("a", 1, "m", EarlierBoot),
            ("a", 1, "other", Unknown),
            ("a", 1, "", Unknown),
            ("a", 2, "m", Unknown),
            ("a", 0, "m", Unknown),
            ("", 1, "m", Unknown),
            ("", 0, "m", Unknown),
            ("", 0, "", Unknown),
        ] {
            let there = scope(boot, namespace, machine);
            assert_eq!(there.seen_from(&here), meaning, "{there:?}");
        }
        let container = scope("b", 2, "");
        assert_eq!(container.seen_from(&container), ProcessHere);
        assert_eq!(scope("a", 2, "").seen_from(&container), Unknown);
    }

    #[test]
    fn without_boots_and_namespaces_a_pid_means_a_process_of_its_machine() {
        let here = scope("", 0, "m");
        assert_eq!(here.seen_from(&here), ProcessHere);
        assert_eq!(scope("", 0, "other").seen_from(&here), Unknown);
        assert_eq!(scope("b", 1, "m").seen_from(&here), Unknown);
        let nowhere = scope("", 0, "");
        assert_eq!(nowhere.seen_from(&nowhere), Unknown);
    }

    #[test]
    fn a_scope_of_another_pid_or_of_a_later_version_is_not_taken_for_this_ones() {
        let parse = |text: &str| EntryScope::parse(Some(text));
        let scope = parse(r#"{"pid":7,"boot":"b"}"#);
        assert!(matches!(scope.of_pid(7), EntryScope::Readable(_)));
        assert_eq!(scope.of_pid(8), &EntryScope::Missing);
        assert_eq!(EntryScope::parse(None), EntryScope::Missing);
        for other in [r#"{"pid":7,"later":1}"#, r#"{"boot":"b"}"#, "null", "7", r#"{"pid":-1}"#] {
            assert_eq!(parse(other).of_pid(7), &EntryScope::Unreadable, "{other}");
        }
    }
}
