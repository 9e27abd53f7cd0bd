//! The simulator as a program, for clients that use it only over HTTP.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use asana_simulator::{
    Account, App, Clock, Control, DEFAULT_TOKEN, Limits, Options, Plan, Refresh, Scale, Simulator, Timestamp,
    Token, World,
};
use clap::{Parser, ValueEnum};

/// Asana's.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A deterministic Asana on 127.0.0.1.
#[derive(Debug, Parser)]
struct Arguments {
    /// The world's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The world's size: tiny, small, medium, big or large.
    #[arg(long, default_value = "small", value_parser = scale)]
    scale: Scale,
    /// The port to listen on; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The token's plan.
    #[arg(long, value_enum, default_value_t = PlanName::Paid)]
    plan: PlanName,
    /// The bearer token that opens the account.
    #[arg(long, default_value = DEFAULT_TOKEN)]
    token: String,
    /// The token is a service account's.
    #[arg(long)]
    service_account: bool,
    /// The ID of an app that gets tokens for the same account by OAuth.
    #[arg(long, requires_all = ["client_secret", "refresh_token"])]
    client_id: Option<String>,
    /// The app's secret.
    #[arg(long, requires = "client_id", default_value = "")]
    client_secret: String,
    /// The refresh token that the app has of the account's user.
    #[arg(long, requires = "client_id", default_value = "")]
    refresh_token: String,
    /// A refresh token is good once, and its answer names the next.
    #[arg(long, requires = "client_id")]
    replace_refresh_token: bool,
    /// Requests that the token may send in a minute; without it, any number.
    #[arg(long)]
    requests_per_minute: Option<u32>,
    /// Task searches that the token may send in a minute; without it, any number.
    #[arg(long)]
    searches_per_minute: Option<u32>,
    /// Added to every answer.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Seconds after an edit until the task search knows of it.
    #[arg(long, default_value_t = 0)]
    search_lag_seconds: u64,
    /// The time at which the simulator's clock starts, in ISO 8601; without it, the system's.
    #[arg(long, value_parser = timestamp)]
    start: Option<Timestamp>,
    /// Answer /control/... too: the request log, edits and the ground truth.
    #[arg(long)]
    control: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlanName {
    Free,
    Paid,
    Enterprise,
}

fn scale(text: &str) -> Result<Scale, String> {
    Scale::named(text).ok_or_else(|| format!("no scale is called {text}"))
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| format!("no time is written {text}"))
}

fn main() -> ExitCode {
    match serve(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("asana-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the API's address as the one line of its output, and serves until it is killed.
fn serve(arguments: Arguments) -> std::io::Result<()> {
    let plan = match arguments.plan {
        PlanName::Free => Plan::Free,
        PlanName::Paid => Plan::Paid,
        PlanName::Enterprise => Plan::Enterprise,
    };
    let account = if arguments.service_account { Account::Service } else { Account::Person };
    let token = Token { text: arguments.token, user: None, account, plan };
    let app = arguments.client_id.map(|client_id| App {
        client_id,
        client_secret: arguments.client_secret,
        refresh_token: arguments.refresh_token,
        refresh: if arguments.replace_refresh_token { Refresh::Replaced } else { Refresh::Kept },
        lifetime: ACCESS_TOKEN_LIFETIME,
        token: token.clone(),
    });
    let options = Options {
        tokens: vec![token],
        app,
        clock: arguments.start.map(Clock::running),
        limits: Limits {
            requests_per_minute: arguments.requests_per_minute,
            searches_per_minute: arguments.searches_per_minute,
            ..Limits::default()
        },
        latency: Duration::from_millis(arguments.latency_ms),
        search_lag: Duration::from_secs(arguments.search_lag_seconds),
        control: if arguments.control { Control::On } else { Control::Off },
        port: arguments.port,
        ..Options::default()
    };
    let world = World::generate(arguments.seed, &arguments.scale);
    let simulator = Simulator::start_blocking(world, options)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", simulator.base_url())?;
    stdout.flush()?;
    loop {
        std::thread::park();
    }
}
