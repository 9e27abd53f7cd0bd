//! Google Cloud Storage.

use opendal::{Operator, services};

use super::StorageProperties;
use crate::config::GcsConfig;

pub const SCHEMES: [&str; 2] = ["gs", "gcs"];
/// Iceberg's name for the end of vended credentials.
pub const TOKEN_END: &str = "gcs.oauth2.token-expires-at";

/// Google's own.
const ENDPOINT: &str = "https://storage.googleapis.com";

pub fn properties(config: &GcsConfig) -> StorageProperties {
    let key = config.service_account_key.as_ref().map(|key| key.expose().to_owned());
    let optional = [("gcs.credentials-json", key), ("gcs.service.path", config.endpoint.clone())];
    optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

pub fn open(bucket: &str, properties: &StorageProperties) -> opendal::Result<Operator> {
    let property = |name: &str| properties.get(name).map(String::as_str);
    let mut builder = services::Gcs::default().bucket(bucket);
    let endpoint = property("gcs.service.path").unwrap_or(ENDPOINT);
    builder = builder.endpoint(endpoint);
    if let Some(token) = property("gcs.oauth2.token") {
        builder = builder.token(token.to_owned());
    } else if let Some(key) = property("gcs.credentials-json") {
        builder = builder.credential(&base64(key));
    }
    if property("gcs.no-auth") == Some("true") {
        builder = builder.skip_signature().disable_vm_metadata().disable_config_load();
    }
    Ok(Operator::new(builder)?.finish())
}

/// OpenDAL wants the key in base64, as some configs already have it.
fn base64(key: &str) -> String {
    use base64::Engine;
    if key.trim_start().starts_with('{') {
        base64::engine::general_purpose::STANDARD.encode(key)
    } else {
        key.trim().to_owned()
    }
}
