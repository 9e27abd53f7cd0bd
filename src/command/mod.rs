//! The four verbs of the protocol, and `estimate`.

mod check;
mod estimate;
mod read;

use std::path::Path;
use std::process::ExitCode;

use airbyte_connector::verbs::{self, Ending, Session, SourceVerb};
use airbyte_connector::{Failure, files};
use airbyte_protocol::Message;
use clap::{Parser, Subcommand};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::asana::{self, Client, DEFAULT_BASE_URL, Notice, OAuth, Patience, Timeouts, TokenSource};
use crate::config::{self, Settings, SignIn};
use crate::{allocator, catalog, secrets_manager};

/// Reads an Asana account as an Airbyte source.
#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    #[command(flatten)]
    Protocol(SourceVerb),
    Estimate(estimate::Arguments),
}

/// Runs the verb to its exit code. After a signal it does not return.
pub fn run(arguments: Arguments) -> ExitCode {
    allocator::give_back_large_buffers();
    verbs::run(|session| match arguments.verb {
        Verb::Protocol(SourceVerb::Spec) => {
            session.output.message(Message::Spec { spec: config::specification() })?;
            Ok(Ending::Done)
        }
        Verb::Protocol(SourceVerb::Check { config }) => check::run(&config, session),
        // The catalog is the same for every account.
        Verb::Protocol(SourceVerb::Discover { config }) => {
            settings(&config, session)?;
            session.output.message(Message::Catalog { catalog: catalog::discovered() })?;
            Ok(Ending::Done)
        }
        Verb::Protocol(SourceVerb::Read(arguments)) => read::run(&arguments, session),
        Verb::Estimate(arguments) => estimate::run(&arguments, session),
    })
}

/// The settings of a config file. From now on, its secrets are redacted.
fn settings(path: &Path, session: &mut Session) -> Result<Settings, Failure> {
    let settings = Settings::parse(&files::read(path, "config")?)?;
    session.output.hide(&settings.secrets);
    Ok(settings)
}

/// A client for the config's account, and what it reports.
fn connect(
    settings: &Settings,
    patience: Patience,
    timeouts: Timeouts,
) -> Result<(Client, UnboundedReceiver<Notice>), Failure> {
    // For the operator's tests. Not in the config, which any user of a shared platform may write.
    let base_url = std::env::var("ASANA_BASE_URL").unwrap_or_else(|_| DEFAULT_BASE_URL.to_owned());
    let (notices, receiver) = mpsc::unbounded_channel();
    let client = Client::new(asana::Settings {
        base_url,
        token: token_source(settings)?,
        secrets: settings.secrets.clone(),
        limits: settings.limits,
        patience,
        timeouts,
        notices,
    })
    .map_err(Failure::configuration)?;
    Ok((client, receiver))
}

fn token_source(settings: &Settings) -> Result<TokenSource, Failure> {
    match &settings.sign_in {
        SignIn::Token(token) => Ok(TokenSource::Static(token.clone())),
        SignIn::OAuth(authorization) => Ok(TokenSource::OAuth(OAuth::new(authorization.clone()))),
        SignIn::SecretsManager(name) => {
            let token = block_on(secrets_manager::token(name))??;
            settings.secrets.learn(&token);
            Ok(TokenSource::Static(token))
        }
    }
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::transient(format!("no event loop can be set up: {error}")))?;
    let output = runtime.block_on(future);
    // Do not wait for connections that are still closing.
    runtime.shutdown_background();
    Ok(output)
}
