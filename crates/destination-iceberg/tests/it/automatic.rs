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
    let operations = table.metadata.snapshots().map(|snapshot| snapshot.summary().operation.clone());
    operations.filter(|operation| *operation == Operation::Replace).count()
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
    }
    assert!(most <= 24, "{most} files");
    let table = destination.table("tasks").unwrap();
    assert!(joins(&table) > 0);
    assert!(with_ending(&destination, ".metadata.json").len() <= 21);
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
