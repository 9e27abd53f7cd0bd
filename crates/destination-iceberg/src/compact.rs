//! Joining small data files and working position deletes in, in one snapshot that changes no row.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use iceberg::spec::{DataFile, Operation};

use crate::catalog::{Catalog, Table};
use crate::commit::{Work, publish};
use crate::data_file::has_trusted_bounds;
use crate::failure::{Failure, Result, of_iceberg};
use crate::position_deletes::{each_deleted, may_delete_from, write_deletes};
use crate::rewrite::{DeletedRows, rewrite};
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
/// Delete files that lose a part of their rows are joined up to this many rows.
const DELETES_A_FILE: usize = 100_000;

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
    let targets = DeleteTargets::read(&table, &live).await?;
    let chosen = choose(&live, &targets, policy);
    let mut removed: HashSet<String> = chosen.iter().map(|file| file.file_path().to_owned()).collect();
    let outdated = targets.outdated(&live, &removed);
    removed.extend(outdated.iter().map(|file| file.file_path().to_owned()));
    if removed.is_empty() {
        return Ok(Compaction::Done { table: Box::new(table), files_before, files_after: files_before });
    }
    let deleted = deleted_rows(&table, &chosen, &live.deletes).await?;
    let mut added = rewrite(&table, &chosen, &deleted, target_bytes as usize).await?;
    added.extend(without_dangling(&table, &outdated, &live, &removed).await?);
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
struct DeleteTargets {
    rows: HashMap<String, u64>,
    files_of: HashMap<String, HashSet<String>>,
}

impl DeleteTargets {
    async fn read(table: &Table, live: &LiveFiles) -> Result<Self> {
        let mut targets = Self { rows: HashMap::new(), files_of: HashMap::new() };
        for file in &live.deletes {
            let mut counts: HashMap<String, u64> = HashMap::new();
            each_deleted(&table.file_io, file, |path, _| match counts.get_mut(path) {
                Some(count) => *count += 1,
                None => drop(counts.insert(path.to_owned(), 1)),
            })
            .await?;
            for (path, count) in &counts {
                *targets.rows.entry(path.clone()).or_default() += count;
            }
            targets.files_of.insert(file.file_path().to_owned(), counts.into_keys().collect());
        }
        Ok(targets)
    }

    /// The delete files with dangling deletes: those of a data file that is not in the table, or is `removed` from it.
    fn outdated<'a>(&self, live: &'a LiveFiles, removed: &HashSet<String>) -> Vec<&'a DataFile> {
        let staying: HashSet<&str> =
            live.data.iter().map(DataFile::file_path).filter(|path| !removed.contains(*path)).collect();
        let dangles = |file: &&DataFile| {
            let targets = self.files_of.get(file.file_path());
            targets.is_none_or(|paths| {
                paths.is_empty() || paths.iter().any(|path| !staying.contains(path.as_str()))
            })
        };
        live.deletes.iter().filter(dangles).collect()
    }
}

/// The rows of `files` that the delete files delete.
async fn deleted_rows(table: &Table, files: &[&DataFile], deletes: &[DataFile]) -> Result<DeletedRows> {
    let by_path: HashMap<&str, &DataFile> = files.iter().map(|file| (file.file_path(), *file)).collect();
    let paths: BTreeSet<&str> = by_path.keys().copied().collect();
    let mut deleted = DeletedRows::default();
    for file in deletes.iter().filter(|file| may_delete_from(file, &paths)) {
        each_deleted(&table.file_io, file, |path, row| {
            if let Some(file) = by_path.get(path) {
                deleted.delete(file, row);
            }
        })
        .await?;
    }
    Ok(deleted)
}

/// New delete files with those rows of the `outdated` ones whose data files stay.
async fn without_dangling(
    table: &Table,
    outdated: &[&DataFile],
    live: &LiveFiles,
    removed: &HashSet<String>,
) -> Result<Vec<DataFile>> {
    let staying = live.data.iter().map(DataFile::file_path).filter(|path| !removed.contains(*path));
    let staying: HashMap<&str, Arc<str>> = staying.map(|path| (path, Arc::from(path))).collect();
    let (mut rows, mut added) = (Vec::new(), Vec::new());
    for file in outdated {
        each_deleted(&table.file_io, file, |path, row| {
            rows.extend(staying.get(path).map(|path| (path.clone(), row)));
        })
        .await?;
        if rows.len() >= DELETES_A_FILE {
            added.extend(write_deletes(table, std::mem::take(&mut rows)).await?);
        }
    }
    added.extend(write_deletes(table, rows).await?);
    Ok(added)
}

/// Whether the table has a delete file whose bounds name none of its data files. Delete files are not read for this, so one
/// with wide bounds can be missed.
pub async fn has_dangling_deletes(table: &Table) -> Result<bool> {
    let live = LiveFiles::of(table).await?;
    let paths: BTreeSet<&str> = live.data.iter().map(DataFile::file_path).collect();
    Ok(live.deletes.iter().any(|file| !may_delete_from(file, &paths)))
}

fn choose<'a>(live: &'a LiveFiles, targets: &DeleteTargets, policy: Policy) -> Vec<&'a DataFile> {
    let deleted_from = |file: &&DataFile| {
        let rows = targets.rows.get(file.file_path()).copied().unwrap_or(0);
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
