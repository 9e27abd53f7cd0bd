//! The `maintain` verb: what every table needs now and then, so that it stays quick to read and small. Knows no
//! stream; never changes what a table says.

use std::collections::{BTreeSet, HashMap, HashSet};

use airbyte_connector::verbs::Interruption;
use airbyte_connector::{Output, unix_milliseconds};
use airbyte_protocol::message::Level;
use clap::Args;
use iceberg::spec::{DataFile, TableMetadata};
use iceberg::{TableIdent, TableUpdate};

use crate::catalog::{Catalog, CommitFault, Table, manifests_of};
use crate::commit::{Work, publish, publish_updates};
use crate::compact::Policy;
use crate::config::Config;
use crate::deletion::{DeleteForm, Deletion};
use crate::failure::{Failure, Result, of_iceberg};
use crate::naming::identifier;
use crate::position_deletes::may_delete_from;
use crate::snapshot::LiveFiles;
use crate::storage::{StoredFile, list};

/// How often work that another writer's commit undid is done again.
const ATTEMPTS: u32 = 8;
const MILLISECONDS_AN_HOUR: i64 = 3_600_000;

#[derive(Debug, Args)]
pub struct Maintenance {
    /// Of this namespace instead of the config's.
    #[arg(long)]
    namespace: Option<String>,
    /// Data files below this share of the target size are joined.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u8).range(1..=100))]
    small_file_percent: u8,
    /// Drop snapshots that are older; time travel ends there.
    #[arg(long, default_value_t = 168)]
    expire_after_hours: u32,
    /// Keep at least so many of the newest snapshots.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    keep_snapshots: u32,
    /// Remove files that no snapshot knows if they are older. A sync that runs has such files: this has to be longer
    /// than the longest sync.
    #[arg(long, default_value_t = 72)]
    remove_orphans_after_hours: u32,
}

/// Maintains every table of the namespace. A table that fails does not keep the others from their turn.
pub async fn maintain(
    config: &Config,
    maintenance: &Maintenance,
    output: &mut Output,
) -> std::result::Result<(), Interruption> {
    let catalog = Catalog::open(config).await?;
    if let Some(maintainer) = catalog.maintainer() {
        let text = format!("{maintainer} maintains the tables of this catalog; nothing was done");
        return Ok(output.log(Level::Info, text)?);
    }
    let namespace = maintenance.namespace.clone().unwrap_or_else(|| config.namespace.clone());
    let namespace = identifier(&namespace, config.identifier_case);
    let idents = catalog.tables(&namespace).await?;
    let mut locations = HashMap::new();
    for ident in &idents {
        let table = catalog.reload(ident).await?;
        locations.insert(ident.clone(), table.metadata.location().to_owned());
    }
    let mut first_failure = None;
    for ident in &idents {
        match maintain_table(&catalog, ident, config, maintenance, &locations).await {
            Ok(done) => output.log(Level::Info, done)?,
            Err(failure) => {
                output.log(Level::Error, format!("table {ident}: {}", failure.message))?;
                first_failure.get_or_insert(failure);
            }
        }
    }
    first_failure.map_or(Ok(()), |failure| Err(failure.into()))
}

async fn maintain_table(
    catalog: &Catalog,
    ident: &TableIdent,
    config: &Config,
    maintenance: &Maintenance,
    locations: &HashMap<TableIdent, String>,
) -> Result<String> {
    let joined = join_files(catalog, ident, config, maintenance.small_file_percent).await;
    // What follows is worth doing even if files cannot be joined.
    let table = catalog.reload(ident).await?;
    let now = unix_milliseconds() as i64;
    let oldest = now - i64::from(maintenance.expire_after_hours) * MILLISECONDS_AN_HOUR;
    let (table, expired) = expire(catalog, table, oldest, maintenance.keep_snapshots as usize).await?;
    let newest = now - i64::from(maintenance.remove_orphans_after_hours) * MILLISECONDS_AN_HOUR;
    let removed = remove_orphans(&table, newest, locations).await?;
    let joined = match joined? {
        Some((before, after)) => format!("{before} files became {after}"),
        None => format!("no files were joined, since another writer changed them {ATTEMPTS} times meanwhile"),
    };
    Ok(format!("table {ident}: {joined}, {expired} snapshots expired, {removed} orphans removed"))
}

/// Rewrites data files in one commit that changes no row. Files that another writer adds meanwhile do not matter. Says how
/// many files there were and how many there are now, or nothing if other writers changed the rewritten ones each time.
async fn join_files(
    catalog: &Catalog,
    ident: &TableIdent,
    config: &Config,
    small_file_percent: u8,
) -> Result<Option<(usize, usize)>> {
    let target_bytes = config.target_file_size_mib << 20;
    let policy = Policy::Thorough { small_bytes: target_bytes * u64::from(small_file_percent) / 100 };
    let form = DeleteForm { deletes: config.deletes, target_bytes: target_bytes as usize };
    for _ in 0..ATTEMPTS {
        let table = catalog.reload(ident).await?;
        let live = LiveFiles::of(&table).await?;
        let changed = Deletion::default().apply(&table, form, &live, &[], Some(policy)).await?;
        let count = live.data.len() + live.deletes.len();
        if changed.removed.is_empty() {
            return Ok(Some((count, count)));
        }
        let planned_on = table.metadata.current_snapshot_id();
        let paths = |files: &[DataFile]| -> HashSet<String> {
            files.iter().map(|file| file.file_path().to_owned()).collect()
        };
        let (data, known) = (paths(&live.data), paths(&live.deletes));
        let rewritten: BTreeSet<&str> = changed.removed.intersection(&data).map(String::as_str).collect();
        let mut is_overtaken = false;
        let published = publish(catalog, table, None, async |now: &Table, _| {
            if now.metadata.current_snapshot_id() != planned_on {
                let found = LiveFiles::of(now).await?;
                let is_new = |file: &&DataFile| !known.contains(file.file_path());
                is_overtaken = !found.has_all(&changed.removed)
                    || found.deletes.iter().filter(is_new).any(|file| may_delete_from(file, &rewritten));
                if is_overtaken {
                    return Err(Failure::transient("another writer changed files while they were joined"));
                }
            }
            Ok(Work { changes: vec![changed.replace()], ..Work::default() })
        })
        .await;
        match published {
            Err(_) if is_overtaken => {}
            Err(failure) => return Err(failure),
            Ok(_) => return Ok(Some((count, count - changed.removed.len() + changed.added.len()))),
        }
    }
    Ok(None)
}

/// The snapshots before `oldest` (milliseconds since 1970) that neither a branch or tag nor its history needs,
/// where the newest `keep` of a branch's history stay.
fn expirable(metadata: &TableMetadata, oldest: i64, keep: usize) -> Result<Vec<i64>> {
    // The library shows a reference only to those who know its name.
    let document = serde_json::to_value(metadata).map_err(|error| Failure::system(error.to_string()))?;
    let mut kept: HashSet<i64> = HashSet::new();
    let references = document.get("refs").and_then(|refs| refs.as_object()).into_iter().flatten();
    for (name, _) in references {
        let mut next = metadata.snapshot_for_ref(name).cloned();
        let mut length = 0;
        while let Some(snapshot) = next {
            if length >= keep && snapshot.timestamp_ms() < oldest {
                break;
            }
            kept.insert(snapshot.snapshot_id());
            length += 1;
            next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id)).cloned();
        }
    }
    Ok(metadata
        .snapshots()
        .filter(|snapshot| snapshot.timestamp_ms() < oldest && !kept.contains(&snapshot.snapshot_id()))
        .map(|snapshot| snapshot.snapshot_id())
        .collect())
}

/// Says how many were expired. Another writer's commits meanwhile do not matter.
async fn expire(catalog: &Catalog, mut table: Table, oldest: i64, keep: usize) -> Result<(Table, usize)> {
    for _ in 0..ATTEMPTS {
        let snapshot_ids = expirable(&table.metadata, oldest, keep)?;
        let expired = snapshot_ids.len();
        if expired == 0 {
            return Ok((table, 0));
        }
        match publish_updates(catalog, &table, vec![TableUpdate::RemoveSnapshots { snapshot_ids }]).await {
            Ok(table) => return Ok((table, expired)),
            // Whether it happened shows when the table is loaded again.
            Err(CommitFault::Overtaken | CommitFault::Unclear(_)) => {
                table = catalog.reload(&table.ident).await?;
            }
            Err(CommitFault::Refused(failure)) => return Err(failure),
        }
    }
    Ok((table, 0))
}

/// Removes the files in the table's folders that nothing in its metadata refers to and that are older than `newest`
/// (milliseconds since 1970); says how many.
async fn remove_orphans(
    table: &Table,
    newest: i64,
    locations: &HashMap<TableIdent, String>,
) -> Result<usize> {
    let own = comparable(table.metadata.location());
    let shares_folder =
        |other: &String| comparable(other).starts_with(&format!("{own}/")) || comparable(other) == own;
    if locations.iter().any(|(ident, location)| *ident != table.ident && shares_folder(location)) {
        return Err(Failure::configuration("its folder holds another table, so no orphan is safe to remove"));
    }
    let referenced = referenced(table).await?;
    let data = table.data_folder();
    let mut files = list(table.metadata.location(), &table.storage).await?;
    if !comparable(&data).starts_with(&own) {
        files.extend(list(&data, &table.storage).await?);
    }
    let is_orphan =
        |file: &StoredFile| file.modified_at < newest && !referenced.contains(&comparable(&file.location));
    let orphans: Vec<String> = files.into_iter().filter(is_orphan).map(|file| file.location).collect();
    let removed = orphans.len();
    table.file_io.delete_stream(futures::stream::iter(orphans)).await.map_err(of_iceberg)?;
    Ok(removed)
}

/// Every file that the table's metadata refers to, for `comparable` paths.
async fn referenced(table: &Table) -> Result<HashSet<String>> {
    let metadata = &table.metadata;
    let mut files = HashSet::from([comparable(&table.metadata_location)]);
    files.extend(metadata.metadata_log().iter().map(|entry| comparable(&entry.metadata_file)));
    files.extend(metadata.statistics_iter().map(|file| comparable(&file.statistics_path)));
    files.extend(metadata.partition_statistics_iter().map(|file| comparable(&file.statistics_path)));
    let mut manifests_seen = HashSet::new();
    for snapshot in metadata.snapshots() {
        files.insert(comparable(snapshot.manifest_list()));
        for manifest in manifests_of(table, snapshot).await? {
            if !manifests_seen.insert(manifest.manifest_path.clone()) {
                continue;
            }
            files.insert(comparable(&manifest.manifest_path));
            let loaded = manifest.load_manifest(&table.file_io).await.map_err(of_iceberg)?;
            // An entry that says that a file was deleted does not need it.
            let live = loaded.entries().iter().filter(|entry| entry.is_alive());
            files.extend(live.map(|entry| comparable(entry.file_path())));
        }
    }
    Ok(files)
}

/// An address without its scheme, since `s3`, `s3a` and `file:` are spelled in several ways for the same file.
fn comparable(location: &str) -> String {
    let (_, path) = location.split_once(':').unwrap_or(("", location));
    path.trim_start_matches('/').trim_end_matches('/').to_owned()
}
