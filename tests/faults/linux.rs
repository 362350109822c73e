//! The program on Linux, whose calls on x64 the tracer knows.

mod case;
mod check;
mod exceptions;
mod fault;
mod folder;
mod operation;
mod report;
#[path = "../support/tracer/mod.rs"]
mod tracer;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

use nix::errno::Errno;

use case::{Case, Programs};
use fault::Fault;
use operation::{Operation, Program, BROKEN, OPERATIONS};
use report::Report;

#[derive(Default)]
struct Arguments {
    short: bool,
    calls: bool,
    only: Option<String>,
    fault: Option<String>,
    call: Option<usize>,
}

fn parse() -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--short" => parsed.short = true,
            "--calls" => parsed.calls = true,
            "--only" => parsed.only = Some(value()?),
            "--fault" => parsed.fault = Some(value()?),
            "--call" => {
                let number = value()?;
                parsed.call = Some(number.parse().map_err(|e| format!("--call {number}: {e}"))?);
            }
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(parsed)
}

/// An operation and a fault: from the first call to the one that is not there.
fn series(
    programs: &Programs,
    operation: &'static Operation,
    fault: Fault,
    only: Option<usize>,
    report: &Mutex<Report>,
) {
    for call in only.unwrap_or(1).. {
        let outcome = Case { programs, operation, fault, call }.run();
        let was_hit = outcome.hit.is_some();
        report.lock().unwrap().add(operation, fault, call, outcome);
        if !was_hit || only.is_some() {
            return;
        }
    }
}

/// A program that writes in place has to be found out: else these cases show nothing.
fn finds_what_is_broken(programs: &Programs) -> bool {
    [Fault::Kill, Fault::ShortAndKill, Fault::Once(Errno::ENOSPC)].into_iter().all(|fault| {
        let cases = (1..).map(|call| Case { programs, operation: &BROKEN, fault, call }.run());
        cases.take_while(|case| case.hit.is_some()).any(|case| !case.violations.is_empty())
    })
}

fn run(arguments: &Arguments) -> Result<Report, String> {
    let programs = Programs::find()?;
    if !finds_what_is_broken(&programs) {
        return Err("a program that writes in place was not found out".to_owned());
    }
    let faults = if arguments.short { Fault::short() } else { Fault::all() };
    let chosen = |operation: &&Operation| match &arguments.only {
        Some(name) => operation.name.starts_with(name.as_str()),
        None => !arguments.short || operation.is_short,
    };
    let jobs: Vec<_> = OPERATIONS
        .iter()
        .chain(folder::OPERATIONS)
        .filter(chosen)
        .flat_map(|operation| faults.iter().map(move |fault| (operation, *fault)))
        .filter(|(_, fault)| arguments.fault.as_ref().is_none_or(|name| *name == fault.to_string()))
        // A Node process takes long to start: the short choice is those faults that leave most behind.
        .filter(|(operation, fault)| {
            !arguments.short || operation.program != Program::Node || fault.kills()
        })
        .collect();
    if jobs.is_empty() {
        return Err("no operation and fault have these names (--only, --fault)".to_owned());
    }
    let report = Mutex::new(Report::default());
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((operation, fault)) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    series(&programs, operation, *fault, arguments.call, &report);
                }
            });
        }
    });
    Ok(report.into_inner().unwrap())
}

pub(crate) fn main() -> ExitCode {
    let started = Instant::now();
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let report = match run(&arguments) {
        Ok(report) => report,
        Err(problem) => {
            eprintln!("The faults could not be run: {problem}");
            return ExitCode::from(2);
        }
    };
    report.print(arguments.calls, started.elapsed());
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
