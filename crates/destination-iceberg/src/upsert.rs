//! Which row of each key stays: the newest of those that came, against those in the table. Knows files by number
//! and address, no catalog.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::DataFile;

use crate::batch::Arrival;
use crate::data_file::Place;
use crate::failure::Result;
use crate::key::{Cursor, Key};
use crate::positions::{IdentityFields, find};
use crate::snapshot::LiveFiles;

/// The keys that came since the last flush, and what became of them.
#[derive(Debug, Default)]
pub struct Upserts {
    newest: HashMap<Key, Newest>,
    /// Rows among those written that another one has replaced since.
    replaced: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq)]
struct Newest {
    cursor: Cursor,
    /// Nothing for a deletion.
    place: Option<Place>,
}

impl Newest {
    /// A deletion whose record has no cursor happened when it arrived.
    fn is_untimed_deletion(&self) -> bool {
        self.place.is_none() && self.cursor == Cursor::Absent
    }

    /// Whether this one, having arrived later, takes the place of another.
    fn replaces(&self, other: &Self) -> bool {
        self.is_untimed_deletion() || other.is_untimed_deletion() || self.cursor.replaces(&other.cursor)
    }
}

impl Upserts {
    /// What it holds, in keys and rows: a measure of memory.
    pub fn len(&self) -> usize {
        self.newest.len() + self.replaced.len()
    }

    /// Takes in a batch whose first row lies at `first`.
    pub fn add(&mut self, arrivals: Vec<Arrival>, first: Option<Place>) {
        for Arrival { key, cursor, row } in arrivals {
            let place = match (first, row) {
                (Some(first), Some(row)) => Some(Place { file: first.file, row: first.row + u64::from(row) }),
                _ => None,
            };
            let Some(key) = key else { continue };
            let arrived = Newest { cursor, place };
            match self.newest.get_mut(&key) {
                None => drop(self.newest.insert(key, arrived)),
                Some(known) if arrived.replaces(known) => {
                    self.replaced.extend(known.place);
                    *known = arrived;
                }
                Some(_) => self.replaced.extend(arrived.place),
            }
        }
    }

    /// The rows to delete so that each key has its newest row and no other: rows of the `written` files, which the
    /// places count, and rows of the files that were there before.
    pub async fn deletes(
        &self,
        file_io: &FileIO,
        fields: &IdentityFields,
        written: &[DataFile],
        before: &LiveFiles,
    ) -> Result<Vec<(Arc<str>, u64)>> {
        let paths: Vec<Arc<str>> = written.iter().map(|file| Arc::from(file.file_path())).collect();
        let address = |place: &Place| (paths[place.file as usize].clone(), place.row);
        let mut deletes: Vec<(Arc<str>, u64)> = self.replaced.iter().map(address).collect();
        for found in find(file_io, fields, &before.data, &before.deletes, &self.newest).await? {
            let newest = &self.newest[&found.key];
            if newest.is_untimed_deletion() || newest.cursor.replaces(&found.cursor) {
                deletes.push((found.file, found.position));
            } else {
                deletes.extend(newest.place.as_ref().map(address));
            }
        }
        Ok(deletes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(key: &str, cursor: Option<i64>, row: Option<u32>) -> Arrival {
        let cursor = cursor.map_or(Cursor::Absent, Cursor::Integer);
        Arrival { key: Some(key.as_bytes().into()), cursor, row }
    }

    fn replaced(arrivals: Vec<Arrival>) -> Vec<u64> {
        let mut upserts = Upserts::default();
        upserts.add(arrivals, Some(Place { file: 0, row: 100 }));
        let mut rows: Vec<u64> = upserts.replaced.iter().map(|place| place.row).collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn the_newest_stays_whatever_the_order() {
        let rows = replaced(vec![
            arrival("a", Some(2), Some(0)),
            arrival("a", Some(1), Some(1)),
            arrival("b", Some(1), Some(2)),
            arrival("a", Some(2), Some(3)),
        ]);
        assert_eq!(rows, [100, 101]);
    }

    #[test]
    fn a_deletion_removes_what_is_not_newer() {
        let rows = replaced(vec![arrival("a", Some(2), Some(0)), arrival("a", Some(1), None)]);
        assert_eq!(rows, [] as [u64; 0], "the row is newer than its deletion");
        let rows = replaced(vec![arrival("a", Some(2), Some(0)), arrival("a", None, None)]);
        assert_eq!(rows, [100], "a deletion without a time is the newest");
        let rows = replaced(vec![arrival("a", None, None), arrival("a", Some(1), Some(0))]);
        assert_eq!(rows, [] as [u64; 0], "a row that comes after it was made again");
    }

    #[test]
    fn rows_without_a_key_replace_nothing() {
        let nameless = Arrival { key: None, cursor: Cursor::Absent, row: Some(0) };
        assert_eq!(replaced(vec![nameless.clone(), nameless]), [] as [u64; 0]);
    }
}
