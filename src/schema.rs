//! JSON schemas of streams in the dialect of Airbyte's platform and destinations.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::stream::{Deletions, Listing, Stream};

/// A keyword on a column that the connector adds. Its value is the name of the [`Origin`]. It is not published.
pub const ORIGIN: &str = "x-origin";

/// A keyword on the column with the parent's gid. `stream` is the name of the stream itself, and `references` are the
/// names of the streams that the gid refers to. A destination can use it to delete the rows of a deleted parent. If
/// Airbyte adds a prefix to the names of streams, it does not change these; comparing `stream` to the stream's name
/// shows the prefix.
pub const FOREIGN_KEY: &str = "x-foreign-key";

/// The column with which a source marks a deleted record for Airbyte's destinations.
pub const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// The column that orders the versions of a record, those of deleted ones among them.
pub const UPDATED_AT: &str = "_ab_cdc_updated_at";

/// The source of an added column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The gid of the parent for which the record was listed.
    Parent,
    /// The time of deletion; null for records that exist.
    Deletion,
    /// The time at which this version of the record was emitted.
    Emission,
}

impl Origin {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Deletion => "deletion",
            Self::Emission => "emission",
        }
    }
}

/// The JSON schema of a stream's records in the catalog: draft 07, no `$ref`, every type nullable, additional
/// properties allowed.
pub fn published(stream: &Stream) -> Value {
    let mut schema = marked(stream);
    let references = reported_parents(stream);
    if let Some(column) = parent_column(&schema).map(str::to_owned).filter(|_| !references.is_empty()) {
        schema["properties"][&column][FOREIGN_KEY] = json!({"stream": stream.name, "references": references});
    }
    strip_marks(&mut schema);
    schema
}

/// The streams that report when a parent of the stream's records is deleted, if the stream reports deletions itself.
fn reported_parents(stream: &Stream) -> Vec<&'static str> {
    let reports = |stream: &Stream| !matches!(stream.deletions, Deletions::Unreported);
    if !reports(stream) {
        return Vec::new();
    }
    let parents = stream.parents().into_iter().filter(|parent| reports(parent)).map(|parent| parent.name);
    let own = matches!(stream.listing, Listing::Tree(_)).then_some(stream.name);
    parents.chain(own).collect()
}

/// Like [`published`], with the marks that distinguish added columns from Asana's fields.
pub fn marked(stream: &Stream) -> Value {
    let mut schema = flat(|generator| stream.shape(generator));
    let reports_deletions = !matches!(stream.deletions, Deletions::Unreported);
    if let Some(properties) =
        schema.get_mut("properties").and_then(Value::as_object_mut).filter(|_| reports_deletions)
    {
        properties.insert(
            DELETED_AT.to_owned(),
            json!({
                ORIGIN: Origin::Deletion.name(),
                "description": "When the record was deleted in Asana; null for existing records. A deleted record \
                                has only its key, its cursors and this time.",
                "type": ["null", "string"],
                "format": "date-time",
                "airbyte_type": "timestamp_with_timezone",
            }),
        );
        properties.insert(
            UPDATED_AT.to_owned(),
            json!({
                ORIGIN: Origin::Emission.name(),
                "description": "When the connector emitted this version of the record, in Asana's time. It orders \
                                the versions of a record: a row that was restored is later than its deletion.",
                "type": ["null", "string"],
                "format": "date-time",
                "airbyte_type": "timestamp_with_timezone",
            }),
        );
    }
    schema
}

/// The schema of any type in draft 07 without `$ref`, otherwise unchanged.
pub fn inlined<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    settings.into_generator().root_schema_for::<T>().to_value()
}

/// The name of the column with the parent's gid, if the stream has one.
pub fn parent_column(schema: &Value) -> Option<&str> {
    properties(schema)?
        .iter()
        .find(|(_, property)| property.get(ORIGIN).and_then(Value::as_str) == Some(Origin::Parent.name()))
        .map(|(name, _)| name.as_str())
}

/// The column that orders versions of a stream's records, if it has any.
pub fn cursor(stream: &Stream) -> Option<&'static str> {
    match stream.deletions {
        Deletions::Unreported => stream.cursor.field(),
        Deletions::Absence { .. } | Deletions::Events { .. } => Some(UPDATED_AT),
    }
}

pub fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

fn flat(shape: impl Fn(&mut schemars::SchemaGenerator) -> Schema) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut generator = settings.into_generator();
    let mut schema = shape(&mut generator);
    RecursiveTransform(to_dialect).transform(&mut schema);
    // A record itself is never null, and platforms expect the type `object` at the top.
    schema.insert("type".into(), json!("object"));
    schema.to_value()
}

/// Keeps what destinations use: types, time formats, names, descriptions. Removes enumerations and number formats,
/// because Asana adds values without notice, and `required`, because any field may be absent.
fn to_dialect(schema: &mut Schema) {
    let Some(keywords) = schema.as_object_mut() else { return };
    for keyword in
        ["title", "default", "required", "enum", "const", "minimum", "maximum", "$defs", "definitions"]
    {
        keywords.remove(keyword);
    }
    match keywords.get("format").and_then(Value::as_str) {
        Some("date-time") => drop(keywords.insert("airbyte_type".into(), json!("timestamp_with_timezone"))),
        Some("date") | None => {}
        Some(_) => drop(keywords.remove("format")),
    }
    if let Some(Value::String(name)) = keywords.get("type") {
        let is_object = name == "object";
        let nullable = json!(["null", name]);
        keywords.insert("type".into(), nullable);
        if is_object {
            keywords.insert("additionalProperties".into(), json!(true));
        }
    }
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        // Unwrap the lines of a doc comment.
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

fn strip_marks(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            keywords.remove(ORIGIN);
            keywords.values_mut().for_each(strip_marks);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_marks),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every violation of the dialect, with its path. The conformance test expects none.
pub fn departures_from_dialect(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look_for_departures(schema, "", &mut found);
    found
}

fn look_for_departures(schema: &Value, place: &str, found: &mut Vec<String>) {
    const KEYWORDS: [&str; 9] = [
        "$schema",
        "type",
        "format",
        "airbyte_type",
        "description",
        "properties",
        "items",
        "additionalProperties",
        FOREIGN_KEY,
    ];
    let Some(keywords) = schema.as_object() else {
        found.push(format!("{place}: a schema that is no object"));
        return;
    };
    for keyword in keywords.keys().filter(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
        found.push(format!("{place}: keyword {keyword}"));
    }
    let is_nullable = keywords.get("type").and_then(Value::as_array).is_some_and(|types| types[0] == "null");
    let is_top = place.is_empty() && keywords.get("type").is_some_and(|name| name == "object");
    if !is_nullable && !is_top {
        found.push(format!("{place}: no nullable type"));
    }
    for (name, property) in properties(schema).into_iter().flatten() {
        look_for_departures(property, &format!("{place}/{name}"), found);
    }
    if let Some(items) = keywords.get("items") {
        look_for_departures(items, &format!("{place}/*"), found);
    }
}
