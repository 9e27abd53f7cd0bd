//! Making a stream's table ready before anything is written: checked, made, evolved. Knows no record.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::FormatVersion;

use crate::batch::{Identity, Shape};
use crate::catalog::{Catalog, Table};
use crate::commit::evolve;
use crate::config::IdentifierCase;
use crate::failure::{Failure, Result};
use crate::generations::{Extent, TableGenerations};
use crate::plan::{Rows, StreamPlan};
use crate::positions::IdentityFields;
use crate::snapshot::LiveFiles;
use crate::table_schema::{AirbyteColumn, evolved, fillings, new_schema};

/// A stream with its table, ready to be written.
pub struct Ready {
    pub table: Table,
    pub extent: Extent,
    pub shape: Arc<Shape>,
    pub fields: Option<IdentityFields>,
    /// The field number of the column with each row's generation.
    pub generation_field: i32,
}

/// Makes every stream's table ready. Whatever one of them cannot take is told before any of them is touched.
pub async fn prepare_all(
    catalog: &Catalog,
    plans: &[StreamPlan],
    case: IdentifierCase,
) -> Result<Vec<Ready>> {
    let mut found = Vec::with_capacity(plans.len());
    for plan in plans {
        let table = catalog.load(&plan.table).await.map_err(|failure| failure.of_stream(&plan.stream))?;
        if let Some(table) = &table {
            check(table, plan, case).await.map_err(|failure| failure.of_stream(&plan.stream))?;
        }
        found.push(table);
    }
    let mut ready = Vec::with_capacity(plans.len());
    for (plan, table) in plans.iter().zip(found) {
        let made = prepare_one(catalog, plan, table, case).await;
        ready.push(made.map_err(|failure| failure.of_stream(&plan.stream))?);
    }
    Ok(ready)
}

/// Whether the table can be written at all.
async fn check(table: &Table, plan: &StreamPlan, case: IdentifierCase) -> Result<()> {
    let metadata = &table.metadata;
    let refuse = |what: &str| {
        Err(Failure::configuration(format!(
            "table {} {what}, which the destination does not write",
            table.ident
        )))
    };
    if metadata.format_version() != FormatVersion::V2 {
        return refuse("is not of format version 2");
    }
    if !metadata.default_partition_spec().is_unpartitioned() {
        return refuse("is partitioned");
    }
    if matches!(plan.rows, Rows::Upsert { .. }) {
        let equality = |file: &iceberg::spec::DataFile| {
            file.content_type() == iceberg::spec::DataContentType::EqualityDeletes
        };
        if LiveFiles::of(table).await?.deletes.iter().any(equality) {
            return refuse("has equality deletes of another program");
        }
    }
    evolved(metadata.current_schema(), metadata.last_column_id(), &plan.columns, case)?;
    Ok(())
}

async fn prepare_one(
    catalog: &Catalog,
    plan: &StreamPlan,
    table: Option<Table>,
    case: IdentifierCase,
) -> Result<Ready> {
    let table = match table {
        Some(table) => table,
        None => {
            catalog.ensure_namespace(&plan.table.namespace().to_string()).await?;
            catalog.create(&plan.table, new_schema(&plan.columns, case)?, table_properties()).await?
        }
    };
    // A table that was just made may be another writer's, and a server may have made another one than was asked.
    let table = evolve(catalog, table, &plan.columns, case).await?;
    let extent = TableGenerations::of(&table.metadata).extent(plan.refresh, plan.ids);
    let schema = table.metadata.current_schema();
    let generation_field = schema
        .field_id_by_name(&AirbyteColumn::GenerationId.name(case))
        .ok_or_else(|| Failure::system("the table has no column for generations"))?;
    let (identity, fields) = match &plan.rows {
        Rows::Append => (None, None),
        Rows::Upsert { key, cursor } => {
            let places: HashMap<&str, (usize, i32)> = schema
                .as_struct()
                .fields()
                .iter()
                .enumerate()
                .map(|(place, field)| (field.name.as_str(), (place, field.id)))
                .collect();
            let place = |name: &String| {
                let missing = || Failure::system(format!("column {name:?} is not in its table"));
                places.get(name.as_str()).copied().ok_or_else(missing)
            };
            let key = key.iter().map(place).collect::<Result<Vec<_>>>()?;
            let cursor = cursor.as_ref().map(place).transpose()?;
            let identity = Identity {
                key: key.iter().map(|(place, _)| *place).collect(),
                cursor: cursor.map(|(place, _)| place),
            };
            let fields = IdentityFields {
                key: key.iter().map(|(_, id)| *id).collect(),
                cursor: cursor.map(|(_, id)| id),
                minimum_generation: match extent {
                    Extent::Purge(minimum) => Some((generation_field, minimum)),
                    Extent::Keep | Extent::Replace => None,
                },
            };
            (Some(identity), Some(fields))
        }
    };
    let shape = Shape {
        arrow: Arc::new(schema_to_arrow_schema(schema)?),
        fillings: fillings(schema, &plan.columns, case),
        columns: plan.columns.clone(),
        identity,
        generation_id: plan.ids.row_generation(),
        sync_id: plan.ids.sync.unwrap_or(0),
    };
    Ok(Ready { table, extent, shape: Arc::new(shape), fields, generation_field })
}

/// What new tables ask of every writer, ours and others'.
fn table_properties() -> HashMap<String, String> {
    let properties = [
        ("write.format.default", "parquet"),
        ("write.parquet.compression-codec", "zstd"),
        ("write.metadata.delete-after-commit.enabled", "true"),
        ("write.metadata.previous-versions-max", "20"),
        ("write.delete.mode", "merge-on-read"),
        ("write.update.mode", "merge-on-read"),
        ("write.merge.mode", "merge-on-read"),
    ];
    properties.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
