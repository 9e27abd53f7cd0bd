//! A table as its catalog last reported it, what is known of its current snapshot, and why a commit to it failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iceberg::TableIdent;
use iceberg::io::FileIO;
use iceberg::spec::{ManifestFile, ManifestList, Snapshot, TableMetadataRef};

use crate::failure::{Failure, Result, of_iceberg};
use crate::storage::{StorageProperties, sync_folders};

/// A table as its catalog last reported it, with access to its files.
#[derive(Debug, Clone)]
pub struct Table {
    pub ident: TableIdent,
    pub metadata: TableMetadataRef,
    pub metadata_location: String,
    pub file_io: FileIO,
    pub storage: StorageProperties,
    /// When vended credentials end, in milliseconds since 1970.
    pub credentials_end_at: Option<i64>,
    /// What is known of the current snapshot's manifests.
    pub loaded: SnapshotCache,
}

impl Table {
    /// Where its data files lie: its own property, or its location's `data`.
    pub fn data_folder(&self) -> String {
        match self.metadata.properties().get("write.data.path") {
            Some(folder) => folder.trim_end_matches('/').to_owned(),
            None => format!("{}/data", self.metadata.location().trim_end_matches('/')),
        }
    }

    /// Makes its new files survive a power failure. Their contents were synced when they were closed.
    pub(super) fn sync_folders(&self) -> Result<()> {
        let location = self.metadata.location().trim_end_matches('/');
        sync_folders(&[&self.data_folder(), &format!("{location}/metadata"), location])
    }
}

/// Why a commit did not come back with a new table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitFault {
    /// The table is no longer what the commit was made for; nothing was committed.
    Overtaken,
    /// Nobody knows whether it was committed.
    Unclear(String),
    /// Nothing was committed, and trying the same again is of no use.
    Refused(Failure),
}

impl From<Failure> for CommitFault {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// The manifests of a table's current snapshot, read at most once each. Copies of a table share them.
#[derive(Debug, Clone, Default)]
pub struct SnapshotCache(Arc<Mutex<Option<CachedManifests>>>);

/// A snapshot's id and its manifests.
type CachedManifests = (i64, Arc<Vec<Manifest>>);

/// A manifest, whose content is read when it is needed.
#[derive(Debug)]
pub struct Manifest {
    pub file: ManifestFile,
    content: tokio::sync::OnceCell<Arc<iceberg::spec::Manifest>>,
}

impl Manifest {
    pub async fn content(&self, table: &Table) -> Result<Arc<iceberg::spec::Manifest>> {
        let read = async || {
            Ok::<_, Failure>(Arc::new(self.file.load_manifest(&table.file_io).await.map_err(of_iceberg)?))
        };
        self.content.get_or_try_init(read).await.cloned()
    }
}

impl SnapshotCache {
    /// The manifests of the table's current snapshot; none before the first commit.
    pub async fn manifests(&self, table: &Table) -> Result<Arc<Vec<Manifest>>> {
        let Some(snapshot) = table.metadata.current_snapshot() else { return Ok(Arc::default()) };
        if let Some((id, manifests)) = &*self.lock()
            && *id == snapshot.snapshot_id()
        {
            return Ok(manifests.clone());
        }
        let files = manifests_of(table, snapshot).await?;
        let manifests = files.into_iter().map(|file| Manifest { file, content: Default::default() });
        let manifests = Arc::new(manifests.collect::<Vec<_>>());
        *self.lock() = Some((snapshot.snapshot_id(), manifests.clone()));
        Ok(manifests)
    }

    /// Frees the memory.
    pub fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<CachedManifests>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub async fn manifests_of(table: &Table, snapshot: &Snapshot) -> Result<Vec<ManifestFile>> {
    let content = table
        .file_io
        .new_input(snapshot.manifest_list())
        .map_err(of_iceberg)?
        .read()
        .await
        .map_err(of_iceberg)?;
    let list =
        ManifestList::parse_with_version(&content, table.metadata.format_version()).map_err(of_iceberg)?;
    Ok(list.consume_entries().into_iter().collect())
}
