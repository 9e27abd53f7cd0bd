//! What a manifest says about the columns of a Parquet file: sizes, counts and bounds. Pure; knows no file.
//!
//! A bound covers every row group of its file, or it is absent. Readers skip a file whose bounds exclude what they
//! look for, so a bound that is too narrow loses rows.

use std::collections::HashMap;

use iceberg::spec::{Datum, PrimitiveType, Schema, Type};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;

/// Text bounds are truncated to this many bytes, as the Iceberg specification allows: lower bounds down, upper
/// bounds up.
pub const TEXT_BOUND_BYTES: usize = 64;

/// Each map goes from a column's field number to the value.
#[derive(Debug, Default, PartialEq)]
pub struct ColumnFacts {
    pub sizes: HashMap<i32, u64>,
    pub value_counts: HashMap<i32, u64>,
    pub null_value_counts: HashMap<i32, u64>,
    pub lower_bounds: HashMap<i32, Datum>,
    pub upper_bounds: HashMap<i32, Datum>,
}

/// Reads the facts from a file's footer. `text_limit` is the maximum size of a text bound in bytes, if there is one.
pub fn column_facts(schema: &Schema, footer: &ParquetMetaData, text_limit: Option<usize>) -> ColumnFacts {
    let mut facts = ColumnFacts::default();
    for (index, column) in footer.file_metadata().schema_descr().columns().iter().enumerate() {
        let info = column.self_type().get_basic_info();
        if !info.has_id() {
            continue;
        }
        let field = info.id();
        let chunks = || footer.row_groups().iter().map(|group| group.column(index));
        facts.sizes.insert(field, chunks().map(|chunk| chunk.compressed_size() as u64).sum());
        // Parquet counts an empty list as one value, Iceberg as none, so elements of lists get no counts.
        if column.max_rep_level() > 0 {
            continue;
        }
        facts.value_counts.insert(field, chunks().map(|chunk| chunk.num_values() as u64).sum());
        if let Some(nulls) = chunks().map(nulls_of).sum::<Option<u64>>() {
            facts.null_value_counts.insert(field, nulls);
        }
        let Some(Type::Primitive(kind)) = schema.field_by_id(field).map(|field| field.field_type.as_ref())
        else {
            continue;
        };
        let (lower, upper) = bounds(kind, chunks(), text_limit);
        facts.lower_bounds.extend(lower.map(|bound| (field, bound)));
        facts.upper_bounds.extend(upper.map(|bound| (field, bound)));
    }
    facts
}

fn nulls_of(chunk: &ColumnChunkMetaData) -> Option<u64> {
    chunk.statistics().and_then(Statistics::null_count_opt)
}

fn bounds<'a>(
    kind: &PrimitiveType,
    chunks: impl Iterator<Item = &'a ColumnChunkMetaData>,
    text_limit: Option<usize>,
) -> (Option<Datum>, Option<Datum>) {
    let (mut lower, mut upper) = (Extreme::NoValue, Extreme::NoValue);
    for chunk in chunks {
        if nulls_of(chunk) == Some(chunk.num_values() as u64) {
            continue;
        }
        let statistics = chunk.statistics();
        let low = statistics.and_then(|found| datum(kind, found, End::Lower, text_limit));
        let high = statistics.and_then(|found| datum(kind, found, End::Upper, text_limit));
        lower = lower.joined(low, |new, known| new < known);
        upper = upper.joined(high, |new, known| new > known);
    }
    (lower.value(), upper.value())
}

/// The smallest or largest value of the row groups so far.
enum Extreme {
    NoValue,
    At(Datum),
    /// One row group has values and does not say which.
    Unknown,
}

impl Extreme {
    fn joined(self, datum: Option<Datum>, is_further: fn(&Datum, &Datum) -> bool) -> Self {
        match (self, datum) {
            (Self::Unknown, _) | (_, None) => Self::Unknown,
            (Self::At(known), Some(new)) if !is_further(&new, &known) => Self::At(known),
            (_, Some(new)) => Self::At(new),
        }
    }

    fn value(self) -> Option<Datum> {
        match self {
            Self::At(datum) => Some(datum),
            Self::NoValue | Self::Unknown => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Lower,
    Upper,
}

/// A row group's smallest or largest value. Parquet's inexact statistics of texts are bounds too: a prefix below,
/// an incremented prefix above. Inexact statistics of other types are not used.
fn datum(
    kind: &PrimitiveType,
    statistics: &Statistics,
    end: End,
    text_limit: Option<usize>,
) -> Option<Datum> {
    let (bytes, is_exact) = match end {
        End::Lower => (statistics.min_bytes_opt()?, statistics.min_is_exact()),
        End::Upper => (statistics.max_bytes_opt()?, statistics.max_is_exact()),
    };
    if *kind == PrimitiveType::String {
        if statistics.physical_type() != PhysicalType::BYTE_ARRAY {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        return match (end, text_limit) {
            (_, None) => Some(Datum::string(text)),
            (End::Lower, Some(limit)) => Some(Datum::string(prefix(text, limit))),
            (End::Upper, Some(limit)) => text_above(text, limit).map(Datum::string),
        };
    }
    if !is_exact {
        return None;
    }
    macro_rules! extreme {
        ($values:ident) => {
            *match end {
                End::Lower => $values.min_opt()?,
                End::Upper => $values.max_opt()?,
            }
        };
    }
    match (kind, statistics) {
        (PrimitiveType::Boolean, Statistics::Boolean(values)) => Some(Datum::bool(extreme!(values))),
        (PrimitiveType::Int, Statistics::Int32(values)) => Some(Datum::int(extreme!(values))),
        (PrimitiveType::Date, Statistics::Int32(values)) => Some(Datum::date(extreme!(values))),
        (PrimitiveType::Long, Statistics::Int64(values)) => Some(Datum::long(extreme!(values))),
        (PrimitiveType::Timestamp, Statistics::Int64(values)) => {
            Some(Datum::timestamp_micros(extreme!(values)))
        }
        (PrimitiveType::Timestamptz, Statistics::Int64(values)) => {
            Some(Datum::timestamptz_micros(extreme!(values)))
        }
        (PrimitiveType::Float, Statistics::Float(values)) => Some(Datum::float(extreme!(values))),
        (PrimitiveType::Double, Statistics::Double(values)) => Some(Datum::double(extreme!(values))),
        // Columns of other programs, in rows that are rewritten.
        _ => None,
    }
}

/// The longest prefix of whole characters within `limit` bytes.
fn prefix(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The text itself if it is short enough, or a short text that is larger than every text with its prefix. Nothing if
/// the prefix consists of the largest character only.
fn text_above(text: &str, limit: usize) -> Option<String> {
    let kept = prefix(text, limit);
    if kept.len() == text.len() {
        return Some(text.to_owned());
    }
    let mut above = kept.to_owned();
    while let Some(last) = above.pop() {
        let next = match last {
            // Surrogates are no characters.
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            above.push(next);
            return Some(above);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
    use iceberg::arrow::schema_to_arrow_schema;
    use iceberg::spec::NestedField;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use std::sync::Arc;

    fn schema() -> Schema {
        let field = |id, name: &str, kind| NestedField::optional(id, name, Type::Primitive(kind)).into();
        Schema::builder()
            .with_fields([
                field(1, "text", PrimitiveType::String),
                field(2, "number", PrimitiveType::Long),
                field(3, "fraction", PrimitiveType::Double),
            ])
            .build()
            .unwrap()
    }

    /// A file with one row group for each list of texts; numbers count the rows.
    fn facts(groups: &[&[Option<&str>]], truncated: Option<usize>, limit: Option<usize>) -> ColumnFacts {
        let schema = schema();
        let arrow = Arc::new(schema_to_arrow_schema(&schema).unwrap());
        let properties = WriterProperties::builder().set_statistics_truncate_length(truncated).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), arrow.clone(), Some(properties)).unwrap();
        let mut row = 0;
        for group in groups {
            let numbers: Vec<i64> = (row..row + group.len() as i64).collect();
            row += group.len() as i64;
            let fractions = numbers.iter().map(|number| (number % 2 == 0).then_some(*number as f64 / 2.0));
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from(group.to_vec())),
                Arc::new(Int64Array::from(numbers.clone())),
                Arc::new(Float64Array::from_iter(fractions)),
            ];
            writer.write(&RecordBatch::try_new(arrow.clone(), columns).unwrap()).unwrap();
            writer.flush().unwrap();
        }
        column_facts(&schema, &writer.finish().unwrap(), limit)
    }

    #[test]
    fn bounds_cover_every_row_group_and_counts_add_up() {
        let facts =
            facts(&[&[Some("b"), None], &[None], &[Some("d"), Some("a"), Some("c")]], Some(64), Some(64));
        assert_eq!(facts.lower_bounds[&1], Datum::string("a"));
        assert_eq!(facts.upper_bounds[&1], Datum::string("d"));
        assert_eq!((&facts.lower_bounds[&2], &facts.upper_bounds[&2]), (&Datum::long(0), &Datum::long(5)));
        assert_eq!(facts.upper_bounds[&3], Datum::double(2.0));
        assert_eq!((facts.value_counts[&1], facts.null_value_counts[&1]), (6, 2));
        assert_eq!((facts.value_counts[&3], facts.null_value_counts[&3]), (6, 3));
    }

    #[test]
    fn statistics_that_parquet_truncated_still_bound_their_row_group() {
        let cyrillic = "Позвонить клиенту ".repeat(9);
        for truncated in [Some(10), Some(64), None] {
            let facts = facts(&[&[Some("Call client 1")], &[Some(&cyrillic)]], truncated, Some(64));
            let upper = facts.upper_bounds[&1].to_string();
            assert!(upper.trim_matches('"') > cyrillic.as_str(), "{truncated:?}: {upper}");
            assert!(upper.trim_matches('"').len() <= 65, "{truncated:?}: {upper}");
            let lower = facts.lower_bounds[&1].to_string();
            assert!("Call client 1".starts_with(lower.trim_matches('"')), "{truncated:?}: {lower}");
        }
    }

    #[test]
    fn a_text_that_nothing_short_exceeds_leaves_its_bound_out() {
        let largest = "\u{10FFFF}".repeat(20);
        let facts = facts(&[&[Some("a")], &[Some(&largest)]], Some(64), Some(64));
        assert_eq!(facts.lower_bounds[&1], Datum::string("a"));
        assert_eq!(facts.upper_bounds.get(&1), None);
    }

    #[test]
    fn without_a_limit_texts_stay_whole() {
        let path = "s3://bucket/".to_owned() + &"folder/".repeat(30);
        let facts = facts(&[&[Some(&path)]], None, None);
        assert_eq!(facts.lower_bounds[&1], Datum::string(&path));
        assert_eq!(facts.upper_bounds[&1], Datum::string(&path));
    }

    #[test]
    fn texts_are_truncated_upwards_at_whole_characters() {
        assert_eq!(text_above("abc", 3).as_deref(), Some("abc"));
        assert_eq!(text_above("abcd", 3).as_deref(), Some("abd"));
        assert_eq!(text_above("дом", 3).as_deref(), Some("е"), "half a character is dropped");
        assert_eq!(text_above("a\u{7F}b", 2).as_deref(), Some("a\u{80}"), "a character may need more bytes");
        assert_eq!(text_above("a\u{D7FF}b", 4).as_deref(), Some("a\u{E000}"));
        assert_eq!(text_above("a\u{10FFFF}b", 5).as_deref(), Some("b"));
        assert_eq!(text_above("\u{10FFFF}b", 4), None);
    }
}
