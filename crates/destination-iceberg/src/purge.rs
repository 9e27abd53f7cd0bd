//! Rows of old generations: finding them by the column that every row carries. It commits nothing.
//!
//! The column is read, not its bounds: compaction puts rows of several generations into one file.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;
use iceberg::io::FileIO;
use iceberg::spec::DataFile;

use crate::failure::Result;
use crate::parquet_columns::{read_columns, unreadable};
use crate::positions::generation_at;

/// The rows of old generations in a table.
#[derive(Debug, Default)]
pub struct OldRows {
    /// The files that have no other rows.
    pub files: HashSet<String>,
    /// Rows of files that also have newer ones.
    pub rows: Vec<(Arc<str>, u64)>,
}

impl OldRows {
    /// The rows of `data` whose generation, in the column with this field number, is below `minimum`. A row without a
    /// generation is older than all.
    pub async fn find(file_io: &FileIO, data: &[DataFile], field: i32, minimum: i64) -> Result<Self> {
        let mut old = Self::default();
        for file in data {
            let positions = positions_below(file_io, file, field, minimum).await?;
            if positions.len() as u64 == file.record_count() {
                old.files.insert(file.file_path().to_owned());
            } else {
                let path: Arc<str> = file.file_path().into();
                old.rows.extend(positions.into_iter().map(|position| (path.clone(), position)));
            }
        }
        Ok(old)
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.rows.is_empty()
    }
}

async fn positions_below(file_io: &FileIO, file: &DataFile, field: i32, minimum: i64) -> Result<Vec<u64>> {
    let Some((mut batches, _)) = read_columns(file_io, file, &[field]).await? else {
        return Ok((0..file.record_count()).collect());
    };
    let mut positions = Vec::new();
    let mut start = 0;
    while let Some(batch) = batches.try_next().await.map_err(|error| unreadable(file, &error))? {
        let is_old = |row: &usize| generation_at(batch.column(0), *row) < Some(minimum);
        positions.extend((0..batch.num_rows()).filter(is_old).map(|row| start + row as u64));
        start += batch.num_rows() as u64;
    }
    Ok(positions)
}
