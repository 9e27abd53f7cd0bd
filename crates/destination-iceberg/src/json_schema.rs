//! The columns that a stream's JSON schema asks for.
//!
//! The mapping is the one of Airbyte's lake destinations: integer to long, number to double, `date-time` to
//! timestamptz, whatever has no fixed shape to JSON text.

use serde_json::{Map, Value};

use crate::column::{Column, ColumnType};
use crate::config::Nested;
use crate::naming::path;
use crate::table_memory::ColumnNames;

/// The columns of a stream's JSON schema, in the schema's order; `names` knows what the table's columns are called.
pub fn columns(json_schema: &Map<String, Value>, nested: Nested, names: &mut ColumnNames) -> Vec<Column> {
    columns_under("", json_schema, nested, names)
}

fn columns_under(
    parent: &str,
    json_schema: &Map<String, Value>,
    nested: Nested,
    names: &mut ColumnNames,
) -> Vec<Column> {
    let Some(Value::Object(properties)) = json_schema.get("properties") else {
        return Vec::new();
    };
    // The names of a level come before those of the levels below it, which they may collide with.
    let claimed: Vec<String> = properties.keys().map(|property| names.claim(parent, property)).collect();
    let columns = properties.iter().zip(claimed).map(|((property, schema), name)| Column {
        property: property.clone(),
        kind: column_type(&path(parent, &name), schema, nested, names),
        name,
        description: schema.get("description").and_then(Value::as_str).map(str::to_owned),
    });
    columns.collect()
}

fn column_type(whole: &str, schema: &Value, nested: Nested, names: &mut ColumnNames) -> ColumnType {
    for key in ["oneOf", "anyOf"] {
        if let Some(Value::Array(branches)) = schema.get(key) {
            let mut real = branches.iter().filter(|branch| types(branch) != ["null"]);
            return match (real.next(), real.next()) {
                (Some(only), None) => column_type(whole, only, nested, names),
                _ => ColumnType::Json,
            };
        }
    }
    let types: Vec<&str> = types(schema).into_iter().filter(|name| *name != "null").collect();
    let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    match types[..] {
        ["boolean"] => ColumnType::Boolean,
        ["integer"] => ColumnType::Long,
        ["number"] if text("airbyte_type") == "integer" => ColumnType::Long,
        ["number"] | ["integer", "number"] | ["number", "integer"] => ColumnType::Double,
        ["string"] => match (text("format"), text("airbyte_type")) {
            ("date", _) => ColumnType::Date,
            ("date-time", "timestamp_without_timezone") => ColumnType::Timestamp,
            ("date-time", _) => ColumnType::Timestamptz,
            _ => ColumnType::Text,
        },
        ["object"] if nested == Nested::Typed => {
            match columns_under(whole, schema.as_object().unwrap_or(&Map::new()), nested, names) {
                // An Iceberg struct needs a field.
                fields if fields.is_empty() => ColumnType::Json,
                fields => ColumnType::Struct(fields),
            }
        }
        ["array"] if nested == Nested::Typed => match schema.get("items") {
            Some(items @ Value::Object(_)) => {
                /// Iceberg's own name for what is in a list.
                const ELEMENT: &str = "element";
                let whole = path(whole, ELEMENT);
                names.reserve(&whole);
                ColumnType::List(Box::new(column_type(&whole, items, nested, names)))
            }
            _ => ColumnType::Json,
        },
        _ => ColumnType::Json,
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::IdentifierCase;

    fn kinds(nested: Nested, schema: Value) -> Vec<(String, ColumnType)> {
        columns(schema.as_object().unwrap(), nested, &mut ColumnNames::new(IdentifierCase::Preserve))
            .into_iter()
            .map(|column| (column.name, column.kind))
            .collect()
    }

    #[test]
    fn every_json_type_has_its_column() {
        let schema = json!({"properties": {
            "a": {"type": ["null", "string"]}, "b": {"type": "boolean"}, "c": {"type": ["null", "integer"]},
            "d": {"type": ["null", "number"]}, "e": {"type": ["null", "string"], "format": "date"},
            "f": {"type": "string", "format": "date-time"},
            "g": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
            "h": {"type": ["null", "object"], "properties": {"x": {"type": "string"}}},
            "i": {"type": ["null", "array"], "items": {"type": "integer"}},
            "j": {"type": ["string", "integer"]}, "k": {}, "l": true,
            "m": {"oneOf": [{"type": "null"}, {"type": "integer"}]},
            "n": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "o": {"type": "string", "format": "time"}}});
        let found: Vec<ColumnType> =
            kinds(Nested::JsonText, schema).into_iter().map(|(_, kind)| kind).collect();
        use ColumnType::*;
        assert_eq!(
            found,
            [
                Text,
                Boolean,
                Long,
                Double,
                Date,
                Timestamptz,
                Timestamp,
                Json,
                Json,
                Json,
                Json,
                Json,
                Long,
                Json,
                Text
            ]
        );
    }

    #[test]
    fn typed_nesting_keeps_what_has_no_shape_as_json() {
        let schema = json!({"properties": {
            "a": {"type": "object", "properties": {"x": {"type": "string"}, "X": {"type": "integer"}}},
            "b": {"type": "object"}, "c": {"type": "array"},
            "d": {"type": "array", "items": {"type": "object", "properties": {"y": {"type": "boolean"}}}}}});
        let found = kinds(Nested::Typed, schema);
        let column = |property: &str, name: &str, kind| Column {
            property: property.into(),
            name: name.into(),
            kind,
            description: None,
        };
        assert_eq!(
            found[0].1,
            ColumnType::Struct(vec![
                column("X", "X", ColumnType::Long),
                column("x", "x_2", ColumnType::Text)
            ])
        );
        assert_eq!((&found[1].1, &found[2].1), (&ColumnType::Json, &ColumnType::Json));
        assert_eq!(
            found[3].1,
            ColumnType::List(Box::new(ColumnType::Struct(vec![column("y", "y", ColumnType::Boolean)])))
        );
    }

    #[test]
    fn nested_fields_are_numbered_on() {
        let schema = json!({"properties": {"a": {"type": "array", "items": {"type": "object",
            "properties": {"x": {"type": "string"}, "y": {"type": "string"}}}}, "b": {"type": "string"}}});
        let mut names = ColumnNames::new(IdentifierCase::Preserve);
        let columns = columns(schema.as_object().unwrap(), Nested::Typed, &mut names);
        let mut last_id = 10;
        let ids: Vec<i32> = columns.iter().map(|column| column.to_field(&mut last_id).id).collect();
        assert_eq!((ids, last_id), (vec![11, 15], 15));
    }
}
