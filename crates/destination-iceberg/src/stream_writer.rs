//! One stream's rows into its table: files as they come, commits when the writer asks for one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use airbyte_connector::unix_milliseconds;
use iceberg::spec::{DataFile, Operation, Schema};

use crate::acknowledgement::Progress;
use crate::automatic_maintenance::AutomaticMaintenance;
use crate::batch::{Batch, Shape};
use crate::catalog::{Catalog, Table};
use crate::commit::{Published, Work, publish, with_schema};
use crate::data_file::DataFileWriter;
use crate::deletion::{ChangedFiles, DeleteForm, Deletion};
use crate::failure::{Failure, Result, of_iceberg};
use crate::generations::{Extent, GENERATION, changed_properties};
use crate::key::Key;
use crate::plan::StreamPlan;
use crate::positions::{IdentityFields, Search, find};
use crate::purge::OldRows;
use crate::snapshot::{FileChange, LiveFiles, Removed};
use crate::table::Ready;
use crate::table_memory::SNAPSHOT_STREAM;
use crate::upsert::Upserts;

/// Vended credentials are renewed when they end this soon.
const CREDENTIALS_MARGIN: Duration = Duration::from_secs(600);

pub struct StreamWriter {
    pub plan: StreamPlan,
    table: Table,
    extent: Extent,
    fields: Option<IdentityFields>,
    generation_field: i32,
    /// The schema that the refresh brings along.
    new_schema: Option<Schema>,
    /// Table properties that the next commit sets.
    memory: HashMap<String, String>,
    shape: Arc<Shape>,
    files: DataFileWriter,
    form: DeleteForm,
    upserts: Upserts,
    /// Of a refresh that readers do not see yet: everything so far, upserts worked in.
    unpublished: LiveFiles,
    received: u64,
    committed: u64,
    last_commit: Instant,
    /// Of how many streams this one has its share of the time.
    streams: u32,
    maintenance: Option<AutomaticMaintenance>,
}

/// What a commit did, for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    pub records: u64,
    pub metadata_location: String,
    /// How many small or worn files it joined, and how many snapshots it expired.
    pub joined: usize,
    pub expired: usize,
    /// Why the table was not maintained.
    pub warning: Option<Failure>,
}

impl StreamWriter {
    pub fn new(
        plan: StreamPlan,
        ready: Ready,
        form: DeleteForm,
        maintenance: Option<AutomaticMaintenance>,
        streams: u32,
        now: Instant,
    ) -> Self {
        Self {
            plan,
            maintenance,
            streams: streams.max(1),
            files: DataFileWriter::new(&ready.written, form.target_bytes),
            form,
            table: ready.table,
            extent: ready.extent,
            fields: ready.fields,
            generation_field: ready.generation_field,
            new_schema: ready.new_schema,
            memory: ready.memory,
            shape: ready.shape,
            upserts: Upserts::default(),
            unpublished: LiveFiles::default(),
            received: 0,
            committed: 0,
            last_commit: now,
        }
    }

    fn milliseconds_since_commit(&self) -> u128 {
        (self.last_commit.elapsed() / self.streams).as_millis()
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    pub fn progress(&self) -> Progress {
        match self.extent {
            Extent::Keep | Extent::Purge(_) => Progress::Committed(self.committed),
            Extent::Replace => Progress::Unpublished,
        }
    }

    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Whether a commit publishes rows before the stream is complete.
    pub fn commits_before_its_end(&self) -> bool {
        self.extent != Extent::Replace
    }

    /// The keys that it holds in memory, about 200 bytes each.
    pub fn held_keys(&self) -> usize {
        self.upserts.len()
    }

    /// The keys that the next commit deletes.
    pub fn deleted_keys(&self) -> HashMap<Key, ()> {
        match self.extent {
            Extent::Keep | Extent::Purge(_) => self.upserts.deleted(),
            // The rows of a refresh are read after its deletions.
            Extent::Replace => HashMap::new(),
        }
    }

    /// Those of `keys` that have a row in the table or among the rows of the next commit.
    pub async fn existing(&self, keys: &HashMap<Key, ()>) -> Result<HashSet<Key>> {
        let mut existing = HashSet::new();
        let mut unknown = HashMap::new();
        for key in keys.keys() {
            match self.upserts.has_row(key) {
                Some(true) => _ = existing.insert(key.clone()),
                Some(false) => {}
                None => _ = unknown.insert(key.clone(), ()),
            }
        }
        if let Some(fields) = self.fields.as_ref().filter(|_| !unknown.is_empty()) {
            let (found, _) = search(&self.table, fields, &unknown).await?;
            existing.extend(found.rows.into_iter().map(|row| row.key));
        }
        Ok(existing)
    }

    /// Deletes the table's rows that have one of `values` in `column`, in a commit of its own, and returns their keys.
    /// The rows of a refresh are left to it.
    pub async fn delete_where(
        &mut self,
        catalog: &Catalog,
        column: &str,
        values: &HashMap<Key, ()>,
    ) -> Result<HashMap<Key, ()>> {
        let schema = self.table.metadata.current_schema();
        let own_key = self.fields.as_ref().and_then(|fields| fields.key.first().copied());
        let (Some(field), Some(own_key), true) =
            (schema.field_by_name(column), own_key, self.commits_before_its_end())
        else {
            return Ok(HashMap::new());
        };
        // The rows are looked for by the column's values, and each row's own key is read in place of a cursor.
        let fields = IdentityFields { key: vec![field.id], cursor: Some(own_key), minimum_generation: None };
        let mut keys = HashMap::new();
        if search(&self.table, &fields, values).await?.0.rows.is_empty() {
            return Ok(keys);
        }
        let (plan, memory, form) = (&self.plan, &self.memory, self.form);
        let published = publish(catalog, self.table.clone(), None, async |table: &Table, _| {
            let (found, before) = search(table, &fields, values).await?;
            keys = found.rows.iter().map(|row| (row.cursor.as_key(), ())).collect();
            let rows = found.rows.into_iter().map(|row| (row.file, row.position)).collect();
            let deletion = Deletion { rows, files: HashSet::new(), small_deletes: found.small_deletes };
            let changed = deletion.apply(table, form, &before, &[], None).await?;
            Ok(work(plan, changed.changes(&[], true), changed.discarded, Extent::Keep, memory, table))
        })
        .await?;
        self.take_table(published.table);
        Ok(keys)
    }

    /// Frees the keys: commits, or works the upserts into a refresh that readers do not see yet.
    pub async fn work_off(&mut self, catalog: &Catalog) -> Result<Option<Committed>> {
        match self.extent {
            Extent::Keep | Extent::Purge(_) => self.commit(catalog).await,
            Extent::Replace => {
                self.set_aside().await?;
                Ok(None)
            }
        }
    }

    /// Writes a batch.
    pub async fn write(&mut self, catalog: &Catalog, batch: Batch) -> Result<()> {
        self.renew_credentials(catalog).await?;
        let first = match batch.rows.num_rows() {
            0 => None,
            _ => Some(self.files.write(&batch.rows).await?),
        };
        self.upserts.add(batch.arrivals, first);
        self.received += batch.records;
        Ok(())
    }

    /// When a commit is due that a waiting STATE asks for; never for a refresh, which its end publishes. `raw` counts
    /// records that are not written yet.
    pub fn due(&self, raw: u64, interval: Duration) -> Option<Instant> {
        let waiting = self.commits_before_its_end() && self.received + raw > self.committed;
        waiting.then(|| self.last_commit + interval)
    }

    /// Commits what came since the last commit to a table whose rows stay. Nothing to commit is fine.
    pub async fn commit(&mut self, catalog: &Catalog) -> Result<Option<Committed>> {
        if self.extent == Extent::Replace || self.received == self.committed {
            return Ok(None);
        }
        // The manifests are read while the last file is written.
        let (written, _) = futures::join!(self.files.take(), LiveFiles::of(&self.table));
        let written = written?;
        let upserts = std::mem::take(&mut self.upserts);
        let records = self.received - self.committed;
        let mut done = Committed { records, ..Committed::default() };
        if !written.is_empty() || upserts.len() > 0 {
            let (fields, plan, memory, form) = (self.fields.as_ref(), &self.plan, &self.memory, self.form);
            let spent = self.milliseconds_since_commit();
            let mut warning = None;
            let published = publish(catalog, self.table.clone(), None, async |table: &Table, attempt| {
                // It is not urgent, and other writers are busy.
                let maintenance = self.maintenance.filter(|_| attempt == 0);
                let before = LiveFiles::of(table).await?;
                let deletion = match fields {
                    Some(fields) => upserts.deletion(&table.file_io, fields, &written, &before).await?,
                    None => Deletion::default(),
                };
                let policy = maintenance.and_then(|maintenance| maintenance.policy(&table.metadata, &before));
                let mut changed = deletion.apply(table, form, &before, &written, policy).await;
                if let (Some(_), Err(failure)) = (policy, &changed) {
                    warning = Some(failure.clone());
                    changed = deletion.apply(table, form, &before, &written, None).await;
                }
                let changed = changed?;
                done.joined = changed.joined;
                let changes = changed.changes(&written, !deletion.is_empty());
                let mut work = work(plan, changes, changed.discarded, Extent::Keep, memory, table);
                work.spent(spent);
                work.oldest = maintenance.map(AutomaticMaintenance::oldest);
                Ok(work)
            })
            .await?;
            done.expired = published.expired;
            done.warning = published.warning.or(warning);
            self.take_table(published.table);
        }
        self.committed = self.received;
        self.last_commit = Instant::now();
        Ok(Some(self.with_location(done)))
    }

    /// Ends the stream, which its source completed: commits the rest, or swaps a refresh in.
    pub async fn complete(&mut self, catalog: &Catalog) -> Result<Option<Committed>> {
        match self.extent {
            Extent::Keep => return self.commit(catalog).await,
            Extent::Purge(minimum) => {
                let committed = self.commit(catalog).await?;
                let purged = self.purge(catalog, minimum).await?;
                self.extent = Extent::Keep;
                return Ok(committed.or(purged));
            }
            Extent::Replace => {}
        }
        self.set_aside().await?;
        let records = self.received;
        let fresh = std::mem::take(&mut self.unpublished);
        let added: Vec<DataFile> = fresh.data.into_iter().chain(fresh.deletes).collect();
        let (plan, memory) = (&self.plan, &self.memory);
        let schema = self.new_schema.take();
        let spent = self.milliseconds_since_commit();
        let maintenance = self.maintenance;
        let published =
            publish(catalog, self.table.clone(), schema.as_ref(), async |table: &Table, attempt| {
                let change = FileChange::new(Operation::Overwrite, added.clone(), Removed::Everything);
                let mut work = work(plan, vec![change], Vec::new(), Extent::Replace, memory, table);
                work.spent(spent);
                work.oldest = maintenance.filter(|_| attempt == 0).map(AutomaticMaintenance::oldest);
                Ok(work)
            })
            .await?;
        self.take_table(published.table.clone());
        // What may come after it, of a source that goes on, is added.
        self.extent = Extent::Keep;
        self.committed = self.received;
        self.last_commit = Instant::now();
        let Published { expired, warning, .. } = published;
        Ok(Some(self.with_location(Committed { records, expired, warning, ..Committed::default() })))
    }

    /// Removes the rows of generations below `minimum` in one commit. Nothing if there are none.
    async fn purge(&mut self, catalog: &Catalog, minimum: i64) -> Result<Option<Committed>> {
        let (field, plan, memory, form) = (self.generation_field, &self.plan, &self.memory, self.form);
        let live = LiveFiles::of(&self.table).await?;
        if OldRows::find(&self.table.file_io, &live.data, field, minimum).await?.is_empty() {
            return Ok(None);
        }
        let published = publish(catalog, self.table.clone(), None, async |table: &Table, _| {
            let live = LiveFiles::of(table).await?;
            let OldRows { files, rows } = OldRows::find(&table.file_io, &live.data, field, minimum).await?;
            let deletion = Deletion { rows, files, small_deletes: Vec::new() };
            let changed = deletion.apply(table, form, &live, &[], None).await?;
            let changes = changed.changes(&[], true);
            Ok(work(plan, changes, changed.discarded, Extent::Purge(minimum), memory, table))
        })
        .await?;
        self.take_table(published.table);
        Ok(Some(self.with_location(Committed::default())))
    }

    /// Works the upserts of a refresh into the files that will be swapped in.
    async fn set_aside(&mut self) -> Result<()> {
        let written = self.files.take().await?;
        let upserts = std::mem::take(&mut self.upserts);
        let changed = match &self.fields {
            Some(fields) => {
                let table = match &self.new_schema {
                    Some(schema) => with_schema(&self.table, schema)?,
                    None => self.table.clone(),
                };
                let deletion = upserts.deletion(&table.file_io, fields, &written, &self.unpublished).await?;
                deletion.apply(&table, self.form, &self.unpublished, &written, None).await?
            }
            None => ChangedFiles::written(&written),
        };
        // No snapshot ever had these files.
        let unneeded = changed.removed.iter().cloned().chain(changed.discarded);
        delete_files(&self.table, unneeded.collect()).await?;
        self.unpublished.remove(&changed.removed);
        changed.added.into_iter().for_each(|file| self.unpublished.push(file));
        Ok(())
    }

    async fn renew_credentials(&mut self, catalog: &Catalog) -> Result<()> {
        let margin = CREDENTIALS_MARGIN.as_millis() as i64;
        let ends_soon = |end: i64| unix_milliseconds() as i64 + margin >= end;
        if self.table.credentials_end_at.is_some_and(ends_soon) {
            // An open file's upload still signs with the old ones.
            self.files.close().await?;
            let table = catalog.reload(&self.table.ident).await?;
            self.take_table(table);
        }
        Ok(())
    }

    fn take_table(&mut self, table: Table) {
        self.memory.retain(|name, value| table.metadata.properties().get(name) != Some(value));
        self.files.renew(&table);
        self.table = table;
    }

    /// The same with the place of the table's metadata after the commit.
    fn with_location(&self, done: Committed) -> Committed {
        Committed { metadata_location: self.table.metadata_location.clone(), ..done }
    }
}

/// The live rows of the table with one of these keys, and its files.
async fn search(
    table: &Table,
    fields: &IdentityFields,
    keys: &HashMap<Key, ()>,
) -> Result<(Search, LiveFiles)> {
    let live = LiveFiles::of(table).await?;
    let found = find(&table.file_io, fields, &live.data, &live.deletes, keys).await?;
    Ok((found, live))
}

async fn delete_files(table: &Table, paths: Vec<String>) -> Result<()> {
    table.file_io.delete_stream(futures::stream::iter(paths)).await.map_err(of_iceberg)
}

fn work(
    plan: &StreamPlan,
    mut changes: Vec<FileChange>,
    discarded: Vec<String>,
    extent: Extent,
    memory: &HashMap<String, String>,
    table: &Table,
) -> Work {
    changes.iter_mut().for_each(|change| change.properties.extend(summary(plan)));
    let mut properties = changed_properties(table.metadata.properties(), plan.ids, extent);
    properties.extend(memory.clone());
    Work { changes, properties, discarded, oldest: None }
}

/// What the snapshot's summary says of the stream.
fn summary(plan: &StreamPlan) -> HashMap<String, String> {
    let mut summary = HashMap::from([(SNAPSHOT_STREAM.to_owned(), plan.stream.name.clone())]);
    let numbers = [("airbyte.sync-id", plan.ids.sync), (GENERATION, plan.ids.generation)];
    for (name, number) in numbers {
        summary.extend(number.map(|number| (name.to_owned(), number.to_string())));
    }
    summary
}
