//! The four verbs, in the order in which a platform calls them. Knows no HTTP, no pages and no cursor
//! arithmetic.

mod check;
mod discover;
mod read;
mod spec;
mod stop;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use airbyte_protocol::Message;
use airbyte_protocol::message::Level;
use clap::{Parser, Subcommand};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::allocator;
use crate::asana::{self, Client, DEFAULT_BASE_URL, Notice, OAuth, Patience, Secrets, Timeouts, TokenSource};
use crate::config::{Settings, SignIn};
use crate::emit;
use crate::error::Failure;
use crate::secrets_manager;
use stop::Stop;

/// Reads an Asana account as an Airbyte source.
#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print what the config may contain.
    Spec,
    /// Try the config's token and say whom it belongs to.
    Check {
        /// The config file, JSON.
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the streams that can be read. Needs no network.
    Discover {
        /// The config file, JSON.
        #[arg(long)]
        config: PathBuf,
    },
    /// Read the configured streams.
    Read {
        /// The config file, JSON.
        #[arg(long)]
        config: PathBuf,
        /// The configured catalog, JSON.
        #[arg(long)]
        catalog: PathBuf,
        /// The state of an earlier sync, JSON.
        #[arg(long)]
        state: Option<PathBuf>,
    },
}

/// How a command ended, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    Failed,
    /// Nobody reads stdout any more.
    Unheard,
}

/// What a shell reports for a process that SIGTERM ended, which platforms take for a normal end of one that
/// nobody listens to any more.
const TERMINATED: u8 = 143;

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Done => Self::SUCCESS,
            Ending::Failed => Self::FAILURE,
            Ending::Unheard => Self::from(TERMINATED),
        }
    }
}

/// Runs the command and tells its failure, if any, as a trace on stdout. After a signal it does not come back.
pub fn run(arguments: Arguments) -> Ending {
    allocator::give_back_large_buffers();
    // Where nobody holds it, a signal is obeyed at once.
    let stop = Stop::watch().ok().filter(|_| matches!(arguments.verb, Verb::Read { .. }));
    let result = match arguments.verb {
        Verb::Spec => spec::run(),
        Verb::Check { config } => check::run(&config),
        Verb::Discover { config } => discover::run(&config),
        Verb::Read { config, catalog, state } => read::run(&config, &catalog, state.as_deref(), stop.clone()),
    };
    if let Some(stop) = stop {
        stop.obey();
    }
    match result {
        Ok(ending) => ending,
        Err(Trouble::Expected(failure)) => match tell_failure(&failure, None) {
            Ok(()) => Ending::Failed,
            Err(error) => unheard(&error),
        },
        Err(Trouble::Output(error)) => unheard(&error),
    }
}

/// A reader that has gone knows that it has; anything else that keeps stdout from being written, such as a full disk,
/// has nowhere to be told but on stderr.
fn unheard(error: &io::Error) -> Ending {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ending::Unheard;
    }
    // If stderr cannot be written either, the exit code has to do.
    drop(writeln!(io::stderr(), "stdout cannot be written: {error}"));
    Ending::Failed
}

/// Why a command stops early.
enum Trouble {
    Expected(Failure),
    /// stdout cannot be written, so there is nobody to tell.
    Output(io::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Expected(failure)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A message that holds nothing of the config.
fn tell(message: Message) -> io::Result<()> {
    emit::one(message, None)
}

fn tell_failure(failure: &Failure, secrets: Option<&Secrets>) -> io::Result<()> {
    emit::one(Message::error(failure.trace(), emit::now()), secrets)
}

fn log(level: Level, text: &str, secrets: &Secrets) -> io::Result<()> {
    emit::one(Message::log(level, text), Some(secrets))
}

fn settings(path: &Path) -> Result<Settings, Failure> {
    Settings::parse(&file(path, "config")?)
}

fn file(path: &Path, what: &str) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        if path.as_os_str().as_encoded_bytes().trim_ascii_start().starts_with(b"{") {
            // It is not repeated: it may be a config, with the token in it.
            return Failure::config(format!(
                "`--{what}` has to be the path of a file, not what is in the file"
            ));
        }
        Failure::config(format!("the {what} file {} cannot be read: {error}", path.display()))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::config(format!("the {what} file {} is not UTF-8 text", path.display())))?;
    // Some editors begin a file with it.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// A client for the config's account, and its signs of life.
fn connect(
    settings: &Settings,
    patience: Patience,
    timeouts: Timeouts,
) -> Result<(Client, UnboundedReceiver<Notice>), Failure> {
    // The operator's seam for tests; never the config's, which a user of a shared platform may write.
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
    .map_err(Failure::config)?;
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
    // Connections that are still closing are not waited for.
    runtime.shutdown_background();
    Ok(output)
}
