//! Documents and lock files, with real files, and with processes that know nothing of this crate.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use argus_registry::{
    inspect_lock_file, lock_exclusive, try_lock_exclusive, try_lock_shared, CancelToken, Document,
    Error, Format, FormatError, Json, LockFile, LockOptions, OnWarning, Toml, Warning,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[path = "support/counter.rs"]
mod support;

use support::{count_up, counter, folder, patient, Counter};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Names {
    #[serde(default)]
    version: u32,
    #[serde(default)]
    names: Vec<String>,
}

fn put(path: &Path, text: &str) {
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn example(name: &str) -> Command {
    let program = env::current_exe().unwrap();
    let program = program.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "{}: build the examples first", program.display());
    Command::new(program)
}

/// Made by another process: one that this program had open for writing, and that another test's child
/// had inherited for a moment, could not be run ("text file busy").
#[cfg(unix)]
fn copy_of_this_program(folder: &Path) -> PathBuf {
    let program = folder.join("test");
    let copied = Command::new("cp").arg(env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    program
}

/// Set for a run of this test program as a process that takes part in a test.
const PART: &str = "ARGUS_REGISTRY_TEST_PART";

/// This test program once more, in one test.
fn again(program: &Path, test: &str, part: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env(PART, part).stdin(Stdio::piped());
    command
}

/// Plain fs2 on a lock file, as veil has it: holds it until it is told to end.
#[allow(clippy::disallowed_methods, reason = "a program that knows nothing of this crate")]
fn plain_fs2(path: &str, exclusive: bool) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
    match exclusive {
        true => fs2::FileExt::try_lock_exclusive(&file)?,
        false => fs2::FileExt::try_lock_shared(&file)?,
    }
    Ok(file)
}

/// A child that says a line, and ends with its standard input.
struct Holder {
    child: Child,
    said: String,
}

impl Holder {
    fn start(mut command: Command, begins: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let said = lines.map(|line| line.unwrap()).find(|line| line.contains(begins));
        let said = said.unwrap_or_else(|| panic!("it ended without {begins}"));
        Holder { child, said }
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

#[test]
fn plain_fs2_and_this_crate_share_one_lock() {
    const TEST: &str = "plain_fs2_and_this_crate_share_one_lock";
    if let Ok(part) = env::var(PART) {
        let (mode, path) = part.split_once(' ').unwrap();
        let held = plain_fs2(path, mode == "exclusive");
        println!("\nplain fs2: {}", if held.is_ok() { "held" } else { "busy" });
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let (_dir, path) = folder();
    let document = counter(&path);
    document.save(&mut Counter::default()).unwrap();
    let lock_file = path.with_extension("lock");
    let lock_file = lock_file.to_str().unwrap();
    assert_eq!(document.lock_path().unwrap(), Path::new(lock_file));
    let loads = || document.load().map(|_| ());
    let saves = || document.save(&mut Counter::default());
    let updates = || document.update(&LockOptions::one_try(), count_up).map(|_| ());
    let is_busy = |result: Result<(), Error>| match result {
        Ok(()) => false,
        Err(Error::LockBusy { path, .. }) => {
            assert_eq!(path, Path::new(lock_file), "busy names the lock file");
            true
        }
        Err(error) => panic!("{error}"),
    };
    for across_processes in [false, true] {
        for (exclusive, load_is_busy) in [(false, false), (true, true)] {
            // They first.
            let mode = if exclusive { "exclusive" } else { "shared" };
            let part = format!("{mode} {lock_file}");
            let program = env::current_exe().unwrap();
            let process = || Holder::start(again(&program, TEST, &part), "plain fs2: ");
            let theirs = (!across_processes).then(|| plain_fs2(lock_file, exclusive).unwrap());
            let holder = across_processes.then(process);
            assert!(holder.as_ref().is_none_or(|holder| holder.said.ends_with("held")));
            assert_eq!(is_busy(loads()), load_is_busy, "{mode}");
            assert!(is_busy(saves()) && is_busy(updates()), "{mode}");
            drop(theirs);
            holder.into_iter().for_each(Holder::end);
            assert!(!is_busy(loads()) && !is_busy(saves()) && !is_busy(updates()));
            // We first.
            let ours = match exclusive {
                true => try_lock_exclusive(lock_file).unwrap(),
                false => try_lock_shared(lock_file).unwrap(),
            };
            for (they_want, they_get) in [("shared", !exclusive), ("exclusive", false)] {
                let got = if across_processes {
                    let part = format!("{they_want} {lock_file}");
                    let holder = Holder::start(again(&program, TEST, &part), "plain fs2: ");
                    let got = holder.said.ends_with("held");
                    holder.end();
                    got
                } else {
                    plain_fs2(lock_file, they_want == "exclusive").is_ok()
                };
                assert_eq!(got, they_get, "we have it {mode}, they want it {they_want}");
            }
            drop(ours);
        }
    }
}

/// A lock that is held goes wherever its work goes.
#[test]
fn locks_errors_and_documents_may_change_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<argus_registry::KernelLock>();
    crosses::<argus_registry::RegistryLock>();
    crosses::<Error>();
    crosses::<Document<std::rc::Rc<()>>>();
}

#[test]
fn busy_says_which_lock_what_and_who() {
    let (_dir, path) = folder();
    let document = counter(&path);
    document.save(&mut Counter::default()).unwrap();
    let lock_file = path.with_extension("lock");
    // Another descriptor of this very process, and another process.
    let _shared = try_lock_shared(&lock_file).unwrap();
    let busy = document.save(&mut Counter::default()).unwrap_err();
    let message = busy.to_string();
    for part in ["lock", "busy", "another process", lock_file.to_str().unwrap()] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    let mut command = example("hold_lock");
    command.arg(path.with_extension("other")).arg("exclusive");
    let holder = Holder::start(command, "holding");
    let document = document.lock_file(LockFile::At(path.with_extension("other")));
    let busy = document.load().unwrap_err();
    assert!(busy.to_string().contains("another process"), "{busy}");
    // Who it is, where the system tells that at all; a look at its table can miss it.
    let told = inspect_lock_file(path.with_extension("other")).unwrap().holders;
    let named = (0..100).find_map(|_| document.load().unwrap_err().holder()?.pid);
    assert_eq!(named, told.first().map(|_| holder.child.id()).or(named));
    assert!(named.is_none_or(|pid| pid == holder.child.id()));
    holder.end();
    document.load().unwrap();
}

#[test]
fn eight_processes_count_to_1600() {
    let (_dir, path) = folder();
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = example("counter");
            command.arg(&path).arg("200").stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "acknowledged 200, busy 0\n");
    }
    assert_eq!(counter(&path).load().unwrap().value.count, 1600);
    assert_eq!(names_in(path.parent().unwrap()), ["doc.json", "doc.lock"]);
}

/// What `update` is for. Whoever loads, changes and saves is told that all went well, and has
/// undone what another did in between.
#[test]
fn load_then_save_loses_updates() {
    let (_dir, path) = folder();
    let document = counter(&path);
    document.save(&mut Counter::default()).unwrap();
    let mut mine = document.load().unwrap().value;
    let mut yours = document.load().unwrap().value;
    count_up(&mut mine).unwrap();
    count_up(&mut yours).unwrap();
    document.save(&mut mine).unwrap();
    document.save(&mut yours).unwrap();
    assert_eq!(document.load().unwrap().value.count, 1, "two were acknowledged, one is lost");
    // Eight processes at once: what was not acknowledged was refused as busy, and of what was
    // acknowledged there may be less in the file, but never more.
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = example("counter");
            command.arg(&path).args(["1000", "--load-save"]);
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let (mut acknowledged, mut busy) = (0, 0);
    for child in children {
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let numbers: Vec<u64> = said
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let [count, refused] = numbers[..] else { panic!("{said}") };
        assert_eq!(count + refused, 1000);
        (acknowledged, busy) = (acknowledged + count, busy + refused);
    }
    let counted = document.load().unwrap().value.count - 1;
    assert!(counted <= acknowledged, "{counted} of {acknowledged}");
    assert!(counted < acknowledged || busy > 0, "they never met: {acknowledged} each in its turn");
}

#[test]
fn two_that_add_at_once_are_both_in_it() {
    let (_dir, path) = folder();
    let document = counter(&path);
    let (inside, entered) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    thread::scope(|scope| {
        let first = document.clone();
        scope.spawn(move || {
            first.update(&patient(), |counter| {
                inside.send(()).unwrap();
                wait.recv().unwrap();
                count_up(counter)
            })
        });
        entered.recv().unwrap();
        // Somebody is at it: one try is busy, also to read; whoever waits gets its turn.
        assert_eq!(
            document.update(&LockOptions::one_try(), count_up).unwrap_err().code(),
            "LOCK_BUSY"
        );
        let short = LockOptions { timeout: Some(Duration::from_millis(10)), ..patient() };
        let late = document.update(&short, count_up).unwrap_err();
        assert_eq!((late.code(), late.path()), ("LOCK_TIMEOUT", &*path.with_extension("lock")));
        let cancel = CancelToken::new();
        cancel.cancel();
        let cancelled = LockOptions { cancel: Some(cancel), ..patient() };
        assert_eq!(document.update(&cancelled, count_up).unwrap_err().code(), "ABORTED");
        let second = document.clone();
        let second = scope.spawn(move || second.update(&patient(), count_up));
        go_on.send(()).unwrap();
        assert_eq!(second.join().unwrap().unwrap(), 2);
    });
}

#[cfg(unix)]
#[test]
fn whoever_may_only_read_reads_without_a_lock_and_is_told() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    const TEST: &str = "whoever_may_only_read_reads_without_a_lock_and_is_told";
    if let Ok(path) = env::var(PART) {
        let document = counter(Path::new(&path));
        let loaded = document.load().unwrap();
        println!("\nread {} locked: {}", loaded.value.count, loaded.locked);
        let refused = document.save(&mut Counter::default()).unwrap_err();
        println!("save: {} {}", refused.code(), refused.path().display());
        return;
    }
    let (dir, path) = folder();
    let owner = fs::metadata(dir.path()).unwrap().uid();
    put(&path, r#"{"count":7}"#);
    // Where another user may get at it.
    let program = copy_of_this_program(dir.path());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let run = || {
        let mut command = again(&program, TEST, path.to_str().unwrap());
        if owner == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let lock_file = path.with_extension("lock");
    let said = run();
    assert!(said.contains("read 7 locked: false"), "{said}");
    assert!(said.contains(&format!("save: PERMISSION_DENIED {}", lock_file.display())), "{said}");
    assert_eq!(names_in(dir.path()), ["doc.json", "test"], "no lock file was made");
    // With a lock file that he may read, he joins the readers; with one that he may not, he is
    // back to reading without.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    put(&lock_file, "");
    fs::set_permissions(&lock_file, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let said = run();
    assert!(said.contains("read 7 locked: true"), "{said}");
    fs::set_permissions(&lock_file, fs::Permissions::from_mode(0o000)).unwrap();
    let said = run();
    assert!(said.contains("read 7 locked: false"), "{said}");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// The limit of every lock that is a file's: who deletes the file while it is held lets the next
/// one in. The second writer gets its lock, and may write; but the first one looks before it
/// writes, so that it overwrites nothing, and does its update again.
#[cfg(unix)]
#[test]
fn a_lock_file_that_is_deleted_while_held_costs_no_update() {
    let (_dir, path) = folder();
    let document = counter(&path);
    let lock_file = path.with_extension("lock");
    let mut runs = 0;
    let count = document.update(&patient(), |counter| {
        runs += 1;
        if runs == 1 {
            fs::remove_file(&lock_file).unwrap();
            // Another process, as it has a lock of its own.
            let second = example("counter").arg(&path).arg("5").output().unwrap();
            assert_eq!(second.stdout, b"acknowledged 5, busy 0\n");
        }
        count_up(counter)
    });
    assert_eq!((count.unwrap(), runs), (6, 2));
    assert_eq!(document.load().unwrap().value.count, 6);
    // With no time left to do it again, it says so, and has written nothing.
    let lost = document.update(&LockOptions::one_try(), |counter| {
        fs::remove_file(&lock_file).unwrap();
        count_up(counter)
    });
    assert_eq!(lost.unwrap_err().code(), "LOCK_LOST");
    assert_eq!(document.load().unwrap().value.count, 6);
    assert_eq!(names_in(path.parent().unwrap()), ["doc.json", "doc.lock"]);
}

#[test]
fn the_failures_are_told_apart() {
    let (_dir, path) = folder();
    let document = Document::<Names>::json(&path).version(1).durable(false);
    let code = |error: Error| {
        assert!(error.to_string().contains("doc.json"), "{error}");
        error.code()
    };
    let change = |names: &mut Names| {
        names.names.push("new".into());
        Ok::<_, Error>(())
    };
    // Not found: and nothing is made.
    assert_eq!(code(document.load().unwrap_err()), "NOT_FOUND");
    assert_eq!(names_in(path.parent().unwrap()), Vec::<String>::new());
    assert_eq!(code(document.update(&patient(), change).unwrap_err()), "NOT_FOUND");
    assert_eq!(names_in(path.parent().unwrap()), Vec::<String>::new());
    let nowhere = Document::<Names>::json(path.with_file_name("no").join("doc.json"));
    assert_eq!(code(nowhere.load().unwrap_err()), "NOT_FOUND");
    // Parse.
    put(&path, r#"{"version":1,"names":7}"#);
    let error = document.load().unwrap_err();
    assert!(error.to_string().contains("invalid type: integer `7`"), "{error}");
    assert!(std::error::Error::source(&error).unwrap().is::<serde_json::Error>());
    assert_eq!(code(error), "PARSE");
    assert_eq!(code(document.update(&patient(), change).unwrap_err()), "PARSE");
    // Another version, whatever else has changed with it.
    for (content, found, remedy) in [
        (r#"{"version":2,"names":{"other":"shape"}}"#, "2", "upgrade"),
        (r#"{"version":0}"#, "0", "convert"),
        (r#"{"version":"1"}"#, "\"1\"", "upgrade"),
    ] {
        put(&path, content);
        let error = document.load().unwrap_err();
        assert!(error.to_string().contains(remedy), "{error}");
        let Error::UnsupportedVersion { found: version, expected: 1, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(version, found);
        assert_eq!(code(document.update(&patient(), change).unwrap_err()), "UNSUPPORTED_VERSION");
        assert_eq!(text(&path), content);
        // What is older may be replaced whole, what is newer may not.
        let saved = document.save(&mut Names { version: 1, ..Names::default() });
        assert_eq!(saved.is_ok(), found == "0", "{found}");
    }
    // Serialise: JSON has no keys that are lists.
    type Odd = std::collections::BTreeMap<Vec<u8>, u8>;
    let odd = Document::<Odd>::json(&path);
    let before = text(&path);
    assert_eq!(code(odd.save(&mut Odd::from([(vec![1], 1)])).unwrap_err()), "SERIALIZE");
    assert_eq!(text(&path), before);
    // Anything else of the system's.
    let on_a_folder = Document::<Names>::json(path.parent().unwrap());
    assert_eq!(on_a_folder.load().unwrap_err().code(), "IO");
    let registry = path.with_file_name("registry.json");
    argus_registry::write_registry(&registry, &Default::default(), &Default::default()).unwrap();
    let registry = Document::<Names>::json(registry);
    assert_eq!(registry.load().unwrap_err().code(), "LOCK_MISMATCH");
    let own_name = Document::<Names>::json(path.with_extension("lock"));
    assert_eq!(own_name.save(&mut Names::default()).unwrap_err().code(), "INVALID_VALUE");
    let own_lock = Document::<Names>::json(&path).lock_file(LockFile::At(path.clone()));
    assert_eq!(code(own_lock.load().unwrap_err()), "INVALID_VALUE");
    assert_eq!(code(own_lock.save(&mut Names::default()).unwrap_err()), "INVALID_VALUE");
}

/// With the default of a number, the first update wrote a version that no later one accepted.
#[test]
fn a_value_of_another_version_is_not_written() {
    let (_dir, path) = folder();
    let document = Document::<Names>::json(&path).version(1).empty(Names::default);
    let add = |names: &mut Names| {
        names.names.push("a".into());
        Ok::<_, Error>(())
    };
    let error = document.update(&patient(), add).unwrap_err();
    assert_eq!(error.code(), "INVALID_VALUE");
    assert!(error.to_string().contains("version 0"), "{error}");
    assert_eq!(document.save(&mut Names::default()).unwrap_err().code(), "INVALID_VALUE");
    assert!(!path.exists());
    let list = Document::<Vec<u8>>::json(&path).version(1);
    assert_eq!(list.save(&mut vec![1]).unwrap_err().code(), "SERIALIZE");
    assert!(!path.exists());
}

#[test]
fn a_document_is_one_file_whatever_the_current_folder_becomes() {
    const TEST: &str = "a_document_is_one_file_whatever_the_current_folder_becomes";
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
    let (_dir, path) = folder();
    let folder = path.parent().unwrap();
    fs::create_dir(folder.join("elsewhere")).unwrap();
    let mut command = again(&env::current_exe().unwrap(), TEST, path.to_str().unwrap());
    assert!(command.current_dir(folder).status().unwrap().success());
    assert_eq!(names_in(folder), ["doc.json", "elsewhere", "relative.lock"]);
    assert_eq!(names_in(&folder.join("elsewhere")), Vec::<String>::new());
}

#[test]
fn an_updater_that_fails_or_changes_nothing_leaves_the_file_alone() {
    let (_dir, path) = folder();
    // Spelled as no program would.
    put(&path, "{ \"count\" :3 }");
    let document = counter(&path);
    let failed = document.update(&patient(), |counter| {
        counter.count = 100;
        Err::<(), Box<dyn std::error::Error>>("no".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    document.update(&patient(), |_| Ok::<_, Error>(())).unwrap();
    assert_eq!(text(&path), "{ \"count\" :3 }");
    let nested = document.update(&patient(), |_| {
        assert_eq!(document.load().unwrap_err().code(), "LOCK_BUSY");
        document.update(&patient(), count_up)
    });
    assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
    // Another document, but the same lock file.
    let sibling = counter(&path.with_extension("data"));
    let nested = document.update(&patient(), |_| sibling.update(&patient(), count_up));
    assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
    // Another one in between does not make it forget.
    let other = counter(&path.with_file_name("other.json"));
    let nested = document.update(&patient(), |_| {
        other.update(&patient(), count_up)?;
        document.update(&patient(), count_up)
    });
    assert_eq!(nested.unwrap_err().code(), "RE_ENTRANT");
    // The lock is free again, whatever happened.
    assert_eq!(document.update(&LockOptions::one_try(), count_up).unwrap(), 4);
}

#[test]
fn a_panic_in_an_updater_frees_the_lock() {
    let (_dir, path) = folder();
    let document = counter(&path);
    let other = document.clone();
    let panicked =
        thread::spawn(move || other.update::<(), Error>(&patient(), |_| panic!("on purpose")));
    assert!(panicked.join().is_err());
    assert_eq!(document.update(&LockOptions::one_try(), count_up).unwrap(), 1);
}

#[test]
fn content_that_can_not_be_parsed_is_kept_when_it_is_saved_over() {
    let (_dir, path) = folder();
    put(&path, "precious {");
    let (warn, warnings) = mpsc::channel();
    let warn = OnWarning::new(move |warning: &Warning| warn.send(warning.clone()).unwrap());
    let document = counter(&path).on_warning(warn);
    document.save(&mut Counter { count: 1 }).unwrap();
    let Warning::Corrupt { kept: Some(kept), .. } = warnings.recv().unwrap() else { panic!() };
    assert_eq!(text(&kept), "precious {");
    assert_eq!(document.load().unwrap().value.count, 1);
    document.save(&mut Counter { count: 2 }).unwrap();
    assert!(warnings.try_recv().is_err());
}

#[test]
fn the_order_is_canonical_and_the_spelling_the_formats() {
    let (_dir, path) = folder();
    let path = path.with_extension("toml");
    let document = Document::<Names, Toml>::toml(&path)
        .version(1)
        .durable(false)
        .empty(|| Names { version: 1, ..Names::default() })
        .canonical(|names: &mut Names| names.names.sort());
    let mut names = Names { version: 1, names: vec!["b".into(), "a".into()] };
    document.save(&mut names).unwrap();
    assert_eq!(names.names, ["a", "b"]);
    assert_eq!(text(&path), "version = 1\nnames = [\n    \"a\",\n    \"b\",\n]\n");
    let first = |names: &mut Names| {
        names.names.insert(0, "c".into());
        Ok::<_, Error>(())
    };
    document.update(&patient(), first).unwrap();
    assert_eq!(document.load().unwrap().value.names, ["a", "b", "c"]);
    put(&path, "version = 2\nother = true\n");
    assert_eq!(document.load().unwrap_err().code(), "UNSUPPORTED_VERSION");
    put(&path, "version = \n");
    assert_eq!(document.load().unwrap_err().code(), "PARSE");
}

/// Root looked first, and the owner of the document was locked out of it from then on; or somebody
/// who may only read it did.
#[cfg(unix)]
#[test]
fn whoever_looks_first_locks_nobody_out() {
    use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    const TEST: &str = "whoever_looks_first_locks_nobody_out";
    if let Ok(part) = env::var(PART) {
        let (what, path) = part.split_once(' ').unwrap();
        let document = counter(Path::new(path));
        match what {
            "load" => println!("\nlocked: {}", document.load().unwrap().locked),
            _ => println!("\ncount: {}", document.update(&patient(), count_up).unwrap()),
        }
        return;
    }
    let (dir, path) = folder();
    if fs::metadata(dir.path()).unwrap().uid() != 0 {
        // Not by println, which the test's harness keeps to itself.
        writeln!(std::io::stderr(), "{TEST} SKIPPED: only root can be several users").unwrap();
        return;
    }
    let program = copy_of_this_program(dir.path());
    // Everybody may make files here, and nobody may delete those of others.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let run = |what: &str, user: u32, begins: &str| {
        let mut command = again(&program, TEST, &format!("{what} {}", path.display()));
        let output = command.uid(user).gid(user).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(begins), "{said}");
    };
    let (owner, reader, root) = (12_345, 12_346, 0);
    let lock_file = path.with_extension("lock");
    for mode in [0o644, 0o600] {
        put(&path, r#"{"count":0}"#);
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        if mode == 0o644 {
            run("load", reader, "locked: false");
            assert!(!lock_file.exists(), "his lock file would be nobody else's");
        }
        run("load", root, "locked: true");
        let made = fs::metadata(&lock_file).unwrap();
        assert_eq!((made.uid(), made.mode() & 0o777), (owner, mode));
        run("update", owner, "count: 1");
        run("update", root, "count: 2");
        run("update", owner, "count: 3");
        fs::remove_file(&lock_file).unwrap();
    }
}

/// A lock file has the name that its user chose, and may be anything: a file of root's that somebody
/// had moved there was given to the document's owner.
#[cfg(unix)]
#[test]
fn a_lock_file_that_is_somebody_elses_is_given_to_nobody() {
    use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
    let (_dir, path) = folder();
    let lock_file = path.with_extension("lock");
    let access = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.mode() & 0o777)
    };
    put(&path, r#"{"count":0}"#);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let me = fs::metadata(&path).unwrap().uid();
    for (content, other_name, owner) in
        [("secret", false, me), ("", true, me), ("", false, if me == 0 { 12_345 } else { me })]
    {
        put(&lock_file, content);
        fs::set_permissions(&lock_file, fs::Permissions::from_mode(0o600)).unwrap();
        let second = path.with_file_name("second");
        if other_name {
            #[allow(clippy::disallowed_methods, reason = "somebody else's doing")]
            fs::hard_link(&lock_file, &second).unwrap();
        }
        if owner != me {
            chown(&path, Some(owner), None).unwrap();
        }
        counter(&path).update(&patient(), count_up).unwrap();
        let expected = if (content, other_name, owner) == ("", false, me) { 0o666 } else { 0o600 };
        assert_eq!(access(&lock_file), (me, expected), "{content:?} {other_name} {owner}");
        fs::remove_file(&lock_file).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn modes_are_kept_and_new_ones_are_as_asked() {
    use std::os::unix::fs::PermissionsExt;
    const TEST: &str = "modes_are_kept_and_new_ones_are_as_asked";
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    if let Ok(path) = env::var(PART) {
        let path = Path::new(&path);
        for (name, asked, gets) in [
            ("a.json", None, 0o640),
            ("b.json", Some(0o600), 0o600),
            ("c.json", Some(0o666), 0o640),
        ] {
            let path = path.with_file_name(name);
            let document = counter(&path);
            let document = match asked {
                Some(asked) => document.new_file_mode(asked),
                None => document,
            };
            document.save(&mut Counter::default()).unwrap();
            // Who may not see a document may not hold up those who do.
            let lock_file = path.with_extension("lock");
            assert_eq!((mode(&path), mode(&lock_file)), (gets, gets), "{name}");
            // Whoever may write it has to be able to lock it, whatever the umask says.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
            document.update(&patient(), count_up).unwrap();
            assert_eq!((mode(&path), mode(&lock_file)), (0o660, 0o660));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
            fs::remove_file(&lock_file).unwrap();
            document.load().unwrap();
            assert_eq!((mode(&path), mode(&lock_file)), (0o666, 0o666));
        }
        return;
    }
    let (_dir, path) = folder();
    // A umask is a process's, so in one of its own.
    let program = env::current_exe().unwrap();
    let status = Command::new("sh")
        .args(["-c", "umask 027 && exec \"$0\" --exact \"$1\" --nocapture"])
        .args([program.as_os_str(), TEST.as_ref()])
        .env(PART, &path)
        .status();
    assert!(status.unwrap().success());
}

#[cfg(unix)]
#[test]
fn all_names_of_a_document_have_one_lock() {
    let (_dir, path) = folder();
    let link = path.with_file_name("link.toml");
    std::os::unix::fs::symlink("doc.json", &link).unwrap();
    let (by_name, by_link) = (counter(&path), counter(&link));
    assert_eq!(by_link.update(&patient(), count_up).unwrap(), 1);
    assert_eq!(by_name.lock_path().unwrap(), by_link.lock_path().unwrap());
    let _held = try_lock_exclusive(by_name.lock_path().unwrap()).unwrap();
    assert_eq!(by_link.load().unwrap_err().code(), "LOCK_BUSY");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link is still one");
    let folder = path.with_file_name("folder");
    std::os::unix::fs::symlink(".", &folder).unwrap();
    let itself = counter(&path).lock_file(LockFile::At(folder.join("doc.json")));
    assert_eq!(itself.load().unwrap_err().code(), "INVALID_VALUE");
    let elsewhere = by_link.lock_file(LockFile::At(path.with_file_name("other.lock")));
    assert_eq!(elsewhere.lock_path().unwrap(), path.with_file_name("other.lock"));
    elsewhere.load().unwrap();
}

#[test]
fn a_missing_folder_is_made_by_whoever_writes() {
    let (_dir, path) = folder();
    let document = counter(&path.with_file_name("not").join("yet").join("doc.json"));
    let document = document.lock_file(LockFile::At(path.with_file_name("locks").join("doc.lock")));
    document.save(&mut Counter { count: 1 }).unwrap();
    assert!(document.load().unwrap().locked);
    // Whoever reads makes none.
    let document = document.lock_file(LockFile::At(path.with_file_name("none").join("doc.lock")));
    assert!(!document.load().unwrap().locked);
    assert!(!path.with_file_name("none").exists());
}

/// JSON whose reader cancels: what is read under the lock is read just before it is replaced.
#[derive(Clone)]
struct CancelsWhenRead(CancelToken);

impl Format for CancelsWhenRead {
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, FormatError> {
        self.0.cancel();
        Json.parse(bytes)
    }

    fn print<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, FormatError> {
        Json.print(value)
    }
}

#[test]
fn a_save_that_is_cancelled_before_it_writes_writes_nothing() {
    let (_dir, path) = folder();
    put(&path, "7");
    let token = CancelToken::new();
    let document = Document::<u32, _>::new(&path, CancelsWhenRead(token.clone()));
    let options = LockOptions { cancel: Some(token), ..patient() };
    assert_eq!(document.save_with(&options, &mut 8).unwrap_err().code(), "ABORTED");
    assert_eq!(text(&path), "7");
}

/// Killed at any moment: the lock is free at once, the file is whole, and what was left behind goes.
#[test]
fn a_killed_writer_leaves_a_whole_file_a_free_lock_and_in_the_end_no_litter() {
    let (_dir, path) = folder();
    counter(&path).save(&mut Counter::default()).unwrap();
    for round in 0..20_u64 {
        let mut victim = example("counter").arg(&path).arg("1000000").spawn().unwrap();
        let so_far = counter(&path).load().map_or(0, |loaded| loaded.value.count);
        // It is at work when the number moves; a reader may find it busy, which is as good.
        while counter(&path).load().is_ok_and(|loaded| loaded.value.count <= so_far + round) {}
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(try_lock_exclusive(path.with_extension("lock")).is_ok());
        counter(&path).load().unwrap();
    }
    // Another process: each looks once.
    let litter = path.with_file_name(format!(".doc.json.{}.tmp", "0".repeat(32)));
    put(&litter, "half");
    assert!(example("counter").arg(&path).arg("1").output().unwrap().status.success());
    assert_eq!(names_in(path.parent().unwrap()), ["doc.json", "doc.lock"]);
}

#[test]
fn the_example_registry_of_exceptions() {
    let (_dir, path) = folder();
    let path = path.with_file_name("exceptions.toml");
    let run = |arguments: &[&str]| {
        let output = example("exceptions").arg(&path).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap() + &error)
    };
    let says = |arguments: &[&str]| run(arguments).1;
    assert_eq!(says(&["check", "a"]), "not excepted\n");
    assert!(says(&["list"]).contains("No such file"));
    says(&["add", "b", "no reason", "2026-01-01T00:00:00Z"]);
    says(&["add", "a", "for ever"]);
    assert_eq!(says(&["check", "a"]), "active\n");
    assert_eq!(says(&["check", "c"]), "not excepted\n");
    for (now, status) in [
        ("2025-12-31T23:59:59.999Z", "active\n"),
        // The boundary itself.
        ("2026-01-01T00:00:00Z", "expired at 2026-01-01T00:00:00Z\n"),
        ("2026-01-01T01:00:00+02:00", "active\n"),
        ("2027-01-01T00:00:00Z", "expired at 2026-01-01T00:00:00Z\n"),
    ] {
        assert_eq!(says(&["check", "b", now]), status, "{now}");
    }
    let content = text(&path);
    assert!(content.starts_with("version = 1\n\n[[exceptions]]\nid = \"a\"\n"), "{content}");
    assert_eq!(says(&["remove", "a"]), "removed\n");
    assert_eq!(says(&["remove", "a"]), "not excepted\n");
    let _held = lock_exclusive(path.with_extension("lock"), &patient()).unwrap();
    let (succeeded, said) = run(&["check", "b"]);
    assert!(!succeeded && said.contains("another process"), "{said}");
}
