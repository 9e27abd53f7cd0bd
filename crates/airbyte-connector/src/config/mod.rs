//! Configs: a struct whose JSON schema is the spec, and messages for the person who filled the form.

mod form;
mod mismatch;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};

pub use form::form_schema;

/// Parses a config's text as JSON.
///
/// # Errors
///
/// If the text is empty or not JSON. The message never quotes the text, which may contain a secret.
pub fn parse(text: &str) -> Result<Value> {
    if text.trim().is_empty() {
        return Err(Failure::configuration("the config is empty: it must be a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| {
        Failure::configuration(format!(
            "the config is not JSON: it is cut off or wrong at line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

/// Checks a config against its schema and turns it into its type. Differences that forms and languages make do not matter: a
/// null field and an empty text of the top level count as absent, and `75.0` as the integer 75.
///
/// # Errors
///
/// If the config does not fit. The message names each field and what is expected there, and no value, which may be a
/// secret.
pub fn fit<Config: DeserializeOwned>(mut config: Value, schema: &Value) -> Result<Config> {
    drop_empty(&mut config);
    make_whole(&mut config);
    mismatch::check(&config, schema)?;
    serde_json::from_value(config)
        .map_err(|_| Failure::system("the config fits its schema, but the program cannot read it"))
}

/// Forms send null or an empty text for a field that was left empty.
fn drop_empty(config: &mut Value) {
    if let Value::Object(fields) = config {
        fields.retain(|_, value| value != "");
    }
    drop_null(config);
}

fn drop_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// In JSON Schema, 75.0 is an integer, and some languages write integers like that.
fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|_| number.is_f64()).filter(|float| float.fract() == 0.0);
            // A larger number is beyond what any field accepts.
            if let Some(float) = whole.filter(|float| float.abs() < f64::from(u32::MAX)) {
                *value = json!(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
