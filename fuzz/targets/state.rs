//! Any state file: what is read of it is written and read again as the same. Knows no stream.

#![no_main]

use airbyte_protocol::state::parse_file;
use libfuzzer_sys::fuzz_target;
use source_asana::moment::Moment;
use source_asana::state::StreamState;

fuzz_target!(|text: &str| {
    let Ok(file) = parse_file(text) else { return };
    for value in file.streams.values() {
        match StreamState::parse(value) {
            Ok(state) => {
                let written = state.to_json(Moment::from_unix_milliseconds(0));
                let value = serde_json::from_str(written.get()).expect("a state is JSON");
                assert_eq!(StreamState::parse(&value), Ok(state), "{written}");
            }
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
});
