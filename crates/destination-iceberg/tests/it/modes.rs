//! The destination sync modes: what is in a table after several syncs, and what readers see in between.

use std::collections::BTreeMap;

use crate::harness::{
    Destination, catalog, configured, record, state, status, task, tasks, tombstone, versions, whole,
};
use serde_json::{Value, json};

#[test]
fn append_adds_and_writes_every_cell() {
    let destination = Destination::new();
    let stream =
        configured(tasks("append"), json!({"sync_id": 9, "generation_id": 2, "minimum_generation_id": 0}));
    destination.write(&catalog(std::slice::from_ref(&stream)), &whole("tasks", [task(1, 1)])).succeeded();
    destination.write(&catalog(&[stream]), &whole("tasks", [task(1, 1)])).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!((table.rows.len(), table.position_delete_files), (2, 0));
    let row = &table.rows[0];
    let expected = [
        ("gid", json!("1")),
        ("name", json!("Täsk 1 😀 v1")),
        ("completed", json!(false)),
        ("num_subtasks", json!(1)),
        ("actual_time_minutes", json!(0.5)),
        ("modified_at", json!(1_767_225_660_000_000_i64)),
        ("due_on", json!(20_487)),
        ("assignee", json!(r#"{"gid":"7","name":"Ann"}"#)),
        ("tags", json!(r#"[{"gid":"1"}]"#)),
        ("_airbyte_extracted_at", json!(1_767_225_600_000_000_i64)),
        ("_airbyte_generation_id", json!(2)),
        ("_airbyte_meta", json!({"sync_id": 9, "changes": []})),
    ];
    for (column, value) in expected {
        assert_eq!(row[column], value, "{column}");
    }
    let doc = table.metadata.current_schema().field_by_name("gid").unwrap().doc.clone();
    assert_eq!(doc.as_deref(), Some("Globally unique identifier."));
}

#[test]
fn typed_nesting_stores_what_json_text_stores() {
    let destination = Destination::new().config(json!({"nested": "typed"}));
    destination.write(&catalog(&[tasks("append")]), &whole("tasks", [task(1, 1)])).succeeded();
    let row = destination.table("tasks").unwrap().rows.remove(0);
    assert_eq!(row["assignee"], json!({"gid": "7", "name": "Ann"}));
    assert_eq!(row["tags"], json!([{"gid": "1"}]));
}

#[test]
fn upper_case_names_every_table_and_column() {
    let destination = Destination::new().config(json!({"identifier_case": "upper"}));
    destination
        .write(&catalog(&[tasks("append_dedup")]), &whole("tasks", [task(1, 1), task(1, 2)]))
        .succeeded();
    let table = destination.table("TASKS").unwrap();
    assert_eq!(table.rows.len(), 1);
    assert!(table.rows[0].keys().all(|name| *name == name.to_uppercase()), "{:?}", table.rows[0].keys());
}

/// What a table of tasks holds after a history of versions and deletions.
fn model(history: &[(u64, Option<u64>)]) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for (gid, version) in history {
        match version {
            Some(version) => drop(rows.insert(gid.to_string(), json!(version))),
            None => drop(rows.remove(&gid.to_string())),
        }
    }
    rows
}

#[test]
fn upserts_and_tombstones_over_three_syncs_equal_the_world_after_each() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("append_dedup")]);
    let mut history: Vec<(u64, Option<u64>)> = Vec::new();
    let syncs: [Vec<(u64, Option<u64>)>; 3] = [
        (0..2000).map(|gid| (gid, Some(1))).collect(),
        (0..2000).step_by(3).map(|gid| (gid, (gid % 2 == 0).then_some(2))).chain([(5000, Some(2))]).collect(),
        // Deleted before, deleted and made again within one sync, changed twice, and never seen.
        vec![(3, Some(3)), (0, None), (0, Some(4)), (1, Some(5)), (1, Some(6)), (5000, None), (9, None)],
    ];
    for changes in syncs {
        let data = changes.iter().map(|(gid, version)| match version {
            Some(version) => task(*gid, *version),
            None => tombstone(*gid),
        });
        destination.write(&catalog, &whole("tasks", data)).succeeded();
        history.extend(changes);
        let table = destination.table("tasks").unwrap();
        assert_eq!(versions(&table), model(&history));
        assert_eq!(table.equality_delete_files, 0);
    }
    assert!(destination.table("tasks").unwrap().position_delete_files > 0);
}

#[test]
fn an_older_row_never_replaces_a_newer_one() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("append_dedup")]);
    destination.write(&catalog, &whole("tasks", [task(1, 5), task(2, 5), task(2, 4)])).succeeded();
    destination.write(&catalog, &whole("tasks", [task(1, 4), task(2, 6)])).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!(versions(&table), BTreeMap::from([("1".into(), json!(5)), ("2".into(), json!(6))]));
}

#[test]
fn a_row_deleted_long_ago_does_not_block_its_older_return() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("append_dedup")]);
    for data in [task(1, 9), tombstone(1), task(1, 3)] {
        destination.write(&catalog, &whole("tasks", [data])).succeeded();
    }
    assert_eq!(versions(&destination.table("tasks").unwrap()), BTreeMap::from([("1".into(), json!(3))]));
}

#[test]
fn rows_without_a_key_stay_as_they_are() {
    let destination = Destination::new();
    let mut nameless = task(1, 1);
    nameless["gid"] = Value::Null;
    let data = [nameless.clone(), nameless, task(1, 1)];
    destination.write(&catalog(&[tasks("append_dedup")]), &whole("tasks", data)).succeeded();
    assert_eq!(destination.column("tasks", "gid"), [json!("1"), Value::Null, Value::Null]);
}

#[test]
fn overwrite_swaps_in_one_step_and_only_what_is_complete() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("overwrite")]);
    destination.write(&catalog, &whole("tasks", (0..50).map(|gid| task(gid, 1)))).succeeded();
    let before = destination.table("tasks").unwrap();
    assert_eq!(before.rows.len(), 50);

    let cut_off = [record("tasks", &task(1, 2)), state("tasks", 1), state("tasks", 2)];
    let run = destination.write(&catalog, &cut_off);
    assert_eq!(
        (run.exit_code, run.states().len()),
        (Some(1), 0),
        "no state of an unpublished refresh goes out"
    );
    let after = destination.table("tasks").unwrap();
    assert_eq!(after.metadata.current_snapshot_id(), before.metadata.current_snapshot_id());

    let run = destination.write(&catalog, &whole("tasks", [task(7, 2)])).succeeded();
    assert_eq!(run.states().len(), 1);
    let after = destination.table("tasks").unwrap();
    assert_eq!(versions(&after), BTreeMap::from([("7".into(), json!(2))]));
    assert_eq!(after.data_files, 1);
    let snapshot = after.metadata.current_snapshot().unwrap();
    assert_eq!(
        snapshot.parent_snapshot_id(),
        before.metadata.current_snapshot_id(),
        "one snapshot swapped it"
    );

    destination.write(&catalog, &whole("tasks", [])).succeeded();
    assert!(
        destination.table("tasks").unwrap().rows.is_empty(),
        "a complete stream without records is empty"
    );
}

#[test]
fn overwrite_with_keys_keeps_the_newest_of_each() {
    let destination = Destination::new();
    let catalog = catalog(&[tasks("overwrite_dedup")]);
    destination.write(&catalog, &whole("tasks", [task(1, 1), task(2, 1)])).succeeded();
    let data = [task(1, 3), task(1, 2), task(3, 1), tombstone(3)];
    destination.write(&catalog, &whole("tasks", data)).succeeded();
    let table = destination.table("tasks").unwrap();
    assert_eq!(versions(&table), BTreeMap::from([("1".into(), json!(3))]));
}

#[test]
fn a_truncate_refresh_replaces_older_generations_when_it_is_complete() {
    let destination = Destination::new();
    let of = |generation: i64, minimum: i64, sync: i64| {
        catalog(&[configured(
            tasks("append_dedup"),
            json!({"generation_id": generation, "minimum_generation_id": minimum, "sync_id": sync}),
        )])
    };
    destination.write(&of(1, 0, 1), &whole("tasks", [task(1, 1), task(2, 1)])).succeeded();
    // A refresh that breaks off leaves the old rows.
    destination.write(&of(2, 2, 2), &[record("tasks", &task(1, 2))]);
    assert_eq!(destination.column("tasks", "gid").len(), 2);
    destination.write(&of(2, 2, 2), &whole("tasks", [task(1, 3)])).succeeded();
    assert_eq!(destination.column("tasks", "_airbyte_generation_id"), [json!(2)]);
    // The same generation goes on: nothing is truncated again.
    destination.write(&of(2, 2, 2), &whole("tasks", [task(4, 1)])).succeeded();
    destination.write(&of(2, 0, 3), &whole("tasks", [task(5, 1)])).succeeded();
    assert_eq!(destination.column("tasks", "gid"), [json!("1"), json!("4"), json!("5")]);
}

#[test]
fn a_second_attempt_without_records_does_not_empty_what_the_first_published() {
    let destination = Destination::new();
    let of = |sync: i64| {
        let ids = json!({"generation_id": 3, "minimum_generation_id": 3, "sync_id": sync});
        catalog(&[configured(tasks("overwrite"), ids)])
    };
    destination.write(&of(1), &whole("tasks", [task(1, 1)])).succeeded();
    destination.write(&of(1), &whole("tasks", [])).succeeded();
    assert_eq!(destination.column("tasks", "gid").len(), 1);
    destination.write(&of(2), &whole("tasks", [])).succeeded();
    assert!(destination.column("tasks", "gid").is_empty(), "another sync that finds nothing empties it");
}

#[test]
fn interleaved_streams_keep_their_rows_and_the_order_of_their_states() {
    let destination = Destination::new();
    let named = |name: &str| {
        let mut stream = tasks("append");
        stream["stream"]["name"] = json!(name);
        stream
    };
    let names: Vec<String> = (0..24).map(|number| format!("stream_{number}")).collect();
    let streams: Vec<Value> = names.iter().map(|name| named(name)).collect();
    let mut lines = Vec::new();
    for round in 0..5 {
        for name in &names {
            lines.extend([record(name, &task(round, 1)), state(name, round)]);
        }
    }
    lines.extend(names.iter().map(|name| status(name, "COMPLETE")));
    // With a long interval nothing is committed before the streams' ends, and nothing acknowledged.
    let destination = destination.config(json!({"commit_interval_seconds": 3600}));
    let run = destination.write(&catalog(&streams), &lines).succeeded();
    for name in &names {
        let table = destination.table(name).unwrap();
        assert_eq!((table.rows.len(), table.data_files), (5, 1), "{name}");
        let of_stream = run.messages.iter().filter(|message| {
            message["type"] == "STATE" && message["state"]["stream"]["stream_descriptor"]["name"] == **name
        });
        let numbers: Vec<&Value> =
            of_stream.map(|message| &message["state"]["stream"]["stream_state"]["number"]).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
    }
}

/// More than fits into the memory for rows that wait, so that some of them wait on disk, and one stream that is large
/// enough to be encoded as it comes.
#[test]
fn interleaved_streams_make_one_file_in_one_commit_each() {
    let destination = Destination::new().config(json!({"commit_interval_seconds": 3600}));
    let names: Vec<String> = (0..24).map(|number| format!("stream_{number}")).collect();
    let named = |name: &String| {
        let mut stream = tasks("append_dedup");
        stream["stream"]["name"] = json!(name);
        stream
    };
    let streams: Vec<Value> = names.iter().map(named).collect();
    let large = "x".repeat(20_000);
    let row = |gid: u64, text: String| {
        let mut row = task(gid, 1);
        row["name"] = json!(text);
        row
    };
    let mut lines = Vec::new();
    for gid in 0..300 {
        for name in if gid < 60 { &names[..] } else { &names[..1] } {
            lines.push(record(name, &row(gid, format!("{name} {gid} {large}"))));
            if gid % 20 == 19 {
                lines.push(state(name, gid));
            }
        }
    }
    for name in &names {
        // Equal cursors: the one that came later stays, whether the first was in memory or on disk.
        lines.extend([record(name, &row(0, format!("{name} again"))), status(name, "COMPLETE")]);
    }
    destination.write(&catalog(&streams), &lines).succeeded();
    for (name, rows) in names.iter().zip(std::iter::once(300).chain(std::iter::repeat(60))) {
        let table = destination.table(name).unwrap();
        assert_eq!((table.rows.len(), table.data_files), (rows, 1), "{name}");
        assert_eq!(table.metadata.snapshots().count(), 1, "{name}");
        for row in &table.rows {
            let expected = match row["gid"].as_str().unwrap() {
                "0" => format!("{name} again"),
                gid => format!("{name} {gid} {large}"),
            };
            assert_eq!(row["name"], json!(expected), "{name}");
        }
    }
}

#[test]
fn a_global_state_waits_for_every_stream_and_passes_unchanged() {
    let destination = Destination::new();
    let global = r#"{"type":"STATE","state":{"type":"GLOBAL","id":7,"global":{"shared_state":{"x":1.50},"stream_states":[]}}}"#;
    let mut users = tasks("append");
    users["stream"]["name"] = json!("users");
    let mut lines = vec![record("tasks", &task(1, 1)), record("users", &task(1, 1)), format!("{global}\n")];
    lines.extend([status("tasks", "COMPLETE"), status("users", "COMPLETE")]);
    let mut child = destination.start_write(&catalog(&[tasks("append"), users]));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.concat().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line == global), "{text}");
}

fn with_ids(mode: &str, generation: i64, minimum: i64, sync: i64) -> Value {
    let ids = json!({"generation_id": generation, "minimum_generation_id": minimum, "sync_id": sync});
    catalog(&[configured(tasks(mode), ids)])
}

/// PyAirbyte sends the same ids for every sync.
#[test]
fn an_empty_overwrite_with_constant_ids_empties_the_table() {
    for constant in [0, 1] {
        for mode in ["overwrite", "overwrite_dedup"] {
            let destination = Destination::new();
            let catalog = with_ids(mode, constant, constant, constant);
            destination.write(&catalog, &whole("tasks", [task(1, 1)])).succeeded();
            assert_eq!(destination.column("tasks", "gid"), [json!("1")], "{mode} {constant}");
            destination.write(&catalog, &whole("tasks", [])).succeeded();
            assert!(destination.column("tasks", "gid").is_empty(), "{mode} {constant}");
            destination.write(&catalog, &whole("tasks", [task(2, 1)])).succeeded();
            destination.write(&catalog, &whole("tasks", [task(3, 1)])).succeeded();
            assert_eq!(destination.column("tasks", "gid"), [json!("3")], "{mode} {constant}");
        }
    }
}

#[test]
fn a_second_attempt_adds_to_what_the_first_published() {
    for mode in ["overwrite", "overwrite_dedup", "append_dedup"] {
        let destination = Destination::new();
        destination.write(&with_ids(mode, 2, 2, 6), &whole("tasks", [task(9, 1)])).succeeded();
        destination.write(&with_ids(mode, 3, 3, 7), &whole("tasks", [task(1, 1), task(2, 1)])).succeeded();
        destination.write(&with_ids(mode, 3, 3, 7), &whole("tasks", [task(3, 1)])).succeeded();
        assert_eq!(destination.column("tasks", "gid"), [json!("1"), json!("2"), json!("3")], "{mode}");
    }
}

#[test]
fn generations_below_the_minimum_go_and_the_others_stay() {
    for mode in ["append", "append_dedup"] {
        let destination = Destination::new();
        for generation in 1..=3 {
            let lines = whole("tasks", [task(generation, 1)]);
            destination.write(&with_ids(mode, generation as i64, 0, generation as i64), &lines).succeeded();
        }
        // A sync that breaks off removes nothing.
        destination.write(&with_ids(mode, 4, 3, 4), &[record("tasks", &task(4, 1))]);
        assert_eq!(destination.column("tasks", "gid").len(), 4, "{mode}");
        destination.write(&with_ids(mode, 4, 3, 4), &whole("tasks", [task(5, 1)])).succeeded();
        let generations = destination.column("tasks", "_airbyte_generation_id");
        assert_eq!(generations, [json!(3), json!(4), json!(4)], "{mode}");
    }
}

#[test]
fn a_refresh_removes_older_generations_where_its_own_has_rows_already() {
    for mode in ["append", "append_dedup"] {
        let destination = Destination::new();
        destination.write(&with_ids(mode, 1, 0, 1), &whole("tasks", [task(1, 1), task(2, 1)])).succeeded();
        destination.write(&with_ids(mode, 2, 0, 2), &whole("tasks", [task(3, 1)])).succeeded();
        // Rows of two generations in one file.
        destination.with_config(&["maintain", "--small-file-percent=100"]).succeeded();
        assert_eq!(destination.table("tasks").unwrap().data_files, 1);
        destination.write(&with_ids(mode, 2, 2, 3), &whole("tasks", [task(4, 1)])).succeeded();
        assert_eq!(destination.column("tasks", "gid"), [json!("3"), json!("4")], "{mode}");
        // Even a refresh that has nothing to add.
        destination.write(&with_ids(mode, 3, 0, 4), &whole("tasks", [task(5, 1)])).succeeded();
        destination.write(&with_ids(mode, 3, 3, 5), &whole("tasks", [])).succeeded();
        assert_eq!(destination.column("tasks", "gid"), [json!("5")], "{mode}");
    }
}

#[test]
fn a_refreshed_row_replaces_one_of_an_older_generation_whatever_its_cursor() {
    let destination = Destination::new();
    destination
        .write(&with_ids("append_dedup", 1, 0, 1), &whole("tasks", [task(1, 9), task(2, 9)]))
        .succeeded();
    destination.write(&with_ids("append_dedup", 2, 0, 2), &whole("tasks", [task(3, 9)])).succeeded();
    let refreshed = [task(1, 5), task(3, 5)];
    destination.write(&with_ids("append_dedup", 2, 2, 3), &whole("tasks", refreshed)).succeeded();
    let expected = BTreeMap::from([("1".into(), json!(5)), ("3".into(), json!(9))]);
    assert_eq!(versions(&destination.table("tasks").unwrap()), expected);
}
