//! One case: an operation in a new folder, with one fault at one call.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::check::{Answer, Checks};
use super::exceptions::{self, Exception};
use super::fault::{errors_of, is_counted, Fault};
use super::operation::{Operation, Program};
use super::tracer::{Action, Call, Ended, Observer, Traced};

/// Longer than any wait of an operation, by far.
const HANGS_AFTER: Duration = Duration::from_secs(20);

/// Where the programs are that run the operations.
pub(crate) struct Programs {
    rust: PathBuf,
    cli: PathBuf,
    node_script: PathBuf,
    folder: PathBuf,
}

impl Programs {
    pub(crate) fn find() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // This program is in the folder `deps` of the build.
        let own = env::current_exe().map_err(|error| error.to_string())?;
        let built = own.parent().and_then(Path::parent).ok_or("no folder of the build")?;
        let programs = Programs {
            rust: built.join("examples/one_operation"),
            cli: built.join("argus-registry"),
            node_script: root.join("tests/faults/programs/one_operation.mjs"),
            // In memory, where there is such a folder: the kernel's calls are the same ones, and a sync
            // costs nothing.
            folder: ["/dev/shm"]
                .map(PathBuf::from)
                .into_iter()
                .find(|f| f.is_dir())
                .unwrap_or(env::temp_dir()),
        };
        for program in [&programs.rust, &programs.cli, &root.join("index.js")] {
            if !program.exists() {
                return Err(format!(
                    "{} is not built: npm run test:faults does that",
                    program.display()
                ));
            }
        }
        Ok(programs)
    }

    pub(crate) fn command(&self, operation: &Operation, path: &Path) -> Command {
        let name = operation.name.split(':').next().unwrap();
        match operation.program {
            Program::Rust => {
                let mut command = Command::new(&self.rust);
                command.args([name]).arg(path);
                command
            }
            Program::Node => {
                let mut command = Command::new("node");
                command.arg(&self.node_script).arg(name).arg(path);
                command
            }
            Program::Cli(arguments) => {
                let mut command = Command::new(&self.rust);
                command.arg("exec").arg(path).arg(&self.cli).args(arguments);
                command
            }
        }
    }
}

pub(crate) struct Case<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) operation: &'static Operation,
    pub(crate) fault: Fault,
    /// Counted from 1, of the calls that the fault can happen to.
    pub(crate) call: usize,
}

/// What a case has shown.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The call that the fault happened to, and its file; none if the operation has fewer calls.
    pub(crate) hit: Option<(&'static str, String)>,
    pub(crate) violations: Vec<String>,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) calls: BTreeMap<&'static str, usize>,
}

/// Counts the calls, and lets the fault happen.
struct Injector<'a> {
    operation: &'static Operation,
    fault: Fault,
    call: usize,
    seen: usize,
    hit: Option<(&'static str, String)>,
    calls: BTreeMap<&'static str, usize>,
    folder: PathBuf,
    is_over: bool,
    checks: &'a RefCell<Checks>,
    case: &'a Case<'a>,
}

impl Injector<'_> {
    /// Of a program, calls about this folder are counted: the others load it. The doctor tries out in a
    /// folder of its own what the system does, as often as the time allows; that is not counted either,
    /// but for the folder itself and the record in it.
    fn is_of_the_program(&self, target: &Path) -> bool {
        let Ok(inside) = target.strip_prefix(&self.folder) else { return false };
        let mut parts = inside.iter().map(|part| part.to_string_lossy());
        let is_probe = parts.next().is_some_and(|name| name.starts_with(".argus-registry-probe-"));
        !is_probe || parts.next().is_none_or(|name| name == "owner")
    }

    fn counts(&mut self, call: &Call) -> bool {
        if self.is_over || !is_counted(call) {
            return false;
        }
        let Program::Cli(_) = self.operation.program else { return true };
        call.is_of_main_process() && self.is_of_the_program(&call.target())
    }
}

impl Observer for Injector<'_> {
    fn entry(&mut self, call: &Call) -> Action {
        let missing = self.operation.without.iter().find(|(name, _)| *name == call.name);
        if let Some((_, error)) = missing {
            return Action::Fail(*error);
        }
        if !self.counts(call) {
            return Action::Run;
        }
        *self.calls.entry(call.name).or_default() += 1;
        if !self.fault.applies_to(call) {
            return Action::Run;
        }
        self.seen += 1;
        let happens = match self.fault {
            Fault::FromThenOn(_) => self.seen >= self.call,
            _ => self.seen == self.call,
        };
        if !happens {
            return Action::Run;
        }
        if self.hit.is_none() {
            self.hit = Some((call.name, call.target().display().to_string()));
        }
        debug_assert!(self.fault.kills() || !errors_of(call).is_empty());
        self.fault.action(call)
    }

    fn outcome(&mut self) -> &'static str {
        self.is_over = true;
        // Without kernel locks, and while its calls go on failing, the process is not asked for more.
        if matches!(self.fault, Fault::FromThenOn(_)) || !self.operation.without.is_empty() {
            return "";
        }
        self.checks.borrow_mut().while_it_lives(self.case)
    }
}

impl Case<'_> {
    pub(crate) fn run(&self) -> Outcome {
        let folder = TempDir::with_prefix_in("argus-faults-", &self.programs.folder).unwrap();
        let path = self.prepare(&fs::canonicalize(folder.path()).unwrap());
        let inner = path.parent().unwrap().to_path_buf();
        let traced = match self.start(&path) {
            Ok(traced) => traced,
            Err(error) => {
                let violations = vec![format!("it could not be started: {error}")];
                return Outcome { violations, ..Outcome::default() };
            }
        };
        // A process that has said that it is ready may have made an update before.
        let checks = RefCell::new(Checks::new(self.operation, &path));
        let mut injector = Injector {
            operation: self.operation,
            fault: self.fault,
            call: self.call,
            seen: 0,
            hit: None,
            calls: BTreeMap::new(),
            folder: inner.clone(),
            is_over: false,
            checks: &checks,
            case: self,
        };
        let ended = traced.run(&mut injector, HANGS_AFTER);
        let Injector { hit, calls, .. } = injector;
        let mut checks = checks.into_inner();
        let outcome = |mut violations: Vec<String>, answer: &str| {
            let mut exceptions = Vec::new();
            if let Some((name, target)) = &hit {
                violations.retain(|violation| {
                    let found =
                        exceptions::find(self.operation, self.fault, name, target, violation);
                    exceptions.extend(found);
                    found.is_none()
                });
            }
            for violation in &mut violations {
                violation.push_str(&format!(" [{answer}]"));
            }
            Outcome { hit: hit.clone(), violations, exceptions, calls: calls.clone() }
        };
        match ended {
            Err(error) => outcome(vec![format!("it could not be run: {error}")], ""),
            Ok(ended) => {
                let answer = Answer::of(&ended, self.operation);
                let said = format!("{answer:?}");
                let call = hit.as_ref().map(|(name, _)| *name);
                checks.after_its_end(self, &ended, &answer, call);
                outcome(checks.violations, &said)
            }
        }
    }

    /// Makes what the operation finds. This process did so under another path: it is a process that has
    /// not had the lock before when it makes the next update, so that it looks for what is left.
    fn prepare(&self, folder: &Path) -> PathBuf {
        let [prepared, inner] = ["prepared", "folder"].map(|name| folder.join(name));
        fs::create_dir(&prepared).unwrap();
        (self.operation.prepare)(&prepared.join(self.operation.kind.file_name()));
        if prepared.exists() {
            fs::rename(prepared, &inner).unwrap();
        }
        inner.join(self.operation.kind.file_name())
    }

    fn start(&self, path: &Path) -> std::io::Result<Traced> {
        let mut command = self.programs.command(self.operation, path);
        let says_outcome = !matches!(self.operation.program, Program::Cli(_));
        Traced::start(&mut command, says_outcome)
    }

    /// Another process does something where the same calls are missing.
    pub(crate) fn next_process(&self, operation: &str, path: &Path) -> std::io::Result<Ended> {
        struct Missing(&'static Operation);
        impl Observer for Missing {
            fn entry(&mut self, call: &Call) -> Action {
                let missing = self.0.without.iter().find(|(name, _)| *name == call.name);
                missing.map_or(Action::Run, |(_, error)| Action::Fail(*error))
            }
        }
        let mut command = Command::new(&self.programs.rust);
        command.arg(operation).arg(path);
        Traced::start(&mut command, true)?.run(&mut Missing(self.operation), HANGS_AFTER)
    }
}
