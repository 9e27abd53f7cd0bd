//! Tables whose stream changes its shape between two syncs.

use serde_json::{Value, json};

use crate::harness::{Destination, catalog, task, tasks, whole};

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
