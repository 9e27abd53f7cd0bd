//! Maintenance that nobody has to run: a commit also joins small files, works deletes in and expires snapshots, within a
//! share of the time that the table's syncs took. It decides what is due, and reads and writes nothing.

use std::time::Duration;

use airbyte_connector::unix_milliseconds;
use iceberg::spec::{Operation, SnapshotRef, TableMetadata};

use crate::compact::{Policy, has_dangling_deletes};
use crate::config::Config;
use crate::positions::SMALL_DELETES;
use crate::snapshot::{COMMIT_ID, JOINED_FILES, LiveFiles, SYNC_MILLISECONDS};

/// Data files below this share of the target size are small.
const SMALL_FILE_PERCENT: u64 = 25;
/// With fewer surplus files than this, a table is not looked at.
const SURPLUS_FILES: u64 = 8;
/// With one deleted row in so many, a table is looked at.
const ROWS_A_DELETED_ROW: u64 = 10;
/// Maintenance of a table may always take this long. So a small table stays small however quick its syncs are.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// One commit takes at most this long for it: a STATE waits for the commit, and vended credentials end.
const MOST_TIME: Duration = Duration::from_secs(300);
const MILLISECONDS_AN_HOUR: i64 = 3_600_000;

/// What the config says of maintenance.
#[derive(Debug, Clone, Copy)]
pub struct AutomaticMaintenance {
    percent: u64,
    retention: i64,
    target_bytes: u64,
}

impl AutomaticMaintenance {
    /// Nothing if the config turns it off.
    pub fn of(config: &Config) -> Option<Self> {
        (config.maintenance_percent > 0).then(|| Self {
            percent: config.maintenance_percent,
            retention: i64::from(config.snapshot_retention_hours) * MILLISECONDS_AN_HOUR,
            target_bytes: config.target_file_size_mib << 20,
        })
    }

    /// Snapshots that are older are expired, in milliseconds since 1970.
    pub fn oldest(self) -> i64 {
        unix_milliseconds() as i64 - self.retention
    }

    /// Which files the next commit joins, of a table with these files; nothing if it is not worth a look.
    pub fn policy(&self, metadata: &TableMetadata, live: &LiveFiles) -> Option<Policy> {
        let is_worth_it = is_worth_a_look(metadata, self.target_bytes)
            || (may_have_dangling_deletes(metadata) && has_dangling_deletes(live));
        let small_bytes = self.target_bytes * SMALL_FILE_PERCENT / 100;
        is_worth_it.then(|| Policy::Tiers { small_bytes, time: self.time_left(metadata) })
    }

    /// The share of the time of all syncs since the last compaction, and never less than `LEAST_TIME`.
    fn time_left(&self, metadata: &TableMetadata) -> Duration {
        let mut milliseconds = 0;
        let mut next = metadata.current_snapshot();
        while let Some(snapshot) = next {
            let summary = snapshot.summary();
            if has_joined(snapshot) {
                break;
            }
            let spent = summary.additional_properties.get(SYNC_MILLISECONDS);
            milliseconds += spent.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
        }
        Duration::from_millis(milliseconds * self.percent / 100).clamp(LEAST_TIME, MOST_TIME)
    }
}

fn has_joined(snapshot: &SnapshotRef) -> bool {
    let summary = snapshot.summary();
    summary.operation == Operation::Replace || summary.additional_properties.contains_key(JOINED_FILES)
}

/// Whether the table seems to have small files or many deletes, without reading anything.
fn is_worth_a_look(metadata: &TableMetadata, target_bytes: u64) -> bool {
    let Some(snapshot) = metadata.current_snapshot() else { return false };
    let counts = &snapshot.summary().additional_properties;
    let count = |name: &str| counts.get(name).and_then(|text| text.parse::<u64>().ok());
    let files = count("total-data-files").unwrap_or(u64::MAX / 4) + count("total-delete-files").unwrap_or(0);
    let wanted = count("total-files-size").unwrap_or(0).div_ceil(target_bytes);
    let deleted = count("total-position-deletes").unwrap_or(0);
    let rows = count("total-records").unwrap_or(0);
    files >= wanted + SURPLUS_FILES || (deleted > 0 && deleted * ROWS_A_DELETED_ROW >= rows)
}

/// Whether the table has position deletes, and since the last compaction data files were removed that these may be of:
/// by another program, or by this one with more rows than a delete file has that each commit puts in order.
fn may_have_dangling_deletes(metadata: &TableMetadata) -> bool {
    let count = |snapshot: &SnapshotRef, name: &str| -> u64 {
        let count = snapshot.summary().additional_properties.get(name);
        count.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let mut next = metadata.current_snapshot();
    if next.is_none_or(|snapshot| count(snapshot, "total-delete-files") == 0) {
        return false;
    }
    let mut rows = 0;
    while let Some(snapshot) = next {
        let summary = snapshot.summary();
        let is_own = summary.additional_properties.contains_key(COMMIT_ID);
        if is_own && has_joined(snapshot) {
            return false;
        }
        rows += count(snapshot, "deleted-records");
        if count(snapshot, "deleted-data-files") > 0 && (!is_own || rows > SMALL_DELETES) {
            return true;
        }
        next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
    }
    false
}
