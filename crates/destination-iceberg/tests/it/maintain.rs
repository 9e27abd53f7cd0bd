//! `maintain`: fewer files, the same rows, and nothing left that no table knows.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Destination, catalog, record, state, status, task, tasks, tombstone, versions, whole};

const NOW: [&str; 8] = [
    "maintain",
    "--expire-after-hours",
    "0",
    "--keep-snapshots",
    "1",
    "--remove-orphans-after-hours",
    "0",
    "--small-file-percent=100",
];

#[test]
fn small_files_and_deletes_become_one_file_with_the_same_rows() {
    let destination = Destination::new();
    for sync in 1..=6 {
        let data = (0..40).map(|gid| task(gid * sync, sync)).chain([tombstone(40 * sync)]);
        destination.write(&catalog(&[tasks("append_dedup")]), &whole("tasks", data)).succeeded();
    }
    let before = destination.table("tasks").unwrap();
    assert!(before.data_files >= 6 && before.position_delete_files == 1, "deletes are joined by each commit");
    let run = destination.with_config(&NOW).succeeded();
    let after = destination.table("tasks").unwrap();
    assert_eq!(versions(&after), versions(&before));
    assert_eq!((after.data_files, after.position_delete_files), (1, 0), "{:?}", run.messages);
    assert_eq!(after.metadata.snapshots().count(), 1);
    // What is written afterwards meets the new files.
    destination.write(&catalog(&[tasks("append_dedup")]), &whole("tasks", [task(1, 50)])).succeeded();
    let later = destination.table("tasks").unwrap();
    assert_eq!(later.rows.len(), before.rows.len());
    assert_eq!(versions(&later)["1"], json!(50));
}

/// The Parquet files in the warehouse.
fn parquet_files(destination: &Destination) -> Vec<PathBuf> {
    let is_parquet = |file: &PathBuf| file.extension().is_some_and(|end| end == "parquet");
    destination.files().into_iter().filter(is_parquet).collect()
}

#[test]
fn files_that_were_replaced_are_freed() {
    for mode in ["overwrite", "append_dedup"] {
        let destination = Destination::new();
        for sync in 0..20 {
            let data = (0..2000 / (sync + 1)).map(|gid| task(gid, sync));
            destination.write(&catalog(&[tasks(mode)]), &whole("tasks", data)).succeeded();
        }
        let before = destination.table("tasks").unwrap();
        if mode == "overwrite" {
            assert_eq!(before.manifests, 1, "entries of removed files are dropped");
        }
        destination.with_config(&NOW).succeeded();
        let after = destination.table("tasks").unwrap();
        assert_eq!(versions(&after), versions(&before));
        assert_eq!((parquet_files(&destination).len(), after.data_files), (1, 1), "{mode}");
    }
}

#[test]
fn a_data_folder_on_another_disk_is_kept() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("append_dedup")]);
    destination.write(&catalog, &whole("tasks", (0..9).map(|gid| task(gid, 1)))).succeeded();
    let data = parquet_files(&destination)[0].parent().unwrap().to_owned();
    let disk = destination.folder.path().join("disk");
    std::fs::rename(&data, &disk).unwrap();
    std::os::unix::fs::symlink(&disk, &data).unwrap();
    std::os::unix::fs::symlink(&data, disk.join("circle")).unwrap();
    std::os::unix::fs::symlink("nowhere", disk.join("broken")).unwrap();
    std::fs::write(disk.join("orphan.parquet"), b"left by a crash").unwrap();
    destination.write(&catalog, &whole("tasks", (0..9).map(|gid| task(gid, 2)))).succeeded();
    destination.with_config(&NOW).succeeded();
    assert!(data.is_symlink() && !disk.join("orphan.parquet").exists());
    assert_eq!(destination.table("tasks").unwrap().rows.len(), 9);
}

#[test]
fn orphans_go_and_what_a_snapshot_needs_stays() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("append_dedup")]);
    destination.write(&catalog, &whole("tasks", (0..9).map(|gid| task(gid, 1)))).succeeded();
    let folder =
        destination.files().into_iter().find(|file| file.extension().is_some_and(|end| end == "parquet"));
    let orphan = folder.unwrap().with_file_name("orphan.parquet");
    std::fs::write(&orphan, b"left by a crash").unwrap();
    // Young orphans may belong to a sync that runs.
    destination.with_config(&["maintain"]).succeeded();
    assert!(orphan.exists());
    destination.with_config(&NOW).succeeded();
    assert!(!orphan.exists());
    assert_eq!(destination.table("tasks").unwrap().rows.len(), 9);
}

#[test]
fn manifests_are_joined_after_many_commits() {
    let destination = Destination::new();
    let mut child = destination.start_write(&catalog(&[tasks("append")]));
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = BufReader::new(stdout).lines().map(Result::unwrap);
    for number in 0..120 {
        let lines = [record("tasks", &task(number, 1)), state("tasks", number)].concat();
        stdin.write_all(lines.as_bytes()).unwrap();
        // Each record has its own commit, since the next one comes behind it.
        assert!(answers.any(|line| line.contains(r#""type":"STATE""#)), "{number}");
    }
    stdin.write_all(status("tasks", "COMPLETE").as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), table.data_files), (120, 120));
    assert!(table.manifests < 100, "{} manifests", table.manifests);
    let total = &table.metadata.current_snapshot().unwrap().summary().additional_properties["total-records"];
    assert_eq!(total, "120");
}
