//! `docs/FAULTS.md` is generated from the tables in the code. Here an answer of each row is given at each place, and the
//! connector does what the cell says.

use std::time::Duration;

use asana_simulator::{Fault, FaultRule, Gid, Kind, Options, Plan, Scale, Simulator, Token, World};
use serde_json::{Value, json};

use crate::harness::{Run, TOKEN, catalog_of};
use crate::in_process::InProcess;
use crate::incremental::delivered_and_deleted;
use crate::truth;

const PAGE: &str = include_str!("../../docs/FAULTS.md");
const RULE: &str = "the fault";

/// The answers in the page, each with its cell in a column.
fn column(name: &str) -> Vec<(Fault, &'static str)> {
    let (_, table) = PAGE.split_once("<!-- written by tests/generated.rs -->").unwrap();
    let mut rows = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    let at = rows.next().unwrap().iter().position(|cell| *cell == name).unwrap();
    let found: Vec<_> =
        rows.skip(1).flat_map(|row| answers(row[0]).into_iter().map(move |fault| (fault, row[at]))).collect();
    assert!(found.len() > 20, "{} answers", found.len());
    found
}

/// The answers that a row is about. Of many statuses, the first stands for all.
fn answers(row: &str) -> Vec<Fault> {
    let respond = |status, body: &str| Fault::Respond { status, headers: Vec::new(), body: body.to_owned() };
    let status = |status, retry_after| Fault::Status { status, retry_after };
    match row {
        "400, an offset that has expired" => vec![Fault::ExpiredOffset],
        "400, a result that was truncated" => vec![Fault::TruncatedSet],
        "400, a result that is too large" => vec![Fault::TooLarge],
        "400, anything else" => {
            let body = json!({"errors": [{"message": "workspace: Not a recognized ID: 1"}]});
            vec![respond(400, &body.to_string())]
        }
        "4xx with a web page" => vec![respond(403, "<html>"), respond(404, "<html>")],
        "200 or 3xx without Asana's JSON" => vec![Fault::GarbageBody, respond(302, "")],
        "no answer, or half of one" => vec![Fault::ResetBeforeHeaders, Fault::ResetInBody],
        // What other requests meet at the same time is a matter of chance; `tests/asana/http.rs` arranges it.
        "429 for an hour, while other requests are answered" => Vec::new(),
        "429 for an hour, as every request" => vec![status(429, Some(0)), status(429, Some(7200))],
        statuses => {
            let first = statuses.split([',', ' ']).next().and_then(|word| word.parse().ok());
            vec![status(first.expect("a row that this test knows, or numbers"), None)]
        }
    }
}

/// A place at which answers are replaced, and what is read there.
struct Place {
    asana: Simulator,
    stream: &'static str,
    endpoint: String,
    query: String,
    state: Option<Value>,
}

impl Place {
    fn new(stream: &'static str) -> Self {
        Self::of(stream, &Scale::tiny())
    }

    fn of(stream: &'static str, scale: &Scale) -> Self {
        let options = Options { tokens: vec![Token::new(TOKEN, Plan::Paid)], ..Options::default() };
        let asana = Simulator::start_blocking(World::generate(1, scale), options).unwrap();
        Self { asana, stream, endpoint: String::new(), query: String::new(), state: None }
    }

    fn at(self, endpoint: &str, query: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), query: query.to_owned(), ..self }
    }

    /// The last sync could read everything.
    fn read_before(mut self) -> Self {
        self.state = Some(self.read(None).expect_success().state());
        self
    }

    fn gid(&self, kind: Kind, wanted: impl Fn(&World, Gid) -> bool) -> Gid {
        self.asana.world(|world| {
            world.visible(kind, world.main_viewer()).find(|gid| wanted(world, *gid)).expect("there is one")
        })
    }

    /// One request at a time, so that what is requested after the fault is known.
    fn read(&self, state: Option<&Value>) -> Run {
        let mut reader = InProcess::new(&self.asana.base_url());
        reader.in_flight = 1;
        reader.patience.rejected_for = Duration::from_millis(20);
        reader.read(&catalog_of(&[self.stream], "incremental"), state)
    }

    fn read_with(&self, fault: &Fault) -> Run {
        let rule = FaultRule::new(&self.endpoint, fault.clone()).query_contains(&self.query).label(RULE);
        self.asana.clear_requests();
        self.asana.faults().add(rule);
        let run = self.read(self.state.as_ref());
        assert!(self.asana.faults().struck(RULE) > 0, "{} was not requested", self.endpoint);
        self.asana.faults().clear();
        run
    }

    /// Gives every answer of a column of the page. `others` checks the cells that mean something else at each place.
    fn holds(&self, name: &str, others: impl Fn(&str, &Run) -> bool) {
        for (fault, cell) in column(name) {
            let run = self.read_with(&fault);
            let end = run.statuses(self.stream).last().copied();
            let warns_of = |object: &str| {
                run.of_type("LOG").any(|message| {
                    message["log"]["level"] == "WARN"
                        && message["log"]["message"].as_str().unwrap().contains(object)
                })
            };
            let is_so = match cell {
                "fails" => run.exit_code == Some(1) && end == Some("INCOMPLETE"),
                "stops" => {
                    let last_fault = self.asana.requests().last().and_then(|last| last.fault.clone());
                    run.exit_code == Some(1)
                        && end == Some("INCOMPLETE")
                        && last_fault.as_deref() == Some(RULE)
                }
                "skipped" => {
                    let object = format!("{}{}", self.endpoint, self.query);
                    let gid = object.rsplit(['/', '=']).find(|part| part.parse::<u64>().is_ok()).unwrap();
                    run.exit_code == Some(0) && end == Some("COMPLETE") && warns_of(gid)
                }
                cell => run.exit_code == Some(0) && end == Some("COMPLETE") && others(cell, &run),
            };
            assert!(
                is_so,
                "{name}: {fault:?} is not {cell:?}: exit code {:?}, {end:?}, {:#?} {:#?}",
                run.exit_code,
                run.errors(),
                run.logs()
            );
        }
    }
}

fn nothing_else(cell: &str, _: &Run) -> bool {
    panic!("no {cell:?} is expected here")
}

#[test]
fn the_workspaces() {
    Place::new("tags").at("/workspaces", "").holds("`GET /workspaces`", nothing_else);
}

fn in_a_workspace() -> Place {
    let place = Place::new("projects");
    let workspace = place.gid(Kind::Workspace, |_, _| true);
    place.at("/projects", &format!("workspace={workspace}"))
}

#[test]
fn a_listing_in_a_workspace() {
    in_a_workspace().holds("in a workspace", nothing_else);
}

#[test]
fn a_listing_in_a_workspace_that_was_read_before() {
    in_a_workspace().read_before().holds("in a workspace, read before", nothing_else);
}

fn below_a_project() -> Place {
    let place = Place::new("tasks");
    let project = place.gid(Kind::Project, |world, project| {
        world
            .visible(Kind::Task, world.main_viewer())
            .any(|task| world.projects_of_task(task).contains(&project))
    });
    place.at("/tasks", &format!("project={project}"))
}

#[test]
fn a_listing_below_a_project() {
    below_a_project().holds("below a project", nothing_else);
}

#[test]
fn a_listing_below_a_project_that_was_read_before() {
    below_a_project().read_before().holds("below a project, read before", nothing_else);
}

#[test]
fn a_listing_below_a_task() {
    let place = Place::new("stories");
    let task = place.gid(Kind::Task, |world, task| !world.projects_of_task(task).is_empty());
    place.at(&format!("/tasks/{task}/stories"), "").holds("below a task", nothing_else);
}

fn unlisted() -> Place {
    let place = Place::new("tasks");
    let workspace = place.gid(Kind::Workspace, |_, _| true);
    place.at(&format!("/workspaces/{workspace}/tasks/search"), "projects.any=null")
}

#[test]
fn the_search_for_what_no_listing_shows() {
    unlisted().holds("search for the unlisted", nothing_else);
}

#[test]
fn the_search_for_what_no_listing_shows_that_was_read_before() {
    unlisted().read_before().holds("search for the unlisted, read before", nothing_else);
}

#[test]
fn the_search_for_changes() {
    let place = Place::new("subtasks").at("/workspaces/{gid}/tasks/search", "is_subtask=true").read_before();
    let subtask = place.gid(Kind::Task, |world, task| world.parent_of_task(task).is_some());
    place.asana.edit(|edit| edit.rename_task(subtask, "changed")).unwrap();
    place.holds("search for changes", |cell, run| {
        assert_eq!(cell, "found otherwise");
        delivered_and_deleted(run, "subtasks").0.contains(&subtask.to_string())
    });
}

#[test]
fn the_search_for_parents() {
    let scale = Scale { plain_workspaces: 0, ..Scale::small() };
    let place = Place::of("attachments", &scale).at("/workspaces/{gid}/tasks/search", "has_attachment=true");
    let all =
        place.asana.world(|world| truth::keys(world, world.main_viewer()).remove("attachments").unwrap());
    place.holds("search for parents", |cell, run| {
        assert_eq!(cell, "found otherwise");
        let is_told = run.logs().iter().any(|line| line.contains("is not relied on"));
        is_told && delivered_and_deleted(run, "attachments").0 == all
    });
}

#[test]
fn the_events_of_a_project() {
    let place = Place::new("tasks").read_before();
    let task = place.gid(Kind::Task, |world, task| !world.projects_of_task(task).is_empty());
    let projects: Vec<Gid> = place.asana.world(|world| world.projects_of_task(task).to_vec());
    let place = place.at("/events", "resource=");
    place.asana.edit(|edit| edit.delete_task(task)).unwrap();
    assert!(!projects.is_empty());
    let is_reported = |run: &Run| delivered_and_deleted(run, "tasks").1.contains(&task.to_string());
    place.holds("events", |cell, run| {
        assert_eq!(cell, "found otherwise");
        is_reported(run) || is_reported(&place.read(Some(&run.state())))
    });
}

#[test]
fn one_object() {
    let place = Place::new("projects").read_before();
    let project = place.gid(Kind::Project, |_, _| true);
    place.asana.edit(|edit| edit.delete_project(project)).unwrap();
    let place = place.at(&format!("/projects/{project}"), "");
    let is_reported = |run: &Run| delivered_and_deleted(run, "projects").1.contains(&project.to_string());
    place.holds("one object", |cell, run| {
        let is_reported_later = || is_reported(&place.read(Some(&run.state())));
        match cell {
            "deleted" => is_reported(run),
            "kept" => !is_reported(run) && !is_reported_later(),
            "asked later" => !is_reported(run) && is_reported_later(),
            other => nothing_else(other, run),
        }
    });
}
