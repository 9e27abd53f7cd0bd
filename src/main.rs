//! Arguments in, exit code out. Knows nothing else.

use std::process::ExitCode;

use clap::Parser;
use source_asana::command::{self, Arguments};

fn main() -> ExitCode {
    command::run(Arguments::parse()).into()
}
