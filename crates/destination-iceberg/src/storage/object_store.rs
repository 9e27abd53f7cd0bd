//! Object stores by OpenDAL, as the Iceberg library wants its storage: one operator for each bucket.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use iceberg::io::{
    FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory,
};
use opendal::layers::{RetryLayer, TimeoutLayer};
use opendal::{Operator, Reader, Writer};
use serde::{Deserialize, Serialize};

use super::{StorageProperties, StoredFile, azure, gcs, s3};
use crate::failure::{Failure, Result, with_causes};

/// What stores take a file for whose type is not named; some tell no type at all then, and OpenDAL cannot read their answer.
const CONTENT_TYPE: &str = "application/octet-stream";

/// Files deleted at once where there are no batches.
const DELETIONS_AT_ONCE: usize = 16;

pub fn knows(scheme: &str) -> bool {
    s3::SCHEMES.contains(&scheme) || gcs::SCHEMES.contains(&scheme) || azure::SCHEMES.contains(&scheme)
}

/// An address in its parts: `scheme://authority/key`.
struct Place<'a> {
    scheme: &'a str,
    authority: &'a str,
    key: &'a str,
}

impl<'a> Place<'a> {
    fn of(location: &'a str) -> opendal::Result<Self> {
        let malformed = || {
            let message = format!("{location:?} is no address of an object store");
            opendal::Error::new(opendal::ErrorKind::ConfigInvalid, message)
        };
        let (scheme, rest) = location.split_once("://").ok_or_else(malformed)?;
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() { Err(malformed()) } else { Ok(Self { scheme, authority, key }) }
    }

    fn open(&self, properties: &StorageProperties) -> opendal::Result<Operator> {
        let operator = match self.scheme {
            scheme if s3::SCHEMES.contains(&scheme) => s3::open(self.authority, properties)?,
            scheme if gcs::SCHEMES.contains(&scheme) => gcs::open(self.authority, properties)?,
            scheme if azure::SCHEMES.contains(&scheme) => azure::open(self.authority, properties)?,
            other => {
                let message = format!("{other:?} is no storage that the destination knows");
                return Err(opendal::Error::new(opendal::ErrorKind::ConfigInvalid, message));
            }
        };
        // The time limit is inside, so that each attempt has its own.
        Ok(operator.layer(TimeoutLayer::new()).layer(RetryLayer::new()))
    }
}

/// Every file under a folder's address, at any depth.
pub async fn list(folder: &str, properties: &StorageProperties) -> Result<Vec<StoredFile>> {
    let broken = |error: opendal::Error| {
        Failure::transient(format!("{folder} cannot be listed: {}", with_causes(&error)))
    };
    let place = Place::of(folder).map_err(broken)?;
    let operator = place.open(properties).map_err(broken)?;
    let mut entries =
        operator.lister_with(&format!("{}/", place.key)).recursive(true).await.map_err(broken)?;
    let mut files = Vec::new();
    while let Some(entry) = entries.try_next().await.map_err(broken)? {
        let metadata = entry.metadata();
        // Some stores show folders as empty files; no file of a table is empty.
        if metadata.is_file() && metadata.content_length() > 0 {
            files.push(StoredFile {
                location: format!("{}://{}/{}", place.scheme, place.authority, entry.path()),
                modified_at: metadata
                    .last_modified()
                    .map_or(i64::MAX, |time| time.into_inner().as_millisecond()),
                size: metadata.content_length(),
            });
        }
    }
    Ok(files)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Factory;

#[typetag::serde(name = "DestinationObjectStoreFactory")]
impl StorageFactory for Factory {
    fn build(&self, config: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(ObjectStore { properties: config.props().clone(), operators: Arc::default() }))
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct ObjectStore {
    properties: StorageProperties,
    /// By scheme and authority. An operator keeps connections and credentials, so it is made once.
    #[serde(skip)]
    operators: Arc<Mutex<HashMap<String, Operator>>>,
}

/// The properties have secrets.
impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ObjectStore(…)")
    }
}

impl ObjectStore {
    fn operator<'a>(&self, location: &'a str) -> iceberg::Result<(Operator, &'a str)> {
        let place = Place::of(location).map_err(foreign)?;
        let name = format!("{}://{}", place.scheme, place.authority);
        let mut operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        let operator = match operators.get(&name) {
            Some(operator) => operator.clone(),
            None => {
                let operator = place.open(&self.properties).map_err(foreign)?;
                operators.insert(name, operator.clone());
                operator
            }
        };
        Ok((operator, place.key))
    }
}

/// Deletes in batches. Some stores that only resemble Amazon's have no batches, so a failed batch is followed by a request
/// for each file, and the failure of such a request counts.
async fn delete_all(operator: &Operator, keys: Vec<String>) -> opendal::Result<()> {
    if delete_in_batches(operator, &keys).await.is_ok() {
        return Ok(());
    }
    let deletions = futures::stream::iter(keys.into_iter().map(Ok));
    deletions
        .try_for_each_concurrent(DELETIONS_AT_ONCE, async |key: String| operator.delete(&key).await)
        .await
}

async fn delete_in_batches(operator: &Operator, keys: &[String]) -> opendal::Result<()> {
    let mut deleter = operator.deleter().await?;
    deleter.delete_iter(keys.iter().map(String::as_str)).await?;
    deleter.close().await
}

fn foreign(error: opendal::Error) -> iceberg::Error {
    iceberg::Error::new(iceberg::ErrorKind::Unexpected, "the object store fails").with_source(error)
}

#[typetag::serde(name = "DestinationObjectStore")]
#[async_trait]
impl Storage for ObjectStore {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        let (operator, key) = self.operator(path)?;
        operator.exists(key).await.map_err(foreign)
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        let (operator, key) = self.operator(path)?;
        let metadata = operator.stat(key).await.map_err(foreign)?;
        Ok(FileMetadata { size: metadata.content_length() })
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        let (operator, key) = self.operator(path)?;
        Ok(operator.read(key).await.map_err(foreign)?.to_bytes())
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        let (operator, key) = self.operator(path)?;
        Ok(Box::new(ObjectReader(operator.reader(key).await.map_err(foreign)?)))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> iceberg::Result<()> {
        let (operator, key) = self.operator(path)?;
        operator.write_with(key, bytes).content_type(CONTENT_TYPE).await.map_err(foreign)?;
        Ok(())
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        let (operator, key) = self.operator(path)?;
        let writer = operator.writer_with(key).content_type(CONTENT_TYPE).await.map_err(foreign)?;
        Ok(Box::new(ObjectWriter(writer)))
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        let (operator, key) = self.operator(path)?;
        operator.delete(key).await.map_err(foreign)
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        let (operator, key) = self.operator(path)?;
        let folder = format!("{}/", key.trim_end_matches('/'));
        operator.delete_with(&folder).recursive(true).await.map_err(foreign)
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        let mut keys_of: HashMap<String, (Operator, Vec<String>)> = HashMap::new();
        while let Some(path) = paths.next().await {
            let (operator, key) = self.operator(&path)?;
            let store = path[..path.len() - key.len()].to_owned();
            keys_of.entry(store).or_insert_with(|| (operator, Vec::new())).1.push(key.to_owned());
        }
        for (operator, keys) in keys_of.into_values() {
            delete_all(&operator, keys).await.map_err(foreign)?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

struct ObjectReader(Reader);

#[async_trait]
impl FileRead for ObjectReader {
    async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
        Ok(self.0.read(range).await.map_err(foreign)?.to_bytes())
    }
}

struct ObjectWriter(Writer);

#[async_trait]
impl FileWrite for ObjectWriter {
    async fn write(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        self.0.write(bytes).await.map_err(foreign)
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        self.0.close().await.map_err(foreign)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_the_store_and_the_place_in_it() {
        let place = |location: &str| {
            let place = Place::of(location).unwrap();
            (place.scheme.to_owned(), place.authority.to_owned(), place.key.to_owned())
        };
        let expected = |scheme: &str, authority: &str, key: &str| {
            (scheme.to_owned(), authority.to_owned(), key.to_owned())
        };
        assert_eq!(place("gs://bucket/a/b%20c"), expected("gs", "bucket", "a/b%20c"));
        let azure = "abfss://files@account.dfs.core.windows.net/a";
        assert_eq!(place(azure), expected("abfss", "files@account.dfs.core.windows.net", "a"));
        assert!(Place::of("bucket/a").is_err() && Place::of("s3:///a").is_err());
    }

    #[test]
    fn azure_is_reached_by_the_accounts_blob_endpoint() {
        let open = |authority: &str| azure::open(authority, &HashMap::new());
        assert_eq!(open("files@account.dfs.core.windows.net").unwrap().info().name(), "files");
        for malformed in ["files", "account.dfs.core.windows.net", "files@account", "files@account.other.net"]
        {
            let error = open(malformed).err().unwrap().to_string();
            assert!(error.contains("abfss://container@account"), "{error}");
        }
    }
}
