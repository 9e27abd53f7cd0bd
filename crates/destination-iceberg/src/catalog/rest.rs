//! A client of the Iceberg REST protocol: Snowflake Horizon, Apache Polaris, Lakekeeper. Knows no SQLite.
//!
//! Facts are those of the Iceberg project's REST catalog specification: the prefix that `config` gives, 409 for a
//! lost race, 5xx for a commit of which nobody knows whether it happened, credentials that are vended with a
//! table when the request asks for them.
//!
//! Long because a request, its retries and what its failures mean to a commit decide one another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use airbyte_connector::{Redacted, Secret, Secrets, ServerText};
use iceberg::spec::{Schema, TableMetadata};
use iceberg::{NamespaceIdent, TableIdent, TableRequirement, TableUpdate};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::horizon;
use super::redirects::{elsewhere, redirects_within_one_server};
use super::sign_in::SignIn;
use super::table::{CommitFault, Table};
use crate::config::{RestConfig, StorageCredentials};
use crate::failure::{Failure, Result, with_causes};
use crate::storage::{StorageProperties, credentials_end_at, file_io};

/// How often a request that changes nothing is tried before the server counts as down.
const ATTEMPTS: u32 = 6;
/// The pause after the first failed attempt; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Maximum number of characters of a server's message that are shown.
const LONGEST_MESSAGE: usize = 500;
/// Metadata of a wide table with many snapshots takes seconds to write on the server's side.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// How levels of a namespace are joined in an address.
const NAMESPACE_SEPARATOR: &str = "\u{1F}";

pub struct RestCatalog {
    client: reqwest::Client,
    base: Url,
    prefix: Option<String>,
    sign_in: SignIn,
    credentials: StorageCredentials,
    storage: StorageProperties,
    purge_on_drop: bool,
    /// What no message may repeat.
    secrets: Secrets,
}

/// Where a catalog is and how it is spoken to.
pub struct Connection {
    /// The part of the address before `/v1`.
    pub uri: String,
    pub warehouse: Option<String>,
    pub sign_in: SignIn,
    pub credentials: StorageCredentials,
    pub storage: StorageProperties,
    /// Whether a request to drop a table must ask the catalog to delete the table's files too.
    pub purge_on_drop: bool,
}

/// What a request came to, before anyone decides what that means.
enum Answer {
    Success(Response),
    /// The status, with what the server said of it.
    Status(StatusCode, Redacted),
    /// No answer came.
    Lost(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LoadedTable {
    #[serde(default)]
    metadata_location: Option<String>,
    metadata: TableMetadata,
    #[serde(default)]
    config: Option<StorageProperties>,
    #[serde(default)]
    storage_credentials: Option<Vec<StorageCredential>>,
}

#[derive(Deserialize)]
struct StorageCredential {
    prefix: String,
    config: StorageProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct CommittedTable {
    metadata_location: String,
    metadata: TableMetadata,
}

impl RestCatalog {
    pub async fn open(config: &RestConfig, storage: StorageProperties) -> Result<Self> {
        let token_address = address(&base(&config.uri)?, &["v1", "oauth", "tokens"])?;
        Self::connect(Connection {
            uri: config.uri.clone(),
            warehouse: config.warehouse.clone(),
            sign_in: SignIn::new(config, token_address)?,
            credentials: config.storage_credentials,
            storage,
            purge_on_drop: false,
        })
        .await
    }

    /// Signs in and fetches the server's config with its prefix.
    pub async fn connect(connection: Connection) -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(redirects_within_one_server())
            .user_agent(concat!("destination-iceberg/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::system(with_causes(&error)))?;
        let Connection { uri, warehouse, sign_in, credentials, storage, purge_on_drop } = connection;
        let secrets = sign_in.secrets();
        let base_address = base(&uri)?;
        let mut catalog = Self {
            client,
            base: base_address,
            prefix: None,
            sign_in,
            credentials,
            storage,
            purge_on_drop,
            secrets,
        };
        for (name, value) in &catalog.storage {
            if ["secret", "token", "account-key", "credentials"].iter().any(|word| name.contains(word)) {
                catalog.secrets.learn(&Secret::new(value));
            }
        }
        let mut address = address(&catalog.base, &["v1", "config"])?;
        if let Some(warehouse) = &warehouse {
            address.query_pairs_mut().append_pair("warehouse", warehouse);
        }
        let told: Value = body(catalog.repeat(Method::GET, address, None).await?).await?;
        let text = |section: &str, key: &str| {
            told.pointer(&format!("/{section}/{key}")).and_then(Value::as_str).map(str::to_owned)
        };
        catalog.prefix = text("overrides", "prefix").or_else(|| text("defaults", "prefix"));
        if let Some(uri) = text("overrides", "uri") {
            catalog.base = Url::parse(uri.trim_end_matches('/').trim_end_matches("/v1"))
                .map_err(|error| Failure::transient(format!("the catalog points to {uri:?}: {error}")))?;
        }
        Ok(catalog)
    }

    pub fn maintainer(&self) -> Option<&'static str> {
        if horizon::is_horizon(&self.base) {
            return Some("Snowflake");
        }
        // Of the catalogs that want to remove files themselves, S3 Tables is the one that is known.
        self.purge_on_drop.then_some("Amazon S3 Tables")
    }

    pub async fn ensure_namespace(&self, namespace: &str) -> Result<()> {
        let there = self.under_prefix(&["namespaces", namespace])?;
        match self.repeat_or_status(Method::GET, there, None).await? {
            Answer::Success(_) => return Ok(()),
            Answer::Status(StatusCode::NOT_FOUND, _) => {}
            other => return Err(refusal("the namespace", other)),
        }
        let body = json!({"namespace": [namespace], "properties": {}});
        match self.repeat_or_status(Method::POST, self.under_prefix(&["namespaces"])?, Some(&body)).await? {
            // Another writer was faster.
            Answer::Success(_) | Answer::Status(StatusCode::CONFLICT, _) => Ok(()),
            other => Err(refusal("making the namespace", other)),
        }
    }

    pub async fn load(&self, ident: &TableIdent) -> Result<Option<Table>> {
        match self.repeat_or_status(Method::GET, self.table_address(ident)?, None).await? {
            Answer::Success(response) => Ok(Some(self.table(ident, body(response).await?)?)),
            Answer::Status(StatusCode::NOT_FOUND, _) => Ok(None),
            other => Err(refusal(&format!("table {ident}"), other)),
        }
    }

    pub async fn create(
        &self,
        ident: &TableIdent,
        schema: Schema,
        mut properties: HashMap<String, String>,
    ) -> Result<Table> {
        properties.insert("format-version".to_owned(), "2".to_owned());
        let body = json!({"name": ident.name(), "schema": schema, "stage-create": false,
            "properties": properties});
        let address = self.under_prefix(&["namespaces", &joined(ident.namespace()), "tables"])?;
        match self.repeat_or_status(Method::POST, address, Some(&body)).await? {
            // What was made is loaded, since only that is sure to come with credentials.
            Answer::Success(_) | Answer::Status(StatusCode::CONFLICT, _) => {}
            other => return Err(refusal(&format!("making table {ident}"), other)),
        }
        let gone = || Failure::transient(format!("table {ident} is not there after it was made"));
        self.load(ident).await?.ok_or_else(gone)
    }

    pub async fn commit(
        &self,
        table: &Table,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> std::result::Result<Table, CommitFault> {
        let ident = &table.ident;
        let identifier = json!({"namespace": namespace_levels(ident.namespace()), "name": ident.name()});
        let change = json!({"identifier": identifier, "requirements": requirements, "updates": updates});
        match self.request(Method::POST, self.table_address(ident)?, Some(&change)).await? {
            Answer::Success(response) => {
                let committed: CommittedTable =
                    body(response).await.map_err(|failure| CommitFault::Unclear(failure.message))?;
                Ok(Table {
                    metadata: Arc::new(committed.metadata),
                    metadata_location: committed.metadata_location,
                    ..table.clone()
                })
            }
            Answer::Status(StatusCode::CONFLICT, _) => Err(CommitFault::Overtaken),
            Answer::Status(status, said) if is_passing(status) => {
                Err(CommitFault::Unclear(format!("{status}: {said}")))
            }
            Answer::Lost(error) => Err(CommitFault::Unclear(error)),
            refused => Err(CommitFault::Refused(refusal(&format!("a commit to table {ident}"), refused))),
        }
    }

    pub async fn forget(&self, ident: &TableIdent) -> Result<()> {
        let mut address = self.table_address(ident)?;
        if self.purge_on_drop {
            address.query_pairs_mut().append_pair("purgeRequested", "true");
        }
        match self.repeat_or_status(Method::DELETE, address, None).await? {
            Answer::Success(_) | Answer::Status(StatusCode::NOT_FOUND, _) => Ok(()),
            other => Err(refusal(&format!("dropping table {ident}"), other)),
        }
    }

    pub async fn tables(&self, namespace: &str) -> Result<Vec<TableIdent>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Page {
            identifiers: Vec<TableIdent>,
            #[serde(default)]
            next_page_token: Option<String>,
        }
        let mut idents = Vec::new();
        let mut page_token: Option<String> = None;
        loop {
            let mut address = self.under_prefix(&["namespaces", namespace, "tables"])?;
            if let Some(token) = &page_token {
                address.query_pairs_mut().append_pair("pageToken", token);
            }
            let page: Page = match self.repeat_or_status(Method::GET, address, None).await? {
                Answer::Success(response) => body(response).await?,
                // There is no such namespace yet.
                Answer::Status(StatusCode::NOT_FOUND, _) => return Ok(idents),
                other => {
                    return Err(refusal(&format!("listing the tables of namespace {namespace:?}"), other));
                }
            };
            idents.extend(page.identifiers);
            page_token = page.next_page_token;
            if page_token.is_none() {
                return Ok(idents);
            }
        }
    }

    fn table(&self, ident: &TableIdent, loaded: LoadedTable) -> Result<Table> {
        let location = loaded.metadata.location().to_owned();
        let mut storage = self.storage.clone();
        if self.credentials == StorageCredentials::Vended {
            storage.extend(loaded.config.unwrap_or_default());
            // The credential whose prefix fits best is the one that the specification prefers.
            let fitting = loaded.storage_credentials.unwrap_or_default().into_iter();
            let best = fitting
                .filter(|credential| location.starts_with(&credential.prefix))
                .max_by_key(|credential| credential.prefix.len());
            storage.extend(best.map(|credential| credential.config).unwrap_or_default());
        }
        let credentials_end_at = credentials_end_at(&storage);
        Ok(Table {
            ident: ident.clone(),
            file_io: file_io(&location, &storage)?,
            metadata: Arc::new(loaded.metadata),
            metadata_location: loaded.metadata_location.unwrap_or_default(),
            storage,
            credentials_end_at,
            loaded: Default::default(),
        })
    }

    fn table_address(&self, ident: &TableIdent) -> Result<Url> {
        self.under_prefix(&["namespaces", &joined(ident.namespace()), "tables", ident.name()])
    }

    /// An address under the prefix, which the server gives as it has to stand there: S3 Tables sends an encoded ARN.
    fn under_prefix(&self, segments: &[&str]) -> Result<Url> {
        let mut under = self.base.clone();
        let prefix = self.prefix.as_deref().map(|prefix| format!("/{}", prefix.trim_matches('/')));
        let path = format!("{}/v1{}", under.path().trim_end_matches('/'), prefix.unwrap_or_default());
        under.set_path(&path);
        address(&under, segments)
    }

    /// A request that may be sent again without harm, until the server has an opinion; success alone is returned.
    async fn repeat(&self, method: Method, address: Url, body: Option<&Value>) -> Result<Response> {
        match self.repeat_or_status(method, address, body).await? {
            Answer::Success(response) => Ok(response),
            other => Err(refusal("the catalog", other)),
        }
    }

    async fn repeat_or_status(&self, method: Method, address: Url, body: Option<&Value>) -> Result<Answer> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.request(method.clone(), address.clone(), body).await? {
                Answer::Lost(_) => {}
                Answer::Status(status, _) if is_passing(status) => {}
                answer => return Ok(answer),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.request(method, address, body).await
    }

    /// One request; a token that the server does not take any more is renewed once.
    async fn request(&self, method: Method, address: Url, body: Option<&Value>) -> Result<Answer> {
        match self.send(method.clone(), address.clone(), body).await? {
            Answer::Status(StatusCode::UNAUTHORIZED, _) if self.sign_in.renew().await => {
                self.send(method, address, body).await
            }
            answer => Ok(answer),
        }
    }

    /// The answer with what to do about it, where that is known.
    fn explained(&self, method: &Method, address: &Url, status: StatusCode, said: &str) -> Answer {
        let text = ServerText::new(said).redact(&self.secrets).shortened(LONGEST_MESSAGE);
        if !horizon::is_horizon(&self.base) {
            return Answer::Status(status, text);
        }
        match horizon::explain(method, address, status, said) {
            (status, Some(hint)) => {
                let said = text.trim_end_matches('.');
                Answer::Status(status, Redacted::own(format!("{said}. {hint}")))
            }
            (status, None) => Answer::Status(status, text),
        }
    }

    async fn send(&self, method: Method, address: Url, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.client.request(method.clone(), address.clone());
        if self.credentials == StorageCredentials::Vended {
            request = request.header("X-Iceberg-Access-Delegation", "vended-credentials");
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut request =
            request.build().map_err(|error| Failure::system(with_causes(&error.without_url())))?;
        self.sign_in.sign(&self.client, &mut request).await?;
        Ok(match self.client.execute(request).await {
            Ok(response) if response.status().is_success() => Answer::Success(response),
            Ok(response) => {
                let status = response.status();
                let said = match elsewhere(&response) {
                    Some(host) => format!("it redirects to another server, {host}"),
                    None => said(&response.text().await.unwrap_or_default()),
                };
                self.explained(&method, &address, status, &said)
            }
            Err(error) => Answer::Lost(with_causes(&error.without_url())),
        })
    }
}

fn base(uri: &str) -> Result<Url> {
    Url::parse(uri.trim_end_matches('/').trim_end_matches("/v1"))
        .map_err(|error| Failure::configuration(format!("the catalog's address is none: {error}")))
}

/// An address under the base, each segment encoded.
fn address(base: &Url, segments: &[&str]) -> Result<Url> {
    let mut address = base.clone();
    address
        .path_segments_mut()
        .map_err(|()| Failure::configuration("the catalog's address cannot have a path"))?
        .pop_if_empty()
        .extend(segments);
    Ok(address)
}

/// Statuses that say something of the moment and nothing of the request.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// What an answer that is no success means for the user.
fn refusal(what: &str, answer: Answer) -> Failure {
    match answer {
        Answer::Success(response) => Failure::system(format!("{what}: {} is no refusal", response.status())),
        Answer::Lost(error) => Failure::transient(format!("{what}: the catalog does not answer: {error}")),
        Answer::Status(status, said) if is_passing(status) => {
            Failure::transient(format!("{what}: the catalog answers {status}: {said}"))
        }
        Answer::Status(status, said) => {
            Failure::configuration(format!("{what}: the catalog refuses with {status}: {said}"))
        }
    }
}

/// The message of the protocol's error body, or the whole body.
fn said(text: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    let message = parsed.as_ref().and_then(|body| body.pointer("/error/message")).and_then(Value::as_str);
    message.unwrap_or(text).to_owned()
}

async fn body<T: for<'a> Deserialize<'a>>(response: Response) -> Result<T> {
    let unread = |error: reqwest::Error| {
        Failure::transient(format!(
            "the catalog's answer cannot be read: {}",
            with_causes(&error.without_url())
        ))
    };
    let bytes = response.bytes().await.map_err(unread)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        // The parser's own text may repeat what stands there, such as a token.
        let (line, column) = (error.line(), error.column());
        let text =
            format!("the catalog's answer is not what its protocol says (line {line}, column {column})");
        Failure::transient(text)
    })
}

fn namespace_levels(namespace: &NamespaceIdent) -> Vec<String> {
    namespace.clone().inner()
}

fn joined(namespace: &NamespaceIdent) -> String {
    namespace_levels(namespace).join(NAMESPACE_SEPARATOR)
}
