//! Rare answers of Asana or a proxy: endless listings, endless bodies, unusual statuses, and results that are too
//! large.

use asana_simulator::{Fault, FaultRule, Kind, Options, Plan, Scale, Simulator, Token, World};
use serde_json::{Value, json};

use crate::harness::{Run, TOKEN, catalog_of};
use crate::in_process::InProcess;

const SECTIONS: &str = "/projects/{gid}/sections";

fn simulator(scale: &Scale) -> Simulator {
    let options = Options { tokens: vec![Token::new(TOKEN, Plan::Paid)], ..Options::default() };
    Simulator::start_blocking(World::generate(1, scale), options).unwrap()
}

fn read(simulator: &Simulator, streams: &[&str], mode: &str, state: Option<&Value>) -> Run {
    simulator.clear_requests();
    InProcess::new(&simulator.base_url()).read(&catalog_of(streams, mode), state)
}

fn respond(status: u16, body: &Value) -> Fault {
    Fault::Respond { status, headers: Vec::new(), body: body.to_string() }
}

fn project(simulator: &Simulator) -> String {
    simulator.world(|world| {
        let viewer = simulator.viewer(TOKEN).unwrap();
        world.visible(Kind::Project, viewer).next().unwrap().to_string()
    })
}

fn message(run: &Run) -> String {
    run.errors().first().expect("an error")["message"].as_str().unwrap().to_owned()
}

/// Fault 22: empty pages with new offsets never ended.
#[test]
fn a_listing_of_empty_pages_without_an_end_is_given_up_and_named() {
    let simulator = simulator(&Scale::tiny());
    let project = project(&simulator);
    simulator
        .faults()
        .add(FaultRule::new("/tasks", Fault::EmptyPage).query_contains(&format!("project={project}")));
    let fault = FaultRule::new(&format!("/projects/{project}/sections"), Fault::EmptyPage);
    simulator.faults().add(fault);
    let run = read(&simulator, &["sections"], "full_refresh", None);
    assert_eq!(run.statuses("sections").last(), Some(&"INCOMPLETE"));
    assert!(message(&run).contains(&format!("/projects/{project}/sections")), "{}", message(&run));
    let requests = simulator.requests();
    let asked = requests.iter().filter(|request| request.path.contains(&project)).count();
    assert!(asked <= 20, "{asked} requests");
}

/// Fault 23: these statuses were config errors, after which a platform does not try again.
#[test]
fn statuses_that_are_nobodys_fault_are_not_the_users() {
    for status in [409, 419, 421, 423, 440, 449, 460, 499] {
        let simulator = simulator(&Scale::tiny());
        let body = json!({"errors": [{"message": "not now"}]});
        simulator.faults().add(FaultRule::new("/tags", respond(status, &body)));
        let run = read(&simulator, &["tags"], "full_refresh", None);
        assert_eq!(run.errors()[0]["failure_type"], "transient_error", "{status}: {:?}", run.errors());
    }
    for status in [405, 406, 411, 414, 415, 417, 426, 428, 431, 434] {
        let simulator = simulator(&Scale::tiny());
        let body = json!({"errors": [{"message": "not like this"}]});
        simulator.faults().add(FaultRule::new("/tags", respond(status, &body)));
        let run = read(&simulator, &["tags"], "full_refresh", None);
        assert_eq!(run.errors()[0]["failure_type"], "system_error", "{status}: {:?}", run.errors());
    }
}

/// Fault 4: a log said `GET /tasks answered 403`, and nobody could tell for which of six projects.
#[test]
fn a_refusal_names_the_object_that_was_asked_for() {
    for status in [400, 403, 500] {
        let simulator = simulator(&Scale::tiny());
        let project = project(&simulator);
        let body = json!({"errors": [{"message": "no"}]});
        let rule = FaultRule::new("/tasks", respond(status, &body));
        simulator.faults().add(rule.query_contains(&format!("project={project}")));
        let run = read(&simulator, &["tasks"], "full_refresh", None);
        let named = format!("GET /tasks?project={project} answered {status}");
        let text = format!("{:?} {:?}", run.logs(), run.errors());
        assert!(text.contains(&named), "{named}: {text}");
    }
}

/// Fault 9: it was asked once, and the user was asked to report it.
#[test]
fn a_result_that_is_too_large_is_asked_for_in_smaller_pages() {
    let simulator = simulator(&Scale::small());
    let whole = read(&simulator, &["tasks"], "full_refresh", None).expect_success().records("tasks").len();
    for limit in ["limit=100", "limit=50", "limit=25", "limit=12", "limit=6"] {
        simulator.faults().add(FaultRule::new("/tasks", Fault::TooLarge).query_contains(limit).label(limit));
    }
    let run = read(&simulator, &["tasks"], "full_refresh", None).expect_success();
    assert_eq!(run.records("tasks").len(), whole);
    assert!(simulator.faults().struck("limit=6") > 0);
}

#[test]
fn a_result_that_is_too_large_even_for_one_record_says_what_to_do_and_names_the_project() {
    let simulator = simulator(&Scale::tiny());
    let project = project(&simulator);
    let rule = FaultRule::new("/tasks", Fault::TooLarge).query_contains(&format!("project={project}"));
    simulator.faults().add(rule);
    let run = read(&simulator, &["tasks"], "full_refresh", None);
    assert_eq!(run.errors()[0]["failure_type"], "config_error", "{:?}", run.errors());
    assert!(message(&run).contains(&format!("project={project}")), "{}", message(&run));
    assert!(message(&run).contains("into smaller ones"), "{}", message(&run));
    let requests = simulator.requests();
    let of_project = requests.iter().filter(|request| request.parameter("project") == Some(&project));
    let limits: Vec<&str> = of_project.filter_map(|request| request.parameter("limit")).collect();
    assert_eq!(limits, ["100", "50", "25", "12", "6", "3", "1"]);
}

/// Fault 21: a body of hundreds of megabytes, in an error or a page, was read whole.
#[test]
fn bodies_without_an_end_are_cut_and_their_listing_is_named() {
    let simulator = simulator(&Scale::tiny());
    let project = project(&simulator);
    let path = format!("/projects/{project}/sections");
    for (status, mebibytes) in [(403, 8), (200, 33)] {
        simulator.faults().clear();
        let body = "x".repeat(mebibytes * 1024 * 1024);
        simulator.faults().add(FaultRule::new(&path, Fault::Respond { status, headers: Vec::new(), body }));
        let run = read(&simulator, &["sections"], "full_refresh", None);
        assert_eq!(run.statuses("sections").last(), Some(&"INCOMPLETE"));
        assert!(message(&run).contains(&path), "{}", message(&run));
        if status == 200 {
            assert!(message(&run).contains("more than 32 MiB"), "{}", message(&run));
        }
    }
    assert!(simulator.requests().iter().any(|request| request.endpoint == SECTIONS));
}
