//! Expiring old snapshots of a table and removing the files that only they need. Knows no stream.
//!
//! Only a linear history is expired: one branch, whose snapshots follow each other. There a file that a snapshot removed
//! is needed by earlier snapshots only, so reading what the expired snapshots removed is enough, however large the table
//! is. Whatever a crash leaves behind is an orphan, which `maintain` removes.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt};
use iceberg::TableUpdate;
use iceberg::spec::{MAIN_BRANCH, ManifestFile, ManifestStatus, SnapshotRef, TableMetadata};

use crate::catalog::{Catalog, CommitFault, Table, manifests_of};
use crate::commit::publish_updates;
use crate::failure::{Failure, Result, of_iceberg};
use crate::snapshot::METADATA_BYTES;

/// A table keeps at most this many snapshots: each is in every metadata file.
const MOST_SNAPSHOTS: usize = 100;
/// Snapshots are expired when there are this many to expire, or when they take much space: an expiry is a commit.
const BATCH: usize = 10;
/// Replaced files of less than this are kept as long as their snapshots, however small the table is.
const NEGLIGIBLE_BYTES: u64 = 4 << 20;
/// What a snapshot of another program is taken to need for its metadata.
const UNKNOWN_METADATA_BYTES: u64 = 32 << 10;
/// Files of metadata that are read at once.
const READS_AT_ONCE: usize = 16;

/// Expires the snapshots that are older than `oldest` (milliseconds since 1970), and older ones as long as the files
/// that only they need take more space than the table itself. The current snapshot stays, and of young ones the one
/// before it. Says how many were expired.
pub async fn expire_old(catalog: &Catalog, table: &Table, oldest: i64) -> Result<(Table, usize)> {
    let Some(history) = linear_history(&table.metadata)? else { return Ok((table.clone(), 0)) };
    let kept = snapshots_to_keep(&history, oldest);
    let expired = &history[kept..];
    if expired.is_empty() {
        return Ok((table.clone(), 0));
    }
    let snapshot_ids = expired.iter().map(|snapshot| snapshot.snapshot_id()).collect();
    let updates = vec![TableUpdate::RemoveSnapshots { snapshot_ids }];
    let after = match publish_updates(catalog, table, updates).await {
        Ok(after) => after,
        // It is not urgent. Whether it happened shows the next time.
        Err(CommitFault::Overtaken | CommitFault::Unclear(_)) => return Ok((table.clone(), 0)),
        Err(CommitFault::Refused(failure)) => return Err(failure),
    };
    let files = files_only_of(table, &history[kept - 1], expired).await?;
    after.file_io.delete_stream(futures::stream::iter(files)).await.map_err(of_iceberg)?;
    Ok((after, expired.len()))
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
fn snapshots_to_keep(history: &[SnapshotRef], oldest: i64) -> usize {
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
    let is_worth_it = history.len() - kept >= BATCH || freed >= live / 2 || needed > limit + limit / 2;
    if is_worth_it { kept } else { history.len() }
}

/// The files that no snapshot needs without the `expired` ones, where `oldest` is the oldest that stays.
async fn files_only_of(table: &Table, oldest: &SnapshotRef, expired: &[SnapshotRef]) -> Result<Vec<String>> {
    let snapshots: Vec<&SnapshotRef> = std::iter::once(oldest).chain(expired).collect();
    let reads: Vec<_> = snapshots.iter().map(|snapshot| manifests_of(table, snapshot)).collect();
    let lists: Vec<Vec<ManifestFile>> =
        futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let kept: HashSet<&str> = lists[0].iter().map(|manifest| manifest.manifest_path.as_str()).collect();
    let mut seen = HashSet::new();
    let mut files: Vec<String> = expired.iter().map(|snapshot| snapshot.manifest_list().to_owned()).collect();
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
    let loaded: Vec<_> =
        futures::stream::iter(removals).buffered(READS_AT_ONCE).try_collect().await.map_err(of_iceberg)?;
    for entry in loaded.iter().flat_map(|manifest| manifest.entries()) {
        let by_one_of_them = entry.snapshot_id().is_some_and(|id| ids.contains(&id));
        if entry.status() == ManifestStatus::Deleted && by_one_of_them {
            files.push(entry.file_path().to_owned());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iceberg::spec::{Operation, Snapshot, Summary};
    use std::collections::HashMap;
    use std::sync::Arc;

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

    #[test]
    fn snapshots_stay_as_long_as_they_are_young_and_need_no_more_than_the_table() {
        assert_eq!(snapshots_to_keep(&history(&[(100, 1); 9]), 50), 9, "young and small");
        assert_eq!(snapshots_to_keep(&history(&[(100, 10); 2]), 50), 2, "one before the current one stays");
        assert_eq!(snapshots_to_keep(&history(&[(100, 10); 5]), 50), 2, "every overwrite replaces all");
        assert_eq!(snapshots_to_keep(&history(&[(10, 10); 3]), 50), 1, "what frees much is not put off");
        assert_eq!(snapshots_to_keep(&history(&[(100, 0); 300]), 50), MOST_SNAPSHOTS);
        let aged: Vec<(i64, u64)> = (0..30).map(|place| (100 - place * 5, 0)).collect();
        assert_eq!(snapshots_to_keep(&history(&aged), 50), 11, "those from 100 down to 50");
        assert_eq!(snapshots_to_keep(&history(&aged[..15]), 50), 15, "a few old ones wait for more");
        assert_eq!(snapshots_to_keep(&history(&[(10, 0); 20]), 50), 1, "the current one always stays");
    }
}
