//! Parses the state that a platform passes to a source, in every shape that platforms use.

use std::collections::BTreeMap;

use serde_json::Value;

/// The contents of a state file: each stream's state, and log messages about the parts that were ignored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateFile {
    pub streams: BTreeMap<String, Value>,
    pub passed_over: Vec<String>,
}

/// Why a state file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotState(pub String);

/// Parses a state file. An empty file, `null`, `{}` and `[]` mean no state. Otherwise the file has one STATE message or
/// a list of them, per stream or global. Nulls, unknown keys and repeated keys are accepted, because PyAirbyte writes
/// them. A legacy object is ignored with a log message, because it does not say to which stream it belongs.
pub fn parse_file(text: &str) -> Result<StateFile, NotState> {
    let mut file = StateFile::default();
    if text.trim().is_empty() {
        return Ok(file);
    }
    // `Value` keeps the last of repeated keys instead of refusing them.
    let value: Value = serde_json::from_str(text).map_err(|error| {
        NotState(format!("it is not JSON (line {}, column {})", error.line(), error.column()))
    })?;
    match value {
        Value::Null => {}
        Value::Array(messages) => {
            for (index, message) in messages.into_iter().enumerate() {
                take_message(&mut file, message, &format!("element {index}"));
            }
        }
        Value::Object(_) => take_message(&mut file, value, "the file"),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(NotState("it is neither a list of STATE messages nor an object".to_owned()));
        }
    }
    Ok(file)
}

fn take_message(file: &mut StateFile, message: Value, place: &str) {
    let Value::Object(mut message) = message else {
        if !message.is_null() {
            file.passed_over.push(format!("{place} of the state is not an object"));
        }
        return;
    };
    if message.is_empty() {
        return;
    }
    // A complete protocol message instead of its payload.
    if let Some(Value::Object(inner)) = message.remove("state") {
        message = inner;
    }
    if let Some(stream @ Value::Object(_)) = message.get("stream") {
        take_stream(file, stream, place);
    } else if let Some(Value::Object(global)) = message.get("global") {
        for stream in global.get("stream_states").and_then(Value::as_array).into_iter().flatten() {
            take_stream(file, stream, place);
        }
    } else {
        file.passed_over.push(format!("{place} of the state is in the legacy form, which names no stream"));
    }
}

fn take_stream(file: &mut StateFile, stream: &Value, place: &str) {
    let Some(name) = stream.pointer("/stream_descriptor/name").and_then(Value::as_str) else {
        file.passed_over.push(format!("{place} of the state names no stream"));
        return;
    };
    match stream.get("stream_state") {
        // A null state means that the stream was reset.
        None | Some(Value::Null) => drop(file.streams.remove(name)),
        Some(state) => drop(file.streams.insert(name.to_owned(), state.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn streams(text: &str) -> BTreeMap<String, Value> {
        parse_file(text).unwrap().streams
    }

    #[test]
    fn no_state_has_many_shapes() {
        for text in ["", " \n", "null", "{}", "[]", "[null]", "[{}]"] {
            assert_eq!(parse_file(text).unwrap(), StateFile::default(), "{text:?}");
        }
    }

    #[test]
    fn a_list_with_nulls_unknown_keys_and_a_repeated_key_is_read() {
        let text = r#"[{"type":"STREAM","global_":null,"data":null,"destinationStats":null,
            "stream":{"stream_descriptor":{"name":"tasks","namespace":null},"stream_state":{"a":1}},"global_":null}]"#;
        assert_eq!(streams(text), BTreeMap::from([("tasks".to_owned(), json!({"a": 1}))]));
    }

    #[test]
    fn a_global_state_is_taken_apart() {
        let text = r#"{"type":"GLOBAL","global":{"shared_state":{"x":1},"stream_states":[
            {"stream_descriptor":{"name":"users"},"stream_state":{"b":2}}]}}"#;
        assert_eq!(streams(text), BTreeMap::from([("users".to_owned(), json!({"b": 2}))]));
    }

    #[test]
    fn a_null_stream_state_means_reset() {
        let text =
            r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"tasks"},"stream_state":null}}]"#;
        assert_eq!(parse_file(text).unwrap(), StateFile::default());
    }

    #[test]
    fn legacy_and_nameless_states_are_passed_over_with_a_word() {
        for text in [
            r#"{"tasks":{"modified_at":"x"}}"#,
            r#"[{"type":"LEGACY","data":{"a":1}}]"#,
            r#"[{"stream":{}}]"#,
        ] {
            let file = parse_file(text).unwrap();
            assert!(file.streams.is_empty());
            assert_eq!(file.passed_over.len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_no_state_is_refused_with_a_place() {
        assert_eq!(parse_file("[\n{]").unwrap_err(), NotState("it is not JSON (line 2, column 2)".into()));
        assert!(parse_file("3").is_err());
    }
}
