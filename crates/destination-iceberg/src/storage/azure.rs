//! Azure Data Lake Storage Gen2, by the Blob endpoint that each of its accounts has beside the one for `dfs`.
//!
//! The Blob endpoint writes a file in one request, and the emulator has it too. It shows folders of a hierarchical
//! namespace as empty files, which `list` of `object_store` leaves out.

use opendal::{ErrorKind, Operator, services};

use super::StorageProperties;
use crate::config::AzureConfig;

pub const SCHEMES: [&str; 4] = ["abfss", "abfs", "wasbs", "wasb"];
/// The beginning of Iceberg's name for the end of vended credentials; the account's host follows.
pub const TOKEN_END: &str = "adls.sas-token-expires-at-ms";

pub fn properties(config: &AzureConfig) -> StorageProperties {
    let secret =
        |secret: &Option<airbyte_connector::Secret>| secret.as_ref().map(|it| it.expose().to_owned());
    let optional = [
        ("adls.account-key", secret(&config.account_key)),
        ("adls.sas-token", secret(&config.sas_token)),
        (ENDPOINT, config.endpoint.clone()),
    ];
    optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Ours, since Iceberg has no name for it.
const ENDPOINT: &str = "adls.endpoint";

/// `authority` is `container@account.dfs.core.windows.net`.
pub fn open(authority: &str, properties: &StorageProperties) -> opendal::Result<Operator> {
    let property = |name: &str| properties.get(name).map(String::as_str);
    let malformed = || {
        let message = "an address on Azure is abfss://container@account.dfs.core.windows.net/path";
        opendal::Error::new(ErrorKind::ConfigInvalid, message)
    };
    let (container, host) = authority.split_once('@').ok_or_else(malformed)?;
    let (account, domain) = host.split_once('.').ok_or_else(malformed)?;
    let suffix =
        domain.strip_prefix("dfs.").or_else(|| domain.strip_prefix("blob.")).ok_or_else(malformed)?;
    let endpoint = match property(ENDPOINT) {
        Some(endpoint) => endpoint.to_owned(),
        None => format!("https://{account}.blob.{suffix}"),
    };
    let mut builder =
        services::Azblob::default().container(container).endpoint(&endpoint).account_name(account);
    // Catalogs vend a token by account, under its host or its name.
    let vended = [format!("adls.sas-token.{host}"), format!("adls.sas-token.{account}")];
    let token = vended.iter().find_map(|name| property(name)).or_else(|| property("adls.sas-token"));
    if let Some(token) = token {
        builder = builder.sas_token(token.trim_start_matches('?'));
    } else if let Some(key) = property("adls.account-key") {
        builder = builder.account_key(key);
    }
    Ok(Operator::new(builder)?.finish())
}
