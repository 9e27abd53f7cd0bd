//! The JSON schema of a config in the dialect that Airbyte's form reads.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of `Config`: draft 07 without `$ref`, one type for each field, no numeric formats, descriptions on one line.
/// Unknown fields are allowed, since platforms add their own.
pub fn form_schema<Config: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().root_schema_for::<Config>().to_value();
    simplify(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("type".into(), json!("object"));
        root.insert("additionalProperties".into(), json!(true));
    }
    schema
}

fn simplify(schema: &mut Value) {
    let Value::Object(keywords) = schema else {
        if let Value::Array(items) = schema {
            items.iter_mut().for_each(simplify);
        }
        return;
    };
    collapse_nullable(keywords);
    if let Some(Value::Array(types)) = keywords.get("type") {
        let single = types.iter().find(|name| *name != "null").cloned();
        keywords.extend(single.map(|single| ("type".to_owned(), single)));
    }
    if keywords.get("format").is_some_and(|format| format != "date-time") {
        keywords.remove("format");
    }
    if keywords.get("default") == Some(&Value::Null) {
        keywords.remove("default");
    }
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    keywords.values_mut().for_each(simplify);
}

/// Replaces `anyOf: [X, null]`, which is the schema of an optional object, by X.
fn collapse_nullable(keywords: &mut Map<String, Value>) {
    let Some(Value::Array(options)) = keywords.get("anyOf") else { return };
    let Some(Value::Object(inner)) =
        options.iter().find(|option| option.get("type") != Some(&json!("null"))).cloned()
    else {
        return;
    };
    keywords.remove("anyOf");
    for (keyword, value) in inner {
        keywords.entry(keyword).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where to write.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is used")]
    struct Config {
        /// A name
        /// on two lines.
        name: Option<String>,
        limit: Option<u32>,
        inner: Option<Inner>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is used")]
    struct Inner {
        path: String,
    }

    #[test]
    fn every_field_has_one_type_and_nothing_is_a_reference() {
        let schema = form_schema::<Config>();
        let properties = &schema["properties"];
        assert_eq!(properties["name"], json!({"description": "A name on two lines.", "type": "string"}));
        assert_eq!(properties["limit"], json!({"type": "integer", "minimum": 0}));
        assert_eq!(properties["inner"]["properties"]["path"], json!({"type": "string"}));
        assert!(!schema.to_string().contains("$ref"));
        assert_eq!(schema["additionalProperties"], true);
    }
}
