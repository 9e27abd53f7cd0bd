//! `spec`, `check` and `discover` as a platform calls them.

use asana_simulator::{Options, Plan, Scale, Simulator, Token, World};
use serde_json::{Value, json};

use crate::harness::{Connector, TOKEN};

fn simulator() -> Simulator {
    let options = Options { tokens: vec![Token::new(TOKEN, Plan::Paid)], ..Options::default() };
    Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap()
}

fn answer(run: &crate::harness::Run) -> (String, String) {
    assert_eq!(run.exit_code, Some(0));
    let answers: Vec<&Value> = run.of_type("CONNECTION_STATUS").collect();
    assert_eq!(answers.len(), 1);
    let status = &answers[0]["connectionStatus"];
    (status["status"].as_str().unwrap().to_owned(), status["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_good_token_says_whose_it_is_and_what_it_sees_in_one_request() {
    let simulator = simulator();
    let (status, message) = answer(&Connector::new(&simulator.base_url()).check());
    assert_eq!(status, "SUCCEEDED");
    let workspace =
        simulator.world(|world| world.gids(asana_simulator::Kind::Workspace).next().unwrap().to_string());
    assert!(message.contains(&workspace) && message.contains("The token belongs to"), "{message}");
    assert_eq!(simulator.requests().len(), 1);
}

#[test]
fn a_bad_token_fails_with_what_to_do_and_exit_code_zero() {
    let options = Options { tokens: vec![Token::new("another", Plan::Paid)], ..Options::default() };
    let simulator = Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap();
    let (status, message) = answer(&Connector::new(&simulator.base_url()).check());
    assert_eq!(status, "FAILED");
    assert!(message.contains("Check that the token is complete"), "{message}");
    assert_eq!(simulator.requests().len(), 1, "a refused token is not tried again");
}

#[test]
fn an_unknown_workspace_fails_with_those_that_are_known() {
    let simulator = simulator();
    let (status, message) =
        answer(&Connector::new(&simulator.base_url()).config(json!({"workspaces": ["42"]})).check());
    assert_eq!(status, "FAILED");
    assert!(message.contains("workspace 42") && message.contains("Workspaces seen"), "{message}");
}

#[test]
fn the_official_connectors_token_config_works_unchanged() {
    let simulator = simulator();
    let credentials = json!({"option_title": "PAT Credentials", "personal_access_token": TOKEN});
    let fields = json!({"token": null, "credentials": credentials, "num_workers": 10, "test_mode": false,
        "organization_export_ids": []});
    let (status, message) = answer(&Connector::new(&simulator.base_url()).config(fields).check());
    assert_eq!(status, "SUCCEEDED", "{message}");
}

#[test]
fn spec_and_discover_print_one_message_and_need_no_network() {
    let connector = Connector::new("http://127.0.0.1:9");
    let spec = connector.run(&["spec"]);
    assert_eq!((spec.exit_code, spec.messages.len()), (Some(0), 1));
    let config = connector.file("c.json", r#"{"token": "x"}"#);
    let discovered = connector.run(&["discover", "--config", &config]);
    assert_eq!((discovered.exit_code, discovered.messages.len()), (Some(0), 1));
    assert_eq!(discovered.messages[0]["catalog"]["streams"].as_array().unwrap().len(), 24);
}
