//! The description of one leftover: [`Litter`] and its [`LitterKind`].

use std::path::PathBuf;

/// A file or folder that a process left behind, or that is in the way of updates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Litter {
    /// The path of the file or folder.
    pub path: PathBuf,
    /// What the file or folder is.
    pub kind: LitterKind,
    /// The path with which [`clear_litter`](crate::clear_litter) has to be called to delete it: the
    /// registry or document that it lies beside; of a probe folder, the folder itself.
    pub beside: PathBuf,
    /// Whether [`clear_litter`](crate::clear_litter) would delete it now.
    pub safe_to_delete: bool,
    /// Why it is safe to delete, or why it is not and what a person can do: a phrase to print after
    /// the path.
    pub reason: String,
}

/// The kind of a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LitterKind {
    /// New content that was never moved to its place, or another file that exists for a moment only:
    /// `.<name>.<32 digits>.tmp`.
    TempFile,
    /// The lockfile of a registry whose holder is gone.
    Lockfile,
    /// The guard was removed or replaced while a process held it, or does not belong to the lockfile
    /// beside it.
    Guard,
    /// A file or folder with the name of a guard or lockfile that is neither: every update fails
    /// because of it.
    InTheWay,
    /// Bytes that could not be parsed when they were replaced, and were kept: `<name>.corrupt-*`. At most 8
    /// per file are kept, the newest.
    KeptContent,
    /// The journal of an update of a registry in a folder, which a process left half done. It is not
    /// deleted, but finished or undone.
    Journal,
    /// The folder of a [`ProbeFolder`](crate::ProbeFolder) whose process was killed.
    ProbeFolder,
}

impl LitterKind {
    /// The stable name of the kind.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            LitterKind::TempFile => "TEMP_FILE",
            LitterKind::Lockfile => "LOCKFILE",
            LitterKind::Guard => "GUARD",
            LitterKind::InTheWay => "IN_THE_WAY",
            LitterKind::KeptContent => "KEPT_CONTENT",
            LitterKind::Journal => "JOURNAL",
            LitterKind::ProbeFolder => "PROBE_FOLDER",
        }
    }
}
