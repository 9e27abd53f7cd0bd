//! Any config: settings, or a message for the person who wrote it, which quotes no secret. Knows no platform.

#![no_main]

use airbyte_connector::FailureKind;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use source_asana::config::Settings;

/// Shorter texts may stand in a message by chance.
const TELLING: usize = 12;

fuzz_target!(|text: &str| {
    let Err(failure) = Settings::parse(text) else { return };
    assert_eq!(failure.kind, FailureKind::Configuration, "{failure}");
    assert!(!failure.message.trim().is_empty());
    let secret = serde_json::from_str::<Value>(text).ok();
    let secret = secret.as_ref().and_then(|config| config.get("token")).and_then(Value::as_str);
    if let Some(secret) = secret.filter(|secret| secret.len() >= TELLING && !secret.contains(' ')) {
        assert!(!failure.message.contains(secret), "{failure}");
    }
});
