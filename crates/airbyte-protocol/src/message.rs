//! Messages that a connector prints, except records, which `record` writes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::catalog::Catalog;

/// One line of a connector's stdout.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Message {
    Spec {
        spec: ConnectorSpecification,
    },
    ConnectionStatus {
        #[serde(rename = "connectionStatus")]
        connection_status: ConnectionStatus,
    },
    Catalog {
        catalog: Catalog,
    },
    State {
        state: StateMessage,
    },
    Trace {
        trace: Trace,
    },
    Log {
        log: Log,
    },
    Control {
        control: Control,
    },
}

impl Message {
    /// The message as one line of JSON with its newline.
    pub fn to_line(&self) -> String {
        let mut line = Vec::new();
        self.write_line(&mut line);
        String::from_utf8(line).expect("JSON is UTF-8")
    }

    /// Appends that line to `line_buffer`.
    pub fn write_line(&self, line_buffer: &mut Vec<u8>) {
        serde_json::to_writer(&mut *line_buffer, self).expect("a protocol message is plain data");
        line_buffer.push(b'\n');
    }

    /// Changes the texts for people. The texts for programs stay: names, types, states, configs.
    pub fn with_texts(mut self, change: impl Fn(&str) -> String) -> Self {
        let texts = match &mut self {
            Self::Log { log } => vec![Some(&mut log.message), log.stack_trace.as_mut()],
            Self::ConnectionStatus { connection_status } => vec![connection_status.message.as_mut()],
            Self::Trace { trace: Trace { body: TraceBody::Error { error }, .. } } => {
                let ErrorTrace { message, internal_message, stack_trace, .. } = error;
                vec![Some(message), internal_message.as_mut(), stack_trace.as_mut()]
            }
            Self::Trace { .. }
            | Self::Spec { .. }
            | Self::Catalog { .. }
            | Self::State { .. }
            | Self::Control { .. } => Vec::new(),
        };
        for text in texts.into_iter().flatten() {
            *text = change(text);
        }
        self
    }

    pub fn log(level: Level, message: impl Into<String>) -> Self {
        Self::Log { log: Log { level, message: message.into(), stack_trace: None } }
    }

    pub fn stream_status(
        stream: &str,
        status: StreamStatus,
        reasons: Vec<StatusReason>,
        emitted_at: u64,
    ) -> Self {
        let trace = TraceBody::StreamStatus {
            stream_status: StreamStatusTrace {
                stream_descriptor: StreamDescriptor::named(stream),
                status,
                reasons,
            },
        };
        Self::Trace { trace: Trace { emitted_at, body: trace } }
    }

    pub fn error(error: ErrorTrace, emitted_at: u64) -> Self {
        Self::Trace { trace: Trace { emitted_at, body: TraceBody::Error { error } } }
    }

    pub fn estimate(estimate: Estimate, emitted_at: u64) -> Self {
        Self::Trace { trace: Trace { emitted_at, body: TraceBody::Estimate { estimate } } }
    }

    /// `stream_state` is JSON on one line.
    pub fn stream_state(stream: &str, stream_state: Box<RawValue>, record_count: u64) -> Self {
        Self::State {
            state: StateMessage {
                kind: StateKind::Stream,
                stream: StreamState { stream_descriptor: StreamDescriptor::named(stream), stream_state },
                source_stats: SourceStats { record_count: record_count as f64 },
            },
        }
    }

    /// The complete new config. The platform replaces the old one by it.
    pub fn new_config(config: Value, emitted_at: u64) -> Self {
        Self::Control {
            control: Control {
                kind: ControlKind::ConnectorConfig,
                emitted_at,
                connector_config: ConnectorConfig { config },
            },
        }
    }
}

/// The answer of the `spec` verb. `connection_specification` is a JSON schema, draft 07.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorSpecification {
    #[serde(rename = "documentationUrl", skip_serializing_if = "Option::is_none")]
    pub documentation_url: Option<String>,
    #[serde(rename = "changelogUrl", skip_serializing_if = "Option::is_none")]
    pub changelog_url: Option<String>,
    #[serde(rename = "connectionSpecification")]
    pub connection_specification: Value,
    #[serde(rename = "supportsIncremental", skip_serializing_if = "Option::is_none")]
    pub supports_incremental: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported_destination_sync_modes: Option<Vec<String>>,
    /// Airbyte's platform accepts only major version 0. If absent, it assumes `0.2.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advanced_auth: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    pub status: CheckStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckStatus {
    Succeeded,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamDescriptor {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl StreamDescriptor {
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), namespace: None }
    }
}

/// A checkpoint of one stream. It has no `id`, because the platform adds its own.
#[derive(Debug, Clone, Serialize)]
pub struct StateMessage {
    #[serde(rename = "type")]
    pub kind: StateKind,
    pub stream: StreamState,
    #[serde(rename = "sourceStats")]
    pub source_stats: SourceStats,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StateKind {
    Stream,
}

#[derive(Debug, Clone, Serialize)]
pub struct StreamState {
    pub stream_descriptor: StreamDescriptor,
    /// JSON text, because it can be large and only the connector interprets it.
    pub stream_state: Box<RawValue>,
}

/// `record_count` is the number of RECORDs of this stream since its previous STATE, written `3.0`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SourceStats {
    #[serde(rename = "recordCount")]
    pub record_count: f64,
}

/// `emitted_at` is in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub emitted_at: u64,
    // `flatten` worsens error messages of parsing, but nothing parses this type.
    #[serde(flatten)]
    pub body: TraceBody,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TraceBody {
    Error { error: ErrorTrace },
    Estimate { estimate: Estimate },
    StreamStatus { stream_status: StreamStatusTrace },
    Analytics { analytics: Analytics },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorTrace {
    /// The text for the user.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
    pub failure_type: FailureType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_descriptor: Option<StreamDescriptor>,
}

/// The platform retries a job unless its first failure is `ConfigError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureType {
    SystemError,
    ConfigError,
    TransientError,
}

/// Both numbers are required: the platform's tracker fails if one is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: EstimateKind,
    pub row_estimate: u64,
    pub byte_estimate: u64,
}

/// A sync must not use both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EstimateKind {
    Stream,
    Sync,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStatusTrace {
    pub stream_descriptor: StreamDescriptor,
    pub status: StreamStatus,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<StatusReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamStatus {
    Started,
    Running,
    Complete,
    Incomplete,
}

/// The platform evaluates a reason only with RUNNING, and only if there is a single one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StatusReason {
    RateLimited { rate_limited: RateLimited },
}

/// `quota_reset` is in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimited {
    pub quota_reset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analytics {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    pub level: Level,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    #[serde(rename = "type")]
    pub kind: ControlKind,
    pub emitted_at: u64,
    #[serde(rename = "connectorConfig")]
    pub connector_config: ConnectorConfig,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ControlKind {
    ConnectorConfig,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorConfig {
    pub config: Value,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn as_json(message: &Message) -> Value {
        let line = message.to_line();
        assert_eq!(line.matches('\n').count(), 1, "one message is one line");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_state_counts_in_a_number_with_a_decimal_point_and_has_no_id() {
        let state = RawValue::from_string(r#"{"version": 1}"#.to_owned()).unwrap();
        let message = Message::stream_state("tasks", state, 3);
        assert!(message.to_line().contains(r#""recordCount":3.0"#));
        assert_eq!(
            as_json(&message),
            json!({"type": "STATE", "state": {"type": "STREAM",
                "stream": {"stream_descriptor": {"name": "tasks"}, "stream_state": {"version": 1}},
                "sourceStats": {"recordCount": 3.0}}})
        );
    }

    #[test]
    fn a_status_puts_type_and_payload_beside_each_other() {
        let limited = StatusReason::RateLimited { rate_limited: RateLimited { quota_reset: 9 } };
        assert_eq!(
            as_json(&Message::stream_status("tasks", StreamStatus::Running, vec![limited], 7)),
            json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 7, "stream_status": {
                "stream_descriptor": {"name": "tasks"}, "status": "RUNNING",
                "reasons": [{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": 9}}]}}})
        );
    }

    #[test]
    fn an_error_names_its_failure_type_in_snake_case() {
        let error = ErrorTrace {
            message: "no".into(),
            internal_message: None,
            stack_trace: None,
            failure_type: FailureType::ConfigError,
            stream_descriptor: Some(StreamDescriptor::named("tasks")),
        };
        assert_eq!(
            as_json(&Message::error(error, 7)),
            json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 7, "error": {"message": "no",
                "failure_type": "config_error", "stream_descriptor": {"name": "tasks"}}}})
        );
    }

    #[test]
    fn a_check_answers_in_camel_case() {
        let connection_status = ConnectionStatus { status: CheckStatus::Failed, message: Some("why".into()) };
        assert_eq!(
            as_json(&Message::ConnectionStatus { connection_status }),
            json!({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "FAILED", "message": "why"}})
        );
    }

    #[test]
    fn a_new_config_travels_whole() {
        assert_eq!(
            as_json(&Message::new_config(json!({"token": "t"}), 7)),
            json!({"type": "CONTROL", "control": {"type": "CONNECTOR_CONFIG", "emitted_at": 7,
                "connectorConfig": {"config": {"token": "t"}}}})
        );
    }
}
