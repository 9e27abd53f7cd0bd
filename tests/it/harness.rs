//! Runs the real binary and parses every line of its stdout; a line that is not the protocol fails the test, and so
//! does a stream whose messages come in the wrong order.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use source_asana::catalog;
use tempfile::TempDir;

/// The token of every test; its characters are escaped in URLs and in JSON, so that leaks in any form are found.
pub const TOKEN: &str = r#"2/12345/678"90:zq9Kx7Vt+ token\x"#;

/// A part of the token that no escape changes.
const TELLING_PART: &str = "zq9Kx7Vt";

/// A config, catalog and state on disk, and the address of an Asana.
pub struct Connector {
    folder: TempDir,
    base_url: String,
    config: Value,
}

/// The binary's output and exit.
#[derive(Debug)]
pub struct Run {
    pub messages: Vec<Value>,
    pub exit_code: Option<i32>,
}

impl Connector {
    /// A connector for the Asana at `base_url`, as fast as possible.
    pub fn new(base_url: &str) -> Self {
        let config =
            json!({"token": TOKEN, "rate_limit": {"mode": "fixed", "requests_per_minute": 1_000_000}});
        Self { folder: TempDir::new().unwrap(), base_url: base_url.to_owned(), config }
    }

    /// A connector with exactly this config.
    pub fn with_config(base_url: &str, config: Value) -> Self {
        Self { folder: TempDir::new().unwrap(), base_url: base_url.to_owned(), config }
    }

    /// The same with other fields of the config.
    pub fn config(mut self, fields: Value) -> Self {
        let own = self.config.as_object_mut().unwrap();
        own.extend(fields.as_object().unwrap().clone());
        self
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    pub fn check(&self) -> Run {
        Run::of(self.check_command().output().unwrap())
    }

    pub fn check_command(&self) -> Command {
        self.command(&["check", "--config", &self.config_file()])
    }

    pub fn read(&self, catalog: &Value, state: Option<&Value>) -> Run {
        Run::of(self.read_command(catalog, state).output().unwrap())
    }

    pub fn read_command(&self, catalog: &Value, state: Option<&Value>) -> Command {
        let catalog = self.file("catalog.json", &catalog.to_string());
        let config = self.config_file();
        let mut arguments = vec!["read", "--config", &config, "--catalog", &catalog];
        let state = state.map(|state| self.file("state.json", &state.to_string()));
        if let Some(state) = &state {
            arguments.extend(["--state", state]);
        }
        self.command(&arguments)
    }

    fn config_file(&self) -> String {
        self.file("config.json", &self.config.to_string())
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_source-asana"));
        command.args(arguments).env("ASANA_BASE_URL", &self.base_url).stdin(Stdio::null());
        command
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_no_token(&stderr);
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self::parse(output.stdout, output.status.code())
    }

    /// What was written to stdout, by a process or by a read inside this one.
    pub fn parse(stdout: Vec<u8>, exit_code: Option<i32>) -> Self {
        let stdout = String::from_utf8(stdout).expect("stdout is UTF-8");
        assert_no_token(&stdout);
        let messages = stdout.lines().map(parse).collect();
        let run = Self { messages, exit_code };
        run.check_order();
        run
    }

    /// Each stream's messages: STARTED, RUNNING, records with a STATE at the end that counts them, COMPLETE last.
    fn check_order(&self) {
        #[derive(Default)]
        struct Seen {
            statuses: Vec<String>,
            uncounted: u64,
            last: String,
        }
        // Some runners stop reading at the first ERROR trace.
        let is_error = |message: &&Value| message["trace"]["type"] == "ERROR";
        let behind_error = self.messages.iter().skip_while(|message| !is_error(message));
        let late =
            behind_error.filter(|message| !is_error(message)).find(|message| stream_of(message).is_some());
        assert!(late.is_none(), "{late:?} behind an ERROR trace");
        let mut streams: BTreeMap<String, Seen> = BTreeMap::new();
        for message in &self.messages {
            let Some(stream) = stream_of(message) else { continue };
            let seen = streams.entry(stream.clone()).or_default();
            let is_over =
                seen.statuses.last().is_some_and(|status| status == "COMPLETE" || status == "INCOMPLETE");
            assert!(!is_over, "{stream}: {message} after its end");
            match message["type"].as_str().unwrap() {
                "RECORD" => {
                    assert_eq!(seen.statuses, ["STARTED", "RUNNING"], "{stream}: a record before RUNNING");
                    seen.uncounted += 1;
                    seen.last = "RECORD".into();
                }
                "STATE" => {
                    let count = message["state"]["sourceStats"]["recordCount"].as_f64().expect("a count");
                    assert_eq!(count, seen.uncounted as f64, "{stream}: a STATE counts wrong");
                    assert!(message["state"].get("id").is_none());
                    seen.uncounted = 0;
                    seen.last = "STATE".into();
                }
                "TRACE" if message["trace"]["type"] == "STREAM_STATUS" => {
                    let status = &message["trace"]["stream_status"];
                    if status.get("reasons").is_some() {
                        continue;
                    }
                    let status = status["status"].as_str().unwrap().to_owned();
                    if status == "COMPLETE" || status == "INCOMPLETE" {
                        assert_eq!(seen.last, "STATE", "{stream}: {status} without a STATE right before");
                    }
                    seen.statuses.push(status);
                }
                _ => {}
            }
        }
        for (stream, seen) in streams.iter().filter(|_| self.exit_code == Some(0)) {
            assert_eq!(seen.statuses, ["STARTED", "RUNNING", "COMPLETE"], "{stream}");
        }
    }

    /// Asserts that everything was read.
    pub fn expect_success(self) -> Self {
        assert_eq!(self.exit_code, Some(0), "{:#?}", self.errors());
        assert_eq!(self.errors(), Vec::<Value>::new());
        self
    }

    pub fn records(&self, stream: &str) -> Vec<&Value> {
        let of_stream = self.of_type("RECORD").filter(|message| message["record"]["stream"] == stream);
        of_stream.map(|message| &message["record"]["data"]).collect()
    }

    /// The error traces' bodies.
    pub fn errors(&self) -> Vec<Value> {
        let traces = self.of_type("TRACE").filter(|message| message["trace"]["type"] == "ERROR");
        traces.map(|message| message["trace"]["error"].clone()).collect()
    }

    pub fn logs(&self) -> Vec<&str> {
        self.of_type("LOG").map(|message| message["log"]["message"].as_str().unwrap()).collect()
    }

    pub fn statuses(&self, stream: &str) -> Vec<&str> {
        let traces = self.of_type("TRACE").map(|message| &message["trace"]["stream_status"]);
        traces
            .filter(|status| status["stream_descriptor"]["name"] == stream)
            .map(|status| status["status"].as_str().unwrap())
            .collect()
    }

    /// The state file that a platform would pass to the next run: each stream's last STATE.
    pub fn state(&self) -> Value {
        state_of(self.messages.iter())
    }

    pub fn of_type(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.messages.iter().filter(move |message| message["type"] == kind)
    }
}

/// Asserts that the token is not in a text, in any form.
#[track_caller]
fn assert_no_token(text: &str) {
    let text = text.to_ascii_lowercase();
    for form in token_forms() {
        assert!(!text.contains(&form.to_ascii_lowercase()), "the token is told, as {form}");
    }
}

/// The token as it is, and as JSON, URLs, forms and JSON inside JSON write it.
pub fn token_forms() -> Vec<String> {
    let json = |text: &str| json!(text).to_string().trim_matches('"').to_owned();
    let encoded = utf8_percent_encode(TOKEN, NON_ALPHANUMERIC).to_string();
    let base64 = |before: &str| {
        let bytes = format!("{before}{TOKEN}");
        // Without the characters that also encode bits of the surrounding text.
        let text = STANDARD_NO_PAD.encode(&bytes);
        text[(before.len() * 8).div_ceil(6)..bytes.len() * 8 / 6].to_owned()
    };
    vec![
        base64(""),
        base64(":"),
        base64("Bearer "),
        base64("Authorization: Bearer "),
        TOKEN.to_owned(),
        json(TOKEN),
        json(&json(TOKEN)),
        encoded.replace("%20", "+"),
        encoded,
        TOKEN.replace('/', r"\/"),
        // A part of every form.
        TELLING_PART.to_owned(),
    ]
}

/// Each stream's last STATE among these messages, as a state file.
pub fn state_of<'a>(messages: impl Iterator<Item = &'a Value>) -> Value {
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    for message in messages.filter(|message| message["type"] == "STATE") {
        last.insert(stream_of(message).unwrap(), message["state"].clone());
    }
    Value::Array(last.into_values().collect())
}

fn stream_of(message: &Value) -> Option<String> {
    let place = match message["type"].as_str()? {
        "RECORD" => &message["record"]["stream"],
        "STATE" => &message["state"]["stream"]["stream_descriptor"]["name"],
        "TRACE" => &message["trace"]["stream_status"]["stream_descriptor"]["name"],
        _ => return None,
    };
    place.as_str().map(str::to_owned)
}

fn parse(line: &str) -> Value {
    let message: Value = serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("a line of stdout is not JSON ({error}): {line}"));
    let payload = match message["type"].as_str() {
        Some("RECORD") => "record",
        Some("STATE") => "state",
        Some("TRACE") => "trace",
        Some("LOG") => "log",
        Some("SPEC") => "spec",
        Some("CATALOG") => "catalog",
        Some("CONNECTION_STATUS") => "connectionStatus",
        Some("CONTROL") => "control",
        other => panic!("a line of stdout has type {other:?}: {line}"),
    };
    let mut keys: Vec<_> = message.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut expected = ["type", payload];
    expected.sort_unstable();
    assert_eq!(keys, expected, "{line}");
    if payload == "record" {
        assert!(message["record"]["emitted_at"].is_u64(), "{line}");
        assert!(message["record"]["data"].as_object().is_some_and(|data| !data.is_empty()), "{line}");
    }
    message
}

/// A configured catalog of these streams.
pub fn catalog_of(streams: &[&str], sync_mode: &str) -> Value {
    let entries = discovered().into_iter().filter(|entry| streams.contains(&entry["name"].as_str().unwrap()));
    json!({"streams": entries.map(|entry| json!({
        "stream": entry, "sync_mode": sync_mode, "destination_sync_mode": "append"})).collect::<Vec<_>>()})
}

/// A configured catalog of every stream.
pub fn whole_catalog(sync_mode: &str) -> Value {
    let names: Vec<String> =
        discovered().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
    catalog_of(&names.iter().map(String::as_str).collect::<Vec<_>>(), sync_mode)
}

pub fn discovered() -> Vec<Value> {
    serde_json::to_value(catalog::discovered()).unwrap()["streams"].as_array().unwrap().clone()
}
