//! Rows by their place: finding the rows that have given keys.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use futures::{StreamExt, TryStreamExt};
use iceberg::io::FileIO;
use iceberg::spec::{DataFile, Datum, PrimitiveLiteral};

use crate::data_file::has_trusted_bounds;
use crate::failure::{Failure, Result};
use crate::key::{Cursor, Cursors, Key, each_key};
use crate::parquet_columns::{read_columns, unreadable};
use crate::position_deletes::{each_deleted, may_delete_from};

/// Files read at once.
const READS_AT_ONCE: usize = 8;
/// Delete files of at most this many rows are joined with the next one.
pub const SMALL_DELETES: u64 = 10_000;

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

/// What `find` found.
#[derive(Debug, Default)]
pub struct Search {
    pub rows: Vec<Found>,
    /// The small delete files that it had to read, with every row that they delete.
    pub small_deletes: Vec<ReadDeletes>,
}

/// A delete file with the rows that it deletes of each data file.
#[derive(Debug, Default)]
pub struct ReadDeletes {
    pub path: String,
    pub rows: HashMap<Arc<str>, Vec<u64>>,
}

/// The rows of `data` that have a key of `wanted` and are not deleted by `deletes`.
///
/// Only the columns of key and cursor are read, no data file whose bounds say that it has none of the keys, and no delete
/// file that deletes from other files only.
pub async fn find<V>(
    file_io: &FileIO,
    fields: &IdentityFields,
    data: &[DataFile],
    deletes: &[DataFile],
    wanted: &HashMap<Key, V>,
) -> Result<Search> {
    let range = KeyRange::of(wanted);
    let may_hold = |file: &&DataFile| !has_trusted_bounds(file) || range.may_hold(file, fields.key[0]);
    let reads: Vec<_> = data
        .iter()
        .filter(may_hold)
        .map(|file| async move {
            let mut found = Vec::new();
            find_in_file(file_io, fields, file, wanted, &mut found).await?;
            Ok::<_, Failure>(found)
        })
        .collect();
    let found: Vec<Vec<Found>> = futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut rows: Vec<Found> = found.into_iter().flatten().collect();
    if rows.is_empty() {
        return Ok(Search::default());
    }
    let mut by_place: HashMap<&str, HashMap<u64, usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        by_place.entry(&row.file).or_default().insert(row.position, index);
    }
    let paths: BTreeSet<&str> = by_place.keys().copied().collect();
    let by_place = &by_place;
    let reads: Vec<_> = deletes
        .iter()
        .filter(|file| may_delete_from(file, &paths))
        .map(|file| async move {
            let (mut dead, is_small) = (Vec::new(), file.record_count() <= SMALL_DELETES);
            let mut deletes = ReadDeletes { path: file.file_path().to_owned(), ..ReadDeletes::default() };
            each_deleted(file_io, file, |path, position| {
                dead.extend(by_place.get(path).and_then(|rows| rows.get(&position)));
                if is_small {
                    deletes.add(path, position);
                }
            })
            .await?;
            let small = is_small.then_some(deletes);
            Ok::<_, Failure>((dead, small))
        })
        .collect();
    let read: Vec<(Vec<usize>, Option<ReadDeletes>)> =
        futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut dead: HashSet<usize> = HashSet::new();
    let mut small_deletes = Vec::new();
    for (indexes, small) in read {
        dead.extend(indexes);
        small_deletes.extend(small);
    }
    let mut index = 0;
    rows.retain(|_| {
        index += 1;
        !dead.contains(&(index - 1))
    });
    Ok(Search { rows, small_deletes })
}

pub async fn read_deletes<'a>(
    file_io: &FileIO,
    files: impl Iterator<Item = &'a DataFile>,
) -> Result<Vec<ReadDeletes>> {
    let reads: Vec<_> = files
        .map(|file| async move {
            let mut deletes = ReadDeletes { path: file.file_path().to_owned(), ..ReadDeletes::default() };
            each_deleted(file_io, file, |path, position| deletes.add(path, position)).await?;
            Ok::<_, Failure>(deletes)
        })
        .collect();
    futures::stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
}

impl ReadDeletes {
    fn add(&mut self, path: &str, position: u64) {
        match self.rows.get_mut(path) {
            Some(rows) => rows.push(position),
            None => _ = self.rows.insert(path.into(), vec![position]),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, StringArray};

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
