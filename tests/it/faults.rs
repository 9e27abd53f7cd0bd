//! The fault table, row by row: the consequence of each refusal and failure for the affected stream and for the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use asana_simulator::{Fault, FaultRule, Options, Plan, Scale, Simulator, Token, World};
use serde_json::{Value, json};

use crate::harness::{Connector, Run, TOKEN, catalog_of, token_forms, whole_catalog};
use crate::in_process::InProcess;
use crate::read_full::{assert_each_once, delivered};
use crate::truth;

/// Roots (a listing for each workspace), slices below them, and slices below those.
const STREAMS: &[&str] = &[
    "workspaces",
    "users",
    "tags",
    "projects",
    "sections",
    "tasks",
    "subtasks",
    "stories",
    "portfolios",
    "portfolio_items",
];

/// An Asana with faults, and the streams to read.
struct Trial {
    simulator: Simulator,
    streams: Vec<&'static str>,
}

/// The expected result of a read with a fault, besides what holds for all.
#[derive(Default)]
struct Expected<'a> {
    incomplete: &'a [&'static str],
    /// The failure types of all error traces, each once.
    failure_types: &'a [&'a str],
    /// Streams with a listing that is reported as skipped.
    skipped: &'a [&'static str],
}

impl Trial {
    fn of(scale: &Scale) -> Self {
        let options = Options { tokens: vec![Token::new(TOKEN, Plan::Paid)], ..Options::default() };
        let simulator = Simulator::start_blocking(World::generate(1, scale), options).unwrap();
        Self { simulator, streams: STREAMS.to_vec() }
    }

    fn tiny(rules: impl IntoIterator<Item = FaultRule>) -> Self {
        let trial = Self::of(&Scale::tiny());
        rules.into_iter().for_each(|rule| trial.simulator.faults().add(rule));
        trial
    }

    fn catalog(&self) -> Value {
        catalog_of(&self.streams, "incremental")
    }

    /// The binary's read, for faults without waits.
    fn read(&self) -> Run {
        self.read_from(None)
    }

    fn read_from(&self, state: Option<&Value>) -> Run {
        self.simulator.clear_requests();
        Connector::new(&self.simulator.base_url()).read(&self.catalog(), state)
    }

    /// The same read in this process, for faults with waits.
    fn read_patiently(&self) -> Run {
        self.simulator.clear_requests();
        InProcess::new(&self.simulator.base_url()).read(&self.catalog(), None)
    }

    /// Checks a first read: it meets the expectation, the other streams are complete, the exit code shows whether all
    /// are, and nothing is emitted twice. After the fault, a second read from the first one's state emits everything
    /// that the first did not.
    #[track_caller]
    fn assert(&self, run: &Run, expected: &Expected<'_>) {
        let summary = |stream: &str| {
            let start = format!("{stream}: ");
            let mut lines = run.logs().into_iter().filter(|line| line.starts_with(&start));
            lines.rfind(|line| line.contains(" request")).unwrap()
        };
        for stream in &self.streams {
            let end = if expected.incomplete.contains(stream) { "INCOMPLETE" } else { "COMPLETE" };
            assert_eq!(run.statuses(stream).last(), Some(&end), "{stream}: {:#?}", run.errors());
            // A stream that merely did not finish has no trace.
            let is_named = run.errors().iter().any(|error| named(error).contains(stream));
            let is_unfinished = summary(stream).contains("because the sync stopped");
            assert_eq!(is_named || is_unfinished, end == "INCOMPLETE", "{stream}: {:#?}", run.errors());
        }
        assert_eq!(run.exit_code, Some(i32::from(!expected.incomplete.is_empty())));
        let types: BTreeSet<String> = run.errors().iter().map(failure_type).collect();
        let expected_types: BTreeSet<String> =
            expected.failure_types.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(types, expected_types, "{:#?}", run.errors());
        let sentences: BTreeSet<String> =
            run.errors().iter().map(|error| error["message"].to_string()).collect();
        assert_eq!(sentences.len(), run.errors().len(), "each is told once: {:#?}", run.errors());
        if types.len() > 1 {
            assert_ne!(failure_type(&run.errors()[0]), "config_error", "a platform would not try again");
        }
        for stream in &self.streams {
            let line = summary(stream);
            assert_eq!(line.contains("INCOMPLETE"), expected.incomplete.contains(stream), "{line}");
            assert_eq!(line.contains("skipped"), expected.skipped.contains(stream), "{line}");
        }
        for (stream, keys) in delivered(run) {
            let twice: Vec<_> = keys.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "{stream}: {twice:?}");
        }
        self.assert_recovery(run);
    }

    #[track_caller]
    fn assert_recovery(&self, run: &Run) {
        self.simulator.faults().clear();
        let second = self.read_from(Some(&run.state())).expect_success();
        let truth = self.simulator.world(|world| truth::keys(world, self.simulator.viewer(TOKEN).unwrap()));
        let (first, second) = (delivered(run), delivered(&second));
        for stream in &self.streams {
            let found: BTreeSet<&String> = [&first, &second]
                .into_iter()
                .filter_map(|delivered| delivered.get(*stream))
                .flat_map(BTreeMap::keys)
                .collect();
            let lost: Vec<_> = truth[stream].iter().filter(|key| !found.contains(key)).collect();
            assert!(lost.is_empty(), "{stream}: a cursor passed over {lost:?}");
        }
    }

    /// The number of retries of requests with this status, or with a broken connection (0).
    fn repetitions(&self, status: u16) -> usize {
        let requests = self.simulator.requests();
        let same = |request: &asana_simulator::RequestRecord| {
            let query: Vec<_> =
                request.query.iter().filter(|(name, _)| &**name != "limit").cloned().collect();
            (request.path.clone(), query)
        };
        let failed: Vec<_> = requests.iter().filter(|request| request.status == status).map(same).collect();
        let different = failed.iter().collect::<BTreeSet<_>>();
        let of_failed = requests.iter().map(same).filter(|request| different.contains(request)).count();
        assert!(!failed.is_empty(), "nothing answered {status}: this would prove nothing");
        of_failed - different.len()
    }

    #[track_caller]
    fn assert_not_repeated(&self, status: u16) {
        assert_eq!(self.repetitions(status), 0, "a request that answered {status} was made again");
    }
}

/// The streams that an ERROR trace names at the start of its message.
fn named(error: &Value) -> Vec<&str> {
    let message = error["message"].as_str().unwrap();
    message.split_once(": ").map(|(names, _)| names.split(", ").collect()).unwrap_or_default()
}

fn failure_type(error: &Value) -> String {
    error["failure_type"].as_str().unwrap().to_owned()
}

fn answer(status: u16) -> Fault {
    Fault::Status { status, retry_after: None }
}

fn refusal(status: u16, message: &str) -> Fault {
    let body = json!({"errors": [{"message": message, "help": ""}]}).to_string();
    Fault::Respond { status, headers: Vec::new(), body }
}

const TAGS: &str = "/tags";
const SECTIONS: &str = "/projects/{gid}/sections";
const STORIES: &str = "/tasks/{gid}/stories";

fn warnings(run: &Run) -> Vec<&str> {
    let warnings = run.of_type("LOG").filter(|message| message["log"]["level"] == "WARN");
    warnings.map(|message| message["log"]["message"].as_str().unwrap()).collect()
}

// 400 ---------------------------------------------------------------------------------------------------------

#[test]
fn an_id_that_asana_does_not_know_fails_the_slice_and_asks_a_person() {
    let fault = refusal(400, "project: Not a recognized ID: 12");
    let trial = Trial::tiny([FaultRule::new(SECTIONS, fault).nth(2)]);
    let run = trial.read();
    trial.assert_not_repeated(400);
    assert!(run.errors()[0]["message"].as_str().unwrap().contains("Not a recognized ID: 12"));
    let config = ["config_error"];
    trial
        .assert(&run, &Expected { incomplete: &["sections"], failure_types: &config, ..Expected::default() });
}

#[test]
fn an_id_that_asana_does_not_know_at_a_root_fails_the_stream() {
    let trial = Trial::tiny([FaultRule::new(TAGS, refusal(400, "workspace: Not a recognized ID: 1"))]);
    let run = trial.read();
    trial.assert_not_repeated(400);
    let config = ["config_error"];
    trial.assert(&run, &Expected { incomplete: &["tags"], failure_types: &config, ..Expected::default() });
}

#[test]
fn a_truncated_result_is_never_taken_for_the_end() {
    let trial = Trial::of(&Scale::small());
    // The second page of the longest listing is its last.
    trial.simulator.faults().add(FaultRule::new("/tasks", Fault::TruncatedSet).query_contains("offset="));
    let run = trial.read();
    trial.assert_not_repeated(400);
    let expected = Expected {
        incomplete: &["tasks", "subtasks", "stories"],
        failure_types: &["config_error"],
        ..Expected::default()
    };
    trial.assert(&run, &expected);
}

#[test]
fn a_listing_that_is_too_large_fails_its_slice() {
    let trial = Trial::tiny([FaultRule::new(SECTIONS, Fault::TooLarge)]);
    let run = trial.read();
    let config = ["config_error"];
    trial
        .assert(&run, &Expected { incomplete: &["sections"], failure_types: &config, ..Expected::default() });
}

#[test]
fn an_offset_that_expires_begins_the_listing_again_and_emits_nothing_twice() {
    let trial = Trial::of(&Scale::small());
    let rule =
        FaultRule::new(STORIES, Fault::ExpiredOffset).query_contains("offset=").nth(2).label("expired");
    trial.simulator.faults().add(rule);
    let run = trial.read();
    assert_eq!(trial.simulator.faults().struck("expired"), 1);
    assert!(run.logs().iter().any(|log| log.contains("begins again")), "{:#?}", run.logs());
    trial.assert(&run, &Expected::default());
}

#[test]
fn an_offset_that_expires_by_time_does_so_too() {
    let trial = Trial::of(&Scale::small());
    let sixteen_minutes = Duration::from_secs(16 * 60);
    let rule = FaultRule::new(STORIES, Fault::ClockJump(sixteen_minutes)).query_contains("offset=").nth(2);
    trial.simulator.faults().add(rule);
    let run = trial.read();
    assert!(run.logs().iter().any(|log| log.contains("begins again")), "{:#?}", run.logs());
    trial.assert(&run, &Expected::default());
}

#[test]
fn an_offset_that_expires_for_ever_fails_the_slice_as_transient() {
    let trial = Trial::of(&Scale::small());
    trial.simulator.faults().add(FaultRule::new(STORIES, Fault::ExpiredOffset).query_contains("offset="));
    let run = trial.read();
    let expected =
        Expected { incomplete: &["stories"], failure_types: &["transient_error"], ..Expected::default() };
    trial.assert(&run, &expected);
}

// 401 ---------------------------------------------------------------------------------------------------------

#[test]
fn a_token_that_is_refused_at_the_start_stops_after_one_request() {
    let trial = Trial::tiny([FaultRule::new("*", answer(401))]);
    let run = trial.read();
    assert_eq!(trial.simulator.requests().len(), 1);
    let config = ["config_error"];
    trial.assert(&run, &Expected { incomplete: STREAMS, failure_types: &config, ..Expected::default() });
}

#[test]
fn a_token_that_is_refused_in_the_middle_keeps_what_was_read_and_asks_nothing_more() {
    let trial = Trial::tiny([FaultRule::new(STORIES, answer(401)).nth(5)]);
    let run = trial.read();
    trial.assert_not_repeated(401);
    let is_refused = |request: &asana_simulator::RequestRecord| request.status == 401;
    let requests = trial.simulator.requests();
    let after = requests.iter().skip_while(|request| !is_refused(request)).count() - 1;
    assert!(after < 50, "{after} requests after the refusal: more than could be under way");
    let incomplete: Vec<&'static str> =
        STREAMS.iter().copied().filter(|stream| run.statuses(stream).last() == Some(&"INCOMPLETE")).collect();
    assert!(incomplete.contains(&"stories"), "{incomplete:?}");
    assert!(!incomplete.contains(&"workspaces"), "{incomplete:?}");
    let config = ["config_error"];
    trial.assert(&run, &Expected { incomplete: &incomplete, failure_types: &config, ..Expected::default() });
}

/// The very last listing: no later listing keeps its slice open.
#[test]
fn a_token_that_is_refused_at_the_last_listing_does_not_complete_its_stream() {
    let mut trial = Trial::tiny([]);
    trial.streams = vec!["sections"];
    trial.read().expect_success();
    let sections = trial.simulator.requests().iter().filter(|request| request.endpoint == SECTIONS).count();
    trial.simulator.faults().add(FaultRule::new(SECTIONS, answer(401)).nth(u32::try_from(sections).unwrap()));
    let run = trial.read();
    let config = ["config_error"];
    trial
        .assert(&run, &Expected { incomplete: &["sections"], failure_types: &config, ..Expected::default() });
}

/// Whatever a server or a proxy says about the token it was sent becomes part of a message. The harness looks for the
/// token in every line, in every form.
#[test]
fn a_server_that_repeats_the_token_does_not_bring_it_into_any_message() {
    // Neither the part that the harness uses to find unexpected forms, nor the half-escaped token.
    let forms = token_forms().into_iter().filter(|form| form.len() >= TOKEN.len() && !form.contains(r"\/"));
    for form in forms {
        for status in [400, 401, 403, 412, 500] {
            let trial =
                Trial::tiny([FaultRule::new(TAGS, refusal(status, &format!("Bearer {form} is no good")))]);
            trial.simulator.clear_requests();
            let run = InProcess::new(&trial.simulator.base_url())
                .read(&catalog_of(&["tags"], "full_refresh"), None);
            assert_eq!(run.exit_code, Some(1));
            assert!(
                run.errors()[0]["message"].as_str().unwrap().contains("[redacted]"),
                "{:?}",
                run.errors()
            );
        }
    }
}

// 402 ---------------------------------------------------------------------------------------------------------

#[test]
fn a_plan_that_is_too_low_skips_the_stream_and_what_hangs_below_it() {
    let trial = Trial::tiny([FaultRule::new("/portfolios", answer(402))]);
    let run = trial.read();
    trial.assert_not_repeated(402);
    let told = warnings(&run);
    assert!(
        told.iter().any(|line| line.starts_with("portfolios, portfolio_items: skipped")
            && line.contains("the Asana plan does not include it")),
        "{told:#?}"
    );
    trial.assert(&run, &Expected { skipped: &["portfolios", "portfolio_items"], ..Expected::default() });
}

#[test]
fn a_plan_that_is_too_low_for_one_slice_skips_the_slice() {
    let trial = Trial::tiny([FaultRule::new("/portfolios/{gid}/items", answer(402)).nth(1)]);
    let run = trial.read();
    trial.assert_not_repeated(402);
    trial.assert(&run, &Expected { skipped: &["portfolio_items"], ..Expected::default() });
}

/// A refusal of the very first listing cannot mean that an account is empty.
#[test]
fn a_plan_that_is_too_low_for_everything_fails() {
    let trial = Trial::tiny([FaultRule::new("/workspaces", answer(402))]);
    let run = trial.read();
    let config = ["config_error"];
    trial.assert(&run, &Expected { incomplete: STREAMS, failure_types: &config, ..Expected::default() });
}

// 403 and 404 -------------------------------------------------------------------------------------------------

#[test]
fn no_access_to_a_root_fails_the_stream_and_what_hangs_below_it() {
    let trial = Trial::tiny([FaultRule::new("/portfolios", answer(403))]);
    let run = trial.read();
    trial.assert_not_repeated(403);
    let expected = Expected {
        incomplete: &["portfolios", "portfolio_items"],
        failure_types: &["config_error"],
        skipped: &["portfolios", "portfolio_items"],
    };
    trial.assert(&run, &expected);
}

#[test]
fn no_access_to_a_slice_is_reported_and_keeps_its_cursor() {
    let trial = Trial::tiny([FaultRule::new(SECTIONS, answer(403)).nth(1)]);
    let run = trial.read();
    trial.assert_not_repeated(403);
    let told = warnings(&run);
    assert!(told.iter().any(|line| line.contains("the token has no access to it")), "{told:#?}");
    trial.assert(&run, &Expected { skipped: &["sections"], ..Expected::default() });
}

#[test]
fn no_access_to_most_slices_is_a_lost_right() {
    let trial = Trial::tiny([FaultRule::new(SECTIONS, answer(403))]);
    let run = trial.read();
    trial.assert_not_repeated(403);
    let expected =
        Expected { incomplete: &["sections"], failure_types: &["config_error"], skipped: &["sections"] };
    trial.assert(&run, &expected);
}

/// Tasks are not selected, so only the stories show that they were refused.
#[test]
fn no_access_to_what_leads_to_a_stream_is_no_empty_stream() {
    let mut trial = Trial::tiny([FaultRule::new("/tasks", answer(403))]);
    trial.streams = vec!["users", "stories"];
    let run = trial.read();
    let expected =
        Expected { incomplete: &["stories"], failure_types: &["config_error"], skipped: &["stories"] };
    trial.assert(&run, &expected);
}

#[test]
fn a_root_that_is_not_there_fails_the_stream() {
    let trial = Trial::tiny([FaultRule::new(TAGS, answer(404))]);
    let run = trial.read();
    trial.assert_not_repeated(404);
    let config = ["config_error"];
    trial.assert(&run, &Expected { incomplete: &["tags"], failure_types: &config, ..Expected::default() });
}

#[test]
fn a_slice_that_is_not_there_any_more_is_reported() {
    let trial = Trial::tiny([FaultRule::new(STORIES, answer(404)).nth(3)]);
    let run = trial.read();
    trial.assert_not_repeated(404);
    let told = warnings(&run);
    assert!(told.iter().any(|line| line.contains("it does not exist (any more)")), "{told:#?}");
    trial.assert(&run, &Expected { skipped: &["stories"], ..Expected::default() });
}

/// A task that is deleted after it was listed has no stories, and its project is complete.
#[test]
fn what_is_gone_when_its_turn_comes_lacks_nothing() {
    let trial = Trial::tiny([]);
    let task = trial.simulator.world(|world| {
        let mut tasks = world.visible(asana_simulator::Kind::Task, trial.simulator.viewer(TOKEN).unwrap());
        tasks.find(|task| !world.projects_of_task(*task).is_empty()).unwrap().to_string()
    });
    for pattern in [format!("/tasks/{task}"), format!("/tasks/{task}/stories")] {
        trial.simulator.faults().add(FaultRule::new(&pattern, answer(404)));
    }
    let run = trial.read().expect_success();
    assert!(run.records("stories").iter().all(|story| story["task_gid"] != *task));
    assert_eq!(warnings(&run), Vec::<&str>::new());
    let slices = |stream: &str| {
        let state = run.state();
        let of_stream = |state: &&Value| state["stream"]["stream_descriptor"]["name"] == *stream;
        state.as_array().unwrap().iter().find(of_stream).unwrap()["stream"]["stream_state"]["slices"].clone()
    };
    assert_eq!(slices("stories"), slices("tasks"), "every project has its cursor");
}

/// Some objects disappear after they were listed, but not most of them.
#[test]
fn slices_that_are_nearly_all_gone_are_no_empty_stream() {
    let trial = Trial::tiny([FaultRule::new(SECTIONS, answer(404))]);
    let run = trial.read();
    let expected =
        Expected { incomplete: &["sections"], failure_types: &["transient_error"], skipped: &["sections"] };
    trial.assert(&run, &expected);
}

// What could be read at the last sync ---------------------------------------------------------------------------

/// Reads everything, lets Asana refuse a pattern, reads again with the first state, and checks which streams fail
/// instead of being empty.
#[track_caller]
fn assert_no_emptying(streams: &[&'static str], pattern: &str, status: u16, incomplete: &[&'static str]) {
    let mut trial = Trial::of(&Scale::tiny());
    trial.streams = streams.to_vec();
    let before = trial.read().expect_success();
    trial.simulator.faults().add(FaultRule::new(pattern, answer(status)));
    let run = trial.read_from(Some(&before.state()));
    trial.assert_not_repeated(status);
    for stream in streams {
        let end = if incomplete.contains(stream) { "INCOMPLETE" } else { "COMPLETE" };
        assert_eq!(run.statuses(stream).last(), Some(&end), "{stream} after {status} of {pattern}");
    }
    assert_eq!(run.exit_code, Some(1));
    trial.simulator.faults().clear();
    trial.read_from(Some(&run.state())).expect_success();
}

#[test]
fn a_root_that_could_be_read_and_is_refused_is_never_empty() {
    assert_no_emptying(&["tags", "users"], TAGS, 402, &["tags"]);
    assert_no_emptying(&["tags", "users"], TAGS, 403, &["tags"]);
    assert_no_emptying(&["projects", "users"], "/projects", 402, &["projects"]);
}

#[test]
fn slices_that_could_be_read_and_are_refused_are_never_empty() {
    assert_no_emptying(&["sections", "users"], SECTIONS, 402, &["sections"]);
    assert_no_emptying(&["sections", "users"], SECTIONS, 403, &["sections"]);
}

#[test]
fn a_stream_whose_unselected_parent_is_refused_is_never_empty() {
    assert_no_emptying(&["portfolio_items", "users"], "/portfolios", 402, &["portfolio_items"]);
    assert_no_emptying(&["portfolio_items", "users"], "/portfolios", 403, &["portfolio_items"]);
}

/// If a workspace never had the plan, a refusal stays a skip in every sync.
#[test]
fn a_stream_that_was_refused_from_the_start_stays_a_skip() {
    let mut trial = Trial::of(&Scale::tiny());
    trial.streams = vec!["portfolio_items", "tags"];
    let refused = FaultRule::new("/portfolios", answer(402));
    let workspace = trial
        .simulator
        .world(|world| world.gids(asana_simulator::Kind::Workspace).nth(1).unwrap().to_string());
    trial.simulator.faults().add(refused.query_contains(&workspace));
    let first = trial.read().expect_success();
    let second = trial.read_from(Some(&first.state())).expect_success();
    trial.read_from(Some(&second.state())).expect_success();
}

// 412 ---------------------------------------------------------------------------------------------------------

/// No listing has a precondition, so a 412 says nothing about its records.
#[test]
fn a_failed_precondition_is_not_the_end_of_a_listing() {
    let trial = Trial::tiny([FaultRule::new(SECTIONS, answer(412)).nth(1)]);
    let run = trial.read();
    trial.assert_not_repeated(412);
    let transient = ["transient_error"];
    let incomplete = ["sections"];
    trial.assert(
        &run,
        &Expected { incomplete: &incomplete, failure_types: &transient, ..Expected::default() },
    );
}

// 429 ---------------------------------------------------------------------------------------------------------

fn rejection(retry_after: Option<u64>) -> Fault {
    Fault::Status { status: 429, retry_after }
}

/// All requests of the token really wait for one second, not only this one.
#[test]
fn a_rejection_with_a_wait_is_waited_for_and_leaves_no_trace() {
    let trial = Trial::tiny([FaultRule::new(STORIES, rejection(Some(1))).nth(3).label("rejected")]);
    let run = trial.read();
    assert_eq!(trial.simulator.faults().struck("rejected"), 1);
    assert_eq!(trial.repetitions(429), 1);
    trial.assert(&run, &Expected::default());
}

#[test]
fn a_rejection_without_a_wait_is_tried_again_and_leaves_no_trace() {
    let trial = Trial::tiny([FaultRule::new(SECTIONS, rejection(None)).nth(2).label("rejected")]);
    let run = trial.read();
    assert_eq!(trial.simulator.faults().struck("rejected"), 1);
    assert_eq!(trial.repetitions(429), 1);
    trial.assert(&run, &Expected::default());
}

/// A page that fails a few times is requested with fewer records; one that is rejected is not too large.
#[test]
fn a_page_that_is_rejected_without_a_wait_has_all_its_attempts() {
    let trial = Trial::tiny([]);
    let project = trial.simulator.world(|world| {
        let mut projects =
            world.visible(asana_simulator::Kind::Project, trial.simulator.viewer(TOKEN).unwrap());
        projects.next().unwrap().to_string()
    });
    let pattern = format!("/projects/{project}/sections");
    trial.simulator.faults().add(FaultRule::new(&pattern, rejection(None)).times(6).label("rejected"));
    let run = trial.read_patiently();
    assert_eq!(trial.simulator.faults().struck("rejected"), 6);
    trial.assert(&run, &Expected::default());
}

/// More rejections in a row than any request has attempts: with a wait they are bounded only by time.
#[test]
fn a_storm_of_rejections_is_outlasted() {
    let trial = Trial::tiny([FaultRule::new("*", rejection(Some(0))).times(40).label("storm")]);
    trial
        .simulator
        .faults()
        .add(FaultRule::new(STORIES, rejection(Some(0))).probability(0.2, 1).label("gusts"));
    let run = trial.read();
    assert_eq!(trial.simulator.faults().struck("storm"), 40);
    assert!(trial.simulator.faults().struck("gusts") > 0);
    trial.assert(&run, &Expected::default());
}

/// Airbyte stops a silent source after three hours, so the sync ends and says when to run again. Nothing waits;
/// otherwise the test would not end.
#[test]
fn a_wait_of_hours_ends_the_sync_as_transient_with_its_state_and_the_time_to_run_again() {
    let trial = Trial::tiny([FaultRule::new(STORIES, rejection(Some(3 * 60 * 60))).nth(5)]);
    let run = trial.read();
    let message = run.errors()[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("no request is answered before 2"), "{message}");
    assert!(message.contains("Run the sync again after that time"), "{message}");
    assert!(run.of_type("TRACE").all(|trace| trace["trace"]["stream_status"].get("reasons").is_none()));
    let incomplete: Vec<&'static str> =
        STREAMS.iter().copied().filter(|stream| run.statuses(stream).last() == Some(&"INCOMPLETE")).collect();
    assert!(incomplete.contains(&"stories") && !incomplete.contains(&"workspaces"), "{incomplete:?}");
    for stream in &incomplete {
        let states = run.of_type("STATE");
        let of_stream =
            states.filter(|state| state["state"]["stream"]["stream_descriptor"]["name"] == **stream);
        assert!(of_stream.count() > 0, "{stream}: no state");
    }
    let transient = ["transient_error"];
    trial.assert(
        &run,
        &Expected { incomplete: &incomplete, failure_types: &transient, ..Expected::default() },
    );
}

#[test]
fn a_check_does_not_wait_for_hours_either() {
    let trial = Trial::tiny([FaultRule::new("*", rejection(Some(3 * 60 * 60)))]);
    let run = Connector::new(&trial.simulator.base_url()).check();
    assert_eq!(run.exit_code, Some(1));
    assert_eq!(failure_type(&run.errors()[0]), "transient_error");
    assert_eq!(trial.simulator.requests().len(), 1);
}

// 451, 5xx, broken connections and bodies -----------------------------------------------------------------------

#[test]
fn a_place_that_asana_may_not_serve_ends_the_sync() {
    let trial = Trial::tiny([FaultRule::new("/workspaces", answer(451))]);
    let run = trial.read();
    assert_eq!(trial.simulator.requests().len(), 1);
    let config = ["config_error"];
    trial.assert(&run, &Expected { incomplete: STREAMS, failure_types: &config, ..Expected::default() });
}

/// Each of these is temporary: the stream is complete, and the failed request was retried.
#[test]
fn accidents_that_pass_leave_no_trace() {
    for (fault, status) in [
        (answer(500), 500),
        (answer(502), 502),
        (answer(503), 503),
        (answer(504), 504),
        (Fault::ResetBeforeHeaders, 0),
        (Fault::ResetInBody, 200),
        (Fault::TruncatedBody(20), 200),
        (Fault::GarbageBody, 200),
        (refusal(200, "an object where a list should be"), 200),
    ] {
        let trial = Trial::tiny([FaultRule::new(SECTIONS, fault.clone()).times(2)]);
        let run = trial.read_patiently();
        assert!(trial.repetitions(status) >= 2, "{fault:?}");
        trial.assert(&run, &Expected::default());
    }
}

/// One request in fifty fails in each of six ways: more than one in nine.
#[test]
fn a_medium_world_is_read_whole_through_a_storm_and_each_object_once() {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    let simulator = Simulator::start_blocking(World::generate(1, &Scale::medium()), options).unwrap();
    let faults = [
        answer(500),
        answer(502),
        answer(503),
        Fault::ResetInBody,
        Fault::TruncatedBody(100),
        Fault::GarbageBody,
    ];
    for (seed, fault) in faults.into_iter().enumerate() {
        let label = format!("{fault:?}");
        simulator.faults().add(FaultRule::new("*", fault).probability(0.02, seed as u64).label(&label));
    }
    let run =
        InProcess::new(&simulator.base_url()).read(&whole_catalog("full_refresh"), None).expect_success();
    assert_each_once(&run, &simulator);
    let sent = simulator.requests().len();
    let struck = simulator.requests().iter().filter(|request| request.fault.is_some()).count();
    assert!(struck * 12 > sent, "{struck} of {sent} requests went wrong: this would prove little");
}

/// Each of these persists: the stream fails with a transient error.
#[test]
fn accidents_for_ever_fail_the_stream_as_transient() {
    for fault in [
        answer(500),
        answer(503),
        Fault::ResetBeforeHeaders,
        Fault::ResetInBody,
        Fault::TruncatedBody(20),
        Fault::GarbageBody,
    ] {
        let trial = Trial::tiny([FaultRule::new(TAGS, fault.clone())]);
        let run = trial.read_patiently();
        let limits: BTreeSet<String> = trial
            .simulator
            .requests()
            .iter()
            .filter(|request| request.endpoint == TAGS)
            .filter_map(|request| request.parameter("limit").map(str::to_owned))
            .collect();
        assert!(limits.len() > 2, "{fault:?}: pages were not made smaller: {limits:?}");
        let transient = ["transient_error"];
        trial.assert(
            &run,
            &Expected { incomplete: &["tags"], failure_types: &transient, ..Expected::default() },
        );
    }
}

#[test]
fn one_slice_that_fails_for_ever_leaves_the_others() {
    let trial = Trial::tiny([]);
    let project = trial.simulator.world(|world| {
        let viewer = trial.simulator.viewer(TOKEN).unwrap();
        world.visible(asana_simulator::Kind::Project, viewer).next().unwrap().to_string()
    });
    trial.simulator.faults().add(FaultRule::new(&format!("/projects/{project}/sections"), answer(500)));
    let run = trial.read_patiently();
    assert!(!run.records("sections").is_empty());
    let state = run.state();
    let states = state.as_array().unwrap().iter();
    let of_sections = states
        .filter(|state| state["stream"]["stream_descriptor"]["name"] == "sections")
        .map(|state| state["stream"]["stream_state"]["slices"].to_string())
        .next()
        .unwrap();
    assert!(!of_sections.contains(&project), "the failed slice has a cursor: {of_sections}");
    let transient = ["transient_error"];
    trial.assert(
        &run,
        &Expected { incomplete: &["sections"], failure_types: &transient, ..Expected::default() },
    );
}

/// During an outage the connector does not request each of thousands of listings; the next sync reads them.
#[test]
fn a_stream_that_fails_for_ever_is_given_up_and_the_others_are_not() {
    let mut trial = Trial::of(&Scale::small());
    trial.streams = vec!["users", "tasks", "stories", "tags"];
    trial.simulator.faults().add(FaultRule::new(STORIES, answer(500)));
    let run = trial.read_patiently();
    let requests = trial.simulator.requests();
    let of_stories = requests.iter().filter(|request| request.endpoint == STORIES);
    let asked = of_stories.map(|request| &request.path).collect::<BTreeSet<_>>().len();
    let most = 2 * source_asana::asana::MOST_IN_FLIGHT;
    assert!(asked <= most, "the stories of {asked} tasks were asked for");
    let tasks = run.records("tasks").len();
    assert!(tasks > most, "only {tasks} tasks: this would prove nothing");
    assert!(run.logs().iter().any(|log| log.contains("the others are left for the next sync")));
    let transient = ["transient_error"];
    let expected = Expected { incomplete: &["stories"], failure_types: &transient, ..Expected::default() };
    trial.assert(&run, &expected);
}

/// A config error would keep the platform from retrying what may succeed.
#[test]
fn of_several_failures_the_one_that_time_heals_is_told_first() {
    let trial =
        Trial::tiny([FaultRule::new(TAGS, answer(403)), FaultRule::new(SECTIONS, answer(503)).nth(1)]);
    trial.simulator.faults().add(FaultRule::new(SECTIONS, answer(503)));
    let run = trial.read_patiently();
    let expected = Expected {
        incomplete: &["tags", "sections"],
        failure_types: &["config_error", "transient_error"],
        skipped: &["tags"],
    };
    trial.assert(&run, &expected);
}

/// The connector gives up waiting before the simulator does; real time, and no more of it than the timeout.
#[test]
fn slow_headers_and_slow_bodies_are_given_up_and_asked_for_again() {
    let an_hour = Duration::from_secs(60 * 60);
    for fault in [Fault::SlowHeaders(an_hour), Fault::SlowBody(an_hour)] {
        let trial = Trial::tiny([FaultRule::new(SECTIONS, fault.clone()).nth(2).label("slow")]);
        trial.simulator.clear_requests();
        let mut read = InProcess::new(&trial.simulator.base_url());
        read.timeouts.idle = Duration::from_secs(2);
        let run = read.read(&trial.catalog(), None);
        assert_eq!(trial.simulator.faults().struck("slow"), 1, "{fault:?}");
        assert!(run.logs().iter().any(|log| log.contains("trying again")), "{:#?}", run.logs());
        trial.assert(&run, &Expected::default());
    }
}

// Unusual answers without failure -----------------------------------------------------------------------

#[test]
fn a_wrong_type_is_told_once_and_the_record_delivered() {
    let fault = Fault::WrongType { field: "name".to_owned(), value: json!({"is": ["no", "text"]}) };
    let trial = Trial::tiny([FaultRule::new(SECTIONS, fault)]);
    let run = trial.read();
    let told = warnings(&run);
    let told = told.iter().filter(|line| line.contains("in column name")).count();
    assert_eq!(told, 1, "{:#?}", warnings(&run));
    let sections = run.records("sections");
    assert!(sections.iter().all(|record| record["name"] == json!({"is": ["no", "text"]})));
    trial.assert(&run, &Expected::default());
}

/// A record without its key cannot be identified, so its listing is incomplete.
#[test]
fn a_record_whose_gid_is_no_text_fails_its_listing() {
    let fault = Fault::WrongType { field: "gid".to_owned(), value: json!(12) };
    let trial = Trial::tiny([FaultRule::new("/projects", fault).nth(1)]);
    let run = trial.read();
    let expected = Expected {
        incomplete: &["projects", "sections", "tasks", "subtasks", "stories"],
        failure_types: &["transient_error"],
        ..Expected::default()
    };
    trial.assert(&run, &expected);
}

#[test]
fn an_empty_page_with_a_next_page_is_not_the_end() {
    let trial = Trial::of(&Scale::small());
    for (endpoint, label) in [(STORIES, "stories"), ("/tasks", "tasks"), ("/users", "users")] {
        trial.simulator.faults().add(FaultRule::new(endpoint, Fault::EmptyPage).times(1).label(label));
    }
    let run = trial.read();
    for label in ["stories", "tasks", "users"] {
        assert_eq!(trial.simulator.faults().struck(label), 1, "{label}");
    }
    trial.assert(&run, &Expected::default());
}

#[test]
fn short_pages_and_rows_that_come_twice_change_nothing() {
    for fault in [Fault::ShortPage(3), Fault::DuplicateRow] {
        let trial = Trial::of(&Scale::small());
        trial.simulator.faults().add(FaultRule::new("*", fault));
        let run = trial.read();
        trial.assert(&run, &Expected::default());
    }
}

/// A line break between tokens must not break a record's line.
#[test]
fn pages_laid_out_over_many_lines_are_records_of_one_line() {
    let trial = Trial::tiny([FaultRule::new("*", Fault::PrettyBody)]);
    let run = trial.read();
    trial.assert(&run, &Expected::default());
}
