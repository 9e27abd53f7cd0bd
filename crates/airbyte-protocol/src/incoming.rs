//! A line as a destination reads it, a record's data kept as its own JSON text. Knows no destination.

use serde::Deserialize;
use serde_json::value::RawValue;

/// One line of a source's stdout, borrowed from it. Only the payload of its `kind` is filled.
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
}
