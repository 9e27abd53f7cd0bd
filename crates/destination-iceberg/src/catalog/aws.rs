//! The REST catalogs of AWS: their addresses, what they call a warehouse, and how requests to them are signed. Knows no
//! request.

use super::rest::{Connection, RestCatalog};
use super::sign_in::{SigV4, SignIn};
use crate::config::{GlueConfig, RoleConfig, S3TablesConfig, StorageConfig, StorageCredentials};
use crate::failure::{Failure, Result};
use crate::storage::StorageProperties;

pub async fn glue(
    config: &GlueConfig,
    storage_config: Option<&StorageConfig>,
    storage: StorageProperties,
) -> Result<RestCatalog> {
    let uri = match &config.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("https://glue.{}.{}/iceberg", config.region, domain(&config.region)),
    };
    let sign_in = SigV4::new(&config.region, "glue", config.role.as_ref(), storage_config).await?;
    RestCatalog::connect(Connection {
        uri,
        warehouse: Some(config.account_id.clone()),
        sign_in: SignIn::sigv4(sign_in),
        credentials: StorageCredentials::Own,
        storage: with_access(storage, &config.region, config.role.as_ref()),
        purge_on_drop: false,
    })
    .await
}

pub async fn s3_tables(
    config: &S3TablesConfig,
    storage_config: Option<&StorageConfig>,
    storage: StorageProperties,
) -> Result<RestCatalog> {
    let arn = &config.table_bucket_arn;
    let region = region(arn).ok_or_else(|| {
        Failure::configuration(format!(
            "{arn:?} is not the ARN of a table bucket, such as arn:aws:s3tables:eu-central-1:123456789012:bucket/NAME"
        ))
    })?;
    let uri = match &config.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("https://s3tables.{region}.{}/iceberg", domain(region)),
    };
    let sign_in = SigV4::new(region, "s3tables", config.role.as_ref(), storage_config).await?;
    RestCatalog::connect(Connection {
        uri,
        warehouse: Some(arn.clone()),
        sign_in: SignIn::sigv4(sign_in),
        credentials: StorageCredentials::Own,
        storage: with_access(storage, region, config.role.as_ref()),
        // S3 Tables drops a table only together with its files.
        purge_on_drop: true,
    })
    .await
}

/// `arn:PARTITION:s3tables:REGION:ACCOUNT:bucket/NAME`
fn region(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts[..] {
        ["arn", _, "s3tables", region, account, bucket]
            if !region.is_empty() && !account.is_empty() && bucket.starts_with("bucket/") =>
        {
            Some(region)
        }
        _ => None,
    }
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// The files are reached with the same role and in the same region, unless the config's storage says otherwise.
fn with_access(mut storage: StorageProperties, region: &str, role: Option<&RoleConfig>) -> StorageProperties {
    storage.entry("s3.region".to_owned()).or_insert_with(|| region.to_owned());
    if let Some(role) = role {
        storage.insert("client.assume-role.arn".to_owned(), role.arn.clone());
        storage.insert("client.assume-role.session-name".to_owned(), "destination-iceberg".to_owned());
        storage.extend(role.external_id.clone().map(|id| ("client.assume-role.external-id".to_owned(), id)));
    }
    storage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_of_a_table_bucket_is_in_its_arn() {
        assert_eq!(region("arn:aws:s3tables:eu-central-1:123456789012:bucket/tables"), Some("eu-central-1"));
        assert_eq!(region("arn:aws-cn:s3tables:cn-north-1:123456789012:bucket/tables"), Some("cn-north-1"));
        for other in
            ["arn:aws:s3:::tables", "tables", "arn:aws:s3tables::1:bucket/t", "arn:aws:s3tables:r:1:table/t"]
        {
            assert_eq!(region(other), None, "{other}");
        }
    }
}
