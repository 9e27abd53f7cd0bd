//! Each fault as a client meets it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use asana_simulator::{DEFAULT_TOKEN, Fault, FaultRule, Kind};
use serde_json::json;

use crate::client::{Account, gids};

fn tasks(account: &Account) -> String {
    let project = account.simulator.world(|world| world.gids(Kind::Project).next().unwrap());
    format!("/tasks?project={project}")
}

fn struck(account: &Account, fault: Fault) {
    account.simulator.faults().add(FaultRule::new("/tasks", fault).times(1).label("test"));
}

/// What comes over the wire after a request, and how it ends.
fn raw(account: &Account, path: &str) -> (String, Result<(), std::io::ErrorKind>) {
    let mut stream = TcpStream::connect(account.simulator.address()).unwrap();
    let request = format!(
        "GET /api/1.0{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {DEFAULT_TOKEN}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut received = Vec::new();
    let end = stream.read_to_end(&mut received).map(|_| ()).map_err(|error| error.kind());
    (String::from_utf8_lossy(&received).into_owned(), end)
}

#[test]
fn statuses_carry_asana_s_body_and_the_wait() {
    let account = Account::small();
    let path = tasks(&account);
    for status in [429, 500, 502, 503, 504] {
        struck(&account, Fault::Status { status, retry_after: Some(7) });
        let answer = account.get(&path);
        assert_eq!((answer.status, answer.retry_after), (status, Some(7)));
        assert!(!answer.message().is_empty());
        assert_eq!(answer.body["errors"][0]["phrase"].is_string(), status == 500);
        assert_eq!(account.get(&path).status, 200, "once only");
    }
    struck(&account, Fault::Respond { status: 451, headers: Vec::new(), body: "no".to_owned() });
    let answer = account.get(&path);
    assert_eq!((answer.status, answer.text.as_str()), (451, "no"));
}

#[test]
fn errors_of_listings_come_with_asana_s_words() {
    let account = Account::small();
    let path = tasks(&account);
    for (fault, words) in [
        (Fault::ExpiredOffset, "offset: Your pagination token has expired."),
        (Fault::TooLarge, "The result is too large."),
        (Fault::TruncatedSet, "The result set is too large and has been truncated."),
    ] {
        struck(&account, fault);
        let answer = account.get(&path);
        assert_eq!(answer.status, 400);
        assert!(answer.message().starts_with(words));
    }
}

#[test]
fn connections_break_before_and_inside_the_answer() {
    let account = Account::small();
    let path = tasks(&account);
    struck(&account, Fault::ResetBeforeHeaders);
    let (received, end) = raw(&account, &path);
    assert_eq!((received.as_str(), end), ("", Err(std::io::ErrorKind::ConnectionReset)));
    struck(&account, Fault::TruncatedBody(10));
    let (received, end) = raw(&account, &path);
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && body.len() == 10 && end.is_ok());
    struck(&account, Fault::ResetInBody);
    assert!(account.try_get(&path).is_err());
    assert_eq!(account.get(&path).status, 200);
    let requests = account.simulator.requests();
    assert_eq!((requests[0].status, requests[0].fault.as_deref()), (0, Some("test")));
}

#[test]
fn slow_answers_arrive_whole() {
    let account = Account::small();
    let path = tasks(&account);
    let expected = account.get(&path).text;
    for fault in [Fault::SlowHeaders(Duration::from_millis(3)), Fault::SlowBody(Duration::from_millis(1))] {
        struck(&account, fault);
        assert_eq!(account.get(&path).text, expected);
    }
}

#[test]
fn bodies_may_be_garbage_pretty_or_of_wrong_types() {
    let account = Account::small();
    let path = tasks(&account);
    let expected = account.get(&path);
    struck(&account, Fault::GarbageBody);
    let garbage = account.get(&path);
    assert!(garbage.status == 200 && garbage.body.is_null());
    struck(&account, Fault::PrettyBody);
    let pretty = account.get(&path);
    assert_eq!(pretty.body, expected.body);
    assert!(pretty.text.lines().count() > 100);
    struck(&account, Fault::WrongType { field: "name".to_owned(), value: json!({ "not": "a name" }) });
    let wrong = account.get(&path);
    assert!(wrong.rows().iter().all(|row| row["name"]["not"] == "a name"));
}

#[test]
fn pages_may_be_empty_short_or_overlap_and_still_lead_to_everything() {
    let account = Account::small();
    let path = tasks(&account);
    let expected = gids(&account.all(&path, 50));
    for (nth, fault) in
        [(1, Fault::EmptyPage), (2, Fault::EmptyPage), (1, Fault::ShortPage(7)), (3, Fault::ShortPage(1))]
    {
        account.simulator.faults().clear();
        account.simulator.faults().add(FaultRule::new("/tasks", fault.clone()).nth(nth).label("page"));
        assert_eq!(gids(&account.all(&path, 50)), expected, "{fault:?}");
        assert_eq!(account.simulator.faults().struck("page"), 1);
    }
    account.simulator.faults().clear();
    struck(&account, Fault::EmptyPage);
    let empty = account.get(&format!("{path}&limit=50"));
    assert!(empty.rows().is_empty() && empty.body["next_page"].is_object());
    account.simulator.faults().add(FaultRule::new("/tasks", Fault::DuplicateRow).query_contains("offset="));
    let overlapping = gids(&account.all(&path, 50));
    assert_eq!(overlapping[49], overlapping[50]);
    assert!(overlapping.len() > expected.len());
    let mut once = overlapping;
    once.dedup();
    assert_eq!(once, expected);
}

#[test]
fn rules_can_be_aimed_and_removed() {
    let account = Account::small();
    let task = account.simulator.world(|world| world.gids(Kind::Task).next().unwrap());
    let fault = Fault::Status { status: 503, retry_after: None };
    account.simulator.faults().add(FaultRule::new(&format!("/tasks/{task}/*"), fault).label("one task"));
    let other = account.simulator.world(|world| world.gids(Kind::Task).nth(2).unwrap());
    assert_eq!(account.get(&format!("/tasks/{task}/stories")).status, 503);
    assert_eq!(account.get(&format!("/tasks/{other}/stories")).status, 200);
    account.simulator.faults().remove("one task");
    assert_eq!(account.get(&format!("/tasks/{task}/stories")).status, 200);
}

#[test]
fn the_clock_can_jump_while_pages_are_read() {
    let account = Account::small();
    let path = tasks(&account);
    let jump = Fault::ClockJump(Duration::from_secs(16 * 60));
    account.simulator.faults().add(FaultRule::new("/tasks", jump).query_contains("offset=").times(1));
    let first = account.get(&format!("{path}&limit=50"));
    let second = account.get(first.body["next_page"]["path"].as_str().unwrap());
    assert_eq!((second.status, second.message()), (400, "offset: Your pagination token has expired."));
}
