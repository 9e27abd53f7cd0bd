//! Expected failures, classed by what to do about them, with Airbyte's failure type and the exit code that
//! follow. Knows no HTTP.

use std::fmt;

use airbyte_protocol::message::{ErrorTrace, FailureType, StreamDescriptor};

use crate::asana::{self, Fault};

/// Something that went wrong and has to be told. Its message is for the person who runs the sync: what
/// happened, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: Class,
    pub message: String,
    /// The stream that failed; `None` where it is the whole command.
    pub stream: Option<String>,
}

/// Who can mend it. The order is the order in which failures are told: the platform retries a job unless the
/// first one asks for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Time: trying again later may work.
    Transient,
    /// The people who build the connector.
    Bug,
    /// The person who runs it.
    Config,
}

impl Failure {
    pub fn config(message: impl Into<String>) -> Self {
        Self { class: Class::Config, message: message.into(), stream: None }
    }

    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: Class::Transient, message: message.into(), stream: None }
    }

    pub fn bug(message: impl Into<String>) -> Self {
        Self { class: Class::Bug, message: message.into(), stream: None }
    }

    /// What a request's fault is to the sync.
    pub fn of(fault: &Fault) -> Self {
        let class = match fault.class() {
            asana::Class::PersonMustAct => Class::Config,
            asana::Class::Transient => Class::Transient,
            asana::Class::Bug => Class::Bug,
        };
        Self { class, message: fault.to_string(), stream: None }
    }

    pub fn of_stream(mut self, stream: &str) -> Self {
        self.stream = Some(stream.to_owned());
        self
    }

    pub fn trace(&self) -> ErrorTrace {
        ErrorTrace {
            message: self.message.clone(),
            internal_message: None,
            stack_trace: None,
            failure_type: match self.class {
                Class::Transient => FailureType::TransientError,
                Class::Bug => FailureType::SystemError,
                Class::Config => FailureType::ConfigError,
            },
            stream_descriptor: self.stream.as_deref().map(StreamDescriptor::named),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
