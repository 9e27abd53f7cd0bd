//! Making a stream's table ready before anything is written: checked, made, evolved.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{FormatVersion, Schema, TableMetadata};

use crate::batch::{Identity, Shape};
use crate::catalog::{Catalog, Table};
use crate::commit::{Needs, evolve, with_schema};
use crate::config::{Config, Deletes, IdentifierCase};
use crate::failure::{Failure, Result, of_iceberg};
use crate::generations::{Extent, TableGenerations};
use crate::locate::{Located, locate_all};
use crate::plan::{Rows, StreamPlan};
use crate::positions::IdentityFields;
use crate::snapshot::LiveFiles;
use crate::table_memory::{ColumnNames, memory};
use crate::table_schema::{AirbyteColumn, Conflicts, airbyte_case, evolved, fillings, new_schema};

/// A stream's table, ready to be written.
pub struct Ready {
    pub table: Table,
    /// The table as the written files have it: with the new schema, if there is one.
    pub written: Table,
    /// Replaces columns, so it is for the commit that replaces the rows.
    pub new_schema: Option<Schema>,
    /// What the table is to remember, as far as it does not yet.
    pub memory: HashMap<String, String>,
    pub extent: Extent,
    pub shape: Arc<Shape>,
    pub fields: Option<IdentityFields>,
    /// The field number of the column with each row's generation.
    pub generation_field: i32,
}

/// Makes every stream's table ready, and adapts its plan to the table's names. Whatever one of them cannot take is reported
/// before any of them is touched.
pub async fn prepare_all(
    catalog: &Catalog,
    plans: Vec<StreamPlan>,
    config: &Config,
) -> Result<Vec<(StreamPlan, Ready)>> {
    let case = config.identifier_case;
    let found = locate_all(catalog, &plans).await?;
    let mut adapted = Vec::with_capacity(plans.len());
    for (mut plan, Located { ident, table }) in plans.into_iter().zip(found) {
        plan.table = ident;
        let stream = plan.stream.clone();
        let plan = match &table {
            Some(table) => {
                check(table, plan, case).await.map_err(|failure| failure.of_stream(stream.clone()))?
            }
            None => plan,
        };
        adapted.push((plan, table));
    }
    let mut ready = Vec::with_capacity(adapted.len());
    for (plan, table) in adapted {
        let made = prepare_one(catalog, &plan, table, config).await;
        let made = made.map_err(|failure| failure.of_stream(plan.stream.clone()))?;
        ready.push((plan, made));
    }
    Ok(ready)
}

/// Whether the table can be written at all.
async fn check(table: &Table, plan: StreamPlan, case: IdentifierCase) -> Result<StreamPlan> {
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
        // Most programs count them, which spares reading every manifest.
        let counted = metadata.current_snapshot().is_none_or(|snapshot| {
            let counts = &snapshot.summary().additional_properties;
            counts.get("total-equality-deletes").is_some_and(|count| count == "0")
        });
        if !counted && LiveFiles::of(table).await?.deletes.iter().any(equality) {
            return refuse("has equality deletes of another program");
        }
    }
    let names = ColumnNames::of(metadata, case, &plan.columns, &plan.key_properties());
    let plan = plan.with_names(names)?;
    let (schema, last_column_id) = (metadata.current_schema(), metadata.last_column_id());
    evolved(schema, last_column_id, &plan.columns, airbyte_case(schema, case), conflicts(metadata, &plan))?;
    Ok(plan)
}

/// Columns can be replaced where every row is.
fn conflicts(metadata: &TableMetadata, plan: &StreamPlan) -> Conflicts {
    match TableGenerations::of(metadata).extent(plan.refresh, plan.ids) {
        Extent::Replace => Conflicts::Replace,
        Extent::Keep | Extent::Purge(_) => Conflicts::Refuse,
    }
}

async fn prepare_one(
    catalog: &Catalog,
    plan: &StreamPlan,
    table: Option<Table>,
    config: &Config,
) -> Result<Ready> {
    let case = config.identifier_case;
    let table = match table {
        Some(table) => table,
        None => {
            catalog.ensure_namespace(&plan.table.namespace().to_string()).await?;
            let mut properties = table_properties();
            properties.extend(delete_properties(config.deletes));
            properties.extend(memory(&plan.stream, &plan.columns, None));
            catalog.create(&plan.table, new_schema(&plan.columns, case)?, properties).await?
        }
    };
    // A table that was just made may be another writer's, and a server may have made another one than was asked.
    let case = airbyte_case(table.metadata.current_schema(), case);
    let conflicts = conflicts(&table.metadata, plan);
    let needs = Needs { columns: &plan.columns, case, conflicts, stream: &plan.stream };
    let (table, new_schema) = evolve(catalog, table, &needs).await?;
    let written = match &new_schema {
        Some(schema) => with_schema(&table, schema)?,
        None => table.clone(),
    };
    let extent = TableGenerations::of(&table.metadata).extent(plan.refresh, plan.ids);
    let schema = written.metadata.current_schema();
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
        arrow: Arc::new(schema_to_arrow_schema(schema).map_err(of_iceberg)?),
        fillings: fillings(schema, &plan.columns, case),
        columns: plan.columns.clone(),
        identity,
        generation_id: plan.ids.row_generation(),
        sync_id: plan.ids.sync.unwrap_or(0),
    };
    let shape = Arc::new(shape);
    let mut memory = memory(&plan.stream, &plan.columns, Some(&table.metadata));
    memory.extend(delete_properties(config.deletes));
    memory.retain(|name, value| table.metadata.properties().get(name) != Some(value));
    Ok(Ready { table, written, new_schema, memory, extent, shape, fields, generation_field })
}

/// What new tables ask of every writer, ours and others'.
fn table_properties() -> HashMap<String, String> {
    let properties = [
        ("write.format.default", "parquet"),
        ("write.parquet.compression-codec", "zstd"),
        ("write.metadata.delete-after-commit.enabled", "true"),
        ("write.metadata.previous-versions-max", "20"),
    ];
    properties.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What the table declares of how rows are deleted, for other writers.
fn delete_properties(deletes: Deletes) -> impl Iterator<Item = (String, String)> {
    let mode = match deletes {
        Deletes::PositionDeletes => "merge-on-read",
        Deletes::CopyOnWrite => "copy-on-write",
    };
    let names = ["write.delete.mode", "write.update.mode", "write.merge.mode"];
    names.into_iter().map(move |name| (name.to_owned(), mode.to_owned()))
}
