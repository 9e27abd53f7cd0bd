//! Writes RECORD lines around the JSON text of a record, without parsing it.

use std::io::Write;

/// Appends one RECORD line to `line_buffer`: `data` between the envelope's two halves.
///
/// `data` is the JSON text of an object. It must not contain a raw line break, which would end the line early: JSON
/// strings cannot contain one, but white space between tokens can. `emitted_at` is in milliseconds since 1970.
pub fn write_line(line_buffer: &mut Vec<u8>, envelope: &Envelope, data: &[u8], emitted_at: u64) {
    debug_assert!(!data.contains(&b'\n'), "a record spans lines");
    line_buffer.extend_from_slice(&envelope.head);
    line_buffer.extend_from_slice(data);
    writeln!(line_buffer, r#","emitted_at":{emitted_at}}}}}"#).expect("a Vec takes every write");
}

/// The part of a RECORD line that is the same for every record of a stream.
#[derive(Debug, Clone)]
pub struct Envelope {
    head: Vec<u8>,
}

impl Envelope {
    pub fn new(stream: &str) -> Self {
        let name = serde_json::to_string(stream).expect("a string is JSON");
        Self { head: format!(r#"{{"type":"RECORD","record":{{"stream":{name},"data":"#).into_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_line_is_the_message_that_the_protocol_describes() {
        let mut line = Vec::new();
        write_line(&mut line, &Envelope::new("a \"b\""), br#"{"n":1.10}"#, 1_767_225_600_000);
        assert_eq!(line.pop(), Some(b'\n'));
        let text = String::from_utf8(line).unwrap();
        assert!(text.contains(r#"{"n":1.10}"#), "the record's bytes are kept: {text}");
        let parsed: Value = serde_json::from_str(&text).unwrap();
        let data = json!({"n": 1.10});
        let expected = json!({"type": "RECORD",
            "record": {"stream": "a \"b\"", "data": data, "emitted_at": 1_767_225_600_000_u64}});
        assert_eq!(parsed, expected);
    }
}
