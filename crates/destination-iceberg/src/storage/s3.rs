//! Amazon S3, and the stores that speak its protocol.

use opendal::{Operator, services};

use super::StorageProperties;
use crate::config::{Addressing, S3Config};

pub const SCHEMES: [&str; 3] = ["s3", "s3a", "s3n"];
/// Iceberg's name for the end of vended credentials.
pub const TOKEN_END: &str = "s3.session-token-expires-at-ms";

pub fn properties(config: &S3Config) -> StorageProperties {
    let path_style = match config.addressing {
        Addressing::Path => "true",
        Addressing::VirtualHost => "false",
    };
    let secret = config.secret_access_key.as_ref().map(|secret| secret.expose().to_owned());
    let optional = [
        ("s3.region", config.region.clone()),
        ("s3.endpoint", config.endpoint.clone()),
        ("s3.access-key-id", config.access_key_id.clone()),
        ("s3.secret-access-key", secret),
        ("s3.path-style-access", Some(path_style.to_owned())),
    ];
    optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

pub fn open(bucket: &str, properties: &StorageProperties) -> opendal::Result<Operator> {
    let property = |name: &str| properties.get(name).map(String::as_str);
    let mut builder = services::S3::default().bucket(bucket);
    // A catalog that vends credentials says the bucket's region as the client's.
    if let Some(region) = property("client.region").or_else(|| property("s3.region")) {
        builder = builder.region(region);
    }
    if let Some(endpoint) = property("s3.endpoint") {
        builder = builder.endpoint(endpoint);
    }
    if let Some(id) = property("s3.access-key-id") {
        builder = builder.access_key_id(id);
    }
    if let Some(secret) = property("s3.secret-access-key") {
        builder = builder.secret_access_key(secret);
    }
    if let Some(token) = property("s3.session-token") {
        builder = builder.session_token(token);
    }
    if let Some(role) = property("client.assume-role.arn") {
        builder = builder.role_arn(role);
    }
    if let Some(id) = property("client.assume-role.external-id") {
        builder = builder.external_id(id);
    }
    if let Some(name) = property("client.assume-role.session-name") {
        builder = builder.role_session_name(name);
    }
    if property("s3.path-style-access") != Some("true") {
        builder = builder.enable_virtual_host_style();
    }
    builder = match property("s3.sse.type") {
        Some("s3") => builder.server_side_encryption_with_s3_key(),
        Some("kms") => match property("s3.sse.key") {
            Some(key) => builder.server_side_encryption_with_customer_managed_kms_key(key),
            None => builder.server_side_encryption_with_aws_managed_kms_key(),
        },
        _ => builder,
    };
    Ok(Operator::new(builder)?.finish())
}
