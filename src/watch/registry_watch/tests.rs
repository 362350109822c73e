//! Which events cause a read, and when.

use super::*;
use std::sync::mpsc;
use std::thread;

/// Replaces a file without opening it under its name.
fn put(path: &Path, text: &str) {
    use std::io::Write;
    let temp = path.with_extension("other");
    fs::File::create(&temp).unwrap().write_all(text.as_bytes()).unwrap();
    crate::sys::rename(&temp, path).unwrap();
}

/// The system reports each time that the file is opened. A watch that is woken by events about
/// other files, or by its own reads, would open the file more often than it has changed.
#[test]
fn only_a_change_of_the_file_causes_a_read() {
    let dir = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(dir.path()).unwrap();
    let path = real.join("registry.json");
    let (opened, opens) = mpsc::channel();
    let note = move |event: notify::Result<Event>| {
        let event = event.unwrap();
        if matches!(event.kind, notify::EventKind::Access(notify::event::AccessKind::Open(_))) {
            opened.send(event.paths[0].clone()).unwrap();
        }
    };
    let mut witness = RecommendedWatcher::new(note, Config::default()).unwrap();
    witness.watch(&real, RecursiveMode::NonRecursive).unwrap();
    put(&path, "1");
    let watch = watch_file(&path).unwrap();
    let token = watch.cancel_token();
    let (sender, states) = mpsc::channel();
    let watching = thread::spawn(move || watch.for_each(|state| sender.send(state).unwrap()));
    for round in 0..3 {
        states.recv().unwrap().unwrap();
        for name in ["registry.json.guard", "registry.json.lock", ".registry.json.x.tmp"] {
            fs::File::create(real.join(name)).unwrap();
            fs::remove_file(real.join(name)).unwrap();
        }
        // Time in which a read would happen that should not.
        CancelToken::new().sleep_until(Instant::now() + 5 * QUIET_PERIOD);
        put(&path, &format!("next {round}"));
    }
    states.recv().unwrap().unwrap();
    token.cancel();
    watching.join().unwrap();
    let end = real.join("end");
    fs::File::create(&end).unwrap();
    let reads = opens.iter().take_while(|name| *name != end).filter(|name| *name == path);
    assert_eq!(reads.count(), 4);
}

#[test]
fn a_file_that_a_link_no_longer_points_at_causes_no_event() {
    let dir = tempfile::tempdir().unwrap();
    let real = fs::canonicalize(dir.path()).unwrap();
    let path = real.join("link.json");
    let targets = ["one", "two"].map(|name| real.join(name).join("registry.json"));
    let mut watch = watch_file(&path).unwrap();
    for target in &targets {
        fs::create_dir(target.parent().unwrap()).unwrap();
        put(target, &target.to_string_lossy());
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(target, &path).unwrap();
        watch.next().unwrap().unwrap();
    }
    // Time for the remaining events of these changes.
    CancelToken::new().sleep_until(Instant::now() + 5 * QUIET_PERIOD);
    watch.watch_all_folders().unwrap();
    put(&targets[0], "changed");
    CancelToken::new().sleep_until(Instant::now() + 5 * QUIET_PERIOD);
    assert_eq!(lock(&watch.pending).times, None);
}

#[test]
fn a_burst_ends_after_a_quiet_period_or_at_its_longest_duration() {
    let watched = Arc::new(WatchedPath::resolve(Path::new("/x")));
    let mut pending = PendingEvents { watched, ..PendingEvents::default() };
    assert_eq!(pending.due(), None);
    let event = |path: &str| Ok(Event::new(notify::EventKind::Any).add_path(path.into()));
    assert!(!pending.add(event("/x.lock")));
    assert!(pending.add(event("/x")));
    let (first, last) = pending.times.unwrap();
    let due = Some(first + QUIET_PERIOD);
    assert_eq!((first, pending.due(), pending.path_changed), (last, due, false));
    pending.times = Some((first, first + MAX_BURST));
    assert_eq!(pending.due(), Some(first + MAX_BURST));
    // Events were lost, which may have been about any name.
    let lost = Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan);
    assert!(pending.add(Ok(lost)) && pending.path_changed);
}
