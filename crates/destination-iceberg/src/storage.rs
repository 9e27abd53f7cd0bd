//! Files of a warehouse by their address: `file://` or `s3://`. Knows neither tables nor catalogs.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures::TryStreamExt;
use iceberg::io::{FileIO, FileIOBuilder};
use iceberg_storage_opendal::OpenDalStorageFactory;
use opendal::{Operator, services};

use crate::config::{Addressing, S3Config};
use crate::failure::{Failure, Result, with_causes};

/// Iceberg's names for what an object store needs: `s3.endpoint`, `s3.access-key-id` and so on.
pub type StorageProperties = HashMap<String, String>;

/// The config's S3 access under Iceberg's names.
pub fn s3_properties(config: &S3Config) -> StorageProperties {
    let path_style = match config.addressing {
        Addressing::Path => "true",
        Addressing::VirtualHost => "false",
    };
    let secret = config.secret_access_key.as_ref().map(|secret| secret.expose().to_owned());
    let optional = [
        ("s3.region", config.region.clone()),
        ("s3.endpoint", config.endpoint.clone()),
        ("s3.access-key-id", config.access_key_id.clone()),
        ("s3.secret-access-key", secret),
        ("s3.path-style-access", Some(path_style.to_owned())),
    ];
    optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Access to the files under an address.
pub fn file_io(location: &str, properties: &StorageProperties) -> Result<FileIO> {
    match scheme(location) {
        "file" => Ok(FileIO::new_with_fs()),
        "s3" | "s3a" | "s3n" => {
            let factory = OpenDalStorageFactory::S3 { customized_credential_load: None };
            Ok(FileIOBuilder::new(Arc::new(factory)).with_props(properties.clone()).build())
        }
        other => Err(Failure::configuration(format!(
            "files at {location:?} cannot be written: {other:?} is no storage that the destination knows \
             (it knows file and s3)"
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
        "file" => {
            let mut files = Vec::new();
            list_local(local_path(folder), folder, &mut files)
                .map_err(|error| Failure::transient(format!("{folder} cannot be listed: {error}")))?;
            Ok(files)
        }
        _ => list_s3(folder, properties).await,
    }
}

/// Folders may be links to other disks, which are followed once. Links that lead nowhere are left out.
fn list_local(path: &Path, location: &str, files: &mut Vec<StoredFile>) -> std::io::Result<()> {
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

/// Makes what was created in local folders survive a power failure. Folders that do not exist and addresses of object
/// stores are left out.
pub fn sync_folders(folders: &[&str]) -> Result<()> {
    for folder in folders.iter().filter(|folder| scheme(folder) == "file") {
        sync(folder)?;
    }
    Ok(())
}

/// Makes a local file's content survive a power failure. An object store's files do by themselves.
pub fn sync_file(location: &str) -> Result<()> {
    if scheme(location) == "file" { sync(location) } else { Ok(()) }
}

fn sync(location: &str) -> Result<()> {
    let file = match std::fs::File::open(local_path(location)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened,
    };
    file.and_then(|file| file.sync_all())
        .map_err(|error| Failure::transient(format!("{location} cannot be synced to disk: {error}")))
}

async fn list_s3(folder: &str, properties: &StorageProperties) -> Result<Vec<StoredFile>> {
    let broken = |error: opendal::Error| {
        Failure::transient(format!("{folder} cannot be listed: {}", with_causes(&error)))
    };
    let (scheme, rest) = folder.split_once("://").unwrap_or(("s3", folder));
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let property = |name: &str| properties.get(name).cloned();
    let mut builder = services::S3::default().bucket(bucket);
    if let Some(region) = property("s3.region").or_else(|| property("client.region")) {
        builder = builder.region(&region);
    }
    if let Some(endpoint) = property("s3.endpoint") {
        builder = builder.endpoint(&endpoint);
    }
    if let Some(id) = property("s3.access-key-id") {
        builder = builder.access_key_id(&id);
    }
    if let Some(secret) = property("s3.secret-access-key") {
        builder = builder.secret_access_key(&secret);
    }
    if let Some(token) = property("s3.session-token") {
        builder = builder.session_token(&token);
    }
    if property("s3.path-style-access").as_deref() != Some("true") {
        builder = builder.enable_virtual_host_style();
    }
    let operator = Operator::new(builder).map_err(broken)?.finish();
    let mut entries = operator.lister_with(&format!("{prefix}/")).recursive(true).await.map_err(broken)?;
    let mut files = Vec::new();
    while let Some(entry) = entries.try_next().await.map_err(broken)? {
        let metadata = entry.metadata();
        if metadata.is_file() {
            files.push(StoredFile {
                location: format!("{scheme}://{bucket}/{}", entry.path()),
                modified_at: metadata
                    .last_modified()
                    .map_or(i64::MAX, |time| time.into_inner().as_millisecond()),
                size: metadata.content_length(),
            });
        }
    }
    Ok(files)
}
