//! `cargo xtask test`: everything that has to pass, in the order in which failures are cheapest to find. What this
//! machine cannot do is said aloud. Knows no test.

use std::process::Command;

use crate::shell::{cargo, has_python, root, run as run_command, say, succeeds};

pub fn run() -> Result<(), String> {
    let mut skipped = Vec::new();
    if has_subcommand("fmt") {
        step("formatting");
        run_cargo(&["fmt", "--all", "--check"], "formatting")?;
    } else {
        skipped.push("formatting: rustfmt is not installed (`rustup component add rustfmt`)");
    }
    if has_subcommand("clippy") {
        step("lints");
        run_cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"], "lints")?;
    } else {
        skipped.push("lints: clippy is not installed (`rustup component add clippy`)");
    }
    step("tests");
    run_cargo(&["test", "--workspace", "--quiet"], "tests")?;
    step("fuzz targets compile");
    let arguments = ["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features"];
    run_cargo(&arguments, "compiling the fuzz targets")?;
    if !can_unshare() {
        skipped.push(
            "signals to the first process of a container: `unshare --pid --fork` is not permitted here",
        );
    }
    dependencies(&mut skipped)?;
    if has_python() {
        acceptance_tests()?;
        step("tables, read by other engines");
        run_command(script("crates/destination-iceberg/verification/run.sh"), "reading the tables")?;
        dbt()?;
    } else {
        skipped
            .push("acceptance tests, tables read by other engines, and dbt: there is no python3 with venv");
    }
    for reason in &skipped {
        say(&format!("SKIPPED {reason}"));
    }
    say(&format!("\nAll passed, {} skipped.", skipped.len()));
    Ok(())
}

/// Licences and sources of everything, duplicates of what ships, and advisories where their database is in reach.
fn dependencies(skipped: &mut Vec<&str>) -> Result<(), String> {
    if !has_subcommand("deny") {
        skipped.push(
            "licences, sources and advisories of dependencies: cargo-deny is not installed (`cargo install cargo-deny`)",
        );
        return Ok(());
    }
    step("licences, sources and duplicates of dependencies");
    run_cargo(&["deny", "--workspace", "check", "licenses", "sources"], "cargo deny")?;
    run_cargo(&["deny", "check", "bans"], "cargo deny")?;
    let mut fetch = cargo();
    fetch.args(["deny", "fetch", "db"]);
    if succeeds(fetch) {
        step("advisories about dependencies");
        run_cargo(&["deny", "check", "advisories"], "cargo deny")?;
    } else {
        skipped.push("advisories about dependencies: their database cannot be fetched from here");
    }
    Ok(())
}

fn acceptance_tests() -> Result<(), String> {
    step("acceptance tests");
    run_cargo(&["build", "--quiet", "--bin", "source-asana"], "building the connector")?;
    run_cargo(
        &["build", "--quiet", "--package", "asana-simulator", "--bin", "asana-simulator"],
        "building the simulator",
    )?;
    run_command(script("acceptance-tests/run.sh"), "acceptance tests")
}

/// The dbt package over tables that the connector filled, each model compared with the simulated account.
fn dbt() -> Result<(), String> {
    step("the dbt package");
    run_command(script("dbt/verification/run.sh"), "verifying the dbt package")
}

fn script(path: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(root().join(path)).current_dir(root());
    command
}

fn run_cargo(arguments: &[&str], what: &str) -> Result<(), String> {
    let mut command = cargo();
    command.args(arguments);
    run_command(command, what)
}

fn has_subcommand(name: &str) -> bool {
    let mut command = cargo();
    command.args([name, "--version"]);
    succeeds(command)
}

/// Whether the tests can make the PID namespace that they run the connector in.
fn can_unshare() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--", "true"]);
    succeeds(command)
}

fn step(what: &str) {
    say(&format!("== {what}"));
}
