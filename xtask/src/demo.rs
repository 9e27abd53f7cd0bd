//! `cargo xtask demo`: `check`, `discover` and `read` of all streams with the real binary, and what came of it.
//! Knows nothing of how the connector works.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use asana_simulator::{Options as SimulatorOptions, RequestFloor, Scale, Simulator, Token, World};
use clap::Args;
use serde_json::{Value, json};

use crate::shell::{cargo, root, run as run_command, say};

#[derive(Args)]
pub struct Options {
    /// How large the simulated account is: tiny, small or medium (15,000 tasks).
    #[arg(long, default_value = "small")]
    scale: String,
    /// Where the records go.
    #[arg(long, default_value = "demo-output")]
    output: PathBuf,
}

/// Whose account is read.
enum Account {
    Simulated(Simulator),
    Real,
}

/// What came of one stream.
#[derive(Default)]
struct Tally {
    records: u64,
    bytes: u64,
    started: Option<u64>,
    ended: Option<u64>,
    status: String,
}

const SIMULATED_TOKEN: &str = "simulated-token";

pub fn run(options: &Options) -> Result<(), String> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "source-asana", "--bin", "source-asana"]);
    run_command(build, "building the connector")?;
    let connector = root().join("target/debug/source-asana");
    let folder = root().join(&options.output);
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;

    let (account, config) = account(options)?;
    let config_file = folder.join("config.json");
    write_private(&config_file, &config.to_string())?;
    let base_url = match &account {
        Account::Simulated(simulator) => Some(simulator.base_url()),
        Account::Real => None,
    };
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&connector);
        command.args(arguments).stdin(Stdio::null());
        if let Some(base_url) = &base_url {
            command.env("ASANA_BASE_URL", base_url);
        }
        command
    };
    let config_path = config_file.to_string_lossy().into_owned();

    say("check");
    let answer = output(command(&["check", "--config", &config_path]), "check")?;
    say(&format!("  {}", summary_of_check(&answer)));
    say("discover");
    let catalog = output(command(&["discover", "--config", &config_path]), "discover")?;
    let streams = message(&catalog, "CATALOG").map(|message| message["catalog"]["streams"].clone());
    say(&format!("  {} streams", streams.as_ref().and_then(Value::as_array).map_or(0, Vec::len)));

    let catalog_path = root().join("catalogs/full_refresh.json").to_string_lossy().into_owned();
    let records_file = folder.join("messages.jsonl");
    say("read");
    let started = Instant::now();
    let mut read = command(&["read", "--config", &config_path, "--catalog", &catalog_path]);
    let Reading { tallies, logs, is_success } = read_messages(&mut read, &records_file)?;
    let seconds = started.elapsed().as_secs_f64();
    let removed = fs::remove_file(&config_file);
    removed.map_err(|error| format!("{config_path}, which holds the token, cannot be removed: {error}"))?;

    print_table(&tallies, &logs);
    let records: u64 = tallies.values().map(|tally| tally.records).sum();
    say(&format!("\n{records} records of {} streams in {seconds:.1} s", tallies.len()));
    if let Account::Simulated(simulator) = &account {
        print_requests(simulator);
    }
    say(&format!("Every message lies in {}, one JSON object a line.", records_file.display()));
    if is_success {
        Ok(())
    } else {
        Err("The read did not come to its end: see the messages above.".to_owned())
    }
}

fn account(options: &Options) -> Result<(Account, Value), String> {
    if let Ok(token) = std::env::var("ASANA_TOKEN") {
        say("Reading your own Asana account, with the token in ASANA_TOKEN.");
        return Ok((Account::Real, json!({"token": token})));
    }
    let scale = Scale::named(&options.scale)
        .ok_or_else(|| format!("there is no scale {}: take tiny, small or medium", options.scale))?;
    say(&format!("Reading a simulated Asana account ({}); set ASANA_TOKEN to read your own.", options.scale));
    let tokens = vec![Token::service_account(SIMULATED_TOKEN)];
    let world = World::generate(1, &scale);
    let simulator =
        Simulator::start_blocking(world, SimulatorOptions { tokens, ..SimulatorOptions::default() })
            .map_err(|error| format!("the simulator cannot be started: {error}"))?;
    // The simulator has no limit unless it is told one.
    let rate_limit = json!({"mode": "fixed", "requests_per_minute": 1_000_000});
    Ok((Account::Simulated(simulator), json!({"token": SIMULATED_TOKEN, "rate_limit": rate_limit})))
}

/// A file that only its owner may read: it holds the token.
fn write_private(path: &Path, text: &str) -> Result<(), String> {
    use std::os::unix::fs::OpenOptionsExt;
    drop(fs::remove_file(path));
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

fn output(mut command: Command, what: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{what} cannot be started: {error}"))?;
    String::from_utf8(output.stdout).map_err(|_| format!("{what} printed something that is not UTF-8"))
}

fn message(lines: &str, kind: &str) -> Option<Value> {
    lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| message["type"] == kind)
}

fn summary_of_check(lines: &str) -> String {
    match message(lines, "CONNECTION_STATUS") {
        Some(message) => {
            let status = &message["connectionStatus"];
            format!("{}: {}", text(&status["status"]), text(&status["message"]))
        }
        None => "no answer".to_owned(),
    }
}

/// What a read said.
struct Reading {
    tallies: BTreeMap<String, Tally>,
    logs: Vec<String>,
    is_success: bool,
}

/// Runs the read, keeps its lines in a file, and counts what they say.
fn read_messages(read: &mut Command, file: &Path) -> Result<Reading, String> {
    let mut child =
        read.stdout(Stdio::piped()).spawn().map_err(|error| format!("read cannot be started: {error}"))?;
    let stdout = child.stdout.take().ok_or("read has no output")?;
    let kept =
        File::create(file).map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    let mut kept = BufWriter::new(kept);
    let (mut tallies, mut logs) = (BTreeMap::<String, Tally>::new(), Vec::new());
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|error| format!("read broke off: {error}"))?;
        writeln!(kept, "{line}").map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
        let message: Value = serde_json::from_str(&line)
            .map_err(|_| format!("read printed something that is no message: {line}"))?;
        count(&message, line.len() as u64, &mut tallies, &mut logs);
    }
    let status = child.wait().map_err(|error| format!("read cannot be waited for: {error}"))?;
    Ok(Reading { tallies, logs, is_success: status.success() })
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

fn print_table(tallies: &BTreeMap<String, Tally>, logs: &[String]) {
    say(&format!("\n{:<24}{:>9}{:>11}{:>9}{:>9}  status", "stream", "records", "requests", "kB", "seconds"));
    for (stream, tally) in tallies {
        let seconds = match (tally.started, tally.ended) {
            (Some(started), Some(ended)) => ended.saturating_sub(started) as f64 / 1000.0,
            _ => 0.0,
        };
        let requests = requests(stream, logs).unwrap_or_else(|| "-".to_owned());
        say(&format!(
            "{stream:<24}{:>9}{requests:>11}{:>9}{seconds:>9.1}  {}",
            tally.records,
            tally.bytes / 1000,
            tally.status.to_lowercase()
        ));
    }
}

/// The requests that the connector's own summary line of the stream names: `tags: 12 records in 3 requests`.
fn requests(stream: &str, logs: &[String]) -> Option<String> {
    let line = logs
        .iter()
        .rev()
        .find(|log| log.starts_with(&format!("{stream}: ")) && log.contains(" records in "))?;
    line.split(" records in ").nth(1)?.split(' ').next().map(str::to_owned)
}

fn print_requests(simulator: &Simulator) {
    let sent = simulator.requests().len() as u64;
    let floor = simulator.world(|world| {
        simulator.viewer(SIMULATED_TOKEN).map(|viewer| RequestFloor::of_full_read(world, viewer))
    });
    if let Some(floor) = floor {
        let floor = floor.total() as u64;
        let above = (sent as f64 / floor as f64 - 1.0) * 100.0;
        say(&format!(
            "{sent} requests, `check` included; the floor that the account implies is {floor} ({above:+.1} %)"
        ));
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
