//! What the user typed (`Config`, whose JSON schema is the spec) and how it is checked. Knows no network, no
//! stream.
//!
//! Long because it is the whole form in one place: a field, its description and its default stand together.

use airbyte_connector::config::{self, form_schema};
use airbyte_connector::{Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// Destination Iceberg
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Config {
    /// Where tables are listed and committed to.
    #[schemars(title = "Catalog", extend("order" = 0))]
    pub catalog: CatalogConfig,
    /// Access to the object store. Not needed for a local folder, nor with a REST catalog that vends credentials.
    #[serde(default)]
    #[schemars(title = "Storage", extend("order" = 1))]
    pub storage: Option<StorageConfig>,
    /// The namespace of tables whose stream names none.
    #[serde(default = "default_namespace")]
    #[schemars(title = "Namespace", length(min = 1), extend("order" = 2))]
    pub namespace: String,
    /// How the names of tables and columns are spelled. Snowflake reads an unquoted name as upper case, so `upper`
    /// spares quotes there.
    #[serde(default)]
    #[schemars(title = "Identifier case", extend("order" = 3))]
    pub identifier_case: IdentifierCase,
    /// How objects and arrays are stored: as JSON text, which no change of shape can break, or as Iceberg's nested
    /// types. Unions and objects without declared properties are JSON text in both.
    #[serde(default)]
    #[schemars(title = "Objects and arrays", extend("order" = 4))]
    pub nested: Nested,
    /// How long records may wait for their commit while the source sends states. Every commit makes files, so a
    /// short interval makes many small ones. A stream's end always commits.
    #[serde(default = "default_commit_interval")]
    #[schemars(title = "Commit interval in seconds", range(max = 86400), extend("order" = 5))]
    pub commit_interval_seconds: u64,
    /// The size at which a data file is closed and the next one begun.
    #[serde(default = "default_file_size")]
    #[schemars(title = "Data file size in MiB", range(min = 1, max = 1024), extend("order" = 6))]
    pub target_file_size_mib: u64,
    /// The share of a sync's time that its commits may spend on joining small files and working deletes into data files.
    /// Time that is not used is saved up for later syncs. A table may always take one second. 0 turns all automatic
    /// maintenance off.
    #[serde(default = "default_maintenance_percent")]
    #[schemars(title = "Maintenance in percent of the time", range(max = 100), extend("order" = 7))]
    pub maintenance_percent: u64,
    /// How long readers can go back to earlier snapshots, as long as the files that only those need take no more space
    /// than the table itself. Older snapshots are removed with their files.
    #[serde(default = "default_snapshot_retention")]
    #[schemars(title = "Snapshot retention in hours", range(max = 87600), extend("order" = 8))]
    pub snapshot_retention_hours: u32,
    /// How rows are deleted and replaced. Position deletes are small files beside the data files, and readers combine the
    /// two. Copy-on-write rewrites the data files that have the rows, for readers that do not support position deletes;
    /// it costs about as much as writing these files anew in each commit.
    #[serde(default)]
    #[schemars(title = "Deletes", extend("order" = 9))]
    pub deletes: Deletes,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CatalogConfig {
    /// A SQLite file beside the warehouse; no server. For one machine.
    #[schemars(title = "Embedded catalog")]
    Embedded(EmbeddedConfig),
    /// Snowflake Horizon, Apache Polaris, Lakekeeper and other servers of the Iceberg REST protocol.
    #[schemars(title = "REST catalog")]
    Rest(RestConfig),
    /// The Data Catalog of AWS Glue, by its Iceberg REST endpoint. Requests are signed with the credentials of `storage`, or
    /// with those of the environment: variables, a profile, a container's or an instance's role.
    #[schemars(title = "AWS Glue")]
    Glue(GlueConfig),
    /// A table bucket of Amazon S3, by the Iceberg REST endpoint of S3 Tables. Credentials are those of AWS Glue above.
    #[schemars(title = "Amazon S3 Tables")]
    S3Tables(S3TablesConfig),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GlueConfig {
    #[schemars(title = "Region", length(min = 1), extend("order" = 1))]
    pub region: String,
    /// The account's twelve digits. For a catalog inside of the account: `ACCOUNT:CATALOG`.
    #[schemars(title = "Account ID", regex(pattern = "^[0-9]{12}(:.+)?$"), extend("order" = 2))]
    pub account_id: String,
    #[serde(default)]
    #[schemars(title = "Role", extend("order" = 3))]
    pub role: Option<RoleConfig>,
    /// For VPC endpoints; ends in `/iceberg`.
    #[serde(default)]
    #[schemars(title = "Endpoint", extend("order" = 4))]
    pub endpoint: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct S3TablesConfig {
    /// `arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME`
    #[schemars(title = "Table bucket ARN", length(min = 1), extend("order" = 1))]
    pub table_bucket_arn: String,
    #[serde(default)]
    #[schemars(title = "Role", extend("order" = 2))]
    pub role: Option<RoleConfig>,
    /// For VPC endpoints; ends in `/iceberg`.
    #[serde(default)]
    #[schemars(title = "Endpoint", extend("order" = 3))]
    pub endpoint: Option<String>,
}

/// A role that is assumed with the credentials that were found.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RoleConfig {
    #[schemars(title = "Role ARN", regex(pattern = "^arn:"), extend("order" = 0))]
    pub arn: String,
    /// What the role's trust policy asks for.
    #[serde(default)]
    #[schemars(title = "External ID", extend("order" = 1))]
    pub external_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EmbeddedConfig {
    /// An absolute local folder, `s3://bucket/prefix`, `gs://bucket/prefix` or
    /// `abfss://container@account.dfs.core.windows.net/prefix`.
    #[schemars(title = "Warehouse", length(min = 1), extend("order" = 1))]
    pub warehouse: String,
    /// The SQLite file. Needed for a warehouse in an object store; in a local warehouse it is `catalog.db`.
    #[serde(default)]
    #[schemars(title = "Catalog file", extend("order" = 2))]
    pub database: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RestConfig {
    /// The catalog's base address, the part before `/v1`.
    #[schemars(title = "Address", regex(pattern = "^https?://"), extend("order" = 1))]
    pub uri: String,
    /// The warehouse or catalog name that the server expects; Snowflake Horizon wants the database's name.
    #[serde(default)]
    #[schemars(title = "Warehouse", extend("order" = 2))]
    pub warehouse: Option<String>,
    #[serde(default)]
    #[schemars(title = "Authentication", extend("order" = 3))]
    pub authentication: Authentication,
    /// Ask the server for short-lived storage credentials of its own.
    #[serde(default)]
    #[schemars(title = "Storage credentials", extend("order" = 4))]
    pub storage_credentials: StorageCredentials,
    /// Headers to send with every request, for gateways that ask for them.
    #[serde(default)]
    #[schemars(title = "Extra headers", extend("order" = 5))]
    pub headers: Vec<ExtraHeader>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Authentication {
    /// The server asks for nothing.
    #[default]
    #[schemars(title = "None")]
    None,
    /// A token that does not expire while a sync runs.
    #[schemars(title = "Bearer token")]
    Bearer {
        #[schemars(title = "Token")]
        token: Secret,
    },
    /// OAuth client credentials, exchanged for tokens that are renewed before they expire.
    #[schemars(title = "OAuth client credentials")]
    Oauth {
        #[serde(default)]
        #[schemars(title = "Client ID")]
        client_id: Option<String>,
        /// Snowflake: a programmatic access token, with no client ID.
        #[schemars(title = "Client secret")]
        client_secret: Secret,
        /// Snowflake: `session:role:NAME`. Polaris: `PRINCIPAL_ROLE:ALL`.
        #[serde(default)]
        #[schemars(title = "Scope")]
        scope: Option<String>,
        /// The token endpoint, if it is not the catalog's own `/v1/oauth/tokens`.
        #[serde(default)]
        #[schemars(title = "Token address")]
        token_uri: Option<String>,
    },
    /// Snowflake: a JWT, signed with the private key of a user, is exchanged for access tokens. A new JWT is signed
    /// for every token.
    #[schemars(title = "Snowflake key pair")]
    KeyPair(KeyPairConfig),
    /// Snowflake: an OIDC token of the workload is exchanged for access tokens. It is read again when it changes.
    #[schemars(title = "Snowflake workload identity")]
    WorkloadIdentity(WorkloadIdentityConfig),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct KeyPairConfig {
    /// The account identifier, such as `MYORG-MYACCOUNT`, or the account locator without its region.
    #[schemars(title = "Account", length(min = 1), extend("order" = 1))]
    pub account: String,
    /// The user whose `RSA_PUBLIC_KEY` belongs to the private key.
    #[schemars(title = "User", length(min = 1), extend("order" = 2))]
    pub user: String,
    /// The PEM text of the private key, encrypted or not. Instead of a file.
    #[serde(default)]
    #[schemars(title = "Private key", extend("multiline" = true, "order" = 3))]
    pub private_key: Option<Secret>,
    /// The path of a PEM file with the private key.
    #[serde(default)]
    #[schemars(title = "Private key file", extend("order" = 4))]
    pub private_key_file: Option<String>,
    /// Needed if the private key is encrypted.
    #[serde(default)]
    #[schemars(title = "Passphrase", extend("order" = 5))]
    pub passphrase: Option<Secret>,
    /// `session:role:NAME`
    #[serde(default)]
    #[schemars(title = "Scope", extend("order" = 6))]
    pub scope: Option<String>,
    /// The token endpoint, if it is not the catalog's own `/v1/oauth/tokens`.
    #[serde(default)]
    #[schemars(title = "Token address", extend("order" = 7))]
    pub token_uri: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WorkloadIdentityConfig {
    /// The provider of the token.
    #[serde(default)]
    #[schemars(title = "Provider", extend("order" = 1))]
    pub provider: WorkloadIdentityProvider,
    /// The file that holds the token, such as the projected token of a Kubernetes service account.
    #[serde(default)]
    #[schemars(title = "Token file", extend("order" = 2))]
    pub token_file: Option<String>,
    /// The environment variable that holds the token. Instead of a file.
    #[serde(default)]
    #[schemars(title = "Token variable", extend("order" = 3))]
    pub token_variable: Option<String>,
    /// `session:role:NAME`
    #[serde(default)]
    #[schemars(title = "Scope", extend("order" = 4))]
    pub scope: Option<String>,
    /// The token endpoint, if it is not the catalog's own `/v1/oauth/tokens`.
    #[serde(default)]
    #[schemars(title = "Token address", extend("order" = 5))]
    pub token_uri: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum WorkloadIdentityProvider {
    #[default]
    Oidc,
    Aws,
    Azure,
    Gcp,
}

/// A header that is sent with every request to the catalog.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ExtraHeader {
    #[schemars(title = "Name", length(min = 1), extend("order" = 0))]
    pub name: String,
    #[schemars(title = "Value", extend("order" = 1))]
    pub value: Secret,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StorageCredentials {
    #[default]
    Vended,
    /// Those of this config's `storage`, or of the environment.
    Own,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StorageConfig {
    #[schemars(title = "Amazon S3, and stores that speak its protocol")]
    S3(S3Config),
    #[schemars(title = "Google Cloud Storage")]
    Gcs(GcsConfig),
    #[schemars(title = "Azure Data Lake Storage Gen2")]
    Azure(AzureConfig),
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct GcsConfig {
    /// The JSON key of a service account. Absent: the environment's credentials, such as the machine's own.
    #[serde(default)]
    #[schemars(title = "Service account key", extend("order" = 1))]
    pub service_account_key: Option<Secret>,
    /// For private endpoints.
    #[serde(default)]
    #[schemars(title = "Endpoint", extend("order" = 2))]
    pub endpoint: Option<String>,
}

/// The account is part of the warehouse's address.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct AzureConfig {
    /// Absent, and no SAS token either: the environment's credentials, such as a managed identity.
    #[serde(default)]
    #[schemars(title = "Account key", extend("order" = 1))]
    pub account_key: Option<Secret>,
    #[serde(default)]
    #[schemars(title = "SAS token", extend("order" = 2))]
    pub sas_token: Option<Secret>,
    /// The Blob endpoint, if it is not `https://ACCOUNT.blob.core.windows.net`.
    #[serde(default)]
    #[schemars(title = "Endpoint", extend("order" = 3))]
    pub endpoint: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct S3Config {
    #[serde(default)]
    #[schemars(title = "Region")]
    pub region: Option<String>,
    /// For stores that are not Amazon's.
    #[serde(default)]
    #[schemars(title = "Endpoint")]
    pub endpoint: Option<String>,
    /// Absent: the environment's credentials, such as an instance role.
    #[serde(default)]
    #[schemars(title = "Access key ID")]
    pub access_key_id: Option<String>,
    #[serde(default)]
    #[schemars(title = "Secret access key")]
    pub secret_access_key: Option<Secret>,
    /// Whether the bucket stands in the address's host or in its path.
    #[serde(default)]
    #[schemars(title = "Addressing")]
    pub addressing: Addressing,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Addressing {
    #[default]
    VirtualHost,
    Path,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum IdentifierCase {
    #[default]
    Preserve,
    Lower,
    Upper,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Nested {
    #[default]
    JsonText,
    Typed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Deletes {
    #[default]
    PositionDeletes,
    CopyOnWrite,
}

fn default_namespace() -> String {
    "airbyte".to_owned()
}

fn default_commit_interval() -> u64 {
    300
}

fn default_file_size() -> u64 {
    128
}

fn default_maintenance_percent() -> u64 {
    20
}

fn default_snapshot_retention() -> u32 {
    72
}

impl Config {
    /// Reads the text of a config file.
    ///
    /// # Errors
    ///
    /// If the config does not fit its schema. The message names each field and what is expected there, and no value, which
    /// may be a secret.
    pub fn parse(text: &str) -> Result<Self> {
        config::fit(config::parse(text)?, &form_schema::<Self>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn minimal() -> Value {
        json!({"catalog": {"type": "embedded", "warehouse": "/w"}})
    }

    #[test]
    fn the_smallest_config_has_every_default() {
        let config = Config::parse(&minimal().to_string()).unwrap();
        assert_eq!(config.namespace, "airbyte");
        assert_eq!(config.commit_interval_seconds, 300);
        assert_eq!(config.target_file_size_mib, 128);
        assert_eq!((config.maintenance_percent, config.snapshot_retention_hours), (20, 72));
        assert_eq!((config.nested, config.identifier_case), (Nested::JsonText, IdentifierCase::Preserve));
        assert_eq!(config.deletes, Deletes::PositionDeletes);
    }

    #[test]
    fn a_wrong_config_is_told_by_place_and_never_by_value() {
        let mut config = minimal();
        config["catalog"] = json!({"type": "rest", "uri": "https://u", "authentication":
            {"type": "bearer", "token": 98765}});
        config["commit_interval_seconds"] = json!("hunter2");
        let failure = Config::parse(&config.to_string()).unwrap_err();
        assert!(
            failure.message.contains("field `commit_interval_seconds` must be a whole"),
            "{}",
            failure.message
        );
        let place = "field `catalog.authentication.token` must be text";
        assert!(failure.message.contains(place), "{}", failure.message);
        for secret in ["hunter2", "98765"] {
            assert!(!failure.message.contains(secret), "{}", failure.message);
        }
    }

    #[test]
    fn secrets_are_not_printed_with_the_config() {
        let mut config = minimal();
        config["storage"] = json!({"type": "s3", "access_key_id": "id", "secret_access_key": "hunter2"});
        let config = Config::parse(&config.to_string()).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let Some(StorageConfig::S3(s3)) = config.storage else { panic!("another storage") };
        assert_eq!(s3.secret_access_key.unwrap().expose(), "hunter2");
    }

    #[test]
    fn the_schema_marks_every_secret_and_refers_to_nothing() {
        let text = form_schema::<Config>().to_string();
        assert!(!text.contains("$ref"), "{text}");
        assert_eq!(text.matches("airbyte_secret").count(), 9, "{text}");
    }
}
