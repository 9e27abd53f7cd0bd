//! `estimate` beside the sync that follows: the real binary says how many requests the sync takes.

use std::time::Duration;

use asana_simulator::{Plan, RequestRecord, Scale};
use serde_json::{Value, json};

use crate::harness::{Run, catalog_of, whole_catalog};
use crate::in_process::InProcess;
use crate::incremental::{Account, by_endpoint, change_one_percent};

/// Requests besides one per project that an estimate may take.
const BESIDES: usize = 50;

/// What an estimate says, and what it took.
struct Said {
    requests: f64,
    text: Value,
    sent: Vec<RequestRecord>,
}

fn estimate(account: &Account, catalog: &Value, state: Option<&Value>) -> Said {
    account.simulator.clear_requests();
    let command = account.connector.read_command(catalog, state);
    let arguments = command.get_args().skip(1).map(|argument| argument.to_str().unwrap());
    let arguments: Vec<&str> = ["estimate"].into_iter().chain(arguments).chain(["--json"]).collect();
    let output = account.connector.command(&arguments).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{stdout}");
    let text: Value = serde_json::from_str(&stdout).unwrap();
    let sent = account.simulator.requests();
    assert_eq!(text["requests_sent"], sent.len(), "{text}");
    let lines = [&text["streams"], &text["others"]].into_iter().flat_map(|lines| lines.as_array().unwrap());
    let sum: f64 = lines.map(|line| line["requests"].as_f64().unwrap()).sum();
    let requests = text["requests"].as_f64().unwrap();
    assert!((sum - requests).abs() < 30.0, "the lines add up to {sum}: {text}");
    Said { requests, text, sent }
}

/// Asserts that an estimate took few requests, and that the sync then takes as many as it says.
fn assert_estimated(account: &Account, catalog: &Value, state: Option<&Value>, within: f64) -> Run {
    let said = estimate(account, catalog, state);
    let projects = account
        .simulator
        .world(|world| world.visible(asana_simulator::Kind::Project, world.main_viewer()).count());
    let plan = account.plan;
    assert!(
        said.sent.len() <= projects + BESIDES,
        "{plan:?}: {} requests: {}",
        said.sent.len(),
        by_endpoint(&said.sent)
    );
    account.simulator.clear_requests();
    let run = InProcess::new(&account.simulator.base_url()).read(catalog, state).expect_success();
    let requests = account.simulator.requests();
    let actual = requests.len() as f64;
    eprintln!(
        "{plan:?}: {} estimated by {}, {actual} sent: {:+.1} %\n{}\n{}",
        said.requests,
        said.sent.len(),
        100.0 * (said.requests - actual) / actual,
        said.text,
        by_endpoint(&requests)
    );
    assert!((said.requests - actual).abs() <= within * actual, "{plan:?}: {} for {actual}", said.requests);
    run
}

/// A full sync within 10 %, and the incremental ones that follow within 25 %.
fn assert_all_estimated(scale: &Scale, plan: Plan) {
    let account = Account::new(scale, plan);
    assert_estimated(&account, &whole_catalog("full_refresh"), None, 0.1);
    let catalog = whole_catalog("incremental");
    let first = assert_estimated(&account, &catalog, None, 0.1);
    account.simulator.advance(Duration::from_secs(60 * 60));
    let quiet = assert_estimated(&account, &catalog, Some(&first.state()), 0.25);
    change_one_percent(&account.simulator);
    let changed = assert_estimated(&account, &catalog, Some(&quiet.state()), 0.25);
    // The stored records are compared with what exists once in 20 hours.
    account.simulator.advance(Duration::from_secs(21 * 60 * 60));
    assert_estimated(&account, &catalog, Some(&changed.state()), 0.25);
}

#[test]
fn syncs_of_a_small_world_take_what_the_estimate_says() {
    for plan in [Plan::Free, Plan::Paid] {
        assert_all_estimated(&Scale::small(), plan);
    }
}

#[test]
fn syncs_of_a_medium_world_on_the_free_plan_take_what_the_estimate_says() {
    assert_all_estimated(&Scale::medium(), Plan::Free);
}

#[test]
fn syncs_of_a_medium_world_on_a_paid_plan_take_what_the_estimate_says() {
    assert_all_estimated(&Scale::medium(), Plan::Paid);
}

#[test]
fn some_streams_alone_are_estimated_too() {
    for streams in
        [&["tasks"][..], &["stories"], &["subtasks"], &["sections"], &["projects", "goals"], &["workspaces"]]
    {
        let account = Account::new(&Scale::small(), Plan::Paid);
        let catalog = catalog_of(streams, "incremental");
        let first = assert_estimated(&account, &catalog, None, 0.1);
        assert_estimated(&account, &catalog, Some(&first.state()), 0.25);
    }
}

/// What most requests are for, and what the sync takes without it.
#[test]
fn the_sync_without_the_dominant_stream_takes_what_the_estimate_says() {
    let account = Account::new(&Scale::small(), Plan::Paid);
    let catalog = catalog_of(&["projects", "tasks", "stories"], "full_refresh");
    let said = estimate(&account, &catalog, None);
    assert_eq!(said.text["dominant"]["stream"], "stories");
    account.simulator.clear_requests();
    let less = catalog_of(&["projects", "tasks"], "full_refresh");
    InProcess::new(&account.simulator.base_url()).read(&less, None).expect_success();
    assert_eq!(said.text["dominant"]["without"]["requests"], account.simulator.requests().len());
}

#[test]
fn a_person_gets_a_table() {
    let account = Account::new(&Scale::tiny(), Plan::Paid);
    let command = account.connector.read_command(&whole_catalog("full_refresh"), None);
    let arguments = command.get_args().skip(1).map(|argument| argument.to_str().unwrap());
    let arguments: Vec<&str> = ["estimate"].into_iter().chain(arguments).collect();
    let output = account.connector.command(&arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("The sync takes about ") && text.contains("\nstories "), "{text}");
}

#[test]
fn an_account_that_cannot_be_read_is_no_estimate_of_zero() {
    let account = Account::new(&Scale::tiny(), Plan::Paid);
    let connector = account.connector.config(json!({"token": "wrong"}));
    let command = connector.read_command(&whole_catalog("full_refresh"), None);
    let arguments = command.get_args().skip(1).map(|argument| argument.to_str().unwrap());
    let arguments: Vec<&str> = ["estimate"].into_iter().chain(arguments).collect();
    let run = connector.run(&arguments);
    assert_eq!(run.exit_code, Some(1));
    assert_eq!(run.errors()[0]["failure_type"], "config_error");
}
