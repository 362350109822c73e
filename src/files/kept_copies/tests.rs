use std::fs;

use super::*;
use crate::files::paths;

/// A folder with a file in it whose content is to be kept.
struct Folder {
    _dir: tempfile::TempDir,
    paths: FilePaths,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap().join("registry.json");
        Folder { paths: FilePaths::resolve(&path).unwrap(), _dir: dir }
    }

    fn put(&self, path: &Path, bytes: &[u8]) {
        sys::write_start(&File::create(path).unwrap(), bytes).unwrap();
    }

    /// Keeps a content, as a commit does that replaces it.
    fn keep(&self, bytes: &[u8]) -> Option<PathBuf> {
        self.begin(bytes).tidy(&self.paths)
    }

    fn begin(&self, bytes: &[u8]) -> KeptCopy {
        let _ = fs::remove_file(&self.paths.target);
        self.put(&self.paths.target, bytes);
        let metadata = fs::metadata(&self.paths.target).unwrap();
        keep(&self.paths, &paths::nonce(), &OldContent { bytes, metadata: &metadata, file: None })
            .unwrap()
    }

    /// The contents of the copies, oldest first.
    fn kept(&self) -> Vec<String> {
        let copies = self.paths.kept_copies().unwrap().into_iter();
        copies.map(|(_, path)| fs::read_to_string(path).unwrap()).collect()
    }
}

#[test]
fn the_newest_copies_are_kept_and_each_content_once() {
    let folder = Folder::new();
    for number in 0..MAX_KEPT_COPIES + 3 {
        let kept = folder.keep(format!("bad {number}").as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(kept).unwrap(), format!("bad {number}"));
    }
    let expected: Vec<_> = (3..MAX_KEPT_COPIES + 3).map(|number| format!("bad {number}")).collect();
    assert_eq!(folder.kept(), expected);
    // The newest of two equal copies stays.
    let again = folder.keep(b"bad 3").unwrap();
    assert_eq!(fs::read(&again).unwrap(), b"bad 3");
    assert_eq!(folder.kept(), [&expected[1..], &expected[..1]].concat());
}

#[test]
fn contents_of_one_size_are_told_apart_also_at_their_ends() {
    let folder = Folder::new();
    let mut long = vec![b'x'; 100_000];
    folder.keep(&long);
    long[99_999] = b'y';
    folder.keep(&long);
    folder.keep(&long);
    assert_eq!(folder.kept().len(), 2);
}

#[test]
fn an_empty_file_is_not_kept() {
    let folder = Folder::new();
    assert_eq!(folder.keep(b""), None);
    assert_eq!(folder.kept(), Vec::<String>::new());
}

/// A program without this crate truncates a file before it writes it.
#[test]
fn what_was_written_after_the_copy_was_made_is_kept() {
    let folder = Folder::new();
    let copy = folder.begin(b"");
    folder.put(&folder.paths.target, b"late");
    let kept = copy.tidy(&folder.paths).unwrap();
    assert_eq!(fs::read(kept).unwrap(), b"late");
}

#[test]
fn a_clock_that_was_set_back_does_not_make_the_newest_copy_the_oldest() {
    let folder = Folder::new();
    let future = u64::MAX / 2;
    for number in 0..MAX_KEPT_COPIES as u64 {
        let path = folder.paths.kept_copy(future + number, &paths::nonce());
        folder.put(&path, format!("future {number}").as_bytes());
    }
    folder.keep(b"now");
    folder.keep(b"later");
    let kept = folder.kept();
    assert_eq!(kept.len(), MAX_KEPT_COPIES);
    assert_eq!(
        (kept[0].as_str(), &kept[MAX_KEPT_COPIES - 2..]),
        ("future 2", &["now".to_owned(), "later".to_owned()][..])
    );
}

#[test]
fn no_copy_is_removed_before_the_original_is_replaced() {
    let folder = Folder::new();
    for number in 0..MAX_KEPT_COPIES {
        folder.keep(format!("bad {number}").as_bytes());
    }
    let copy = folder.begin(b"new");
    assert_eq!(folder.kept().len(), MAX_KEPT_COPIES + 1);
    drop(copy);
    assert_eq!(folder.kept()[0], "bad 0");
}

#[cfg(unix)]
#[test]
fn a_folder_or_a_symbolic_link_with_a_copys_name_is_left_alone() {
    let folder = Folder::new();
    let name = |number| folder.paths.kept_copy(number, &paths::nonce());
    let (inside, link) = (name(1), name(2));
    fs::create_dir(&inside).unwrap();
    let elsewhere = folder.paths.folder.join("elsewhere");
    folder.put(&elsewhere, b"bad 0");
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    for number in 0..MAX_KEPT_COPIES + 3 {
        folder.keep(format!("bad {number}").as_bytes());
    }
    assert_eq!(folder.kept().len(), MAX_KEPT_COPIES);
    assert!(inside.is_dir() && link.is_symlink() && elsewhere.exists());
}

#[cfg(unix)]
#[test]
fn a_copy_that_can_not_be_read_is_left_alone_and_a_new_one_is_made() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let unreadable = folder.keep(b"bad").unwrap();
    fs::set_permissions(&unreadable, fs::Permissions::from_mode(0o000)).unwrap();
    let kept = folder.keep(b"bad").unwrap();
    assert!(kept.exists());
    // Root may read it.
    assert!(unreadable.exists() || rustix::process::geteuid().is_root());
}
