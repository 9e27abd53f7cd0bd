//! Reading some columns of a Parquet file by their field numbers. Knows neither keys nor deletes.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use futures::future::BoxFuture;
use iceberg::arrow::ArrowFileReader;
use iceberg::io::{FileIO, FileMetadata, FileRead};
use iceberg::spec::{DataFile, DataFileFormat};
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};

use crate::failure::{Failure, Result, of_iceberg};

/// Rows read at a time.
const BATCH_ROWS: usize = 8192;
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
    if file.file_format() != DataFileFormat::Parquet {
        let path = file.file_path();
        return Err(Failure::configuration(format!("{path} is no Parquet file; upserts need Parquet")));
    }
    let mut reader =
        file_io.new_input(file.file_path()).map_err(of_iceberg)?.reader().await.map_err(of_iceberg)?;
    let size = file.file_size_in_bytes();
    if size <= WHOLE_FILE_BYTES {
        reader = Box::new(WholeFile(reader.read(0..size).await.map_err(of_iceberg)?));
    }
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
