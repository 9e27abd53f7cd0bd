//! An expected failure, and the ERROR trace that reports it.

use std::fmt;

use airbyte_protocol::message::{ErrorTrace, FailureType, StreamDescriptor};

pub type Result<T> = std::result::Result<T, Failure>;

/// Why a verb, or one stream of it, cannot go on.
///
/// The message is for the person who runs the sync. It says what happened, to which object, and what to do next. It must
/// not contain a secret; [`Output`](crate::Output) redacts the secrets that it knows all the same, because a message may
/// quote what a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// The stream that failed; `None` if the whole verb failed.
    pub stream: Option<StreamDescriptor>,
}

/// Who can fix it.
///
/// The order is the order in which a connector reports several failures: Airbyte's platform retries a job unless the
/// first ERROR trace is a `config_error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// Nobody: a later attempt may succeed. Airbyte's `transient_error`.
    Transient,
    /// The people who build the connector. Airbyte's `system_error`.
    System,
    /// The person who runs the sync. Airbyte's `config_error`.
    Configuration,
}

impl From<FailureKind> for FailureType {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Transient => Self::TransientError,
            FailureKind::System => Self::SystemError,
            FailureKind::Configuration => Self::ConfigError,
        }
    }
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), stream: None }
    }

    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Configuration, message)
    }

    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Transient, message)
    }

    pub fn system(message: impl Into<String>) -> Self {
        Self::new(FailureKind::System, message)
    }

    /// The same failure, reported for this stream.
    pub fn of_stream(mut self, stream: StreamDescriptor) -> Self {
        self.stream = Some(stream);
        self
    }

    pub fn to_trace(&self) -> ErrorTrace {
        ErrorTrace {
            message: self.message.clone(),
            internal_message: None,
            stack_trace: None,
            failure_type: self.kind.into(),
            stream_descriptor: self.stream.clone(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// An error and its causes on one line. A cause that the text before it already contains is left out.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_failures_come_first() {
        let mut kinds = [FailureKind::Configuration, FailureKind::System, FailureKind::Transient];
        kinds.sort();
        assert_eq!(kinds, [FailureKind::Transient, FailureKind::System, FailureKind::Configuration]);
    }

    #[test]
    fn a_trace_names_the_kind_and_the_stream() {
        let trace = Failure::configuration("no").of_stream(StreamDescriptor::named("tasks")).to_trace();
        assert_eq!(trace.failure_type, FailureType::ConfigError);
        assert_eq!(trace.stream_descriptor, Some(StreamDescriptor::named("tasks")));
    }

    #[test]
    fn every_cause_is_named_once() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the file cannot be read")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = Outer(std::io::Error::other("the disk is gone"));
        assert_eq!(with_causes(&error), "the file cannot be read: the disk is gone");
    }
}
