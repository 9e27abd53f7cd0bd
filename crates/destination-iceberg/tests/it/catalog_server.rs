//! A catalog that speaks the Iceberg REST protocol on loopback: OAuth, a prefix, and faults on demand. It keeps
//! tables with the Iceberg library's metadata types and knows nothing of the destination.
//!
//! It is strict where servers are: every requirement is checked, and a request that comes without the current
//! token or outside the prefix fails.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use iceberg::io::FileIO;
use iceberg::spec::{Schema, TableMetadata, TableMetadataBuilder};
use iceberg::{MetadataLocation, TableCreation, TableRequirement, TableUpdate};
use serde_json::{Value, json};

pub const CLIENT_ID: &str = "client";
pub const HORIZON: &str = "/polaris/api/catalog";
pub const PREFIX: &str = "my/prefix";

/// What the server does to the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 503, and nothing happens.
    Unavailable,
    /// 504, and the commit happened.
    CommittedTimeout,
    /// The connection ends without an answer, and the commit happened.
    CommittedLost,
    /// The connection ends without an answer, and nothing happened.
    Lost,
    /// 409, as if another writer had been faster.
    Conflict,
    /// 400: this server wants none of it.
    Refused,
    /// 401 with the request's token in the body, as some gateways answer.
    Echo,
    /// The token is revoked: this request and all until the next token get 401.
    Revoked,
}

#[derive(Default)]
pub struct State {
    pub tables: HashMap<String, (TableMetadata, String)>,
    pub namespaces: Vec<String>,
    pub faults: VecDeque<Fault>,
    /// Method and path of every request, and whether it asked for vended credentials.
    pub requests: Vec<(String, String, bool)>,
    pub tokens_given: usize,
    /// What was sent for each token.
    pub forms: Vec<String>,
    /// The headers of every request, those for tokens too.
    pub headers: Vec<HashMap<String, String>>,
    /// The token endpoint gives a token for any client secret.
    pub takes_any_secret: bool,
    /// What the next token request is answered with instead.
    pub token_refusal: Option<(u16, Value)>,
    /// Snapshots are kept without what their writer put into the summary.
    pub rewrites_summaries: bool,
    /// A file that is written when the next token is given.
    pub file_to_write: Option<(PathBuf, String)>,
    /// What the server answers to requests with this method whose path ends so.
    pub answers: Vec<(&'static str, &'static str, u16, Value)>,
    token: Option<String>,
    /// Told with every table, as a server vends it.
    pub table_config: HashMap<String, String>,
}

pub struct CatalogServer {
    pub address: String,
    pub state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

struct Answer(u16, Value);

impl CatalogServer {
    /// A server that keeps its tables' files under `warehouse`.
    pub fn start(warehouse: &str, secret: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/base", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, warehouse, secret) = (state.clone(), warehouse.to_owned(), secret.to_owned());
        // Ends with the test's process.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            for stream in listener.incoming() {
                serve(stream.unwrap(), &shared, &warehouse, &secret, &runtime);
            }
        });
        Self { address, state }
    }

    /// The table's snapshots and its metadata file.
    pub fn table(&self, name: &str) -> (TableMetadata, String) {
        self.state.lock().unwrap().tables[name].clone()
    }

    pub fn fault(&self, faults: &[Fault]) {
        self.state.lock().unwrap().faults.extend(faults);
    }

    /// How many requests of this method had a path that ends so.
    pub fn count(&self, method: &str, end: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|request| request.0 == method && request.1.ends_with(end)).count()
    }
}

fn serve(
    stream: TcpStream,
    state: &Mutex<State>,
    warehouse: &str,
    secret: &str,
    runtime: &tokio::runtime::Runtime,
) {
    let Some(request) = read(&stream) else { return };
    let mut state = state.lock().unwrap();
    let vended =
        request.headers.get("x-iceberg-access-delegation").is_some_and(|it| it == "vended-credentials");
    state.requests.push((request.method.clone(), request.path.clone(), vended));
    state.headers.push(request.headers.clone());
    let is_commit = request.method == "POST" && request.path.contains("/tables/");
    let fault = if is_commit { state.faults.pop_front() } else { None };
    let answer = match fault {
        Some(Fault::Unavailable) => Some(Answer(503, json!({}))),
        Some(Fault::Lost) => None,
        Some(Fault::Conflict) => Some(Answer(409, json!({}))),
        Some(Fault::Refused) => Some(Answer(400, json!({"error": {"message": "no such feature"}}))),
        Some(Fault::Echo) => {
            let token = request.headers.get("authorization").cloned().unwrap_or_default();
            Some(Answer(401, json!({"error": {"message": format!("bad header {token:?} of {secret}")}})))
        }
        Some(Fault::Revoked) => {
            state.token = None;
            Some(Answer(401, json!({})))
        }
        Some(Fault::CommittedTimeout) => {
            assert_eq!(answer(&mut state, &request, warehouse, secret, runtime).0, 200);
            Some(Answer(504, json!({})))
        }
        Some(Fault::CommittedLost) => {
            assert_eq!(answer(&mut state, &request, warehouse, secret, runtime).0, 200);
            None
        }
        None => Some(answer(&mut state, &request, warehouse, secret, runtime)),
    };
    if let Some(Answer(status, body)) = answer {
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        // The destination may have been told to give up already.
        drop(stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()));
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut parts = line.split(' ');
    let (method, path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    // The same server under the address of Snowflake Horizon.
    let path = path.replace(HORIZON, "/base");
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

fn answer(
    state: &mut State,
    request: &Request,
    warehouse: &str,
    secret: &str,
    runtime: &tokio::runtime::Runtime,
) -> Answer {
    let path = request.path.split('?').next().unwrap();
    if path == "/base/v1/oauth/tokens" {
        let form = String::from_utf8(request.body.clone()).unwrap();
        state.forms.push(form.clone());
        if let Some((status, body)) = state.token_refusal.take() {
            return Answer(status, body);
        }
        if let Some((path, text)) = state.file_to_write.take() {
            std::fs::write(path, text).unwrap();
        }
        let right = state.takes_any_secret
            || form.contains(&format!("client_id={CLIENT_ID}"))
                && form.contains("grant_type=client_credentials")
                && form.contains("scope=all")
                && form.contains(&format!("client_secret={secret}"));
        if !right {
            return Answer(401, json!({"error": "invalid_client"}));
        }
        state.tokens_given += 1;
        let token = format!("token-{}", state.tokens_given);
        state.token = Some(token.clone());
        return Answer(200, json!({"access_token": token, "token_type": "bearer", "expires_in": 3600}));
    }
    let given = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if given.is_none() || given != state.token.as_deref() {
        return Answer(401, json!({"error": {"message": "a wrong token"}}));
    }
    let planned = |(method, end, _, _): &(&str, &str, u16, Value)| {
        *method == request.method && request.path.ends_with(end)
    };
    if let Some(place) = state.answers.iter().position(planned) {
        let (_, _, status, body) = state.answers[place].clone();
        return Answer(status, body);
    }
    if path == "/base/v1/config" {
        assert!(request.path.ends_with("?warehouse=house"), "{}", request.path);
        return Answer(200, json!({"defaults": {}, "overrides": {"prefix": PREFIX}}));
    }
    let Some(rest) = path.strip_prefix(&format!("/base/v1/{PREFIX}/namespaces")) else {
        return Answer(404, json!({"error": {"message": "outside the prefix"}}));
    };
    let segments: Vec<&str> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match (request.method.as_str(), &segments[..]) {
        ("POST", []) => {
            state.namespaces.push(body["namespace"][0].as_str().unwrap().to_owned());
            Answer(200, json!({"namespace": body["namespace"]}))
        }
        ("GET", [namespace]) if state.namespaces.iter().any(|known| known == namespace) => {
            Answer(200, json!({"namespace": [namespace]}))
        }
        ("POST", [_, "tables"]) => create(state, &body, warehouse, runtime),
        ("GET", [namespace, "tables"]) => {
            let names = state.tables.keys().map(|name| json!({"namespace": [namespace], "name": name}));
            Answer(200, json!({"identifiers": names.collect::<Vec<_>>()}))
        }
        ("GET", [_, "tables", name]) if state.tables.contains_key(*name) => loaded(state, name),
        ("POST", [_, "tables", name]) if state.tables.contains_key(*name) => {
            commit(state, name, &body, runtime)
        }
        ("DELETE", [_, "tables", name]) if state.tables.remove(*name).is_some() => Answer(204, json!({})),
        _ => Answer(404, json!({"error": {"message": "not found"}})),
    }
}

fn loaded(state: &State, name: &str) -> Answer {
    let (metadata, location) = &state.tables[name];
    Answer(
        200,
        json!({"metadata-location": location, "metadata": metadata, "config": state.table_config,
            "storage-credentials": []}),
    )
}

fn create(state: &mut State, body: &Value, warehouse: &str, runtime: &tokio::runtime::Runtime) -> Answer {
    let name = body["name"].as_str().unwrap();
    if state.tables.contains_key(name) {
        return Answer(409, json!({}));
    }
    let schema: Schema = serde_json::from_value(body["schema"].clone()).unwrap();
    let location = format!("file://{warehouse}/{name}");
    let creation =
        TableCreation::builder().name(name.to_owned()).location(location.clone()).schema(schema).build();
    let metadata = TableMetadataBuilder::from_table_creation(creation).unwrap().build().unwrap().metadata;
    let file = MetadataLocation::new_with_metadata(&location, &metadata);
    runtime.block_on(metadata.write_to(&FileIO::new_with_fs(), &file)).unwrap();
    state.tables.insert(name.to_owned(), (metadata, file.to_string()));
    loaded(state, name)
}

fn commit(state: &mut State, name: &str, body: &Value, runtime: &tokio::runtime::Runtime) -> Answer {
    assert_eq!(body["identifier"]["name"], name);
    let (metadata, location) = state.tables[name].clone();
    let requirements: Vec<TableRequirement> = serde_json::from_value(body["requirements"].clone()).unwrap();
    assert!(requirements.len() >= 2, "a commit that requires too little: {requirements:?}");
    if requirements.iter().any(|requirement| requirement.check(Some(&metadata)).is_err()) {
        return Answer(409, json!({"error": {"message": "the table has moved on"}}));
    }
    let updates: Vec<TableUpdate> = serde_json::from_value(body["updates"].clone()).unwrap();
    let is_taken = |update: &TableUpdate| {
        matches!(update, TableUpdate::AddSchema { schema }
        if metadata.schema_by_id(schema.schema_id()).is_some())
    };
    if updates.iter().any(is_taken) {
        return Answer(422, json!({"error": {"message": "the schema's id is taken"}}));
    }
    let mut builder = metadata.into_builder(Some(location.clone()));
    for update in updates {
        builder = update.apply(builder).unwrap();
    }
    let mut metadata = builder.build().unwrap().metadata;
    if state.rewrites_summaries {
        let mut json = serde_json::to_value(&metadata).unwrap();
        for snapshot in json["snapshots"].as_array_mut().unwrap() {
            snapshot["summary"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("airbyte"));
        }
        metadata = serde_json::from_value(json).unwrap();
    }
    let file: MetadataLocation = location.parse().unwrap();
    let file = file.with_next_version().with_new_metadata(&metadata);
    runtime.block_on(metadata.write_to(&FileIO::new_with_fs(), &file)).unwrap();
    state.tables.insert(name.to_owned(), (metadata, file.to_string()));
    loaded(state, name)
}
