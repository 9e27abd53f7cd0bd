//! One sync: the connector's lines into the destination, kept and counted on their way. Knows neither Asana nor
//! Iceberg.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::shell::{say, text};

/// What came of one stream.
#[derive(Default)]
pub struct Tally {
    pub records: u64,
    bytes: u64,
    started: Option<u64>,
    ended: Option<u64>,
    status: String,
}

/// What came of a sync.
pub struct Sync {
    pub tallies: BTreeMap<String, Tally>,
    pub seconds: f64,
    /// The newest state of each stream that the destination passed on.
    pub states: BTreeMap<String, Value>,
    logs: Vec<String>,
}

impl Sync {
    /// Runs the source into the destination, and keeps the source's lines in a file.
    ///
    /// # Errors
    ///
    /// When one of the two cannot be started, breaks off or fails.
    pub fn run(mut source: Command, mut destination: Command, kept: &Path) -> Result<Self, String> {
        let started = Instant::now();
        let mut destination = start(&mut destination, "write")?;
        let mut source = start(&mut source, "read")?;
        let (input, output) = (destination.stdin.take(), destination.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err("write has no pipes".to_owned());
        };
        // Its answers are taken while it is fed, or both would wait for each other.
        let answers = std::thread::spawn(move || states_of(output));
        let lines = source.stdout.take().ok_or("read has no output")?;
        let (mut tallies, mut logs) = (BTreeMap::new(), Vec::new());
        let fed = feed(lines, input, kept, &mut tallies, &mut logs);
        let (read, written) = (end(source, "read"), end(destination, "write"));
        let states = answers.join().map_err(|_| "the reader of write's answers died")?;
        fed.and(read).and(written)?;
        Ok(Self { tallies, seconds: started.elapsed().as_secs_f64(), states: states?, logs })
    }

    pub fn records(&self) -> u64 {
        self.tallies.values().map(|tally| tally.records).sum()
    }

    pub fn print(&self) {
        say(&format!(
            "\n{:<24}{:>9}{:>11}{:>9}{:>9}  status",
            "stream", "records", "requests", "kB", "seconds"
        ));
        for (stream, tally) in &self.tallies {
            let seconds = match (tally.started, tally.ended) {
                (Some(started), Some(ended)) => ended.saturating_sub(started) as f64 / 1000.0,
                _ => 0.0,
            };
            let requests = requests(stream, &self.logs).unwrap_or_else(|| "-".to_owned());
            say(&format!(
                "{stream:<24}{:>9}{requests:>11}{:>9}{seconds:>9.1}  {}",
                tally.records,
                tally.bytes / 1000,
                tally.status.to_lowercase()
            ));
        }
        say(&format!(
            "\n{} records of {} streams read and written in {:.1} s",
            self.records(),
            self.tallies.len(),
            self.seconds
        ));
    }

    /// Keeps the states for the next sync.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn keep_states(&self, file: &Path) -> Result<(), String> {
        let states = Value::Array(self.states.values().cloned().collect());
        fs::write(file, states.to_string())
            .map_err(|error| format!("{} cannot be written: {error}", file.display()))
    }
}

fn start(command: &mut Command, what: &str) -> Result<Child, String> {
    command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{what} cannot be started: {error}"))
}

fn end(mut child: Child, what: &str) -> Result<(), String> {
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{what} did not come to its end: see the messages above.")),
        Err(error) => Err(format!("{what} cannot be waited for: {error}")),
    }
}

fn feed(
    lines: ChildStdout,
    mut destination: ChildStdin,
    kept: &Path,
    tallies: &mut BTreeMap<String, Tally>,
    logs: &mut Vec<String>,
) -> Result<(), String> {
    let unkept = |error| format!("{} cannot be written: {error}", kept.display());
    let mut copy = BufWriter::new(File::create(kept).map_err(unkept)?);
    for line in BufReader::new(lines).lines() {
        let line = line.map_err(|error| format!("read broke off: {error}"))?;
        writeln!(copy, "{line}").map_err(unkept)?;
        writeln!(destination, "{line}").map_err(|error| format!("write takes no more: {error}"))?;
        let message: Value = serde_json::from_str(&line)
            .map_err(|_| format!("read printed something that is no message: {line}"))?;
        count(&message, line.len() as u64, tallies, logs);
    }
    copy.flush().map_err(unkept)
}

fn count(message: &Value, bytes: u64, tallies: &mut BTreeMap<String, Tally>, logs: &mut Vec<String>) {
    match message["type"].as_str() {
        Some("RECORD") => {
            let tally = tallies.entry(text(&message["record"]["stream"])).or_default();
            tally.records += 1;
            tally.bytes += bytes;
        }
        Some("TRACE") if message["trace"]["type"] == "STREAM_STATUS" => {
            let status = &message["trace"]["stream_status"];
            let tally = tallies.entry(text(&status["stream_descriptor"]["name"])).or_default();
            let at = message["trace"]["emitted_at"].as_u64();
            tally.started = tally.started.or(at);
            tally.ended = at;
            tally.status = text(&status["status"]);
        }
        Some("TRACE") => say(&format!("  {}", text(&message["trace"]["error"]["message"]))),
        Some("LOG") => {
            let log = text(&message["log"]["message"]);
            if message["log"]["level"] != "INFO" {
                say(&format!("  {log}"));
            }
            logs.push(log);
        }
        _ => {}
    }
}

/// The newest state of each stream; what went wrong is printed.
fn states_of(answers: ChildStdout) -> Result<BTreeMap<String, Value>, String> {
    let mut states = BTreeMap::new();
    for line in BufReader::new(answers).lines() {
        let line = line.map_err(|error| format!("write broke off: {error}"))?;
        let mut message: Value = serde_json::from_str(&line)
            .map_err(|_| format!("write printed something that is no message: {line}"))?;
        match message["type"].as_str() {
            Some("STATE") => {
                let name = text(&message["state"]["stream"]["stream_descriptor"]["name"]);
                states.insert(name, message["state"].take());
            }
            Some("TRACE") => say(&format!("  {}", text(&message["trace"]["error"]["message"]))),
            Some("LOG") if message["log"]["level"] != "INFO" => {
                say(&format!("  {}", text(&message["log"]["message"])));
            }
            _ => {}
        }
    }
    Ok(states)
}

/// The requests that the connector's own summary line of the stream names: `tags: 12 records in 3 requests`.
fn requests(stream: &str, logs: &[String]) -> Option<String> {
    let line = logs
        .iter()
        .rev()
        .find(|log| log.starts_with(&format!("{stream}: ")) && log.contains(" records in "))?;
    line.split(" records in ").nth(1)?.split(' ').next().map(str::to_owned)
}
