//! Whether rows have the types that the catalog promises, by samples.

use std::collections::{BTreeSet, HashMap};

use jsonschema::Validator;
use serde_json::Value;

use crate::schema;
use crate::stream::Stream;
use crate::stream_set::StreamId;
use crate::sync::failures::Cause;

/// Looks at one row of each page. A column whose type is not the promised one is told once: the row goes out as
/// it is, since destinations turn what does not fit into null and say so, and no record is ever dropped for it.
#[derive(Debug, Default)]
pub struct TypeCheck {
    validators: HashMap<StreamId, Validator>,
    told: BTreeSet<(StreamId, String)>,
}

impl TypeCheck {
    /// Sentences for the log about columns of `row` that break the promise and were not told before.
    ///
    /// # Errors
    ///
    /// When the stream's schema is no JSON schema.
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
            // Places in lists are one column: tags/0/name and tags/1/name are tags/*/name.
            let place = error.instance_path().to_string();
            let column: Vec<_> = place
                .split('/')
                .skip(1)
                .map(|part| if part.bytes().all(|byte| byte.is_ascii_digit()) { "*" } else { part })
                .collect();
            let column = column.join(".");
            if self.told.insert((id, column.clone())) {
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
