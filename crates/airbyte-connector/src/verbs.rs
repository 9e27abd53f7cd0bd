//! The verbs of the protocol, and how a verb ends: exit codes, the trace of a failure, a reader that is gone.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use airbyte_protocol::Message;
use airbyte_protocol::message::{CheckStatus, ConnectionStatus};
use clap::{Args, Subcommand};

use crate::failure::{Failure, FailureKind};
use crate::output::Output;
use crate::signals::{Signals, Stop};

/// What a platform asks of a source. Flatten it into the program's own `clap` arguments.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SourceVerb {
    /// Print the spec: which fields the config has.
    Spec,
    /// Try the config and print whether it works.
    Check {
        /// The config file, JSON.
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the streams that can be read.
    Discover {
        /// The config file, JSON.
        #[arg(long)]
        config: PathBuf,
    },
    /// Read the configured streams.
    Read(ReadArguments),
}

/// The files that a read goes by. Flatten them into other verbs that ask about a read.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ReadArguments {
    /// The config file, JSON.
    #[arg(long)]
    pub config: PathBuf,
    /// The configured catalog, JSON.
    #[arg(long)]
    pub catalog: PathBuf,
    /// The state of an earlier sync, JSON.
    #[arg(long)]
    pub state: Option<PathBuf>,
}

/// What a platform asks of a destination. Flatten it into the program's own `clap` arguments.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DestinationVerb {
    /// Print the spec: which fields the config has.
    Spec,
    /// Try the config and print whether it works.
    Check {
        /// The config file, JSON.
        #[arg(long)]
        config: PathBuf,
    },
    /// Read protocol messages from stdin and write their records.
    Write {
        /// The config file, JSON.
        #[arg(long)]
        config: PathBuf,
        /// The configured catalog, JSON.
        #[arg(long)]
        catalog: PathBuf,
    },
}

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exit code 0.
    Done,
    /// Exit code 1. The failures are reported already.
    Failed,
}

/// What a verb returns early with is an [`Interruption`].
pub type Result<T> = std::result::Result<T, Interruption>;

/// Why a verb ended early.
#[derive(Debug)]
pub enum Interruption {
    /// Not reported yet: [`run`] prints it as an ERROR trace.
    Failure(Failure),
    /// stdout cannot be written, so nothing can be reported there.
    Output(io::Error),
}

impl From<Failure> for Interruption {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// What a verb works with.
#[derive(Debug)]
pub struct Session {
    pub output: Output,
    signals: Option<Signals>,
}

impl Session {
    /// Lets the verb stop in an orderly way: from now on a signal does not end the process for one second. `None` if the
    /// operating system does not let this process handle signals.
    pub fn stop(&self) -> Option<Stop> {
        self.signals.as_ref().map(Signals::stop)
    }
}

/// The exit code that a shell reports for a process that died of SIGTERM. Platforms take it for the normal end of a
/// process whose reader is gone.
const TERMINATED: u8 = 143;

/// Runs a verb to its exit code: 0 for [`Ending::Done`], 1 for a failure, 143 if the reader of stdout is gone. After a
/// signal it does not return.
pub fn run(verb: impl FnOnce(&mut Session) -> Result<Ending>) -> ExitCode {
    let mut session = Session { output: Output::stdout(), signals: Signals::watch().ok() };
    let result =
        verb(&mut session).and_then(|ending| session.output.flush().map(|()| ending).map_err(Into::into));
    let result = match result {
        Err(Interruption::Failure(failure)) => session.output.failure(&failure).map(|()| Ending::Failed),
        Err(Interruption::Output(error)) => Err(error),
        Ok(ending) => Ok(ending),
    };
    if let Some(signals) = &session.signals {
        signals.obey();
    }
    match result {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::FAILURE,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(TERMINATED),
        Err(error) => {
            // stderr is the only place left. If it is gone too, the exit code has to do.
            drop(writeln!(io::stderr(), "stdout cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The answer to `check`. A config that cannot work is an answer: FAILED with exit code 0. Any other failure is no answer
/// about the config, so it stays a failure.
///
/// # Errors
///
/// With the failure, unless it is of the kind `Configuration`.
pub fn connection_status(
    result: std::result::Result<Option<String>, Failure>,
) -> std::result::Result<Message, Failure> {
    let connection_status = match result {
        Ok(message) => ConnectionStatus { status: CheckStatus::Succeeded, message },
        Err(failure) if failure.kind == FailureKind::Configuration => {
            ConnectionStatus { status: CheckStatus::Failed, message: Some(failure.message) }
        }
        Err(failure) => return Err(failure),
    };
    Ok(Message::ConnectionStatus { connection_status })
}
