//! Watches whose servers come back as others: with users, without a user's permission, with an earlier state.

use std::fs;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use argus_registry::{Error, RegistryStore, RegistryV1};
use argus_registry_etcd::{EtcdOptions, EtcdStore, Password, User};

use super::{count, count_up};
use crate::support::registries::{patient, watcher};
use crate::support::servers::{until, Servers};

/// What a watch delivers, from a thread of its own: a watch that is silent would keep the test for ever.
struct States(Receiver<Result<RegistryV1, Error>>);

impl States {
    fn of(store: &EtcdStore) -> Self {
        let (send, states) = mpsc::channel();
        let watch = store.watch().unwrap();
        thread::spawn(move || {
            for state in watch {
                let _ = send.send(state.map(|(registry, _)| registry));
            }
        });
        States(states)
    }

    /// The next state; `None` at the watch's end.
    fn next(&self) -> Option<Result<RegistryV1, Error>> {
        match self.0.recv_timeout(Duration::from_secs(60)) {
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the watch is silent"),
            next => next.ok(),
        }
    }

    fn until_counted(&self, wanted: u16) {
        let counted = |state: RegistryV1| state.watcher("counter").map(|counter| counter.port);
        while counted(self.next().unwrap().unwrap()) != Some(wanted) {}
    }
}

/// The servers know no token any more after their start, and the watch asked with the one that it had for ever.
#[test]
fn a_watch_of_a_user_outlives_a_restart_and_ends_with_the_permission() {
    let mut servers = Servers::start(1);
    let root = ["--user", "root:secret"];
    let commands = [
        "user add root:secret",
        "user grant-role root root",
        "role add argus",
        "role grant-permission argus --prefix=true readwrite /watched/",
        "user add argus:word",
        "user grant-role argus argus",
        "auth enable",
    ];
    for arguments in commands {
        servers.ctl(&arguments.split(' ').collect::<Vec<_>>());
    }
    let user = Some(User { name: "argus".to_owned(), password: Password::Text("word".to_owned()) });
    let open = || {
        let user = user.clone();
        EtcdStore::open(EtcdOptions { user, ..servers.options("/watched") }).unwrap()
    };
    // Calls of the watching store would get another token, for its watch, too.
    let (store, other) = (open(), open());
    count_up(&other, &patient()).unwrap();
    let states = States::of(&store);
    states.until_counted(1);
    servers.servers[0].kill();
    servers.servers[0].restart();
    count_up(&other, &patient()).unwrap();
    states.until_counted(2);

    let revoke = ["role", "revoke-permission", "argus", "/watched/", "--prefix"];
    servers.ctl(&[&root[..], &revoke].concat());
    servers.servers[0].kill();
    servers.servers[0].restart();
    let refused = states.next().unwrap().unwrap_err();
    assert_eq!(refused.code(), "PERMISSION_DENIED", "{refused}");
    assert!(states.next().is_none());
}

/// The watch asked for what follows a revision that was never reached again, and delivered nothing.
#[test]
fn a_watch_of_servers_that_have_lost_their_data_goes_on_with_what_is_there() {
    let mut servers = Servers::start(1);
    let store = servers.store("/wiped");
    for _ in 0..20 {
        count_up(&store, &patient()).unwrap();
    }
    let states = States::of(&store);
    states.until_counted(20);
    servers.servers[0].kill();
    fs::remove_dir_all(servers.data(0)).unwrap();
    servers.servers[0].restart();
    let other = servers.store("/wiped");
    other.announce(watcher("other"), &patient()).unwrap();
    let ids = |state: RegistryV1| state.ids().map(|id| id.to_string()).collect::<Vec<_>>();
    until("the state of the new data was delivered", || {
        ids(states.next().unwrap().unwrap()) == ["other"]
    });
    count_up(&other, &patient()).unwrap();
    states.until_counted(1);
    assert_eq!(count(&other), 1);
}
