//! Which data files to rewrite: small ones, which become one, and those with many deleted rows. It reads and writes nothing.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use iceberg::spec::DataFile;

use crate::data_file::has_trusted_bounds;
use crate::position_deletes::may_delete_from;
use crate::rewrite::DeletedRows;
use crate::snapshot::LiveFiles;

/// A data file is rewritten when this share of its rows is deleted.
const DELETED_PERCENT: u64 = 10;
/// With so many delete files, all of them are worked in: each read of the table opens them all.
const DELETE_FILES: usize = 10;
/// Fewer small files than this are left alone.
const SMALL_FILES: usize = 2;
/// Automatic maintenance joins files when there are this many of a tier, and no more unless there are twice as many. So a
/// commit that joins files sends few requests.
const TIER_FILES: usize = 8;
/// A file belongs to the tier of smaller files if it is at most this many times as large as all of them together. So a
/// row is rewritten a few times only, however large the table grows.
const TIER_GROWTH: u64 = 4;
/// What rewriting is taken to cost: so many bytes of files a millisecond, and so long a file.
const BYTES_A_MILLISECOND: u64 = 10_000;
const MILLISECONDS_A_FILE: u64 = 5;

/// Which files to rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Every file below `small_bytes`, and every file with many deleted rows.
    Thorough { small_bytes: u64 },
    /// Small files of about the same size if there are many, and files with many deleted rows, as far as the estimated
    /// time allows.
    Tiers { small_bytes: u64, time: Duration },
}

/// Whether the table has a delete file whose bounds name none of its data files. Delete files are not read for this, so one
/// with wide bounds can be missed.
pub fn has_dangling_deletes(live: &LiveFiles) -> bool {
    let paths: BTreeSet<&str> = live.data.iter().map(DataFile::file_path).collect();
    live.deletes.iter().any(|file| !may_delete_from(file, &paths))
}

/// The files to rewrite among `data`, of a table with so many delete files.
pub fn choose<'a>(
    data: &[&'a DataFile],
    delete_files: usize,
    deleted: &DeletedRows,
    policy: Policy,
) -> Vec<&'a DataFile> {
    let deleted_from = |file: &&DataFile| {
        let rows = deleted.count(file);
        rows > 0 && (delete_files >= DELETE_FILES || rows * 100 >= file.record_count() * DELETED_PERCENT)
    };
    let worn = data.iter().copied().filter(|file| deleted_from(file) || !has_trusted_bounds(file));
    let mut chosen: Vec<&DataFile> = match policy {
        Policy::Thorough { small_bytes } => {
            let small: Vec<&DataFile> = small_files(data, small_bytes).collect();
            worn.chain(if small.len() >= SMALL_FILES { small } else { Vec::new() }).collect()
        }
        Policy::Tiers { small_bytes, .. } => tier(data, small_bytes).into_iter().chain(worn).collect(),
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

fn small_files<'a>(data: &[&'a DataFile], small_bytes: u64) -> impl Iterator<Item = &'a DataFile> {
    data.iter().copied().filter(move |file| file.file_size_in_bytes() < small_bytes)
}

/// The smallest files up to the first that is much larger than all before it together; none if they are few.
fn tier<'a>(data: &[&'a DataFile], small_bytes: u64) -> Vec<&'a DataFile> {
    let mut files: Vec<&DataFile> = small_files(data, small_bytes).collect();
    files.sort_by_key(|file| file.file_size_in_bytes());
    let mut total = 0;
    let belongs = |file: &&&DataFile| {
        let size = file.file_size_in_bytes();
        let is_near = total == 0 || size <= total * TIER_GROWTH;
        total += size;
        is_near
    };
    let length = files.iter().take_while(belongs).count();
    files.truncate(if length >= TIER_FILES { TIER_FILES.max(length - TIER_FILES) } else { 0 });
    files
}
