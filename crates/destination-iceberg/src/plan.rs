//! The configured catalog to one plan per stream: which table, which columns, which way of writing. Pure.

use std::sync::Arc;

use airbyte_protocol::catalog::{ConfiguredCatalog, ConfiguredStream};
use airbyte_protocol::message::StreamDescriptor;
use iceberg::{NamespaceIdent, TableIdent};
use serde_json::{Map, Value};

use crate::column::{Column, ColumnType};
use crate::config::{Config, Nested};
use crate::failure::{Failure, Result};
use crate::generations::{Ids, Refresh};
use crate::json_schema::columns;
use crate::naming::identifier;
use crate::table_memory::ColumnNames;

/// The keyword of a property that refers to rows of other streams: an object with the stream's own name as `stream`, and
/// the names of the others as `references`.
const FOREIGN_KEY: &str = "x-foreign-key";

/// The destination sync modes that the destination supports, in the protocol's words.
pub const SYNC_MODES: [&str; 4] = ["overwrite", "append", "append_dedup", "overwrite_dedup"];

#[derive(Debug, Clone, PartialEq)]
pub struct StreamPlan {
    pub stream: StreamDescriptor,
    /// The table's name if it is new and no other has it.
    pub table: TableIdent,
    pub columns: Vec<Column>,
    pub rows: Rows,
    pub refresh: Refresh,
    pub ids: Ids,
    /// What the user may not expect.
    pub warning: Option<String>,
    declared: Arc<Declared>,
}

/// What the catalog says of the stream's columns.
#[derive(Debug, PartialEq)]
struct Declared {
    json_schema: Map<String, Value>,
    nested: Nested,
    dedup: bool,
    key: Vec<Vec<String>>,
    cursor: Vec<String>,
}

/// What a record does to rows that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    Append,
    /// It replaces the row with the same key, by the columns' names.
    Upsert {
        key: Vec<String>,
        cursor: Option<String>,
    },
}

/// Plans every stream of the catalog; the error names all that cannot be done.
pub fn plan(config: &Config, catalog: &ConfiguredCatalog) -> Result<Vec<StreamPlan>> {
    let mut plans: Vec<StreamPlan> = Vec::new();
    let mut faults = Vec::new();
    for configured in &catalog.streams {
        match plan_stream(config, configured) {
            Ok(plan) if plans.iter().any(|other| other.stream == plan.stream) => {
                faults.push(format!("stream {:?} is configured twice", plan.stream.name));
            }
            Ok(plan) => plans.push(plan),
            Err(fault) => faults.push(format!("stream {:?} {fault}", configured.stream.name)),
        }
    }
    if faults.is_empty() { Ok(plans) } else { Err(Failure::configuration(faults.join("; "))) }
}

fn plan_stream(config: &Config, configured: &ConfiguredStream) -> std::result::Result<StreamPlan, String> {
    let stream = &configured.stream;
    let case = config.identifier_case;
    let namespace = stream.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or(&config.namespace);
    let namespace = identifier(namespace, case);
    let truncating = match configured.minimum_generation_id {
        Some(minimum) if minimum > 0 => Refresh::Below(minimum),
        _ => Refresh::Nothing,
    };
    let (dedup, refresh) = match configured.destination_sync_mode.as_str() {
        "append" => (false, truncating),
        "append_dedup" => (true, truncating),
        "overwrite" => (false, Refresh::Everything),
        "overwrite_dedup" => (true, Refresh::Everything),
        other => return Err(format!("has the destination sync mode {other:?}; known are {SYNC_MODES:?}")),
    };
    let declared = Declared {
        json_schema: stream.json_schema.clone(),
        nested: config.nested,
        dedup,
        key: first_given(&configured.primary_key, &stream.source_defined_primary_key).to_vec(),
        cursor: first_given(&configured.cursor_field, &stream.default_cursor_field).to_vec(),
    };
    let columns = declared.columns(&mut ColumnNames::new(case));
    let (rows, warning) = declared.rows(&columns)?;
    Ok(StreamPlan {
        stream: StreamDescriptor { name: stream.name.clone(), namespace: stream.namespace.clone() },
        table: TableIdent::new(NamespaceIdent::new(namespace), identifier(&stream.name, case)),
        columns,
        rows,
        refresh,
        ids: Ids {
            generation: configured.generation_id,
            minimum_generation: configured.minimum_generation_id,
            sync: configured.sync_id,
        },
        warning,
        declared: Arc::new(declared),
    })
}

fn first_given<'a, T>(chosen: &'a [T], own: &'a [T]) -> &'a [T] {
    if chosen.is_empty() { own } else { chosen }
}

impl StreamPlan {
    /// The properties of the primary key, as far as they are columns.
    pub fn key_properties(&self) -> Vec<String> {
        self.declared.key.iter().filter_map(|path| path.first().cloned()).collect()
    }

    /// The column that refers to rows of other streams, and these streams, if the source's schema says so and the table
    /// has one row for each value of one column.
    pub fn foreign_key(&self) -> Option<(String, Vec<StreamDescriptor>)> {
        if !matches!(&self.rows, Rows::Upsert { key, .. } if key.len() == 1) {
            return None;
        }
        let properties = self.declared.json_schema.get("properties")?.as_object()?;
        self.columns.iter().find_map(|column| {
            let key = properties.get(&column.property)?.get(FOREIGN_KEY)?;
            // Airbyte can put a prefix before the names of streams, which the source does not know.
            let prefix = self.stream.name.strip_suffix(key.get("stream")?.as_str()?)?;
            let names = key.get("references")?.as_array()?.iter().filter_map(Value::as_str);
            let namespace = &self.stream.namespace;
            let streams = names.map(|name| StreamDescriptor {
                name: format!("{prefix}{name}"),
                namespace: namespace.clone(),
            });
            Some((column.name.clone(), streams.collect()))
        })
    }

    /// The plan for a table whose columns have these names.
    pub fn with_names(mut self, mut names: ColumnNames) -> Result<Self> {
        self.columns = self.declared.columns(&mut names);
        let rows = self.declared.rows(&self.columns).map_err(Failure::configuration)?;
        (self.rows, self.warning) = rows;
        Ok(self)
    }
}

impl Declared {
    fn columns(&self, names: &mut ColumnNames) -> Vec<Column> {
        columns(&self.json_schema, self.nested, names)
    }

    /// What a record does to rows, with a warning if that is not what the catalog asks for.
    fn rows(&self, columns: &[Column]) -> std::result::Result<(Rows, Option<String>), String> {
        if !self.dedup {
            return Ok((Rows::Append, None));
        }
        if self.key.is_empty() {
            return Err("is to be deduplicated and has no primary key".to_owned());
        }
        let key = self
            .key
            .iter()
            .map(|path| comparable(path, columns).map_err(|fault| format!("has a primary key that {fault}")))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let (cursor, warning) = match comparable(&self.cursor, columns) {
            Ok(cursor) => (Some(cursor), None),
            Err(_) if self.cursor.is_empty() => (None, None),
            Err(fault) => {
                let text = format!(
                    "has a cursor that {fault}. Of records with the same primary key, the one that comes last is \
                     kept. Add the cursor to the stream's JSON schema, or choose a cursor that is in it"
                );
                (None, Some(text))
            }
        };
        Ok((Rows::Upsert { key, cursor }, warning))
    }
}

/// The name of the column at a path, if its values can be compared.
fn comparable(path: &[String], columns: &[Column]) -> std::result::Result<String, String> {
    let [property] = path else { return Err(format!("is nested or empty: {path:?}")) };
    let column = columns.iter().find(|column| column.property == *property);
    match column {
        None => Err(format!("is not in the JSON schema: {property:?}")),
        Some(Column { kind: ColumnType::Struct(_) | ColumnType::List(_), .. }) => {
            Err(format!("is an object or array: {property:?}"))
        }
        Some(column) => Ok(column.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn planned(config: Value, streams: Value) -> Result<Vec<StreamPlan>> {
        let mut whole = json!({"catalog": {"type": "embedded", "warehouse": "/w"}});
        whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let config = Config::parse(&whole.to_string()).unwrap();
        plan(&config, &serde_json::from_value(json!({"streams": streams})).unwrap())
    }

    fn stream(mode: &str) -> Value {
        json!({"stream": {"name": "Tasks", "json_schema": {"properties": {"gid": {"type": "string"},
            "modified_at": {"type": "string", "format": "date-time"}}},
            "source_defined_primary_key": [["gid"]], "default_cursor_field": ["modified_at"]},
            "sync_mode": "incremental", "destination_sync_mode": mode})
    }

    fn with(mut stream: Value, key: &str, value: Value) -> Value {
        stream[key] = value;
        stream
    }

    #[test]
    fn names_follow_the_case_and_the_streams_own_namespace() {
        let mut other = stream("append");
        other["stream"]["namespace"] = json!("mine");
        let plans =
            planned(json!({"identifier_case": "upper"}), json!([stream("append_dedup"), other])).unwrap();
        assert_eq!(plans[0].table.to_string(), "AIRBYTE.TASKS");
        assert_eq!(plans[1].table.to_string(), "MINE.TASKS");
        let rows = Rows::Upsert { key: vec!["GID".into()], cursor: Some("MODIFIED_AT".into()) };
        assert_eq!(plans[0].rows, rows);
        assert_eq!(plans[0].warning, None);
    }

    #[test]
    fn a_refresh_follows_mode_and_generation() {
        let refresh = |stream| planned(json!({}), json!([stream])).unwrap()[0].refresh;
        let generations = |mode, generation: i64, minimum: i64| {
            let stream = with(stream(mode), "generation_id", json!(generation));
            refresh(with(stream, "minimum_generation_id", json!(minimum)))
        };
        assert_eq!(refresh(stream("append")), Refresh::Nothing);
        assert_eq!(refresh(stream("overwrite")), Refresh::Everything);
        assert_eq!(generations("overwrite", 4, 4), Refresh::Everything);
        assert_eq!(generations("append_dedup", 4, 0), Refresh::Nothing);
        assert_eq!(generations("append_dedup", 4, 3), Refresh::Below(3));
        assert_eq!(generations("append_dedup", 4, 4), Refresh::Below(4));
        assert_eq!(generations("append", 0, 0), Refresh::Nothing);
    }

    #[test]
    fn a_cursor_that_is_no_column_is_a_warning() {
        let missing = with(stream("append_dedup"), "cursor_field", json!(["updated_at"]));
        let plan = &planned(json!({}), json!([missing])).unwrap()[0];
        assert!(
            plan.warning.as_ref().is_some_and(|text| text.contains("\"updated_at\"")),
            "{:?}",
            plan.warning
        );
        assert_eq!(plan.rows, Rows::Upsert { key: vec!["gid".into()], cursor: None });
    }

    #[test]
    fn everything_that_cannot_be_done_is_told_at_once() {
        let nested = with(stream("append_dedup"), "primary_key", json!([["a", "b"]]));
        let mut keyless = stream("append_dedup");
        keyless["stream"]["source_defined_primary_key"] = json!([]);
        let failure = planned(
            json!({}),
            json!([nested, keyless, stream("update"), stream("append"), stream("append")]),
        )
        .unwrap_err();
        for part in ["is nested", "no primary key", "\"update\"", "configured twice"] {
            assert!(failure.message.contains(part), "{part}: {}", failure.message);
        }
    }
}
