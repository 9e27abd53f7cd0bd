//! Checks samples of rows against the types in the catalog.

use std::collections::{BTreeSet, HashMap};

use jsonschema::Validator;
use serde_json::Value;

use crate::schema;
use crate::stream::Stream;
use crate::stream_set::StreamId;
use crate::sync::failures::Cause;

/// Checks one row of each page. Reports a column with another type once. The record is emitted as it is, because
/// destinations replace values that do not fit by null and report it, and no record may be dropped.
#[derive(Debug, Default)]
pub struct TypeCheck {
    validators: HashMap<StreamId, Validator>,
    reported: BTreeSet<(StreamId, String)>,
}

impl TypeCheck {
    /// Log messages about columns of `row` that violate the schema and were not reported before.
    ///
    /// # Errors
    ///
    /// If the stream's schema is not a valid JSON schema.
    pub fn look(&mut self, id: StreamId, stream: &Stream, row: &str) -> Result<Vec<String>, Cause<'static>> {
        let validator = match self.validators.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let validator = jsonschema::draft7::new(&schema::published(stream))
                    .map_err(|error| Cause::BrokenSchema { stream: stream.name, why: error.to_string() })?;
                entry.insert(validator)
            }
        };
        let Ok(row) = serde_json::from_str::<Value>(row) else { return Ok(Vec::new()) };
        let mut sentences = Vec::new();
        for error in validator.iter_errors(&row) {
            // The elements of a list are one column: tags/0/name and tags/1/name become tags.*.name.
            let place = error.instance_path().to_string();
            let column: Vec<_> = place
                .split('/')
                .skip(1)
                .map(|part| if part.bytes().all(|byte| byte.is_ascii_digit()) { "*" } else { part })
                .collect();
            let column = column.join(".");
            if self.reported.insert((id, column.clone())) {
                let found = type_name(error.instance());
                sentences.push(format!(
                    "{}: Asana sent {found} in column {column}, which the catalog does not promise. The record is \
                     passed on as it is; your destination may store null there. Please report this.",
                    stream.name
                ));
            }
        }
        Ok(sentences)
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
