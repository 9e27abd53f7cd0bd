//! Every way to sign in to a REST catalog, and what Snowflake Horizon's known refusals become.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::signature::Verifier;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::catalog_server::{CatalogServer, HORIZON};
use crate::harness::{Destination, Run, catalog, read_table, task, tasks, versions, whole};

const ENCRYPTED_KEY: &str = include_str!("../keys/encrypted-des3.pem");
const PUBLIC_KEY: &str = include_str!("../keys/public-pkcs1.pem");
const PASSPHRASE: &str = "passphrase-of-the-test";

fn connected(authentication: &Value) -> (Destination, CatalogServer) {
    let destination = Destination::new();
    let server = CatalogServer::start(destination.warehouse().to_str().unwrap(), "none");
    server.state.lock().unwrap().takes_any_secret = true;
    let rest = json!({"type": "rest", "uri": server.address, "warehouse": "house",
        "authentication": authentication});
    (destination.config(json!({"catalog": rest})), server)
}

fn write(destination: &Destination) -> Run {
    let data = (0..10).map(|gid| task(gid, 1));
    destination.write(&catalog(&[tasks("append_dedup")]), &whole("tasks", data))
}

fn assert_written(server: &CatalogServer) {
    let rows: Vec<Value> = versions(&read_table(&server.table("tasks").1)).into_values().collect();
    assert_eq!(rows, vec![json!(1); 10]);
}

/// The fields of the form with which a token was asked for.
fn field(form: &str, name: &str) -> Option<String> {
    let start = format!("{name}=");
    form.split('&').find_map(|field| field.strip_prefix(&start)).map(str::to_owned)
}

fn status(run: &Run) -> (&str, &str) {
    let status = &run.messages.last().unwrap()["connectionStatus"];
    (status["status"].as_str().unwrap(), status["message"].as_str().unwrap_or_default())
}

#[test]
fn a_key_pair_signs_in_with_a_jwt_that_another_library_verifies() {
    let (destination, server) = connected(&json!(null));
    let file = destination.folder.path().join("key.p8");
    fs::write(&file, ENCRYPTED_KEY).unwrap();
    let mut destination = destination;
    destination.config["catalog"]["authentication"] = json!({"type": "key_pair", "account": "org-account",
        "user": "loader", "private_key_file": file, "passphrase": PASSPHRASE, "scope": "session:role:LOADER"});
    let run = write(&destination).succeeded();
    assert_written(&server);
    let state = server.state.lock().unwrap();
    assert_eq!(state.forms.len(), 1);
    let form = &state.forms[0];
    assert_eq!(field(form, "client_id"), None, "with one, Snowflake answers invalid_scope");
    assert_eq!(field(form, "scope").unwrap(), "session%3Arole%3ALOADER");
    let jwt = field(form, "client_secret").unwrap();
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let signature = Signature::try_from(&*URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let public = rsa::RsaPublicKey::from_pkcs1_pem(PUBLIC_KEY).unwrap();
    VerifyingKey::<Sha256>::new(public).verify(message.as_bytes(), &signature).unwrap();
    let text = format!("{:?}", run.messages);
    assert!(!text.contains(&jwt) && !text.contains(PASSPHRASE), "a secret is printed: {text}");
}

#[test]
fn a_workload_identity_is_read_again_when_its_file_changes() {
    let (mut destination, server) = connected(&json!(null));
    let file = destination.folder.path().join("token");
    fs::write(&file, "first-oidc-token\n").unwrap();
    destination.config["catalog"]["authentication"] = json!({"type": "workload_identity", "provider": "AZURE",
        "token_file": file, "scope": "session:role:LOADER"});
    server.state.lock().unwrap().file_to_write = Some((file, "second-oidc-token\n".to_owned()));
    let run = write(&destination).succeeded();
    assert_written(&server);
    let state = server.state.lock().unwrap();
    let sent: Vec<String> = state.forms.iter().map(|form| field(form, "client_secret").unwrap()).collect();
    assert_eq!(sent, ["first-oidc-token", "second-oidc-token"]);
    let provider = |headers: &std::collections::HashMap<String, String>| {
        headers.get("x-snowflake-workload-identity-provider").cloned()
    };
    assert!(state.headers.iter().all(|headers| provider(headers).as_deref() == Some("AZURE")));
    assert!(!format!("{:?}", run.messages).contains("oidc-token"));
}

#[test]
fn a_workload_identity_without_a_token_says_where_it_was_looked_for() {
    let cases = [
        (json!({"token_file": "/no/such/token"}), "/no/such/token"),
        (json!({"token_variable": "NO_SUCH_VARIABLE"}), "NO_SUCH_VARIABLE"),
        (json!({}), "token_file or token_variable"),
    ];
    for (fields, expected) in cases {
        let mut authentication = fields;
        authentication["type"] = json!("workload_identity");
        let (destination, _server) = connected(&authentication);
        let run = destination.with_config(&["check"]).succeeded();
        assert_eq!(status(&run).0, "FAILED");
        assert!(status(&run).1.contains(expected), "{run:?}");
    }
}

#[test]
fn extra_headers_come_with_every_request_and_are_not_printed() {
    let (mut destination, server) = connected(&json!({"type": "oauth", "client_secret": "any"}));
    destination.config["catalog"]["headers"] =
        json!([{"name": "X-Gateway-Key", "value": "key-of-the-gateway"}]);
    let run = write(&destination).succeeded();
    assert_written(&server);
    let state = server.state.lock().unwrap();
    assert!(state.headers.len() > 5);
    for headers in &state.headers {
        assert_eq!(
            headers.get("x-gateway-key").map(String::as_str),
            Some("key-of-the-gateway"),
            "{headers:?}"
        );
    }
    assert!(!format!("{:?}", run.messages).contains("key-of-the-gateway"));
}

#[test]
fn refusals_of_horizon_become_sentences_that_say_what_to_do() {
    let message = |text: &str| json!({"error": {"message": text, "type": "any", "code": 1}});
    let answers = [
        (
            "GET",
            "/v1/config?warehouse=house",
            404,
            message("Unable to find warehouse house"),
            "in upper case",
        ),
        ("POST", "/tables", 403, message("Authorization failed"), "USAGE on the external volume"),
        ("POST", "/tables", 500, message("X already exists as TABLE"), "native Snowflake table"),
        ("POST", "/namespaces", 403, message("Authorization failed"), "CREATE SCHEMA"),
        (
            "GET",
            "/v1/config?warehouse=house",
            401,
            message("blocked by a Network Policy"),
            "policies of a single user",
        ),
    ];
    for (method, end, code, body, expected) in answers {
        let (mut destination, server) = connected(&json!({"type": "oauth", "client_secret": "any"}));
        destination.config["catalog"]["uri"] = json!(server.address.replace("/base", HORIZON));
        server.state.lock().unwrap().answers.push((method, end, code, body));
        let run = destination.with_config(&["check"]).succeeded();
        assert_eq!(status(&run).0, "FAILED");
        assert!(status(&run).1.contains(expected), "{end} {code}: {run:?}");
        let written = write(&destination);
        assert_eq!(written.error().0, "config_error", "trying again does not help: {written:?}");
    }
}

#[test]
fn a_token_that_is_refused_says_why_in_known_words_alone() {
    let scope = json!({"error": "invalid_scope", "error_description": "client-secret-of-the-test"});
    let policy =
        json!({"error": "invalid_client", "error_description": "client-secret-of-the-test: network policy"});
    for (body, expected) in
        [(scope, "\"session:role:LOADER\" is not granted"), (policy, "policies of a single user")]
    {
        let oauth = json!({"type": "oauth", "client_secret": "client-secret-of-the-test", "scope": "session:role:LOADER"});
        let (destination, server) = connected(&oauth);
        server.state.lock().unwrap().token_refusal = Some((400, body));
        let run = destination.with_config(&["check"]).succeeded();
        assert!(status(&run).1.contains(expected), "{run:?}");
        assert!(!format!("{run:?}").contains("client-secret-of-the-test"), "{run:?}");
    }
}

#[test]
fn maintenance_leaves_tables_of_horizon_alone_and_says_so_once() {
    let (mut destination, server) = connected(&json!({"type": "oauth", "client_secret": "any"}));
    write(&destination).succeeded();
    destination.config["catalog"]["uri"] = json!(server.address.replace("/base", HORIZON));
    let (before, _) = server.table("tasks");
    let run =
        destination.with_config(&["maintain", "--small-file-percent=100", "--keep-snapshots=1"]).succeeded();
    assert_eq!(server.table("tasks").0, before);
    let logs = run.messages.iter().filter_map(|message| message["log"]["message"].as_str());
    assert_eq!(logs.filter(|text| text.contains("Snowflake maintains the tables")).count(), 1, "{run:?}");
}

/// A server that reads the beginning of a TLS handshake, answers with `answer`, and hangs up.
fn breaking_off(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut hello = [0; 64];
            drop(stream.read(&mut hello));
            drop(stream.write_all(answer));
        }
    });
    address
}

#[test]
fn a_handshake_that_breaks_off_prints_no_secret() {
    // The harness looks for its beginning in everything that is printed.
    const SECRET: &str = "zq9Kx7Vt-handshake-secret";
    const HANDSHAKE_FAILURE: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];
    let authentications = [
        json!({"type": "oauth", "client_id": "loader", "client_secret": SECRET}),
        json!({"type": "bearer", "token": SECRET}),
    ];
    let answers = [&b""[..], HANDSHAKE_FAILURE, b"HTTP/1.1 400 Bad Request\r\n\r\nspeak plain HTTP"];
    let run = |answer: &'static [u8], authentication: &Value| {
        let (mut destination, _server) = connected(authentication);
        destination.config["catalog"]["uri"] = json!(breaking_off(answer));
        destination.config["catalog"]["headers"] = json!([{"name": "X-Gateway-Key", "value": SECRET}]);
        let check = destination.with_config(&["check"]).succeeded();
        assert_eq!(status(&check).0, "FAILED");
    };
    // Each is tried again with pauses, so they wait together.
    std::thread::scope(|scope| {
        for answer in answers {
            authentications
                .iter()
                .for_each(|authentication| drop(scope.spawn(move || run(answer, authentication))));
        }
    });
}
