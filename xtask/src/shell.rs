//! Runs other programs, and prints for the person at the terminal.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's folder, from which every command runs.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command of these words, in the repository's folder. `cargo` is the cargo that runs this program.
pub fn command(words: &[&str]) -> Command {
    let (program, arguments) = words.split_first().unwrap_or((&"false", &[]));
    let mut command = match *program {
        "cargo" => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
        program => Command::new(program),
    };
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    // Cargo sets these for this program. Build scripts that read them would run again after a direct call of cargo, and
    // cargo would compile everything that depends on them again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Where the output of a command goes.
pub enum Printed {
    /// To the terminal.
    AtOnce,
    /// To a text that is printed later.
    Later(String),
}

/// How a command ended, and the lines of its output that start with `SKIPPED`.
pub struct Ended {
    /// `None` if a signal ended it or if it could not be started.
    pub code: Option<i32>,
    pub skipped: Vec<String>,
}

/// Runs a command and passes its output on, line by line.
pub fn run(mut command: Command, printed: &mut Printed) -> Ended {
    let mut skipped = Vec::new();
    let started = std::io::pipe().and_then(|(reader, writer)| {
        if matches!(printed, Printed::Later(_)) {
            command.stderr(writer.try_clone()?);
        }
        Ok((reader, command.stdout(writer).spawn()?))
    });
    let (reader, mut child) = match started {
        Ok(started) => started,
        Err(error) => {
            printed.line(&format!("{} cannot be started: {error}", command.get_program().to_string_lossy()));
            return Ended { code: None, skipped };
        }
    };
    // It holds the ends for writing, and the reader ends with the last of them.
    drop(command);
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        printed.line(&line);
        if line.trim_start().starts_with("SKIPPED") {
            skipped.push(line.trim_start().trim_start_matches("SKIPPED").trim().to_owned());
        }
    }
    Ended { code: child.wait().ok().and_then(|status| status.code()), skipped }
}

impl Printed {
    fn line(&mut self, line: &str) {
        match self {
            Self::AtOnce => say(line),
            Self::Later(text) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
}

/// Whether a command can run and succeeds. Its output is dropped.
pub fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Prints a line for a person. It ignores a closed terminal.
pub fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}
