//! One Parquet file while it is written, and its entry for a manifest. Knows no table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::{FileIO, FileWrite};
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, SchemaRef};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::bounds::{TEXT_BOUND_BYTES, column_facts};
use crate::failure::{Failure, Result, of_iceberg, with_causes};

/// What a file is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Rows,
    /// Position deletes. Their bounds are whole paths, so that readers can skip the file.
    Deletes {
        /// The data file that they are all of, if it is one.
        of: Option<String>,
    },
}

pub struct ParquetFile {
    location: String,
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    sink: Box<dyn FileWrite>,
    nan_counts: HashMap<i32, u64>,
}

impl ParquetFile {
    pub async fn create(
        file_io: &FileIO,
        location: String,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let arrow = Arc::new(schema_to_arrow_schema(&schema).map_err(of_iceberg)?);
        let writer = ArrowWriter::try_new(Vec::new(), arrow, Some(properties))
            .map_err(|error| unwritable(&location, &error))?;
        let sink = file_io.new_output(&location).map_err(of_iceberg)?.writer().await.map_err(of_iceberg)?;
        Ok(Self { location, schema, writer, sink, nan_counts: HashMap::new() })
    }

    pub async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
            count_nans(field, column, &mut self.nan_counts);
        }
        let groups = self.writer.flushed_row_groups().len();
        self.writer.write(rows).map_err(|error| unwritable(&self.location, &error))?;
        if self.writer.flushed_row_groups().len() > groups {
            self.drain().await?;
        }
        Ok(())
    }

    /// What is written and what the open row group has encoded.
    pub fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// The column chunks of the row groups that are written, whose facts are held for the footer.
    pub fn column_chunks(&self) -> usize {
        self.writer.flushed_row_groups().iter().map(|group| group.num_columns()).sum()
    }

    /// Finishes the file.
    pub async fn close(mut self, content: Content, partition_spec_id: i32) -> Result<DataFile> {
        let footer = self.writer.finish().map_err(|error| unwritable(&self.location, &error))?;
        self.drain().await?;
        self.sink.close().await.map_err(of_iceberg)?;
        let limit = match content {
            Content::Rows => Some(TEXT_BOUND_BYTES),
            Content::Deletes { .. } => None,
        };
        let facts = column_facts(&self.schema, &footer, limit);
        let offsets = footer.row_groups().iter().filter_map(|group| group.file_offset()).collect();
        let mut entry = DataFileBuilder::default();
        entry
            .file_path(self.location)
            .file_format(DataFileFormat::Parquet)
            .partition_spec_id(partition_spec_id)
            .record_count(footer.file_metadata().num_rows() as u64)
            .file_size_in_bytes(self.writer.bytes_written() as u64)
            .column_sizes(facts.sizes)
            .value_counts(facts.value_counts)
            .null_value_counts(facts.null_value_counts)
            .nan_value_counts(self.nan_counts)
            .lower_bounds(facts.lower_bounds)
            .upper_bounds(facts.upper_bounds)
            .split_offsets(Some(offsets));
        match content {
            Content::Rows => entry.content(DataContentType::Data),
            Content::Deletes { of } => {
                entry.content(DataContentType::PositionDeletes).referenced_data_file(of)
            }
        };
        entry.build().map_err(|error| Failure::system(format!("a file's entry is incomplete: {error}")))
    }

    async fn drain(&mut self) -> Result<()> {
        let bytes = std::mem::take(self.writer.inner_mut());
        self.sink.write(bytes.into()).await.map_err(of_iceberg)
    }
}

/// Adds the NaNs of a column, by field number; lists have no counts.
fn count_nans(field: &Field, column: &ArrayRef, counts: &mut HashMap<i32, u64>) {
    let nans = match column.data_type() {
        DataType::Float32 => {
            column.as_primitive::<Float32Type>().iter().flatten().filter(|value| value.is_nan()).count()
        }
        DataType::Float64 => {
            column.as_primitive::<Float64Type>().iter().flatten().filter(|value| value.is_nan()).count()
        }
        DataType::Struct(fields) => {
            for (field, column) in fields.iter().zip(column.as_struct().columns()) {
                count_nans(field, column, counts);
            }
            return;
        }
        _ => return,
    };
    let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY).and_then(|text| text.parse().ok());
    if let Some(id) = id {
        *counts.entry(id).or_default() += nans as u64;
    }
}

fn unwritable(location: &str, error: &ParquetError) -> Failure {
    Failure::system(format!("{location} cannot be written: {}", with_causes(error)))
}
