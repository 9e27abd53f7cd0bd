//! The tables at the end of the pipe: where they lie, and what readers that are not ours find in them. Knows no
//! message.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::shell::{program, root, say};

/// The exit code of a script that has printed why it cannot run on this machine.
const CANNOT_RUN_HERE: i32 = 75;

/// A warehouse in a folder, made anew, and the destination that writes it.
pub struct Warehouse {
    folder: PathBuf,
    config_file: PathBuf,
}

/// Since when the readers are to tell what changed.
#[derive(Debug, Clone, Copy)]
pub enum Changes {
    /// The tables are new.
    None,
    /// Milliseconds since 1970.
    Since(u128),
}

impl Warehouse {
    /// A warehouse below this folder; what an earlier demo left there is removed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn anew(below: &Path) -> Result<Self, String> {
        let folder = below.join("warehouse");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .map_err(|error| format!("{} cannot be removed: {error}", folder.display()))?;
        }
        let config_file = below.join("destination.json");
        let config = json!({"catalog": {"type": "embedded", "warehouse": folder}});
        fs::write(&config_file, config.to_string())
            .map_err(|error| format!("{} cannot be written: {error}", config_file.display()))?;
        Ok(Self { folder, config_file })
    }

    /// The destination, to be fed with what the configured catalog names.
    pub fn write(&self, catalog: &Path) -> Command {
        let mut command = Command::new(program("destination-iceberg"));
        command.arg("write").arg("--config").arg(&self.config_file).arg("--catalog").arg(catalog);
        command.stdin(std::process::Stdio::piped());
        command
    }

    /// Prints the rows of each table, as DuckDB and PyIceberg count them.
    ///
    /// # Errors
    ///
    /// When the readers fail or disagree.
    pub fn print(&self, changes: Changes) -> Result<(), String> {
        say(&format!("\nThe tables in {}, read by DuckDB and PyIceberg:", self.folder.display()));
        let mut readers = Command::new("bash");
        readers.arg(root().join("crates/destination-iceberg/verification/run.sh"));
        readers.arg("rows").arg(&self.folder);
        if let Changes::Since(milliseconds) = changes {
            readers.arg(milliseconds.to_string());
        }
        match readers.status() {
            Ok(status) if status.code() == Some(CANNOT_RUN_HERE) => Ok(()),
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("reading the tables back failed ({status})")),
            Err(error) => Err(format!("bash, which starts the readers, cannot be started: {error}")),
        }
    }
}
