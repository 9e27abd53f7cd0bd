//! Position delete files: which rows one deletes, which files it may delete from, and writing one. Knows no key.
//!
//! Position deletes are the one form of row-level delete that Snowflake reads in tables of format version 2; it
//! refuses tables with equality deletes.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, NestedField, PrimitiveLiteral, PrimitiveType, Schema, Type,
};

use crate::catalog::Table;
use crate::data_file::{has_trusted_bounds, parquet_properties};
use crate::failure::{Failure, Result, of_iceberg};
use crate::parquet_columns::{read_columns, unreadable};
use crate::parquet_file::{Content, ParquetFile};

/// The numbers that the Iceberg specification reserves for the columns of position delete files.
const DELETED_FILE_ID: i32 = 2_147_483_546;
const DELETED_POSITION_ID: i32 = 2_147_483_545;
/// Rows written at a time.
const BATCH_ROWS: usize = 8192;

/// Whether the delete file may delete rows of one of the files at these paths.
pub fn may_delete_from(file: &DataFile, paths: &BTreeSet<&str>) -> bool {
    if let Some(only) = file.referenced_data_file() {
        return paths.contains(only.as_str());
    }
    let bound = |bounds: &std::collections::HashMap<i32, iceberg::spec::Datum>| match bounds
        .get(&DELETED_FILE_ID)?
        .literal()
    {
        PrimitiveLiteral::String(path) => Some(path.clone()),
        _ => None,
    };
    match (bound(file.lower_bounds()), bound(file.upper_bounds())) {
        (Some(lower), Some(upper)) if has_trusted_bounds(file) && lower <= upper => {
            paths.range(lower.as_str()..=upper.as_str()).next().is_some()
        }
        _ => true,
    }
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

/// Writes one file that deletes the given rows of the table; nothing if there are none.
pub async fn write_deletes(table: &Table, mut rows: Vec<(Arc<str>, u64)>) -> Result<Option<DataFile>> {
    if rows.is_empty() {
        return Ok(None);
    }
    // The specification wants them sorted by file, then by position.
    rows.sort_unstable();
    rows.dedup();
    let schema = Arc::new(delete_schema()?);
    let location = format!("{}/deletes-{}.parquet", table.data_folder(), uuid::Uuid::now_v7());
    let properties = parquet_properties()?.into_builder().set_statistics_truncate_length(None).build();
    let mut file = ParquetFile::create(&table.file_io, location, schema.clone(), properties).await?;
    let arrow = Arc::new(schema_to_arrow_schema(&schema).map_err(of_iceberg)?);
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
    Schema::builder()
        .with_fields([
            field(DELETED_FILE_ID, "file_path", PrimitiveType::String),
            field(DELETED_POSITION_ID, "pos", PrimitiveType::Long),
        ])
        .build()
        .map_err(of_iceberg)
}
