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
use crate::expiry::{BATCH, Expiry};
use crate::failure::{Failure, Result, of_iceberg};
use crate::snapshot::{COMMIT_ID, FileChange, JOINED_FILES, SYNC_MILLISECONDS, prepare};
use crate::table_memory::memory;
use crate::table_schema::{Conflicts, evolved};

/// How often a commit is made anew before the sync gives up.
const ATTEMPTS: u32 = 8;
/// The pause after the first failed attempt; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What one commit is to do, worked out on the table as it is when the commit is made.
#[derive(Default)]
pub struct Work {
    /// One snapshot for each; all but the last only add files.
    pub changes: Vec<FileChange>,
    /// Table properties to set along with it.
    pub properties: HashMap<String, String>,
    /// New files that the commit does not need.
    pub discarded: Vec<String>,
    /// The commit also expires what is due of the snapshots older than this, in milliseconds since 1970.
    pub oldest: Option<i64>,
}

impl Work {
    /// Notes how long the sync took.
    pub fn spent(&mut self, milliseconds: u128) {
        if let Some(change) = self.changes.first_mut() {
            change.properties.insert(SYNC_MILLISECONDS.to_owned(), milliseconds.to_string());
        }
    }
}

/// A commit that happened.
pub struct Published {
    pub table: Table,
    /// How many snapshots it expired.
    pub expired: usize,
    /// Why it did not expire what was due.
    pub warning: Option<Failure>,
}

/// What the attempts of one commit leave behind.
#[derive(Default)]
struct Attempts {
    /// The files that they wrote and the commit does not need.
    unneeded: HashSet<String>,
    /// Whether one of them may have happened or still arrive.
    are_unclear: bool,
}

/// Commits what `work` makes of the table, and makes it again if another writer's commit came between. `work` also gets the
/// number of the attempt. With a schema, the table gets it in the same commit.
///
/// Files that turn out not to be needed are removed. Where that fails they are orphans, which `maintain` removes.
pub async fn publish(
    catalog: &Catalog,
    table: Table,
    schema: Option<&Schema>,
    work: impl AsyncFnMut(&Table, u32) -> Result<Work>,
) -> Result<Published> {
    let (mut attempts, file_io) = (Attempts::default(), table.file_io.clone());
    let published = attempt(catalog, table, schema, work, &mut attempts).await;
    let file_io = published.as_ref().map_or(&file_io, |published| &published.table.file_io);
    if !attempts.are_unclear && !attempts.unneeded.is_empty() {
        drop(file_io.delete_stream(futures::stream::iter(attempts.unneeded)).await);
    }
    published
}

async fn attempt(
    catalog: &Catalog,
    mut table: Table,
    schema: Option<&Schema>,
    mut work: impl AsyncFnMut(&Table, u32) -> Result<Work>,
    attempts: &mut Attempts,
) -> Result<Published> {
    let last_column_id = table.metadata.last_column_id();
    let id = uuid::Uuid::now_v7().to_string();
    let uuid = table.metadata.uuid();
    // Of every attempt: an earlier one may arrive after all.
    let (base, mut added) = (table.metadata.last_sequence_number(), HashSet::new());
    let mut pause = FIRST_PAUSE;
    let mut last = String::new();
    let (mut warning, mut may_arrive) = (None, false);
    for number in 0..ATTEMPTS {
        let Work { mut changes, properties, discarded, oldest } = work(&table, number).await?;
        let mut needed = Vec::new();
        for change in &mut changes {
            change.properties.insert(COMMIT_ID.to_owned(), id.clone());
            needed.extend(change.added.iter().map(|file| file.file_path().to_owned()));
        }
        added.extend(needed.iter().cloned());
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
        let prepared = prepare(&view, &changes, unix_milliseconds() as i64).await?;
        updates.extend(prepared.updates);
        needed.extend(prepared.files);
        attempts.unneeded.extend(discarded.into_iter().chain(needed.iter().cloned()));
        if !properties.is_empty() {
            updates.push(TableUpdate::SetProperties { updates: properties });
        }
        let joins = changes.iter().any(|change| change.properties.contains_key(JOINED_FILES));
        let batch = if joins { 2 * BATCH } else { BATCH };
        let expiry = match oldest.filter(|_| warning.is_none()) {
            Some(oldest) => Expiry::due(&table.metadata, &prepared.snapshots, oldest, batch)?,
            None => None,
        };
        updates.extend(expiry.as_ref().map(Expiry::update));
        let snapshot_id = table.metadata.current_snapshot().map(|snapshot| snapshot.snapshot_id());
        let requirements = vec![
            TableRequirement::UuidMatch { uuid },
            TableRequirement::RefSnapshotIdMatch { r#ref: MAIN_BRANCH.to_owned(), snapshot_id },
        ];
        // The files of expired snapshots are looked up meanwhile.
        let expired_files = async || match &expiry {
            Some(expiry) => expiry.files(&table).await,
            None => Ok(Vec::new()),
        };
        let (committed, expired) =
            futures::join!(catalog.commit(&table, requirements, updates), expired_files());
        last = match committed {
            Ok(committed) => {
                table.loaded.clear();
                // An earlier attempt cannot arrive any more.
                attempts.are_unclear = false;
                needed.iter().for_each(|file| _ = attempts.unneeded.remove(file));
                attempts.unneeded.extend(catalog.dropped_metadata(&table, &committed));
                match expired {
                    Ok(files) => attempts.unneeded.extend(files),
                    Err(failure) => warning = Some(failure),
                }
                let expired = expiry.map_or(0, |expiry| expiry.expired.len());
                return Ok(Published { table: committed, expired, warning });
            }
            // A catalog may not let snapshots expire.
            Err(CommitFault::Refused(failure)) if expiry.is_some() => {
                let message = failure.message.clone();
                warning = Some(failure);
                message
            }
            Err(CommitFault::Refused(failure)) => return Err(failure),
            Err(CommitFault::Overtaken) => "another writer was faster each time".to_owned(),
            Err(CommitFault::Unclear(said)) => {
                may_arrive = true;
                said
            }
        };
        // Until the table shows that it did not happen. Of one that did, nobody knows which attempt it was.
        attempts.are_unclear = true;
        tokio::time::sleep(pause).await;
        pause *= 2;
        table = catalog.reload(&table.ident).await?;
        if table.metadata.uuid() != uuid {
            return Err(Failure::transient(format!("table {} was made anew meanwhile", table.ident)));
        }
        if was_committed(&table, &id) || has_files_of(&table, base, &added).await? {
            return Ok(Published { table, expired: 0, warning });
        }
        attempts.are_unclear = may_arrive;
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
    let committed = catalog.commit(table, requirements, updates).await?;
    let dropped = catalog.dropped_metadata(table, &committed);
    drop(table.file_io.delete_stream(futures::stream::iter(dropped)).await);
    Ok(committed)
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
