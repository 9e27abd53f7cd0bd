//! Signing in: OAuth against the simulator's token endpoint, and a token in AWS Secrets Manager against a server that
//! implements one call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use asana_simulator::{App, Fault, FaultRule, Options, Refresh, Scale, Simulator, Token, World};
use serde_json::{Value, json};

use crate::harness::{Connector, Run, TOKEN, catalog_of};

const REFRESH_TOKEN: &str = "1/1204567:refresh0123456789abcdef0123456789";
const CLIENT_SECRET: &str = "secret0123456789abcdef0123456789";
const HOUR: Duration = Duration::from_secs(60 * 60);

fn simulator(refresh: Refresh, lifetime: Duration) -> Simulator {
    let app = App {
        client_id: "1204".to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        refresh_token: REFRESH_TOKEN.to_owned(),
        refresh,
        lifetime,
        token: Token::service_account(TOKEN),
    };
    let options = Options { tokens: Vec::new(), app: Some(app), ..Options::default() };
    Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap()
}

/// In the form of Airbyte's own connector, with a rate limit so that the test does not wait.
fn config(client_secret: &str, refresh_token: &str) -> Value {
    json!({"credentials": {"option_title": "OAuth Credentials", "client_id": "1204",
        "client_secret": client_secret, "refresh_token": refresh_token},
        "rate_limit": {"mode": "fixed", "requests_per_minute": 1_000_000}})
}

fn connector(simulator: &Simulator) -> Connector {
    Connector::with_config(&simulator.base_url(), config(CLIENT_SECRET, REFRESH_TOKEN))
}

fn catalog() -> Value {
    catalog_of(&["tasks", "stories"], "full_refresh")
}

/// Asserts that no secret is in any message except those that send the config to the platform.
fn assert_nothing_told(run: &Run) {
    for message in run.messages.iter().filter(|message| message["type"] != "CONTROL") {
        let text = message.to_string();
        assert!(!text.contains(REFRESH_TOKEN) && !text.contains(CLIENT_SECRET), "{text}");
    }
}

fn new_configs(run: &Run) -> Vec<&Value> {
    run.of_type("CONTROL").map(|message| &message["control"]["connectorConfig"]["config"]).collect()
}

#[test]
fn an_access_token_is_got_once_and_used_for_everything() {
    let simulator = simulator(Refresh::Kept, HOUR);
    let run = connector(&simulator).read(&catalog(), None).expect_success();
    assert!(!run.records("stories").is_empty());
    assert_eq!(simulator.exchanges(), 1);
    assert_nothing_told(&run);
    assert!(new_configs(&run).is_empty(), "there is nothing to keep");
}

#[test]
fn a_token_that_is_refused_in_the_middle_is_replaced_once_and_the_sync_goes_on() {
    let simulator = simulator(Refresh::Kept, HOUR);
    let refusal = Fault::Status { status: 401, retry_after: None };
    simulator.faults().add(FaultRule::new("/tasks/*/stories", refusal).nth(5).label("refused"));
    let run = connector(&simulator).read(&catalog(), None).expect_success();
    assert_eq!(simulator.faults().struck("refused"), 1);
    assert_eq!(simulator.exchanges(), 2);
    assert_nothing_told(&run);
}

#[test]
fn a_token_that_is_about_to_expire_is_replaced_before_it_is_refused() {
    let simulator = simulator(Refresh::Kept, Duration::from_secs(30));
    connector(&simulator).read(&catalog(), None).expect_success();
    assert!(simulator.exchanges() > 1);
    assert!(simulator.requests().iter().all(|request| request.status != 401));
}

#[test]
fn another_refresh_token_is_handed_to_the_platform_with_the_whole_config() {
    let simulator = simulator(Refresh::Replaced, HOUR);
    for verb in ["check", "read"] {
        let mut now = config(CLIENT_SECRET, REFRESH_TOKEN);
        if verb == "read" {
            // The result of the check.
            now = config(CLIENT_SECRET, &format!("{REFRESH_TOKEN}-1"));
        }
        let connector = Connector::with_config(&simulator.base_url(), now.clone());
        let run = match verb {
            "check" => connector.check(),
            _ => connector.read(&catalog(), None).expect_success(),
        };
        assert_nothing_told(&run);
        let configs = new_configs(&run);
        assert_eq!(configs.len(), 1, "{verb}");
        let next = format!("{REFRESH_TOKEN}-{}", simulator.exchanges());
        let mut expected = now;
        expected["credentials"]["refresh_token"] = json!(next);
        assert_eq!(configs[0], &expected, "{verb}");
    }
}

#[test]
fn an_app_that_is_not_let_in_any_more_asks_for_a_new_sign_in() {
    let simulator = simulator(Refresh::Kept, HOUR);
    for config in [config("another", REFRESH_TOKEN), config(CLIENT_SECRET, "another")] {
        let connector = Connector::with_config(&simulator.base_url(), config);
        let check = connector.check();
        assert_eq!(check.exit_code, Some(0));
        let status = &check.messages[0]["connectionStatus"];
        assert_eq!(status["status"], "FAILED");
        assert!(status["message"].as_str().unwrap().contains("Sign in with Asana again"), "{status}");
        let read = connector.read(&catalog(), None);
        assert_eq!(read.exit_code, Some(1));
        assert!(read.errors().iter().all(|error| error["failure_type"] == "config_error"));
        assert_nothing_told(&read);
    }
}

/// The page is long before it repeats the request, so that the cut for the message is in the middle of a secret.
#[test]
fn a_token_endpoint_that_repeats_the_request_in_a_page_does_not_bring_a_secret_into_any_message() {
    let parts = [&REFRESH_TOKEN[10..18], &CLIENT_SECRET[..8]];
    for before in [0, 10, 30, 50, 60, 70, 80, 90, 100, 110] {
        let simulator = simulator(Refresh::Kept, HOUR);
        let page = format!(
            "<html>{}refresh_token={REFRESH_TOKEN}&client_secret={CLIENT_SECRET}</html>",
            "x".repeat(before)
        );
        let fault = Fault::Respond { status: 502, headers: Vec::new(), body: page };
        simulator.faults().add(FaultRule::new("/-/oauth_token", fault));
        let run = connector(&simulator).check();
        let text = format!("{:?}", run.messages);
        assert!(text.contains("502"), "{text}");
        for part in parts {
            assert!(!text.contains(part), "{before}: {part} is in {text}");
        }
    }
}

/// The client ID names the app and is not a secret. A short one would occur in gids and times.
#[test]
fn a_short_client_id_is_not_taken_out_of_other_text() {
    let simulator = simulator(Refresh::Kept, HOUR);
    let refusal = json!({"errors": [{"message": "workspace: Not a recognized ID: 12045678"}]}).to_string();
    let fault = Fault::Respond { status: 400, headers: Vec::new(), body: refusal };
    simulator.faults().add(FaultRule::new("/tags", fault));
    let run = connector(&simulator).read(&catalog_of(&["tags"], "full_refresh"), None);
    let message = run.errors()[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Not a recognized ID: 12045678"), "{message}");
}

/// One call's worth of AWS Secrets Manager: gives its address, and the request's head and body when it came.
fn secrets_manager(status: &'static str, answer: Value) -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0);
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let answer = answer.to_string();
        write!(
            connection,
            "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        )
        .unwrap();
        sender.send((head, serde_json::from_slice(&body).unwrap())).unwrap();
    });
    (address, receiver)
}

fn check_with_secret(simulator: &Simulator, endpoint: &str, credentials: Value) -> Run {
    let connector = Connector::with_config(&simulator.base_url(), json!({"credentials": credentials}));
    let mut command = connector.check_command();
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    Run::of(command.output().unwrap())
}

fn message(run: &Run) -> String {
    run.messages[0]["connectionStatus"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_token_comes_from_aws_secrets_manager() {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    let simulator = Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap();
    let held = json!({"ARN": "arn", "Name": "asana", "SecretString": json!({"token": TOKEN}).to_string()});
    let (endpoint, asked) = secrets_manager("200 OK", held);
    let credentials = json!({"option_title": "AWS Secrets Manager", "secret_id": "prod/asana",
        "region": "eu-central-1"});
    let run = check_with_secret(&simulator, &endpoint, credentials);
    assert_eq!(run.messages[0]["connectionStatus"]["status"], "SUCCEEDED", "{:?}", run.messages);
    let (head, body) = asked.recv().unwrap();
    assert!(head.contains("x-amz-target: secretsmanager.getsecretvalue"), "{head}");
    assert!(
        head.contains("akidexample/") && head.contains("/eu-central-1/secretsmanager/aws4_request"),
        "{head}"
    );
    assert_eq!(body, json!({"SecretId": "prod/asana"}));
}

/// The harness looks for the token in all output.
#[test]
fn an_answer_that_cannot_be_read_is_not_shown() {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    let simulator = Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap();
    let held = json!({"CreatedDate": "today", "Name": "asana",
        "SecretString": json!({"token": TOKEN}).to_string()});
    let (endpoint, _asked) = secrets_manager("200 OK", held);
    let credentials = json!({"option_title": "AWS Secrets Manager", "secret_id": "prod/asana",
        "region": "eu-central-1"});
    let run = check_with_secret(&simulator, &endpoint, credentials);
    assert!(run.messages[0].to_string().contains("cannot be read from AWS"), "{:?}", run.messages);
}

#[test]
fn what_the_secret_lacks_is_said() {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    let simulator = Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap();
    let credentials = json!({"option_title": "AWS Secrets Manager", "secret_id": "prod/asana",
        "region": "eu-central-1", "json_key": "asana_token"});
    let held = json!({"Name": "asana", "SecretString": json!({"token": TOKEN}).to_string()});
    let gone = json!({"__type": "ResourceNotFoundException", "Message": "no such secret"});
    let forbidden = json!({"__type": "AccessDeniedException", "Message": "not for you"});
    for (status, answer, said) in [
        ("200 OK", held, "has no key `asana_token`; it has `token`"),
        ("400 Bad Request", gone, "does not exist: check its name or ARN, and the region"),
        ("400 Bad Request", forbidden, "secretsmanager:GetSecretValue"),
    ] {
        let (endpoint, _asked) = secrets_manager(status, answer);
        let run = check_with_secret(&simulator, &endpoint, credentials.clone());
        assert_eq!(run.messages[0]["connectionStatus"]["status"], "FAILED");
        assert!(message(&run).contains(said), "{}", message(&run));
        assert_eq!(simulator.requests().len(), 0, "Asana is not asked without a token");
    }
}
