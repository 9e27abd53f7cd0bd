//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use source_asana::command::{self, Arguments};

fn main() -> ExitCode {
    command::run(Arguments::parse())
}
