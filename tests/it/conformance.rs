//! Every stream of the table emits what its catalog entry declares.

use std::collections::{BTreeMap, BTreeSet};

use asana_simulator::{Options, Scale, Simulator, Token, World};
use jsonschema::Validator;
use serde_json::{Value, json};
use source_asana::schema;
use source_asana::streams::ALL;

use crate::harness::{Connector, Run, TOKEN, catalog_of, discovered, whole_catalog};

fn read_everything() -> Run {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    let simulator = Simulator::start_blocking(World::generate(1, &Scale::small()), options).unwrap();
    Connector::new(&simulator.base_url()).read(&whole_catalog("full_refresh"), None).expect_success()
}

/// The catalog's schema in a stricter form: no other columns, and valid times.
fn strict(schema: &Value) -> Validator {
    let mut schema = schema.clone();
    close(&mut schema);
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

fn close(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else { return };
    if keywords.get("properties").is_some_and(|properties| !properties.as_object().unwrap().is_empty()) {
        keywords.insert("additionalProperties".into(), json!(false));
    }
    keywords.values_mut().for_each(close);
}

#[test]
fn every_record_fits_the_catalog_and_has_no_column_that_it_lacks() {
    let run = read_everything();
    for entry in discovered() {
        let stream = entry["name"].as_str().unwrap();
        let validator = strict(&entry["json_schema"]);
        for record in run.records(stream) {
            let problems: Vec<_> = validator
                .iter_errors(record)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(problems.is_empty(), "{stream}: {problems:#?} in {record}");
        }
    }
    assert!(run.logs().iter().all(|log| !log.contains("does not promise")), "{:#?}", run.logs());
}

/// Documented columns that are always null in the stream.
const NEVER_FILLED: &[(&str, &[&str])] = &[
    // A definition has no value.
    (
        "custom_fields",
        &[
            "date_value",
            "display_value",
            "enabled",
            "enum_value",
            "html_text_value",
            "multi_enum_values",
            "number_value",
            "people_value",
            "reference_value",
            "text_value",
        ],
    ),
    // A task with a parent is a subtask.
    ("tasks", &["parent"]),
];

#[test]
fn no_column_is_null_in_every_record() {
    let run = read_everything();
    let excused: BTreeMap<&str, &[&str]> = NEVER_FILLED.iter().copied().collect();
    for entry in discovered() {
        let stream = entry["name"].as_str().unwrap();
        let filled: BTreeSet<&String> = run
            .records(stream)
            .into_iter()
            .flat_map(|record| record.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()))
            .map(|(column, _)| column)
            .collect();
        let empty: Vec<_> = entry["json_schema"]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .filter(|column| !filled.contains(column))
            // Nothing was deleted in this world.
            .filter(|column| *column != schema::DELETED_AT)
            .filter(|column| !excused.get(stream).is_some_and(|excused| excused.contains(&column.as_str())))
            .collect();
        assert!(empty.is_empty(), "{stream}: {empty:?}");
    }
}

#[test]
fn keys_are_text_and_never_null() {
    let run = read_everything();
    for stream in ALL {
        for record in run.records(stream.name) {
            for column in stream.primary_key {
                assert!(record[*column].is_string(), "{}: {record}", stream.name);
            }
        }
    }
}

/// With one selected column, only that, the key and the cursor are requested and emitted.
#[test]
fn only_the_chosen_columns_are_emitted() {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    let simulator = Simulator::start_blocking(World::generate(1, &Scale::small()), options).unwrap();
    let names: Vec<&str> = ALL.iter().map(|stream| stream.name).collect();
    let mut catalog = catalog_of(&names, "full_refresh");
    let mut kept: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (stream, entry) in ALL.iter().zip(catalog["streams"].as_array_mut().unwrap()) {
        let properties = entry["stream"]["json_schema"]["properties"].as_object_mut().unwrap();
        let chosen =
            properties.keys().find(|column| *column == "name" || *column == "resource_type").cloned();
        let chosen = chosen.unwrap_or_else(|| "gid".to_owned());
        properties.retain(|column, _| *column == chosen);
        let columns =
            stream.primary_key.iter().copied().chain(stream.cursor.field()).chain([chosen.as_str()]);
        kept.insert(stream.name.to_owned(), columns.map(str::to_owned).collect());
    }
    let run = Connector::new(&simulator.base_url()).read(&catalog, None).expect_success();
    for stream in ALL {
        let columns: BTreeSet<String> = run
            .records(stream.name)
            .iter()
            .flat_map(|record| record.as_object().unwrap().keys().cloned())
            .collect();
        assert_eq!(columns, kept[stream.name], "{}", stream.name);
    }
    let asked =
        simulator.requests().iter().filter_map(|request| request.parameter("opt_fields").map(str::len)).max();
    assert!(asked.unwrap() < 200, "the longest list of fields has {asked:?} characters");
}
