//! Which row of each key stays: the newest of those that came, against those in the table. It knows files by number
//! and address.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::DataFile;

use crate::batch::Arrival;
use crate::data_file::Place;
use crate::deletion::Deletion;
use crate::failure::Result;
use crate::key::{Cursor, Key};
use crate::positions::{IdentityFields, find};
use crate::snapshot::LiveFiles;

/// The keys that came since the last flush, and what became of them.
///
/// The outcome is that of applying the arrivals one by one to the table, wherever commits fall. For that, two facts a
/// key are enough: what the arrivals leave where the table has no row of the key, and the strongest of them. A row of
/// the table that the strongest arrival does not replace survives all of them. Any other row is replaced by some
/// arrival, and from there on the table's row has no influence.
#[derive(Debug, Default)]
pub struct Upserts {
    outcomes: HashMap<Key, Outcome>,
    /// Rows among those written that another one has replaced since.
    replaced: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    strongest: Strength,
    /// What the arrivals leave; nothing after a deletion.
    row: Option<Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    cursor: Cursor,
    place: Place,
}

/// Which rows an arrival replaces.
#[derive(Debug, Clone, PartialEq)]
enum Strength {
    /// Those whose cursor is not newer.
    Cursor(Cursor),
    /// Every row: a deletion whose record has no cursor happened when it arrived.
    Everything,
}

impl Strength {
    fn replaces(&self, cursor: &Cursor) -> bool {
        match self {
            Self::Everything => true,
            Self::Cursor(own) => own.replaces(cursor),
        }
    }

    fn raise(&mut self, other: Self) {
        match (&*self, &other) {
            (Self::Everything, _) => {}
            (Self::Cursor(own), Self::Cursor(cursor)) if !cursor.replaces(own) => {}
            _ => *self = other,
        }
    }
}

impl Upserts {
    /// What it holds, in keys and rows: a measure of memory.
    pub fn len(&self) -> usize {
        self.outcomes.len() + self.replaced.len()
    }

    /// Takes in a batch whose first row lies at `first`.
    pub fn add(&mut self, arrivals: Vec<Arrival>, first: Option<Place>) {
        for Arrival { key, cursor, row } in arrivals {
            let place = match (first, row) {
                (Some(first), Some(row)) => Some(Place { file: first.file, row: first.row + u64::from(row) }),
                _ => None,
            };
            let Some(key) = key else { continue };
            let strength = match (&cursor, place) {
                (Cursor::Absent, None) => Strength::Everything,
                _ => Strength::Cursor(cursor.clone()),
            };
            let row = place.map(|place| Row { cursor, place });
            let Some(known) = self.outcomes.get_mut(&key) else {
                self.outcomes.insert(key, Outcome { strongest: strength, row });
                continue;
            };
            match &known.row {
                Some(current) if !strength.replaces(&current.cursor) => {
                    self.replaced.extend(row.map(|row| row.place));
                }
                current => {
                    self.replaced.extend(current.as_ref().map(|current| current.place));
                    known.row = row;
                }
            }
            known.strongest.raise(strength);
        }
    }

    /// The keys whose rows are deleted, whether or not the table has one.
    pub fn deleted(&self) -> HashMap<Key, ()> {
        let deleted = self.outcomes.iter().filter(|(_, outcome)| outcome.row.is_none());
        deleted.map(|(key, _)| (key.clone(), ())).collect()
    }

    /// Whether a row of the key waits to be committed. Nothing if nothing came for the key.
    pub fn has_row(&self, key: &Key) -> Option<bool> {
        self.outcomes.get(key).map(|outcome| outcome.row.is_some())
    }

    /// What to delete so that each key has its newest row and no other: rows of the `written` files, which the places
    /// count, and rows of the files that were there before.
    pub async fn deletion(
        &self,
        file_io: &FileIO,
        fields: &IdentityFields,
        written: &[DataFile],
        before: &LiveFiles,
    ) -> Result<Deletion> {
        let paths: Vec<Arc<str>> = written.iter().map(|file| Arc::from(file.file_path())).collect();
        let address = |place: &Place| (paths[place.file as usize].clone(), place.row);
        let mut rows: Vec<(Arc<str>, u64)> = self.replaced.iter().map(address).collect();
        let search = find(file_io, fields, &before.data, &before.deletes, &self.outcomes).await?;
        for found in search.rows {
            let outcome = &self.outcomes[&found.key];
            if outcome.strongest.replaces(&found.cursor) {
                rows.push((found.file, found.position));
            } else {
                rows.extend(outcome.row.as_ref().map(|row| address(&row.place)));
            }
        }
        Ok(Deletion { rows, files: HashSet::new(), small_deletes: search.small_deletes })
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
    fn a_row_after_its_deletion_stays_and_the_deletion_still_counts() {
        let mut upserts = Upserts::default();
        let arrivals = vec![arrival("a", None, None), arrival("a", Some(1), Some(0))];
        upserts.add(arrivals, Some(Place { file: 0, row: 100 }));
        let outcome = &upserts.outcomes[b"a".as_slice()];
        assert_eq!(outcome.strongest, Strength::Everything, "a row of the table with a newer cursor goes");
        assert_eq!(outcome.row.as_ref().map(|row| row.place.row), Some(100));
        let mut upserts = Upserts::default();
        let arrivals = vec![arrival("a", Some(9), None), arrival("a", Some(7), Some(0))];
        upserts.add(arrivals, Some(Place { file: 0, row: 100 }));
        let outcome = &upserts.outcomes[b"a".as_slice()];
        assert_eq!(outcome.strongest, Strength::Cursor(Cursor::Integer(9)));
        assert_eq!(outcome.row.as_ref().map(|row| row.place.row), Some(100));
    }

    #[test]
    fn rows_without_a_key_replace_nothing() {
        let nameless = Arrival { key: None, cursor: Cursor::Absent, row: Some(0) };
        assert_eq!(replaced(vec![nameless.clone(), nameless]), [] as [u64; 0]);
    }
}
