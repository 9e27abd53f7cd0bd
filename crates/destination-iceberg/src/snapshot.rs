//! Snapshots: which files a table consists of, and what one change makes of them. Commits nothing.
//!
//! The `iceberg` crate's transactions can append and nothing else, so manifests and the manifest list are written
//! here with its public writers. Facts are those of the Iceberg table specification, version 2: a manifest that is
//! not touched is carried over as it is, entries of a rewritten one keep their sequence numbers, and added entries
//! inherit the snapshot's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use iceberg::TableUpdate;
use iceberg::spec::{
    DataContentType, DataFile, MAIN_BRANCH, ManifestContentType, ManifestEntryRef, ManifestFile,
    ManifestListWriter, ManifestWriter, ManifestWriterBuilder, Operation, Snapshot, SnapshotReference,
    SnapshotRetention, Summary,
};

use crate::catalog::{Manifest, Table};
use crate::failure::{Failure, Result, of_iceberg};

/// Manifests below this size are joined by each commit, so a table has few of them, and a commit rewrites little.
const SMALL_MANIFEST_BYTES: i64 = 256 << 10;
/// The summary's key for the size of the manifests that a commit wrote.
pub const METADATA_BYTES: &str = "airbyte.metadata-bytes";
/// The summary's key for the id by which a commit is recognised.
pub const COMMIT_ID: &str = "airbyte.commit-id";
/// The summary's key for the time that a sync spent on the table before the commit, in milliseconds. Of a sync of several
/// streams, each gets an equal share.
pub const SYNC_MILLISECONDS: &str = "airbyte.sync-milliseconds";
/// The summary's key for the number of files that the commit joined.
pub const JOINED_FILES: &str = "airbyte.joined-files";
/// Files of metadata that are read at once.
const READS_AT_ONCE: usize = 16;

/// What one commit does to a table's files.
#[derive(Debug, Clone)]
pub struct FileChange {
    pub operation: Operation,
    /// Data files and position delete files.
    pub added: Vec<DataFile>,
    pub removed: Removed,
    /// Goes into the snapshot's summary.
    pub properties: HashMap<String, String>,
}

impl FileChange {
    pub fn new(operation: Operation, added: Vec<DataFile>, removed: Removed) -> Self {
        Self { operation, added, removed, properties: HashMap::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    Nothing,
    /// Every file of the snapshot before.
    Everything,
    /// The files at these addresses, data and deletes.
    Files(HashSet<String>),
}

impl Removed {
    pub fn files(paths: HashSet<String>) -> Self {
        if paths.is_empty() { Self::Nothing } else { Self::Files(paths) }
    }

    fn has(&self, entry: &ManifestEntryRef) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Files(paths) => paths.contains(entry.file_path()),
        }
    }
}

fn live(manifest: &iceberg::spec::Manifest) -> impl Iterator<Item = &ManifestEntryRef> {
    manifest.entries().iter().filter(|entry| entry.is_alive())
}

/// The live files of a snapshot.
#[derive(Debug, Default)]
pub struct LiveFiles {
    pub data: Vec<DataFile>,
    pub deletes: Vec<DataFile>,
}

impl LiveFiles {
    /// The files of the table's current snapshot.
    pub async fn of(table: &Table) -> Result<Self> {
        let mut files = Self::default();
        let manifests = table.loaded.manifests(table).await?;
        for manifest in contents(table, manifests.iter()).await? {
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                files.push(entry.data_file().clone());
            }
        }
        Ok(files)
    }

    /// Whether all of these addresses are files of the snapshot.
    pub fn has_all(&self, paths: &HashSet<String>) -> bool {
        let found = self.data.iter().chain(&self.deletes);
        found.filter(|file| paths.contains(file.file_path())).count() == paths.len()
    }

    /// Takes out the files at these addresses.
    pub fn remove(&mut self, paths: &HashSet<String>) {
        for files in [&mut self.data, &mut self.deletes] {
            files.retain(|file| !paths.contains(file.file_path()));
        }
    }

    pub fn push(&mut self, file: DataFile) {
        match file.content_type() {
            DataContentType::Data => self.data.push(file),
            DataContentType::PositionDeletes | DataContentType::EqualityDeletes => self.deletes.push(file),
        }
    }
}

/// The contents of the manifests, in their order.
async fn contents(
    table: &Table,
    manifests: impl Iterator<Item = &Manifest>,
) -> Result<Vec<Arc<iceberg::spec::Manifest>>> {
    let reads: Vec<_> = manifests.map(|manifest| manifest.content(table)).collect();
    futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
}

/// Snapshots that a commit makes the table's newest.
pub struct Prepared {
    pub updates: Vec<TableUpdate>,
    /// From the oldest to the newest.
    pub snapshots: Vec<Snapshot>,
    /// The manifests and manifest lists that were written for them.
    pub files: Vec<String>,
}

/// Writes the manifests and the manifest lists of the snapshots that follow the table's current one, one for each change,
/// and says how a commit makes the last one the current one. Changes but the last only add files. `now` is in
/// milliseconds since 1970.
pub async fn prepare(table: &Table, changes: &[FileChange], now: i64) -> Result<Prepared> {
    let mut earlier: Vec<Earlier> = Vec::new();
    let mut writes = Vec::with_capacity(changes.len());
    for change in changes {
        let producer = Producer::new(table, earlier.clone());
        earlier.push(Earlier { snapshot_id: producer.snapshot_id, added: &change.added });
        writes.push(async move {
            let mut producer = producer;
            producer.write_manifests(change).await?;
            producer.finish(change, now).await
        });
    }
    let mut prepared = Prepared { updates: Vec::new(), snapshots: Vec::new(), files: Vec::new() };
    for (snapshot, manifests) in futures::future::try_join_all(writes).await? {
        prepared.files.push(snapshot.manifest_list().to_owned());
        prepared.files.extend(manifests);
        let retention = SnapshotRetention::branch(None, None, None);
        let reference = SnapshotReference::new(snapshot.snapshot_id(), retention);
        prepared.updates.extend([
            TableUpdate::AddSnapshot { snapshot: snapshot.clone() },
            TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference },
        ]);
        prepared.snapshots.push(snapshot);
    }
    Ok(prepared)
}

/// A snapshot of the same commit.
#[derive(Debug, Clone)]
struct Earlier<'a> {
    snapshot_id: i64,
    added: &'a [DataFile],
}

struct Producer<'a> {
    table: &'a Table,
    /// The snapshots between the table's current one and this one.
    earlier: Vec<Earlier<'a>>,
    snapshot_id: i64,
    /// In the names of all files of this snapshot's metadata.
    unique: String,
    manifests: Vec<ManifestFile>,
    written: Vec<String>,
    written_bytes: u64,
    removed: Counts,
    added: Counts,
}

/// Files, rows and bytes, by what they are.
#[derive(Debug, Default)]
struct Counts {
    data_files: u64,
    records: u64,
    delete_files: u64,
    deletes: u64,
    bytes: u64,
}

impl Counts {
    fn count(&mut self, file: &DataFile) {
        self.bytes += file.file_size_in_bytes();
        match file.content_type() {
            DataContentType::Data => {
                self.data_files += 1;
                self.records += file.record_count();
            }
            DataContentType::PositionDeletes | DataContentType::EqualityDeletes => {
                self.delete_files += 1;
                self.deletes += file.record_count();
            }
        }
    }
}

impl<'a> Producer<'a> {
    fn new(table: &'a Table, earlier: Vec<Earlier<'a>>) -> Self {
        let id = uuid::Uuid::now_v7();
        Self {
            table,
            earlier,
            snapshot_id: unused_snapshot_id(table),
            unique: id.to_string(),
            manifests: Vec::new(),
            written: Vec::new(),
            written_bytes: 0,
            removed: Counts::default(),
            added: Counts::default(),
        }
    }

    /// Takes over the manifests of the snapshot before. Small ones and those with removed files are joined with the
    /// added files, into one manifest for data files and one for delete files.
    async fn write_manifests(&mut self, change: &FileChange) -> Result<()> {
        let manifests = self.table.loaded.manifests(self.table).await?;
        // One without live files told the snapshot before what was removed, and no reader needs it any more.
        let (small, large): (Vec<_>, Vec<_>) =
            manifests.iter().filter(|manifest| has_live_files(&manifest.file)).partition(|manifest| {
                manifest.file.manifest_length < SMALL_MANIFEST_BYTES
                    && manifest.file.partition_spec_id == self.table.metadata.default_partition_spec_id()
            });
        let (mut joined, mut kept) = (small, Vec::new());
        if change.removed == Removed::Nothing {
            kept = large;
        } else {
            let loaded = contents(self.table, large.iter().copied()).await?;
            for (manifest, content) in large.into_iter().zip(loaded) {
                let is_touched = live(&content).any(|entry| change.removed.has(entry));
                if is_touched { joined.push(manifest) } else { kept.push(manifest) }
            }
        }
        self.manifests.extend(kept.into_iter().map(|manifest| manifest.file.clone()));
        let joined_contents = contents(self.table, joined.iter().copied()).await?;
        let mut writers = [ManifestContentType::Data, ManifestContentType::Deletes]
            .map(|content| (content, None::<ManifestWriter>));
        for (content, writer) in &mut writers {
            for (manifest, loaded) in joined.iter().zip(&joined_contents) {
                if manifest.file.content == *content {
                    self.take_over(writer, *content, loaded, &change.removed)?;
                }
            }
            let is_of_content = |file: &&DataFile| {
                (file.content_type() == DataContentType::Data) == (*content == ManifestContentType::Data)
            };
            let first = self.table.metadata.next_sequence_number();
            for (sequence, Earlier { snapshot_id, added }) in (first..).zip(self.earlier.clone()) {
                for file in added.iter().filter(is_of_content) {
                    self.open(writer, *content)?
                        .add_existing_file(file.clone(), snapshot_id, sequence, Some(sequence))
                        .map_err(of_iceberg)?;
                }
            }
            for file in change.added.iter().filter(is_of_content) {
                self.added.count(file);
                // Below zero: the sequence number of the snapshot that adds it.
                const INHERITED: i64 = -1;
                self.open(writer, *content)?.add_file(file.clone(), INHERITED).map_err(of_iceberg)?;
            }
        }
        let writes = writers.into_iter().filter_map(|(_, writer)| writer);
        let written = futures::future::try_join_all(writes.map(ManifestWriter::write_manifest_file))
            .await
            .map_err(of_iceberg)?;
        self.written_bytes = written.iter().map(|manifest| manifest.manifest_length.max(0) as u64).sum();
        self.manifests.extend(written);
        Ok(())
    }

    fn take_over(
        &mut self,
        writer: &mut Option<ManifestWriter>,
        content: ManifestContentType,
        loaded: &iceberg::spec::Manifest,
        removed: &Removed,
    ) -> Result<()> {
        for entry in live(loaded) {
            let (file, sequence) = (entry.data_file().clone(), sequence_of(entry)?);
            let writer = self.open(writer, content)?;
            if removed.has(entry) {
                writer.add_delete_file(file, sequence, entry.file_sequence_number).map_err(of_iceberg)?;
                self.removed.count(entry.data_file());
            } else {
                writer
                    .add_existing_file(file, adder_of(entry)?, sequence, entry.file_sequence_number)
                    .map_err(of_iceberg)?;
            }
        }
        Ok(())
    }

    fn open<'w>(
        &mut self,
        writer: &'w mut Option<ManifestWriter>,
        content: ManifestContentType,
    ) -> Result<&'w mut ManifestWriter> {
        Ok(match writer {
            Some(writer) => writer,
            None => writer.insert(self.manifest_writer(content)?),
        })
    }

    fn manifest_writer(&mut self, content: ManifestContentType) -> Result<ManifestWriter> {
        let location = metadata_file(self.table, &format!("{}-m{}.avro", self.unique, self.written.len()));
        let output = self.table.file_io.new_output(&location).map_err(of_iceberg)?;
        self.written.push(location);
        let metadata = &self.table.metadata;
        let builder = ManifestWriterBuilder::new(
            output,
            Some(self.snapshot_id),
            metadata.current_schema().clone(),
            (**metadata.default_partition_spec()).clone(),
        );
        Ok(match content {
            ManifestContentType::Data => builder.build_v2_data(),
            ManifestContentType::Deletes => builder.build_v2_deletes(),
        })
    }

    /// Returns the manifests that were written, too.
    async fn finish(self, change: &FileChange, now: i64) -> Result<(Snapshot, Vec<String>)> {
        let metadata = &self.table.metadata;
        let parent = match self.earlier.last() {
            Some(earlier) => Some(earlier.snapshot_id),
            None => metadata.current_snapshot().map(|snapshot| snapshot.snapshot_id()),
        };
        let sequence = metadata.next_sequence_number() + self.earlier.len() as i64;
        let name = format!("snap-{}-{}.avro", self.snapshot_id, self.unique);
        let list_location = metadata_file(self.table, &name);
        let summary = self.summary(change);
        let output = self
            .table
            .file_io
            .new_output(&list_location)
            .map_err(of_iceberg)?
            .writer()
            .await
            .map_err(of_iceberg)?;
        let mut list = ManifestListWriter::v2(output, self.snapshot_id, parent, sequence);
        list.add_manifests(self.manifests.into_iter()).map_err(of_iceberg)?;
        list.close().await.map_err(of_iceberg)?;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence)
            // Clocks of two writers differ, and time must not run backwards in a table.
            .with_timestamp_ms(now.max(metadata.last_updated_ms()))
            .with_manifest_list(list_location)
            .with_summary(summary)
            .with_schema_id(metadata.current_schema_id())
            .build();
        Ok((snapshot, self.written))
    }

    fn summary(&self, change: &FileChange) -> Summary {
        let mut properties = change.properties.clone();
        let mut set = |name: &str, value: u64| properties.insert(name.to_owned(), value.to_string());
        let (added, removed) = (&self.added, &self.removed);
        for (name, value) in [
            ("added-data-files", added.data_files),
            ("added-records", added.records),
            ("added-delete-files", added.delete_files),
            ("added-position-delete-files", added.delete_files),
            ("added-position-deletes", added.deletes),
            ("added-files-size", added.bytes),
            ("deleted-data-files", removed.data_files),
            ("deleted-records", removed.records),
            ("removed-delete-files", removed.delete_files),
            ("removed-position-delete-files", removed.delete_files),
            ("removed-position-deletes", removed.deletes),
            ("removed-files-size", removed.bytes),
        ] {
            if value > 0 {
                set(name, value);
            }
        }
        set(METADATA_BYTES, self.written_bytes);
        let total = |content, count: fn(&ManifestFile) -> u64| -> u64 {
            self.manifests.iter().filter(|manifest| manifest.content == content).map(count).sum()
        };
        let files = |manifest: &ManifestFile| {
            u64::from(manifest.added_files_count.unwrap_or(0) + manifest.existing_files_count.unwrap_or(0))
        };
        let rows = |manifest: &ManifestFile| {
            manifest.added_rows_count.unwrap_or(0) + manifest.existing_rows_count.unwrap_or(0)
        };
        set("total-data-files", total(ManifestContentType::Data, files));
        set("total-records", total(ManifestContentType::Data, rows));
        set("total-delete-files", total(ManifestContentType::Deletes, files));
        set("total-position-deletes", total(ManifestContentType::Deletes, rows));
        set("total-equality-deletes", 0);
        let bytes_before = match self.table.metadata.current_snapshot() {
            None => Some(0),
            Some(snapshot) => {
                let total = snapshot.summary().additional_properties.get("total-files-size");
                total.and_then(|text| text.parse::<u64>().ok())
            }
        };
        let earlier = self.earlier.iter().flat_map(|earlier| earlier.added);
        let bytes_between: u64 = earlier.map(DataFile::file_size_in_bytes).sum();
        if let Some(bytes) = bytes_before {
            set("total-files-size", (bytes + bytes_between + added.bytes).saturating_sub(removed.bytes));
        }
        Summary { operation: change.operation.clone(), additional_properties: properties }
    }
}

/// Whether the manifest has files that are not deleted. Without counts it may.
fn has_live_files(manifest: &ManifestFile) -> bool {
    manifest.added_files_count != Some(0) || manifest.existing_files_count != Some(0)
}

/// The address of a file in the table's metadata folder.
fn metadata_file(table: &Table, name: &str) -> String {
    format!("{}/metadata/{name}", table.metadata.location().trim_end_matches('/'))
}

fn unused_snapshot_id(table: &Table) -> i64 {
    let taken: HashSet<i64> = table.metadata.snapshots().map(|snapshot| snapshot.snapshot_id()).collect();
    loop {
        let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
        let id = ((high ^ low) & i64::MAX as u64) as i64;
        if id != 0 && !taken.contains(&id) {
            return id;
        }
    }
}

fn sequence_of(entry: &Arc<iceberg::spec::ManifestEntry>) -> Result<i64> {
    entry.sequence_number().ok_or_else(|| incomplete(entry))
}

/// The snapshot that added the file.
fn adder_of(entry: &Arc<iceberg::spec::ManifestEntry>) -> Result<i64> {
    entry.snapshot_id().ok_or_else(|| incomplete(entry))
}

fn incomplete(entry: &Arc<iceberg::spec::ManifestEntry>) -> Failure {
    Failure::system(format!("the manifest entry of {} is incomplete", entry.file_path()))
}
