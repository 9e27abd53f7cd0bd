//! Tables whose stream changes its shape between two syncs.

use serde_json::{Value, json};

use std::fs;

use crate::harness::{Destination, catalog, configured, object, record, status, task, tasks, whole};

fn with_property(mut stream: Value, name: &str, schema: Value) -> Value {
    stream["stream"]["json_schema"]["properties"][name] = schema;
    stream
}

#[test]
fn a_new_column_is_added_and_an_old_one_stays() {
    let destination = Destination::new();
    destination
        .write(&catalog(&[tasks("append_dedup")]), &whole("tasks", [task(1, 1), task(2, 1)]))
        .succeeded();
    let mut changed = with_property(tasks("append_dedup"), "notes", json!({"type": ["null", "string"]}));
    changed["stream"]["json_schema"]["properties"].as_object_mut().unwrap().remove("name");
    let mut data = task(1, 2);
    data["notes"] = json!("new");
    destination.write(&catalog(&[changed]), &whole("tasks", [data])).succeeded();
    assert_eq!(destination.column("tasks", "notes"), [json!("new"), Value::Null]);
    assert_eq!(destination.column("tasks", "name"), [json!("Täsk 2 😀 v1"), Value::Null]);
}

#[test]
fn a_change_that_iceberg_cannot_make_is_refused_before_anything_is_written() {
    let destination = Destination::new();
    destination.write(&catalog(&[tasks("append")]), &whole("tasks", [task(1, 1)])).succeeded();
    let mut users = tasks("append");
    users["stream"]["name"] = json!("users");
    let retyped = with_property(tasks("append"), "num_subtasks", json!({"type": ["null", "string"]}));
    let lines = whole("users", [task(1, 1)]);
    let run = destination.write(&catalog(&[users, retyped]), &lines);
    let (kind, text) = run.error();
    assert_eq!((kind, run.exit_code), ("config_error", Some(1)));
    assert!(text.contains("num_subtasks") && text.contains("long") && text.contains("string"), "{text}");
    assert!(destination.table("users").is_none(), "not even the other stream's table was made");
}

#[test]
fn a_nested_field_is_added_where_nesting_is_typed() {
    let destination = Destination::new().config(json!({"nested": "typed"}));
    destination.write(&catalog(&[tasks("append")]), &whole("tasks", [task(1, 1)])).succeeded();
    let assignee = json!({"type": ["null", "object"], "properties": {"gid": {"type": "string"},
        "name": {"type": "string"}, "email": {"type": "string"}}});
    let mut data = task(2, 1);
    data["assignee"]["email"] = json!("ann@example.com");
    destination
        .write(&catalog(&[with_property(tasks("append"), "assignee", assignee)]), &whole("tasks", [data]))
        .succeeded();
    // The library's reader cannot fill a field that an older file's struct lacks; the scripts in `verification`
    // read such tables with other engines.
    let metadata = destination.metadata("tasks").unwrap();
    let schema = metadata.current_schema();
    assert!(
        schema.field_by_name("assignee.email").is_some() && schema.field_by_name("assignee.gid").is_some()
    );
    assert_eq!(metadata.current_snapshot().unwrap().summary().additional_properties["total-records"], "2");
}

#[test]
fn files_older_than_a_nested_field_are_rewritten_with_nulls_in_it() {
    let nullable = |kind: &str| json!({"type": ["null", kind]});
    let wider = json!({"type": ["null", "object"], "properties": {"gid": nullable("string"),
        "name": nullable("string"), "email": nullable("string")}});
    let tags = json!({"type": ["null", "array"], "items": {"type": ["null", "object"],
        "properties": {"color": nullable("string"), "gid": nullable("string")}}});
    let stream = with_property(with_property(tasks("append_dedup"), "assignee", wider), "tags", tags);
    for deletes in ["position_deletes", "copy_on_write"] {
        let destination = Destination::new().config(json!({"nested": "typed", "deletes": deletes}));
        let mut nobody = task(2, 1);
        (nobody["assignee"], nobody["tags"]) = (Value::Null, json!([]));
        let first = whole("tasks", [task(1, 1), nobody, task(3, 1)]);
        destination.write(&catalog(&[tasks("append_dedup")]), &first).succeeded();
        let mut data = task(3, 2);
        data["assignee"]["email"] = json!("ann@example.com");
        data["tags"][0]["color"] = json!("red");
        destination.write(&catalog(std::slice::from_ref(&stream)), &whole("tasks", [data])).succeeded();
        destination.with_config(&["maintain", "--small-file-percent=100"]).succeeded();
        let mut table = destination.table("tasks").unwrap();
        assert_eq!((table.data_files, table.position_delete_files), (1, 0), "{deletes}");
        table.rows.sort_by_key(|row| row["gid"].to_string());
        let found: Vec<[&Value; 2]> = table.rows.iter().map(|row| [&row["assignee"], &row["tags"]]).collect();
        let expected = [
            [json!({"gid": "7", "name": "Ann", "email": null}), json!([{"color": null, "gid": "1"}])],
            [Value::Null, json!([])],
            [
                json!({"gid": "7", "name": "Ann", "email": "ann@example.com"}),
                json!([{"color": "red", "gid": "1"}]),
            ],
        ];
        assert_eq!(found, expected.each_ref().map(|row| row.each_ref()), "{deletes}");
    }
}

/// A stream of rows `{"id": …, …}`, with these properties, all of them text.
fn texts(name: &str, mode: &str, properties: &[&str]) -> Value {
    let text = json!({"type": ["null", "string"]});
    let properties = object(properties.iter().map(|name| ((*name).to_owned(), text.clone())));
    json!({"stream": {"name": name, "json_schema": {"type": "object", "properties": properties}},
        "sync_mode": "full_refresh", "destination_sync_mode": mode, "primary_key": [["id"]]})
}

/// Makes the table as version 0.1.0 left it, which remembered nothing.
fn forget(destination: &Destination) {
    for file in destination.files() {
        if file.to_string_lossy().ends_with(".metadata.json") {
            let mut metadata: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            let properties = metadata["properties"].as_object_mut().unwrap();
            assert!(properties.remove("airbyte.stream").is_some());
            assert!(properties.remove("airbyte.columns").is_some());
            fs::write(&file, metadata.to_string()).unwrap();
        }
    }
}

#[test]
fn streams_whose_names_differ_in_case_keep_their_tables() {
    for remembers in [true, false] {
        let destination = Destination::new().config(json!({"identifier_case": "upper"}));
        let stream = |name: &str| texts(name, "overwrite", &["id"]);
        let both = [stream("Events"), stream("events")];
        let row = |id: &str| json!({"id": id});
        let lines = [whole("Events", [row("Events")]), whole("events", [row("events")])].concat();
        destination.write(&catalog(&both), &lines).succeeded();
        if !remembers {
            forget(&destination);
        }
        // The second one alone, and then both in the other order.
        destination.write(&catalog(&[stream("events")]), &whole("events", [row("events again")])).succeeded();
        assert_eq!(destination.column("EVENTS", "ID"), [json!("Events")]);
        assert_eq!(destination.column("EVENTS_2", "ID"), [json!("events again")]);
        let turned = [stream("events"), stream("Events")];
        let lines = [whole("events", []), whole("Events", [row("Events again")])].concat();
        destination.write(&catalog(&turned), &lines).succeeded();
        assert_eq!(destination.column("EVENTS", "ID"), [json!("Events again")]);
        assert!(destination.column("EVENTS_2", "ID").is_empty());
        assert!(destination.table("EVENTS_3").is_none());
    }
}

#[test]
fn a_stream_keeps_its_table_when_the_case_of_names_changes() {
    let mut destination = Destination::new().config(json!({"namespace": "AIRBYTE"}));
    let stream = texts("events", "append_dedup", &["id", "name"]);
    let row = |name: &str| json!({"id": "1", "name": name});
    destination.write(&catalog(std::slice::from_ref(&stream)), &whole("events", [row("a")])).succeeded();
    destination.config["identifier_case"] = json!("upper");
    destination.write(&catalog(&[stream]), &whole("events", [row("b")])).succeeded();
    assert_eq!(destination.column("events", "name"), [json!("b")]);
    assert!(destination.table("EVENTS").is_none());
}

#[test]
fn properties_whose_names_differ_in_case_keep_their_columns() {
    for remembers in [true, false] {
        let destination = Destination::new();
        let before = texts("s", "append", &["id", "name"]);
        destination.write(&catalog(&[before]), &whole("s", [json!({"id": "1", "name": "old"})])).succeeded();
        if !remembers {
            forget(&destination);
        }
        let after = texts("s", "append", &["id", "Name", "name"]);
        let row = json!({"id": "2", "name": "of name", "Name": "of Name"});
        destination.write(&catalog(&[after]), &whole("s", [row])).succeeded();
        assert_eq!(destination.column("s", "name"), [json!("of name"), json!("old")]);
        assert_eq!(destination.column("s", "Name_2"), [json!("of Name"), Value::Null]);
        // The one that came later alone.
        let alone = texts("s", "append", &["id", "Name"]);
        destination.write(&catalog(&[alone]), &whole("s", [json!({"id": "3", "Name": "later"})])).succeeded();
        assert_eq!(destination.column("s", "Name_2"), [json!("later"), json!("of Name"), Value::Null]);
    }
}

#[test]
fn a_key_keeps_its_column_in_upper_case() {
    for remembers in [true, false] {
        let destination = Destination::new().config(json!({"identifier_case": "upper"}));
        let before = texts("s", "append_dedup", &["id", "v"]);
        let row = |id: &str, v: &str| json!({"id": id, "v": v});
        destination.write(&catalog(&[before]), &whole("s", [row("1", "a"), row("2", "a")])).succeeded();
        if !remembers {
            forget(&destination);
        }
        let after = texts("s", "append_dedup", &["Id", "id", "v"]);
        let changed = json!({"id": "1", "v": "b", "Id": "x"});
        destination.write(&catalog(&[after]), &whole("s", [changed])).succeeded();
        assert_eq!(destination.column("S", "ID"), [json!("1"), json!("2")]);
        assert_eq!(destination.column("S", "V"), [json!("a"), json!("b")]);
        assert_eq!(destination.column("S", "ID_2"), [json!("x"), Value::Null]);
    }
}

#[test]
fn a_refresh_that_replaces_every_row_replaces_retyped_columns_in_the_same_commit() {
    let refreshed = json!({"generation_id": 2, "minimum_generation_id": 2, "sync_id": 2});
    for (mode, ids) in [("overwrite", json!({})), ("overwrite_dedup", json!({})), ("append_dedup", refreshed)]
    {
        let destination = Destination::new();
        destination.write(&catalog(&[tasks(mode)]), &whole("tasks", [task(1, 1), task(2, 1)])).succeeded();
        let before = destination.table("tasks").unwrap().metadata;
        let retyped = with_property(tasks(mode), "num_subtasks", json!({"type": ["null", "string"]}));
        let retyped = catalog(&[configured(retyped, ids)]);
        let mut data = task(1, 2);
        data["num_subtasks"] = json!("two");
        // A refresh that breaks off changes neither rows nor columns.
        destination.write(&retyped, &[record("tasks", &data)]);
        let table = destination.table("tasks").unwrap();
        assert_eq!(table.metadata.current_schema_id(), before.current_schema_id(), "{mode}");
        assert_eq!(destination.column("tasks", "num_subtasks"), [json!(1), json!(1)], "{mode}");

        destination.write(&retyped, &whole("tasks", [data])).succeeded();
        assert_eq!(destination.column("tasks", "num_subtasks"), [json!("two")], "{mode}");
        let after = destination.table("tasks").unwrap().metadata;
        assert_eq!(after.snapshots().count(), before.snapshots().count() + 1, "{mode}");
        let snapshot = after.current_snapshot().unwrap();
        assert_eq!(snapshot.schema_id(), Some(after.current_schema_id()), "{mode}");
        // The table goes on as it is.
        destination.write(&retyped, &whole("tasks", [task(3, 3)])).succeeded();
    }
}

#[test]
fn paths_that_would_collide_get_a_number() {
    let destination = Destination::new().config(json!({"nested": "typed"}));
    let text = json!({"type": ["null", "string"]});
    let nested = json!({"type": "object", "properties": {"b": text}});
    let schema = json!({"properties": {"a": nested, "a.b": text, "_airbyte_meta.sync_id": text}});
    let stream = json!({"stream": {"name": "s", "json_schema": schema}, "sync_mode": "full_refresh",
        "destination_sync_mode": "append"});
    let row = json!({"a": {"b": "inside"}, "a.b": "beside", "_airbyte_meta.sync_id": "mine"});
    for _ in 0..2 {
        destination.write(&catalog(std::slice::from_ref(&stream)), &whole("s", [row.clone()])).succeeded();
    }
    assert_eq!(destination.column("s", "a"), [json!({"b_2": "inside"}), json!({"b_2": "inside"})]);
    assert_eq!(destination.column("s", "a.b"), [json!("beside"), json!("beside")]);
    assert_eq!(destination.column("s", "_airbyte_meta.sync_id_2"), [json!("mine"), json!("mine")]);
}

#[test]
fn names_that_readers_reserve_or_cannot_take_are_changed() {
    let destination = Destination::new();
    let long = "x".repeat(300);
    let properties = ["_pos", "_file", "_deleted", "_spec_id", "_partition", "_row_id", long.as_str()];
    let stream = texts(&format!("stream_{long}"), "append", &properties);
    let row = object(properties.iter().map(|name| ((*name).to_owned(), json!(format!("of {name}")))));
    destination.write(&catalog(&[stream]), &whole(&format!("stream_{long}"), [row])).succeeded();
    let table = format!("stream_{}", "x".repeat(248));
    for name in ["_pos", "_file", "_deleted", "_spec_id", "_partition", "_row_id"] {
        assert_eq!(destination.column(&table, &format!("{name}_2")), [json!(format!("of {name}"))]);
    }
    assert_eq!(destination.column(&table, &"x".repeat(255)), [json!(format!("of {long}"))]);
}

#[test]
fn a_cursor_that_is_no_column_is_a_warning() {
    let destination = Destination::new();
    let stream = configured(texts("s", "append_dedup", &["id"]), json!({"cursor_field": ["updated_at"]}));
    let lines = [record("s", &json!({"id": "1"})), status("s", "COMPLETE")];
    let run = destination.write(&catalog(&[stream]), &lines).succeeded();
    let warned = run.messages.iter().any(|message| {
        message["log"]["level"] == "WARN"
            && message["log"]["message"].as_str().unwrap().contains("updated_at")
    });
    assert!(warned, "{run:?}");
}
