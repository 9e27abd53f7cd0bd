//! The files that a platform passes by path: config, catalog and state.

use std::path::Path;

use airbyte_protocol::catalog::ConfiguredCatalog;

use crate::failure::{Failure, Result};

/// Reads a file as text. `what` names it in messages: "config", "catalog" or "state".
///
/// # Errors
///
/// If the file cannot be read or is not UTF-8. If the path looks like JSON, the message does not repeat it: it may be a
/// config with a secret in it.
pub fn read(path: &Path, what: &str) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| {
        if path.as_os_str().as_encoded_bytes().trim_ascii_start().starts_with(b"{") {
            return Failure::configuration(format!(
                "`--{what}` must be the path of a file, not the content of the file"
            ));
        }
        Failure::configuration(format!("the {what} file {} cannot be read: {error}", path.display()))
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::configuration(format!("the {what} file {} is not UTF-8 text", path.display()))
    })?;
    // Some editors put a byte order mark before the text.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Reads the configured catalog.
///
/// # Errors
///
/// If the file cannot be read, is empty, or is not a configured catalog. The message names the path of the element.
pub fn read_catalog(path: &Path) -> Result<ConfiguredCatalog> {
    let text = read(path, "catalog")?;
    if text.trim().is_empty() {
        return Err(Failure::configuration(format!("the catalog file {} is empty", path.display())));
    }
    let deserializer = &mut serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let inner = error.inner();
        Failure::configuration(format!(
            "the catalog file {} is not a configured catalog: at `{}`, line {}: {inner}. Make one \
             from what `discover` prints",
            path.display(),
            error.path(),
            inner.line(),
        ))
    })
}
