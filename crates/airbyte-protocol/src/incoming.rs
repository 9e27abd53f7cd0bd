//! Messages as a destination reads them. The data of a record stays JSON text.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::{StreamDescriptor, StreamStatus};

/// One line of a source's stdout, borrowed. Only the payload of its `kind` is set.
#[derive(Debug, Deserialize)]
pub struct Incoming<'a> {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(borrow, default)]
    pub record: Option<IncomingRecord<'a>>,
    #[serde(borrow, default)]
    pub state: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub trace: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub struct IncomingRecord<'a> {
    pub stream: String,
    #[serde(default)]
    pub namespace: Option<String>,
    /// The record's own bytes.
    #[serde(borrow)]
    pub data: &'a RawValue,
    /// Milliseconds since 1970.
    pub emitted_at: i64,
    #[serde(default)]
    pub meta: Option<IncomingMeta>,
}

/// Changes to a record between the source's API and the destination.
#[derive(Debug, Default, Deserialize)]
pub struct IncomingMeta {
    #[serde(default)]
    pub changes: Option<Vec<Change>>,
}

/// One field that differs from the source's API. All three values are words of the protocol, kept as text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Change {
    #[serde(default)]
    pub field: String,
    #[serde(default)]
    pub change: String,
    #[serde(default)]
    pub reason: String,
}

/// Which streams a STATE covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateScope {
    Stream(StreamDescriptor),
    /// Global states, and legacy states, which name no stream.
    Everything,
}

impl Incoming<'_> {
    /// The scope of the line's STATE; `None` if the line has none, or one that is not an object.
    pub fn state_scope(&self) -> Option<StateScope> {
        #[derive(Deserialize)]
        struct State {
            #[serde(default)]
            stream: Option<Stream>,
        }
        #[derive(Deserialize)]
        struct Stream {
            stream_descriptor: StreamDescriptor,
        }
        let state: State = serde_json::from_str(self.state?.get()).ok()?;
        Some(match state.stream {
            Some(stream) => StateScope::Stream(stream.stream_descriptor),
            None => StateScope::Everything,
        })
    }

    /// The stream status of the line's TRACE; `None` for every other TRACE and for unknown statuses.
    pub fn stream_status(&self) -> Option<(StreamDescriptor, StreamStatus)> {
        #[derive(Deserialize)]
        struct Trace {
            stream_status: Status,
        }
        #[derive(Deserialize)]
        struct Status {
            stream_descriptor: StreamDescriptor,
            status: StreamStatus,
        }
        let trace: Trace = serde_json::from_str(self.trace?.get()).ok()?;
        Some((trace.stream_status.stream_descriptor, trace.stream_status.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_its_bytes() {
        let line =
            r#"{"type":"RECORD","record":{"stream":"tasks","data":{"n":1.10},"emitted_at":5,"new":1}}"#;
        let incoming: Incoming = serde_json::from_str(line).unwrap();
        let record = incoming.record.unwrap();
        assert_eq!(
            (record.stream.as_str(), record.data.get(), record.emitted_at),
            ("tasks", r#"{"n":1.10}"#, 5)
        );
    }

    #[test]
    fn a_record_tells_what_happened_to_it_on_its_way() {
        let line = r#"{"type":"RECORD","record":{"stream":"tasks","data":{},"emitted_at":5,
            "meta":{"changes":[{"field":"notes","change":"TRUNCATED","reason":"SOURCE_FIELD_SIZE_LIMITATION"}]}}}"#;
        let incoming: Incoming = serde_json::from_str(line).unwrap();
        let changes = incoming.record.unwrap().meta.unwrap().changes.unwrap();
        assert_eq!((changes[0].field.as_str(), changes[0].change.as_str()), ("notes", "TRUNCATED"));
    }

    #[test]
    fn a_state_speaks_for_one_stream_or_for_everything() {
        let scope = |line: &str| serde_json::from_str::<Incoming>(line).unwrap().state_scope();
        let tasks = StreamDescriptor::named("tasks");
        assert_eq!(
            scope(
                r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"tasks"}}}}"#
            ),
            Some(StateScope::Stream(tasks))
        );
        assert_eq!(
            scope(r#"{"type":"STATE","state":{"type":"GLOBAL","stream":null}}"#),
            Some(StateScope::Everything)
        );
        assert_eq!(scope(r#"{"type":"LOG"}"#), None);
    }

    #[test]
    fn a_status_is_found_among_traces() {
        let status = |line: &str| serde_json::from_str::<Incoming>(line).unwrap().stream_status();
        let complete = r#"{"type":"TRACE","trace":{"type":"STREAM_STATUS","emitted_at":1.0,
            "stream_status":{"stream_descriptor":{"name":"tasks"},"status":"COMPLETE"}}}"#;
        assert_eq!(status(complete), Some((StreamDescriptor::named("tasks"), StreamStatus::Complete)));
        assert_eq!(status(r#"{"type":"TRACE","trace":{"type":"ERROR","error":{}}}"#), None);
    }
}
