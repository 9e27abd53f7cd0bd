//! A catalog in a SQLite file, of the tables that PyIceberg's and iceberg-rust's SQL catalogs use, so that both
//! open it under the name `default`. Knows no HTTP.
//!
//! A commit writes the next metadata file and then swaps its address in, if the address is still the one that
//! the commit was made for.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iceberg::spec::{FormatVersion, Schema, TableMetadata, TableMetadataBuilder};
use iceberg::{MetadataLocation, NamespaceIdent, TableCreation, TableIdent, TableUpdate};
use rusqlite::{Connection, OptionalExtension, params};

use super::table::{CommitFault, SnapshotCache, Table};
use crate::config::EmbeddedConfig;
use crate::failure::{Failure, Result, of_iceberg};
use crate::naming::folder;
use crate::storage::{StorageProperties, file_io, local_path, scheme, sync_file, sync_folders};

/// The catalog's name within the file, which every reader has to give as well.
const CATALOG_NAME: &str = "default";
/// How long one writer waits for another one's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL,
        table_namespace VARCHAR(255) NOT NULL,
        table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000),
        previous_metadata_location VARCHAR(1000),
        iceberg_type VARCHAR(5),
        PRIMARY KEY (catalog_name, table_namespace, table_name));
    CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL,
        namespace VARCHAR(255) NOT NULL,
        property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000) NOT NULL,
        PRIMARY KEY (catalog_name, namespace, property_key));";

pub struct EmbeddedCatalog {
    connection: Mutex<Connection>,
    /// With its scheme and without a slash at its end.
    warehouse: String,
    storage: StorageProperties,
}

impl EmbeddedCatalog {
    pub fn open(config: &EmbeddedConfig, storage: StorageProperties) -> Result<Self> {
        let warehouse = config.warehouse.trim_end_matches('/');
        let (warehouse, beside) = match scheme(warehouse) {
            "file" => {
                let path = local_path(warehouse);
                if !path.is_absolute() {
                    return Err(Failure::configuration(format!(
                        "the warehouse {warehouse:?} is neither an absolute folder nor an address of an object store, \
                         such as s3://bucket/prefix"
                    )));
                }
                std::fs::create_dir_all(path).map_err(|error| {
                    Failure::configuration(format!("the warehouse {warehouse:?} cannot be made: {error}"))
                })?;
                (format!("file://{}", path.display()), Some(path.join("catalog.db")))
            }
            _ => (warehouse.to_owned(), None),
        };
        let database = config.database.as_ref().map(PathBuf::from).or(beside).ok_or_else(|| {
            Failure::configuration("a warehouse that is no local folder needs `database`, a SQLite file")
        })?;
        // Refuses an unknown scheme before anything is made.
        file_io(&warehouse, &storage)?;
        let connection = connect(&database).map_err(|error| {
            Failure::configuration(format!(
                "the catalog file {} cannot be opened: {error}",
                database.display()
            ))
        })?;
        Ok(Self { connection: Mutex::new(connection), warehouse, storage })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ensure_namespace(&self, namespace: &str) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?1, ?2, 'exists', 'true')";
        self.connection().execute(sql, params![CATALOG_NAME, namespace]).map_err(of_sqlite)?;
        Ok(())
    }

    pub async fn load(&self, ident: &TableIdent) -> Result<Option<Table>> {
        let sql = "SELECT metadata_location FROM iceberg_tables
                   WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3";
        let names = params![CATALOG_NAME, namespace_of(ident), ident.name()];
        let found: Option<String> =
            self.connection().query_row(sql, names, |row| row.get(0)).optional().map_err(of_sqlite)?;
        let Some(metadata_location) = found else { return Ok(None) };
        let file_io = file_io(&metadata_location, &self.storage)?;
        let metadata = TableMetadata::read_from(&file_io, &metadata_location).await.map_err(of_iceberg)?;
        Ok(Some(self.table(ident, metadata, metadata_location)?))
    }

    pub async fn create(
        &self,
        ident: &TableIdent,
        schema: Schema,
        properties: HashMap<String, String>,
    ) -> Result<Table> {
        // A number of its own, so that a table dropped and made again never meets its old files.
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let location = format!(
            "{}/{}/{}-{}",
            self.warehouse,
            folder(&namespace_of(ident)),
            folder(ident.name()),
            &unique[unique.len() - 8..]
        );
        let creation = TableCreation::builder()
            .name(ident.name().to_owned())
            .location(location.clone())
            .schema(schema)
            .properties(properties)
            .format_version(FormatVersion::V2)
            .build();
        let metadata = TableMetadataBuilder::from_table_creation(creation)
            .map_err(of_iceberg)?
            .build()
            .map_err(of_iceberg)?
            .metadata;
        let metadata_location = MetadataLocation::new_with_metadata(&location, &metadata);
        metadata
            .write_to(&file_io(&location, &self.storage)?, &metadata_location)
            .await
            .map_err(of_iceberg)?;
        let metadata_location = metadata_location.to_string();
        let namespace_folder = format!("{}/{}", self.warehouse, folder(&namespace_of(ident)));
        sync_file(&metadata_location)?;
        sync_folders(&[&format!("{location}/metadata"), &location, &namespace_folder, &self.warehouse])?;
        let sql = "INSERT OR IGNORE INTO iceberg_tables
                   (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
                   VALUES (?1, ?2, ?3, ?4, 'TABLE')";
        let names = params![CATALOG_NAME, namespace_of(ident), ident.name(), metadata_location];
        let inserted = self.connection().execute(sql, names).map_err(of_sqlite)?;
        if inserted == 1 {
            return self.table(ident, metadata, metadata_location);
        }
        let gone = || Failure::transient(format!("table {ident} was dropped while it was made"));
        self.load(ident).await?.ok_or_else(gone)
    }

    pub async fn commit(
        &self,
        table: &Table,
        updates: Vec<TableUpdate>,
    ) -> std::result::Result<Table, CommitFault> {
        let (metadata, location) = self.next_metadata(table, updates).await?;
        table.sync_folders()?;
        let sql = "UPDATE iceberg_tables SET metadata_location = ?1, previous_metadata_location = ?2
                   WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5
                     AND metadata_location = ?2";
        let ident = &table.ident;
        let values =
            params![location, table.metadata_location, CATALOG_NAME, namespace_of(ident), ident.name()];
        let updated = self.connection().execute(sql, values);
        match updated {
            Ok(1) => Ok(self.table(ident, metadata, location)?),
            Ok(_) => Err(CommitFault::Overtaken),
            Err(error) => Err(CommitFault::Unclear(format!("the catalog file: {error}"))),
        }
    }

    /// Writes the metadata file that the updates lead to.
    async fn next_metadata(
        &self,
        table: &Table,
        updates: Vec<TableUpdate>,
    ) -> Result<(TableMetadata, String)> {
        let current = Some(table.metadata_location.clone());
        let mut builder = (*table.metadata).clone().into_builder(current);
        for update in updates {
            builder = update.apply(builder).map_err(of_iceberg)?;
        }
        let metadata = builder.build().map_err(of_iceberg)?.metadata;
        let location = MetadataLocation::from_str(&table.metadata_location)
            .map_err(of_iceberg)?
            .with_next_version()
            .with_new_metadata(&metadata);
        metadata.write_to(&table.file_io, &location).await.map_err(of_iceberg)?;
        let location = location.to_string();
        sync_file(&location)?;
        Ok((metadata, location))
    }

    pub fn forget(&self, ident: &TableIdent) -> Result<()> {
        let sql = "DELETE FROM iceberg_tables
                   WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3";
        let names = params![CATALOG_NAME, namespace_of(ident), ident.name()];
        self.connection().execute(sql, names).map_err(of_sqlite)?;
        Ok(())
    }

    pub fn tables(&self, namespace: &str) -> Result<Vec<TableIdent>> {
        let connection = self.connection();
        let sql = "SELECT table_name FROM iceberg_tables
                   WHERE catalog_name = ?1 AND table_namespace = ?2 ORDER BY table_name";
        let mut statement = connection.prepare(sql).map_err(of_sqlite)?;
        let names = statement
            .query_map(params![CATALOG_NAME, namespace], |row| row.get::<_, String>(0))
            .map_err(of_sqlite)?;
        let namespace = NamespaceIdent::new(namespace.to_owned());
        names.map(|name| Ok(TableIdent::new(namespace.clone(), name.map_err(of_sqlite)?))).collect()
    }

    fn table(&self, ident: &TableIdent, metadata: TableMetadata, metadata_location: String) -> Result<Table> {
        Ok(Table {
            ident: ident.clone(),
            file_io: file_io(metadata.location(), &self.storage)?,
            metadata: Arc::new(metadata),
            metadata_location,
            storage: self.storage.clone(),
            credentials_end_at: None,
            loaded: SnapshotCache::default(),
        })
    }
}

/// The metadata files that a commit dropped from the table's log, if the table wants them removed.
pub fn dropped_metadata(before: &Table, after: &Table) -> Vec<String> {
    let wanted = after.metadata.properties().get("write.metadata.delete-after-commit.enabled");
    if wanted.is_none_or(|wanted| wanted != "true") {
        return Vec::new();
    }
    let files = |table: &Table| -> HashSet<String> {
        table.metadata.metadata_log().iter().map(|entry| entry.metadata_file.clone()).collect()
    };
    files(before).difference(&files(after)).cloned().collect()
}

fn connect(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(database)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}

fn namespace_of(ident: &TableIdent) -> String {
    ident.namespace().to_string()
}

fn of_sqlite(error: rusqlite::Error) -> Failure {
    Failure::transient(format!("the catalog file: {error}"))
}
