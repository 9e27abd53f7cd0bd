//! The project's own commands: `cargo xtask demo` shows the connector at work, `cargo xtask test` runs all that has
//! to pass. Knows the workspace's layout; of Airbyte only what a person wants to see.

mod demo;
mod shell;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read a whole account with the real binary and show what came out: a simulated one, or, with `ASANA_TOKEN` in
    /// the environment, your own.
    Demo(demo::Options),
    /// Run everything that has to pass.
    Test,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test => test::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            shell::say(&format!("\n{message}"));
            ExitCode::FAILURE
        }
    }
}
