//! Servers of etcd, each with ports and a folder of its own, which end with the test program.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use argus_registry::RegistryStore;
use argus_registry_etcd::{EtcdOptions, EtcdStore};
use rustix::process::{kill_process, Pid, Signal};
use tempfile::TempDir;

/// Starts a server, says its process id, and kills it when standard input ends: also that of a test program that
/// was killed.
const START: &str =
    r#"log=$1; shift; "$@" >"$log" 2>&1 </dev/null & echo $!; read line; kill -9 $!; wait"#;

pub(crate) struct Server {
    shell: Child,
    input: Option<ChildStdin>,
    pid: i32,
    pub(crate) endpoint: String,
    log: PathBuf,
    arguments: Vec<OsString>,
}

pub(crate) struct Servers {
    pub(crate) servers: Vec<Server>,
    dir: TempDir,
}

/// Ports that no process uses. They stay reserved until all are chosen.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

impl Servers {
    /// Starts so many servers, with further arguments, and waits until they are healthy.
    pub(crate) fn start_with(count: usize, arguments: &[&str]) -> Self {
        // In memory where that can be, so that no test waits for the disk.
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap();
        let ports = free_ports(2 * count);
        let is_tls = arguments.iter().any(|argument| argument.starts_with("--cert-file"));
        let scheme = if is_tls { "https" } else { "http" };
        let name = |index: usize| format!("s{index}");
        let peer = |index: usize| format!("http://127.0.0.1:{}", ports[count + index]);
        let all: Vec<_> =
            (0..count).map(|index| format!("{}={}", name(index), peer(index))).collect();
        let start = |index: usize| {
            let endpoint = format!("127.0.0.1:{}", ports[index]);
            let client = format!("{scheme}://{endpoint}");
            let log = dir.path().join(format!("{}.log", name(index)));
            let mut command = Command::new("etcd");
            command.args(["--name", &name(index), "--logger", "zap"]);
            command.arg("--data-dir").arg(dir.path().join(name(index)));
            command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.args(["--listen-peer-urls", &peer(index)]);
            command.args(["--initial-advertise-peer-urls", &peer(index)]);
            command.args(["--initial-cluster", &all.join(",")]).args(arguments);
            let arguments = command.get_args().map(OsStr::to_owned).collect();
            Server::start(endpoint, log, arguments)
        };
        let servers = Servers { servers: (0..count).map(start).collect(), dir };
        if !is_tls {
            servers.wait_until_healthy();
        }
        servers
    }

    pub(crate) fn start(count: usize) -> Self {
        Servers::start_with(count, &[])
    }

    /// Waits until each of them answers reads, for which the cluster has to have a leader.
    pub(crate) fn wait_until_healthy(&self) {
        for server in &self.servers {
            server.wait_until_healthy();
        }
    }

    /// The folder of a server's data.
    pub(crate) fn data(&self, index: usize) -> PathBuf {
        self.dir.path().join(format!("s{index}"))
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.endpoint.clone()).collect()
    }

    /// The machine may be busy with other tests: a server that is alone has time to answer, and so has a reader.
    pub(crate) fn options(&self, prefix: &str) -> EtcdOptions {
        let mut options = EtcdOptions::new(self.endpoints(), prefix);
        options.read_within = Duration::from_secs(60);
        if let [_] = self.servers[..] {
            options.answer_within = Duration::from_secs(10);
        }
        options
    }

    pub(crate) fn store(&self, prefix: &str) -> EtcdStore {
        EtcdStore::open(self.options(prefix)).unwrap()
    }

    pub(crate) fn path(&self, prefix: &str) -> String {
        format!("etcd://{}{prefix}", self.endpoints().join(","))
    }

    /// The words of a command line of `etcdctl` with these servers.
    #[cfg(feature = "cli")]
    pub(crate) fn ctl_words(&self, arguments: &[&str]) -> Vec<String> {
        let endpoints = format!("--endpoints={}", self.endpoints().join(","));
        let words = ["etcdctl", &endpoints].into_iter().chain(arguments.iter().copied());
        words.map(str::to_owned).collect()
    }

    /// Runs `etcdctl` with these servers; returns what it has printed.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints={}", self.endpoints().join(",")))
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "etcdctl {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The number of the server that leads.
    pub(crate) fn leader(&self) -> usize {
        self.find_leader().expect("a server leads")
    }

    /// The number of the server that leads, if one does.
    pub(crate) fn find_leader(&self) -> Option<usize> {
        for (index, server) in self.servers.iter().enumerate() {
            let output = Command::new("etcdctl")
                .env("ETCDCTL_API", "3")
                .arg(format!("--endpoints={}", server.endpoint))
                // A server that is down is not waited for.
                .args(["--dial-timeout=500ms", "--command-timeout=1s", "endpoint", "status"])
                .output()
                .unwrap();
            let status = String::from_utf8_lossy(&output.stdout).into_owned();
            if status.split(", ").nth(4) == Some("true") {
                return Some(index);
            }
        }
        None
    }
}

impl Server {
    fn start(endpoint: String, log: PathBuf, arguments: Vec<OsString>) -> Self {
        File::create(&log).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", START, "sh"]).arg(&log).arg("etcd").args(&arguments);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (pid, input) = (line.trim().parse().unwrap(), shell.stdin.take());
        Server { shell, input, pid, endpoint, log, arguments }
    }

    fn wait_until_healthy(&self) {
        let store = EtcdStore::open(EtcdOptions::new([&self.endpoint], "/health")).unwrap();
        // One that asks for a user answers, too.
        let has_answered = || match store.read() {
            Ok(_) => true,
            Err(error) => error.code() == "PERMISSION_DENIED",
        };
        until("the server is healthy", has_answered);
    }

    /// Starts a server again that was killed, with its data, and waits until it is healthy.
    pub(crate) fn restart(&mut self) {
        let (endpoint, log) = (self.endpoint.clone(), self.log.clone());
        *self = Server::start(endpoint, log, self.arguments.clone());
        self.wait_until_healthy();
    }

    #[cfg(feature = "cli")]
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Kills the server, and waits until it has ended.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        drop(self.input.take());
        self.shell.wait().unwrap();
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid).unwrap(), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}

/// Waits until a condition holds, which is asked again and again.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// One server for all tests that need no other one: each has a prefix of its own.
pub(crate) fn shared() -> &'static Servers {
    static SHARED: OnceLock<Servers> = OnceLock::new();
    SHARED.get_or_init(|| Servers::start(1))
}
