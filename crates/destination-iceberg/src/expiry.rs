//! Which old snapshots of a table a commit expires, and the files that only they need. It commits nothing.
//!
//! Only a linear history is expired: one branch, whose snapshots follow each other. There a file that a snapshot removed
//! is needed by earlier snapshots only, so reading what the expired snapshots removed is enough, however large the table
//! is. Whatever a crash leaves behind is an orphan, which `maintain` removes.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use iceberg::TableUpdate;
use iceberg::spec::{MAIN_BRANCH, ManifestFile, ManifestStatus, Snapshot, SnapshotRef, TableMetadata};

use crate::catalog::{Table, manifests_of};
use crate::failure::{Failure, Result, of_iceberg};
use crate::snapshot::METADATA_BYTES;

/// A table keeps at most this many snapshots: each is in every metadata file.
const MOST_SNAPSHOTS: usize = 100;
/// Snapshots are expired when there are this many to expire, or when they take much space. So a sync of one record sends at
/// most a few requests more.
pub const BATCH: usize = 4;
/// Replaced files of less than this are kept as long as their snapshots, however small the table is.
const NEGLIGIBLE_BYTES: u64 = 4 << 20;
/// What a snapshot of another program is taken to need for its metadata.
const UNKNOWN_METADATA_BYTES: u64 = 32 << 10;
/// Files of metadata that are read at once.
const READS_AT_ONCE: usize = 16;

/// Snapshots that a commit expires.
pub struct Expiry {
    pub expired: Vec<SnapshotRef>,
    /// The oldest one that stays.
    oldest: SnapshotRef,
}

impl Expiry {
    /// What a commit has to expire that adds the snapshots `new`: those that are older than `oldest` (milliseconds since
    /// 1970), and older ones as long as the files that only they need take more space than the table itself. The newest
    /// one stays, and of young ones the one before it. Few wait for more, up to `batch`.
    pub fn due(
        metadata: &TableMetadata,
        new: &[Snapshot],
        oldest: i64,
        batch: usize,
    ) -> Result<Option<Self>> {
        let Some(before) = linear_history(metadata)? else { return Ok(None) };
        let mut history: Vec<SnapshotRef> = new.iter().rev().cloned().map(Arc::new).collect();
        history.extend(before);
        let expired = history.split_off(snapshots_to_keep(&history, oldest, batch));
        Ok(history.pop().filter(|_| !expired.is_empty()).map(|oldest| Self { expired, oldest }))
    }

    pub fn update(&self) -> TableUpdate {
        let snapshot_ids = self.expired.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        TableUpdate::RemoveSnapshots { snapshot_ids }
    }

    /// The files that only the expired snapshots need.
    pub async fn files(&self, table: &Table) -> Result<Vec<String>> {
        let snapshots: Vec<&SnapshotRef> = std::iter::once(&self.oldest).chain(&self.expired).collect();
        let reads: Vec<_> = snapshots.iter().map(|snapshot| manifests_of(table, snapshot)).collect();
        let lists: Vec<Vec<ManifestFile>> =
            futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        let kept: HashSet<&str> = lists[0].iter().map(|manifest| manifest.manifest_path.as_str()).collect();
        let mut seen = HashSet::new();
        let mut files: Vec<String> =
            self.expired.iter().map(|snapshot| snapshot.manifest_list().to_owned()).collect();
        let mut removals = Vec::new();
        for (snapshot, list) in snapshots.iter().zip(&lists) {
            for manifest in list.iter().filter(|manifest| seen.insert(manifest.manifest_path.as_str())) {
                if !kept.contains(manifest.manifest_path.as_str()) {
                    files.push(manifest.manifest_path.clone());
                }
                let is_own = manifest.added_snapshot_id == snapshot.snapshot_id();
                if is_own && manifest.deleted_files_count != Some(0) {
                    removals.push(manifest.load_manifest(&table.file_io));
                }
            }
        }
        let ids: HashSet<i64> = snapshots.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        let loaded: Vec<_> = futures::stream::iter(removals)
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await
            .map_err(of_iceberg)?;
        for entry in loaded.iter().flat_map(|manifest| manifest.entries()) {
            let by_one_of_them = entry.snapshot_id().is_some_and(|id| ids.contains(&id));
            if entry.status() == ManifestStatus::Deleted && by_one_of_them {
                files.push(entry.file_path().to_owned());
            }
        }
        Ok(files)
    }
}

/// The snapshots from the current one back to the first; nothing if the table has branches, tags or other snapshots.
fn linear_history(metadata: &TableMetadata) -> Result<Option<Vec<SnapshotRef>>> {
    // The library shows a reference only to those who know its name.
    let document = serde_json::to_value(metadata).map_err(|error| Failure::system(error.to_string()))?;
    let references = document.get("refs").and_then(|refs| refs.as_object());
    if references.is_none_or(|refs| refs.len() != 1 || !refs.contains_key(MAIN_BRANCH)) {
        return Ok(None);
    }
    let mut history = Vec::new();
    let mut next = metadata.current_snapshot().cloned();
    while let Some(snapshot) = next {
        next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id)).cloned();
        history.push(snapshot);
    }
    Ok((history.len() == metadata.snapshots().count() && !history.is_empty()).then_some(history))
}

/// How many of the newest snapshots to keep, of a history from the newest to the oldest.
fn snapshots_to_keep(history: &[SnapshotRef], oldest: i64, batch: usize) -> usize {
    let size = |snapshot: &SnapshotRef, name: &str| -> Option<u64> {
        snapshot.summary().additional_properties.get(name)?.parse().ok()
    };
    let live = size(&history[0], "total-files-size").unwrap_or(u64::MAX / 4);
    let limit = live.max(NEGLIGIBLE_BYTES);
    let mut kept = 1;
    let mut is_kept = true;
    // What the snapshots so far removed is there for the sake of those that follow.
    let (mut needed, mut freed) = (0, 0);
    for (place, snapshot) in history.iter().enumerate() {
        let is_young = snapshot.timestamp_ms() >= oldest;
        let fits = needed <= limit && place < MOST_SNAPSHOTS;
        is_kept &= is_young && (fits || place < 2);
        if is_kept {
            kept = kept.max(place + 1);
        }
        let replaced = size(snapshot, "removed-files-size").unwrap_or(0);
        // The oldest snapshot that stays has no use for what it removed itself.
        let is_oldest = kept == place + 1;
        freed = if is_oldest { replaced } else { freed + replaced };
        needed += replaced;
        needed += size(snapshot, METADATA_BYTES).unwrap_or(UNKNOWN_METADATA_BYTES);
    }
    let is_worth_it = history.len() - kept >= batch || freed >= live / 2 || needed > limit + limit / 2;
    if is_worth_it { kept } else { history.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iceberg::spec::{Operation, Summary};
    use std::collections::HashMap;

    const MIB: u64 = 1 << 20;

    /// Snapshots from the newest to the oldest: each one's time and the MiB that it removed, of 10 MiB that are live.
    fn history(snapshots: &[(i64, u64)]) -> Vec<SnapshotRef> {
        let made = snapshots.iter().enumerate().map(|(place, (time, removed))| {
            let properties = HashMap::from([
                ("total-files-size".to_owned(), (10 * MIB).to_string()),
                ("removed-files-size".to_owned(), (removed * MIB).to_string()),
                (METADATA_BYTES.to_owned(), "0".to_owned()),
            ]);
            Arc::new(
                Snapshot::builder()
                    .with_snapshot_id(place as i64 + 1)
                    .with_sequence_number((snapshots.len() - place) as i64)
                    .with_timestamp_ms(*time)
                    .with_manifest_list("list")
                    .with_summary(Summary { operation: Operation::Append, additional_properties: properties })
                    .build(),
            )
        });
        made.collect()
    }

    fn kept(snapshots: &[(i64, u64)]) -> usize {
        snapshots_to_keep(&history(snapshots), 50, BATCH)
    }

    #[test]
    fn snapshots_stay_as_long_as_they_are_young_and_need_no_more_than_the_table() {
        assert_eq!(kept(&[(100, 1); 9]), 9, "young and small");
        assert_eq!(kept(&[(100, 10); 2]), 2, "one before the current one stays");
        assert_eq!(kept(&[(100, 10); 5]), 2, "every overwrite replaces all");
        assert_eq!(kept(&[(10, 10); 3]), 1, "what frees much is not put off");
        assert_eq!(kept(&[(100, 0); 300]), MOST_SNAPSHOTS);
        let aged: Vec<(i64, u64)> = (0..30).map(|place| (100 - place * 5, 0)).collect();
        assert_eq!(kept(&aged), 11, "those from 100 down to 50");
        assert_eq!(kept(&aged[..14]), 14, "a few old ones wait for more");
        assert_eq!(kept(&[(10, 0); 20]), 1, "the current one always stays");
    }
}
