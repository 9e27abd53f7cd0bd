//! A column of a table: the property that it stores, and its Iceberg type.

use std::sync::Arc;

use iceberg::spec::{ListType, NestedField, PrimitiveType, StructType, Type};

/// How one value is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    Boolean,
    Long,
    Double,
    Date,
    /// Wall-clock time of no place, in microseconds.
    Timestamp,
    /// A moment, in microseconds.
    Timestamptz,
    /// A string's own text; anything else that comes is kept as its JSON text.
    Text,
    /// The value's JSON text, whatever it is.
    Json,
    Struct(Vec<Column>),
    List(Box<ColumnType>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The key in the record.
    pub property: String,
    /// The column's name in the table.
    pub name: String,
    pub kind: ColumnType,
    pub description: Option<String>,
}

impl ColumnType {
    /// The Iceberg type, its nested fields numbered on from `last_id`, which ends as the last number given.
    pub fn to_iceberg(&self, last_id: &mut i32) -> Type {
        let primitive = match self {
            Self::Boolean => PrimitiveType::Boolean,
            Self::Long => PrimitiveType::Long,
            Self::Double => PrimitiveType::Double,
            Self::Date => PrimitiveType::Date,
            Self::Timestamp => PrimitiveType::Timestamp,
            Self::Timestamptz => PrimitiveType::Timestamptz,
            Self::Text | Self::Json => PrimitiveType::String,
            Self::Struct(columns) => {
                let fields = columns.iter().map(|column| column.to_field(last_id)).collect();
                return Type::Struct(StructType::new(fields));
            }
            Self::List(element) => {
                *last_id += 1;
                let id = *last_id;
                let element = element.to_iceberg(last_id);
                return Type::List(ListType::new(NestedField::list_element(id, element, false).into()));
            }
        };
        Type::Primitive(primitive)
    }
}

impl Column {
    /// An optional field with the next free number and the description as its comment.
    pub fn to_field(&self, last_id: &mut i32) -> Arc<NestedField> {
        *last_id += 1;
        let mut field = NestedField::optional(*last_id, &self.name, Type::Primitive(PrimitiveType::Boolean));
        field.field_type = Box::new(self.kind.to_iceberg(last_id));
        field.doc = self.description.clone();
        field.into()
    }
}
