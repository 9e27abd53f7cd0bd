//! Where a config does not fit its schema: the field, and what is expected there. It never quotes the value.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use crate::failure::{Failure, Result};

/// # Errors
///
/// With every mismatch, by its field.
pub(super) fn check(config: &Value, schema: &Value) -> Result<()> {
    let validator = jsonschema::draft7::options()
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| Failure::system(format!("the spec is not a JSON schema: {error}")))?;
    let mut problems: Vec<String> =
        validator.iter_errors(config).map(|error| explain(&error, schema)).collect();
    problems.dedup();
    if problems.is_empty() { Ok(()) } else { Err(Failure::configuration(problems.join("; "))) }
}

fn explain(error: &ValidationError<'_>, schema: &Value) -> String {
    use ValidationErrorKind as Kind;
    let path = dotted(&error.instance_path().to_string());
    let place = if path.is_empty() { "the config".to_owned() } else { format!("config field `{path}`") };
    match error.kind() {
        Kind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let missing = if path.is_empty() { property.to_owned() } else { format!("{path}.{property}") };
            format!("config field `{missing}` is missing")
        }
        Kind::Type { kind } => format!("{place} must be {}", type_phrase(kind)),
        Kind::Minimum { limit } => format!("{place} must be at least {limit}"),
        Kind::Maximum { limit } => format!("{place} must be at most {limit}"),
        Kind::MinLength { limit: 1 } => format!("{place} must not be empty"),
        Kind::Enum { options } => format!("{place} must be one of {}", list(options)),
        Kind::Constant { expected_value } => format!("{place} must be {expected_value}"),
        Kind::Format { format } => match example(error, schema) {
            Some(example) => format!("{place} must be a valid {format}, such as {example}"),
            None => format!("{place} must be a valid {format}"),
        },
        Kind::Pattern { pattern } => match example(error, schema) {
            Some(example) => format!("{place} must look like {example}"),
            None => format!("{place} must match the pattern {pattern}"),
        },
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => explain_choice(&place, context, schema),
        _ => format!("{place} does not fit the spec"),
    }
}

/// A choice has one option for each constant. The option whose constant the config has tells what is wrong inside it.
fn explain_choice(place: &str, options: &[Vec<ValidationError<'_>>], schema: &Value) -> String {
    use ValidationErrorKind as Kind;
    let is_other_option = |error: &ValidationError<'_>| {
        matches!(error.kind(), Kind::Constant { .. })
            || matches!(error.kind(), Kind::Required { property } if property == "type")
    };
    match options.iter().find(|errors| !errors.iter().any(is_other_option)) {
        Some(errors) => errors.iter().map(|error| explain(error, schema)).collect::<Vec<_>>().join("; "),
        None => {
            let constants = options.iter().flatten().filter_map(|error| match error.kind() {
                Kind::Constant { expected_value } => {
                    Some((dotted(&error.instance_path().to_string()), expected_value.to_string()))
                }
                _ => None,
            });
            let (paths, names): (Vec<_>, Vec<_>) = constants.unzip();
            match paths.first() {
                Some(path) => format!("config field `{path}` must be one of {}", names.join(", ")),
                None => format!("{place} does not fit any of its options"),
            }
        }
    }
}

/// The first example that the schema has of the field.
fn example<'a>(error: &ValidationError<'_>, schema: &'a Value) -> Option<&'a str> {
    let keyword = error.schema_path().to_string();
    let (field, _) = keyword.rsplit_once('/')?;
    schema.pointer(field)?.get("examples")?.get(0)?.as_str()
}

fn list(options: &Value) -> String {
    match options.as_array() {
        Some(options) => options.iter().map(Value::to_string).collect::<Vec<_>>().join(", "),
        None => options.to_string(),
    }
}

/// `/catalog/uri` becomes `catalog.uri`.
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn type_phrase(kind: &TypeKind) -> String {
    let names = match kind {
        TypeKind::Single(one) => vec![one.as_str()],
        TypeKind::Multiple(several) => several.iter().map(jsonschema::JsonType::as_str).collect(),
    };
    let phrases = names.into_iter().filter(|name| *name != "null").map(|name| match name {
        "object" => "an object",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    });
    phrases.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "required": ["token"], "properties": {
            "token": {"type": "string", "minLength": 1},
            "limit": {"type": "integer", "minimum": 1, "maximum": 10},
            "list": {"type": "array", "items": {"type": "string"}},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "start": {"type": "string", "format": "date-time", "pattern": "Z$", "examples": ["2024-01-01T00:00:00Z"]},
            "uri": {"type": "string", "pattern": "^https?://"},
            "storage": {"type": "object", "oneOf": [
                {"required": ["type", "path"], "properties": {
                    "type": {"const": "local"}, "path": {"type": "string"}}},
                {"required": ["type", "bucket"], "properties": {
                    "type": {"const": "s3"}, "bucket": {"type": "string"}}}]}}})
    }

    #[test]
    fn each_mismatch_names_its_field_and_what_is_expected() {
        for (config, message) in [
            (json!({}), "config field `token` is missing"),
            (json!({"token": 98765}), "config field `token` must be text"),
            (json!({"token": ""}), "config field `token` must not be empty"),
            (json!({"token": "t", "limit": "hunter2"}), "config field `limit` must be a whole number"),
            (json!({"token": "t", "limit": 0}), "config field `limit` must be at least 1"),
            (json!({"token": "t", "limit": 11}), "config field `limit` must be at most 10"),
            (json!({"token": "t", "list": [98765]}), "config field `list.0` must be text"),
            (json!({"token": "t", "mode": "hunter2"}), "config field `mode` must be one of \"a\", \"b\""),
            (
                json!({"token": "t", "start": "2024-02-30T00:00:00Z"}),
                "config field `start` must be a valid date-time, such as 2024-01-01T00:00:00Z",
            ),
            (
                json!({"token": "t", "start": "2024-02-01T00:00:00+01:00"}),
                "config field `start` must look like 2024-01-01T00:00:00Z",
            ),
            (json!({"token": "t", "uri": "hunter2"}), "config field `uri` must match the pattern ^https?://"),
            (json!({"token": "t", "storage": {"type": "s3"}}), "config field `storage.bucket` is missing"),
            (
                json!({"token": "t", "storage": {"type": "hunter2", "path": "98765"}}),
                "config field `storage.type` must be one of \"local\", \"s3\"",
            ),
            (json!(["hunter2"]), "the config must be an object"),
        ] {
            let failure = check(&config, &schema()).unwrap_err();
            assert_eq!(failure.message, message);
            assert!(!failure.message.contains("hunter2") && !failure.message.contains("98765"));
        }
    }

    #[test]
    fn a_config_that_fits_is_accepted() {
        check(&json!({"token": "t", "limit": 3, "storage": {"type": "local", "path": "/"}}), &schema())
            .unwrap();
    }
}
