//! Where a config does not fit the spec: the field, and what was expected there. It never quotes what was found, which
//! might be a secret. Knows no field by name.

use serde_json::Value;

use super::specification::connection_specification;
use crate::error::Failure;

/// # Errors
///
/// With every mismatch, by its field.
pub(super) fn check_against_spec(config: &Value) -> Result<(), Failure> {
    let specification = connection_specification();
    let validator = jsonschema::draft7::new(&specification)
        .map_err(|error| Failure::bug(format!("the spec is not a JSON schema: {error}")))?;
    let mut problems: Vec<String> = validator.iter_errors(config).map(|error| explain(&error)).collect();
    problems.dedup();
    if problems.is_empty() { Ok(()) } else { Err(Failure::config(problems.join("; "))) }
}

/// What was expected at which field.
fn explain(error: &jsonschema::ValidationError<'_>) -> String {
    use jsonschema::error::ValidationErrorKind as Kind;
    let place = field_name(&error.instance_path().to_string());
    match error.kind() {
        Kind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            format!(
                "config field `{}` is missing",
                join(&field_name(&error.instance_path().to_string()), property)
            )
        }
        Kind::Type { kind } => format!("{} must be {}", field(&place), type_phrase(&format!("{kind:?}"))),
        Kind::Minimum { limit } => format!("{} must be at least {limit}", field(&place)),
        Kind::Maximum { limit } => format!("{} must be at most {limit}", field(&place)),
        Kind::Enum { options } => format!("{} must be one of {options}", field(&place)),
        Kind::Constant { expected_value } => format!("{} must be {expected_value}", field(&place)),
        Kind::Pattern { .. } | Kind::Format { .. } => {
            format!("{} must look like 2024-01-01T00:00:00Z, on a day that exists", field(&place))
        }
        Kind::OneOfNotValid { context } => explain_choice(&place, context),
        _ => format!("{} does not fit the spec", field(&place)),
    }
}

/// A choice has one option for each constant: the option whose constant was given tells what is wrong in it.
fn explain_choice(place: &str, context: &[Vec<jsonschema::ValidationError<'_>>]) -> String {
    use jsonschema::error::ValidationErrorKind as Kind;
    let is_other_option =
        |error: &jsonschema::ValidationError<'_>| matches!(error.kind(), Kind::Constant { .. });
    match context.iter().find(|errors| !errors.iter().any(is_other_option)) {
        Some(errors) => errors.iter().map(explain).collect::<Vec<_>>().join("; "),
        None => {
            let constants = context.iter().flatten().filter_map(|error| match error.kind() {
                Kind::Constant { expected_value } => {
                    Some((error.instance_path().to_string(), expected_value.to_string()))
                }
                _ => None,
            });
            let (paths, titles): (Vec<_>, Vec<_>) = constants.unzip();
            let path = paths.first().map_or(place.to_owned(), |path| field_name(path));
            format!("{} must be one of {}", field(&path), titles.join(", "))
        }
    }
}

fn field(place: &str) -> String {
    if place.is_empty() { "the config".to_owned() } else { format!("config field `{place}`") }
}

fn field_name(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn join(place: &str, property: &str) -> String {
    if place.is_empty() { property.to_owned() } else { format!("{place}.{property}") }
}

fn type_phrase(kind: &str) -> String {
    let lower = kind.to_lowercase();
    let name = ["object", "array", "string", "integer", "number", "boolean"]
        .into_iter()
        .find(|name| lower.contains(name));
    match name {
        Some("object") => "an object".to_owned(),
        Some("array") => "a list".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => "a whole number".to_owned(),
        Some("number") => "a number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some(_) | None => "of another type".to_owned(),
    }
}
