//! The `check` verb: a table is made, written, read back and dropped, so that every right the destination needs is
//! tried. Knows no stream.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Instant;

use iceberg::TableIdent;

use crate::batch::{BatchBuilder, RowIds};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::deletion::DeleteForm;
use crate::failure::{Failure, Result, of_iceberg};
use crate::plan::{StreamPlan, plan};
use crate::snapshot::LiveFiles;
use crate::storage::{list, local_path, scheme};
use crate::stream_writer::StreamWriter;
use crate::table::prepare_all;

const PROBE_FILE_BYTES: usize = 1 << 20;

pub async fn check(config: &Config) -> Result<()> {
    let catalog = Catalog::open(config).await?;
    let unique = uuid::Uuid::now_v7().simple().to_string();
    let stream = format!("_airbyte_check_{unique}");
    let configured = serde_json::json!({"streams": [{
        "stream": {"name": stream, "json_schema": {"properties": {"note": {"type": "string"}}}},
        "destination_sync_mode": "append"}]});
    let configured = serde_json::from_value(configured)
        .map_err(|error| Failure::system(format!("the catalog of the check: {error}")))?;
    let mut plans = plan(config, &configured)?;
    let plan = plans.pop().ok_or_else(|| Failure::system("the check has no stream"))?;
    let table = plan.table.clone();
    let tried = probe(&catalog, plan, config).await;
    // Dropped whatever came before; the first failure is the one to tell.
    let dropped = drop_probe(&catalog, &table).await;
    tried.and(dropped)
}

async fn probe(catalog: &Catalog, plan: StreamPlan, config: &Config) -> Result<()> {
    let mut ready = prepare_all(catalog, vec![plan], config).await?;
    let (plan, ready) = ready.pop().ok_or_else(|| Failure::system("the table of the check was not made"))?;
    let mut builder = BatchBuilder::new(ready.shape.clone(), RowIds::new())?;
    let record = r#"{"stream":"check","data":{"note":"written by check"},"emitted_at":0}"#;
    let record = serde_json::from_str(record)
        .map_err(|error| Failure::system(format!("the record of the check: {error}")))?;
    builder.push(&record);
    let form = DeleteForm { deletes: config.deletes, target_bytes: PROBE_FILE_BYTES };
    let mut writer = StreamWriter::new(plan, ready, form, None, 1, Instant::now());
    writer.write(catalog, builder.finish()?).await?;
    writer.complete(catalog).await?;
    let table = catalog.reload(&writer.table().ident).await?;
    let rows: u64 = LiveFiles::of(&table).await?.data.iter().map(|file| file.record_count()).sum();
    if rows != 1 {
        return Err(Failure::system(format!("the table of the check has {rows} rows after one was written")));
    }
    Ok(())
}

async fn drop_probe(catalog: &Catalog, ident: &TableIdent) -> Result<()> {
    let Some(table) = catalog.load(ident).await? else { return Ok(()) };
    catalog.forget(ident).await?;
    // Credentials of a catalog may not reach as far as listing, which writing never needs.
    let Ok(files) = list(table.metadata.location(), &table.storage).await else { return Ok(()) };
    for file in files {
        table.file_io.delete(&file.location).await.map_err(of_iceberg)?;
    }
    remove_empty_folders(table.metadata.location())
        .map_err(|error| Failure::transient(format!("the folder of the check cannot be removed: {error}")))
}

/// Removes what the table leaves on a local disk: its folders, and that of its namespace if nothing else is in it.
fn remove_empty_folders(location: &str) -> std::io::Result<()> {
    if scheme(location) != "file" {
        return Ok(());
    }
    let table = local_path(location);
    let parts = ["data", "metadata"].map(|part| table.join(part));
    let namespace = table.parent();
    for folder in parts.iter().map(PathBuf::as_path).chain([table]).chain(namespace) {
        match std::fs::remove_dir(folder) {
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}
