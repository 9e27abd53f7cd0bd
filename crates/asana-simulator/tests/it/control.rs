//! The control endpoints, as a test in another language uses them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use asana_simulator::{Control, Kind, Options, Scale, World};
use serde_json::{Value, json};

use crate::client::Account;

fn account(control: Control) -> Account {
    Account::new(World::generate(1, &Scale::tiny()), Options { control, ..Options::default() })
}

fn send(account: &Account, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(account.simulator.address()).unwrap();
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn it_answers_only_where_it_is_on() {
    assert_eq!(send(&account(Control::Off), "GET", "/control/requests", &Value::Null).0, 404);
    assert_eq!(send(&account(Control::On), "GET", "/control/requests", &Value::Null).0, 200);
}

#[test]
fn the_world_can_be_changed_and_compared() {
    let account = account(Control::On);
    let task = account.simulator.world(|world| world.gids(Kind::Task).next().unwrap());
    let edit = json!({ "kind": "rename_task", "task": task, "name": "renamed" });
    assert_eq!(send(&account, "POST", "/control/edits", &edit), (200, json!({ "gid": task })));
    assert_eq!(account.get(&format!("/tasks/{task}")).body["data"]["name"], "renamed");
    for wrong in [json!({ "kind": "nothing" }), json!({ "kind": "complete_task", "task": "17" })] {
        assert_eq!(send(&account, "POST", "/control/edits", &wrong).0, 400, "{wrong}");
    }
    let (status, truth) = send(&account, "GET", "/control/truth/tasks?opt_fields=name", &Value::Null);
    assert_eq!(status, 200);
    let rows = truth["data"].as_array().unwrap();
    assert_eq!(
        rows.len(),
        account.simulator.world(|world| world.visible(Kind::Task, world.main_viewer()).count())
    );
    assert!(rows.contains(&json!({ "gid": task, "name": "renamed" })));
    for collection in
        ["portfolio_items", "stories", "portfolios", "custom_field_settings", "team_memberships"]
    {
        let (status, truth) = send(&account, "GET", &format!("/control/truth/{collection}"), &Value::Null);
        assert!(status == 200 && !truth["data"].as_array().unwrap().is_empty(), "{collection}");
    }
    assert_eq!(send(&account, "GET", "/control/truth/nothings", &Value::Null).0, 400);
}

#[test]
fn log_clock_faults_and_floor_are_at_hand() {
    let account = account(Control::On);
    let fault = json!({ "pattern": "/workspaces", "status": 503, "retry_after": 1, "times": 1 });
    assert_eq!(send(&account, "POST", "/control/faults", &fault).0, 200);
    assert_eq!(account.get("/workspaces").status, 503);
    assert_eq!(account.get("/workspaces").status, 200);
    let (_, log) = send(&account, "GET", "/control/requests", &Value::Null);
    let statuses: Vec<_> =
        log["data"].as_array().unwrap().iter().map(|record| record["status"].clone()).collect();
    assert_eq!(statuses, [503, 200]);
    send(&account, "DELETE", "/control/requests", &Value::Null);
    assert!(account.simulator.requests().is_empty());
    let before = account.simulator.now();
    send(&account, "POST", "/control/clock", &json!({ "advance_seconds": 3600 }));
    assert!(account.simulator.now().0 - before.0 >= 3_600_000);
    let (_, floor) = send(&account, "GET", "/control/floor", &Value::Null);
    assert!(floor["total"].as_u64().unwrap() > 100);
}
