//! Why a command cannot go on, named by what has to be done about it. Knows neither catalogs nor files.

use airbyte_protocol::message::{ErrorTrace, FailureType, StreamDescriptor};

/// An expected failure. Its text is for the user and must hold no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: FailureClass,
    pub message: String,
    pub stream: Option<StreamDescriptor>,
}

/// What has to be done: Airbyte's platform tries again unless the first failure is a `Configuration` one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The user has to change the config, the catalog or a table.
    Configuration,
    /// Trying again later may help: the network, a catalog's or a store's bad minute, another writer.
    Transient,
    /// A fault of this program or of what is piped into it.
    System,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn configuration(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Configuration, message: message.into(), stream: None }
    }

    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Transient, message: message.into(), stream: None }
    }

    pub fn system(message: impl Into<String>) -> Self {
        Self { class: FailureClass::System, message: message.into(), stream: None }
    }

    /// The same failure, told as this stream's.
    pub fn of_stream(mut self, stream: &StreamDescriptor) -> Self {
        self.stream = Some(stream.clone());
        self
    }

    pub fn to_trace(&self) -> ErrorTrace {
        ErrorTrace {
            message: self.message.clone(),
            internal_message: None,
            stack_trace: None,
            failure_type: match self.class {
                FailureClass::Configuration => FailureType::ConfigError,
                FailureClass::Transient => FailureType::TransientError,
                FailureClass::System => FailureType::SystemError,
            },
            stream_descriptor: self.stream.clone(),
        }
    }
}

/// Faults of the Iceberg library are those of storage: the file is not there, the store does not answer.
impl From<iceberg::Error> for Failure {
    fn from(error: iceberg::Error) -> Self {
        let class = match error.kind() {
            iceberg::ErrorKind::FeatureUnsupported | iceberg::ErrorKind::PreconditionFailed => {
                FailureClass::System
            }
            _ => FailureClass::Transient,
        };
        Self { class, message: with_causes(&error), stream: None }
    }
}

/// An error and what caused it, on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
