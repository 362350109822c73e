//! Which file a document is, and where its lock file is.

use std::env;
use std::fs;
use std::path::Path;

use argus_registry::{Document, Error, LockFile, LockOptions};

use crate::support::counter::{count_up, counter, Counter};
use crate::support::files::{document_path, names_in};
use crate::support::processes::{again, this_test, PART};

/// A lock that is held may be handed to the thread that goes on with the work.
#[test]
fn locks_errors_and_documents_may_change_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<argus_registry::KernelLock>();
    crosses::<argus_registry::RegistryLock>();
    crosses::<Error>();
    crosses::<Document<std::rc::Rc<()>>>();
}

#[test]
fn a_document_is_one_file_although_the_current_folder_changes() {
    if let Ok(path) = env::var(PART) {
        let folder = Path::new(&path).parent().unwrap();
        let document = Document::<Counter>::json("doc.json").durable(false);
        let document =
            document.empty(Counter::default).lock_file(LockFile::At("relative.lock".into()));
        for folder in [folder.join("elsewhere"), folder.to_path_buf()] {
            let count = document.update(&LockOptions::one_try(), |counter| {
                env::set_current_dir(&folder).unwrap();
                count_up(counter)
            });
            count.unwrap();
        }
        return;
    }
    let (_dir, path) = document_path();
    let folder = path.parent().unwrap();
    fs::create_dir(folder.join("elsewhere")).unwrap();
    let mut command = again(&env::current_exe().unwrap(), this_test!(), &path);
    assert!(command.current_dir(folder).status().unwrap().success());
    assert_eq!(names_in(folder), ["doc.json", "elsewhere", "relative.lock"]);
    assert_eq!(names_in(&folder.join("elsewhere")), Vec::<String>::new());
}

#[test]
fn a_writer_makes_a_missing_folder_and_a_reader_does_not() {
    let (_dir, path) = document_path();
    let document = counter(&path.with_file_name("not").join("yet").join("doc.json"));
    let document = document.lock_file(LockFile::At(path.with_file_name("locks").join("doc.lock")));
    document.save(&mut Counter { count: 1 }).unwrap();
    assert!(document.load().unwrap().locked);
    let document = document.lock_file(LockFile::At(path.with_file_name("none").join("doc.lock")));
    assert!(!document.load().unwrap().locked);
    assert!(!path.with_file_name("none").exists());
}
