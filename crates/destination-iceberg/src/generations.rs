//! Which rows of earlier syncs a sync removes, decided from the catalog's ids and what the table says of itself. Pure;
//! knows no file.

use std::collections::HashMap;

use iceberg::spec::TableMetadata;

/// The table property and snapshot summary key with the generation that was written last.
pub const GENERATION: &str = "airbyte.generation-id";
/// The table property with the sync that wrote last.
pub const GENERATION_SYNC: &str = "airbyte.generation-sync-id";
/// The table property with the oldest generation that can have rows in the table.
pub const OLDEST_GENERATION: &str = "airbyte.oldest-generation-id";

/// The catalog's ids of one stream in one sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ids {
    pub generation: Option<i64>,
    /// Rows of generations below it are removed when the stream is complete.
    pub minimum_generation: Option<i64>,
    pub sync: Option<i64>,
}

impl Ids {
    /// The generation that rows are written with.
    pub fn row_generation(self) -> i64 {
        self.generation.unwrap_or(0)
    }

    /// Whether the ids say nothing: PyAirbyte sends 1/1/1 with every sync, other runners 0/0/0. Two syncs with these
    /// ids are two syncs, not two attempts of one.
    fn are_constant(self) -> bool {
        let ids = [self.generation, self.minimum_generation, self.sync];
        ids == [Some(0); 3] || ids == [Some(1); 3]
    }
}

/// Which rows of earlier syncs the catalog wants removed when the stream is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    Nothing,
    Everything,
    /// Rows of generations below this one.
    Below(i64),
}

/// What a sync does to a table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Rows are added or upserted as they come; nothing else changes.
    Keep,
    /// The same, and rows of generations below this one are removed at the end.
    Purge(i64),
    /// What comes replaces every row, in one snapshot at the end.
    Replace,
}

/// What a table says about the generations of its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableGenerations {
    /// The generation and the sync of the last commit.
    last: Option<i64>,
    last_sync: Option<i64>,
    /// The newest generation that was ever written.
    newest: Option<i64>,
    /// No row is of an older generation. Unknown in tables of version 0.1.0.
    oldest: Option<i64>,
}

impl TableGenerations {
    pub fn of(metadata: &TableMetadata) -> Self {
        let number = |name: &str| metadata.properties().get(name).and_then(|text| text.parse().ok());
        let last: Option<i64> = number(GENERATION);
        let written = metadata.snapshots().filter_map(|snapshot| {
            snapshot.summary().additional_properties.get(GENERATION)?.parse::<i64>().ok()
        });
        Self {
            last,
            last_sync: number(GENERATION_SYNC),
            newest: written.chain(last).max(),
            oldest: number(OLDEST_GENERATION),
        }
    }

    /// What a sync with these ids does to the table.
    pub fn extent(self, refresh: Refresh, ids: Ids) -> Extent {
        match refresh {
            Refresh::Nothing => Extent::Keep,
            // The first attempt published its rows and its states, so the source resumed behind them.
            Refresh::Everything if self.is_resumed_by(ids) => Extent::Keep,
            Refresh::Everything => Extent::Replace,
            Refresh::Below(minimum) if self.oldest.is_some_and(|oldest| oldest >= minimum) => Extent::Keep,
            Refresh::Below(minimum) if self.newest.is_none_or(|newest| newest < minimum) => Extent::Replace,
            Refresh::Below(minimum) => Extent::Purge(minimum),
        }
    }

    fn is_resumed_by(self, ids: Ids) -> bool {
        let same = |known: Option<i64>, id: Option<i64>| id.is_some() && known == id;
        !ids.are_constant() && same(self.last, ids.generation) && same(self.last_sync, ids.sync)
    }
}

/// The table properties that a commit changes, given those that the table has. `extent` is what the commit did: it
/// added rows, removed old generations, or replaced every row.
pub fn changed_properties(
    known: &HashMap<String, String>,
    ids: Ids,
    extent: Extent,
) -> HashMap<String, String> {
    let oldest: Option<i64> = known.get(OLDEST_GENERATION).and_then(|text| text.parse().ok());
    let oldest = match extent {
        Extent::Keep => oldest.map(|oldest| oldest.min(ids.row_generation())),
        Extent::Purge(minimum) => Some(minimum),
        Extent::Replace => Some(ids.row_generation()),
    };
    [(GENERATION, ids.generation), (GENERATION_SYNC, ids.sync), (OLDEST_GENERATION, oldest)]
        .into_iter()
        .filter_map(|(name, number)| Some((name.to_owned(), number?.to_string())))
        .filter(|(name, number)| known.get(name) != Some(number))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(generation: i64, minimum: i64, sync: i64) -> Ids {
        Ids { generation: Some(generation), minimum_generation: Some(minimum), sync: Some(sync) }
    }

    /// A table whose last commit was of this generation and sync.
    fn table(generation: i64, sync: i64) -> TableGenerations {
        let (last, last_sync) = (Some(generation), Some(sync));
        TableGenerations { last, last_sync, newest: last, oldest: None }
    }

    #[test]
    fn an_overwrite_replaces_everything_unless_it_resumes() {
        let extent = |table: TableGenerations, ids| table.extent(Refresh::Everything, ids);
        assert_eq!(extent(TableGenerations::default(), ids(3, 3, 7)), Extent::Replace);
        assert_eq!(extent(table(3, 7), ids(3, 3, 7)), Extent::Keep);
        assert_eq!(extent(table(3, 7), ids(3, 3, 8)), Extent::Replace);
        assert_eq!(extent(table(3, 7), ids(4, 4, 7)), Extent::Replace);
        for constant in [0, 1] {
            let same = ids(constant, constant, constant);
            assert_eq!(extent(table(constant, constant), same), Extent::Replace);
        }
        assert_eq!(extent(TableGenerations::default(), Ids::default()), Extent::Replace);
    }

    #[test]
    fn a_minimum_removes_older_generations_alone() {
        let extent =
            |table: TableGenerations, minimum| table.extent(Refresh::Below(minimum), ids(4, minimum, 9));
        assert_eq!(extent(TableGenerations::default(), 4), Extent::Replace);
        assert_eq!(extent(table(3, 1), 4), Extent::Replace);
        assert_eq!(extent(table(3, 1), 3), Extent::Purge(3));
        assert_eq!(extent(table(4, 1), 4), Extent::Purge(4));
        assert_eq!(extent(TableGenerations { oldest: Some(4), ..table(4, 1) }, 4), Extent::Keep);
        assert_eq!(table(4, 1).extent(Refresh::Nothing, ids(5, 0, 9)), Extent::Keep);
    }

    #[test]
    fn a_table_remembers_its_oldest_generation() {
        let text = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let replaced = changed_properties(&HashMap::new(), ids(4, 4, 9), Extent::Replace);
        assert_eq!(replaced, text(&[(GENERATION, "4"), (GENERATION_SYNC, "9"), (OLDEST_GENERATION, "4")]));
        // Rows without a generation are of generation 0.
        let known = changed_properties(&replaced, Ids::default(), Extent::Keep);
        assert_eq!(known, text(&[(OLDEST_GENERATION, "0")]));
        assert_eq!(changed_properties(&HashMap::new(), Ids::default(), Extent::Keep), HashMap::new());
    }
}
