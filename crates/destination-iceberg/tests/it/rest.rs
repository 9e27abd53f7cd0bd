//! REST catalogs: OAuth, the prefix, vended credentials, and every answer that leaves a commit in doubt.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::catalog_server::{CLIENT_ID, CatalogServer, Fault, PREFIX};
use crate::harness::{Destination, Run, catalog, read_table, task, tasks, versions, whole};

/// Plain enough to stand in a form as it is; the config's other secret is the odd one.
const CLIENT_SECRET: &str = "client-secret-of-the-test";

fn connected() -> (Destination, CatalogServer) {
    let destination = Destination::new();
    let server = CatalogServer::start(destination.warehouse().to_str().unwrap(), CLIENT_SECRET);
    let oauth =
        json!({"type": "oauth", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": "all"});
    let rest = json!({"type": "rest", "uri": server.address, "warehouse": "house", "authentication": oauth});
    (destination.config(json!({"catalog": rest})), server)
}

fn write(destination: &Destination, version: u64) -> Run {
    let data = (0..10).map(|gid| task(gid, version));
    let run = destination.write(&catalog(&[tasks("append_dedup")]), &whole("tasks", data));
    let text = format!("{:?}", run.messages);
    assert!(!text.contains(CLIENT_SECRET) && !text.contains("token-"), "a secret is printed: {text}");
    run
}

fn rows(server: &CatalogServer) -> Vec<Value> {
    versions(&read_table(&server.table("tasks").1)).into_values().collect()
}

fn snapshots(server: &CatalogServer) -> usize {
    server.table("tasks").0.snapshots().count()
}

#[test]
fn check_and_two_syncs_and_maintain_through_oauth_and_prefix() {
    let (destination, server) = connected();
    let run = destination.with_config(&["check"]).succeeded();
    assert_eq!(run.messages[0]["connectionStatus"]["status"], "SUCCEEDED", "{run:?}");
    assert!(server.state.lock().unwrap().tables.is_empty(), "check leaves no table");
    write(&destination, 1).succeeded();
    write(&destination, 2).succeeded();
    assert_eq!(rows(&server), vec![json!(2); 10]);
    destination.with_config(&["maintain", "--small-file-percent=100"]).succeeded();
    let table = read_table(&server.table("tasks").1);
    assert_eq!((table.data_files, table.position_delete_files, table.rows.len()), (1, 0, 10));
    let state = server.state.lock().unwrap();
    let in_prefix = |path: &str| path.contains(PREFIX) || path.contains("oauth") || path.contains("config");
    assert!(state.requests.iter().all(|(_, path, _)| in_prefix(path)));
    let loads = state.requests.iter().filter(|(method, path, _)| method == "GET" && path.ends_with("/tasks"));
    assert!(loads.clone().count() > 0 && loads.clone().all(|(_, _, vended)| *vended));
}

#[test]
fn a_wrong_secret_is_the_users_to_change() {
    let (mut destination, _server) = connected();
    destination.config["catalog"]["authentication"]["client_secret"] = json!("wrong");
    let run = destination.with_config(&["check"]).succeeded();
    let status = &run.messages[0]["connectionStatus"];
    assert_eq!(status["status"], "FAILED");
    assert!(status["message"].as_str().unwrap().contains("client secret"), "{status}");
    assert_eq!(write(&destination, 1).error().0, "config_error");
}

#[test]
fn a_commit_that_did_not_happen_is_made_again() {
    for fault in [Fault::Unavailable, Fault::Lost, Fault::Conflict] {
        let (destination, server) = connected();
        write(&destination, 1).succeeded();
        server.fault(&[fault, fault]);
        let run = write(&destination, 2).succeeded();
        assert_eq!((rows(&server), snapshots(&server)), (vec![json!(2); 10], 2), "{fault:?}");
        assert_eq!(run.states().len(), 1);
    }
}

/// A commit that is overtaken is made again from the table as it is then, so what it wrote first is of no use.
#[test]
fn a_commit_that_is_overtaken_or_given_up_leaves_no_file_behind() {
    for deletes in ["position_deletes", "copy_on_write"] {
        for (faults, is_given_up) in [(2, false), (8, true)] {
            let (destination, server) = connected();
            let destination = destination.config(json!({"deletes": deletes}));
            write(&destination, 1).succeeded();
            server.fault(&vec![Fault::Conflict; faults]);
            let run = write(&destination, 2);
            assert_eq!(run.exit_code != Some(0), is_given_up, "{run:?}");
            let expected = if is_given_up { 1 } else { 2 };
            assert_eq!(rows(&server), vec![json!(expected); 10]);
            let run = destination.with_config(&["maintain", "--remove-orphans-after-hours", "0"]).succeeded();
            let text = format!("{:?}", run.messages);
            assert!(text.contains(" 0 orphans removed"), "{deletes}, {faults} conflicts: {text}");
        }
    }
}

#[test]
fn files_of_a_commit_that_may_still_arrive_stay() {
    for fault in [Fault::Lost, Fault::CommittedLost] {
        let (destination, server) = connected();
        let destination = destination.config(json!({"deletes": "copy_on_write"}));
        write(&destination, 1).succeeded();
        server.fault(&[fault, Fault::Refused]);
        let run = write(&destination, 2);
        // Either the table has the commit, or nobody knows whether it will.
        let expected = if fault == Fault::Lost { (1, 1) } else { (2, 0) };
        assert_eq!((rows(&server), run.exit_code), (vec![json!(expected.0); 10], Some(expected.1)));
        let run = destination.with_config(&["maintain", "--remove-orphans-after-hours", "0"]).succeeded();
        let has_orphans = !format!("{:?}", run.messages).contains(" 0 orphans removed");
        assert_eq!(has_orphans, fault == Fault::Lost, "{:?}", run.messages);
    }
}

#[test]
fn a_catalog_that_lets_no_snapshot_expire_gets_the_rows_all_the_same() {
    let (destination, server) = connected();
    let fields = json!({"maintenance_percent": 20, "snapshot_retention_hours": 0});
    let destination = destination.config(fields);
    write(&destination, 1).succeeded();
    server.fault(&[Fault::Refused]);
    let run = write(&destination, 2).succeeded();
    assert_eq!((rows(&server), snapshots(&server)), (vec![json!(2); 10], 2));
    let warnings = run.messages.iter().filter(|message| message["log"]["level"] == "WARN");
    let texts: Vec<&str> = warnings.filter_map(|message| message["log"]["message"].as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("could not be maintained")), "{texts:?}");
    write(&destination, 3).succeeded();
    assert_eq!((rows(&server), snapshots(&server)), (vec![json!(3); 10], 1));
}

#[test]
fn a_commit_whose_answer_was_lost_is_recognised_and_not_made_again() {
    for fault in [Fault::CommittedTimeout, Fault::CommittedLost] {
        for mode in ["append", "append_dedup", "overwrite"] {
            let (destination, server) = connected();
            server.fault(&[fault]);
            let data = (0..10).map(|gid| task(gid, 1));
            let run = destination.write(&catalog(&[tasks(mode)]), &whole("tasks", data)).succeeded();
            assert_eq!((rows(&server), snapshots(&server)), (vec![json!(1); 10], 1), "{fault:?} {mode}");
            assert_eq!(
                (run.states().len(), server.count("POST", "/tables/tasks")),
                (1, 1),
                "{fault:?} {mode}"
            );
        }
    }
}

#[test]
fn a_catalog_that_stays_down_fails_the_sync_without_a_state() {
    let (destination, server) = connected();
    write(&destination, 1).succeeded();
    server.fault(&[Fault::Unavailable; 8]);
    let run = write(&destination, 2);
    assert_eq!((run.error().0, run.states().len()), ("transient_error", 0));
    assert_eq!(rows(&server), vec![json!(1); 10]);
}

#[test]
fn a_refused_commit_is_not_tried_again() {
    let (destination, server) = connected();
    server.fault(&[Fault::Refused]);
    let run = write(&destination, 1);
    assert!(run.error().1.contains("no such feature"), "{run:?}");
    assert_eq!((run.error().0, run.states().len()), ("config_error", 0));
    assert_eq!(server.count("POST", "/tables/tasks"), 1);
}

#[test]
fn a_token_that_is_revoked_in_the_middle_is_renewed() {
    let (destination, server) = connected();
    server.fault(&[Fault::Revoked]);
    write(&destination, 1).succeeded();
    assert_eq!(server.state.lock().unwrap().tokens_given, 2);
    assert_eq!(rows(&server).len(), 10);
}

#[test]
fn vended_credentials_that_end_soon_are_renewed_before_writing() {
    let (destination, server) = connected();
    write(&destination, 1).succeeded();
    let loads_without = server.count("GET", "/tables/tasks");
    let already_over = "1000".to_owned();
    let ends = [("s3.session-token-expires-at-ms".to_owned(), already_over)];
    server.state.lock().unwrap().table_config.extend(ends);
    write(&destination, 2).succeeded();
    let loads_with = server.count("GET", "/tables/tasks") - loads_without;
    assert!(loads_with >= 2, "{loads_with} loads of the table: one to open it and one to renew");
}

#[test]
fn a_refusal_that_repeats_the_token_is_told_without_it() {
    let (destination, server) = connected();
    server.fault(&[Fault::Echo, Fault::Echo]);
    // `write` looks for both secrets in everything that is printed.
    let run = write(&destination, 1);
    assert!(run.error().1.contains("bad header"), "{run:?}");
}

/// A server that sends every request elsewhere, and tells of each.
fn redirecting(status: u16, target: &str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (told, requests) = mpsc::channel();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nlocation: {target}?secret={CLIENT_SECRET}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            drop(told.send(line));
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (address, requests)
}

#[test]
fn a_redirected_token_address_gets_no_secret_to_another_server() {
    for status in [302, 307, 308] {
        let (mut destination, _server) = connected();
        let (elsewhere, requests) = redirecting(200, "/");
        let (token_address, _) = redirecting(status, &elsewhere);
        destination.config["catalog"]["authentication"]["token_uri"] = json!(token_address);
        let run = write(&destination, 1);
        assert!(run.error().1.contains(&elsewhere), "{run:?}");
        assert_eq!(run.error().0, "config_error");
        assert!(requests.try_recv().is_err(), "the other server is not asked");
    }
}

#[test]
fn a_redirected_catalog_is_not_followed_to_another_server() {
    let (mut destination, server) = connected();
    let (elsewhere, requests) = redirecting(200, "/");
    let (address, _) = redirecting(307, &elsewhere);
    let token_address = format!("{}/v1/oauth/tokens", server.address);
    destination.config["catalog"]["uri"] = json!(address);
    destination.config["catalog"]["authentication"]["token_uri"] = json!(token_address);
    let run = write(&destination, 1);
    assert!(run.error().1.contains(&elsewhere), "{run:?}");
    assert!(requests.try_recv().is_err(), "the other server is not asked");
}

#[test]
fn streams_that_are_named_like_folders_stay_in_their_addresses() {
    let (destination, server) = connected();
    for (name, table) in [(".", "_"), ("..", "__")] {
        let mut stream = tasks("append");
        stream["stream"]["name"] = json!(name);
        for _ in 0..2 {
            destination
                .write(&catalog(std::slice::from_ref(&stream)), &whole(name, [task(1, 1)]))
                .succeeded();
        }
        assert_eq!(read_table(&server.table(table).1).rows.len(), 2, "{name}");
    }
}

#[test]
fn a_commit_is_recognised_by_its_files_where_the_catalog_rewrites_summaries() {
    for fault in [Fault::CommittedTimeout, Fault::CommittedLost] {
        for mode in ["append", "append_dedup", "overwrite"] {
            let (destination, server) = connected();
            server.state.lock().unwrap().rewrites_summaries = true;
            server.fault(&[fault]);
            let data = (0..10).map(|gid| task(gid, 1));
            let run = destination.write(&catalog(&[tasks(mode)]), &whole("tasks", data)).succeeded();
            assert_eq!((rows(&server), snapshots(&server)), (vec![json!(1); 10], 1), "{fault:?} {mode}");
            assert_eq!(run.states().len(), 1);
            let (metadata, _) = server.table("tasks");
            let mut summaries =
                metadata.snapshots().map(|snapshot| &snapshot.summary().additional_properties);
            assert!(
                summaries.all(|summary| !summary.contains_key("airbyte.commit-id")),
                "the server keeps no id"
            );
        }
    }
}

#[test]
fn a_commit_that_was_lost_is_made_again_where_the_catalog_rewrites_summaries() {
    for fault in [Fault::Unavailable, Fault::Lost, Fault::Conflict] {
        let (destination, server) = connected();
        server.state.lock().unwrap().rewrites_summaries = true;
        write(&destination, 1).succeeded();
        server.fault(&[fault, fault]);
        write(&destination, 2).succeeded();
        assert_eq!((rows(&server), snapshots(&server)), (vec![json!(2); 10], 2), "{fault:?}");
    }
}

#[test]
fn a_schema_with_a_new_column_gets_an_id_that_is_free() {
    let (destination, server) = connected();
    write(&destination, 1).succeeded();
    for column in ["first", "second"] {
        let mut wider = tasks("append_dedup");
        wider["stream"]["json_schema"]["properties"][column] = json!({"type": ["null", "string"]});
        let data = (0..10).map(|gid| task(gid, 2));
        destination.write(&catalog(&[wider]), &whole("tasks", data)).succeeded();
    }
    let (metadata, _) = server.table("tasks");
    assert_eq!(metadata.schemas_iter().count(), 3);
    assert!(metadata.current_schema().field_by_name("second").is_some());
    assert_eq!(rows(&server), vec![json!(2); 10]);
}
