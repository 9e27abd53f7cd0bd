//! One JSON value to one cell: what fits is stored, what does not becomes null and is told. Pure; knows no table.
//!
//! Only the text of a value is looked at, so a record is never turned into a tree.
//!
//! Long because there is a rule for each type of column, and each is short.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use airbyte_protocol::incoming::Change;
use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, ListArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, Fields};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::column::{Column, ColumnType};
use crate::failure::{Failure, Result};
use crate::moment::{Zone, date, micros};
use crate::number::integer;

/// The protocol's word for a value that was replaced by null.
pub const NULLED: &str = "NULLED";
/// The protocol's word for a destination that could not store a value as the column's type.
pub const TYPECAST_ERROR: &str = "DESTINATION_TYPECAST_ERROR";
/// The protocol's word for a destination that could not make sense of a record.
pub const SERIALIZATION_ERROR: &str = "DESTINATION_SERIALIZATION_ERROR";

/// The cells of one column while a batch grows.
pub enum Cells {
    Boolean(BooleanBuilder),
    Long(Int64Builder),
    Double(Float64Builder),
    Date(Date32Builder),
    /// With a zone in the type, values without an offset are taken as UTC; without one, offsets are dropped.
    Micros(TimestampMicrosecondBuilder, Zone),
    Text(StringBuilder),
    Json(StringBuilder),
    Struct {
        fields: Fields,
        /// One for each field of the type: the key in the object and the cells; no key where the stream has none.
        children: Vec<(Option<String>, Cells)>,
        present: NullBufferBuilder,
    },
    List {
        field: FieldRef,
        offsets: Vec<i32>,
        element: Box<Cells>,
        present: NullBufferBuilder,
    },
}

impl Cells {
    /// Empty cells of the table's Arrow type, filled as the stream's type says.
    pub fn new(arrow: &DataType, kind: &ColumnType) -> Result<Self> {
        Ok(match (arrow, kind) {
            (DataType::Boolean, ColumnType::Boolean) => Self::Boolean(BooleanBuilder::new()),
            (DataType::Int64, ColumnType::Long) => Self::Long(Int64Builder::new()),
            (DataType::Float64, ColumnType::Double) => Self::Double(Float64Builder::new()),
            (DataType::Date32, ColumnType::Date) => Self::Date(Date32Builder::new()),
            (DataType::Timestamp(_, _), ColumnType::Timestamptz) => {
                Self::Micros(TimestampMicrosecondBuilder::new().with_data_type(arrow.clone()), Zone::Utc)
            }
            (DataType::Timestamp(_, _), ColumnType::Timestamp) => {
                Self::Micros(TimestampMicrosecondBuilder::new().with_data_type(arrow.clone()), Zone::Unzoned)
            }
            (DataType::Utf8, ColumnType::Text) => Self::Text(StringBuilder::new()),
            (DataType::Utf8, ColumnType::Json) => Self::Json(StringBuilder::new()),
            (DataType::Struct(fields), ColumnType::Struct(columns)) => Self::Struct {
                fields: fields.clone(),
                children: fields
                    .iter()
                    .map(|field| {
                        let column = columns.iter().find(|column| column.name == *field.name());
                        child(field.data_type(), column)
                    })
                    .collect::<Result<_>>()?,
                present: NullBufferBuilder::new(0),
            },
            (DataType::List(field), ColumnType::List(element)) => Self::List {
                field: field.clone(),
                offsets: vec![0],
                element: Box::new(Self::new(field.data_type(), element)?),
                present: NullBufferBuilder::new(0),
            },
            (arrow, kind) => {
                return Err(Failure::system(format!("a column of {arrow} cannot take {kind:?}")));
            }
        })
    }

    /// Appends one cell. `path` names the field in what `changes` is told.
    pub fn push(&mut self, value: Option<&RawValue>, path: &Path<'_>, changes: &mut Vec<Change>) {
        let Some(text) = value.map(RawValue::get).filter(|text| *text != "null") else {
            return self.push_null();
        };
        let fitted = match self {
            Self::Boolean(cells) => boolean(text).map(|value| cells.append_value(value)),
            Self::Long(cells) => long(text).map(|value| cells.append_value(value)),
            Self::Double(cells) => double(text).map(|value| cells.append_value(value)),
            Self::Date(cells) => {
                quoted(text).and_then(|text| date(&text)).map(|value| cells.append_value(value))
            }
            Self::Micros(cells, zone) => {
                quoted(text).and_then(|text| micros(&text, *zone)).map(|value| cells.append_value(value))
            }
            Self::Text(cells) => string(text).map(|value| cells.append_value(value)),
            Self::Json(cells) => {
                cells.append_value(text);
                Some(())
            }
            Self::Struct { children, present, .. } => object(text).map(|members| {
                present.append_non_null();
                for (key, cells) in children {
                    // The last of repeated keys counts, as in every JSON parser.
                    let member = key.as_ref().and_then(|key| {
                        members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
                    });
                    cells.push(member, &path.field(key.as_deref().unwrap_or_default()), changes);
                }
            }),
            Self::List { offsets, element, present, .. } => array(text).map(|items| {
                present.append_non_null();
                for item in &items {
                    element.push(Some(item), &path.item(), changes);
                }
                offsets.push(offsets[offsets.len() - 1] + items.len() as i32);
            }),
        };
        if fitted.is_none() {
            self.push_null();
            changes.push(change(path.to_string(), TYPECAST_ERROR));
        }
    }

    pub fn push_null(&mut self) {
        match self {
            Self::Boolean(cells) => cells.append_null(),
            Self::Long(cells) => cells.append_null(),
            Self::Double(cells) => cells.append_null(),
            Self::Date(cells) => cells.append_null(),
            Self::Micros(cells, _) => cells.append_null(),
            Self::Text(cells) | Self::Json(cells) => cells.append_null(),
            Self::Struct { children, present, .. } => {
                present.append_null();
                children.iter_mut().for_each(|(_, cells)| cells.push_null());
            }
            Self::List { offsets, present, .. } => {
                present.append_null();
                offsets.push(offsets[offsets.len() - 1]);
            }
        }
    }

    /// The cells so far; none are left.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        let broken = |error| Failure::system(format!("nested cells do not add up: {error}"));
        Ok(match self {
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Long(cells) => Arc::new(cells.finish()),
            Self::Double(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::Micros(cells, _) => Arc::new(cells.finish()),
            Self::Text(cells) | Self::Json(cells) => Arc::new(cells.finish()),
            Self::Struct { fields, children, present } => {
                let arrays =
                    children.iter_mut().map(|(_, cells)| cells.finish()).collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new(fields.clone(), arrays, present.finish()).map_err(broken)?)
            }
            Self::List { field, offsets, element, present } => {
                let ends = std::mem::replace(offsets, vec![0]);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                let list = ListArray::try_new(field.clone(), offsets, element.finish()?, present.finish());
                Arc::new(list.map_err(broken)?)
            }
        })
    }
}

/// The cells of a struct's field, which the stream may not have any more: those stay null, as text or nested.
fn child(arrow: &DataType, column: Option<&Column>) -> Result<(Option<String>, Cells)> {
    if let Some(column) = column {
        return Ok((Some(column.property.clone()), Cells::new(arrow, &column.kind)?));
    }
    Ok((None, Cells::new(arrow, &kind_of(arrow)?)?))
}

/// The column type that a table's own type would come from.
fn kind_of(arrow: &DataType) -> Result<ColumnType> {
    Ok(match arrow {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int64 => ColumnType::Long,
        DataType::Float64 => ColumnType::Double,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(_, Some(_)) => ColumnType::Timestamptz,
        DataType::Timestamp(_, None) => ColumnType::Timestamp,
        DataType::Utf8 => ColumnType::Text,
        DataType::List(field) => ColumnType::List(Box::new(kind_of(field.data_type())?)),
        DataType::Struct(fields) => ColumnType::Struct(
            fields
                .iter()
                .map(|field| {
                    let (property, name) = (String::new(), field.name().clone());
                    Ok(Column { property, name, kind: kind_of(field.data_type())?, description: None })
                })
                .collect::<Result<_>>()?,
        ),
        other => {
            return Err(Failure::configuration(format!(
                "the table has a nested field of type {other}, which the destination does not write"
            )));
        }
    })
}

/// Where a value stands in its record, built only when it is told.
pub enum Path<'a> {
    Top(&'a str),
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>),
}

impl<'a> Path<'a> {
    fn field(&'a self, name: &'a str) -> Path<'a> {
        Path::Field(self, name)
    }

    fn item(&'a self) -> Path<'a> {
        Path::Item(self)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) => formatter.write_str(name),
            Self::Field(parent, name) => write!(formatter, "{parent}.{name}"),
            Self::Item(parent) => write!(formatter, "{parent}[]"),
        }
    }
}

pub fn change(field: String, reason: &str) -> Change {
    Change { field, change: NULLED.to_owned(), reason: reason.to_owned() }
}

/// The text of a JSON string, or any other value's own JSON text; nothing if it is no Unicode text.
fn string(text: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = text.strip_prefix('"') else {
        return Some(Cow::Borrowed(text));
    };
    if inner.contains('\\') {
        // A lone surrogate, which JSON can spell and UTF-8 cannot.
        return serde_json::from_str(text).ok().map(Cow::Owned);
    }
    inner.strip_suffix('"').map(Cow::Borrowed)
}

/// The text of a number, also of one inside a string.
fn number(text: &str) -> Option<Cow<'_, str>> {
    match text.as_bytes().first()? {
        b'"' => string(text),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | r#""true""# => Some(true),
        "false" | r#""false""# => Some(false),
        _ => None,
    }
}

fn long(text: &str) -> Option<i64> {
    integer(&number(text)?)
}

fn double(text: &str) -> Option<f64> {
    crate::number::double(&number(text)?)
}

/// The text of a string; nothing for any other value.
fn quoted(text: &str) -> Option<Cow<'_, str>> {
    string(text).filter(|_| text.starts_with('"'))
}

type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The members of a JSON object in their order, values as text; nothing if it is no object.
pub fn object(text: &str) -> Option<Members<'_>> {
    let mut members = Vec::new();
    each_member(text, |name, value| members.push((name, value)))?;
    Some(members)
}

/// Calls `take` with every member of a JSON object in its order; nothing if the text is no object.
pub fn each_member<'a>(text: &'a str, take: impl FnMut(Cow<'a, str>, &'a RawValue)) -> Option<()> {
    struct Members<F>(F);
    impl<'a, F: FnMut(Cow<'a, str>, &'a RawValue)> Visitor<'a> for Members<F> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> std::result::Result<(), A::Error> {
            while let Some(Key(name)) = map.next_key()? {
                self.0(name, map.next_value()?);
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Members(take)).ok()
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'a> serde::Deserialize<'a> for Key<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text;
        impl<'a> Visitor<'a> for Text {
            type Value = Key<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'a [u8]) -> std::result::Result<Self::Value, E> {
                Ok(Key(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> std::result::Result<Self::Value, E> {
                Ok(Key(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        // As bytes, since JSON can spell a lone surrogate, which is no text. No property has such a name.
        deserializer.deserialize_bytes(Text)
    }
}

fn array(text: &str) -> Option<Vec<&RawValue>> {
    struct Items;
    impl<'a> Visitor<'a> for Items {
        type Value = Vec<&'a RawValue>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> std::result::Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(item) = items.next_element()? {
                all.push(item);
            }
            Ok(all)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_seq(Items).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_stand_in_strings_and_times_must() {
        assert_eq!(
            (long("12"), long(r#""12""#), long(r#""abc""#), long("true")),
            (Some(12), Some(12), None, None)
        );
        assert_eq!((double("1.5"), double(r#""1e3""#), double("false")), (Some(1.5), Some(1000.0), None));
        assert_eq!((quoted(r#""1970-01-01""#).as_deref(), quoted("1970")), (Some("1970-01-01"), None));
    }

    #[test]
    fn text_is_unescaped_and_what_is_no_text_is_kept_as_json() {
        assert_eq!(string(r#""a\n\u00e9""#).unwrap(), "a\né");
        assert_eq!(string(r#"{"a": 1}"#).unwrap(), r#"{"a": 1}"#);
        assert_eq!(string("1.10").unwrap(), "1.10");
        assert_eq!(string(r#""\ud800""#), None);
    }

    #[test]
    fn a_key_that_is_no_text_does_not_hide_the_others() {
        let members = object(r#"{"a":1,"\ud800":2,"\u00e9":3}"#).unwrap();
        let members: Vec<(&str, &str)> =
            members.iter().map(|(name, value)| (name.as_ref(), value.get())).collect();
        assert_eq!((members[0], members[2]), (("a", "1"), ("é", "3")));
        assert_eq!(members.len(), 3);
    }

    #[test]
    fn a_bad_nested_value_is_null_in_its_place_and_told_by_its_path() {
        let arrow_long = DataType::Int64;
        let element = Arc::new(arrow_schema::Field::new("element", arrow_long, true));
        let list = DataType::List(element);
        let fields = Fields::from(vec![arrow_schema::Field::new("x", list, true)]);
        let kind = ColumnType::Struct(vec![Column {
            property: "x".into(),
            name: "x".into(),
            kind: ColumnType::List(Box::new(ColumnType::Long)),
            description: None,
        }]);
        let mut cells = Cells::new(&DataType::Struct(fields), &kind).unwrap();
        let mut changes = Vec::new();
        for text in [r#"{"x":[1,"two",3]}"#, "[]", r#"{"x":null,"y":1}"#, "null"] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            cells.push(Some(raw), &Path::Top("o"), &mut changes);
        }
        let told: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(told, ["o.x[]", "o"]);
        let array = cells.finish().unwrap();
        assert_eq!((array.len(), array.null_count()), (4, 2));
    }
}
