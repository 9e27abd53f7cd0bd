//! Maintenance that nobody has to run: after its commits, the writer joins small files, works deletes in and expires
//! snapshots, within a share of the time that the table's syncs took. It changes no row.

use std::time::Duration;

use airbyte_connector::unix_milliseconds;
use iceberg::spec::{Operation, SnapshotRef, TableMetadata};

use crate::catalog::{Catalog, Table};
use crate::commit::COMMIT_ID;
use crate::compact::{Compaction, Policy, compact, has_dangling_deletes};
use crate::config::Config;
use crate::expiry::expire_old;
use crate::failure::Result;
use crate::positions::SMALL_DELETES;

/// The summary's key for the time that a sync spent on the table before the commit, in milliseconds. Of a sync of several
/// streams, each gets an equal share.
pub const SYNC_MILLISECONDS: &str = "airbyte.sync-milliseconds";
/// Data files below this share of the target size are small.
const SMALL_FILE_PERCENT: u64 = 25;
/// With fewer surplus files than this, a table is not looked at.
const SURPLUS_FILES: u64 = 8;
/// With one deleted row in so many, a table is looked at.
const ROWS_A_DELETED_ROW: u64 = 10;
/// Maintenance of a table may always take this long. So a small table stays small however quick its syncs are.
const LEAST_TIME: Duration = Duration::from_secs(1);
const MILLISECONDS_AN_HOUR: i64 = 3_600_000;

/// What the config says of maintenance.
#[derive(Debug, Clone, Copy)]
pub struct AutomaticMaintenance {
    percent: u64,
    retention: i64,
    target_bytes: u64,
}

/// What was done to a table, for the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    pub files_before: usize,
    pub files_after: usize,
    pub expired: usize,
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

    /// Does what the table needs and its time allows. Snapshots are expired even if files cannot be joined; the error
    /// is then that of the joining.
    pub async fn run(&self, catalog: &Catalog, table: &Table) -> Result<(Table, Maintained)> {
        let joined = self.join_files(catalog, table).await;
        let table = joined.as_ref().map_or(table, |(table, _)| table);
        let oldest = unix_milliseconds() as i64 - self.retention;
        let expiry = expire_old(catalog, table, oldest).await;
        let (_, mut done) = joined?;
        let (table, expired) = expiry?;
        done.expired = expired;
        Ok((table, done))
    }

    async fn join_files(&self, catalog: &Catalog, table: &Table) -> Result<(Table, Maintained)> {
        let may_dangle = may_have_dangling_deletes(&table.metadata);
        let is_worth_it = is_worth_a_look(&table.metadata, self.target_bytes)
            || (may_dangle && has_dangling_deletes(table).await?);
        if !is_worth_it {
            return Ok((table.clone(), Maintained::default()));
        }
        let small_bytes = self.target_bytes * SMALL_FILE_PERCENT / 100;
        let policy = Policy::Tiers { small_bytes, time: self.time_left(&table.metadata) };
        match compact(catalog, table.clone(), self.target_bytes, policy).await? {
            Compaction::Done { table, files_before, files_after } => {
                Ok((*table, Maintained { files_before, files_after, expired: 0 }))
            }
            // The other writer maintains the table, too.
            Compaction::Overtaken => Ok((catalog.reload(&table.ident).await?, Maintained::default())),
        }
    }

    /// The share of the time of all syncs since the last compaction, and never less than `LEAST_TIME`.
    fn time_left(&self, metadata: &TableMetadata) -> Duration {
        let mut milliseconds = 0;
        let mut next = metadata.current_snapshot();
        while let Some(snapshot) = next {
            let summary = snapshot.summary();
            if summary.operation == Operation::Replace {
                break;
            }
            let spent = summary.additional_properties.get(SYNC_MILLISECONDS);
            milliseconds += spent.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
        }
        Duration::from_millis(milliseconds * self.percent / 100).max(LEAST_TIME)
    }
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
        if is_own && summary.operation == Operation::Replace {
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
