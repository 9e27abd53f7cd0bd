//! Primary keys and cursors as values that can be compared, from Arrow columns. Pure; knows no file.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use crate::failure::{Failure, Result};

/// A primary key's values, one after the other, each so tagged that no two keys share their bytes.
pub type Key = Box<[u8]>;

/// What says which of two rows with the same key is newer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cursor {
    /// Null, or no cursor at all: older than every value.
    Absent,
    /// Integers, days, microseconds.
    Integer(i64),
    Number(f64),
    Text(Box<str>),
}

impl Cursor {
    /// Whether a row with this cursor, having arrived later, takes the place of one with `other`: it does unless
    /// it is older.
    pub fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Absent) => true,
            (Self::Absent, _) => false,
            (Self::Integer(new), Self::Integer(old)) => new >= old,
            (Self::Number(new), Self::Number(old)) => new.total_cmp(old).is_ge(),
            (Self::Text(new), Self::Text(old)) => new >= old,
            // A cursor changed its type between two syncs; arrival decides.
            _ => true,
        }
    }

    /// Appends a tag, the length where it varies, and the value.
    fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Absent => bytes.push(0),
            Self::Integer(value) => {
                bytes.push(1);
                bytes.extend_from_slice(&value.to_be_bytes());
            }
            Self::Number(value) => {
                bytes.push(2);
                bytes.extend_from_slice(&value.to_bits().to_be_bytes());
            }
            Self::Text(value) => {
                bytes.push(3);
                bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
                bytes.extend_from_slice(value.as_bytes());
            }
        }
    }

    /// The key of a row whose key is one column with this value.
    pub fn as_key(&self) -> Key {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes.into()
    }
}

enum Values<'a> {
    Boolean(&'a arrow_array::BooleanArray),
    Int(&'a arrow_array::Int32Array),
    Long(&'a arrow_array::Int64Array),
    Date(&'a arrow_array::Date32Array),
    Micros(&'a arrow_array::TimestampMicrosecondArray),
    Float(&'a arrow_array::Float32Array),
    Double(&'a arrow_array::Float64Array),
    Text(&'a arrow_array::StringArray),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Self::Long(array.as_primitive::<Int64Type>()),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Micros(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::Float32 => Self::Float(array.as_primitive::<Float32Type>()),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>()),
            DataType::Utf8 => Self::Text(array.as_string::<i32>()),
            other => {
                return Err(Failure::configuration(format!("{other} cannot be a primary key or cursor")));
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Boolean(values) => values.is_null(row),
            Self::Int(values) => values.is_null(row),
            Self::Long(values) => values.is_null(row),
            Self::Date(values) => values.is_null(row),
            Self::Micros(values) => values.is_null(row),
            Self::Float(values) => values.is_null(row),
            Self::Double(values) => values.is_null(row),
            Self::Text(values) => values.is_null(row),
        }
    }

    fn cursor(&self, row: usize) -> Cursor {
        if self.is_null(row) {
            return Cursor::Absent;
        }
        match self {
            Self::Boolean(values) => Cursor::Integer(i64::from(values.value(row))),
            Self::Int(values) => Cursor::Integer(i64::from(values.value(row))),
            Self::Long(values) => Cursor::Integer(values.value(row)),
            Self::Date(values) => Cursor::Integer(i64::from(values.value(row))),
            Self::Micros(values) => Cursor::Integer(values.value(row)),
            Self::Float(values) => Cursor::Number(f64::from(values.value(row))),
            Self::Double(values) => Cursor::Number(values.value(row)),
            Self::Text(values) => Cursor::Text(values.value(row).into()),
        }
    }

    /// Appends a tag, the length where it varies, and the value.
    fn encode(&self, row: usize, bytes: &mut Vec<u8>) {
        self.cursor(row).encode(bytes);
    }
}

/// The keys of a batch, row by row, into `take`; nothing for a row with a null in its key, which equals no other.
pub fn each_key(columns: &[ArrayRef], mut take: impl FnMut(usize, Option<&[u8]>)) -> Result<()> {
    let values = columns.iter().map(Values::of).collect::<Result<Vec<_>>>()?;
    let rows = columns.first().map_or(0, |column| column.len());
    let mut bytes = Vec::with_capacity(64);
    for row in 0..rows {
        bytes.clear();
        if values.iter().any(|column| column.is_null(row)) {
            take(row, None);
            continue;
        }
        values.iter().for_each(|column| column.encode(row, &mut bytes));
        take(row, Some(&bytes));
    }
    Ok(())
}

/// The cursors of a batch; all absent without a cursor column.
pub struct Cursors<'a>(Option<Values<'a>>);

impl<'a> Cursors<'a> {
    pub fn of(column: Option<&'a ArrayRef>) -> Result<Self> {
        Ok(Self(column.map(Values::of).transpose()?))
    }

    pub fn at(&self, row: usize) -> Cursor {
        self.0.as_ref().map_or(Cursor::Absent, |values| values.cursor(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int32Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn keys(columns: &[ArrayRef]) -> Vec<Option<Vec<u8>>> {
        let mut keys = Vec::new();
        each_key(columns, |_, key| keys.push(key.map(<[u8]>::to_vec))).unwrap();
        keys
    }

    #[test]
    fn no_two_keys_share_their_bytes() {
        let left: ArrayRef = Arc::new(StringArray::from(vec!["a", "ab", "", "a"]));
        let right: ArrayRef = Arc::new(StringArray::from(vec!["bc", "c", "abc", "bc"]));
        let keys = keys(&[left, right]);
        assert_eq!(keys[0], keys[3]);
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[1], keys[2]);
    }

    #[test]
    fn a_widened_column_has_the_keys_it_had() {
        let narrow: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
        assert_eq!(keys(&[narrow]), keys(std::slice::from_ref(&wide)));
        assert_eq!(keys(&[wide])[1], None);
    }

    #[test]
    fn the_newer_row_stays_and_ties_go_to_the_later() {
        use Cursor::*;
        assert!(Integer(2).replaces(&Integer(1)) && Integer(2).replaces(&Integer(2)));
        assert!(!Integer(1).replaces(&Integer(2)));
        assert!(Integer(1).replaces(&Absent) && Absent.replaces(&Absent) && !Absent.replaces(&Integer(1)));
        assert!(!Text("2026-01".into()).replaces(&Text("2026-02".into())));
    }
}
