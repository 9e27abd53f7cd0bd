//! How a commit deletes rows: by position deletes beside the data files, or by rewriting the data files. It commits
//! nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use iceberg::spec::{DataContentType, DataFile, Operation};

use crate::catalog::Table;
use crate::config::Deletes;
use crate::failure::Result;
use crate::position_deletes::{each_deleted, write_deletes};
use crate::positions::SmallDeletes;
use crate::rewrite::{DeletedRows, rewrite};
use crate::snapshot::{LiveFiles, Removed};

/// What a commit deletes.
#[derive(Debug, Default)]
pub struct Deletion {
    /// Rows of files in the table or of new files.
    pub rows: Vec<(Arc<str>, u64)>,
    /// Data files of the table that have no other rows than deleted ones.
    pub files: HashSet<String>,
    /// Delete files of the table to join with the new one. So their number does not grow with the syncs.
    pub small_deletes: Vec<SmallDeletes>,
}

/// How the table deletes rows.
#[derive(Debug, Clone, Copy)]
pub struct DeleteForm {
    pub deletes: Deletes,
    /// The size of rewritten files.
    pub target_bytes: usize,
}

/// The files that a commit adds and removes.
#[derive(Debug, Default)]
pub struct ChangedFiles {
    pub added: Vec<DataFile>,
    pub removed: HashSet<String>,
    /// New files that were rewritten before any commit had them.
    pub discarded: Vec<String>,
}

impl ChangedFiles {
    /// New files, and nothing deleted.
    pub fn written(files: &[DataFile]) -> Self {
        Self { added: files.to_vec(), ..Self::default() }
    }

    pub fn operation(&self) -> Operation {
        let is_delete = |file: &DataFile| file.content_type() != DataContentType::Data;
        if self.removed.is_empty() && !self.added.iter().any(is_delete) {
            Operation::Append
        } else if self.added.is_empty() {
            Operation::Delete
        } else {
            Operation::Overwrite
        }
    }

    pub fn removed(&self) -> Removed {
        Removed::files(self.removed.clone())
    }
}

impl Deletion {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.files.is_empty()
    }

    /// Deletes from the files in `before` and from the `written` ones, and says what the commit has to do. Rewritten files
    /// have the current schema of `table`.
    pub async fn apply(
        self,
        table: &Table,
        form: DeleteForm,
        before: &LiveFiles,
        written: &[DataFile],
    ) -> Result<ChangedFiles> {
        if self.is_empty() {
            return Ok(ChangedFiles::written(written));
        }
        match form.deletes {
            Deletes::PositionDeletes => {
                let (rows, removed) = self.positions(before, written);
                let mut added = written.to_vec();
                added.extend(write_deletes(table, rows).await?);
                Ok(ChangedFiles { added, removed, discarded: Vec::new() })
            }
            Deletes::CopyOnWrite => self.rewritten(table, form.target_bytes, before, written).await,
        }
    }

    /// The rows for a new delete file, and the files of the table that are not needed any more: small delete files whose
    /// rows are in the new one, and data files without a row that stays.
    fn positions(self, before: &LiveFiles, written: &[DataFile]) -> (Vec<(Arc<str>, u64)>, HashSet<String>) {
        let Self { mut rows, files: mut removed, small_deletes } = self;
        let counts: HashMap<&str, u64> = before
            .data
            .iter()
            .filter(|file| !removed.contains(file.file_path()))
            .map(|file| (file.file_path(), file.record_count()))
            .collect();
        for deletes in small_deletes {
            removed.insert(deletes.path);
            rows.extend(deletes.rows);
        }
        rows.sort_unstable();
        rows.dedup();
        let new: HashSet<&str> = written.iter().map(DataFile::file_path).collect();
        let mut kept = Vec::with_capacity(rows.len());
        for of_file in rows.chunk_by(|left, right| left.0 == right.0) {
            let path: &str = &of_file[0].0;
            match counts.get(path) {
                Some(count) if of_file.len() as u64 == *count => _ = removed.insert(path.to_owned()),
                Some(_) => kept.extend_from_slice(of_file),
                // Rows of a file that is not in the table any more need no delete.
                None if new.contains(path) => kept.extend_from_slice(of_file),
                None => {}
            }
        }
        (kept, removed)
    }

    /// Rewrites the files that have deleted rows. Where the table still has position deletes, all of them are worked in, so
    /// it has none afterwards.
    async fn rewritten(
        self,
        table: &Table,
        target_bytes: usize,
        before: &LiveFiles,
        written: &[DataFile],
    ) -> Result<ChangedFiles> {
        let Self { rows, files: mut removed, small_deletes: _ } = self;
        let files: HashMap<&str, &DataFile> = before
            .data
            .iter()
            .chain(written)
            .map(|file| (file.file_path(), file))
            .filter(|(path, _)| !removed.contains(*path))
            .collect();
        let mut deleted = DeletedRows::default();
        let mut delete = |path: &str, row: u64| {
            if let Some(file) = files.get(path) {
                deleted.delete(file, row);
            }
        };
        for (path, row) in rows {
            delete(&path, row);
        }
        for file in &before.deletes {
            each_deleted(&table.file_io, file, &mut delete).await?;
            removed.insert(file.file_path().to_owned());
        }
        let concerned: Vec<&DataFile> =
            before.data.iter().chain(written).filter(|file| deleted.concern(file)).collect();
        let partly: Vec<&DataFile> =
            concerned.iter().copied().filter(|file| !deleted.leave_nothing_of(file)).collect();
        let mut added = rewrite(table, &partly, &deleted, target_bytes).await?;
        added.extend(written.iter().filter(|file| !deleted.concern(file)).cloned());
        let new: HashSet<&str> = written.iter().map(DataFile::file_path).collect();
        let (discarded, replaced): (Vec<&str>, Vec<&str>) =
            concerned.iter().map(|file| file.file_path()).partition(|path| new.contains(path));
        removed.extend(replaced.into_iter().map(str::to_owned));
        let discarded = discarded.into_iter().map(str::to_owned).collect();
        Ok(ChangedFiles { added, removed, discarded })
    }
}
