//! Joining small data files and working position deletes in, in one snapshot that changes no row. Knows no stream.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use iceberg::Runtime;
use iceberg::arrow::{ArrowReaderBuilder, schema_to_arrow_schema};
use iceberg::scan::{FileScanTask, FileScanTaskDeleteFile};
use iceberg::spec::{DataContentType, DataFile, Operation};

use crate::catalog::{Catalog, Table};
use crate::commit::{Work, publish};
use crate::data_file::{DataFileWriter, has_trusted_bounds};
use crate::failure::{Failure, Result, of_iceberg};
use crate::position_deletes::{each_deleted, may_delete_from};
use crate::snapshot::{FileChange, LiveFiles, Removed};

/// A data file is rewritten when this share of its rows is deleted.
const DELETED_PERCENT: u64 = 10;
/// With so many delete files, all of them are worked in: each read of the table opens them all.
const DELETE_FILES: usize = 10;
/// Fewer small files than this are left alone.
const SMALL_FILES: usize = 2;
/// Automatic maintenance joins files when there are this many of a tier.
const TIER_FILES: usize = 8;
/// A file belongs to the tier of smaller files if it is at most this many times as large as all of them together. So a
/// row is rewritten a few times only, however large the table grows.
const TIER_GROWTH: u64 = 4;
/// What rewriting is taken to cost: so many bytes of files a millisecond, and so long a file.
const BYTES_A_MILLISECOND: u64 = 10_000;
const MILLISECONDS_A_FILE: u64 = 5;
const BATCH_ROWS: usize = 1024;

/// Which files to rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Every file below `small_bytes`, and every file with many deleted rows.
    Thorough { small_bytes: u64 },
    /// Small files of about the same size if there are many, and files with many deleted rows, as far as the estimated
    /// time allows.
    Tiers { small_bytes: u64, time: Duration },
}

/// What became of a table.
pub enum Compaction {
    Done {
        table: Box<Table>,
        files_before: usize,
        files_after: usize,
    },
    /// Another writer changed the files that were rewritten, so nothing was changed.
    Overtaken,
}

/// Rewrites data files in one commit that changes no row. Files that another writer adds meanwhile do not matter.
pub async fn compact(
    catalog: &Catalog,
    table: Table,
    target_bytes: u64,
    policy: Policy,
) -> Result<Compaction> {
    let live = LiveFiles::of(&table).await?;
    let files_before = live.data.len() + live.deletes.len();
    let deletes = DeletedRows::read(&table, &live).await?;
    let chosen = choose(&live, &deletes, policy);
    let mut removed: HashSet<String> = chosen.iter().map(|file| file.file_path().to_owned()).collect();
    removed.extend(deletes.unneeded(&live, &removed));
    if removed.is_empty() {
        return Ok(Compaction::Done { table: Box::new(table), files_before, files_after: files_before });
    }
    let added = rewrite(&table, &chosen, &live.deletes, target_bytes as usize).await?;
    let files_after = files_before - removed.len() + added.len();
    let planned_on = table.metadata.current_snapshot_id();
    let rewritten: BTreeSet<&str> = chosen.iter().map(|file| file.file_path()).collect();
    let known: HashSet<&str> = live.deletes.iter().map(DataFile::file_path).collect();
    let mut is_overtaken = false;
    let published = publish(catalog, table.clone(), async |now: &Table| {
        if now.metadata.current_snapshot_id() != planned_on {
            let found = LiveFiles::of(now).await?;
            let is_new = |file: &&DataFile| !known.contains(file.file_path());
            is_overtaken = !found.has_all(&removed)
                || found.deletes.iter().filter(is_new).any(|file| may_delete_from(file, &rewritten));
            if is_overtaken {
                return Err(Failure::transient(format!(
                    "another writer changed files of table {} while they were joined",
                    now.ident
                )));
            }
        }
        let files = FileChange {
            operation: Operation::Replace,
            added: added.clone(),
            removed: Removed::files(removed.clone()),
            properties: HashMap::new(),
        };
        Ok(Work { files, properties: HashMap::new() })
    })
    .await;
    match published {
        Ok(table) => Ok(Compaction::Done { table: Box::new(table), files_before, files_after }),
        Err(_) if is_overtaken => {
            let paths: Vec<String> = added.iter().map(|file| file.file_path().to_owned()).collect();
            table.file_io.delete_stream(futures::stream::iter(paths)).await.map_err(of_iceberg)?;
            Ok(Compaction::Overtaken)
        }
        Err(failure) => Err(failure),
    }
}

/// Which files each delete file deletes from, and how many rows.
struct DeletedRows {
    rows: HashMap<String, u64>,
    files_of: HashMap<String, HashSet<String>>,
}

impl DeletedRows {
    async fn read(table: &Table, live: &LiveFiles) -> Result<Self> {
        let mut deleted = Self { rows: HashMap::new(), files_of: HashMap::new() };
        for file in &live.deletes {
            let mut counts: HashMap<String, u64> = HashMap::new();
            each_deleted(&table.file_io, file, |path, _| match counts.get_mut(path) {
                Some(count) => *count += 1,
                None => drop(counts.insert(path.to_owned(), 1)),
            })
            .await?;
            for (path, count) in &counts {
                *deleted.rows.entry(path.clone()).or_default() += count;
            }
            deleted.files_of.insert(file.file_path().to_owned(), counts.into_keys().collect());
        }
        Ok(deleted)
    }

    /// The delete files that delete from no file that stays.
    fn unneeded(&self, live: &LiveFiles, removed: &HashSet<String>) -> Vec<String> {
        let staying: HashSet<&str> =
            live.data.iter().map(DataFile::file_path).filter(|path| !removed.contains(*path)).collect();
        let unneeded = self
            .files_of
            .iter()
            .filter(|(_, paths)| !paths.iter().any(|path| staying.contains(path.as_str())));
        unneeded.map(|(file, _)| file.clone()).collect()
    }
}

fn choose<'a>(live: &'a LiveFiles, deleted: &DeletedRows, policy: Policy) -> Vec<&'a DataFile> {
    let deleted_from = |file: &&DataFile| {
        let rows = deleted.rows.get(file.file_path()).copied().unwrap_or(0);
        rows > 0
            && (live.deletes.len() >= DELETE_FILES || rows * 100 >= file.record_count() * DELETED_PERCENT)
    };
    let worn = live.data.iter().filter(|file| deleted_from(file) || !has_trusted_bounds(file));
    let mut chosen: Vec<&DataFile> = match policy {
        Policy::Thorough { small_bytes } => {
            let small: Vec<&DataFile> = small_files(live, small_bytes).collect();
            worn.chain(if small.len() >= SMALL_FILES { small } else { Vec::new() }).collect()
        }
        Policy::Tiers { small_bytes, .. } => tier(live, small_bytes).into_iter().chain(worn).collect(),
    };
    let mut seen = HashSet::new();
    chosen.retain(|file| seen.insert(file.file_path()));
    if let Policy::Tiers { time, .. } = policy {
        let mut cost = 0;
        let fits = |file: &&DataFile| {
            cost += MILLISECONDS_A_FILE + file.file_size_in_bytes() / BYTES_A_MILLISECOND;
            u128::from(cost) <= time.as_millis()
        };
        let affordable = chosen.iter().copied().take_while(fits).count();
        // A part of a tier is not worth a commit.
        let is_part = affordable < chosen.len() && affordable < TIER_FILES;
        let first_is_worn = chosen.first().is_some_and(deleted_from);
        chosen.truncate(if is_part && !first_is_worn { 0 } else { affordable });
    }
    chosen
}

fn small_files(live: &LiveFiles, small_bytes: u64) -> impl Iterator<Item = &DataFile> {
    live.data.iter().filter(move |file| file.file_size_in_bytes() < small_bytes)
}

/// The smallest files up to the first that is much larger than all before it together; none if they are few.
fn tier(live: &LiveFiles, small_bytes: u64) -> Vec<&DataFile> {
    let mut files: Vec<&DataFile> = small_files(live, small_bytes).collect();
    files.sort_by_key(|file| file.file_size_in_bytes());
    let mut total = 0;
    let belongs = |file: &&&DataFile| {
        let size = file.file_size_in_bytes();
        let is_near = total == 0 || size <= total * TIER_GROWTH;
        total += size;
        is_near
    };
    let length = files.iter().take_while(belongs).count();
    files.truncate(if length >= TIER_FILES { length } else { 0 });
    files
}

/// The rows of the files that are not deleted, in new files of the current schema.
async fn rewrite(
    table: &Table,
    files: &[&DataFile],
    deletes: &[DataFile],
    target_bytes: usize,
) -> Result<Vec<DataFile>> {
    let schema = table.metadata.current_schema().clone();
    let arrow = Arc::new(schema_to_arrow_schema(&schema).map_err(of_iceberg)?);
    let field_ids: Vec<i32> = schema.as_struct().fields().iter().map(|field| field.id).collect();
    let deletes: Vec<FileScanTaskDeleteFile> = deletes
        .iter()
        .map(|file| {
            FileScanTaskDeleteFile::builder()
                .with_file_path(file.file_path().to_owned())
                .with_file_size_in_bytes(file.file_size_in_bytes())
                .with_file_type(DataContentType::PositionDeletes)
                .with_partition_spec_id(table.metadata.default_partition_spec_id())
                .build()
        })
        .collect();
    let tasks: Vec<iceberg::Result<FileScanTask>> = files
        .iter()
        .map(|file| {
            Ok(FileScanTask::builder()
                .with_file_size_in_bytes(file.file_size_in_bytes())
                .with_start(0)
                .with_length(file.file_size_in_bytes())
                .with_record_count(Some(file.record_count()))
                .with_data_file_path(file.file_path().to_owned())
                .with_data_file_format(file.file_format())
                .with_schema(schema.clone())
                .with_project_field_ids(field_ids.clone())
                .with_deletes(deletes.clone())
                .with_case_sensitive(true)
                .build())
        })
        .collect();
    let reader = ArrowReaderBuilder::new(table.file_io.clone(), Runtime::current())
        .with_data_file_concurrency_limit(1)
        .with_batch_size(BATCH_ROWS)
        .build();
    let mut batches = reader.read(futures::stream::iter(tasks).boxed()).map_err(of_iceberg)?.stream();
    let mut writer = DataFileWriter::new(table, target_bytes);
    while let Some(batch) = batches.try_next().await.map_err(of_iceberg)? {
        let batch = RecordBatch::try_new(arrow.clone(), batch.columns().to_vec()).map_err(|error| {
            Failure::system(format!("rows that were read do not fit their table: {error}"))
        })?;
        if batch.num_rows() > 0 {
            writer.write(&batch).await?;
        }
    }
    writer.take().await
}
