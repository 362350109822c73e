//! The program on registries in etcd: `argus-registry` finds `argus-registry-etcd` beside itself, and becomes it.

use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use argus_registry::{read_registry, ClaimOptions, LockOptions, RegistryStore, WatcherRecord};
use rustix::process::{kill_process, Pid, Signal};
use serde_json::{json, Value};

use crate::support::processes::dead_pid;
use crate::support::registries::{of_process, patient, watcher};
use crate::support::servers::{shared, until, Servers};

/// `argus-registry`, which has no client of etcd itself.
fn program(arguments: &[&str]) -> Command {
    let own = Path::new(env!("CARGO_BIN_EXE_argus-registry-etcd"));
    let program = own.with_file_name("argus-registry").with_extension(env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is missing", program.display());
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for name in ["ARGUS_REGISTRY_PATH", "ARGUS_HOME", "ARGUS_REGISTRY_LOCKED"] {
        command.env_remove(name);
    }
    command
}

/// How a run ended: its exit code, standard output and standard error.
fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    ended(program(arguments).output().unwrap())
}

/// What a run that succeeds prints as JSON.
fn json_of(arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = run(&[arguments, &["--json"]].concat());
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn entries_are_listed_checked_pruned_and_removed() {
    let (path, store) = (shared().path("/program"), shared().store("/program"));
    store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    let dead = of_process(dead_pid(), WatcherRecord::new("dead", "127.0.0.1", 1));
    store.announce(dead, &patient()).unwrap();
    let at = ["--registry", &path];
    let of = |command: &[&'static str]| [command, &at[..]].concat();
    let listed = json_of(&of(&["list"]));
    let listed = listed["watchers"].as_array().unwrap().iter();
    let alive: Vec<_> = listed.map(|watcher| (&watcher["id"], &watcher["alive"])).collect();
    let (app, dead) = (json!("app"), json!("dead"));
    assert_eq!(alive, [(&app, &json!(true)), (&dead, &json!(false))]);
    assert_eq!(json_of(&["check", &path])["findings"][0]["code"], "DEAD");
    let dry = json_of(&of(&["prune", "--liveness", "--dry-run"]));
    assert_eq!(dry["pruned"][0]["id"], "dead");
    assert_eq!(store.read().unwrap().0.len(), 2);
    assert_eq!(json_of(&of(&["prune", "--liveness"]))["pruned"][0]["id"], "dead");
    let removed =
        ended(program(&["remove", "app"]).env("ARGUS_REGISTRY_PATH", &path).output().unwrap());
    assert!(removed.1.contains("entry removed"), "{removed:?}");
    assert!(store.read().unwrap().0.is_empty());
}

#[test]
fn the_status_and_a_command_under_the_lock() {
    let (path, store) = (shared().path("/program-lock"), shared().store("/program-lock"));
    let status = json_of(&["status", &path]);
    let facts = ["state", "guarantee", "claims", "exists"].map(|name| status[name].clone());
    assert_eq!(facts, [json!("free"), json!("lease"), json!("lease"), json!(false)]);
    store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    store
        .with_lock(&patient().lock, |_| {
            let status = json_of(&["status", &path]);
            assert_eq!((&status["state"], &status["exists"]), (&json!("held"), &json!(true)));
            assert_eq!(status["holders"][0]["pid"], std::process::id());
            let (code, _, stderr) = run(&["run", &path, "--", "true"]);
            assert_eq!(code, Some(2), "{stderr}");
            Ok::<_, argus_registry::Error>(())
        })
        .unwrap();
    // A nested run and a status see the lock of the outer run.
    let own = program(&[]).get_program().to_str().unwrap().to_owned();
    let (code, stdout, stderr) = run(&["run", &path, "--wait", "20", "--", &own, "status", &path]);
    assert!(code == Some(0) && stdout.contains("held"), "{stdout}{stderr}");
    let (code, _, stderr) =
        run(&["run", &path, "--wait", "20", "--", &own, "run", &path, "--", "true"]);
    assert!(code == Some(2) && stderr.contains("wait for itself"), "{stderr}");
    let (code, ..) = run(&["run", &path, "--wait", "20", "--", "sh", "-c", "exit 7"]);
    assert_eq!(code, Some(7));
    assert!(store
        .with_lock(&LockOptions::one_try(), |_| Ok::<_, argus_registry::Error>(()))
        .is_ok());
}

/// As after a freeze that was longer than the lease.
#[test]
fn a_command_that_has_outlived_its_lock_is_told_of() {
    let path = shared().path("/program-lost");
    let lose = shared().ctl_words(&["del", "/program-lost/lock/", "--prefix"]);
    let words = [
        &["run", &path, "--wait", "20", "--", "env", "ETCDCTL_API=3"][..],
        &lose.iter().map(|word| &**word).collect::<Vec<_>>(),
    ]
    .concat();
    let (code, _, stderr) = run(&words);
    assert!(code == Some(2) && stderr.contains("was taken away"), "{stderr}");
}

/// It said that nothing was written, and nothing of the command.
#[test]
fn a_command_whose_lock_no_server_tells_of_has_run() {
    let servers = Servers::start(1);
    let kill = format!("kill -9 {}", servers.servers[0].pid());
    let path = servers.path("/program-unknown");
    let (code, _, stderr) = run(&["run", &path, "--wait", "20", "--", "sh", "-c", &kill]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("has ended with 0") && !stderr.contains("nothing was"), "{stderr}");
    assert!(stderr.contains(&path), "{stderr}");
}

/// Its key stayed for ten seconds, in which no process could change the registry.
#[test]
fn a_signal_to_a_run_that_waits_for_the_lock_leaves_no_key() {
    let (path, store) = (shared().path("/program-waits"), shared().store("/program-waits"));
    let keys = || {
        let keys = shared().ctl(&["get", "/program-waits/lock/", "--prefix", "--keys-only"]);
        keys.lines().filter(|key| !key.is_empty()).count()
    };
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        store
            .with_lock(&patient().lock, |_| {
                let run = ["run", &path, "--wait", "60", "--", "true"];
                let waiting = program(&run).stderr(Stdio::piped()).spawn().unwrap();
                until("it waits", || keys() == 2);
                kill_process(Pid::from_child(&waiting), signal).unwrap();
                let ended = waiting.wait_with_output().unwrap();
                assert_eq!(keys(), 1, "{signal:?}");
                assert_eq!(ended.status.signal(), Some(signal.as_raw()), "{ended:?}");
                assert!(ended.stderr.is_empty(), "{ended:?}");
                Ok::<_, argus_registry::Error>(())
            })
            .unwrap();
    }
    assert_eq!(keys(), 0);
}

#[test]
fn entries_are_moved_from_a_file_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("registry.json");
    let (etcd, file) = (shared().path("/program-moved"), file.to_str().unwrap());
    let store = argus_registry::open_store(file);
    for id in ["a", "b"] {
        store.announce(watcher(id), &patient()).unwrap();
    }
    let moved = json_of(&["migrate", file, &etcd]);
    assert_eq!((&moved["moved"], &moved["remaining"]), (&json!(2), &json!(0)));
    assert_eq!(shared().store("/program-moved").read().unwrap().0.len(), 2);
    assert_eq!(json_of(&["migrate", &etcd, file])["moved"], 2);
    assert_eq!(read_registry(file).unwrap().0.len(), 2);
    assert!(shared().store("/program-moved").read().unwrap().0.is_empty());
}

#[test]
fn a_mirror_copies_from_etcd_to_a_file_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("registry.json");
    let (path, store) = (shared().path("/program-mirror"), shared().store("/program-mirror"));
    store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    let mut mirror =
        program(&["mirror", &path, file.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap();
    let has = |id: &str| read_registry(&file).is_ok_and(|(found, _)| found.watcher(id).is_some());
    until("the entry is in the file", || has("app"));
    let older = argus_registry::open_store(&file);
    older.announce(watcher("older"), &patient()).unwrap();
    until("the older program's entry is in etcd", || {
        store.read().is_ok_and(|(found, _)| found.watcher("older").is_some())
    });
    assert!(store.remove("app".into(), &patient()).unwrap());
    until("the copy is gone", || !has("app"));
    kill_process(Pid::from_child(&mirror), Signal::TERM).unwrap();
    let status = mirror.wait().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_watch_prints_each_state() {
    let (path, store) = (shared().path("/program-watch"), shared().store("/program-watch"));
    let mut watch =
        program(&["watch", "--json", "--registry", &path]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["watchers"], json!([]));
    store.claim(watcher("app"), &ClaimOptions::default(), &patient()).unwrap();
    // The claim writes the registry's version first, with which an empty registry is there.
    let mut states = std::iter::repeat_with(next).map(|state| state["watchers"].clone());
    assert_eq!(states.find(|watchers| *watchers != json!([])).unwrap()[0]["id"], "app");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn what_a_command_cannot_do_in_etcd_says_what_to_use_instead() {
    let path = shared().path("/program-refused");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("registry.json");
    for (arguments, reason, next) in [
        (vec!["doctor", &path], "tests file systems", "argus-registry check"),
        (vec!["doctor", "--fix", &path], "tests file systems", "etcdctl endpoint health"),
        (vec!["mirror", file.to_str().unwrap(), &path], "is in etcd", "a registry file"),
    ] {
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!((code, &*stdout), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(reason) && stderr.contains(next), "{stderr}");
    }
    let (code, _, stderr) = run(&["run", "--shared", &path, "--", "true"]);
    assert!(code == Some(1) && stderr.contains("--shared is for lock files"), "{stderr}");
    let (code, _, stderr) = run(&["status", "etcd://h/p"]);
    assert!(code == Some(2) && stderr.contains("a host and a port"), "{stderr}");
}

/// A shell that signals the program must reach the process that works.
#[test]
fn the_program_becomes_the_other_one() {
    let path = shared().path("/program-signal");
    let script = "echo ready; exec sleep 60";
    let mut run = program(&["run", &path, "--wait", "20", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(run.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert_eq!(json_of(&["status", &path])["holders"][0]["pid"], run.id());
    kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(128 + 15));
}
