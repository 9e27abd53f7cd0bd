//! A stream's shape in the dialect that Airbyte's platform and destinations understand.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::stream::{Deletions, Listing, Stream};

/// A keyword on a property that Asana does not send under that name: the walker adds it. Its value is the
/// [`Origin`]'s name. It is not published.
pub const ORIGIN: &str = "x-origin";

/// A keyword on the column with the parent's gid: `stream`, this stream's own name, and `references`, the names of the
/// streams that the gid refers to. A destination may delete the rows of a deleted parent by it. Airbyte can add a prefix to
/// the names of streams and not to those in here; the own name shows which.
pub const FOREIGN_KEY: &str = "x-foreign-key";

/// The column by which Airbyte's destinations tell a deleted record.
pub const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// The column that orders the versions of a record, those of deleted ones among them.
pub const UPDATED_AT: &str = "_ab_cdc_updated_at";

/// Where an added column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The gid of the parent for which the record was listed.
    Parent,
    /// The time at which the record was found to be deleted; null while it is not.
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

/// The JSON schema of a stream's records as a catalog publishes it: draft 07, no `$ref`, every type nullable,
/// objects open.
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
    let reports = |stream: &Stream| !matches!(stream.deletions, Deletions::Untold);
    if !reports(stream) {
        return Vec::new();
    }
    let parents = stream.parents().into_iter().filter(|parent| reports(parent)).map(|parent| parent.name);
    let own = matches!(stream.listing, Listing::Tree(_)).then_some(stream.name);
    parents.chain(own).collect()
}

/// Like [`published`], with the marks that tell added columns from Asana's fields.
pub fn marked(stream: &Stream) -> Value {
    let mut schema = flat(|generator| stream.shape(generator));
    let tells_deletions = !matches!(stream.deletions, Deletions::Untold);
    if let Some(properties) =
        schema.get_mut("properties").and_then(Value::as_object_mut).filter(|_| tells_deletions)
    {
        properties.insert(
            DELETED_AT.to_owned(),
            json!({
                ORIGIN: Origin::Deletion.name(),
                "description": "When the record was deleted in Asana; null while it is not. A deleted record has \
                                no other columns but its key and its cursors.",
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

/// The schema of any type in plain draft 07 without `$ref`, as it stands otherwise.
pub fn inlined<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    settings.into_generator().root_schema_for::<T>().to_value()
}

/// The name of the column that carries the parent's gid, if the stream has one.
pub fn parent_column(schema: &Value) -> Option<&str> {
    properties(schema)?
        .iter()
        .find(|(_, property)| property.get(ORIGIN).and_then(Value::as_str) == Some(Origin::Parent.name()))
        .map(|(name, _)| name.as_str())
}

/// The column that orders versions of a stream's records, if it has any.
pub fn cursor(stream: &Stream) -> Option<&'static str> {
    match stream.deletions {
        Deletions::Untold => stream.cursor.field(),
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
    // A record itself is never null, and platforms look for an object at the top.
    schema.insert("type".into(), json!("object"));
    schema.to_value()
}

/// What destinations read of a schema: a type, a time format, names, descriptions. The rest goes: enumerations
/// and number formats, because Asana adds values without notice, and requirements, because any field may be
/// absent.
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
        // Doc comments are wrapped; a description is one line.
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

/// Every way in which `schema` leaves the dialect, with the place; the conformance test wants none.
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
