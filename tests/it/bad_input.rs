//! Input that cannot work: one clear message with what to do, the right failure type, the right exit code.

use asana_simulator::{Options, Plan, Scale, Simulator, Token, World};
use serde_json::{Value, json};

use crate::harness::{Connector, Run, TOKEN, catalog_of};

fn simulator() -> Simulator {
    let options = Options { tokens: vec![Token::new(TOKEN, Plan::Paid)], ..Options::default() };
    Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap()
}

/// The one error of a run that failed.
fn only_error(run: &Run) -> (String, String) {
    assert_eq!(run.exit_code, Some(1));
    let errors = run.errors();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    (
        errors[0]["failure_type"].as_str().unwrap().to_owned(),
        errors[0]["message"].as_str().unwrap().to_owned(),
    )
}

#[track_caller]
fn assert_refused(run: &Run, parts: &[&str]) {
    let (failure_type, message) = only_error(run);
    assert_eq!(failure_type, "config_error", "{message}");
    assert!(parts.iter().all(|part| message.contains(part)), "{message} lacks one of {parts:?}");
}

#[test]
fn files_that_are_missing_or_broken_are_named() {
    let connector = Connector::new("http://127.0.0.1:9");
    let good = connector.file("good.json", r#"{"token": "x"}"#);
    let catalog = connector.file("good_catalog.json", r#"{"streams": []}"#);
    let broken = connector.file("broken.json", "{\n \"token\": ");
    let list = connector.file("list.json", "[3]");
    let read = |config: &str, catalog: &str, state: Option<&str>| {
        let mut arguments = vec!["read", "--config", config, "--catalog", catalog];
        arguments.extend(state.into_iter().flat_map(|state| ["--state", state]));
        connector.run(&arguments)
    };
    assert_refused(&read("/nowhere.json", &catalog, None), &["config file /nowhere.json", "cannot be read"]);
    assert_refused(&read(&good, "/nowhere.json", None), &["catalog file /nowhere.json"]);
    assert_refused(&read(&good, &catalog, Some("/nowhere.json")), &["state file /nowhere.json"]);
    assert_refused(&read(&broken, &catalog, None), &["the config is not JSON", "line 2"]);
    assert_refused(&read(&good, &broken, None), &["not a configured catalog", "line 2"]);
    assert_refused(&read(&good, &list, None), &["not a configured catalog"]);
    assert_refused(&read(&good, &catalog, Some(&broken)), &["the state file", "line 2"]);
    let empty = connector.file("empty.json", " \n");
    assert_refused(&read(&empty, &catalog, None), &["the config is empty"]);
    assert_refused(&read(&good, &empty, None), &["the catalog file", "is empty"]);
    let null = connector.file("null.json", "null");
    assert_refused(&read(&good, &null, None), &["expected an object with `streams`"]);
}

/// The text of the file instead of its path, with the token in it.
#[test]
fn a_text_in_place_of_a_path_is_not_repeated() {
    let connector = Connector::new("http://127.0.0.1:9");
    let run = connector.run(&["read", "--config", &json!({"token": TOKEN}).to_string(), "--catalog", "x"]);
    assert_refused(&run, &["`--config` must be the path of a file"]);
}

/// Some editors start a file with a byte order mark.
#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let connector = Connector::new("http://127.0.0.1:9");
    let config = connector.file("marked.json", "\u{feff}{\"token\": \"x\"}");
    let catalog = connector.file("marked_catalog.json", "\u{feff}{\"streams\": []}");
    connector.run(&["read", "--config", &config, "--catalog", &catalog]).expect_success();
}

/// Empty form fields count as absent, and fields with a default are optional.
#[test]
fn a_config_with_empty_fields_is_taken() {
    let connector = Connector::new("http://127.0.0.1:9");
    let catalog = connector.file("no_streams.json", r#"{"streams": []}"#);
    let credentials = json!({"option_title": "PAT Credentials", "personal_access_token": "x"});
    for config in [
        json!({"token": "", "credentials": credentials, "start_date": "", "workspaces": [""]}),
        json!({"token": "x", "rate_limit": {"mode": "fixed"}}),
        json!({"token": "x", "rate_limit": {"mode": "adaptive"}}),
        json!({"token": "x", "rate_limit": {"mode": "share", "plan": "paid"}}),
    ] {
        let config = connector.file("config_with_empty_fields.json", &config.to_string());
        connector.run(&["read", "--config", &config, "--catalog", &catalog]).expect_success();
    }
}

#[test]
fn a_platform_that_wants_sockets_and_an_address_that_is_none_are_told() {
    let connector = Connector::new("nowhere");
    let config = connector.file("good.json", r#"{"token": "x"}"#);
    let catalog = connector.file("one_stream.json", &catalog_of(&["tags"], "full_refresh").to_string());
    let arguments = ["read", "--config", &config, "--catalog", &catalog];
    assert_refused(&connector.run(&arguments), &["correct ASANA_BASE_URL"]);
    let mut command = connector.command(&arguments);
    command.env("DATA_CHANNEL_MEDIUM", "SOCKET");
    assert_refused(&Run::of(command.output().unwrap()), &["DATA_CHANNEL_MEDIUM to STDIO"]);
}

#[test]
fn a_state_that_cannot_be_used_fails_its_stream_and_the_others_are_read() {
    let simulator = simulator();
    for (state, said) in [
        (json!({"version": 99}), "use the newer connector or reset the stream"),
        (json!({"version": 2, "complete": 7, "slices": {}}), "reset the stream"),
    ] {
        let state = json!([{"type": "STREAM",
            "stream": {"stream_descriptor": {"name": "tags"}, "stream_state": state}}]);
        let catalog = catalog_of(&["tags", "workspaces"], "incremental");
        let run = Connector::new(&simulator.base_url()).read(&catalog, Some(&state));
        assert_refused(&run, &["tags", said]);
        assert_eq!(run.errors()[0]["stream_descriptor"]["name"], "tags");
        assert_eq!(run.statuses("tags"), Vec::<&str>::new());
        assert_eq!(run.statuses("workspaces"), ["STARTED", "RUNNING", "COMPLETE"]);
    }
}

#[test]
fn a_config_that_does_not_fit_names_the_field_and_what_was_expected() {
    let connector = Connector::new("http://127.0.0.1:9");
    let check = |config: Value| {
        let path = connector.file("c.json", &config.to_string());
        let run = connector.run(&["check", "--config", &path]);
        assert_eq!(run.exit_code, Some(0), "a config that cannot work is an answer");
        assert_eq!(run.messages[0]["connectionStatus"]["status"], "FAILED");
        run.messages[0]["connectionStatus"]["message"].as_str().unwrap().to_owned()
    };
    for (config, expected) in [
        (json!([]), "the config must be an object"),
        (json!({}), "the config has no `token`"),
        (json!({"token": " "}), "the access token is empty"),
        (json!({"token": 3}), "config field `token` must be text"),
        (json!({"token": "x", "start_date": "0000-01-01T00:00:00Z"}), "expected a time from 1970 on"),
        (
            json!({"credentials": {"option_title": "AWS Secrets Manager", "secret_id": " "}}),
            "paste it into `credentials.secret_id`",
        ),
        (json!({"token": "x", "workspaces": ["1", 2]}), "config field `workspaces.1` must be text"),
        (
            json!({"token": "x", "start_date": "last week"}),
            "config field `start_date` must look like 2024-01-01T00:00:00Z",
        ),
        (json!({"token": "x", "start_date": "2024-02-30T00:00:00Z"}), "config field `start_date`"),
        (
            json!({"token": "x", "rate_limit": {"mode": "fixed", "requests_per_minute": 0}}),
            "config field `rate_limit.requests_per_minute` must be at least 1",
        ),
        (
            json!({"token": "x", "rate_limit": {"mode": "fast"}}),
            "config field `rate_limit.mode` must be one of",
        ),
        (
            json!({"credentials": {"option_title": "PAT Credentials"}}),
            "config field `credentials.personal_access_token` is missing",
        ),
        (
            json!({"credentials": {"option_title": "OAuth Credentials", "client_id": "a", "client_secret": "b"}}),
            "config field `credentials.refresh_token` is missing",
        ),
    ] {
        let message = check(config.clone());
        assert!(message.contains(expected), "{config}: {message}");
    }
}

#[test]
fn an_unknown_stream_is_an_error_and_the_others_are_read() {
    let simulator = simulator();
    let mut catalog = catalog_of(&["workspaces"], "full_refresh");
    let unknown = json!({"stream": {"name": "Task", "json_schema": {}}, "sync_mode": "INVALID",
        "destination_sync_mode": "INVALID"});
    catalog["streams"].as_array_mut().unwrap().push(unknown);
    let run = Connector::new(&simulator.base_url()).read(&catalog, None);
    assert_refused(&run, &["`Task`", "did you mean `tasks`?"]);
    assert_eq!(run.errors()[0]["stream_descriptor"]["name"], "Task");
    assert_eq!(run.statuses("workspaces"), ["STARTED", "RUNNING", "COMPLETE"]);
}

#[test]
fn a_catalog_of_unknown_streams_alone_is_an_error_for_each_and_an_empty_one_is_none() {
    let connector = Connector::new("http://127.0.0.1:9");
    let stream = |name: &str| {
        json!({"stream": {"name": name, "json_schema": {}}, "sync_mode": "INVALID",
        "destination_sync_mode": "INVALID"})
    };
    let run = connector.read(&json!({"streams": [stream("Task"), stream("events")]}), None);
    assert_eq!(run.exit_code, Some(1));
    let streams: Vec<_> =
        run.errors().iter().map(|error| error["stream_descriptor"]["name"].clone()).collect();
    assert_eq!(streams, ["Task", "events"]);
    connector.read(&json!({"streams": []}), None).expect_success();
}

#[test]
fn a_workspace_that_the_token_does_not_see_stops_the_sync() {
    let simulator = simulator();
    let run = Connector::new(&simulator.base_url())
        .config(json!({"workspaces": ["42"]}))
        .read(&catalog_of(&["tags"], "full_refresh"), None);
    assert_eq!(run.exit_code, Some(1));
    assert!(run.errors().iter().all(|error| error["failure_type"] == "config_error"));
    assert!(run.errors()[0]["message"].as_str().unwrap().contains("workspace 42"));
    assert_eq!(run.statuses("tags"), ["STARTED", "RUNNING", "INCOMPLETE"]);
}
