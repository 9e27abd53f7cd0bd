//! A stream's table: its schema when it is made, its changes later, and which column takes what. Pure; commits
//! nothing.
//!
//! The code is shorter than 400 lines; its tests are the rest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use iceberg::spec::{ListType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type};

use crate::column::{Column, ColumnType};
use crate::config::IdentifierCase;
use crate::failure::{Failure, Result, of_iceberg};
use crate::naming::{Names, identifier, path};

/// A column that the destination fills itself. Names and meanings are Airbyte's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AirbyteColumn {
    /// A UUID of version 7, made here.
    RawId,
    /// The record's `emitted_at`.
    ExtractedAt,
    /// `sync_id`, and what was nulled or truncated on the way.
    Meta,
    /// The catalog's `generation_id`.
    GenerationId,
}

impl AirbyteColumn {
    pub const ALL: [Self; 4] = [Self::RawId, Self::ExtractedAt, Self::Meta, Self::GenerationId];

    pub fn name(self, case: IdentifierCase) -> String {
        let name = match self {
            Self::RawId => "_airbyte_raw_id",
            Self::ExtractedAt => "_airbyte_extracted_at",
            Self::Meta => "_airbyte_meta",
            Self::GenerationId => "_airbyte_generation_id",
        };
        identifier(name, case)
    }

    fn to_field(self, case: IdentifierCase, last_id: &mut i32) -> NestedFieldRef {
        *last_id += 1;
        let id = *last_id;
        let name = self.name(case);
        let required = |kind| NestedField::required(id, &name, kind);
        let field = match self {
            Self::RawId => {
                required(Type::Primitive(PrimitiveType::String)).with_doc("Airbyte: unique per row")
            }
            Self::ExtractedAt => required(Type::Primitive(PrimitiveType::Timestamptz))
                .with_doc("Airbyte: when the source emitted the record"),
            Self::Meta => required(meta_type(last_id))
                .with_doc("Airbyte: the sync, and each field that is not as the source had it"),
            Self::GenerationId => NestedField::optional(id, &name, Type::Primitive(PrimitiveType::Long))
                .with_doc("Airbyte: the generation of the stream's last full refresh"),
        };
        field.into()
    }
}

/// `struct<sync_id: long, changes: list<struct<field, change, reason: string>>>`, as Airbyte's lake destinations
/// lay it out.
fn meta_type(last_id: &mut i32) -> Type {
    let mut next = || {
        *last_id += 1;
        *last_id
    };
    let text =
        |id, name: &str| NestedField::required(id, name, Type::Primitive(PrimitiveType::String)).into();
    let sync_id = NestedField::required(next(), "sync_id", Type::Primitive(PrimitiveType::Long));
    let (changes_id, element_id) = (next(), next());
    let change = StructType::new(vec![text(next(), "field"), text(next(), "change"), text(next(), "reason")]);
    let element = NestedField::list_element(element_id, Type::Struct(change), true);
    let changes = NestedField::required(changes_id, "changes", Type::List(ListType::new(element.into())));
    Type::Struct(StructType::new(vec![sync_id.into(), changes.into()]))
}

/// The names that Iceberg reserves for columns of its readers' own, such as a row's file and position.
const METADATA_COLUMNS: [&str; 10] = [
    "_file",
    "_pos",
    "_deleted",
    "_spec_id",
    "_partition",
    "_row_id",
    "_last_updated_sequence_number",
    "_change_type",
    "_change_ordinal",
    "_commit_snapshot_id",
];

/// The names that no stream's property can have.
pub fn reserved_names(case: IdentifierCase) -> Names {
    let mut names = Names::default();
    for column in AirbyteColumn::ALL {
        names.reserve(&column.name(case));
    }
    let meta = AirbyteColumn::Meta.name(case);
    for field in ["sync_id", "changes", "changes.element", "changes.element.field", "changes.element.change"]
    {
        names.reserve(&path(&meta, field));
    }
    names.reserve(&path(&meta, "changes.element.reason"));
    METADATA_COLUMNS.iter().for_each(|name| names.reserve(name));
    names
}

/// The schema of a new table: Airbyte's columns, then the stream's.
pub fn new_schema(columns: &[Column], case: IdentifierCase) -> Result<Schema> {
    let mut last_id = 0;
    let mut fields: Vec<NestedFieldRef> = Vec::with_capacity(columns.len() + AirbyteColumn::ALL.len());
    fields.extend(AirbyteColumn::ALL.iter().map(|column| column.to_field(case, &mut last_id)));
    fields.extend(columns.iter().map(|column| column.to_field(&mut last_id)));
    Schema::builder().with_fields(fields).build().map_err(of_iceberg)
}

/// The case in which a table has Airbyte's columns: the one that it was made with, else the config's.
pub fn airbyte_case(schema: &Schema, case: IdentifierCase) -> IdentifierCase {
    let cases = [case, IdentifierCase::Lower, IdentifierCase::Upper];
    let fits = |case: &IdentifierCase| schema.field_by_name(&AirbyteColumn::RawId.name(*case)).is_some();
    cases.into_iter().find(fits).unwrap_or(case)
}

/// What becomes of a column whose type cannot evolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// The stream fails.
    Refuse,
    /// A new column takes its name and place: every row is replaced in the same commit.
    Replace,
}

/// A schema that a table needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Evolved {
    pub schema: Schema,
    /// Whether columns are replaced, so that rows of the old schema cannot stay.
    pub replaces_columns: bool,
}

/// The schema that an existing table needs to take the stream, or nothing if it is ready as it is.
///
/// Columns are added, and widened from int to long and from float to double; columns that the stream no longer
/// has stay. Errors name everything that Iceberg cannot evolve, each with what to do.
pub fn evolved(
    schema: &Schema,
    last_column_id: i32,
    columns: &[Column],
    case: IdentifierCase,
    conflicts: Conflicts,
) -> Result<Option<Evolved>> {
    let mut evolution =
        Evolution { last_id: last_column_id, changed: false, replaced: false, conflicts: Vec::new() };
    let replace = conflicts == Conflicts::Replace;
    let mut retyped: Vec<NestedFieldRef> = Vec::new();
    let mut missing: Vec<NestedFieldRef> = Vec::new();
    for column in AirbyteColumn::ALL {
        let name = column.name(case);
        let mut scratch_id = 0;
        let wanted = column.to_field(case, &mut scratch_id);
        match schema.as_struct().fields().iter().find(|field| field.name == name) {
            Some(found) if same_shape(&found.field_type, &wanted.field_type) => {}
            Some(found) if !replace => {
                evolution.conflict(&name, &found.field_type, "Airbyte's own type for it");
            }
            // An added column is null in older rows, so it can only be optional.
            found => {
                let mut field = (*column.to_field(case, &mut evolution.last_id)).clone();
                field.required = false;
                if found.is_some() { retyped.push(field.into()) } else { missing.push(field.into()) }
            }
        }
    }
    let mut fields = evolution.columns(schema.as_struct().fields(), columns, conflicts);
    evolution.replaced |= !retyped.is_empty();
    evolution.changed |= evolution.replaced || !missing.is_empty();
    fields.extend(missing);
    for field in retyped {
        fields.iter_mut().filter(|old| old.name == field.name).for_each(|old| *old = field.clone());
    }
    for field in schema.as_struct().fields() {
        let known = columns.iter().any(|column| column.name == field.name)
            || AirbyteColumn::ALL.iter().any(|column| column.name(case) == field.name);
        if field.required && !known && replace {
            // No row of before stays, and those that come have nothing for it.
            evolution.changed = true;
            for stored in fields.iter_mut().filter(|stored| stored.id == field.id) {
                let mut optional = (**stored).clone();
                optional.required = false;
                *stored = optional.into();
            }
        } else if field.required && !known {
            evolution.conflicts.push(format!("column {:?} is required and the stream has none", field.name));
        }
    }
    if !evolution.conflicts.is_empty() {
        return Err(Failure::configuration(format!(
            "the table cannot take the stream: {}. Rename or drop what is in the way, or drop the table and \
             refresh the stream",
            evolution.conflicts.join("; ")
        )));
    }
    if !evolution.changed {
        return Ok(None);
    }
    let required: HashSet<i32> = fields.iter().filter(|field| field.required).map(|field| field.id).collect();
    // The fields that identify a row have to be required; those inside of others are no concern of ours.
    let identifiers = schema.identifier_field_ids().filter(|id| {
        required.contains(id) || !schema.as_struct().fields().iter().any(|field| field.id == *id)
    });
    let schema = Schema::builder()
        .with_fields(fields)
        .with_identifier_field_ids(identifiers)
        .build()
        .map_err(of_iceberg)?;
    Ok(Some(Evolved { schema, replaces_columns: evolution.replaced }))
}

struct Evolution {
    last_id: i32,
    changed: bool,
    replaced: bool,
    conflicts: Vec<String>,
}

impl Evolution {
    /// The columns of the table: what cannot evolve is a conflict, or a new column in its place.
    fn columns(
        &mut self,
        existing: &[NestedFieldRef],
        wanted: &[Column],
        conflicts: Conflicts,
    ) -> Vec<NestedFieldRef> {
        if conflicts == Conflicts::Refuse {
            return self.fields(existing, wanted, "");
        }
        let mut fields = Vec::with_capacity(existing.len());
        for field in existing {
            let own: Vec<Column> =
                wanted.iter().filter(|column| column.name == field.name).cloned().collect();
            let mut evolved = self.fields(std::slice::from_ref(field), &own, "");
            if !self.conflicts.is_empty() {
                self.conflicts.clear();
                self.replaced = true;
                evolved = own.iter().map(|column| column.to_field(&mut self.last_id)).collect();
            }
            fields.extend(evolved);
        }
        for column in wanted {
            if !existing.iter().any(|field| field.name == column.name) {
                self.changed = true;
                fields.push(column.to_field(&mut self.last_id));
            }
        }
        fields
    }

    /// The fields of one level: the existing ones, widened where wanted, then the new ones.
    fn fields(&mut self, existing: &[NestedFieldRef], wanted: &[Column], path: &str) -> Vec<NestedFieldRef> {
        let wanted_by_name: HashMap<&str, &Column> =
            wanted.iter().map(|column| (column.name.as_str(), column)).collect();
        let mut fields = Vec::with_capacity(existing.len());
        for field in existing {
            let Some(column) = wanted_by_name.get(field.name.as_str()) else {
                fields.push(field.clone());
                continue;
            };
            let path = format!("{path}{}", field.name);
            let mut field = (**field).clone();
            field.field_type = Box::new(self.widened(&field.field_type, &column.kind, &path));
            fields.push(field.into());
        }
        for column in wanted {
            if !existing.iter().any(|field| field.name == column.name) {
                self.changed = true;
                fields.push(column.to_field(&mut self.last_id));
            }
        }
        fields
    }

    fn widened(&mut self, existing: &Type, wanted: &ColumnType, path: &str) -> Type {
        let widened = match (existing, wanted) {
            (Type::Primitive(PrimitiveType::Int), ColumnType::Long) => Some(PrimitiveType::Long),
            (Type::Primitive(PrimitiveType::Float), ColumnType::Double) => Some(PrimitiveType::Double),
            _ => None,
        };
        if let Some(primitive) = widened {
            self.changed = true;
            return Type::Primitive(primitive);
        }
        match (existing, wanted) {
            (Type::Struct(found), ColumnType::Struct(columns)) => {
                Type::Struct(StructType::new(self.fields(found.fields(), columns, &format!("{path}."))))
            }
            (Type::List(found), ColumnType::List(element)) => {
                let mut field = (*found.element_field).clone();
                field.field_type = Box::new(self.widened(&field.field_type, element, &format!("{path}[]")));
                Type::List(ListType::new(field.into()))
            }
            (Type::Primitive(found), _) => {
                if wanted.to_iceberg(&mut 0) != Type::Primitive(found.clone()) {
                    self.conflict(path, existing, &wanted.to_iceberg(&mut 0).to_string());
                }
                existing.clone()
            }
            _ => {
                self.conflict(path, existing, &wanted.to_iceberg(&mut 0).to_string());
                existing.clone()
            }
        }
    }

    fn conflict(&mut self, path: &str, existing: &Type, wanted: &str) {
        self.conflicts.push(format!("column {path:?} is {existing} and would have to be {wanted}"));
    }
}

/// Whether two types are the same but for field numbers, comments and what is required.
fn same_shape(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Primitive(left), Type::Primitive(right)) => left == right,
        (Type::List(left), Type::List(right)) => {
            same_shape(&left.element_field.field_type, &right.element_field.field_type)
        }
        (Type::Struct(left), Type::Struct(right)) => {
            left.fields().len() == right.fields().len()
                && left.fields().iter().zip(right.fields()).all(|(left, right)| {
                    left.name == right.name && same_shape(&left.field_type, &right.field_type)
                })
        }
        _ => false,
    }
}

/// What fills one of a table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filling {
    Airbyte(AirbyteColumn),
    /// The column at this place in the stream's list.
    Stream(usize),
    /// Nothing: the stream does not have it any more.
    Null,
}

/// Each of a table's columns with what fills it, in the table's order.
pub fn fillings(schema: &Schema, columns: &[Column], case: IdentifierCase) -> Vec<Filling> {
    let by_name: HashMap<&str, usize> =
        columns.iter().enumerate().map(|(index, column)| (column.name.as_str(), index)).collect();
    schema
        .as_struct()
        .fields()
        .iter()
        .map(|field: &Arc<NestedField>| {
            let airbyte = AirbyteColumn::ALL.into_iter().find(|column| column.name(case) == field.name);
            match (airbyte, by_name.get(field.name.as_str())) {
                (Some(column), _) => Filling::Airbyte(column),
                (None, Some(index)) => Filling::Stream(*index),
                (None, None) => Filling::Null,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: IdentifierCase = IdentifierCase::Preserve;

    fn column(name: &str, kind: ColumnType) -> Column {
        Column { property: name.into(), name: name.into(), kind, description: Some(format!("about {name}")) }
    }

    fn with_type(schema: &Schema, name: &str, kind: PrimitiveType) -> Schema {
        let fields = schema.as_struct().fields().iter().map(|field| {
            let mut field = (**field).clone();
            if field.name == name {
                field.field_type = Box::new(Type::Primitive(kind.clone()));
            }
            Arc::new(field)
        });
        Schema::builder().with_fields(fields).build().unwrap()
    }

    #[test]
    fn a_new_table_has_airbytes_columns_and_comments() {
        let schema = new_schema(&[column("gid", ColumnType::Text)], CASE).unwrap();
        let names: Vec<&str> = schema.as_struct().fields().iter().map(|field| field.name.as_str()).collect();
        assert_eq!(
            names,
            ["_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id", "gid"]
        );
        assert_eq!(schema.field_by_name("gid").unwrap().doc.as_deref(), Some("about gid"));
        assert_eq!(schema.highest_field_id(), 11);
    }

    #[test]
    fn a_table_that_fits_is_left_alone_even_if_it_has_more_columns() {
        let both = [column("a", ColumnType::Long), column("b", ColumnType::Text)];
        let schema = new_schema(&both, CASE).unwrap();
        assert_eq!(evolved(&schema, 12, &both[..1], CASE, Conflicts::Refuse).unwrap(), None);
        let filled = fillings(&schema, &both[1..], CASE);
        assert_eq!(filled[4..], [Filling::Null, Filling::Stream(0)]);
    }

    #[test]
    fn columns_are_added_with_new_numbers_and_widened_in_place() {
        let schema =
            new_schema(&[column("a", ColumnType::Long), column("f", ColumnType::Double)], CASE).unwrap();
        let narrow = with_type(&with_type(&schema, "a", PrimitiveType::Int), "f", PrimitiveType::Float);
        let wanted = [
            column("a", ColumnType::Long),
            column("b", ColumnType::List(Box::new(ColumnType::Text))),
            column("f", ColumnType::Double),
        ];
        let evolved = evolved(&narrow, 40, &wanted, CASE, Conflicts::Refuse).unwrap().unwrap().schema;
        let field = |name: &str| evolved.field_by_name(name).unwrap().clone();
        assert_eq!(*field("a").field_type, Type::Primitive(PrimitiveType::Long));
        assert_eq!(field("a").id, schema.field_by_name("a").unwrap().id);
        assert_eq!(*field("f").field_type, Type::Primitive(PrimitiveType::Double));
        assert_eq!((field("b").id, field("b").required), (41, false));
        assert_eq!(evolved.highest_field_id(), 42);
    }

    #[test]
    fn nested_fields_evolve_too() {
        let object = |fields| column("o", ColumnType::List(Box::new(ColumnType::Struct(fields))));
        let before = object(vec![column("x", ColumnType::Text)]);
        let after = object(vec![column("x", ColumnType::Text), column("y", ColumnType::Long)]);
        let schema = new_schema(&[before], CASE).unwrap();
        let evolved = evolved(&schema, schema.highest_field_id(), &[after], CASE, Conflicts::Refuse);
        let evolved = evolved.unwrap().unwrap().schema;
        assert_eq!(evolved.field_by_name("o.element.y").unwrap().id, schema.highest_field_id() + 1);
    }

    #[test]
    fn what_cannot_evolve_is_told_all_at_once() {
        let schema =
            new_schema(&[column("a", ColumnType::Long), column("b", ColumnType::Text)], CASE).unwrap();
        let wanted = [column("a", ColumnType::Double), column("b", ColumnType::Timestamptz)];
        let failure = evolved(&schema, 12, &wanted, CASE, Conflicts::Refuse).unwrap_err();
        assert!(failure.message.contains(r#"column "a" is long and would have to be double"#), "{failure:?}");
        assert!(failure.message.contains(r#"column "b" is string"#), "{failure:?}");
    }

    #[test]
    fn a_retyped_column_is_replaced_in_its_place_by_a_new_one() {
        let before = [column("a", ColumnType::Long), column("b", ColumnType::Text)];
        let schema = new_schema(&before, CASE).unwrap();
        let wanted = [column("a", ColumnType::Text), column("b", ColumnType::Text)];
        let last = schema.highest_field_id();
        let evolved = evolved(&schema, last, &wanted, CASE, Conflicts::Replace).unwrap().unwrap();
        assert!(evolved.replaces_columns);
        let names = |schema: &Schema| -> Vec<String> {
            schema.as_struct().fields().iter().map(|field| field.name.clone()).collect()
        };
        assert_eq!(names(&evolved.schema), names(&schema));
        let a = evolved.schema.field_by_name("a").unwrap();
        assert_eq!((a.id, &*a.field_type), (last + 1, &Type::Primitive(PrimitiveType::String)));
        assert_eq!(evolved.schema.field_by_name("b"), schema.field_by_name("b"));
    }

    #[test]
    fn a_required_column_that_nobody_fills_is_a_conflict() {
        let mut fields = new_schema(&[], CASE).unwrap().as_struct().fields().to_vec();
        fields.push(NestedField::required(50, "theirs", Type::Primitive(PrimitiveType::Long)).into());
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        let failure = evolved(&schema, 50, &[], CASE, Conflicts::Refuse).unwrap_err();
        assert!(failure.message.contains("theirs"), "{failure:?}");
    }
}
