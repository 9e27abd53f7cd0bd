//! Runs the real binary on generated streams and reads tables back. Knows the embedded catalog's file, as every
//! reader of it does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use futures::TryStreamExt;
use iceberg::TableIdent;
use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, DataFile, TableMetadata};
use iceberg::table::StaticTable;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::audit::audit;

/// The secret of every test's config, which must never be printed.
pub const SECRET: &str = "zq9Kx7Vt+ secret\\\"x";

/// A warehouse of its own, with a config and catalogs on disk.
pub struct Destination {
    pub folder: TempDir,
    pub config: Value,
}

/// What the binary said and how it ended.
#[derive(Debug)]
pub struct Run {
    pub messages: Vec<Value>,
    pub exit_code: Option<i32>,
}

/// A table as its files say.
pub struct TableRead {
    pub metadata: TableMetadata,
    /// The live files, data and deletes.
    pub files: Vec<DataFile>,
    pub rows: Vec<BTreeMap<String, Value>>,
    pub manifests: usize,
    pub data_files: usize,
    pub position_delete_files: usize,
    pub equality_delete_files: usize,
}

impl Destination {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let warehouse = folder.path().join("warehouse");
        let config = json!({"catalog": {"type": "embedded", "warehouse": warehouse},
            "commit_interval_seconds": 0, "maintenance_percent": 0,
            "storage": {"type": "s3", "secret_access_key": SECRET}});
        Self { folder, config }
    }

    /// The same with other fields of the config.
    pub fn config(mut self, fields: Value) -> Self {
        self.config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self
    }

    pub fn warehouse(&self) -> PathBuf {
        self.folder.path().join("warehouse")
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    pub fn with_config(&self, verb: &[&str]) -> Run {
        let config = self.file("config.json", &self.config.to_string());
        self.run(&[verb, &["--config", &config]].concat())
    }

    pub fn write(&self, catalog: &Value, lines: &[String]) -> Run {
        let mut child = self.start_write(catalog);
        let mut stdin = child.stdin.take().unwrap();
        let text = lines.concat();
        // A destination that stops early closes its end; what it says of that is what the test looks at.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        Run::of(output)
    }

    pub fn start_write(&self, catalog: &Value) -> Child {
        let config = self.file("config.json", &self.config.to_string());
        let catalog = self.file("catalog.json", &catalog.to_string());
        let mut command = self.command(&["write", "--config", &config, "--catalog", &catalog]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_destination-iceberg"));
        command.args(arguments);
        command
    }

    /// A file of its own for this text: another process may be reading the one before.
    fn file(&self, name: &str, text: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{number}-{name}"));
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The table of the embedded catalog, audited; nothing if there is none.
    pub fn table(&self, name: &str) -> Option<TableRead> {
        self.table_read(name, Reading::Audited)
    }

    pub fn table_read(&self, name: &str, reading: Reading) -> Option<TableRead> {
        self.metadata_location(name).map(|location| read(&location, reading))
    }

    /// The live data files of a table that has to be there.
    pub fn data_files(&self, name: &str) -> Vec<DataFile> {
        let files = self.table_read(name, Reading::Unaudited).expect("the table is there").files;
        files.into_iter().filter(|file| file.content_type() == DataContentType::Data).collect()
    }

    /// The table's metadata alone.
    pub fn metadata(&self, name: &str) -> Option<TableMetadata> {
        let location = self.metadata_location(name)?;
        let text = fs::read(location.strip_prefix("file://").unwrap()).unwrap();
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// The address of the table's metadata file.
    pub fn metadata_location(&self, name: &str) -> Option<String> {
        // Killed early enough, it made no catalog yet.
        let catalog = rusqlite::Connection::open(self.warehouse().join("catalog.db")).ok()?;
        let sql = "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?1";
        catalog.query_row(sql, [name], |row| row.get(0)).ok()
    }

    /// One column of a table that has to be there, sorted.
    pub fn column(&self, table: &str, column: &str) -> Vec<Value> {
        let table = self.table(table).expect("the table is there");
        let mut values: Vec<Value> = table.rows.iter().map(|row| row[column].clone()).collect();
        values.sort_by_key(Value::to_string);
        values
    }

    /// The same where the warehouse itself may not be there.
    pub fn files_or_none(&self) -> Vec<PathBuf> {
        if self.warehouse().exists() { self.files() } else { Vec::new() }
    }

    /// Every file under the warehouse.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.warehouse(), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() { collect(&path, files) } else { files.push(path) }
    }
}

/// Whether what the manifests say is checked against the files. Only tables with faults on purpose are unaudited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Audited,
    Unaudited,
}

pub fn read_table(metadata_location: &str) -> TableRead {
    read(metadata_location, Reading::Audited)
}

fn read(metadata_location: &str, reading: Reading) -> TableRead {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let file_io = FileIO::new_with_fs();
        let ident = TableIdent::from_strs(["any", "table"]).unwrap();
        let table = StaticTable::from_metadata_file(metadata_location, ident, file_io.clone()).await.unwrap();
        let metadata = (*table.metadata()).clone();
        let batches: Vec<RecordBatch> =
            table.scan().build().unwrap().to_arrow().await.unwrap().try_collect().await.unwrap();
        let mut read = TableRead {
            files: Vec::new(),
            rows: batches.iter().flat_map(rows).collect(),
            manifests: 0,
            data_files: 0,
            position_delete_files: 0,
            equality_delete_files: 0,
            metadata,
        };
        if let Some(snapshot) = read.metadata.current_snapshot().cloned() {
            let manifests = table.into_table().manifest_list_reader(&snapshot).load().await.unwrap();
            if reading == Reading::Audited {
                audit(&read.metadata, &snapshot, &manifests, &file_io).await;
            }
            read.manifests = manifests.entries().len();
            for manifest in manifests.entries() {
                for entry in manifest.load_manifest(&file_io).await.unwrap().entries() {
                    if entry.is_alive() {
                        read.files.push(entry.data_file().clone());
                        match entry.content_type() {
                            DataContentType::Data => read.data_files += 1,
                            DataContentType::PositionDeletes => read.position_delete_files += 1,
                            DataContentType::EqualityDeletes => read.equality_delete_files += 1,
                        }
                    }
                }
            }
        }
        read
    })
}

fn rows(batch: &RecordBatch) -> Vec<BTreeMap<String, Value>> {
    (0..batch.num_rows())
        .map(|row| {
            let schema = batch.schema();
            let cells = schema.fields().iter().zip(batch.columns());
            cells.map(|(field, column)| (field.name().clone(), cell(column, row))).collect()
        })
        .collect()
}

/// A cell as JSON: dates as days, timestamps as microseconds since 1970.
fn cell(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => json!(column.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(_, _) => json!(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|item| cell(&items, item)).collect()
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let members = fields.iter().zip(columns);
            Value::Object(members.map(|(field, column)| (field.name().clone(), cell(column, row))).collect())
        }
        other => panic!("no test reads {other}"),
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        for form in [SECRET.to_owned(), json!(SECRET).to_string(), "zq9Kx7Vt".to_owned()] {
            assert!(!stdout.contains(&form) && !stderr.contains(&form), "the secret is printed");
        }
        assert!(!stderr.contains("panicked"), "{stderr}");
        let messages = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Self { messages, exit_code: output.status.code() }
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.exit_code, Some(0), "{:#?}", self.messages);
        self
    }

    /// The states that came out, in their order.
    pub fn states(&self) -> Vec<&Value> {
        let states = self.messages.iter().filter(|message| message["type"] == "STATE");
        states.map(|message| &message["state"]["stream"]["stream_state"]).collect()
    }

    /// The failure type and the text of the error that was told.
    #[track_caller]
    pub fn error(&self) -> (&str, &str) {
        let mut traces = self.messages.iter().filter(|message| message["trace"]["type"] == "ERROR");
        let error = &traces.next().expect("an error is told")["trace"]["error"];
        assert!(traces.next().is_none(), "one error is told");
        (error["failure_type"].as_str().unwrap(), error["message"].as_str().unwrap())
    }
}

/// A stream shaped like Asana's tasks.
pub fn tasks(mode: &str) -> Value {
    let nullable = |kind: &str| json!({"type": ["null", kind]});
    let moment = json!({"type": ["null", "string"], "format": "date-time",
        "airbyte_type": "timestamp_with_timezone"});
    json!({"stream": {"name": "tasks", "json_schema": {"type": "object", "properties": {
            "gid": {"type": ["null", "string"], "description": "Globally unique identifier."},
            "name": nullable("string"), "completed": nullable("boolean"), "num_subtasks": nullable("integer"),
            "actual_time_minutes": nullable("number"), "modified_at": moment,
            "due_on": {"type": ["null", "string"], "format": "date"},
            "assignee": {"type": ["null", "object"], "properties": {"gid": nullable("string"),
                "name": nullable("string")}},
            "tags": {"type": ["null", "array"], "items": {"type": ["null", "object"],
                "properties": {"gid": nullable("string")}}}}},
        "source_defined_primary_key": [["gid"]], "default_cursor_field": ["modified_at"]},
        "sync_mode": "incremental", "destination_sync_mode": mode})
}

/// The same with other fields of the configured stream.
pub fn configured(mut stream: Value, fields: Value) -> Value {
    stream.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    stream
}

pub fn catalog(streams: &[Value]) -> Value {
    json!({"streams": streams})
}

/// A task of `version`, which moves its `modified_at`.
pub fn task(gid: u64, version: u64) -> Value {
    json!({"gid": gid.to_string(), "name": format!("Täsk {gid} \u{1F600} v{version}"),
        "completed": version.is_multiple_of(2), "num_subtasks": version, "actual_time_minutes": 0.5,
        "modified_at": format!("2026-01-01T{:02}:{:02}:00.000Z", version / 60, version % 60), "due_on": "2026-02-03",
        "assignee": {"gid": "7", "name": "Ann"}, "tags": [{"gid": "1"}]})
}

pub fn record(stream: &str, data: &Value) -> String {
    let record = json!({"stream": stream, "data": data, "emitted_at": 1_767_225_600_000_u64});
    line(&json!({"type": "RECORD", "record": record}))
}

pub fn state(stream: &str, number: u64) -> String {
    line(&json!({"type": "STATE", "state": {"type": "STREAM", "sourceStats": {"recordCount": 1.0},
        "stream": {"stream_descriptor": {"name": stream}, "stream_state": {"number": number}}}}))
}

pub fn status(stream: &str, status: &str) -> String {
    line(&json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1,
        "stream_status": {"stream_descriptor": {"name": stream}, "status": status}}}))
}

/// Records of one stream, a state, and the stream's end.
pub fn whole(stream: &str, records: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut lines = vec![status(stream, "STARTED")];
    lines.extend(records.into_iter().map(|data| record(stream, &data)));
    lines.extend([state(stream, 1), status(stream, "COMPLETE")]);
    lines
}

fn line(message: &Value) -> String {
    format!("{message}\n")
}

/// A deletion as Airbyte's sources tell it.
pub fn tombstone(gid: u64) -> Value {
    json!({"gid": gid.to_string(), "_ab_cdc_deleted_at": "2026-03-01T00:00:00.000Z"})
}

/// The rows' gids and versions, by gid.
pub fn versions(table: &TableRead) -> BTreeMap<String, Value> {
    let mut versions = BTreeMap::new();
    for row in &table.rows {
        let gid = row["gid"].as_str().unwrap().to_owned();
        let twice = versions.insert(gid.clone(), row["num_subtasks"].clone());
        assert!(twice.is_none(), "{gid} is there twice");
    }
    versions
}

pub fn object(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(Map::from_iter(members))
}
