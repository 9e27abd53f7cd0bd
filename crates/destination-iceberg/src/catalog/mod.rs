//! Where tables are listed and committed to: a SQLite file, or a REST server.
//!
//! The `iceberg` crate's own catalogs are not used: what they can commit is limited to appends and schema
//! changes, they cannot tell a refused commit from one whose answer was lost, and the REST one does not renew
//! its token. The protocol's types (`TableUpdate`, `TableRequirement`) are the crate's.

mod aws;
mod embedded;
mod horizon;
mod redirects;
mod rest;
mod sign_in;
mod table;

use std::collections::HashMap;

use iceberg::spec::Schema;
use iceberg::{TableIdent, TableRequirement, TableUpdate};

use crate::config::{CatalogConfig, Config};
use crate::failure::{Failure, Result};
use crate::storage::properties;

pub use embedded::EmbeddedCatalog;
pub use rest::RestCatalog;
pub use table::{CommitFault, Manifest, Table, manifests_of};

pub enum Catalog {
    Embedded(EmbeddedCatalog),
    Rest(Box<RestCatalog>),
}

impl Catalog {
    pub async fn open(config: &Config) -> Result<Self> {
        let storage = config.storage.as_ref().map(properties).unwrap_or_default();
        match &config.catalog {
            CatalogConfig::Embedded(embedded) => {
                Ok(Self::Embedded(EmbeddedCatalog::open(embedded, storage)?))
            }
            CatalogConfig::Rest(rest) => Ok(Self::Rest(Box::new(RestCatalog::open(rest, storage).await?))),
            CatalogConfig::Glue(glue) => {
                Ok(Self::Rest(Box::new(aws::glue(glue, config.storage.as_ref(), storage).await?)))
            }
            CatalogConfig::S3Tables(tables) => {
                Ok(Self::Rest(Box::new(aws::s3_tables(tables, config.storage.as_ref(), storage).await?)))
            }
        }
    }

    /// Makes the namespace if it is not there.
    pub async fn ensure_namespace(&self, namespace: &str) -> Result<()> {
        match self {
            Self::Embedded(catalog) => catalog.ensure_namespace(namespace),
            Self::Rest(catalog) => catalog.ensure_namespace(namespace).await,
        }
    }

    /// The table as it is now; nothing if there is none.
    pub async fn load(&self, ident: &TableIdent) -> Result<Option<Table>> {
        match self {
            Self::Embedded(catalog) => catalog.load(ident).await,
            Self::Rest(catalog) => catalog.load(ident).await,
        }
    }

    /// The table as it is now, which has to be there.
    pub async fn reload(&self, ident: &TableIdent) -> Result<Table> {
        let gone = || Failure::transient(format!("table {ident} was dropped while it was written"));
        self.load(ident).await?.ok_or_else(gone)
    }

    /// Makes an empty table of format version 2, or loads the one that another writer made first.
    pub async fn create(
        &self,
        ident: &TableIdent,
        schema: Schema,
        properties: HashMap<String, String>,
    ) -> Result<Table> {
        match self {
            Self::Embedded(catalog) => catalog.create(ident, schema, properties).await,
            Self::Rest(catalog) => catalog.create(ident, schema, properties).await,
        }
    }

    /// Applies `updates` to the table if it still meets `requirements`, all or nothing.
    pub async fn commit(
        &self,
        table: &Table,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> std::result::Result<Table, CommitFault> {
        match self {
            Self::Embedded(catalog) => catalog.commit(table, updates).await,
            Self::Rest(catalog) => {
                table.sync_folders()?;
                catalog.commit(table, requirements, updates).await
            }
        }
    }

    /// The metadata files that a commit left for its writer to remove.
    pub fn dropped_metadata(&self, before: &Table, after: &Table) -> Vec<String> {
        match self {
            Self::Embedded(_) => embedded::dropped_metadata(before, after),
            Self::Rest(_) => Vec::new(),
        }
    }

    /// Takes the table out of the catalog; its files are the caller's to remove.
    pub async fn forget(&self, ident: &TableIdent) -> Result<()> {
        match self {
            Self::Embedded(catalog) => catalog.forget(ident),
            Self::Rest(catalog) => catalog.forget(ident).await,
        }
    }

    /// Who maintains the tables, where the catalog itself does: it compacts files and expires snapshots.
    pub fn maintainer(&self) -> Option<&'static str> {
        match self {
            Self::Embedded(_) => None,
            Self::Rest(catalog) => catalog.maintainer(),
        }
    }

    /// Every table of a namespace.
    pub async fn tables(&self, namespace: &str) -> Result<Vec<TableIdent>> {
        match self {
            Self::Embedded(catalog) => catalog.tables(namespace),
            Self::Rest(catalog) => catalog.tables(namespace).await,
        }
    }
}
