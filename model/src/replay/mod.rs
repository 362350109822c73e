//! Replays orders of the model on the real code, step by step, and compares what is there after each.
//!
//! The real processes are built with `--cfg argus_stopping_points`: each stops before every step, says its
//! name, and goes on when it is told. So exactly the process goes on that has its turn in the order. What is
//! compared then: at which step the process has stopped, the files, their names, inodes and contents, which
//! process has which kernel lock, and what the callers were told. An older argus is played by the replay.

mod catalogue;
mod folder;
mod orders;
mod running;
mod shims;

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::configuration::{Configuration, Role, DEAD};
use crate::file_system::{Name, Pid};
use crate::model::Action;
use crate::report::{describe, row};
use crate::state::{QueueThread, State};
use crate::step::Step;
use catalogue::{configurations, DRIFTS};
use folder::{process_name, Folder};
use orders::Order;
use running::{Program, Running, ENDED};
use shims::Shims;

/// How long a process may take until it waits in the kernel.
const BLOCK_TIME: Duration = Duration::from_secs(10);

/// The age of an abandoned lockfile.
const ABANDONED_FOR: Duration = Duration::from_secs(20);

/// How many walks of each configuration are replayed, and as many shortest orders.
const ORDERS_OF_EACH_KIND: usize = 40;
const ORDERS_OF_EACH_KIND_IN_FULL: usize = 1000;

/// After how many walks a model that drifted counts as not found out.
const WALKS_OF_A_DRIFT: usize = 400;

/// Replays orders of all configurations with a program that stops; `long` takes more of them.
pub fn replay(path: &Path, long: bool, seed: u64) -> bool {
    if !Path::new("/proc/locks").exists() {
        println!("replay: this needs Linux, which lists its locks in /proc/locks");
        return true;
    }
    let count = if long { ORDERS_OF_EACH_KIND_IN_FULL } else { ORDERS_OF_EACH_KIND };
    let configurations = configurations();
    let shims = Shims::compile();
    let program = |files| Program { path: path.to_owned(), shim: shims.for_files(files) };
    let mut is_good = true;
    for (mutation, place) in DRIFTS {
        let drifted = Configuration { mutation: Some(*mutation), ..configurations[*place].clone() };
        let started = Instant::now();
        let found = (0..).take(WALKS_OF_A_DRIFT).find_map(|walk| {
            let order = orders::walk(&drifted, seed + walk);
            replay_order(&drifted, &order, &program(drifted.files)).err()
        });
        let what = format!("a model that drifted, without {mutation:?}, is found out");
        let size = found.as_ref().map_or("it is not", |difference| difference.what.as_str());
        let seconds = started.elapsed().as_secs_f64();
        let detail = "the replay does not see that the model has left out a check";
        row(&what, size, seconds, usize::from(found.is_none()), detail);
        is_good &= found.is_some();
    }
    for configuration in &configurations {
        let started = Instant::now();
        let walks = (0..count as u64).map(|walk| orders::walk(configuration, seed + walk));
        let all = orders::shortest(configuration, count, seed).into_iter().chain(walks);
        let (mut orders, mut steps, mut failures) = (0, 0, Vec::new());
        for order in all {
            orders += 1;
            steps += order.actions.len();
            if let Err(difference) =
                replay_order(configuration, &order, &program(configuration.files))
            {
                println!("\n{}, {}:\n{}", configuration.name, order.what, difference.order);
                println!("{}", difference.what);
                failures.push(format!("{}, seed {seed}: {}", order.what, difference.what));
            }
        }
        let what = format!("replayed on the code: {}", configuration.covers);
        let size = format!("{orders} orders, {steps} steps");
        let seconds = started.elapsed().as_secs_f64();
        row(&what, &size, seconds, failures.len(), &failures.join("; "));
        is_good &= failures.is_empty();
    }
    is_good
}

/// A step after which the real folder or a real process is not as in the model.
struct Difference {
    what: String,
    /// The actions until then, one in each line.
    order: String,
}

fn replay_order(
    configuration: &Configuration,
    order: &Order,
    program: &Program,
) -> Result<(), Difference> {
    let mut done = 0;
    let mut replay = || -> Result<(), String> {
        let mut replay = Replay::start(configuration, &order.states[0], program)?;
        for place in 0..order.actions.len() {
            replay.act(order, place)?;
            replay.compare(&order.states[place], &order.states[place + 1])?;
            done = place + 1;
        }
        Ok(())
    };
    replay().map_err(|what| {
        let shown = order.actions.iter().take(done + 1);
        let lines: Vec<String> = shown.map(|action| describe(*action)).collect();
        Difference { what, order: lines.join("\n") }
    })
}

struct Replay<'a> {
    configuration: &'a Configuration,
    folder: Folder,
    /// None: it is killed, or an older argus.
    processes: Vec<Option<Running>>,
    pids: HashMap<Pid, u32>,
    /// Those that were let go on into the kernel, where they wait.
    blocked: Vec<Pid>,
    /// How often each was warned in its present update, and has to be.
    warned: Vec<bool>,
}

impl<'a> Replay<'a> {
    fn start(
        configuration: &'a Configuration,
        state: &State,
        program: &Program,
    ) -> Result<Self, String> {
        let folder = Folder::create(configuration.files);
        let mut pids = HashMap::new();
        let has = |name| state.fs.at(name).is_some();
        if has(Name::Guard) {
            let is_killed_holder = has(Name::ContentTemp(DEAD, 0));
            let last = match is_killed_holder {
                true => Step::WriteTemp,
                false if configuration.files.kernel_locks => Step::LinkLockfile,
                false => Step::CreateLockfileTemp,
            };
            let mut dead = Running::start(program, &folder.registry(), &process_name(DEAD), 1)?;
            while dead.at != last.name() {
                dead.go_on()?;
                dead.wait()?;
            }
            pids.insert(DEAD, dead.pid());
            dead.kill();
            if has(Name::Lockfile) && !is_killed_holder {
                let abandoned = File::create(folder.at(Name::Lockfile));
                let date = SystemTime::now() - ABANDONED_FOR;
                abandoned.and_then(|file| file.set_modified(date)).map_err(|e| e.to_string())?;
            }
        }
        let mut processes = Vec::new();
        for (pid, role) in (0..).zip(&configuration.roles) {
            processes.push(match role {
                Role::Older => None,
                _ => {
                    let name = process_name(pid);
                    let updates = configuration.updates;
                    let running = Running::start(program, &folder.registry(), &name, updates)?;
                    pids.insert(pid, running.pid());
                    Some(running)
                }
            });
        }
        let warned = vec![false; processes.len()];
        let blocked = Vec::new();
        let mut replay = Replay { configuration, folder, processes, pids, blocked, warned };
        replay.compare(state, state)?;
        Ok(replay)
    }

    fn process(&mut self, pid: Pid) -> &mut Running {
        self.processes[usize::from(pid)].as_mut().expect("it is alive")
    }

    /// Does what an action says.
    fn act(&mut self, order: &Order, place: usize) -> Result<(), String> {
        match order.actions[place] {
            Action::Step(pid, step) if self.configuration.role(pid) == Role::Older => {
                self.play_older(pid, step, &order.states[place])
            }
            Action::Step(pid, _) => {
                self.process(pid).go_on()?;
                self.process(pid).wait()?;
                let waits = self.process(pid).at == Step::WaitForLock.name();
                if waits && may_block(order, place + 1, pid) {
                    self.process(pid).go_on()?;
                    self.blocked.push(pid);
                    return self.wait_until_blocked(pid);
                }
                Ok(())
            }
            Action::Queue(pid) => {
                let before = self.blocked.len();
                self.blocked.retain(|blocked| *blocked != pid);
                if self.blocked.len() == before {
                    self.process(pid).go_on()?;
                }
                self.process(pid).wait()
            }
            Action::Crash(pid) => {
                self.blocked.retain(|blocked| *blocked != pid);
                if let Some(mut killed) = self.processes[usize::from(pid)].take() {
                    killed.kill();
                }
                Ok(())
            }
            Action::DeleteGuard => {
                fs::remove_file(self.folder.at(Name::Guard)).map_err(|error| error.to_string())
            }
            other => Err(format!("{other:?} can't be replayed")),
        }
    }

    fn wait_until_blocked(&mut self, pid: Pid) -> Result<(), String> {
        let end = Instant::now() + BLOCK_TIME;
        let real = self.process(pid).pid();
        while !folder::is_blocked(real) {
            if Instant::now() > end {
                return Err("it does not wait in the kernel".to_owned());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn play_older(&mut self, pid: Pid, step: Step, before: &State) -> Result<(), String> {
        let lockfile = self.folder.at(Name::Lockfile);
        let process = &before.processes[usize::from(pid)];
        let temp = Name::OlderTemp(pid);
        let done = match step {
            Step::OlderCreate => match File::create_new(&lockfile) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                created => created.map(drop),
            },
            Step::OlderDelete | Step::OlderRelease => match fs::remove_file(&lockfile) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
            Step::OlderWrite => {
                self.folder.write_updates(temp, process.read | process.batch);
                Ok(())
            }
            #[allow(clippy::disallowed_methods, reason = "what an older argus does")]
            Step::OlderRename => fs::rename(self.folder.at(temp), self.folder.registry()),
            // The model knows what is read and seen.
            _ => Ok(()),
        };
        done.map_err(|error| format!("{}: {error}", step.name()))
    }

    /// Compares all that can be seen with the state of the model after an action.
    fn compare(&mut self, before: &State, after: &State) -> Result<(), String> {
        self.folder.compare(after, &self.pids, &self.blocked)?;
        for (pid, process) in (0..).zip(&after.processes) {
            let Some(running) = &self.processes[usize::from(pid)] else { continue };
            let name = process_name(pid);
            let expected = if process.step == Step::Ended { ENDED } else { process.step.name() };
            if running.at != expected {
                return Err(format!("{name} has stopped at {}, not at {expected}", running.at));
            }
            self.warned[usize::from(pid)] |= process.is_told;
            let earlier = before.processes[usize::from(pid)].step;
            let is_between = matches!(process.step, Step::OpenGuard | Step::Ended);
            if !is_between || earlier == process.step {
                continue;
            }
            let own = after.acknowledged & (0b11 << (2 * pid));
            if running.acknowledged != own.count_ones() {
                let told = running.acknowledged;
                return Err(format!("{name} was told of {told} updates, not of {own:#b}"));
            }
            let is_told = std::mem::take(&mut self.warned[usize::from(pid)]);
            if (running.warnings > 0) != is_told {
                return Err(format!("{name} was warned {} times", running.warnings));
            }
        }
        Ok(())
    }
}

/// Whether a process that waits for a lock can be let go on into the kernel: it gets the lock there as soon as
/// that is free, so in the order the next one that gets it has to be this process, and no other may ask
/// meanwhile whether it is free.
fn may_block(order: &Order, from: usize, pid: Pid) -> bool {
    let QueueThread::Blocked(ino) = order.states[from].processes[usize::from(pid)].queue else {
        return false;
    };
    let mut is_free = false;
    for (action, state) in order.actions[from..].iter().zip(&order.states[from + 1..]) {
        match action {
            Action::Queue(served) if *served == pid => return true,
            Action::Crash(killed) if *killed == pid => return !is_free,
            Action::Step(_, Step::JudgeFound) if is_free => return false,
            _ => {}
        }
        let locked_by = state.fs.exists(ino).then(|| state.fs.inode(ino).locked_by).flatten();
        if is_free && locked_by.is_some() {
            return false;
        }
        is_free = locked_by.is_none();
    }
    !is_free
}
