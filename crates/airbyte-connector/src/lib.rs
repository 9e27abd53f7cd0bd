//! What every Airbyte connector in Rust needs, whatever it reads or writes: the verbs and their exit codes, configs with
//! messages that a person can act on, secrets that cannot be printed, failures as ERROR traces, the only writer of stdout,
//! and signals.
//!
//! A connector has three parts: a config struct, what it does for each verb, and `main`. This is a whole source:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use airbyte_connector::verbs::{self, Ending, Interruption, Session, SourceVerb};
//! use airbyte_connector::{Failure, Secret, Secrets, config, files};
//! use airbyte_protocol::Message;
//! use airbyte_protocol::record::Envelope;
//! use clap::Parser;
//!
//! /// Counts.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Config {
//!     /// The token to send.
//!     token: Secret,
//!     /// The last number.
//!     last: u64,
//! }
//!
//! #[derive(Parser)]
//! struct Arguments {
//!     #[command(subcommand)]
//!     verb: SourceVerb,
//! }
//!
//! fn main() -> ExitCode {
//!     let Arguments { verb } = Arguments::parse();
//!     verbs::run(|session| run(verb, session))
//! }
//!
//! fn run(verb: SourceVerb, session: &mut Session) -> Result<Ending, Interruption> {
//!     match verb {
//!         SourceVerb::Check { config } => {
//!             let checked = read_config(&config, session).map(|config| Some(format!("up to {}", config.last)));
//!             session.output.message(verbs::connection_status(checked)?)?;
//!         }
//!         SourceVerb::Read(arguments) => {
//!             let config = read_config(&arguments.config, session)?;
//!             let envelope = Envelope::new("numbers");
//!             for number in 1..=config.last {
//!                 let data = format!(r#"{{"number":{number}}}"#);
//!                 session.output.push_record(&envelope, data.as_bytes(), airbyte_connector::unix_milliseconds())?;
//!             }
//!         }
//!         // `spec` prints `config::form_schema::<Config>()`, `discover` a catalog.
//!         SourceVerb::Spec | SourceVerb::Discover { .. } => return Err(Failure::system("left out here").into()),
//!     }
//!     Ok(Ending::Done)
//! }
//!
//! fn read_config(path: &std::path::Path, session: &mut Session) -> Result<Config, Failure> {
//!     let config = config::parse(&files::read(path, "config")?)?;
//!     let config: Config = config::fit(config, &config::form_schema::<Config>())?;
//!     let secrets = Secrets::default();
//!     secrets.learn(&config.token);
//!     session.output.hide(&secrets);
//!     Ok(config)
//! }
//! ```
//!
//! What the verbs owe the platform:
//!
//! - Everything on stdout is a protocol message; [`Output`] is the only writer. A STATE is pushed behind the records that it
//!   covers, and every STATE before any ERROR trace, because some platforms stop reading at the first ERROR.
//! - A verb that fails returns its [`Failure`]. [`verbs::run`] prints it as an ERROR trace and exits with 1.
//! - A config that cannot work is an answer of `check`: FAILED, with exit code 0 ([`verbs::connection_status`]).
//! - A signal ends the process at once, unless the verb holds a [`signals::Stop`]: then it has one second to print its last
//!   states.
//!
//! Messages are those of the crate `airbyte-protocol`, which does no I/O.

mod clock;
pub mod config;
mod failure;
pub mod files;
mod output;
mod secrets;
mod server_text;
pub mod signals;
pub mod verbs;

pub use clock::unix_milliseconds;
pub use failure::{Failure, FailureKind, Result, with_causes};
pub use output::Output;
pub use secrets::{Secret, Secrets};
pub use server_text::{Redacted, ServerText};
