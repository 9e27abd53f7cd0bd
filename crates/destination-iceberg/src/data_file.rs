//! Batches to Parquet files of a sensible size. Knows the table's folder, not its snapshots.

use iceberg::io::FileIO;
use iceberg::spec::{DataFile, SchemaRef};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use arrow_array::RecordBatch;

use crate::catalog::Table;
use crate::failure::{Failure, Result};
use crate::parquet_file::{Content, ParquetFile};

/// The memory that one open file may take: a row group is written out when its encoded size reaches it.
pub const ROW_GROUP_BYTES: usize = 16 << 20;
/// A file is closed when it has so many column chunks, whatever its size: until then, the statistics and page indexes
/// of each are in memory. A thousand columns come to that in twenty row groups.
const COLUMN_CHUNKS_OF_A_FILE: usize = 20_000;
/// With more columns than this, values are not collected in dictionaries, which take several times the memory of what
/// they encode.
const COLUMNS_WITH_DICTIONARIES: usize = 200;
/// zstd's default; level 1 saves a tenth of the time and costs a tenth of the space.
const COMPRESSION_LEVEL: i32 = 3;

/// The properties of every Parquet file that the destination writes.
pub fn parquet_properties() -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(COMPRESSION_LEVEL).map_err(|error| Failure::system(error.to_string()))?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by(concat!("destination-iceberg ", env!("CARGO_PKG_VERSION")).to_owned())
        .build())
}

/// Data files' names begin with this. Those of earlier versions did not, and their bounds may be wrong.
const NAME_PREFIX: &str = "part-";

/// Whether the file may be skipped by its bounds. Earlier versions named files by a bare UUID, or one with `-deletes`, and
/// the bounds of a file with several row groups did not cover all of them.
pub fn has_trusted_bounds(file: &DataFile) -> bool {
    let name = file.file_path().rsplit('/').next().unwrap_or_default();
    let is_old = name
        .strip_suffix(".parquet")
        .is_some_and(|stem| uuid::Uuid::parse_str(stem.strip_suffix("-deletes").unwrap_or(stem)).is_ok());
    !is_old || file.split_offsets().is_some_and(|offsets| offsets.len() == 1)
}

/// Where a batch's first row came to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counts the writer's files.
    pub file: u32,
    pub row: u64,
}

/// Writes one table's batches into data files, one open at a time.
pub struct DataFileWriter {
    folder: String,
    file_io: FileIO,
    schema: SchemaRef,
    partition_spec_id: i32,
    target_bytes: usize,
    open: Option<OpenFile>,
    files: Vec<DataFile>,
}

struct OpenFile {
    writer: ParquetFile,
    rows: u64,
}

impl DataFileWriter {
    pub fn new(table: &Table, target_bytes: usize) -> Self {
        Self {
            folder: table.data_folder(),
            file_io: table.file_io.clone(),
            schema: table.metadata.current_schema().clone(),
            partition_spec_id: table.metadata.default_partition_spec_id(),
            target_bytes,
            open: None,
            files: Vec::new(),
        }
    }

    /// Takes the access of a reloaded table; an open file is finished with the old one.
    pub fn renew(&mut self, table: &Table) {
        self.file_io = table.file_io.clone();
    }

    /// Appends a batch, which lies in one file.
    pub async fn write(&mut self, rows: &RecordBatch) -> Result<Place> {
        let file = self.files.len() as u32;
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let location = format!("{}/{NAME_PREFIX}{}.parquet", self.folder, uuid::Uuid::now_v7());
                let schema = self.schema.clone();
                let mut properties = parquet_properties()?;
                if schema.as_struct().fields().len() > COLUMNS_WITH_DICTIONARIES {
                    properties = properties.into_builder().set_dictionary_enabled(false).build();
                }
                let writer = ParquetFile::create(&self.file_io, location, schema, properties).await?;
                self.open.insert(OpenFile { writer, rows: 0 })
            }
        };
        let place = Place { file, row: open.rows };
        open.writer.write(rows).await?;
        open.rows += rows.num_rows() as u64;
        if open.writer.size() >= self.target_bytes || open.writer.column_chunks() >= COLUMN_CHUNKS_OF_A_FILE {
            self.close().await?;
        }
        Ok(place)
    }

    /// Finishes the open file, if one is.
    pub async fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.files.push(open.writer.close(Content::Rows, self.partition_spec_id).await?);
        Ok(())
    }

    /// Finishes the open file and hands over all files since the last time, in the order of their numbers.
    pub async fn take(&mut self) -> Result<Vec<DataFile>> {
        self.close().await?;
        Ok(std::mem::take(&mut self.files))
    }
}
