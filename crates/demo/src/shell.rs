//! Runs other programs, reads text from their messages, and prints for the person at the terminal.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

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

/// The text of a message's field; empty if the field is absent or no text.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
