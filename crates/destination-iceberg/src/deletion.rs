//! How a commit deletes rows, by position deletes beside the data files or by rewriting the data files, and how it joins
//! small files. It commits nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::try_join;
use iceberg::spec::{DataContentType, DataFile, Operation};

use crate::catalog::Table;
use crate::compact::{Policy, choose};
use crate::config::Deletes;
use crate::failure::Result;
use crate::position_deletes::write_deletes;
use crate::positions::{ReadDeletes, read_deletes};
use crate::rewrite::{DeletedRows, rewrite};
use crate::snapshot::{FileChange, JOINED_FILES, LiveFiles, Removed};

/// What a commit deletes.
#[derive(Debug, Default)]
pub struct Deletion {
    /// Rows of files in the table or of new files.
    pub rows: Vec<(Arc<str>, u64)>,
    /// Data files of the table that have no other rows than deleted ones.
    pub files: HashSet<String>,
    /// Delete files of the table to join with the new one. So their number does not grow with the syncs.
    pub small_deletes: Vec<ReadDeletes>,
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
    /// New files that no commit needs, because they were rewritten or all of their rows are deleted.
    pub discarded: Vec<String>,
    /// How many files the policy chose.
    pub joined: usize,
}

impl ChangedFiles {
    /// New files, and nothing deleted.
    pub fn written(files: &[DataFile]) -> Self {
        Self { added: files.to_vec(), ..Self::default() }
    }

    /// The snapshots of a commit that adds the `written` files.
    ///
    /// If files were replaced although the commit deletes no row, there are two: one that adds rows and one that changes
    /// none. So programs that read what a table gained do not meet joined files.
    pub fn changes(&self, written: &[DataFile], deletes_rows: bool) -> Vec<FileChange> {
        if !self.removed.is_empty() && !deletes_rows {
            let mut replace = self.replace();
            replace.added.retain(|file| !written.contains(file));
            return vec![FileChange::new(Operation::Append, written.to_vec(), Removed::Nothing), replace];
        }
        let is_delete = |file: &DataFile| file.content_type() != DataContentType::Data;
        let operation = if self.removed.is_empty() && !self.added.iter().any(is_delete) {
            Operation::Append
        } else if self.added.is_empty() {
            Operation::Delete
        } else {
            Operation::Overwrite
        };
        vec![FileChange { operation, ..self.replace() }]
    }

    /// All of it as a change that changes no row.
    pub fn replace(&self) -> FileChange {
        let mut change =
            FileChange::new(Operation::Replace, self.added.clone(), Removed::files(self.removed.clone()));
        if self.joined > 0 {
            change.properties.insert(JOINED_FILES.to_owned(), self.joined.to_string());
        }
        change
    }
}

impl Deletion {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.files.is_empty()
    }

    /// Deletes from the files in `before` and from the `written` ones, rewrites those that `policy` chooses, and says what
    /// the commit has to do. Rewritten files have the current schema of `table`. With copy-on-write, a commit that deletes
    /// works all position deletes in, so the table has none afterwards.
    pub async fn apply(
        &self,
        table: &Table,
        form: DeleteForm,
        before: &LiveFiles,
        written: &[DataFile],
        policy: Option<Policy>,
    ) -> Result<ChangedFiles> {
        if self.is_empty() && policy.is_none() {
            return Ok(ChangedFiles::written(written));
        }
        let copies = form.deletes == Deletes::CopyOnWrite && !self.is_empty();
        let known: HashSet<&str> = self.small_deletes.iter().map(|deletes| deletes.path.as_str()).collect();
        let reads_all = copies || policy.is_some() || !self.files.is_empty();
        let is_unread = |file: &&DataFile| reads_all && !known.contains(file.file_path());
        let read = read_deletes(&table.file_io, before.deletes.iter().filter(is_unread)).await?;
        let all = || before.data.iter().chain(written).filter(|file| !self.files.contains(file.file_path()));
        let files: HashMap<&str, &DataFile> = all().map(|file| (file.file_path(), file)).collect();
        let mut deleted = DeletedRows::default();
        let mut delete = |path: &str, row: u64| {
            if let Some(file) = files.get(path) {
                deleted.delete(file, row);
            }
        };
        for (path, rows) in self.small_deletes.iter().chain(&read).flat_map(|deletes| &deletes.rows) {
            rows.iter().for_each(|row| delete(path, *row));
        }
        self.rows.iter().for_each(|(path, row)| delete(path, *row));
        let mut gone: HashSet<&str> = self.files.iter().map(String::as_str).collect();
        gone.extend(all().filter(|file| deleted.leave_nothing_of(file)).map(DataFile::file_path));
        let mut rewritten: Vec<&DataFile> = match copies {
            true => {
                all().filter(|file| deleted.count(file) > 0 && !gone.contains(file.file_path())).collect()
            }
            false => Vec::new(),
        };
        gone.extend(rewritten.iter().map(|file| file.file_path()));
        let mut joined = 0;
        if let Some(policy) = policy {
            let rest: Vec<&DataFile> =
                before.data.iter().filter(|file| !gone.contains(file.file_path())).collect();
            let chosen = choose(&rest, before.deletes.len(), &deleted, policy);
            joined = chosen.len();
            gone.extend(chosen.iter().map(|file| file.file_path()));
            rewritten.extend(chosen);
        }
        // Rows of a file that is not in the table any more need no delete.
        let stays = |path: &str| files.contains_key(path) && !gone.contains(path);
        let mut rows: Vec<_> = self.rows.iter().filter(|(path, _)| stays(path)).cloned().collect();
        let mut removed = HashSet::new();
        for deletes in self.small_deletes.iter().chain(&read) {
            let dangles = deletes.rows.is_empty() || deletes.rows.keys().any(|path| !stays(path));
            if dangles || known.contains(deletes.path.as_str()) {
                removed.insert(deletes.path.clone());
                for (path, positions) in deletes.rows.iter().filter(|(path, _)| stays(path)) {
                    rows.extend(positions.iter().map(|position| (path.clone(), *position)));
                }
            }
        }
        let (new, deletes) =
            try_join!(rewrite(table, &rewritten, &deleted, form.target_bytes), write_deletes(table, rows))?;
        let (discarded, kept): (Vec<_>, Vec<_>) =
            written.iter().partition(|file| gone.contains(file.file_path()));
        let own = before.data.iter().map(DataFile::file_path).filter(|path| gone.contains(path));
        removed.extend(own.map(str::to_owned));
        Ok(ChangedFiles {
            added: kept.into_iter().cloned().chain(new).chain(deletes).collect(),
            removed,
            discarded: discarded.into_iter().map(|file| file.file_path().to_owned()).collect(),
            joined,
        })
    }
}
