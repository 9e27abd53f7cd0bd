//! The verbs, as a platform calls them: what each reads, answers and exits with.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use airbyte_connector::config::form_schema;
use airbyte_connector::verbs::{self, DestinationVerb, Ending, Session};
use airbyte_connector::{Failure, FailureKind, files};
use airbyte_protocol::Message;
use airbyte_protocol::message::{ConnectorSpecification, Level};
use clap::{Parser, Subcommand};

use crate::check::check;
use crate::config::Config;
use crate::maintain::{Maintenance, maintain};
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
    #[command(flatten)]
    OfPlatform(DestinationVerb),
    /// Join small files, drop old snapshots and remove files that no table knows.
    Maintain {
        #[arg(long)]
        config: PathBuf,
        #[command(flatten)]
        maintenance: Maintenance,
    },
}

/// Runs a verb to its exit code.
pub fn run(arguments: Arguments) -> ExitCode {
    verbs::run(|session| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failure::transient(format!("no event loop can be set up: {error}")))?;
        runtime.block_on(run_verb(arguments.verb, session))?;
        Ok(Ending::Done)
    })
}

async fn run_verb(verb: Verb, session: &mut Session) -> verbs::Result<()> {
    let output = &mut session.output;
    match verb {
        Verb::OfPlatform(DestinationVerb::Spec) => Ok(output.message(specification())?),
        Verb::OfPlatform(DestinationVerb::Check { config }) => {
            let checked = match read_config(&config) {
                Ok(config) => check(&config).await,
                Err(failure) => Err(failure),
            };
            // Whatever stops a check, the person at the form has to see it, so it is FAILED.
            let checked = checked.map_err(|failure| Failure { kind: FailureKind::Configuration, ..failure });
            Ok(output.message(verbs::connection_status(checked.map(|()| None))?)?)
        }
        Verb::OfPlatform(DestinationVerb::Write { config, catalog }) => {
            let config = read_config(&config)?;
            let plans = plan(&config, &files::read_catalog(&catalog)?)?;
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
            connection_specification: form_schema::<Config>(),
            supports_incremental: Some(true),
            supported_destination_sync_modes: Some(SYNC_MODES.map(str::to_owned).to_vec()),
            protocol_version: Some("0.2.0".to_owned()),
            advanced_auth: None,
        },
    }
}

fn read_config(path: &Path) -> Result<Config, Failure> {
    Config::parse(&files::read(path, "config")?)
}
