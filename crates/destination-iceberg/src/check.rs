//! The `check` verb: a table is made, written, read back and dropped, so that every right the destination needs is
//! tried. Knows no stream.

use std::time::Instant;

use airbyte_protocol::message::StreamDescriptor;
use iceberg::{NamespaceIdent, TableIdent};

use crate::batch::{BatchBuilder, RowIds};
use crate::catalog::Catalog;
use crate::column::{Column, ColumnType};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::generations::{Ids, Refresh};
use crate::naming::identifier;
use crate::plan::{Rows, StreamPlan};
use crate::snapshot::LiveFiles;
use crate::storage::list;
use crate::stream_writer::StreamWriter;
use crate::table::prepare_all;

const PROBE_FILE_BYTES: usize = 1 << 20;

pub async fn check(config: &Config) -> Result<()> {
    let catalog = Catalog::open(config).await?;
    let case = config.identifier_case;
    let unique = uuid::Uuid::now_v7().simple().to_string();
    let namespace = NamespaceIdent::new(identifier(&config.namespace, case));
    let name = identifier(&format!("_airbyte_check_{unique}"), case);
    let plan = StreamPlan {
        stream: StreamDescriptor::named("check"),
        table: TableIdent::new(namespace, name),
        columns: vec![Column {
            property: "note".to_owned(),
            name: identifier("note", case),
            kind: ColumnType::Text,
            description: None,
        }],
        rows: Rows::Append,
        refresh: Refresh::Nothing,
        ids: Ids::default(),
    };
    let table = plan.table.clone();
    let tried = probe(&catalog, plan, config).await;
    // Dropped whatever came before; the first failure is the one to tell.
    let dropped = drop_probe(&catalog, &table).await;
    tried.and(dropped)
}

async fn probe(catalog: &Catalog, plan: StreamPlan, config: &Config) -> Result<()> {
    let mut ready = prepare_all(catalog, std::slice::from_ref(&plan), config.identifier_case).await?;
    let ready = ready.pop().ok_or_else(|| Failure::system("the table of the check was not made"))?;
    let mut builder = BatchBuilder::new(ready.shape.clone(), RowIds::new())?;
    let record = r#"{"stream":"check","data":{"note":"written by check"},"emitted_at":0}"#;
    let record = serde_json::from_str(record)
        .map_err(|error| Failure::system(format!("the record of the check: {error}")))?;
    builder.push(&record);
    let mut writer = StreamWriter::new(plan, ready, PROBE_FILE_BYTES, Instant::now());
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
        table.file_io.delete(&file.location).await?;
    }
    Ok(())
}
