//! How fast the connector turns pages into records, beside a naive reader of the same pages and beside the
//! targets. `BASELINE=path/to/source-asana cargo bench` also measures another version of the connector, in turn with this
//! one. `cargo bench` prints figures and judges none; without `--bench`, as under `cargo test`, a small round
//! only shows that everything is read.

#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]

mod meter;
mod naive;
mod pages;
mod server;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use meter::{Usage, measure};
use pages::{Columns, ROWS, TaskPages};
use server::{Account, PAGES_OF_PROJECT};

const CONNECTOR: &str = env!("CARGO_BIN_EXE_source-asana");
/// The argument that makes this program the naive reader.
const NAIVE: &str = "naive";
const TASKS_OF_PROJECT: usize = PAGES_OF_PROJECT * ROWS;
/// The environment variable with the path of another version of the connector.
const BASELINE: &str = "BASELINE";
/// As good as no limit.
const UNLIMITED: u32 = 1_000_000;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    if first == meter::METER {
        return meter::stand_between(arguments);
    }
    if first == NAIVE {
        let base_url = arguments.next().and_then(|text| text.into_string().ok()).ok_or("a base URL")?;
        naive::read(&base_url)?;
        return Ok(ExitCode::SUCCESS);
    }
    if env::args().any(|argument| argument == "--bench") {
        figures()?;
    } else {
        let case = Case::new("smoke", Columns::Few)?;
        let world = case.world(2, Duration::ZERO)?;
        rounds(&world, 1)?;
        println!("{} records were read; for figures: cargo bench", world.tasks);
    }
    Ok(ExitCode::SUCCESS)
}

fn figures() -> Result<(), Box<dyn Error>> {
    start_time()?;
    for (case, projects, target) in
        [(Case::new("full", Columns::All)?, 125, 30_000), (Case::new("small", Columns::Few)?, 500, 100_000)]
    {
        throughput(&case, projects, target)?;
        memory(&case)?;
    }
    Ok(())
}

/// Records of some size, and the files by which the connector reads them.
struct Case {
    name: &'static str,
    pages: Arc<TaskPages>,
    folder: TempDir,
}

/// An account that is being served.
struct World<'a> {
    case: &'a Case,
    base_url: String,
    tasks: usize,
}

impl Case {
    fn new(name: &'static str, columns: Columns) -> Result<Self, Box<dyn Error>> {
        let folder = TempDir::new()?;
        fs::write(folder.path().join("catalog.json"), columns.catalog()?.to_string())?;
        Ok(Self { name, pages: Arc::new(TaskPages::render(columns)?), folder })
    }

    fn world(&self, projects: usize, latency: Duration) -> Result<World<'_>, Box<dyn Error>> {
        let account = Account { projects, pages: Arc::clone(&self.pages), latency };
        let tasks = account.tasks();
        Ok(World { case: self, base_url: server::start(account)?, tasks })
    }
}

impl World<'_> {
    /// Reads the account with a version of the connector, at most so many requests a minute.
    fn read(&self, connector: &str, requests_per_minute: u32) -> Result<Usage, Box<dyn Error>> {
        let config = self.case.folder.path().join("config.json");
        let rate_limit = json!({"mode": "fixed", "requests_per_minute": requests_per_minute});
        fs::write(&config, json!({"token": "0/benchmark", "rate_limit": rate_limit}).to_string())?;
        let mut command = Command::new(connector);
        command.arg("read").arg("--config").arg(&config).arg("--catalog");
        command.arg(self.file("catalog.json")).env("ASANA_BASE_URL", &self.base_url);
        self.checked(measure(&command)?)
    }

    fn read_naively(&self) -> Result<Usage, Box<dyn Error>> {
        self.checked(measure(Command::new(env::current_exe()?).args([NAIVE, &self.base_url]))?)
    }

    fn file(&self, name: &str) -> impl AsRef<Path> + AsRef<std::ffi::OsStr> + use<> {
        self.case.folder.path().join(name)
    }

    /// A reader that leaves out or repeats records has no speed.
    fn checked(&self, usage: Usage) -> Result<Usage, Box<dyn Error>> {
        if usage.records == self.tasks as u64 {
            return Ok(usage);
        }
        Err(format!("{} records of {} were printed", usage.records, self.tasks).into())
    }
}

/// The versions of the connector to measure: this one, and the baseline if there is one.
fn versions() -> Vec<(&'static str, String)> {
    let baseline = env::var(BASELINE).ok().map(|path| ("baseline", path));
    [("connector", CONNECTOR.to_owned())].into_iter().chain(baseline).collect()
}

/// Runs of each program in turn, so that other work of the machine slows down all of them. The naive reader comes last.
fn rounds(world: &World<'_>, rounds: usize) -> Result<Vec<Vec<Usage>>, Box<dyn Error>> {
    let versions = versions();
    let round = || {
        let mut usages: Vec<Usage> =
            versions.iter().map(|(_, program)| world.read(program, UNLIMITED)).collect::<Result<_, _>>()?;
        usages.push(world.read_naively()?);
        Ok(usages)
    };
    (0..rounds).map(|_| round()).collect()
}

fn throughput(case: &Case, projects: usize, target: u32) -> Result<(), Box<dyn Error>> {
    const ROUNDS: usize = 7;
    let world = case.world(projects, Duration::ZERO)?;
    rounds(&world, 1)?;
    let runs = rounds(&world, ROUNDS)?;
    let names: Vec<&str> = versions().iter().map(|(name, _)| *name).chain(["naive"]).collect();
    println!(
        "\n{} task records: {} of {} bytes, without a rate limit, medians of {ROUNDS}",
        case.name,
        world.tasks,
        case.pages.row_bytes()
    );
    println!(
        "{:<12}{:>12}{:>16}{:>18}{:>12}",
        "", "records/s", "records/s/core", "CPU ms/1000 rec", "peak MB"
    );
    for (index, name) in names.iter().enumerate() {
        let of = |figure: &dyn Fn(&Usage) -> f64| median(runs.iter().map(|round| figure(&round[index])));
        println!(
            "{name:<12}{:>12.0}{:>16.0}{:>18.2}{:>12.1}",
            of(&|usage| usage.records as f64 / usage.wall.as_secs_f64()),
            of(&|usage| usage.records as f64 / usage.processor.as_secs_f64()),
            of(&|usage| usage.processor.as_secs_f64() * 1e6 / usage.records as f64),
            of(&|usage| megabytes(usage.peak_memory)),
        );
    }
    println!("{:<12}{:>12}{:>16}", "target", "", target);
    for (index, name) in names.iter().enumerate().skip(1) {
        let ratio = |figure: &dyn Fn(&Usage) -> f64| {
            median(runs.iter().map(|round| figure(&round[index]) / figure(&round[0])))
        };
        println!(
            "{name} / connector: CPU {:.2}, wall {:.2}, peak memory {:.2}",
            ratio(&|usage| usage.processor.as_secs_f64()),
            ratio(&|usage| usage.wall.as_secs_f64()),
            ratio(&|usage| megabytes(usage.peak_memory)),
        );
    }
    Ok(())
}

/// Peak memory at some sizes of world, without a limit, and at the pace and the latency of a paid account.
fn memory(case: &Case) -> Result<(), Box<dyn Error>> {
    const PAID: u32 = 1_500;
    println!("{} task records: peak memory, medians; target 40 MB at any size", case.name);
    for (tasks, rounds) in [(20_000, 3), (200_000, 3), (1_000_000, 1), (4_000_000, 1)] {
        let world = case.world(tasks / TASKS_OF_PROJECT, Duration::ZERO)?;
        for (name, program) in versions() {
            let runs = (0..rounds).map(|_| world.read(&program, UNLIMITED)).collect::<Result<Vec<_>, _>>()?;
            let peak = median(runs.iter().map(|usage| megabytes(usage.peak_memory)));
            println!("{tasks:>9} records, no limit, {rounds} runs, {name:<12}{peak:>19.1} MB");
        }
    }
    let world = case.world(150, Duration::from_millis(1_500))?;
    let usage = world.read(CONNECTOR, PAID)?;
    let requests = world.tasks / ROWS;
    println!(
        "{:>9} records, 1,500 requests/minute, 1.5 s latency{:>7.1} MB, {:.0} requests/minute reached",
        world.tasks,
        megabytes(usage.peak_memory),
        requests as f64 / usage.wall.as_secs_f64() * 60.0
    );
    Ok(())
}

fn start_time() -> Result<(), Box<dyn Error>> {
    const ROUNDS: usize = 20;
    let times = (0..ROUNDS)
        .map(|_| meter::time_to_first_byte(Command::new(CONNECTOR).arg("spec")))
        .collect::<Result<Vec<_>, _>>()?;
    println!(
        "spec: first byte after {:.2} ms, median of {ROUNDS}; target 10 ms",
        median(times.iter().map(|time| time.as_secs_f64() * 1e3))
    );
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
