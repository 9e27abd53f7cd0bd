//! The project's own commands: `cargo xtask demo`, `test`, `verify`, `release`, `compare`.

mod release;
mod run;
mod shell;
mod suites;

use std::process::ExitCode;

use shell::{command, say, target};
use suites::{Suite, TEST, VERIFY};

const USAGE: &str = "The project's own commands

    cargo xtask demo [--scale tiny|small|medium] [--output FOLDER]
        Read a whole account with the real programs and show what came out: a simulated one, or, with ASANA_TOKEN in
        the environment, your own.
    cargo xtask test
        What has to pass before every commit: formatting and tests.
    cargo xtask verify [SUITE...]
        Everything else, or these suites of it.
    cargo xtask verify --list
        The suites of `verify`.
    cargo xtask compare [OPTION...]
        Measure this connector beside the two on PyPI; `--help` lists the options.
    cargo xtask release VERSION
        Move the version in every file that names it, and the changelog.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["demo", options @ ..] => demo(options),
        ["test"] => run::in_order("test", &TEST.iter().collect::<Vec<_>>()),
        ["verify", "--list"] => {
            list();
            Ok(())
        }
        ["verify", names @ ..] => verify(names),
        ["compare", options @ ..] => compare(options),
        ["release", version] => release::run(version),
        ["help" | "--help" | "-h"] => {
            say(USAGE);
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&format!("\n{message}"));
            ExitCode::FAILURE
        }
    }
}

/// Builds every program of the workspace at once: built one by one, shared dependencies would have other features and
/// be compiled again.
fn build() -> Result<(), String> {
    match command(&["cargo", "build", "--workspace", "--bins"]).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("The programs cannot be built; see the messages above.".to_owned()),
    }
}

fn demo(options: &[&str]) -> Result<(), String> {
    if options.iter().all(|option| !["-h", "--help"].contains(option)) {
        say(
            "Building source-asana, destination-iceberg and a simulated Asana; the first time takes some minutes.",
        );
    }
    // The readers' Python packages are downloaded meanwhile. Without them the demo says what it leaves out.
    let mut readers = command(&["bash", "acceptance-tests/python.sh", "readers"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    build()?;
    if let Ok(readers) = &mut readers {
        drop(readers.wait());
    }
    let mut demo = std::process::Command::new(target().join("debug/demo"));
    match demo.args(options).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("The demo failed ({status}).")),
        Err(error) => Err(format!("The demo cannot be started: {error}")),
    }
}

fn compare(options: &[&str]) -> Result<(), String> {
    match command(&["python3", "benches/compare/compare.py"]).args(options).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("The comparison failed ({status}).")),
        Err(error) => Err(format!("python3 cannot be started: {error}")),
    }
}

fn verify(names: &[&str]) -> Result<(), String> {
    let known = |name: &str| VERIFY.iter().any(|suite| suite.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(format!("No suite is called {unknown}. `cargo xtask verify --list` lists them."));
    }
    let chosen: Vec<&Suite> =
        VERIFY.iter().filter(|suite| names.is_empty() || names.contains(&suite.name)).collect();
    // Every suite finds the programs that it runs.
    build()?;
    match chosen.as_slice() {
        [_] => run::in_order("verify", &chosen),
        _ => run::side_by_side("verify", &chosen),
    }
}

fn list() {
    for suite in VERIFY {
        say(&format!("{:<14}{}", suite.name, suite.shows));
    }
}
