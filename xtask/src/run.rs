//! Runs the suites of a tier, two at a time where there are several, and reports at the end what passed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::shell::{Printed, command, run, say, succeeds};
use crate::suites::Suite;

/// The exit code of a command that has printed why it cannot run on this machine.
const CANNOT_RUN_HERE: i32 = 75;

/// Most suites keep one core busy and wait a part of the time.
const SUITES_AT_ONCE: usize = 2;

/// Most tests wait most of the time, the longest for the pace at which Asana answers searches.
const TESTS_PER_CORE: usize = 4;

/// The result of one suite.
struct Outcome {
    failed: bool,
    /// What did not run, and why.
    skipped: Vec<(String, Skip)>,
    ran: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Skip {
    NotInstalled,
    CannotRunHere,
}

/// Suites that have not started, and whether one that calls cargo runs: a second one would wait for cargo's lock.
struct Queue<'a> {
    waiting: Vec<&'a Suite>,
    cargo_runs: bool,
}

/// What the suites so far came to.
#[derive(Default)]
struct Report {
    passed: usize,
    failed: Vec<&'static str>,
    skipped: usize,
    reasons: Vec<String>,
}

/// Runs suites one after the other, and prints what they print while they run.
///
/// # Errors
///
/// When a suite fails.
pub fn in_order(tier: &str, suites: &[&Suite]) -> Result<(), String> {
    let started = Instant::now();
    let mut report = Report::default();
    for suite in suites {
        say(&format!("\n== {}: {}", suite.name, suite.shows));
        let begun = Instant::now();
        let outcome = one(suite, &mut Printed::AtOnce);
        report.add(suite, outcome, begun);
    }
    report.end(tier, started)
}

/// Runs suites two at a time. What a suite prints follows when it has ended.
///
/// # Errors
///
/// When a suite fails.
pub fn side_by_side(tier: &str, suites: &[&Suite]) -> Result<(), String> {
    let started = Instant::now();
    let queue = Mutex::new(Queue { waiting: suites.to_vec(), cargo_runs: false });
    let report = Mutex::new(Report::default());
    thread::scope(|scope| {
        for _ in 0..SUITES_AT_ONCE {
            scope.spawn(|| {
                let next = || locked(&queue).next();
                while let Some(suite) = next() {
                    say(&format!("{} starts: {}", suite.name, suite.shows));
                    let begun = Instant::now();
                    let mut printed = Printed::Later(String::new());
                    let outcome = one(suite, &mut printed);
                    let mut report = locked(&report);
                    if let Printed::Later(text) = printed {
                        say(&format!("\n== {}: {}\n{}", suite.name, suite.shows, text.trim_end()));
                    }
                    report.add(suite, outcome, begun);
                    locked(&queue).ended(suite);
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner).end(tier, started)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Queue<'a> {
    /// The first suite that has nothing to wait for. A thread that finds none ends; the other one goes on.
    fn next(&mut self) -> Option<&'a Suite> {
        let place = self.waiting.iter().position(|suite| !(self.cargo_runs && suite.calls_cargo()))?;
        let suite = self.waiting.remove(place);
        self.cargo_runs |= suite.calls_cargo();
        Some(suite)
    }

    fn ended(&mut self, suite: &Suite) {
        self.cargo_runs &= !suite.calls_cargo();
    }
}

impl Report {
    /// In CI, where everything is installed first, a skip is a failure unless the suite names why the machine cannot
    /// run it.
    fn add(&mut self, suite: &Suite, outcome: Outcome, begun: Instant) {
        let strict = std::env::var_os("CI").is_some();
        let lacking = outcome.skipped.iter().any(|(_, skip)| *skip == Skip::NotInstalled);
        let verdict = if outcome.failed || (strict && lacking) {
            self.failed.push(suite.name);
            "FAILED"
        } else if outcome.ran {
            self.passed += 1;
            "passed"
        } else {
            self.skipped += 1;
            "skipped"
        };
        say(&format!("== {}: {verdict}, {:.0} s", suite.name, begun.elapsed().as_secs_f64()));
        self.reasons
            .extend(outcome.skipped.into_iter().map(|(reason, _)| format!("{}: {reason}", suite.name)));
    }

    fn end(self, tier: &str, started: Instant) -> Result<(), String> {
        say(&format!("\n{tier} took {:.0} s", started.elapsed().as_secs_f64()));
        for reason in &self.reasons {
            say(&format!("SKIPPED {reason}"));
        }
        let failed = self.failed.join(", ");
        if !self.failed.is_empty() {
            say(&format!("FAILED {failed}"));
        }
        say(&format!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped));
        if self.failed.is_empty() { Ok(()) } else { Err(format!("{tier} failed: {failed}")) }
    }
}

fn one(suite: &Suite, printed: &mut Printed) -> Outcome {
    let missing: Vec<_> = suite.needs.iter().filter(|need| !need.is_met()).collect();
    if !missing.is_empty() {
        let skipped = missing.iter().map(|need| (need.how().to_owned(), Skip::NotInstalled)).collect();
        return Outcome { failed: false, skipped, ran: false };
    }
    let mut outcome = Outcome { failed: false, skipped: Vec::new(), ran: false };
    for words in suite.commands {
        if !step(words, &mut outcome, printed) {
            return outcome;
        }
    }
    if let Some(probe) = &suite.probe {
        if succeeds(command(probe.command)) {
            for words in probe.then {
                if !step(words, &mut outcome, printed) {
                    return outcome;
                }
            }
        } else {
            outcome.skipped.push((probe.without.to_owned(), Skip::CannotRunHere));
        }
    }
    outcome
}

/// Runs one command of a suite. Returns whether to go on.
fn step(words: &[&str], outcome: &mut Outcome, printed: &mut Printed) -> bool {
    let mut command = command(words);
    // Doc comments of the config are the texts of its form, where a URL stands bare.
    command.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::bare_urls");
    // `verify` has; see acceptance-tests/programs.sh.
    command.env("PROGRAMS_ARE_BUILT", "true");
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        command.env("RUST_TEST_THREADS", (TESTS_PER_CORE * cores).to_string());
    }
    let ended = run(command, printed);
    match ended.code {
        Some(0) => {
            // The script itself could run, so what the skipped part needs can be installed.
            outcome.skipped.extend(ended.skipped.into_iter().map(|reason| (reason, Skip::NotInstalled)));
            outcome.ran = true;
            true
        }
        Some(CANNOT_RUN_HERE) => {
            let reason = ended.skipped.last().cloned();
            outcome.failed = reason.is_none();
            outcome.skipped.extend(reason.map(|reason| (reason, Skip::CannotRunHere)));
            false
        }
        _ => {
            outcome.failed = true;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::VERIFY;

    #[test]
    fn two_suites_that_call_cargo_do_not_run_at_once() {
        let named = |name: &str| VERIFY.iter().find(|suite| suite.name == name).expect("a suite");
        let waiting = vec![named("lints"), named("docs"), named("image")];
        let mut queue = Queue { waiting, cargo_runs: false };
        let mut next = |ended: Option<&str>| {
            ended.into_iter().for_each(|name| queue.ended(named(name)));
            queue.next().map(|suite| suite.name)
        };
        assert_eq!([next(None), next(None), next(None)], [Some("lints"), Some("image"), None]);
        assert_eq!(
            [next(Some("image")), next(Some("lints")), next(Some("docs"))],
            [None, Some("docs"), None]
        );
    }
}
