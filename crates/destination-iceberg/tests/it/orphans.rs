//! Rows that refer to deleted rows of other streams: they go, whoever deleted the parent, and nothing else does.

use serde_json::{Value, json};

use crate::harness::{Destination, catalog, record, state, status, tombstone, whole};

/// A stream whose column `parent_gid` refers to `references`.
fn child(name: &str, references: &[&str]) -> Value {
    let text = json!({"type": ["null", "string"]});
    let parent = json!({"type": ["null", "string"],
        "x-foreign-key": {"stream": name.trim_start_matches("asana_"), "references": references}});
    stream(name, json!({"gid": text, "parent_gid": parent}))
}

fn stream(name: &str, properties: Value) -> Value {
    json!({"stream": {"name": name, "json_schema": {"type": "object", "properties": properties},
        "source_defined_primary_key": [["gid"]]},
        "sync_mode": "incremental", "destination_sync_mode": "append_dedup"})
}

/// The four tables that hang together in Asana, under names with this prefix.
fn streams(prefix: &str) -> [Value; 4] {
    let text = json!({"type": ["null", "string"]});
    let name = |name: &str| format!("{prefix}{name}");
    [
        stream(&name("tasks"), json!({"gid": text})),
        child(&name("subtasks"), &["tasks", "subtasks"]),
        child(&name("stories"), &["tasks", "subtasks"]),
        child(&name("attachments"), &["tasks", "subtasks", "projects"]),
    ]
}

fn row(gid: u64, parent: u64) -> Value {
    json!({"gid": gid.to_string(), "parent_gid": parent.to_string()})
}

/// Task 1 with subtask 11, that with subtask 111, task 2 with subtask 21, and a story and an attachment on each of them.
fn first_sync(prefix: &str) -> Vec<String> {
    let all = [1, 2, 11, 21, 111];
    let tasks = [1, 2].map(|gid: u64| json!({"gid": gid.to_string()}));
    [
        whole(&format!("{prefix}tasks"), tasks),
        whole(&format!("{prefix}subtasks"), [row(11, 1), row(21, 2), row(111, 11)]),
        whole(&format!("{prefix}stories"), all.map(|parent| row(5000 + parent, parent))),
        whole(&format!("{prefix}attachments"), all.map(|parent| row(7000 + parent, parent))),
    ]
    .concat()
}

/// A sync with these records of one stream, and no others.
fn second_sync(prefix: &str, stream: &str, records: &[Value]) -> Vec<String> {
    let names = ["tasks", "subtasks", "stories", "attachments"];
    let of = |name: &&str| {
        let records: Vec<Value> = if *name == stream { records.to_vec() } else { Vec::new() };
        whole(&format!("{prefix}{name}"), records)
    };
    names.iter().flat_map(of).collect()
}

fn gids(destination: &Destination, table: &str) -> Vec<u64> {
    let gids = destination.column(table, "gid");
    let mut gids: Vec<u64> = gids.iter().map(|gid| gid.as_str().unwrap().parse().unwrap()).collect();
    gids.sort_unstable();
    gids
}

#[test]
fn what_hangs_on_a_deleted_task_goes_to_any_depth() {
    for prefix in ["", "asana_"] {
        let destination = Destination::new();
        let catalog = catalog(&streams(prefix));
        destination.write(&catalog, &first_sync(prefix)).succeeded();
        destination.write(&catalog, &second_sync(prefix, "tasks", &[tombstone(1)])).succeeded();
        let table = |name: &str| gids(&destination, &format!("{prefix}{name}"));
        assert_eq!(table("tasks"), [2]);
        assert_eq!(table("subtasks"), [21]);
        assert_eq!(table("stories"), [5002, 5021]);
        assert_eq!(table("attachments"), [7002, 7021]);
    }
}

#[test]
fn what_hangs_on_a_deleted_subtask_goes() {
    let destination = Destination::new();
    let catalog = catalog(&streams(""));
    destination.write(&catalog, &first_sync("")).succeeded();
    // The source does not know which of the two streams had the task.
    let mut both = second_sync("", "subtasks", &[tombstone(11)]);
    both.insert(0, record("tasks", &tombstone(11)));
    destination.write(&catalog, &both).succeeded();
    assert_eq!(gids(&destination, "tasks"), [1, 2]);
    assert_eq!(gids(&destination, "subtasks"), [21]);
    assert_eq!(gids(&destination, "stories"), [5001, 5002, 5021]);
}

#[test]
fn a_task_that_became_a_subtask_keeps_what_hangs_on_it() {
    let becomes = record("subtasks", &row(1, 2));
    let leaves = record("tasks", &tombstone(1));
    for lines in [[leaves.clone(), becomes.clone()], [becomes, leaves]] {
        let destination = Destination::new();
        let catalog = catalog(&streams(""));
        destination.write(&catalog, &first_sync("")).succeeded();
        let mut sync = lines.to_vec();
        for name in ["tasks", "subtasks", "stories", "attachments"] {
            sync.extend([state(name, 2), status(name, "COMPLETE")]);
        }
        destination.write(&catalog, &sync).succeeded();
        assert_eq!(gids(&destination, "tasks"), [2]);
        assert_eq!(gids(&destination, "subtasks"), [1, 11, 21, 111]);
        assert_eq!(gids(&destination, "stories"), [5001, 5002, 5011, 5021, 5111]);
    }
}

#[test]
fn a_row_that_came_back_in_the_same_sync_keeps_what_hangs_on_it() {
    let destination = Destination::new();
    let catalog = catalog(&streams(""));
    destination.write(&catalog, &first_sync("")).succeeded();
    let records = [tombstone(1), json!({"gid": "1"})];
    destination.write(&catalog, &second_sync("", "tasks", &records)).succeeded();
    assert_eq!(gids(&destination, "tasks"), [1, 2]);
    assert_eq!(gids(&destination, "stories"), [5001, 5002, 5011, 5021, 5111]);
}

#[test]
fn rows_that_came_before_the_deletion_in_the_same_sync_go() {
    let destination = Destination::new();
    let catalog = catalog(&streams(""));
    let mut lines = first_sync("");
    lines.retain(|line| !line.contains("COMPLETE"));
    lines.extend([record("tasks", &tombstone(1)), state("tasks", 2), state("stories", 2)]);
    for name in ["tasks", "subtasks", "stories", "attachments"] {
        lines.push(status(name, "COMPLETE"));
    }
    destination.write(&catalog, &lines).succeeded();
    assert_eq!(gids(&destination, "stories"), [5002, 5021]);
    assert_eq!(gids(&destination, "attachments"), [7002, 7021]);
}

#[test]
fn a_table_that_keeps_every_version_keeps_its_rows() {
    let destination = Destination::new();
    let mut streams = streams("");
    streams[2]["destination_sync_mode"] = json!("append");
    let catalog = catalog(&streams);
    destination.write(&catalog, &first_sync("")).succeeded();
    destination.write(&catalog, &second_sync("", "tasks", &[tombstone(1)])).succeeded();
    assert_eq!(gids(&destination, "stories").len(), 5);
    assert_eq!(gids(&destination, "attachments"), [7002, 7021]);
}

#[test]
fn the_state_behind_a_deletion_comes_after_what_hung_on_the_row_is_deleted() {
    let destination = Destination::new();
    let catalog = catalog(&streams(""));
    destination.write(&catalog, &first_sync("")).succeeded();
    let run = destination.write(&catalog, &second_sync("", "tasks", &[tombstone(1)]));
    assert_eq!(run.exit_code, Some(0), "{:#?}", run.messages);
    let place = |wanted: &dyn Fn(&Value) -> bool| run.messages.iter().rposition(wanted).unwrap();
    let deletion = place(&|message| {
        message["log"]["message"].as_str().is_some_and(|text| text.contains("rows of table"))
    });
    let state = place(&|message| message["state"]["stream"]["stream_descriptor"]["name"] == "tasks");
    assert!(deletion < state, "{:#?}", run.messages);
}
