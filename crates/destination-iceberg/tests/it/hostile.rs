//! Streams that nobody should have: odd names, a thousand columns, huge cells, wrong types everywhere.

use serde_json::{Value, json};

use crate::harness::{Destination, catalog, object, status, task, tasks, whole};

fn stream(name: &str, properties: Value) -> Value {
    json!({"stream": {"name": name, "json_schema": {"type": "object", "properties": properties}},
        "sync_mode": "full_refresh", "destination_sync_mode": "append"})
}

#[test]
fn odd_names_arrive_whole() {
    let destination = Destination::new();
    let names = [
        "with space",
        "emoji 😀",
        "1digit",
        "select",
        "a.b",
        "quote\"d",
        "",
        "UPPER",
        "upper",
        "naïve-ünï",
        "semi;colon",
        "new\nline",
        "_airbyte_raw_id",
        "🏳️‍🌈",
    ];
    let properties = object(names.iter().map(|name| (name.to_string(), json!({"type": ["null", "string"]}))));
    let data = object(names.iter().map(|name| (name.to_string(), json!(format!("value of {name}")))));
    let streams: Vec<Value> =
        ["weird stream/😀.x", "order", "9"].iter().map(|name| stream(name, properties.clone())).collect();
    for name in ["weird stream/😀.x", "order", "9"] {
        let lines = whole(name, [data.clone()]);
        let own: Vec<Value> =
            streams.iter().filter(|stream| stream["stream"]["name"] == name).cloned().collect();
        destination.write(&catalog(&own), &lines).succeeded();
        let table = destination.table(name).unwrap();
        let values: Vec<&Value> = table.rows[0].values().collect();
        for name in names {
            assert!(values.contains(&&json!(format!("value of {name}"))), "{name:?} is missing");
        }
    }
}

#[test]
fn a_thousand_columns_and_ten_megabyte_cells_arrive_whole() {
    let destination = Destination::new();
    let columns: Vec<String> = (0..1000).map(|number| format!("column_{number}")).collect();
    let mut properties =
        object(columns.iter().map(|name| (name.clone(), json!({"type": ["null", "string"]}))));
    properties["object"] = json!({"type": ["null", "object"]});
    let full = object(columns.iter().map(|name| (name.clone(), json!(format!("cell of {name}")))));
    let large = "x😀".repeat(2_000_000);
    let huge = json!({"column_0": large, "object": {"deep": large}});
    let lines = whole("wide", [full, json!({}), huge, json!({"column_999": null})]);
    destination.write(&catalog(&[stream("wide", properties)]), &lines).succeeded();
    let table = destination.table("wide").unwrap();
    assert_eq!(table.rows.len(), 4);
    assert!(columns.iter().all(|name| table.rows[0][name] == json!(format!("cell of {name}"))));
    assert_eq!(table.rows[2]["column_0"], json!(large));
    let text = table.rows[2]["object"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap()["deep"], json!(large));
    assert!(columns.iter().all(|name| table.rows[1][name].is_null()));
}

/// What one property's values are stored as, and whether each is reported as nulled.
fn stored(schema: Value, values: &[Value]) -> Vec<(Value, bool)> {
    let destination = Destination::new();
    let properties = json!({"n": {"type": "integer"}, "value": schema});
    let data = values.iter().enumerate().map(|(n, value)| json!({"n": n, "value": value}));
    destination.write(&catalog(&[stream("values", properties)]), &whole("values", data)).succeeded();
    let mut rows = destination.table("values").unwrap().rows;
    rows.sort_by_key(|row| row["n"].as_i64());
    let reported =
        |row: &std::collections::BTreeMap<String, Value>| row["_airbyte_meta"]["changes"] != json!([]);
    rows.iter().map(|row| (row["value"].clone(), reported(row))).collect()
}

#[test]
fn times_at_the_ends_of_the_range_are_exact_or_null_and_reported() {
    let moment = json!({"type": "string", "format": "date-time"});
    let last_second = 253_402_300_799_000_000_i64;
    for (text, micros) in [
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59Z", last_second),
        ("9999-12-31T23:59:59.999999Z", last_second + 999_999),
        ("9999-12-30T20:00:00-05:00", last_second - 82_799_000_000),
        ("2026-01-01T01:00:00+01:00[Europe/Berlin]", 1_767_225_600_000_000),
    ] {
        assert_eq!(stored(moment.clone(), &[json!(text)]), [(json!(micros), false)], "{text}");
    }
    for text in [
        "9999-12-31T20:00:00-05:00",
        "0001-01-01T00:00:00+01:00",
        "2026-01-01T00:00:00[Europe/Berlin]",
        "2016-12-31T23:59:60Z",
    ] {
        assert_eq!(stored(moment.clone(), &[json!(text)]), [(Value::Null, true)], "{text}");
    }
}

#[test]
fn a_key_that_is_no_text_leaves_the_record_as_it_is() {
    let destination = Destination::new();
    let line = r#"{"type":"RECORD","record":{"stream":"s","data":{"\ud800":1,"a":"kept"},"emitted_at":1}}"#;
    let lines = [format!("{line}\n"), status("s", "COMPLETE")];
    destination.write(&catalog(&[stream("s", json!({"a": {"type": "string"}}))]), &lines).succeeded();
    let row = destination.table("s").unwrap().rows.remove(0);
    assert_eq!((&row["a"], &row["_airbyte_meta"]["changes"]), (&json!("kept"), &json!([])));
}

#[test]
fn integers_are_exact_or_null_and_reported() {
    let spelled =
        ["9007199254740993.0", "9223372036854775807", "3e2", "9007199254740991.4", "9223372036854775808"];
    let spelled: Vec<Value> = spelled.iter().map(|text| json!(text)).collect();
    let expected = [
        (json!(9_007_199_254_740_993_i64), false),
        (json!(i64::MAX), false),
        (json!(300), false),
        (Value::Null, true),
        (Value::Null, true),
    ];
    assert_eq!(stored(json!({"type": "integer"}), &spelled), expected);
    // As JSON numbers as well.
    let destination = Destination::new();
    let line = |number: &str| {
        format!(r#"{{"type":"RECORD","record":{{"stream":"n","data":{{"n":{number}}},"emitted_at":1}}}}"#)
            + "\n"
    };
    let lines = [line("9007199254740993.0"), line("9007199254740991.4"), status("n", "COMPLETE")];
    destination.write(&catalog(&[stream("n", json!({"n": {"type": "integer"}}))]), &lines).succeeded();
    assert_eq!(destination.column("n", "n"), [json!(9_007_199_254_740_993_i64), Value::Null]);
}

#[test]
fn a_bad_value_in_every_column_is_null_and_told_and_stops_nothing() {
    let destination = Destination::new();
    let bad = json!({"gid": "1", "completed": "perhaps", "num_subtasks": 3.7, "actual_time_minutes": "NaN",
        "modified_at": "0000-00-00", "due_on": "2026-13-01", "name": {"not": "text"}, "assignee": "text",
        "tags": 5});
    destination.write(&catalog(&[tasks("append_dedup")]), &whole("tasks", [bad, task(2, 1)])).succeeded();
    let table = destination.table("tasks").unwrap();
    let row = table.rows.iter().find(|row| row["gid"] == "1").unwrap();
    let nulled = ["actual_time_minutes", "completed", "due_on", "modified_at", "num_subtasks"];
    let told: Vec<&str> = row["_airbyte_meta"]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            assert_eq!(
                (&change["change"], &change["reason"]),
                (&json!("NULLED"), &json!("DESTINATION_TYPECAST_ERROR"))
            );
            change["field"].as_str().unwrap()
        })
        .collect();
    assert_eq!(told, nulled);
    assert!(nulled.iter().all(|column| row[*column].is_null()));
    // JSON text takes whatever comes.
    assert_eq!(
        (&row["name"], &row["assignee"], &row["tags"]),
        (&json!(r#"{"not":"text"}"#), &json!(r#""text""#), &json!("5"))
    );
}
