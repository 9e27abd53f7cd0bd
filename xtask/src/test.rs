//! `cargo xtask test`: everything that has to pass, in the order in which failures are cheapest to find. What this
//! machine cannot do is said aloud. Knows no test.

use std::path::Path;
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
    step("tests");
    run_cargo(&["test", "--workspace", "--quiet"], "tests")?;
    if root().join("fuzz/Cargo.toml").exists() {
        step("fuzz targets compile");
        run_cargo(&["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml"], "compiling the fuzz targets")?;
    }
    if has_subcommand("deny") {
        step("licences and sources of dependencies");
        run_cargo(&["deny", "--all-features", "check", "licenses", "bans", "sources"], "cargo deny")?;
    } else {
        skipped.push(
            "licences and sources of dependencies: cargo-deny is not installed (`cargo install cargo-deny`)",
        );
    }
    acceptance_tests(&mut skipped)?;
    for reason in &skipped {
        say(&format!("SKIPPED {reason}"));
    }
    say(&format!("\nAll passed, {} skipped.", skipped.len()));
    Ok(())
}

fn acceptance_tests(skipped: &mut Vec<&str>) -> Result<(), String> {
    let script = root().join("acceptance-tests/run.sh");
    if !script.exists() {
        return Ok(());
    }
    if !has_python() {
        skipped.push("acceptance tests: there is no python3 with venv");
        return Ok(());
    }
    step("acceptance tests");
    run_cargo(&["build", "--quiet", "--bin", "source-asana"], "building the connector")?;
    run_cargo(
        &["build", "--quiet", "--package", "asana-simulator", "--bin", "asana-simulator"],
        "building the simulator",
    )?;
    run_command(script_command(&script), "acceptance tests")
}

fn script_command(script: &Path) -> Command {
    let mut command = Command::new("bash");
    command.arg(script).current_dir(root());
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

fn step(what: &str) {
    say(&format!("== {what}"));
}
