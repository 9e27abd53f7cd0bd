//! `cargo xtask demo`: `check`, `discover` and two syncs of all streams into Iceberg tables, with the real binaries,
//! and what other engines find in the tables. Knows nothing of how connector and destination work.

mod pipe;
mod shell;
mod tables;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use asana_simulator::{
    EditError, Editor, Gid, Kind, Options as SimulatorOptions, RequestFloor, Scale, Simulator, Token, World,
};
use clap::Parser;
use serde_json::{Value, json};

use pipe::Sync;
use shell::{program, root, say, text};
use tables::{Changes, Warehouse};

/// Read a whole account with the real programs and show what came out: a simulated one, or, with `ASANA_TOKEN` in the
/// environment, your own.
#[derive(Parser)]
#[command(name = "cargo xtask demo")]
struct Options {
    /// How large the simulated account is: tiny, small or medium (15,000 tasks).
    #[arg(long, default_value = "small")]
    scale: String,
    /// Where the records and the tables go.
    #[arg(long, default_value = "demo-output")]
    output: PathBuf,
}

/// Whose account is read.
enum Account {
    Simulated(Simulator),
    Real,
}

/// A command of the connector's, to be run on the account.
struct Connector {
    base_url: Option<String>,
    config: String,
}

impl Connector {
    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(program("source-asana"));
        command.args([verb, "--config", &self.config]).stdin(Stdio::null());
        if let Some(base_url) = &self.base_url {
            command.env("ASANA_BASE_URL", base_url);
        }
        command
    }

    fn read(&self, catalog: &Path, state: Option<&Path>) -> Command {
        let mut command = self.command("read");
        command.arg("--catalog").arg(catalog);
        if let Some(state) = state {
            command.arg("--state").arg(state);
        }
        command
    }
}

/// So many tasks are renamed between the two syncs, as many others completed, and so on.
const TASKS_OF_EACH_CHANGE: usize = 6;

const SIMULATED_TOKEN: &str = "simulated-token";

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&format!("\n{message}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let folder = root().join(&options.output);
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let (account, config) = account(options)?;
    let config_file = folder.join("config.json");
    write_private(&config_file, &config.to_string())?;
    let base_url = match &account {
        Account::Simulated(simulator) => Some(simulator.base_url()),
        Account::Real => None,
    };
    let connector = Connector { base_url, config: config_file.to_string_lossy().into_owned() };
    let shown = show(&account, &connector, &folder);
    let removed = fs::remove_file(&config_file);
    removed.map_err(|error| {
        format!("{}, which holds the token, cannot be removed: {error}", config_file.display())
    })?;
    shown
}

fn show(account: &Account, connector: &Connector, folder: &Path) -> Result<(), String> {
    say("check");
    let answer = output(connector.command("check"), "check")?;
    say(&format!("  {}", summary_of_check(&answer)));
    say("discover");
    let catalog = output(connector.command("discover"), "discover")?;
    let streams = message(&catalog, "CATALOG").map(|message| message["catalog"]["streams"].clone());
    say(&format!("  {} streams", streams.as_ref().and_then(Value::as_array).map_or(0, Vec::len)));

    say("read | write");
    let catalog = root().join("catalogs/incremental.json");
    let warehouse = Warehouse::anew(folder)?;
    let messages = folder.join("messages.jsonl");
    let first = Sync::run(connector.read(&catalog, None), warehouse.write(&catalog), &messages)?;
    first.print();
    if let Account::Simulated(simulator) = account {
        print_requests(simulator);
    }
    say(&format!("Every message lies in {}, one JSON object a line.", messages.display()));
    warehouse.print(Changes::None)?;

    // A real account is nobody's to change, and without changes there is little to see.
    let Account::Simulated(simulator) = account else { return Ok(()) };
    simulator.clear_requests();
    simulator.advance(Duration::from_secs(3600));
    let changed = simulator.edit(change).map_err(|error| error.to_string())?;
    say(&format!("\nAn hour later, {changed}. read | write again, from the states that write gave out"));
    let states = folder.join("states.json");
    first.keep_states(&states)?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let messages = folder.join("messages-of-the-second-sync.jsonl");
    let second = Sync::run(connector.read(&catalog, Some(&states)), warehouse.write(&catalog), &messages)?;
    second.print();
    say(&format!("{} requests, against those of a full read above", simulator.requests().len()));
    warehouse.print(Changes::Since(since))
}

/// What a team does in an hour: renames, completions, comments, new tasks and deleted ones.
fn change(editor: &mut Editor<'_>) -> Result<String, EditError> {
    let mut projects: Vec<Gid> =
        editor.world().visible(Kind::Project, editor.world().main_viewer()).collect();
    projects.sort_by_key(|project| std::cmp::Reverse(editor.world().tasks_of_project(*project).len()));
    let Some(project) = projects.first().copied() else { return Ok("nothing has changed".to_owned()) };
    let tasks = editor.world().tasks_of_project(project);
    let mut rest = &tasks[..];
    let mut take = || {
        let (some, others) = rest.split_at(rest.len().min(TASKS_OF_EACH_CHANGE));
        rest = others;
        some
    };
    let (renamed, completed, commented, deleted) = (take(), take(), take(), take());
    for task in renamed {
        editor.rename_task(*task, "Renamed since the first sync")?;
    }
    for task in completed {
        editor.complete_task(*task)?;
    }
    for task in commented {
        editor.comment(*task, "Written since the first sync")?;
    }
    for task in deleted {
        editor.delete_task(*task)?;
    }
    if let Some(workspace) = editor.world().workspace_of(project) {
        editor.create_task(workspace, "Made since the first sync", &[project])?;
    }
    Ok(format!(
        "{} tasks are renamed, {} completed, {} commented, {} deleted, and one is new",
        renamed.len(),
        completed.len(),
        commented.len(),
        deleted.len()
    ))
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
