//! Rows of data files in new files: all that are not deleted, in the table's current columns. It commits nothing.
//!
//! Columns are matched by their field numbers, at every depth. So a file that is older than a column, or than a field
//! inside a column, gets nulls there.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, RecordBatch, StructArray, new_null_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};
use arrow_select::filter::filter_record_batch;
use futures::{StreamExt, TryStreamExt};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::DataFile;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::catalog::Table;
use crate::data_file::DataFileWriter;
use crate::failure::{Failure, Result, of_iceberg};
use crate::parquet_columns::{read_all, unreadable};

/// Files that are opened ahead. A small one is read as a whole then, so many small ones take few round trips.
const FILES_AHEAD: usize = 8;

/// Rows of data files that are deleted. A file with deleted rows takes one bit for each of its rows.
#[derive(Debug, Default)]
pub struct DeletedRows(HashMap<String, Rows>);

struct Rows {
    kept: BooleanBufferBuilder,
    deleted: u64,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} rows", self.deleted, self.kept.len())
    }
}

impl DeletedRows {
    /// Marks a row as deleted. A row that the file does not have is ignored.
    pub fn delete(&mut self, file: &DataFile, row: u64) {
        if row >= file.record_count() {
            return;
        }
        let Some(rows) = self.0.get_mut(file.file_path()) else {
            let count = file.record_count() as usize;
            let mut kept = BooleanBufferBuilder::new(count);
            kept.append_n(count, true);
            kept.set_bit(row as usize, false);
            self.0.insert(file.file_path().to_owned(), Rows { kept, deleted: 1 });
            return;
        };
        if rows.kept.get_bit(row as usize) {
            rows.kept.set_bit(row as usize, false);
            rows.deleted += 1;
        }
    }

    /// How many rows of the file are deleted.
    pub fn count(&self, file: &DataFile) -> u64 {
        self.0.get(file.file_path()).map_or(0, |rows| rows.deleted)
    }

    /// Whether every row of the file is deleted.
    pub fn leave_nothing_of(&self, file: &DataFile) -> bool {
        self.0.get(file.file_path()).is_some_and(|rows| rows.deleted == file.record_count())
    }

    fn kept(&self, file: &DataFile) -> Option<BooleanBuffer> {
        self.0.get(file.file_path()).map(|rows| rows.kept.finish_cloned())
    }
}

/// Writes the rows of `files` that are not deleted into new files of the table's current schema.
pub async fn rewrite(
    table: &Table,
    files: &[&DataFile],
    deleted: &DeletedRows,
    target_bytes: usize,
) -> Result<Vec<DataFile>> {
    let arrow = Arc::new(schema_to_arrow_schema(table.metadata.current_schema()).map_err(of_iceberg)?);
    let mut writer = DataFileWriter::new(table, target_bytes);
    let reads: Vec<_> = files
        .iter()
        .map(|file| async move { Ok::<_, Failure>((*file, read_all(&table.file_io, file).await?)) })
        .collect();
    let mut sources = futures::stream::iter(reads).buffered(FILES_AHEAD);
    while let Some((file, mut batches)) = sources.try_next().await? {
        let unfit = |error: ArrowError| {
            Failure::system(format!("the rows of {} do not fit their table: {error}", file.file_path()))
        };
        let kept = deleted.kept(file);
        let mut start = 0;
        while let Some(batch) = batches.try_next().await.map_err(|error| unreadable(file, &error))? {
            let count = batch.num_rows();
            let (schema, source) = (batch.schema(), batch.columns());
            let columns = fields_by_number(schema.fields(), source, arrow.fields(), count).map_err(unfit)?;
            let mut rows = RecordBatch::try_new(arrow.clone(), columns).map_err(unfit)?;
            if let Some(kept) = &kept {
                let kept = kept.slice(start, count);
                rows = filter_record_batch(&rows, &kept.into()).map_err(unfit)?;
            }
            start += count;
            if rows.num_rows() > 0 {
                writer.write(&rows).await?;
            }
        }
    }
    writer.take().await
}

/// The columns of `wanted`, each made of the column with its number. One that is not there is null in every row.
fn fields_by_number(
    fields: &Fields,
    columns: &[ArrayRef],
    wanted: &Fields,
    rows: usize,
) -> std::result::Result<Vec<ArrayRef>, ArrowError> {
    let places: HashMap<&str, usize> =
        fields.iter().enumerate().filter_map(|(place, field)| Some((number(field)?, place))).collect();
    let column = |wanted: &FieldRef| match number(wanted).and_then(|number| places.get(number)) {
        Some(place) => converted(&columns[*place], wanted.data_type()),
        None => Ok(new_null_array(wanted.data_type(), rows)),
    };
    wanted.iter().map(column).collect()
}

fn number(field: &Field) -> Option<&str> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY).map(String::as_str)
}

/// The same values as another type.
fn converted(array: &ArrayRef, wanted: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    match (array.data_type(), wanted) {
        (DataType::Struct(fields), DataType::Struct(wanted)) => {
            let (source, rows) = (array.as_struct(), array.len());
            let columns = fields_by_number(fields, source.columns(), wanted, rows)?;
            let nulls = source.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(wanted.clone(), columns, nulls, rows)?))
        }
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = converted(list.values(), element.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(element.clone(), offsets, values, nulls)?))
        }
        (DataType::Map(_, _), DataType::Map(entry, is_sorted)) => {
            let map = array.as_map();
            let entries = converted(&(Arc::new(map.entries().clone()) as ArrayRef), entry.data_type())?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let entries = entries.as_struct().clone();
            Ok(Arc::new(MapArray::try_new(entry.clone(), offsets, entries, nulls, *is_sorted)?))
        }
        (found, wanted) if found == wanted => Ok(array.clone()),
        // A value that the type cannot represent is an error and no null.
        _ => cast_with_options(array, wanted, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::Int32Type;
    use arrow_array::{Float32Array, Int32Array, Int64Array, StringArray};
    use arrow_buffer::OffsetBuffer;
    use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat};

    fn field(name: &str, id: i32, kind: DataType) -> Field {
        let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
        Field::new(name, kind, true).with_metadata(metadata)
    }

    fn columns(fields: &Fields, columns: &[ArrayRef], wanted: Vec<Field>) -> Vec<ArrayRef> {
        fields_by_number(fields, columns, &wanted.into(), columns[0].len()).unwrap()
    }

    #[test]
    fn columns_are_found_by_number_whatever_their_name_and_place() {
        let fields = Fields::from(vec![field("a", 1, DataType::Int32), field("b", 2, DataType::Float32)]);
        let source: [ArrayRef; 2] =
            [Arc::new(Int32Array::from(vec![Some(7), None])), Arc::new(Float32Array::from(vec![0.5, 1.0]))];
        let wanted = vec![
            field("a", 2, DataType::Float64),
            field("new", 3, DataType::Utf8),
            field("b", 1, DataType::Int64),
        ];
        let found = columns(&fields, &source, wanted);
        assert_eq!(found[0].as_primitive::<arrow_array::types::Float64Type>().values(), &[0.5, 1.0]);
        assert_eq!(found[1].null_count(), 2);
        assert_eq!(*found[2], Int64Array::from(vec![Some(7), None]));
    }

    #[test]
    fn a_field_inside_of_a_list_of_objects_is_added() {
        let item = Fields::from(vec![field("gid", 5, DataType::Utf8)]);
        let element = Arc::new(field("element", 4, DataType::Struct(item.clone())));
        let items = StructArray::new(item, vec![Arc::new(StringArray::from(vec!["1", "2", "3"]))], None);
        let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
        let list: ArrayRef = Arc::new(ListArray::new(element.clone(), offsets, Arc::new(items), None));
        let fields = Fields::from(vec![field("tags", 3, DataType::List(element))]);
        let wider = Fields::from(vec![field("name", 6, DataType::Int32), field("gid", 5, DataType::Utf8)]);
        let element = Arc::new(field("element", 4, DataType::Struct(wider)));
        let found = columns(&fields, &[list], vec![field("tags", 3, DataType::List(element))]);
        let (first, last) = (found[0].as_list::<i32>().value(0), found[0].as_list::<i32>().value(2));
        assert_eq!(first.as_struct().column(0).as_primitive::<Int32Type>().null_count(), 2);
        let gids = |items: &ArrayRef| -> Vec<String> {
            items.as_struct().column(1).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
        };
        assert_eq!((gids(&first), gids(&last)), (vec!["1".to_owned(), "2".to_owned()], vec!["3".to_owned()]));
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error() {
        let fields = Fields::from(vec![field("a", 1, DataType::Int64)]);
        let source: [ArrayRef; 1] = [Arc::new(Int64Array::from(vec![1 << 40]))];
        let wanted = vec![field("a", 1, DataType::Int32)].into();
        assert!(fields_by_number(&fields, &source, &wanted, 1).is_err());
    }

    #[test]
    fn a_row_is_deleted_once() {
        let file = DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path("part.parquet".to_owned())
            .file_format(DataFileFormat::Parquet)
            .record_count(3)
            .file_size_in_bytes(1)
            .build()
            .unwrap();
        let mut deleted = DeletedRows::default();
        for row in [1, 1, 2, 3] {
            deleted.delete(&file, row);
        }
        assert_eq!(deleted.kept(&file).unwrap().iter().collect::<Vec<_>>(), [true, false, false]);
        assert!(!deleted.leave_nothing_of(&file));
        deleted.delete(&file, 0);
        assert!(deleted.leave_nothing_of(&file));
    }
}
