//! Nothing that was acknowledged is lost, and nothing is made twice.

use argus_registry::RegistryStore;
use rustix::process::Signal;

use super::count;
use crate::support::processes::example;
use crate::support::servers::{until, Servers};

#[test]
fn eight_processes_count_exactly_while_the_leader_is_killed() {
    const PROCESSES: usize = 8;
    const TIMES: usize = 200;
    let mut servers = Servers::start(3);
    let (store, path) = (servers.store("/conservation"), servers.path("/conservation"));
    let leader = servers.leader();
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|_| example("increment").arg(&path).arg(TIMES.to_string()).spawn().unwrap())
        .collect();
    until("the processes are under way", || {
        store.read().is_ok_and(|(found, _)| {
            found.watcher("counter").is_some_and(|counter| counter.port > 200)
        })
    });
    servers.servers[leader].signal(Signal::KILL);
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(usize::from(count(&store)), PROCESSES * TIMES);
}
