//! What the cases have shown, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::case::Outcome;
use super::exceptions::Exception;
use super::fault::{Fault, NOT_COUNTED};
use super::operation::Operation;

#[derive(Default)]
struct Row {
    cases: usize,
    /// The most calls that a run had.
    calls: BTreeMap<&'static str, usize>,
    violations: usize,
}

#[derive(Default)]
pub(crate) struct Report {
    rows: BTreeMap<&'static str, Row>,
    violations: Vec<String>,
    exceptions: BTreeMap<Exception, usize>,
    faults: BTreeSet<String>,
}

impl Report {
    pub(crate) fn add(
        &mut self,
        operation: &Operation,
        fault: Fault,
        call: usize,
        outcome: Outcome,
    ) {
        let row = self.rows.entry(operation.name).or_default();
        row.cases += 1;
        for (name, count) in outcome.calls {
            let most = row.calls.entry(name).or_default();
            *most = count.max(*most);
        }
        row.violations += outcome.violations.len();
        self.faults.insert(fault.to_string());
        for exception in outcome.exceptions {
            *self.exceptions.entry(exception).or_default() += 1;
        }
        let at = outcome.hit.map_or("no call".to_owned(), |(name, file)| format!("{name} {file}"));
        for violation in outcome.violations {
            let line = format!(
                "--only '{}' --fault {fault} --call {call}: {at}: {violation}",
                operation.name
            );
            println!("VIOLATION {line}");
            self.violations.push(line);
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    pub(crate) fn print(&self, with_calls: bool, took: Duration) {
        println!("{:<62} {:>6} {:>7} {:>11}", "operation", "calls", "cases", "violations");
        for (name, row) in &self.rows {
            let calls: usize = row.calls.values().sum();
            println!("{name:<62} {calls:>6} {:>7} {:>11}", row.cases, row.violations);
            if with_calls {
                let each = row.calls.iter().map(|(name, count)| format!("{name} {count}"));
                println!("    {}", each.collect::<Vec<_>>().join(", "));
            }
        }
        if with_calls {
            for (reason, names) in NOT_COUNTED {
                println!("not counted ({reason}): {}", names.join(", "));
            }
        }
        for (exception, count) in &self.exceptions {
            println!("expected, {count} times: {} ({})", exception.name, exception.reason);
        }
        let cases: usize = self.rows.values().map(|row| row.cases).sum();
        let what = format!(
            "{} operations, each call of theirs with {} faults",
            self.rows.len(),
            self.faults.len()
        );
        let row = json!({
            "what": what,
            "size": format!("{cases} cases"),
            "seconds": took.as_secs_f64(),
            "violations": self.violations.len(),
            "detail": self.violations.join("; "),
        });
        println!("{what}: {cases} cases, {} violations", self.violations.len());
        // For the table of scripts/proof.mjs.
        println!("proof: {row}");
    }
}
