//! Interrupted reads resume: whatever line is the last, and however often, the union is the world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use asana_simulator::{Fault, FaultRule, Kind, Options, Plan, Scale, Simulator, Token, World};
use proptest::prelude::*;
use serde_json::Value;

use crate::harness::{Run, TOKEN, state_of, whole_catalog};
use crate::in_process::InProcess;
use crate::read_full::delivered;
use crate::truth;

fn simulator(seed: u64, scale: &Scale) -> Simulator {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    Simulator::start_blocking(World::generate(seed, scale), options).unwrap()
}

/// A reader that prints a STATE whenever it could.
fn reader(simulator: &Simulator) -> InProcess {
    let mut reader = InProcess::new(&simulator.base_url());
    reader.checkpoint_every = Some(Duration::ZERO);
    reader
}

/// What a destination and a platform have after a run that was interrupted after this share of its lines.
pub fn cut(run: &Run, share: f64) -> &[Value] {
    let lines = (run.messages.len() as f64 * share) as usize;
    &run.messages[..lines]
}

/// The state that a platform passes to the next run: the previous one, with every STATE since.
pub fn merged(state: Option<Value>, seen: &[Value]) -> Option<Value> {
    let name = |state: &Value| state["stream"]["stream_descriptor"]["name"].to_string();
    let states = [state.unwrap_or(Value::Array(Vec::new())), state_of(seen.iter())];
    let states = states.iter().flat_map(|states| states.as_array().unwrap());
    let last: BTreeMap<String, Value> = states.map(|state| (name(state), state.clone())).collect();
    Some(Value::Array(last.into_values().collect()))
}

fn keys_of(seen: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let run = Run { messages: seen.to_vec(), exit_code: None };
    delivered(&run).into_iter().map(|(stream, keys)| (stream, keys.into_keys().collect())).collect()
}

/// Faults that retries overcome, and some that they do not. Those fail the stream until the next run.
fn add_faults(simulator: &Simulator, seed: u64) {
    let faults = [
        ("/tasks/{gid}/stories", Fault::Status { status: 503, retry_after: None }, 0.4),
        ("/tasks", Fault::Status { status: 500, retry_after: None }, 0.4),
        ("/projects/{gid}/sections", Fault::Status { status: 429, retry_after: Some(0) }, 0.2),
        ("/events", Fault::Status { status: 500, retry_after: None }, 0.2),
    ];
    for (index, (pattern, fault, probability)) in faults.into_iter().enumerate() {
        simulator.faults().add(FaultRule::new(pattern, fault).probability(probability, seed + index as u64));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn cut_after_any_line_and_any_number_of_times_the_union_is_the_world(
        seed in 0_u64..1000,
        shares in prop::collection::vec(0.0_f64..1.0, 1..4),
        mode in prop_oneof![Just("full_refresh"), Just("incremental")],
        is_impatient: bool,
    ) {
        let simulator = simulator(seed, &Scale::tiny());
        let catalog = whole_catalog(mode);
        let mut reader = reader(&simulator);
        if is_impatient {
            // Sometimes retries do not help, and the stream fails.
            reader.patience.attempts = 1;
        }
        add_faults(&simulator, seed);
        let mut state = None;
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut take = |seen: &[Value]| {
            for (stream, keys) in keys_of(seen) {
                found.entry(stream).or_default().extend(keys);
            }
        };
        for share in shares {
            let run = reader.read(&catalog, state.as_ref());
            let seen = cut(&run, share);
            take(seen);
            state = merged(state, seen);
        }
        simulator.faults().clear();
        let last = reader.read(&catalog, state.as_ref()).expect_success();
        take(&last.messages);
        let world = simulator.world(|world| truth::keys(world, simulator.viewer(TOKEN).unwrap()));
        for (stream, keys) in world {
            let found = found.get(stream).cloned().unwrap_or_default();
            let lost: Vec<_> = keys.difference(&found).collect();
            prop_assert!(lost.is_empty(), "{mode} {stream}: {lost:?}");
        }
    }
}

/// Nothing that was complete before the interruption is requested again.
#[test]
fn a_full_refresh_that_was_cut_off_does_not_start_over() {
    let scale = Scale { projects: 25, largest_project: 8, longest_history: 20, ..Scale::small() };
    let simulator = simulator(1, &scale);
    let mut reader = reader(&simulator);
    // Pending listings are read again, but in so small a world not everything.
    reader.in_flight = 4;
    let catalog = whole_catalog("full_refresh");
    let run = reader.read(&catalog, None).expect_success();
    let whole = simulator.requests().len();
    for share in [0.3, 0.6, 0.9] {
        let state = merged(None, cut(&run, share)).unwrap();
        let states = state.as_array().unwrap();
        let cursors = |stream: &str| -> BTreeSet<String> {
            let of_stream =
                states.iter().find(|state| state["stream"]["stream_descriptor"]["name"] == stream);
            let slices = of_stream.and_then(|state| state["stream"]["stream_state"]["slices"].as_object());
            let gids = slices.into_iter().flat_map(|slices| slices.values());
            gids.flat_map(|gids| gids.as_array().unwrap())
                .map(|gid| gid.as_str().unwrap().to_owned())
                .collect()
        };
        simulator.clear_requests();
        reader.read(&catalog, Some(&state)).expect_success();
        let requests = simulator.requests();
        let projects = simulator.world(|world| {
            world.gids(Kind::Project).map(|project| project.to_string()).collect::<BTreeSet<_>>()
        });
        let below = ["tasks", "subtasks", "stories", "attachments"].map(cursors);
        // A complete stream starts over. The tasks are complete before the first listing per task.
        let is_started_over = states.iter().any(|state| {
            state["stream"]["stream_descriptor"]["name"] == "tasks"
                && state["stream"]["stream_state"]["complete"] == true
        });
        let is_settled =
            |project: &&String| !is_started_over && below.iter().all(|read| read.contains(*project));
        let settled: Vec<&String> = projects.iter().filter(is_settled).collect();
        for project in &settled {
            let again = requests.iter().find(|request| request.parameter("project") == Some(project));
            let again = again.filter(|request| request.endpoint == "/tasks");
            assert!(again.is_none(), "{project} was read and is read again: {again:?}");
        }
        eprintln!(
            "cut after {share}: {} of {} projects were settled, {} of {whole} requests are left",
            settled.len(),
            projects.len(),
            requests.len()
        );
        // Cheap streams are complete first and start over, and they are a large part of so small a world.
        let most = 0.95 * whole as f64;
        assert!((requests.len() as f64) < most, "{} of {whole} requests after {share}", requests.len());
    }
}

/// Asana's offsets expire and cannot be kept; a state must not contain any.
#[test]
fn a_read_of_one_workspace_resumes_on_every_plan() {
    let options = Options { tokens: vec![Token::new(TOKEN, Plan::Free)], ..Options::default() };
    let simulator = Simulator::start_blocking(World::generate(3, &Scale::tiny()), options).unwrap();
    let reader = reader(&simulator);
    let catalog = whole_catalog("incremental");
    let run = reader.read(&catalog, None).expect_success();
    let state = merged(None, cut(&run, 0.5));
    assert!(!state.as_ref().unwrap().to_string().contains("offset"));
    let rest = reader.read(&catalog, state.as_ref()).expect_success();
    let (whole, mut union) = (keys_of(&run.messages), keys_of(cut(&run, 0.5)));
    for (stream, keys) in keys_of(&rest.messages) {
        union.entry(stream).or_default().extend(keys);
    }
    assert_eq!(union, whole);
}
