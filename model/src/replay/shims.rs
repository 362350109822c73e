//! Libraries that are loaded before libc's, and take calls away from the real processes: kernel locks, second
//! names, or both.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::configuration::Files;

/// As the kernel answers: what it looks up comes before what the file system can't do.
const SOURCE: &str = "
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#ifdef NO_LOCKS
int flock(int file, int operation) { errno = ENOLCK; return -1; }
#endif

#ifdef NO_NAMES
int linkat(int old_folder, const char *old, int new_folder, const char *new, int flags) {
    struct stat found;
    if (fstatat(old_folder, old, &found, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    errno = fstatat(new_folder, new, &found, AT_SYMLINK_NOFOLLOW) == 0 ? EEXIST : EPERM;
    return -1;
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }
#endif
";

/// The libraries, in a folder that is deleted when this is dropped.
pub struct Shims {
    folder: PathBuf,
}

impl Shims {
    pub fn compile() -> Self {
        let folder =
            std::env::temp_dir().join(format!("argus-replay-shims-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder can be created");
        let shims = Shims { folder };
        for files in [Files::NO_LOCKS, Files::ONE_NAME, Files::NEITHER] {
            shims.compile_for(files);
        }
        shims
    }

    fn library(&self, files: Files) -> PathBuf {
        self.folder.join(format!("{}-{}.so", files.kernel_locks, files.second_names))
    }

    #[allow(clippy::disallowed_methods, reason = "a source of this program's own")]
    fn compile_for(&self, files: Files) {
        let code = self.folder.join("shim.c");
        fs::write(&code, SOURCE).expect("a file can be written");
        let taken = [(files.kernel_locks, "-DNO_LOCKS"), (files.second_names, "-DNO_NAMES")];
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&self.library(files), &code])
            .args(taken.iter().filter(|(has, _)| !has).map(|(_, flag)| flag))
            .status()
            .expect("Rust on Linux links with cc, so it is there");
        assert!(compiled.success());
    }

    /// `None` if nothing is to be taken away.
    pub fn for_files(&self, files: Files) -> Option<PathBuf> {
        (!files.kernel_locks || !files.second_names).then(|| self.library(files))
    }
}

impl Drop for Shims {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
