//! Deletes by copy-on-write: the same tables as with position deletes, and never a delete file.
//!
//! That any history gives the same table with both kinds is in `cuts`.

use serde_json::{Value, json};

use crate::harness::{
    Destination, catalog, configured, record, state, status, task, tasks, tombstone, versions, whole,
};

const MODES: [&str; 3] = ["write.delete.mode", "write.update.mode", "write.merge.mode"];

fn copy_on_write() -> Destination {
    Destination::new().config(json!({"deletes": "copy_on_write"}))
}

/// What the table declares of deletes.
fn declared(destination: &Destination) -> Vec<String> {
    let metadata = destination.metadata("tasks").unwrap();
    MODES.map(|mode| metadata.properties()[mode].clone()).to_vec()
}

#[test]
fn the_table_declares_how_rows_are_deleted_and_a_changed_config_changes_it() {
    let mut destination = copy_on_write();
    let catalog = catalog(&[tasks("append_dedup")]);
    destination.write(&catalog, &whole("tasks", [task(1, 1)])).succeeded();
    assert_eq!(declared(&destination), ["copy-on-write"; 3]);
    for (deletes, mode) in [("position_deletes", "merge-on-read"), ("copy_on_write", "copy-on-write")] {
        destination = destination.config(json!({"deletes": deletes}));
        destination.write(&catalog, &whole("tasks", [task(2, 1)])).succeeded();
        assert_eq!(declared(&destination), [mode; 3]);
    }
}

#[test]
fn a_file_is_rewritten_only_if_it_has_a_deleted_row() {
    let destination = copy_on_write();
    let catalog = catalog(&[tasks("append_dedup")]);
    for part in 0..3 {
        let rows = (part * 100..part * 100 + 100).map(|gid| task(gid, 1));
        destination.write(&catalog, &whole("tasks", rows)).succeeded();
    }
    let paths = || -> Vec<String> {
        destination.data_files("tasks").iter().map(|file| file.file_path().to_owned()).collect()
    };
    let before = paths();
    // One row is replaced, one is deleted, one is new, and one comes twice.
    let changes = [task(105, 2), tombstone(106), task(900, 1), task(105, 3)];
    destination.write(&catalog, &whole("tasks", changes)).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), table.position_delete_files), (300, 0));
    let found = versions(&table);
    assert_eq!((&found["105"], found.get("106"), &found["900"]), (&json!(3), None, &json!(1)));
    let kept: Vec<String> = paths().into_iter().filter(|path| before.contains(path)).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    // A file that was rewritten before any commit had it is not left behind.
    let parquet =
        destination.files().into_iter().filter(|file| file.extension().is_some_and(|end| end == "parquet"));
    assert_eq!(parquet.count(), paths().len() + 1, "the replaced file stays for the snapshot before");
}

#[test]
fn a_file_without_a_row_that_stays_is_removed() {
    let destination = copy_on_write();
    let catalog = catalog(&[tasks("append_dedup")]);
    destination.write(&catalog, &whole("tasks", (0..9).map(|gid| task(gid, 1)))).succeeded();
    destination.write(&catalog, &whole("tasks", (0..9).map(tombstone))).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), table.data_files, table.position_delete_files), (0, 0, 0));
}

#[test]
fn position_deletes_from_before_are_worked_in_by_the_first_commit_that_deletes() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("append_dedup")]);
    for part in 0..3 {
        let rows = (part * 50..part * 50 + 50).map(|gid| task(gid, 1));
        destination.write(&catalog, &whole("tasks", rows)).succeeded();
    }
    let changes = [task(3, 2), tombstone(60), tombstone(120)];
    destination.write(&catalog, &whole("tasks", changes)).succeeded();
    assert_eq!(destination.table("tasks").unwrap().position_delete_files, 1);
    let destination = destination.config(json!({"deletes": "copy_on_write"}));
    // A commit that only adds rows deletes nothing, so it rewrites nothing.
    destination.write(&catalog, &whole("tasks", [task(500, 1)])).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), table.position_delete_files), (149, 1));
    destination.write(&catalog, &whole("tasks", [task(61, 2)])).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), table.position_delete_files), (149, 0));
    let found = versions(&table);
    assert_eq!((found.get("60"), found.get("120")), (None, None));
    assert_eq!((&found["3"], &found["61"], &found["62"]), (&json!(2), &json!(2), &json!(1)));
}

#[test]
fn old_generations_are_removed_from_files_that_also_have_newer_ones() {
    let destination = copy_on_write();
    let with_ids = |generation: u64, minimum: u64| {
        let ids =
            json!({"generation_id": generation, "minimum_generation_id": minimum, "sync_id": generation});
        catalog(&[configured(tasks("append_dedup"), ids)])
    };
    for generation in 1..=3 {
        let rows = (generation * 10..generation * 10 + 10).map(|gid| task(gid, 1));
        destination.write(&with_ids(generation, 0), &whole("tasks", rows)).succeeded();
    }
    // Rows of three generations in one file.
    destination.with_config(&["maintain", "--small-file-percent=100"]).succeeded();
    assert_eq!(destination.data_files("tasks").len(), 1);
    destination.write(&with_ids(4, 3), &whole("tasks", [task(99, 1)])).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), table.position_delete_files), (11, 0));
    assert!(versions(&table).keys().all(|gid| gid.starts_with('3') || gid == "99"));
}

#[test]
fn rows_that_refer_to_a_deleted_row_are_deleted_with_it() {
    let destination = copy_on_write();
    let text = json!({"type": ["null", "string"]});
    let parent =
        json!({"type": ["null", "string"], "x-foreign-key": {"stream": "stories", "references": ["tasks"]}});
    let stream = |name: &str, properties: Value| {
        json!({"stream": {"name": name, "json_schema": {"type": "object", "properties": properties},
            "source_defined_primary_key": [["gid"]]},
            "sync_mode": "incremental", "destination_sync_mode": "append_dedup"})
    };
    let catalog = catalog(&[
        stream("tasks", json!({"gid": text})),
        stream("stories", json!({"gid": text, "parent_gid": parent})),
    ]);
    let story = |gid: u64| json!({"gid": gid.to_string(), "parent_gid": (gid % 10).to_string()});
    let mut first = whole("tasks", (0..10).map(|gid: u64| json!({"gid": gid.to_string()})));
    first.extend(whole("stories", (100..150).map(story)));
    destination.write(&catalog, &first).succeeded();
    let lines = [
        record("tasks", &tombstone(7)),
        state("tasks", 2),
        status("tasks", "COMPLETE"),
        state("stories", 2),
        status("stories", "COMPLETE"),
    ];
    destination.write(&catalog, &lines).succeeded();
    for (name, rows) in [("tasks", 9), ("stories", 45)] {
        let table = destination.table(name).unwrap();
        assert_eq!((table.rows.len(), table.position_delete_files), (rows, 0), "{name}");
    }
    assert!(destination.column("stories", "parent_gid").iter().all(|gid| *gid != "7"));
}

/// A refresh holds at most 100,000 keys in memory, so this one rewrites its own files before it is published.
#[test]
fn a_refresh_with_more_keys_than_fit_in_memory_has_no_delete_files() {
    let destination = copy_on_write();
    let keys = json!({"type": ["null", "string"]});
    let stream = json!({"stream": {"name": "items", "json_schema": {"type": "object", "properties": {
            "id": keys, "n": {"type": ["null", "integer"]}}}},
        "sync_mode": "full_refresh", "destination_sync_mode": "overwrite_dedup", "primary_key": [["id"]]});
    let item = |id: u64, n: u64| json!({"id": id.to_string(), "n": n});
    let rows = (0..110_000).map(|id| item(id, 1)).chain((0..110_000).step_by(1000).map(|id| item(id, 2)));
    destination.write(&catalog(&[stream]), &whole("items", rows)).succeeded();
    let table = destination.table("items").unwrap();
    assert_eq!((table.rows.len(), table.position_delete_files), (110_000, 0));
    assert_eq!(table.rows.iter().filter(|row| row["n"] == 2).count(), 110);
    let parquet =
        destination.files().into_iter().filter(|file| file.extension().is_some_and(|end| end == "parquet"));
    assert_eq!(parquet.count(), table.data_files, "replaced files are removed at once");
}
