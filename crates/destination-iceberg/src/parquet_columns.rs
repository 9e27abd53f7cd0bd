//! Reading columns of a Parquet file by their field numbers.

use std::collections::HashMap;
use std::ops::Range;

use arrow_schema::FieldRef;
use bytes::Bytes;
use futures::future::BoxFuture;
use iceberg::arrow::ArrowFileReader;
use iceberg::io::{FileIO, FileMetadata, FileRead};
use iceberg::spec::{DataFile, DataFileFormat};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};

use crate::failure::{Failure, Result, of_iceberg};

/// Rows read at a time.
const BATCH_ROWS: usize = 8192;
/// The same where every column is read, of which there may be thousands.
const BATCH_ROWS_OF_ALL_COLUMNS: usize = 1024;
/// Files of at most this size are read as a whole.
const WHOLE_FILE_BYTES: u64 = 1 << 20;

pub type Batches = ParquetRecordBatchStream<ArrowFileReader>;

/// Reads the columns that carry the given field numbers, with each one's place in the batches. Nothing if the file
/// has none of them.
pub async fn read_columns(
    file_io: &FileIO,
    file: &DataFile,
    ids: &[i32],
) -> Result<Option<(Batches, HashMap<i32, usize>)>> {
    let builder = open(file_io, file).await?;
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
    let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
    Ok(Some((batches.map_err(|error| unreadable(file, &error))?, places)))
}

/// Reads every column, whose fields carry their numbers.
pub async fn read_all(file_io: &FileIO, file: &DataFile) -> Result<Batches> {
    let builder = open(file_io, file).await?;
    let has_number = |field: &FieldRef| field.metadata().contains_key(PARQUET_FIELD_ID_META_KEY);
    if !builder.schema().fields().iter().any(has_number) {
        return Err(Failure::configuration(format!(
            "the columns of {} have no field numbers: another program added the file to the table. Rewrite its files \
             with that program",
            file.file_path()
        )));
    }
    builder.with_batch_size(BATCH_ROWS_OF_ALL_COLUMNS).build().map_err(|error| unreadable(file, &error))
}

async fn open(file_io: &FileIO, file: &DataFile) -> Result<ParquetRecordBatchStreamBuilder<ArrowFileReader>> {
    if file.file_format() != DataFileFormat::Parquet {
        return Err(Failure::configuration(format!(
            "{} is not a Parquet file: another program wrote it. Rewrite the table's files as Parquet with that \
             program",
            file.file_path()
        )));
    }
    let mut reader =
        file_io.new_input(file.file_path()).map_err(of_iceberg)?.reader().await.map_err(of_iceberg)?;
    let size = file.file_size_in_bytes();
    if size <= WHOLE_FILE_BYTES {
        reader = Box::new(WholeFile(reader.read(0..size).await.map_err(of_iceberg)?));
    }
    let reader = ArrowFileReader::new(FileMetadata { size }, reader);
    // What a writer noted of its own types in memory does not matter; the file's types do.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
        .await
        .map_err(|error| unreadable(file, &error))
}

/// A file in memory: one request to an object store instead of several, one after the other.
struct WholeFile(Bytes);

impl FileRead for WholeFile {
    fn read<'a, 'b>(&'a self, range: Range<u64>) -> BoxFuture<'b, iceberg::Result<Bytes>>
    where
        'a: 'b,
        Self: 'b,
    {
        let range = range.start as usize..range.end as usize;
        let part = (range.end <= self.0.len()).then(|| self.0.slice(range));
        let missing = || iceberg::Error::new(iceberg::ErrorKind::DataInvalid, "the file is too short");
        Box::pin(std::future::ready(part.ok_or_else(missing)))
    }
}

pub fn unreadable(file: &DataFile, error: &parquet::errors::ParquetError) -> Failure {
    Failure::transient(format!("{} cannot be read: {error}", file.file_path()))
}
