//! Joining small data files and working position deletes in, in one snapshot that changes no row. Knows no stream.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use iceberg::Runtime;
use iceberg::arrow::{ArrowReaderBuilder, schema_to_arrow_schema};
use iceberg::scan::{FileScanTask, FileScanTaskDeleteFile};
use iceberg::spec::{DataContentType, DataFile, Operation};

use crate::catalog::{Catalog, Table};
use crate::commit::{Work, publish};
use crate::data_file::{DataFileWriter, has_trusted_bounds};
use crate::failure::{Failure, Result};
use crate::position_deletes::each_deleted;
use crate::snapshot::{FileChange, LiveFiles, Removed};

/// A data file is rewritten when this share of its rows is deleted.
const DELETED_PERCENT: u64 = 10;
/// With so many delete files, all of them are worked in: each read of the table opens them all.
const DELETE_FILES: usize = 10;
/// Fewer small files than this are left alone.
const SMALL_FILES: usize = 2;
const BATCH_ROWS: usize = 1024;

/// How many files the table had and has.
pub struct Compacted {
    pub before: usize,
    pub after: usize,
}

/// Rewrites the data files that are small or much deleted from. If another writer commits meanwhile, nothing is
/// changed and the failure says so.
pub async fn compact(
    catalog: &Catalog,
    table: Table,
    target_bytes: u64,
    small_bytes: u64,
) -> Result<(Table, Compacted)> {
    let live = LiveFiles::of(&table).await?;
    let before = live.data.len() + live.deletes.len();
    let deletes = DeletedRows::read(&table, &live).await?;
    let chosen = choose(&live, &deletes, small_bytes);
    let mut removed: HashSet<String> = chosen.iter().map(|file| file.file_path().to_owned()).collect();
    removed.extend(deletes.unneeded(&live, &removed));
    if removed.is_empty() {
        return Ok((table, Compacted { before, after: before }));
    }
    let added = rewrite(&table, &chosen, &live.deletes, target_bytes as usize).await?;
    let after = before - removed.len() + added.len();
    let planned_on = table.metadata.current_snapshot_id();
    let table = publish(catalog, table, async |table: &Table| {
        if table.metadata.current_snapshot_id() != planned_on {
            let text = "another writer committed while files were joined; run maintain again when it is done";
            return Err(Failure::transient(text));
        }
        let files = FileChange {
            operation: Operation::Replace,
            added: added.clone(),
            removed: Removed::Files(removed.clone()),
            properties: HashMap::new(),
        };
        Ok(Work { files, properties: HashMap::new() })
    })
    .await?;
    Ok((table, Compacted { before, after }))
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

fn choose<'a>(live: &'a LiveFiles, deleted: &DeletedRows, small_bytes: u64) -> Vec<&'a DataFile> {
    let deleted_from = |file: &&DataFile| {
        let rows = deleted.rows.get(file.file_path()).copied().unwrap_or(0);
        rows > 0
            && (live.deletes.len() >= DELETE_FILES || rows * 100 >= file.record_count() * DELETED_PERCENT)
    };
    let small: Vec<&DataFile> =
        live.data.iter().filter(|file| file.file_size_in_bytes() < small_bytes).collect();
    let mut chosen: Vec<&DataFile> =
        live.data.iter().filter(|file| deleted_from(file) || !has_trusted_bounds(file)).collect();
    if small.len() >= SMALL_FILES {
        chosen.extend(small);
    }
    let mut seen = HashSet::new();
    chosen.retain(|file| seen.insert(file.file_path()));
    chosen
}

/// The rows of the files that are not deleted, in new files of the current schema.
async fn rewrite(
    table: &Table,
    files: &[&DataFile],
    deletes: &[DataFile],
    target_bytes: usize,
) -> Result<Vec<DataFile>> {
    let schema = table.metadata.current_schema().clone();
    let arrow = Arc::new(schema_to_arrow_schema(&schema)?);
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
    let mut batches = reader.read(futures::stream::iter(tasks).boxed())?.stream();
    let mut writer = DataFileWriter::new(table, target_bytes);
    while let Some(batch) = batches.try_next().await? {
        let batch = RecordBatch::try_new(arrow.clone(), batch.columns().to_vec()).map_err(|error| {
            Failure::system(format!("rows that were read do not fit their table: {error}"))
        })?;
        if batch.num_rows() > 0 {
            writer.write(&batch).await?;
        }
    }
    writer.take().await
}
