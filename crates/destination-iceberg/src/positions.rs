//! Rows by their place: finding the rows that have given keys, and deleting rows by file and position. Knows no
//! stream and no catalog.
//!
//! Position deletes are the one form of row-level delete that Snowflake reads in tables of format version 2; it
//! refuses tables with equality deletes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use iceberg::arrow::{ArrowFileReader, schema_to_arrow_schema};
use iceberg::io::{FileIO, FileMetadata};
use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, Datum, NestedField, PrimitiveLiteral, PrimitiveType, Schema,
    Type,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};

use crate::catalog::Table;
use crate::data_file::{has_trusted_bounds, parquet_properties};
use crate::failure::{Failure, Result};
use crate::key::{Cursor, Cursors, Key, each_key};
use crate::parquet_file::{Content, ParquetFile};

/// The numbers that the Iceberg specification reserves for the columns of position delete files.
const DELETED_FILE_ID: i32 = 2_147_483_546;
const DELETED_POSITION_ID: i32 = 2_147_483_545;
/// Rows read at a time when keys are looked up.
const BATCH_ROWS: usize = 8192;

/// The fields of the table that make up the key and the cursor, by number, keys in the primary key's order.
#[derive(Debug, Clone)]
pub struct IdentityFields {
    pub key: Vec<i32>,
    pub cursor: Option<i32>,
    /// The column of generations, and the oldest one whose cursors count.
    pub minimum_generation: Option<(i32, i64)>,
}

/// A row of the table that has one of the keys looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub key: Key,
    pub file: Arc<str>,
    pub position: u64,
    pub cursor: Cursor,
}

/// The rows of `data` that have a key of `wanted` and are not deleted by `deletes`.
///
/// Only the columns of key and cursor are read, and no file whose bounds say that it has none of the keys.
pub async fn find<V>(
    file_io: &FileIO,
    fields: &IdentityFields,
    data: &[DataFile],
    deletes: &[DataFile],
    wanted: &HashMap<Key, V>,
) -> Result<Vec<Found>> {
    let range = KeyRange::of(wanted);
    let mut found = Vec::new();
    for file in data {
        if !has_trusted_bounds(file) || range.may_hold(file, fields.key[0]) {
            find_in_file(file_io, fields, file, wanted, &mut found).await?;
        }
    }
    if found.is_empty() {
        return Ok(found);
    }
    let mut dead: HashSet<usize> = HashSet::new();
    let mut by_place: HashMap<&str, HashMap<u64, usize>> = HashMap::new();
    for (index, row) in found.iter().enumerate() {
        by_place.entry(&row.file).or_default().insert(row.position, index);
    }
    for file in deletes {
        each_deleted(file_io, file, |path, position| {
            if let Some(index) = by_place.get(path).and_then(|rows| rows.get(&position)) {
                dead.insert(*index);
            }
        })
        .await?;
    }
    let mut index = 0;
    found.retain(|_| {
        index += 1;
        !dead.contains(&(index - 1))
    });
    Ok(found)
}

async fn find_in_file<V>(
    file_io: &FileIO,
    fields: &IdentityFields,
    file: &DataFile,
    wanted: &HashMap<Key, V>,
    found: &mut Vec<Found>,
) -> Result<()> {
    let generation = fields.minimum_generation.map(|(id, _)| id);
    let ids: Vec<i32> = fields.key.iter().copied().chain(fields.cursor).chain(generation).collect();
    let Some((mut batches, columns)) = read_columns(file_io, file, &ids).await? else { return Ok(()) };
    let Some(keys) = fields.key.iter().map(|id| columns.get(id)).collect::<Option<Vec<_>>>() else {
        // Older than the key's column: every key in it is null.
        return Ok(());
    };
    let cursor = fields.cursor.and_then(|id| columns.get(&id));
    let path: Arc<str> = file.file_path().into();
    let mut start = 0;
    while let Some(batch) = batches.try_next().await.map_err(|error| unreadable(file, &error))? {
        let arrays: Vec<ArrayRef> = keys.iter().map(|index| batch.column(**index).clone()).collect();
        let cursors = Cursors::of(cursor.map(|index| batch.column(*index)))?;
        let outdated = fields.minimum_generation.map(|(id, minimum)| {
            let column = columns.get(&id).map(|index| batch.column(*index));
            move |row: usize| column.is_none_or(|column| generation_at(column, row) < Some(minimum))
        });
        each_key(&arrays, |row, key| {
            if let Some((key, _)) = key.and_then(|key| wanted.get_key_value(key)) {
                let position = start + row as u64;
                // A refresh replaces rows of older generations, whatever their cursors.
                let is_outdated = outdated.as_ref().is_some_and(|outdated| outdated(row));
                let cursor = if is_outdated { Cursor::Absent } else { cursors.at(row) };
                found.push(Found { key: key.clone(), file: path.clone(), position, cursor });
            }
        })?;
        start += batch.num_rows() as u64;
    }
    Ok(())
}

/// The generation of a row; nothing if it has none.
pub fn generation_at(column: &ArrayRef, row: usize) -> Option<i64> {
    let generations = column.as_primitive_opt::<Int64Type>()?;
    generations.is_valid(row).then(|| generations.value(row))
}

/// Calls `take` with every file and position that a position delete file deletes.
pub async fn each_deleted(file_io: &FileIO, file: &DataFile, mut take: impl FnMut(&str, u64)) -> Result<()> {
    if file.content_type() == DataContentType::EqualityDeletes
        || file.file_format() != DataFileFormat::Parquet
    {
        return Err(Failure::configuration(format!(
            "the table has deletes of another kind than position deletes in Parquet ({}): another program wrote \
             them. Compact the table with that program, or drop it and refresh the stream",
            file.file_path()
        )));
    }
    let ids = [DELETED_FILE_ID, DELETED_POSITION_ID];
    let Some((mut batches, columns)) = read_columns(file_io, file, &ids).await? else { return Ok(()) };
    let missing = || Failure::system(format!("{} is no position delete file", file.file_path()));
    let path_column = *columns.get(&DELETED_FILE_ID).ok_or_else(missing)?;
    let position_column = *columns.get(&DELETED_POSITION_ID).ok_or_else(missing)?;
    while let Some(batch) = batches.try_next().await.map_err(|error| unreadable(file, &error))? {
        let paths = batch.column(path_column).as_string_opt::<i32>().ok_or_else(missing)?;
        let positions = batch.column(position_column).as_primitive_opt::<Int64Type>().ok_or_else(missing)?;
        for (path, position) in paths.iter().zip(positions) {
            if let (Some(path), Some(position)) = (path, position) {
                take(path, position as u64);
            }
        }
    }
    Ok(())
}

pub type Batches = ParquetRecordBatchStream<ArrowFileReader>;

/// Reads the columns that carry the given field numbers, with each one's place in the batches. Nothing if the file
/// has none of them.
pub async fn read_columns(
    file_io: &FileIO,
    file: &DataFile,
    ids: &[i32],
) -> Result<Option<(Batches, HashMap<i32, usize>)>> {
    if file.file_format() != DataFileFormat::Parquet {
        let path = file.file_path();
        return Err(Failure::configuration(format!("{path} is no Parquet file; upserts need Parquet")));
    }
    let reader = file_io.new_input(file.file_path())?.reader().await?;
    let reader = ArrowFileReader::new(FileMetadata { size: file.file_size_in_bytes() }, reader);
    let builder =
        ParquetRecordBatchStreamBuilder::new(reader).await.map_err(|error| unreadable(file, &error))?;
    let mut leaves = Vec::new();
    let mut places = HashMap::new();
    for (index, column) in builder.parquet_schema().columns().iter().enumerate() {
        let info = column.self_type().get_basic_info();
        if info.has_id() && ids.contains(&info.id()) {
            places.insert(info.id(), leaves.len());
            leaves.push(index);
        }
    }
    if leaves.is_empty() {
        return Ok(None);
    }
    let mask = ProjectionMask::leaves(builder.parquet_schema(), leaves);
    let batches = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| unreadable(file, &error))?;
    Ok(Some((batches, places)))
}

pub fn unreadable(file: &DataFile, error: &parquet::errors::ParquetError) -> Failure {
    Failure::transient(format!("{} cannot be read: {error}", file.file_path()))
}

/// The smallest and the largest value of the key's first part, if it is text or an integer.
enum KeyRange {
    Text(Vec<u8>, Vec<u8>),
    Integer(i64, i64),
    Unknown,
}

impl KeyRange {
    fn of<V>(wanted: &HashMap<Key, V>) -> Self {
        let mut texts: Option<(&[u8], &[u8])> = None;
        let mut integers: Option<(i64, i64)> = None;
        for key in wanted.keys() {
            match first_part(key) {
                Some(Part::Text(text)) => {
                    let (low, high) = texts.unwrap_or((text, text));
                    texts = Some((low.min(text), high.max(text)));
                }
                Some(Part::Integer(value)) => {
                    let (low, high) = integers.unwrap_or((value, value));
                    integers = Some((low.min(value), high.max(value)));
                }
                None => return Self::Unknown,
            }
        }
        match (texts, integers) {
            (Some((low, high)), None) => Self::Text(low.to_vec(), high.to_vec()),
            (None, Some((low, high))) => Self::Integer(low, high),
            _ => Self::Unknown,
        }
    }

    fn may_hold(&self, file: &DataFile, field: i32) -> bool {
        let bounds = (file.lower_bounds().get(&field), file.upper_bounds().get(&field));
        let (Some(lower), Some(upper)) = bounds else { return true };
        match (self, lower.literal(), upper.literal()) {
            (Self::Text(low, high), PrimitiveLiteral::String(lower), PrimitiveLiteral::String(upper)) => {
                low.as_slice() <= upper.as_bytes() && lower.as_bytes() <= high.as_slice()
            }
            (Self::Integer(low, high), _, _) => match (integer(lower), integer(upper)) {
                (Some(lower), Some(upper)) => *low <= upper && lower <= *high,
                _ => true,
            },
            _ => true,
        }
    }
}

fn integer(datum: &Datum) -> Option<i64> {
    match datum.literal() {
        PrimitiveLiteral::Int(value) => Some(i64::from(*value)),
        PrimitiveLiteral::Long(value) => Some(*value),
        _ => None,
    }
}

enum Part<'a> {
    Text(&'a [u8]),
    Integer(i64),
}

/// The first value of an encoded key, undoing what `key` does.
fn first_part(key: &[u8]) -> Option<Part<'_>> {
    let (tag, rest) = key.split_first()?;
    match tag {
        1 => Some(Part::Integer(i64::from_be_bytes(rest.get(..8)?.try_into().ok()?))),
        3 => {
            let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
            Some(Part::Text(rest.get(4..4 + length)?))
        }
        _ => None,
    }
}

/// Writes one file that deletes the given rows of the table; nothing if there are none.
pub async fn write_deletes(table: &Table, mut rows: Vec<(Arc<str>, u64)>) -> Result<Option<DataFile>> {
    if rows.is_empty() {
        return Ok(None);
    }
    // The specification wants them sorted by file, then by position.
    rows.sort_unstable();
    rows.dedup();
    let schema = Arc::new(delete_schema()?);
    let location = format!("{}/{}-deletes.parquet", table.data_folder(), uuid::Uuid::now_v7());
    let properties = parquet_properties()?.into_builder().set_statistics_truncate_length(None).build();
    let mut file = ParquetFile::create(&table.file_io, location, schema.clone(), properties).await?;
    let arrow = Arc::new(schema_to_arrow_schema(&schema)?);
    for chunk in rows.chunks(BATCH_ROWS) {
        let paths = StringArray::from_iter_values(chunk.iter().map(|(path, _)| path));
        let positions = Int64Array::from_iter_values(chunk.iter().map(|(_, position)| *position as i64));
        let batch = RecordBatch::try_new(arrow.clone(), vec![Arc::new(paths), Arc::new(positions)])
            .map_err(|error| Failure::system(format!("a delete file's batch: {error}")))?;
        file.write(&batch).await?;
    }
    // They are sorted, so the first and the last tell whether there is more than one file.
    let first = rows.first().map(|(path, _)| path.to_string());
    let of = first.filter(|first| rows.last().is_some_and(|(last, _)| **last == **first));
    let entry = file.close(Content::Deletes { of }, table.metadata.default_partition_spec_id()).await?;
    Ok(Some(entry))
}

fn delete_schema() -> Result<Schema> {
    let field = |id, name: &str, kind| NestedField::required(id, name, Type::Primitive(kind)).into();
    Ok(Schema::builder()
        .with_fields([
            field(DELETED_FILE_ID, "file_path", PrimitiveType::String),
            field(DELETED_POSITION_ID, "pos", PrimitiveType::Long),
        ])
        .build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_first_part_is_read_back() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["12", "7"]));
        let mut wanted = HashMap::new();
        each_key(&[text], |row, key| _ = wanted.insert(Key::from(key.unwrap()), row)).unwrap();
        assert!(matches!(KeyRange::of(&wanted), KeyRange::Text(low, high) if low == b"12" && high == b"7"));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![-5, 3]));
        let mut wanted = HashMap::new();
        each_key(&[numbers], |row, key| _ = wanted.insert(Key::from(key.unwrap()), row)).unwrap();
        assert!(matches!(KeyRange::of(&wanted), KeyRange::Integer(-5, 3)));
    }
}
