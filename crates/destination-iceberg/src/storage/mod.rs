//! Files of a warehouse by their address: `file://`, `s3://`, `gs://` or `abfss://`. Knows neither tables nor catalogs.
//!
//! A new object store is one file beside this one and one line in `open` of `object_store`.

mod azure;
mod gcs;
mod local;
mod object_store;
mod s3;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use iceberg::io::{FileIO, FileIOBuilder};

use crate::config::StorageConfig;
use crate::failure::{Failure, Result};

/// Iceberg's names for what an object store needs: `s3.endpoint`, `gcs.oauth2.token` and so on. They are those under which
/// REST catalogs vend credentials.
pub type StorageProperties = HashMap<String, String>;

/// The config's access under Iceberg's names.
pub fn properties(config: &StorageConfig) -> StorageProperties {
    match config {
        StorageConfig::S3(config) => s3::properties(config),
        StorageConfig::Gcs(config) => gcs::properties(config),
        StorageConfig::Azure(config) => azure::properties(config),
    }
}

/// When vended credentials end, in milliseconds since 1970.
pub fn credentials_end_at(properties: &StorageProperties) -> Option<i64> {
    let ends = properties.iter().filter(|(name, _)| {
        [s3::TOKEN_END, gcs::TOKEN_END].contains(&name.as_str()) || name.starts_with(azure::TOKEN_END)
    });
    ends.filter_map(|(_, text)| text.parse().ok()).min()
}

/// Access to the files under an address.
pub fn file_io(location: &str, properties: &StorageProperties) -> Result<FileIO> {
    match scheme(location) {
        "file" => Ok(FileIO::new_with_fs()),
        other if object_store::knows(other) => {
            let factory = object_store::Factory;
            Ok(FileIOBuilder::new(Arc::new(factory)).with_props(properties.clone()).build())
        }
        other => Err(Failure::configuration(format!(
            "files at {location:?} cannot be written: {other:?} is no storage that the destination knows \
             (it knows file, s3, gs and abfss)"
        ))),
    }
}

/// The part of an address before `://`; a plain path is a local file.
pub fn scheme(location: &str) -> &str {
    location.split_once("://").map_or("file", |(scheme, _)| scheme)
}

/// The path of a local file's address.
pub fn local_path(location: &str) -> &Path {
    Path::new(location.strip_prefix("file://").unwrap_or(location))
}

/// A file that lies in storage, whether or not a table knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    pub location: String,
    /// Milliseconds since 1970.
    pub modified_at: i64,
    pub size: u64,
}

/// Every file under a folder's address, at any depth. A folder that is not there holds none.
pub async fn list(folder: &str, properties: &StorageProperties) -> Result<Vec<StoredFile>> {
    let folder = folder.trim_end_matches('/');
    match scheme(folder) {
        "file" => local::list(folder),
        _ => object_store::list(folder, properties).await,
    }
}

/// Makes what was created in local folders survive a power failure. Folders that do not exist and addresses of object
/// stores are left out.
pub fn sync_folders(folders: &[&str]) -> Result<()> {
    for folder in folders.iter().filter(|folder| scheme(folder) == "file") {
        local::sync(folder)?;
    }
    Ok(())
}

/// Makes a local file's content survive a power failure. An object store's files do by themselves.
pub fn sync_file(location: &str) -> Result<()> {
    if scheme(location) == "file" { local::sync(location) } else { Ok(()) }
}
