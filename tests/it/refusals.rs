//! What a refusal costs: exactly what Asana refuses. A stream fails if nothing of one kind of listing can be read, or if
//! the last sync could read it.

use asana_simulator::{
    Fault, FaultRule, Kind, Options, Plan, Scale, Simulator, Token, UnassignedOrphans, World,
};
use serde_json::{Value, json};

use crate::harness::{Connector, Run, TOKEN, catalog_of};

/// An Asana whose answers are replaced by rules.
struct Asana(Simulator);

impl Asana {
    fn of(scale: &Scale, rules: impl IntoIterator<Item = FaultRule>) -> Self {
        let options = Options { tokens: vec![Token::new(TOKEN, Plan::Paid)], ..Options::default() };
        let simulator = Simulator::start_blocking(World::generate(1, scale), options).unwrap();
        rules.into_iter().for_each(|rule| simulator.faults().add(rule));
        Self(simulator)
    }

    fn tiny(rules: impl IntoIterator<Item = FaultRule>) -> Self {
        Self::of(&Scale::tiny(), rules)
    }

    /// 20 projects and 60 users in one organization.
    fn wide(rules: impl IntoIterator<Item = FaultRule>) -> Self {
        let unassigned_orphans = UnassignedOrphans::Absent;
        let counts = Scale { plain_workspaces: 0, projects: 20, users: 60, teams: 60, ..Scale::tiny() };
        Self::of(&Scale { unassigned_orphans, ..counts }, rules)
    }

    fn read(&self, streams: &[&str], mode: &str) -> Run {
        self.read_from(streams, mode, None)
    }

    fn read_from(&self, streams: &[&str], mode: &str, state: Option<&Value>) -> Run {
        Connector::new(&self.0.base_url()).read(&catalog_of(streams, mode), state)
    }

    fn gids(&self, kind: Kind) -> Vec<String> {
        let viewer = self.0.viewer(TOKEN).unwrap();
        self.0.world(|world| world.visible(kind, viewer).map(|gid| gid.to_string()).collect())
    }
}

fn refuse(pattern: &str, status: u16) -> FaultRule {
    FaultRule::new(pattern, Fault::Status { status, retry_after: None })
}

fn unknown_id(pattern: &str, gid: &str) -> FaultRule {
    let body = json!({"errors": [{"message": format!("task: Not a recognized ID: {gid}"), "help": ""}]});
    FaultRule::new(pattern, Fault::Respond { status: 400, headers: Vec::new(), body: body.to_string() })
}

fn nothing(pattern: &str) -> FaultRule {
    let body = json!({"data": [], "next_page": null}).to_string();
    FaultRule::new(pattern, Fault::Respond { status: 200, headers: Vec::new(), body })
}

fn end<'r>(run: &'r Run, stream: &str) -> &'r str {
    run.statuses(stream).last().copied().unwrap()
}

fn messages(run: &Run) -> Vec<String> {
    run.errors().iter().map(|error| error["message"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn assert_warns(run: &Run, words: &[&str]) {
    let warns = |message: &&Value| {
        let text = message["log"]["message"].as_str().unwrap_or_default();
        message["log"]["level"] == "WARN" && words.iter().all(|word| text.contains(word))
    };
    assert!(
        run.of_type("LOG").any(|message| warns(&message)),
        "no warning with {words:?}: {:#?}",
        run.logs()
    );
}

#[track_caller]
fn assert_fails(run: &Run, streams: &[&str], words: &[&str]) {
    for stream in streams {
        assert_eq!(end(run, stream), "INCOMPLETE", "{stream}");
    }
    assert_eq!(run.exit_code, Some(1));
    let messages = messages(run);
    assert_eq!(messages.len(), 1, "one cause, one trace: {messages:#?}");
    for word in words {
        assert!(messages[0].contains(word), "no {word:?} in {}", messages[0]);
    }
    assert_eq!(run.errors()[0]["failure_type"], "config_error");
}

// Each kind of listing by itself ----------------------------------------------------------------------------------

#[test]
fn twenty_projects_refuse_their_tasks_and_sixty_users_have_none() {
    let rules =
        [refuse("/tasks", 403).query_contains("project="), nothing("/tasks").query_contains("assignee=")];
    let asana = Asana::wide(rules);
    let run = asana.read(&["tasks"], "full_refresh");
    assert_eq!(run.records("tasks").len(), 0);
    assert_fails(
        &run,
        &["tasks"],
        &["tasks: Asana refused all 19 listings", "/tasks?project={gid}", "GET /tasks?project="],
    );
}

#[test]
fn twenty_projects_refuse_their_custom_fields_and_sixty_teams_have_none() {
    let rules = [
        refuse("/projects/{gid}/custom_field_settings", 403),
        nothing("/teams/{gid}/custom_field_settings"),
        nothing("/portfolios/{gid}/custom_field_settings"),
        nothing("/goals/{gid}/custom_field_settings"),
    ];
    let run = Asana::wide(rules).read(&["custom_field_settings"], "full_refresh");
    assert_fails(&run, &["custom_field_settings"], &["/projects/{gid}/custom_field_settings", "403"]);
}

#[test]
fn one_project_of_twenty_that_refuses_costs_its_own_tasks() {
    let asana = Asana::wide([]);
    let project = asana.gids(Kind::Project).remove(0);
    asana.0.faults().add(refuse("/tasks", 403).query_contains(&format!("project={project}")));
    let run = asana.read(&["tasks"], "full_refresh").expect_success();
    assert_warns(&run, &["tasks: skipped", format!("GET /tasks?project={project} answered 403").as_str()]);
}

// A refusal costs what it refuses ---------------------------------------------------------------------------------

#[test]
fn goals_that_nobody_selected_and_that_are_refused_cost_nothing_else() {
    let streams = ["projects", "status_updates", "custom_field_settings"];
    for endpoint in ["/goals", "/portfolios"] {
        for status in [402, 403] {
            let asana = Asana::tiny([refuse(endpoint, status)]);
            let run = asana.read(&streams, "full_refresh").expect_success();
            assert!(!run.records("status_updates").is_empty(), "those of projects are there");
            assert!(!run.records("custom_field_settings").is_empty(), "those of projects are there");
            assert_warns(&run, &["skipped", status.to_string().as_str(), endpoint]);
        }
    }
}

#[test]
fn a_stream_whose_only_source_is_refused_fails() {
    let run = Asana::tiny([refuse("/goals", 403)]).read(&["users", "goal_relationships"], "full_refresh");
    assert_eq!(end(&run, "users"), "COMPLETE");
    assert_fails(&run, &["goal_relationships"], &["goal_relationships: Asana refused all", "/goals"]);
}

#[test]
fn a_guest_in_one_of_two_workspaces_reads_the_custom_fields_of_the_other() {
    let asana = Asana::tiny([]);
    let workspaces = asana.gids(Kind::Workspace);
    assert_eq!(workspaces.len(), 2);
    for refused in &workspaces {
        asana.0.faults().clear();
        asana.0.faults().add(refuse(&format!("/workspaces/{refused}/custom_fields"), 403));
        let run = asana.read(&["custom_fields"], "full_refresh").expect_success();
        assert!(!run.records("custom_fields").is_empty());
        assert_warns(&run, &["custom_fields: skipped", refused.as_str()]);
    }
    asana.0.faults().add(refuse("/workspaces/{gid}/custom_fields", 403));
    let run = asana.read(&["custom_fields"], "full_refresh");
    assert_fails(&run, &["custom_fields"], &["/workspaces/{gid}/custom_fields"]);
}

// No state, no plan -----------------------------------------------------------------------------------------------

#[test]
fn what_every_plan_has_is_never_a_skip_of_the_whole_account() {
    for (stream, pattern) in [
        ("projects", "/projects"),
        ("users", "/users"),
        ("tags", "/tags"),
        ("tasks", "/tasks"),
        ("sections", "/projects/{gid}/sections"),
        ("stories", "/tasks/{gid}/stories"),
        ("workspaces", "/workspaces"),
    ] {
        let run = Asana::tiny([refuse(pattern, 402)]).read(&[stream], "full_refresh");
        assert_fails(&run, &[stream], &["402"]);
    }
}

#[test]
fn a_skip_of_a_paid_stream_warns_of_what_an_overwrite_does() {
    let run =
        Asana::tiny([refuse("/portfolios", 402)]).read(&["portfolios"], "full_refresh").expect_success();
    assert_warns(&run, &["portfolios: skipped", "If this sync overwrites the table"]);
}

// What the last sync could read -----------------------------------------------------------------------------------

#[test]
fn a_project_that_could_be_read_before_and_is_refused_now_fails_its_stream() {
    let asana = Asana::tiny([]);
    let first = asana.read(&["sections"], "incremental").expect_success();
    let project = asana.gids(Kind::Project).remove(0);
    asana.0.faults().add(refuse(&format!("/projects/{project}/sections"), 403));
    let second = asana.read_from(&["sections"], "incremental", Some(&first.state()));
    assert_fails(&second, &["sections"], &["could be read at the last sync", project.as_str()]);
    asana.0.faults().clear();
    asana.read_from(&["sections"], "incremental", Some(&second.state())).expect_success();
}

// Vanished objects ------------------------------------------------------------------------------------------------

#[test]
fn a_vanished_task_whose_stories_answer_400_lacks_nothing() {
    let asana = Asana::tiny([]);
    let task = asana.0.world(|world| {
        let mut tasks = world.visible(Kind::Task, asana.0.viewer(TOKEN).unwrap());
        tasks.find(|task| !world.projects_of_task(*task).is_empty()).unwrap().to_string()
    });
    asana.0.faults().add(refuse(&format!("/tasks/{task}"), 404));
    asana.0.faults().add(unknown_id(&format!("/tasks/{task}/stories"), &task));
    let run = asana.read(&["tasks", "stories"], "full_refresh").expect_success();
    assert!(run.records("stories").iter().all(|story| story["task_gid"] != *task));
}

#[test]
fn a_vanished_project_whose_sections_answer_400_is_skipped() {
    let asana = Asana::tiny([]);
    let project = asana.gids(Kind::Project).remove(0);
    asana.0.faults().add(refuse(&format!("/projects/{project}"), 404));
    asana.0.faults().add(unknown_id(&format!("/projects/{project}/sections"), &project));
    let run = asana.read(&["sections"], "full_refresh").expect_success();
    assert_warns(&run, &["sections: skipped", project.as_str()]);
}

// One trace for each cause ----------------------------------------------------------------------------------------

#[test]
fn a_read_that_is_stopped_has_one_trace_behind_everything_else() {
    let run = Asana::tiny([refuse("/tasks/{gid}/stories", 401).nth(3)])
        .read(&["projects", "tasks", "subtasks", "stories", "attachments"], "incremental");
    assert_eq!(run.exit_code, Some(1));
    assert_eq!(messages(&run).len(), 1, "{:#?}", messages(&run));
    let is_trace = |message: &Value| message["trace"]["type"] == "ERROR";
    assert!(run.messages.last().is_some_and(is_trace), "nothing comes behind the trace");
    for stream in ["stories", "attachments"] {
        assert_eq!(end(&run, stream), "INCOMPLETE");
    }
}

#[test]
fn streams_that_fail_for_one_cause_share_its_trace() {
    let run =
        Asana::tiny([refuse("/projects", 403)]).read(&["users", "projects", "sections"], "full_refresh");
    assert_fails(
        &run,
        &["projects", "sections"],
        &["projects, sections: Asana refused all", "GET /projects"],
    );
    assert!(run.errors()[0].get("stream_descriptor").is_none());
}
