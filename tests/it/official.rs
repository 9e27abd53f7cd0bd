//! Config files, catalogs and states of airbyte/source-asana 1.7 work with this connector. Facts: the spec, the catalog
//! and the states of that connector, as it prints them.

use asana_simulator::{Options, Scale, Simulator, Token, World};
use serde_json::{Value, json};

use crate::harness::{Connector, TOKEN};

/// The streams of that connector which this one has under the same name, with their keys.
const SHARED: [&str; 13] = [
    "attachments",
    "custom_fields",
    "portfolio_items",
    "portfolios",
    "projects",
    "sections",
    "stories",
    "tags",
    "tasks",
    "team_memberships",
    "teams",
    "users",
    "workspaces",
];

/// Its streams that this connector does not have.
const OTHERS: [&str; 7] = [
    "attachments_compact",
    "events",
    "organization_exports",
    "portfolios_compact",
    "portfolios_memberships",
    "sections_compact",
    "stories_compact",
];

fn simulator() -> Simulator {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap()
}

/// A configured catalog as that connector's users have it: full refreshes alone.
fn catalog(streams: &[&str]) -> Value {
    let entry = |name: &&str| {
        json!({
        "stream": {"name": name, "json_schema": {"type": "object", "properties": {
            "gid": {"type": ["null", "string"]}, "name": {"type": ["null", "string"]}}},
            "supported_sync_modes": ["full_refresh"], "source_defined_primary_key": [["gid"]],
            "is_resumable": false},
        "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"})
    };
    json!({"streams": streams.iter().map(entry).collect::<Vec<_>>()})
}

/// That connector's fields, and a rate limit, so that the test does not wait.
fn personal_access_token() -> Value {
    json!({"credentials": {"option_title": "PAT Credentials", "personal_access_token": TOKEN},
        "test_mode": false, "num_workers": 10, "organization_export_ids": ["1201"],
        "rate_limit": {"mode": "fixed", "requests_per_minute": 1_000_000}})
}

#[test]
fn its_config_catalog_and_states_go_on_working() {
    let simulator = simulator();
    let connector = Connector::with_config(&simulator.base_url(), personal_access_token());
    let run = connector.check();
    assert_eq!(run.messages[0]["connectionStatus"]["status"], "SUCCEEDED", "{:?}", run.messages);
    let states: Vec<Value> = SHARED
        .iter()
        .map(|name| {
            json!({"type": "STREAM", "stream": {"stream_descriptor": {"name": name},
            "stream_state": {"__ab_no_cursor_state_message": true}}})
        })
        .collect();
    let run = connector.read(&catalog(&SHARED), Some(&json!(states))).expect_success();
    for stream in SHARED {
        assert!(!run.records(stream).is_empty(), "{stream} has no records");
    }
}

#[test]
fn streams_that_only_it_has_are_named_and_the_others_are_read() {
    let simulator = simulator();
    let connector = Connector::with_config(&simulator.base_url(), personal_access_token());
    let run = connector.read(&catalog(&[&OTHERS[..], &["tags"]].concat()), None);
    assert_eq!(run.exit_code, Some(1));
    let mut refused: Vec<_> = run
        .errors()
        .iter()
        .map(|error| error["stream_descriptor"]["name"].as_str().unwrap().to_owned())
        .collect();
    refused.sort_unstable();
    assert_eq!(refused, OTHERS);
    assert!(!run.records("tags").is_empty());
}
