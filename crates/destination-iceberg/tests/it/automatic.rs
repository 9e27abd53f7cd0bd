//! Maintenance that nobody runs: what stays small, however many syncs there are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use iceberg::spec::Operation;
use serde_json::{Value, json};

use crate::harness::{Destination, TableRead, catalog, record, state, status, task, tasks, versions, whole};

fn with_ending(destination: &Destination, ending: &str) -> Vec<PathBuf> {
    destination.files().into_iter().filter(|file| file.to_string_lossy().ends_with(ending)).collect()
}

fn joins(table: &TableRead) -> usize {
    let summaries = table.metadata.snapshots().map(|snapshot| &snapshot.summary().additional_properties);
    summaries.filter(|summary| summary.contains_key("airbyte.joined-files")).count()
}

/// How many commits the table had: the number in its metadata file's name.
fn commits(destination: &Destination) -> usize {
    let location = destination.metadata_location("tasks").unwrap();
    let name = location.rsplit('/').next().unwrap();
    name.split('-').next().unwrap().parse().unwrap()
}

fn orphans_removed(destination: &Destination) -> bool {
    let run = destination.with_config(&["maintain", "--remove-orphans-after-hours", "0"]).succeeded();
    !format!("{:?}", run.messages).contains(" 0 orphans removed")
}

#[test]
fn many_small_upserts_leave_few_files_and_every_row() {
    let destination = Destination::new().config(json!({"maintenance_percent": 1}));
    let catalog = catalog(&[tasks("append_dedup")]);
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    let mut most = 0;
    for sync in 0..60_u64 {
        // Some are new, some are scattered over all that came before.
        let gids = (0..5).map(|place| (sync * 31 + place * place * 17) % (20 + sync * 3));
        let data: Vec<Value> = gids.map(|gid| task(gid, sync + 1)).collect();
        for task in &data {
            rows.insert(task["gid"].as_str().unwrap().to_owned(), task["num_subtasks"].clone());
        }
        destination.write(&catalog, &whole("tasks", data)).succeeded();
        let table = destination.table("tasks").unwrap();
        assert_eq!(versions(&table), rows, "after sync {sync}");
        most = most.max(table.data_files + table.position_delete_files);
        assert!(table.manifests <= 2, "{} manifests after sync {sync}", table.manifests);
        assert_eq!(commits(&destination) as u64, sync + 1, "a sync is one commit, whatever it maintains");
    }
    assert!(most <= 24, "{most} files");
    let table = destination.table("tasks").unwrap();
    assert!(joins(&table) > 0);
    assert!(with_ending(&destination, ".metadata.json").len() <= 21);
}

#[test]
fn an_append_that_joins_files_is_one_commit_whose_added_rows_a_reader_of_changes_finds() {
    let destination = Destination::new().config(json!({"maintenance_percent": 20}));
    let catalog = catalog(&[tasks("append")]);
    for sync in 0..30_u64 {
        destination.write(&catalog, &whole("tasks", [task(sync, sync)])).succeeded();
        assert_eq!(commits(&destination) as u64, sync + 1);
    }
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), joins(&table) > 0), (30, true));
    let mut snapshots: Vec<_> = table.metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| snapshot.sequence_number());
    let of = |wanted: Operation| {
        let summaries = snapshots.iter().map(|snapshot| snapshot.summary());
        summaries.filter(move |summary| summary.operation == wanted)
    };
    let rows = |name: &str, operation: Operation| -> u64 {
        of(operation).filter_map(|summary| summary.additional_properties.get(name)?.parse::<u64>().ok()).sum()
    };
    assert_eq!(of(Operation::Append).count() + of(Operation::Replace).count(), snapshots.len());
    assert_eq!(rows("added-records", Operation::Append), 30, "each row is added once");
    let replaced = rows("added-records", Operation::Replace);
    assert_eq!(replaced, rows("deleted-records", Operation::Replace), "joining changes no row");
    // Each snapshot can be read, also the one that the same commit followed up.
    let parents: Vec<_> = snapshots.windows(2).map(|pair| (pair[0].snapshot_id(), pair[1])).collect();
    assert!(parents.iter().all(|(parent, snapshot)| snapshot.parent_snapshot_id() == Some(*parent)));
    assert!(!orphans_removed(&destination));
}

#[test]
fn what_expired_snapshots_needed_is_removed_by_the_commit_that_expires_them() {
    for mode in ["append", "append_dedup", "overwrite"] {
        let fields = json!({"maintenance_percent": 20, "snapshot_retention_hours": 0});
        let destination = Destination::new().config(fields);
        let catalog = catalog(&[tasks(mode)]);
        for sync in 0..20 {
            let data = [task(sync % 7, sync), task(100 + sync, sync)];
            destination.write(&catalog, &whole("tasks", data)).succeeded();
            assert_eq!(commits(&destination) as u64, sync + 1, "{mode}");
        }
        let count = destination.metadata("tasks").unwrap().snapshots().count();
        assert!(count <= 5, "{count} snapshots with {mode}");
        assert!(!orphans_removed(&destination), "{mode}");
    }
}

#[test]
fn what_overwrites_replaced_is_removed_after_the_retention() {
    for hours in [0, 72] {
        let destination =
            Destination::new().config(json!({"maintenance_percent": 20, "snapshot_retention_hours": hours}));
        let catalog = catalog(&[tasks("overwrite")]);
        for sync in 0..20 {
            let data = (0..2000).map(|gid| task(gid, sync));
            destination.write(&catalog, &whole("tasks", data)).succeeded();
        }
        let table = destination.table("tasks").unwrap();
        assert_eq!((table.rows.len(), table.data_files), (2000, 1));
        // Within the retention, each snapshot can be read.
        let expected = if hours == 0 { 1 } else { 20 };
        assert_eq!(table.metadata.snapshots().count(), expected);
        assert_eq!(with_ending(&destination, ".parquet").len(), expected);
        let lists = with_ending(&destination, ".avro");
        assert_eq!(lists.len(), 2 * expected, "a list and a manifest each: {lists:?}");
    }
}

#[test]
fn files_that_cannot_be_joined_do_not_keep_snapshots_from_expiring() {
    let destination =
        Destination::new().config(json!({"maintenance_percent": 20, "snapshot_retention_hours": 0}));
    let catalog = catalog(&[tasks("append")]);
    destination.write(&catalog, &whole("tasks", [task(0, 1)])).succeeded();
    std::fs::write(&with_ending(&destination, ".parquet")[0], "not Parquet").unwrap();
    let mut warnings = 0;
    for sync in 1..16 {
        let run = destination.write(&catalog, &whole("tasks", [task(sync, 1)])).succeeded();
        warnings += run.messages.iter().filter(|message| message["log"]["level"] == "WARN").count();
    }
    assert!(warnings > 0, "the file was never read");
    assert!(destination.metadata("tasks").unwrap().snapshots().count() < 16);
    let run = destination.with_config(&["maintain", "--expire-after-hours", "0", "--keep-snapshots", "1"]);
    assert_eq!(run.exit_code, Some(1));
    assert_eq!(destination.metadata("tasks").unwrap().snapshots().count(), 1);
}

#[test]
fn it_can_be_turned_off() {
    let destination = Destination::new().config(json!({"maintenance_percent": 0}));
    let catalog = catalog(&[tasks("append")]);
    for sync in 0..12 {
        destination.write(&catalog, &whole("tasks", [task(sync, 1)])).succeeded();
    }
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.data_files, table.metadata.snapshots().count(), joins(&table)), (12, 12, 0));
}

#[test]
fn maintain_beside_a_busy_writer_does_not_fail() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("append_dedup")]);
    destination.write(&catalog, &whole("tasks", (0..500).map(|gid| task(gid, 1)))).succeeded();
    let mut lines = Vec::new();
    for round in 2..40 {
        lines.extend((0..500).step_by(7).map(|gid| record("tasks", &task(gid, round))));
        lines.push(state("tasks", round));
    }
    lines.push(status("tasks", "COMPLETE"));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| destination.write(&catalog, &lines).succeeded());
        let mut runs = 0;
        while !writer.is_finished() || runs == 0 {
            destination.with_config(&["maintain", "--small-file-percent=100"]).succeeded();
            runs += 1;
        }
        writer.join().unwrap();
    });
    let found = versions(&destination.table("tasks").unwrap());
    let expected = |gid: u64| if gid.is_multiple_of(7) { 39 } else { 1 };
    assert_eq!(found, (0..500).map(|gid| (gid.to_string(), json!(expected(gid)))).collect());
}
