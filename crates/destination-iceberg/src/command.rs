//! The verbs, as a platform calls them: what each reads, answers and exits with. Knows no table format.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use airbyte_protocol::Message;
use airbyte_protocol::catalog::ConfiguredCatalog;
use airbyte_protocol::message::{CheckStatus, ConnectionStatus, ConnectorSpecification, Level};
use clap::{Parser, Subcommand};

use crate::check::check;
use crate::config::{Config, schema};
use crate::failure::{Failure, Result};
use crate::maintain::{Maintenance, maintain};
use crate::output::Output;
use crate::plan::{SYNC_MODES, plan};
use crate::write::write;

/// Read at a time from stdin.
const INPUT_BUFFER: usize = 1 << 20;

/// Writes each stream of an Airbyte source into its own Apache Iceberg table.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print what the config has to look like.
    Spec,
    /// Try the catalog and the storage with a table that is made, written, read and dropped.
    Check {
        #[arg(long)]
        config: PathBuf,
    },
    /// Read protocol messages on stdin and write their records.
    Write {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        catalog: PathBuf,
    },
    /// Join small files, drop old snapshots and remove files that no table knows.
    Maintain {
        #[arg(long)]
        config: PathBuf,
        #[command(flatten)]
        maintenance: Maintenance,
    },
}

/// Runs a verb to its exit code. A failure is told as a trace on stdout, as platforms expect it.
pub fn run(arguments: Arguments, output: &mut Output) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::system(format!("no runtime: {error}"));
            return exit_code(output.failure(&failure).and(Err(failure)));
        }
    };
    let done = runtime.block_on(run_verb(arguments.verb, output));
    if let Err(failure) = &done {
        // Where stdout itself is gone, the exit code says it all.
        let _ = output.failure(failure);
    }
    exit_code(done)
}

async fn run_verb(verb: Verb, output: &mut Output) -> Result<()> {
    match verb {
        Verb::Spec => output.message(&specification()),
        Verb::Check { config } => {
            let checked = match read_config(&config) {
                Ok(config) => check(&config).await,
                Err(failure) => Err(failure),
            };
            let connection_status = match checked {
                Ok(()) => ConnectionStatus { status: CheckStatus::Succeeded, message: None },
                Err(failure) => {
                    ConnectionStatus { status: CheckStatus::Failed, message: Some(failure.message) }
                }
            };
            output.message(&Message::ConnectionStatus { connection_status })
        }
        Verb::Write { config, catalog } => {
            let config = read_config(&config)?;
            let catalog: ConfiguredCatalog = serde_json::from_str(&read_file(&catalog)?)
                .map_err(|error| Failure::configuration(format!("the catalog cannot be read: {error}")))?;
            let plans = plan(&config, &catalog)?;
            for plan in &plans {
                if let Some(warning) = &plan.warning {
                    output.log(Level::Warn, format!("stream {:?} {warning}", plan.stream.name))?;
                }
            }
            let input = BufReader::with_capacity(INPUT_BUFFER, std::io::stdin());
            write(&config, plans, input, output).await
        }
        Verb::Maintain { config, maintenance } => {
            maintain(&read_config(&config)?, &maintenance, output).await
        }
    }
}

fn specification() -> Message {
    Message::Spec {
        spec: ConnectorSpecification {
            documentation_url: None,
            changelog_url: None,
            connection_specification: schema(),
            supports_incremental: Some(true),
            supported_destination_sync_modes: Some(SYNC_MODES.map(str::to_owned).to_vec()),
            protocol_version: Some("0.2.0".to_owned()),
            advanced_auth: None,
        },
    }
}

fn read_config(path: &Path) -> Result<Config> {
    Config::parse(&read_file(path)?)
}

fn read_file(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::configuration(format!("{} cannot be read: {error}", path.display())))
}

fn exit_code(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
