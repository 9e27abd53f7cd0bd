//! Committing so that nothing is written twice or lost, whatever the catalog answers. Knows no stream.
//!
//! Every commit carries an id of its own in its snapshot's summary. Where the answer is lost, or another writer
//! came first, the table is loaded again and searched for that id. A commit that is found has happened; one that is
//! not found is made anew on the table as it is now. Should the lost one arrive after all, it meets a table that
//! moved on, and the catalog refuses it: both name the same snapshot as the one to follow. Where a catalog does not keep the
//! id, the files of the commit are looked for in the snapshots since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use airbyte_connector::unix_milliseconds;
use airbyte_protocol::message::StreamDescriptor;
use iceberg::spec::{MAIN_BRANCH, Schema, SchemaRef, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};

use crate::catalog::{Catalog, CommitFault, Table, manifests_of};
use crate::column::Column;
use crate::config::IdentifierCase;
use crate::failure::{Failure, Result, of_iceberg};
use crate::snapshot::{FileChange, prepare};
use crate::table_memory::memory;
use crate::table_schema::{Conflicts, evolved};

/// The summary's key for the id by which a commit is recognised.
pub const COMMIT_ID: &str = "airbyte.commit-id";
/// How often a commit is made anew before the sync gives up.
const ATTEMPTS: u32 = 8;
/// The pause after the first failed attempt; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What one commit is to do, worked out on the table as it is when the commit is made.
pub struct Work {
    pub files: FileChange,
    /// Table properties to set along with it.
    pub properties: HashMap<String, String>,
}

impl Work {
    /// The same with one more entry in the snapshot's summary.
    pub fn with_summary(mut self, name: &str, value: impl ToString) -> Self {
        self.files.properties.insert(name.to_owned(), value.to_string());
        self
    }
}

/// Commits what `work` makes of the table, and makes it again if another writer's commit came between.
pub async fn publish(
    catalog: &Catalog,
    table: Table,
    work: impl AsyncFnMut(&Table) -> Result<Work>,
) -> Result<Table> {
    publish_with_schema(catalog, table, None, work).await
}

/// The same, with another schema for the table in the same commit.
pub async fn publish_with_schema(
    catalog: &Catalog,
    mut table: Table,
    schema: Option<&Schema>,
    mut work: impl AsyncFnMut(&Table) -> Result<Work>,
) -> Result<Table> {
    let last_column_id = table.metadata.last_column_id();
    let id = uuid::Uuid::now_v7().to_string();
    let uuid = table.metadata.uuid();
    // Of every attempt: an earlier one may arrive after all.
    let (base, mut added) = (table.metadata.last_sequence_number(), HashSet::new());
    let mut pause = FIRST_PAUSE;
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        let Work { mut files, properties } = work(&table).await?;
        files.properties.insert(COMMIT_ID.to_owned(), id.clone());
        added.extend(files.added.iter().map(|file| file.file_path().to_owned()));
        let mut updates = Vec::new();
        let mut view = table.clone();
        if let Some(schema) = schema {
            if table.metadata.last_column_id() != last_column_id {
                let text = format!("another program changed the columns of table {} meanwhile", table.ident);
                return Err(Failure::transient(text));
            }
            updates.extend(new_schema_updates(&table.metadata, schema)?);
            view = with_schema(&table, schema)?;
        }
        updates.extend(prepare(&view, &files, unix_milliseconds() as i64).await?);
        if !properties.is_empty() {
            updates.push(TableUpdate::SetProperties { updates: properties });
        }
        let snapshot_id = table.metadata.current_snapshot().map(|snapshot| snapshot.snapshot_id());
        let requirements = vec![
            TableRequirement::UuidMatch { uuid },
            TableRequirement::RefSnapshotIdMatch { r#ref: MAIN_BRANCH.to_owned(), snapshot_id },
        ];
        last = match catalog.commit(&table, requirements, updates).await {
            Ok(committed) => {
                table.loaded.clear();
                return Ok(committed);
            }
            Err(CommitFault::Refused(failure)) => return Err(failure),
            Err(CommitFault::Overtaken) => "another writer was faster each time".to_owned(),
            Err(CommitFault::Unclear(said)) => said,
        };
        tokio::time::sleep(pause).await;
        pause *= 2;
        table = catalog.reload(&table.ident).await?;
        if table.metadata.uuid() != uuid {
            return Err(Failure::transient(format!("table {} was made anew meanwhile", table.ident)));
        }
        if was_committed(&table, &id) || has_files_of(&table, base, &added).await? {
            return Ok(table);
        }
    }
    Err(Failure::transient(format!("table {} cannot be committed to: {last}", table.ident)))
}

/// Whether the table's history has the commit with this id.
fn was_committed(table: &Table, id: &str) -> bool {
    table.metadata.snapshots().any(|snapshot| {
        snapshot.summary().additional_properties.get(COMMIT_ID).is_some_and(|found| found == id)
    })
}

/// Whether one of the snapshots since `base` brought one of these files. It is how a commit is recognised in a catalog that
/// does not keep what writers put into a summary. A commit is all or nothing, so one file is proof enough; later snapshots
/// may have replaced it already.
async fn has_files_of(table: &Table, base: i64, added: &HashSet<String>) -> Result<bool> {
    if added.is_empty() {
        return Ok(false);
    }
    for snapshot in table.metadata.snapshots().filter(|snapshot| snapshot.sequence_number() > base) {
        for manifest in manifests_of(table, snapshot).await? {
            if manifest.added_snapshot_id != snapshot.snapshot_id() {
                continue;
            }
            let manifest = manifest.load_manifest(&table.file_io).await.map_err(of_iceberg)?;
            if manifest.entries().iter().any(|entry| added.contains(entry.data_file().file_path())) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Commits updates that are not of files, if the table's files and schema are still those of `table`.
pub async fn publish_updates(
    catalog: &Catalog,
    table: &Table,
    updates: Vec<TableUpdate>,
) -> std::result::Result<Table, CommitFault> {
    let snapshot_id = table.metadata.current_snapshot().map(|snapshot| snapshot.snapshot_id());
    let requirements = vec![
        TableRequirement::UuidMatch { uuid: table.metadata.uuid() },
        TableRequirement::RefSnapshotIdMatch { r#ref: MAIN_BRANCH.to_owned(), snapshot_id },
        TableRequirement::CurrentSchemaIdMatch { current_schema_id: table.metadata.current_schema_id() },
    ];
    catalog.commit(table, requirements, updates).await
}

/// The updates that give a table another schema, under an id that is free: strict catalogs refuse one that is taken, and
/// others keep the schema that has it.
fn new_schema_updates(metadata: &TableMetadata, schema: &Schema) -> Result<Vec<TableUpdate>> {
    /// The protocol's word for the schema that this very commit adds.
    const LAST_ADDED: i32 = -1;
    let is_same = |known: &&SchemaRef| {
        known.as_struct() == schema.as_struct()
            && known.identifier_field_ids().eq(schema.identifier_field_ids())
    };
    if let Some(known) = metadata.schemas_iter().find(is_same) {
        return Ok(vec![TableUpdate::SetCurrentSchema { schema_id: known.schema_id() }]);
    }
    let highest = metadata.schemas_iter().map(|known| known.schema_id()).max().unwrap_or_default();
    let schema = schema.clone().into_builder().with_schema_id(highest + 1).build().map_err(of_iceberg)?;
    Ok(vec![TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: LAST_ADDED }])
}

/// The table as it will be with another schema.
pub fn with_schema(table: &Table, schema: &Schema) -> Result<Table> {
    let mut builder = (*table.metadata).clone().into_builder(None);
    for update in new_schema_updates(&table.metadata, schema)? {
        builder = update.apply(builder).map_err(of_iceberg)?;
    }
    Ok(Table { metadata: Arc::new(builder.build().map_err(of_iceberg)?.metadata), ..table.clone() })
}

/// What a table needs before a stream's rows can be written.
pub struct Needs<'a> {
    pub columns: &'a [Column],
    pub case: IdentifierCase,
    pub conflicts: Conflicts,
    pub stream: &'a StreamDescriptor,
}

/// Evolves the table until it can take the stream's columns and remembers whose they are, or says why it cannot.
///
/// A schema that replaces columns is not committed but returned, for the commit that replaces the rows.
pub async fn evolve(
    catalog: &Catalog,
    mut table: Table,
    needs: &Needs<'_>,
) -> Result<(Table, Option<Schema>)> {
    let Needs { columns, case, conflicts, stream } = *needs;
    let mut pause = FIRST_PAUSE;
    for _ in 0..ATTEMPTS {
        let metadata = &table.metadata;
        let evolved =
            evolved(metadata.current_schema(), metadata.last_column_id(), columns, case, conflicts)?;
        let (now, later) = match evolved {
            Some(evolved) if evolved.replaces_columns => (None, Some(evolved.schema)),
            Some(evolved) => (Some(evolved.schema), None),
            None => (None, None),
        };
        let Some(schema) = now else { return Ok((table, later)) };
        let mut updates = new_schema_updates(metadata, &schema)?;
        updates.push(TableUpdate::SetProperties { updates: memory(stream, columns, Some(metadata)) });
        match publish_updates(catalog, &table, updates).await {
            Ok(_) => {}
            Err(CommitFault::Refused(failure)) => return Err(failure),
            Err(CommitFault::Overtaken | CommitFault::Unclear(_)) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        // Loaded again even after success: there are servers that accept a new schema and keep the old one.
        table = catalog.reload(&table.ident).await?;
    }
    Err(Failure::transient(format!("the catalog does not keep the new schema of table {}", table.ident)))
}
