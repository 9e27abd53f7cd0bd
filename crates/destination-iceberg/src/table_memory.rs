//! What a table remembers in its properties: the stream that it was made for, and the property of each column. Pure;
//! commits nothing.
//!
//! A stream keeps its table and a property keeps its column for ever, whatever else the catalog has, in whatever order
//! and spelling. Tables of version 0.1.0 remember nothing: the stream is the one that their snapshots name, and a column
//! is that of the property which version 0.1.0 would have given it.

use std::collections::{BTreeMap, HashMap};

use airbyte_protocol::message::StreamDescriptor;
use iceberg::spec::{NestedFieldRef, Schema, TableMetadata, Type};

use crate::column::{Column, ColumnType};
use crate::config::IdentifierCase;
use crate::naming::{Names, identifier, path};
use crate::table_schema::reserved_names;

/// The table property with the stream, as JSON: `{"name": …, "namespace": …}`.
const STREAM: &str = "airbyte.stream";
/// The table property with the properties of columns, as JSON: from the column's path to the property's name. Columns
/// that are named like their property are left out.
const COLUMNS: &str = "airbyte.columns";
/// The snapshot summary's key for the name of the stream.
pub const SNAPSHOT_STREAM: &str = "airbyte.stream";

/// Whose table it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Stream(StreamDescriptor),
    /// The stream's name alone, from a snapshot of version 0.1.0.
    StreamNamed(String),
    /// The table was never written, or by other programs only.
    Nobody,
}

impl Owner {
    pub fn of(metadata: &TableMetadata) -> Self {
        let remembered = metadata.properties().get(STREAM);
        if let Some(stream) = remembered.and_then(|text| serde_json::from_str(text).ok()) {
            return Self::Stream(stream);
        }
        let newest = metadata
            .snapshots()
            .filter_map(|snapshot| {
                let name = snapshot.summary().additional_properties.get(SNAPSHOT_STREAM)?;
                Some((snapshot.sequence_number(), name))
            })
            .max();
        newest.map_or(Self::Nobody, |(_, name)| Self::StreamNamed(name.clone()))
    }

    pub fn is(&self, stream: &StreamDescriptor) -> bool {
        match self {
            Self::Stream(owner) => owner == stream,
            Self::StreamNamed(name) => *name == stream.name,
            Self::Nobody => false,
        }
    }
}

/// The names that a stream's columns have in a table, and those that new ones may have.
#[derive(Debug, Clone)]
pub struct ColumnNames {
    case: IdentifierCase,
    taken: Names,
    /// The column of each property, by the path of the columns above it.
    known: HashMap<(String, String), String>,
}

impl ColumnNames {
    /// For a table that does not exist yet.
    pub fn new(case: IdentifierCase) -> Self {
        Self { case, taken: reserved_names(case), known: HashMap::new() }
    }

    /// For an existing table. `planned` are the columns as they would be in a new one, `key` the properties of the
    /// primary key.
    pub fn of(metadata: &TableMetadata, case: IdentifierCase, planned: &[Column], key: &[String]) -> Self {
        let mut names = Self::new(case);
        let remembered = remembered_columns(metadata);
        names.take_in(metadata.current_schema(), remembered.as_ref());
        if remembered.is_none() {
            names.adopt(metadata.current_schema().as_struct().fields(), planned, key, "");
        }
        names
    }

    /// The name of a property's column: the one that it has, or a new one.
    pub fn claim(&mut self, parent: &str, property: &str) -> String {
        match self.known.get(&(parent.to_owned(), property.to_owned())) {
            Some(name) => name.clone(),
            None => self.taken.claim(parent, property, self.case),
        }
    }

    /// Marks a path that no property has, such as a list's element.
    pub fn reserve(&mut self, path: &str) {
        self.taken.reserve(path);
    }

    fn take_in(&mut self, schema: &Schema, remembered: Option<&BTreeMap<String, String>>) {
        each_field(schema.as_struct().fields(), "", &mut |parent, name| {
            let whole = path(parent, name);
            self.taken.reserve(&whole);
            if let Some(remembered) = remembered {
                let property = remembered.get(&whole).map_or(name, String::as_str);
                self.known.insert((parent.to_owned(), property.to_owned()), name.to_owned());
            }
        });
    }

    /// Finds the columns of a table that remembers nothing, level by level: first those named like a property, then
    /// those whose name differs from a property only by case, then those that version 0.1.0 numbered.
    fn adopt(&mut self, fields: &[NestedFieldRef], planned: &[Column], key: &[String], parent: &str) {
        let mut free: HashMap<&str, &NestedFieldRef> =
            fields.iter().map(|field| (field.name.as_str(), field)).collect();
        let (keys, others): (Vec<&Column>, Vec<&Column>) =
            planned.iter().partition(|column| key.contains(&column.property));
        let in_order: Vec<&Column> = keys.into_iter().chain(others).collect();
        let mut found: Vec<(&Column, &NestedFieldRef)> = Vec::new();
        let case = self.case;
        let spellings: [&dyn Fn(&Column) -> String; 3] =
            [&|column| column.property.clone(), &|column| identifier(&column.property, case), &|column| {
                column.name.clone()
            }];
        for spelled in spellings {
            for column in &in_order {
                if found.iter().any(|(known, _)| known.property == column.property) {
                    continue;
                }
                if let Some(field) = free.remove(spelled(column).as_str()) {
                    found.push((column, field));
                }
            }
        }
        for (column, field) in found {
            self.known.insert((parent.to_owned(), column.property.clone()), field.name.clone());
            let (mut kind, mut stored, mut whole) =
                (&column.kind, &*field.field_type, path(parent, &field.name));
            while let (ColumnType::List(element), Type::List(list)) = (kind, stored) {
                (kind, stored) = (element, &*list.element_field.field_type);
                whole = path(&whole, &list.element_field.name);
            }
            if let (ColumnType::Struct(columns), Type::Struct(fields)) = (kind, stored) {
                self.adopt(fields.fields(), columns, &[], &whole);
            }
        }
    }
}

/// Calls `take` with each field's parent path and name, at every depth.
fn each_field(fields: &[NestedFieldRef], parent: &str, take: &mut impl FnMut(&str, &str)) {
    for field in fields {
        take(parent, &field.name);
        let mut whole = path(parent, &field.name);
        let mut stored = &*field.field_type;
        while let Type::List(list) = stored {
            take(&whole, &list.element_field.name);
            whole = path(&whole, &list.element_field.name);
            stored = &list.element_field.field_type;
        }
        if let Type::Struct(fields) = stored {
            each_field(fields.fields(), &whole, take);
        }
    }
}

fn remembered_columns(metadata: &TableMetadata) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(metadata.properties().get(COLUMNS)?).ok()
}

/// The properties with which a table remembers the stream and its columns. `metadata` is the table's, if it exists:
/// what it remembers stays.
pub fn memory(
    stream: &StreamDescriptor,
    columns: &[Column],
    metadata: Option<&TableMetadata>,
) -> HashMap<String, String> {
    let mut remembered = metadata.and_then(remembered_columns).unwrap_or_default();
    remember(columns, "", &mut remembered);
    HashMap::from([
        (
            STREAM.to_owned(),
            serde_json::json!({"name": stream.name, "namespace": stream.namespace}).to_string(),
        ),
        (COLUMNS.to_owned(), serde_json::json!(remembered).to_string()),
    ])
}

fn remember(columns: &[Column], parent: &str, remembered: &mut BTreeMap<String, String>) {
    for column in columns {
        let mut whole = path(parent, &column.name);
        if column.name == column.property {
            remembered.remove(&whole);
        } else {
            remembered.insert(whole.clone(), column.property.clone());
        }
        let mut kind = &column.kind;
        while let ColumnType::List(element) = kind {
            /// Iceberg's own name for what is in a list.
            const ELEMENT: &str = "element";
            whole = path(&whole, ELEMENT);
            kind = element;
        }
        if let ColumnType::Struct(columns) = kind {
            remember(columns, &whole, remembered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_schema::new_schema;
    use iceberg::TableCreation;
    use iceberg::spec::TableMetadataBuilder;

    fn column(property: &str, name: &str) -> Column {
        let (property, name) = (property.to_owned(), name.to_owned());
        Column { property, name, kind: ColumnType::Text, description: None }
    }

    fn table(columns: &[Column], case: IdentifierCase, properties: HashMap<String, String>) -> TableMetadata {
        let schema = new_schema(columns, case).unwrap();
        let creation = TableCreation::builder().name("t".into()).location("file:///t".into()).schema(schema);
        let creation = creation.properties(properties).build();
        TableMetadataBuilder::from_table_creation(creation).unwrap().build().unwrap().metadata
    }

    fn claimed(names: &mut ColumnNames, properties: &[&str]) -> Vec<String> {
        properties.iter().map(|property| names.claim("", property)).collect()
    }

    #[test]
    fn a_property_keeps_its_column_whatever_comes_beside_it() {
        let case = IdentifierCase::Upper;
        let first = [column("name", "NAME")];
        let stream = StreamDescriptor::named("s");
        let metadata = table(&first, case, memory(&stream, &first, None));
        let planned = [column("Name", "NAME"), column("name", "NAME_2")];
        let mut names = ColumnNames::of(&metadata, case, &planned, &[]);
        assert_eq!(claimed(&mut names, &["Name", "name"]), ["NAME_2", "NAME"]);
        assert!(Owner::of(&metadata).is(&stream) && !Owner::of(&metadata).is(&StreamDescriptor::named("S")));
    }

    #[test]
    fn a_table_without_memory_gives_its_columns_to_those_who_had_them() {
        let case = IdentifierCase::Preserve;
        let metadata = table(&[column("Name", "Name"), column("name", "name_2")], case, HashMap::new());
        let planned = [column("Name", "Name"), column("name", "name_2")];
        let mut names = ColumnNames::of(&metadata, case, &planned, &[]);
        assert_eq!(claimed(&mut names, &["name", "Name", "NAME"]), ["name_2", "Name", "NAME_3"]);
        let metadata = table(&[column("id", "ID")], IdentifierCase::Upper, HashMap::new());
        let planned = [column("ID", "ID"), column("id", "ID_2")];
        let mut names = ColumnNames::of(&metadata, IdentifierCase::Upper, &planned, &["id".to_owned()]);
        // The spelling that is the column's own comes first.
        assert_eq!(claimed(&mut names, &["ID", "id"]), ["ID", "ID_2"]);
        let planned = [column("Id", "ID"), column("id", "ID_2")];
        let mut names = ColumnNames::of(&metadata, IdentifierCase::Upper, &planned, &["id".to_owned()]);
        assert_eq!(claimed(&mut names, &["Id", "id"]), ["ID_2", "ID"], "the key keeps its column");
    }
}
