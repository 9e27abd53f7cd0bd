//! Running other programs, and printing for the person at the terminal. Knows neither connector nor destination.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The repository's folder, from which every command runs.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap_or_default()
}

/// A program of this workspace. It lies beside this one, since `cargo build --workspace --bins` makes all of them.
pub fn program(name: &str) -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name(name)
}

/// Prints a line for a person. A terminal that is gone is no failure.
pub fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}
