//! Files of this machine.

use std::collections::HashSet;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::{StoredFile, local_path};
use crate::failure::{Failure, Result};

pub fn list(folder: &str) -> Result<Vec<StoredFile>> {
    let mut files = Vec::new();
    collect(local_path(folder), folder, &mut files)
        .map_err(|error| Failure::transient(format!("{folder} cannot be listed: {error}")))?;
    Ok(files)
}

/// Folders may be links to other disks, which are followed once. Links that lead nowhere are left out.
fn collect(path: &Path, location: &str, files: &mut Vec<StoredFile>) -> std::io::Result<()> {
    let mut seen = HashSet::new();
    let mut folders = vec![(path.to_owned(), location.to_owned())];
    while let Some((path, location)) = folders.pop() {
        let is_missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        let real = match path.canonicalize() {
            Err(error) if is_missing(&error) => continue,
            found => found?,
        };
        if !seen.insert(real) {
            continue;
        }
        let entries = std::fs::read_dir(&path)?;
        for entry in entries {
            let entry = entry?;
            let location = format!("{location}/{}", entry.file_name().to_string_lossy());
            let metadata = match std::fs::metadata(entry.path()) {
                Err(error) if is_missing(&error) => continue,
                found => found?,
            };
            if metadata.is_dir() {
                folders.push((entry.path(), location));
            } else if metadata.is_file() {
                let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                let (modified_at, size) = (modified.as_millis() as i64, metadata.len());
                files.push(StoredFile { location, modified_at, size });
            }
        }
    }
    Ok(())
}

/// Makes a local file's or folder's content survive a power failure.
pub fn sync(location: &str) -> Result<()> {
    let file = match std::fs::File::open(local_path(location)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened,
    };
    file.and_then(|file| file.sync_all())
        .map_err(|error| Failure::transient(format!("{location} cannot be synced to disk: {error}")))
}
