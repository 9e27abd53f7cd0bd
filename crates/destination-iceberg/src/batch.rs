//! Records of one stream to Arrow batches of its table's schema. Pure but for row ids; knows no file.

use std::collections::HashMap;
use std::sync::Arc;

use airbyte_protocol::incoming::{Change, IncomingRecord};
use arrow_array::builder::{StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, ListArray, RecordBatch, StructArray, new_null_array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, SchemaRef};
use serde_json::value::RawValue;

use crate::column::Column;
use crate::failure::{Failure, Result};
use crate::key::{Cursor, Cursors, Key, each_key};
use crate::moment::{EARLIEST, LATEST};
use crate::table_schema::{AirbyteColumn, Filling};
use crate::value::{Cells, Path, SERIALIZATION_ERROR, change, each_member};

/// The key that marks a record as a deletion, by Airbyte's convention: the time of the deletion, or null.
pub const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// How one stream's records become rows of its table.
#[derive(Debug, Clone)]
pub struct Shape {
    pub arrow: SchemaRef,
    /// One for each column of `arrow`.
    pub fillings: Vec<Filling>,
    pub columns: Vec<Column>,
    pub identity: Option<Identity>,
    pub generation_id: i64,
    pub sync_id: i64,
}

/// What makes two rows the same, and which of them is newer; places are those of the table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub key: Vec<usize>,
    pub cursor: Option<usize>,
}

/// What the rows of a batch mean for a table with keys, in order of arrival.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// Nothing if a part of the key is null: such a row equals no other.
    pub key: Option<Key>,
    pub cursor: Cursor,
    /// The row's place in the batch; nothing for a deletion, which leaves no row.
    pub row: Option<u32>,
}

/// A batch with what its rows mean. Without an identity, `arrivals` is empty.
pub struct Batch {
    pub rows: RecordBatch,
    pub arrivals: Vec<Arrival>,
    /// How many records came, deletions included.
    pub records: u64,
}

/// A batch of one stream while it grows.
pub struct BatchBuilder {
    shape: Arc<Shape>,
    cells: Vec<Cells>,
    column_of: HashMap<String, usize>,
    /// The columns in the order of the last record's keys: records of a stream mostly share theirs.
    expected: Vec<Option<usize>>,
    row_ids: RowIds,
    raw_ids: StringBuilder,
    extracted_at: TimestampMicrosecondBuilder,
    changes: Changes,
    deletions: Vec<bool>,
    bytes: usize,
    unknown_fields: u64,
}

impl BatchBuilder {
    pub fn new(shape: Arc<Shape>, row_ids: RowIds) -> Result<Self> {
        let mut cells: Vec<Option<Cells>> = shape.columns.iter().map(|_| None).collect();
        for (field, filling) in shape.arrow.fields().iter().zip(&shape.fillings) {
            if let Filling::Stream(index) = filling {
                cells[*index] = Some(Cells::new(field.data_type(), &shape.columns[*index].kind)?);
            }
        }
        let cells = cells.into_iter().collect::<Option<Vec<_>>>();
        let cells = cells.ok_or_else(|| Failure::system("a column of the stream is not in its table"))?;
        let columns = shape.columns.iter().enumerate();
        Ok(Self {
            column_of: columns.map(|(index, column)| (column.property.clone(), index)).collect(),
            cells,
            shape,
            expected: Vec::new(),
            row_ids,
            raw_ids: StringBuilder::new(),
            extracted_at: TimestampMicrosecondBuilder::new(),
            changes: Changes::default(),
            deletions: Vec::new(),
            bytes: 0,
            unknown_fields: 0,
        })
    }

    pub fn rows(&self) -> usize {
        self.deletions.len()
    }

    /// The size of the JSON that the batch holds so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many fields were in no column, since the last time.
    pub fn take_unknown_fields(&mut self) -> u64 {
        std::mem::take(&mut self.unknown_fields)
    }

    /// Appends one record. A record that is no object becomes a row of nulls that says so.
    pub fn push(&mut self, record: &IncomingRecord<'_>) {
        let text = record.data.get();
        self.bytes += text.len();
        let mut values: Vec<Option<&RawValue>> = vec![None; self.cells.len()];
        let mut deleted = false;
        let mut place = 0;
        let Self { expected, column_of, shape, unknown_fields, .. } = self;
        let understood = each_member(text, |name, value| {
            let guess = expected.get(place).copied().flatten();
            let column = match guess {
                Some(index) if shape.columns[index].property == *name => Some(index),
                _ => {
                    let found = column_of.get(name.as_ref()).copied();
                    if place >= expected.len() {
                        expected.push(found);
                    } else {
                        expected[place] = found;
                    }
                    found
                }
            };
            match column {
                Some(index) => values[index] = Some(value),
                None => *unknown_fields += u64::from(name != DELETED_AT),
            }
            if name == DELETED_AT {
                deleted = value.get() != "null";
            }
            place += 1;
        });
        if understood.is_none() {
            self.changes.open.push(change("data".to_owned(), SERIALIZATION_ERROR));
            values.fill(None);
        }
        if let Some(told) = record.meta.as_ref().and_then(|meta| meta.changes.as_ref()) {
            self.changes.open.extend(told.iter().cloned());
        }
        for ((cells, value), column) in self.cells.iter_mut().zip(values).zip(&self.shape.columns) {
            cells.push(value, &Path::Top(&column.name), &mut self.changes.open);
        }
        self.changes.close_row();
        self.row_ids.append(record.emitted_at, &mut self.raw_ids);
        const MICROSECONDS_A_MILLISECOND: i64 = 1000;
        let emitted_at = record.emitted_at.saturating_mul(MICROSECONDS_A_MILLISECOND);
        self.extracted_at.append_value(emitted_at.clamp(EARLIEST, LATEST));
        self.deletions.push(deleted && self.shape.identity.is_some());
    }

    /// The batch so far; the builder is empty afterwards.
    pub fn finish(&mut self) -> Result<Batch> {
        let records = self.rows();
        let deletions = std::mem::take(&mut self.deletions);
        self.bytes = 0;
        let mut stream = self.cells.iter_mut().map(Cells::finish).collect::<Result<Vec<_>>>()?;
        let shape = self.shape.clone();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(shape.fillings.len());
        for (field, filling) in shape.arrow.fields().iter().zip(&shape.fillings) {
            arrays.push(match filling {
                Filling::Airbyte(AirbyteColumn::RawId) => Arc::new(self.raw_ids.finish()),
                Filling::Airbyte(AirbyteColumn::ExtractedAt) => {
                    Arc::new(self.extracted_at.finish().with_data_type(field.data_type().clone()))
                }
                Filling::Airbyte(AirbyteColumn::Meta) => {
                    self.changes.finish(field.data_type(), shape.sync_id)?
                }
                Filling::Airbyte(AirbyteColumn::GenerationId) => {
                    Arc::new(Int64Array::from(vec![shape.generation_id; records]))
                }
                Filling::Stream(index) => std::mem::replace(
                    &mut stream[*index],
                    // Each column is taken once.
                    Arc::new(BooleanArray::from(Vec::<bool>::new())),
                ),
                Filling::Null => new_null_array(field.data_type(), records),
            });
        }
        let arrivals = match &shape.identity {
            Some(identity) => arrivals(identity, &arrays, &deletions)?,
            None => Vec::new(),
        };
        let broken = |error| Failure::system(format!("a batch does not fit its table: {error}"));
        let mut rows = RecordBatch::try_new(shape.arrow.clone(), arrays).map_err(broken)?;
        if deletions.contains(&true) {
            let kept = BooleanArray::from_iter(deletions.iter().map(|deleted| Some(!deleted)));
            rows = arrow_select::filter::filter_record_batch(&rows, &kept).map_err(broken)?;
        }
        Ok(Batch { rows, arrivals, records: records as u64 })
    }
}

fn arrivals(identity: &Identity, arrays: &[ArrayRef], deletions: &[bool]) -> Result<Vec<Arrival>> {
    let keys: Vec<ArrayRef> = identity.key.iter().map(|column| arrays[*column].clone()).collect();
    let cursors = Cursors::of(identity.cursor.map(|column| &arrays[column]))?;
    let mut arrivals = Vec::with_capacity(deletions.len());
    let mut next_row = 0;
    each_key(&keys, |place, key| {
        let row = (!deletions[place]).then_some(next_row);
        next_row += u32::from(row.is_some());
        arrivals.push(Arrival { key: key.map(Box::from), cursor: cursors.at(place), row });
    })?;
    Ok(arrivals)
}

/// What is told of each row's fields, while a batch grows.
#[derive(Default)]
struct Changes {
    /// Of the row that is being filled.
    open: Vec<Change>,
    closed: Vec<Change>,
    ends: Vec<i32>,
}

impl Changes {
    fn close_row(&mut self) {
        self.closed.append(&mut self.open);
        self.ends.push(self.closed.len() as i32);
    }

    /// The column `_airbyte_meta`.
    fn finish(&mut self, meta: &DataType, sync_id: i64) -> Result<ArrayRef> {
        let unexpected = || Failure::system("the column of Airbyte's meta has an unexpected type");
        let DataType::Struct(meta_fields) = meta else { return Err(unexpected()) };
        let DataType::List(element) = meta_fields[1].data_type() else { return Err(unexpected()) };
        let DataType::Struct(change_fields) = element.data_type() else { return Err(unexpected()) };
        let broken = |error| Failure::system(format!("Airbyte's meta does not add up: {error}"));
        let closed = std::mem::take(&mut self.closed);
        let ends = std::mem::take(&mut self.ends);
        let rows = ends.len();
        let texts = |part: fn(&Change) -> &str| -> ArrayRef {
            let mut cells = StringBuilder::new();
            closed.iter().for_each(|change| cells.append_value(part(change)));
            Arc::new(cells.finish())
        };
        let changes = StructArray::try_new(
            change_fields.clone(),
            vec![
                texts(|change| &change.field),
                texts(|change| &change.change),
                texts(|change| &change.reason),
            ],
            None,
        )
        .map_err(broken)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from_iter(std::iter::once(0).chain(ends)));
        let list = ListArray::try_new(element.clone(), offsets, Arc::new(changes), None).map_err(broken)?;
        let sync_ids = Int64Array::from(vec![sync_id; rows]);
        let meta = StructArray::try_new(meta_fields.clone(), vec![Arc::new(sync_ids), Arc::new(list)], None);
        Ok(Arc::new(meta.map_err(broken)?))
    }
}

/// UUIDs of version 7: the record's time, a random number of this series, a counter. So they sort by time,
/// compress well and cost no random numbers.
#[derive(Debug, Clone)]
pub struct RowIds {
    series: [u8; 5],
    next: u32,
}

impl RowIds {
    /// A series of its own: two of one process differ, as do those of two processes.
    pub fn new() -> Self {
        let random = uuid::Uuid::now_v7().into_bytes();
        let mut series = [0; 5];
        series.copy_from_slice(&random[11..]);
        Self { series, next: 0 }
    }

    fn append(&mut self, milliseconds: i64, cells: &mut StringBuilder) {
        let ([c0, c1, c2, c3], [s0, s1, s2, s3, s4]) = (self.next.to_be_bytes(), self.series);
        self.next = self.next.wrapping_add(1);
        // The version takes the first byte's upper half, the variant the third byte's upper two bits.
        let rest = [0, c0, s0, c1, c2, c3, s1, s2, s3, s4];
        let id = uuid::Builder::from_unix_timestamp_millis(milliseconds.max(0) as u64, &rest).into_uuid();
        cells.append_value(id.as_hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::ColumnType;
    use crate::config::IdentifierCase;
    use crate::table_schema::{fillings, new_schema};
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use iceberg::arrow::schema_to_arrow_schema;
    use std::collections::HashSet;

    fn shape(key: Option<&str>) -> Arc<Shape> {
        let column =
            |name: &str, kind| Column { property: name.into(), name: name.into(), kind, description: None };
        let columns = vec![column("gid", ColumnType::Text), column("n", ColumnType::Long)];
        let schema = new_schema(&columns, IdentifierCase::Preserve).unwrap();
        let arrow = Arc::new(schema_to_arrow_schema(&schema).unwrap());
        let identity = key.map(|key| Identity {
            key: vec![arrow.index_of(key).unwrap()],
            cursor: Some(arrow.index_of("n").unwrap()),
        });
        let fillings = fillings(&schema, &columns, IdentifierCase::Preserve);
        Arc::new(Shape { arrow, fillings, columns, identity, generation_id: 3, sync_id: 9 })
    }

    fn batch(shape: Arc<Shape>, records: &[&str]) -> Batch {
        let mut builder = BatchBuilder::new(shape, RowIds::new()).unwrap();
        for data in records {
            let line = format!(r#"{{"stream":"s","data":{data},"emitted_at":1767225600000}}"#);
            builder.push(&serde_json::from_str(&line).unwrap());
        }
        builder.finish().unwrap()
    }

    fn told(batch: &Batch) -> Vec<(usize, String, String)> {
        let meta = batch.rows["_airbyte_meta"].as_struct();
        let lists = meta.column(1).as_list::<i32>();
        let mut told = Vec::new();
        for row in 0..lists.len() {
            let changes = lists.value(row);
            let text = |column: usize, place| {
                changes.as_struct().column(column).as_string::<i32>().value(place).to_owned()
            };
            told.extend((0..changes.len()).map(|place| (row, text(0, place), text(2, place))));
        }
        told
    }

    #[test]
    fn a_bad_value_is_null_and_told_and_the_row_stays() {
        let batch = batch(
            shape(None),
            &[r#"{"gid":"1","n":5}"#, r#"{"n":"x","other":1,"gid":"2"}"#, r#"{"gid":7}"#, "[]"],
        );
        assert_eq!((batch.rows.num_rows(), batch.records), (4, 4));
        let n = batch.rows["n"].as_primitive::<Int64Type>();
        assert_eq!(n.iter().collect::<Vec<_>>(), [Some(5), None, None, None]);
        let gid = batch.rows["gid"].as_string::<i32>();
        assert_eq!(gid.iter().collect::<Vec<_>>(), [Some("1"), Some("2"), Some("7"), None]);
        let expected =
            [(1, "n", "DESTINATION_TYPECAST_ERROR"), (3, "data", "DESTINATION_SERIALIZATION_ERROR")];
        assert_eq!(told(&batch), expected.map(|(row, field, reason)| (row, field.into(), reason.into())));
    }

    #[test]
    fn what_the_source_told_is_told_on() {
        let mut builder = BatchBuilder::new(shape(None), RowIds::new()).unwrap();
        let line = r#"{"stream":"s","data":{"gid":"1"},"emitted_at":1,"meta":{"changes":[
            {"field":"notes","change":"TRUNCATED","reason":"SOURCE_FIELD_SIZE_LIMITATION"}]}}"#;
        builder.push(&serde_json::from_str(line).unwrap());
        let batch = builder.finish().unwrap();
        assert_eq!(told(&batch), [(0, "notes".into(), "SOURCE_FIELD_SIZE_LIMITATION".into())]);
    }

    #[test]
    fn row_ids_differ_and_generations_and_syncs_are_written() {
        let batch = batch(shape(None), &[r#"{"gid":"1"}"#; 500]);
        let ids: HashSet<&str> = batch.rows["_airbyte_raw_id"].as_string::<i32>().iter().flatten().collect();
        assert_eq!(ids.len(), 500);
        assert!(ids.iter().all(|id| id.len() == 36 && &id[14..15] == "7"));
        assert_eq!(batch.rows["_airbyte_generation_id"].as_primitive::<Int64Type>().value(0), 3);
        let sync_ids = batch.rows["_airbyte_meta"].as_struct().column(0).clone();
        assert_eq!(sync_ids.as_primitive::<Int64Type>().value(0), 9);
    }

    #[test]
    fn a_deletion_leaves_no_row_but_its_arrival() {
        let records = [
            r#"{"gid":"1","n":5}"#,
            r#"{"gid":"2","n":6,"_ab_cdc_deleted_at":"2026-01-01T00:00:00Z"}"#,
            r#"{"gid":"3","n":7,"_ab_cdc_deleted_at":null}"#,
            r#"{"gid":null}"#,
        ];
        let keyed = batch(shape(Some("gid")), &records);
        let rows: Vec<Option<u32>> = keyed.arrivals.iter().map(|arrival| arrival.row).collect();
        assert_eq!(rows, [Some(0), None, Some(1), Some(2)]);
        assert_eq!(keyed.rows.num_rows(), 3);
        assert_eq!(keyed.arrivals[2].cursor, Cursor::Integer(7));
        assert_eq!(keyed.arrivals[3].key, None);
        // Without keys a deletion is a record as any other.
        assert_eq!(batch(shape(None), &records).rows.num_rows(), 4);
    }

    #[test]
    fn keys_in_any_order_and_repeated_find_their_columns() {
        let records =
            [r#"{"gid":"1","n":1}"#, r#"{"n":2,"gid":"2"}"#, r#"{"gid":"3"}"#, r#"{"n":1,"gid":"x","n":4}"#];
        let batch = batch(shape(None), &records);
        let n = batch.rows["n"].as_primitive::<Int64Type>();
        assert_eq!(n.iter().collect::<Vec<_>>(), [Some(1), Some(2), None, Some(4)]);
    }
}
