//! The steps of the processes. Each is one system call, but for those whose comment says otherwise,
//! and has the name of the function that makes the call. The source has stopping points of these names.

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident = $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Step {
            $($(#[$doc])* $step,)*
        }

        impl Step {
            pub const ALL: &'static [Step] = &[$(Step::$step,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Step::$step => $name,)*
                }
            }
        }
    };
}

steps! {
    // Taking the guard.
    OpenGuard = "guard::open_guard",
    /// Again, before it is made.
    OpenGuardAgain = "kernel_lock::open_existing_or_create::open",
    CreateGuard = "kernel_lock::create_like::create",
    LinkGuard = "kernel_lock::create_like::link",
    RemoveGuardTemp = "kernel_lock::create_like::remove_temp",
    CreateGuardInPlace = "kernel_lock::create_like::create_in_place",
    TryLock = "kernel_lock::attempt",
    /// The queue's thread hands the lock over.
    WaitForLock = "kernel_lock::wait",
    CheckGuard = "guard::check",
    LookForLockFile = "first_use::must_not_be_a_document",
    RemoveUnusedGuard = "guard::must_not_be_a_document::remove",
    WriteRecord = "guard::write",
    SyncGuard = "guard::write::sync",
    UnlockGuard = "kernel_lock::unlock",

    // Creating the lockfile as the guard's second name.
    LinkLockfile = "lockfile::create_by_link::link",
    LookAtLockfile = "lockfile::create_by_link::look",
    LookAtGuard = "lockfile::create_by_link::look_at_guard",

    // Creating a separate lockfile.
    CreateLockfileTemp = "lockfile::create_separately::create",
    WriteLockfileTemp = "lockfile::create_separately::write",
    LinkLockfileTemp = "lockfile::create_separately::link",
    RemoveLockfileTemp = "lockfile::create_separately::remove_temp",
    CreateLockfileInPlace = "lockfile::create_separately::create_in_place",
    WriteLockfileInPlace = "lockfile::create_separately::write",
    OpenCreated = "lockfile::open_created::open",
    ReadCreated = "lockfile::open_created::read",

    // Judging another lockfile, and clearing it away.
    FindLockfile = "stale_lockfile::find::look",
    OpenFound = "stale_lockfile::find::open",
    /// Reads the record, asks for the kernel lock and for the owner's process.
    JudgeFound = "stale_lockfile::verdict",
    DateFound = "stale_lockfile::clear_if_stale::date",
    LookAtStale = "stale_lockfile::remove_stale::look",
    MoveAside = "stale_lockfile::remove_stale::rename",
    LookAside = "stale_lockfile::remove_stale::look_aside",
    LinkBack = "stale_lockfile::remove_stale::link_back",
    LookBeforeRenameBack = "stale_lockfile::remove_stale::look_again",
    RenameBack = "stale_lockfile::remove_stale::rename_back",
    RemoveAside = "stale_lockfile::remove_stale::remove_aside",
    Claim = "stale_lockfile::remove_stale_without_guard::claim",
    LookAtClaim = "stale_lockfile::remove_stale_without_guard::look",
    RemoveOwnersTemp = "stale_lockfile::remove_stale_without_guard::remove_temp",
    RemoveClaim = "stale_lockfile::remove_stale_without_guard::remove_claim",
    RemoveAbandonedClaim = "stale_lockfile::remove_abandoned_claim",
    /// Looks that find nothing new are left out: they change nothing.
    PollLockfile = "registry_lock::wait_for_lockfile_change",
    CheckGuardAgain = "guard::is_in_place",

    // The first hold, and each after a takeover.
    ListTemps = "sweep::run::list",
    RemoveTemp = "sweep::run::remove",

    // The update.
    ReadOld = "shared_file::read",
    FirstCheck = "shared_file::commit::check",
    CreateTemp = "atomic_write::create",
    WriteTemp = "atomic_write::fill::write",
    SyncTemp = "atomic_write::fill::sync",
    LastCheck = "shared_file::commit::last_check",
    Rename = "atomic_write::rename_to",
    /// The three that would take the rename's place: `exchange.rs`.
    Exchange = "exchange",
    LookAtReplaced = "exchange::look",
    ExchangeBack = "exchange::back",
    RemoveReplaced = "exchange::remove",
    SyncFolder = "atomic_write::run::sync_folder",
    RemoveOwnTemp = "atomic_write::drop",

    // The release.
    LookBeforeRemove = "lockfile::remove::look",
    RemoveLockfile = "lockfile::remove::unlink",

    // A document, under its lock file.
    OpenLockFile = "kernel_lock::open_existing_or_create::open",
    CreateLockFile = "kernel_lock::open_existing_or_create::create",
    CheckLockFile = "kernel_lock::is_at",
    /// Looks at the guard, and asks for its kernel lock.
    LookForGuard = "first_use::must_not_become_a_registry",
    RemoveLockFile = "file_lock::remove_unless_shared",
    FirstDocumentCheck = "lock::check",
    LastDocumentCheck = "lock::check::last",

    // The doctor. What it deletes beside the sweep is gone by then.
    Survey = "cleanup::clear_beside",

    // A reader.
    OpenToRead = "shared_file::open",
    ReadOpened = "shared_file::read::opened",

    // An older argus.
    OlderCreate = "older_argus::create",
    OlderLook = "older_argus::look",
    OlderDelete = "older_argus::delete",
    OlderRead = "older_argus::read",
    OlderWrite = "older_argus::write_temp",
    OlderRename = "older_argus::rename",
    OlderRelease = "older_argus::release",

    /// It waits for the machine to start again.
    Reboot = "reboot",
    Ended = "ended",
}
