//! Full refreshes: every object of every stream once, with the fewest requests, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use asana_simulator::{Kind, Options, RequestFloor, RequestRecord, Scale, Simulator, Token, World};
use serde_json::Value;

use crate::harness::{Connector, Run, TOKEN, catalog_of, discovered, whole_catalog};
use crate::in_process::InProcess;
use crate::truth;

fn simulator(scale: &Scale) -> Simulator {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    Simulator::start_blocking(World::generate(1, scale), options).unwrap()
}

/// The keys of a run's records, and how often each came.
pub fn delivered(run: &Run) -> BTreeMap<String, BTreeMap<String, u32>> {
    let mut delivered: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    for entry in discovered() {
        let stream = entry["name"].as_str().unwrap();
        for record in run.records(stream) {
            *delivered.entry(stream.to_owned()).or_default().entry(key(&entry, record)).or_default() += 1;
        }
    }
    delivered
}

pub fn key(entry: &Value, record: &Value) -> String {
    let columns = entry["source_defined_primary_key"].as_array().unwrap();
    let parts =
        columns.iter().map(|column| record[column[0].as_str().unwrap()].as_str().expect("a key is text"));
    parts.collect::<Vec<_>>().join("/")
}

pub fn assert_each_once(run: &Run, simulator: &Simulator) {
    let expected = simulator.world(|world| truth::keys(world, simulator.viewer(TOKEN).unwrap()));
    let delivered = delivered(run);
    for (stream, keys) in expected {
        let came = delivered.get(stream).cloned().unwrap_or_default();
        let found: BTreeSet<String> = came.keys().cloned().collect();
        let missing: Vec<_> = keys.difference(&found).take(5).collect();
        let extra: Vec<_> = found.difference(&keys).take(5).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{stream}: missing {missing:?}, extra {extra:?}");
        let twice: Vec<_> = came.iter().filter(|(_, times)| **times > 1).take(5).collect();
        assert!(twice.is_empty(), "{stream}: more than once: {twice:?}");
        assert!(!keys.is_empty(), "the world has no {stream}: this would prove nothing");
    }
}

#[test]
fn a_small_world_is_read_whole_and_each_object_once() {
    let simulator = simulator(&Scale::small());
    let run =
        Connector::new(&simulator.base_url()).read(&whole_catalog("full_refresh"), None).expect_success();
    assert_each_once(&run, &simulator);
}

/// Answers wait for their turn in memory while the output is behind.
#[test]
fn a_reader_that_is_slower_than_asana_gets_everything() {
    let simulator = simulator(&Scale::small());
    let run =
        InProcess::new(&simulator.base_url()).read_slowly(&whole_catalog("full_refresh")).expect_success();
    assert_each_once(&run, &simulator);
}

/// Accounts with more tasks than fit in memory are read like others. Here the limit is seven.
#[test]
fn an_account_that_does_not_fit_memory_is_read_whole_and_each_object_once() {
    let simulator = simulator(&Scale { plain_workspaces: 0, ..Scale::small() });
    let mut reader = InProcess::new(&simulator.base_url());
    reader.most_marks_in_memory = Some(7);
    let run = reader.read(&whole_catalog("full_refresh"), None).expect_success();
    assert_each_once(&run, &simulator);
    let floor =
        simulator.world(|world| RequestFloor::of_full_read(world, simulator.viewer(TOKEN).unwrap())).total();
    assert!(simulator.requests().len() <= floor + floor / 10, "what is below a task is read once too");
}

/// A task in two projects, of which one still needs its subtasks and the other its stories, in either order.
#[test]
fn what_slices_lack_of_a_task_they_share_is_read_whichever_comes_first() {
    let simulator = simulator(&Scale::small());
    let catalog = catalog_of(&["tasks", "subtasks", "stories"], "full_refresh");
    let connector = Connector::new(&simulator.base_url());
    let whole = connector.read(&catalog, None).expect_success().state();
    let (task, projects) = simulator.world(|world| {
        let shared = world.visible(Kind::Task, simulator.viewer(TOKEN).unwrap()).find_map(|task| {
            let projects = world.projects_of_task(task);
            let has_both =
                !world.subtasks_of_task(task).is_empty() && !world.stories_of_task(task).is_empty();
            let is_subtask = world.parent_of_task(task).is_some();
            (projects.len() > 1 && has_both && !is_subtask).then_some((task, projects))
        });
        shared.expect("a task in two projects that has subtasks and stories")
    });
    for [of_subtasks, of_stories] in [[0, 1], [1, 0]] {
        let state = without_slice(&whole, "subtasks", &projects[of_subtasks].to_string());
        let state = without_slice(&state, "stories", &projects[of_stories].to_string());
        let run = connector.read(&catalog, Some(&state)).expect_success();
        let mut delivered = delivered(&run);
        let mut found = |stream: &str| delivered.remove(stream).unwrap_or_default();
        let (subtasks, stories) = (found("subtasks"), found("stories"));
        simulator.world(|world| {
            assert!(world.subtasks_of_task(task).iter().all(|gid| subtasks.contains_key(&gid.to_string())));
            assert!(world.stories_of_task(task).iter().all(|gid| stories.contains_key(&gid.to_string())));
        });
    }
}

/// The state of a pass that has not read one slice of a stream.
fn without_slice(state: &Value, stream: &str, slice: &str) -> Value {
    let mut state = state.clone();
    for entry in state.as_array_mut().unwrap() {
        let entry = &mut entry["stream"];
        entry["stream_state"]["complete"] = false.into();
        if entry["stream_descriptor"]["name"] == stream {
            for slices in entry["stream_state"]["slices"].as_object_mut().unwrap().values_mut() {
                slices.as_array_mut().unwrap().retain(|key| key != slice);
            }
        }
    }
    state
}

#[test]
fn the_requests_are_each_other_than_the_others() {
    let simulator = simulator(&Scale::small());
    Connector::new(&simulator.base_url()).read(&whole_catalog("full_refresh"), None).expect_success();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for request in simulator.requests() {
        *seen.entry(format!("{} {:?}", request.path, request.query)).or_default() += 1;
    }
    let repeated: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}

#[test]
fn parents_that_no_one_selected_are_read_with_the_fewest_fields_and_not_emitted() {
    let simulator = simulator(&Scale::small());
    let run = Connector::new(&simulator.base_url())
        .read(&catalog_of(&["sections"], "full_refresh"), None)
        .expect_success();
    let streams: BTreeSet<_> =
        run.of_type("RECORD").map(|message| message["record"]["stream"].to_string()).collect();
    assert_eq!(streams.len(), 1);
    let fields = |endpoint: &str| -> BTreeSet<String> {
        let of_endpoint = |request: &&RequestRecord| request.endpoint == endpoint;
        let requests = simulator.requests();
        let asked = requests
            .iter()
            .filter(of_endpoint)
            .map(|request| request.parameter("opt_fields").unwrap().to_owned());
        asked.collect()
    };
    assert_eq!(fields("/workspaces"), BTreeSet::from(["gid".to_owned()]));
    assert_eq!(fields("/projects"), BTreeSet::from(["modified_at".to_owned()]));
    assert!(simulator.requests().iter().all(|request| request.endpoint != "/tasks"));
}

/// Asserts that everything but the listings per task came first, and returns the share of requests that this took.
fn share_before_the_listings_per_task(run: &Run, simulator: &Simulator) -> f64 {
    let requests = simulator.requests();
    let is_per_task = |request: &RequestRecord| request.endpoint.starts_with("/tasks/{gid}/");
    let first = requests.iter().position(is_per_task).unwrap();
    // Attachments are listed for projects too, and a search finds the tasks that have some.
    let late = |request: &&RequestRecord| {
        !is_per_task(request)
            && request.endpoint != "/attachments"
            && request.parameter("has_attachment").is_none()
    };
    let late = requests[first..].iter().find(late);
    assert!(late.is_none(), "{late:?} after the first request per task");
    let first_story = |message: &&Value| message["record"]["stream"] != "stories";
    let complete: BTreeSet<_> = (run.messages.iter().take_while(first_story))
        .map(|message| &message["trace"]["stream_status"])
        .filter(|status| status["status"] == "COMPLETE")
        .map(|status| status["stream_descriptor"]["name"].as_str().unwrap().to_owned())
        .collect();
    for stream in discovered() {
        let name = stream["name"].as_str().unwrap();
        let is_complete = complete.contains(name);
        assert_eq!(is_complete, !["subtasks", "stories", "attachments"].contains(&name), "{name}");
    }
    first as f64 / requests.len() as f64
}

#[test]
fn what_does_not_grow_with_the_tasks_is_complete_before_the_first_request_per_task() {
    let simulator = simulator(&Scale::small());
    let run =
        Connector::new(&simulator.base_url()).read(&whole_catalog("full_refresh"), None).expect_success();
    share_before_the_listings_per_task(&run, &simulator);
}

/// The figure is printed by the demo too.
#[test]
fn a_medium_world_is_read_whole_at_no_more_than_two_percent_over_the_floor() {
    let simulator = simulator(&Scale::medium());
    let run =
        Connector::new(&simulator.base_url()).read(&whole_catalog("full_refresh"), None).expect_success();
    assert_each_once(&run, &simulator);
    let floor =
        simulator.world(|world| RequestFloor::of_full_read(world, simulator.viewer(TOKEN).unwrap())).total();
    let sent = simulator.requests().len();
    assert!(sent >= floor, "{sent} requests are fewer than the floor of {floor}: the floor is wrong");
    assert!(sent as f64 <= 1.02 * floor as f64, "{sent} requests, the floor is {floor}");
    // Without the search for tasks with attachments, it takes 33,000.
    assert!(sent as f64 <= 0.65 * 33_000.0, "{sent} requests");
    let share = share_before_the_listings_per_task(&run, &simulator);
    assert!(share <= 0.05, "{:.1} % of the requests before `tasks` is complete", share * 100.0);
}
