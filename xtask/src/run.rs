//! Runs the suites of a tier one after the other and reports at the end what passed.

use std::time::Instant;

use crate::shell::{command, run, say, succeeds};
use crate::suites::Suite;

/// The exit code of a command that has printed why it cannot run on this machine.
const CANNOT_RUN_HERE: i32 = 75;

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

/// Runs these suites. In CI, where everything is installed first, a skip is a failure unless the suite names why the
/// machine cannot run it.
///
/// # Errors
///
/// When a suite fails.
pub fn all(tier: &str, suites: &[&Suite]) -> Result<(), String> {
    let strict = std::env::var_os("CI").is_some();
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), 0);
    let mut reasons = Vec::new();
    let started = Instant::now();
    for suite in suites {
        say(&format!("\n== {}: {}", suite.name, suite.shows));
        let begun = Instant::now();
        let outcome = one(suite);
        let lacking = outcome.skipped.iter().any(|(_, skip)| *skip == Skip::NotInstalled);
        let verdict = if outcome.failed || (strict && lacking) {
            failed.push(suite.name);
            "FAILED"
        } else if outcome.ran {
            passed += 1;
            "passed"
        } else {
            skipped += 1;
            "skipped"
        };
        say(&format!("== {}: {verdict}, {:.0} s", suite.name, begun.elapsed().as_secs_f64()));
        reasons.extend(outcome.skipped.into_iter().map(|(reason, _)| format!("{}: {reason}", suite.name)));
    }
    say(&format!("\n{tier} took {:.0} s", started.elapsed().as_secs_f64()));
    for reason in &reasons {
        say(&format!("SKIPPED {reason}"));
    }
    if !failed.is_empty() {
        say(&format!("FAILED {}", failed.join(", ")));
    }
    say(&format!("{passed} passed, {} failed, {skipped} skipped", failed.len()));
    if failed.is_empty() { Ok(()) } else { Err(format!("{tier} failed: {}", failed.join(", "))) }
}

fn one(suite: &Suite) -> Outcome {
    let missing: Vec<_> = suite.needs.iter().filter(|need| !need.is_met()).collect();
    if !missing.is_empty() {
        let skipped = missing.iter().map(|need| (need.how().to_owned(), Skip::NotInstalled)).collect();
        return Outcome { failed: false, skipped, ran: false };
    }
    let mut outcome = Outcome { failed: false, skipped: Vec::new(), ran: false };
    for words in suite.commands {
        if !step(words, &mut outcome) {
            return outcome;
        }
    }
    if let Some(probe) = &suite.probe {
        if succeeds(command(probe.command)) {
            for words in probe.then {
                if !step(words, &mut outcome) {
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
fn step(words: &[&str], outcome: &mut Outcome) -> bool {
    let mut command = command(words);
    // Doc comments of the config are the texts of its form, where a URL stands bare.
    command.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::bare_urls");
    let ended = run(command);
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
