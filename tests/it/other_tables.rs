//! A table of streams that Asana does not need today: a second tree that is searched, and keys of two columns.

use std::collections::BTreeSet;
use std::time::Duration;

use asana_simulator::{Gid, Kind, Plan, Scale};
use schemars::JsonSchema;
use serde_json::{Value, json};
use source_asana::catalog;
use source_asana::stream::{
    ChangeSignal, Condition, DeletionEvents, Deletions, Each, Feed, Listing, Repeats, Stream, Tree,
};
use source_asana::streams::sections::Section;
use source_asana::streams::shared::{ParentGid, Reference, Timestamp};
use source_asana::streams::stories::Story;
use source_asana::streams::subtasks::Subtask;
use source_asana::streams::tasks::{DELETIONS, EVENTS, Task};
use source_asana::streams::{projects, stories, subtasks, tasks, users, workspaces};

use crate::harness::Run;
use crate::in_process::InProcess;
use crate::incremental::{Account, DELETED_AT, delivered_and_deleted};

const DAY: Duration = Duration::from_secs(25 * 60 * 60);

/// The same records as tasks, subtasks and stories, as a tree of its own.
static CARDS: Stream =
    Stream::of::<Task>("cards", Listing::Each(&[Each::of(&projects::STREAM, "/tasks?project={gid}")]))
        .moves_since("modified_at", "modified_since")
        .deletions(DELETIONS)
        .repeats(Repeats::AcrossListings);

static CARDS_BELOW: Stream = Stream::of::<Subtask>(
    "cards_below",
    Listing::Tree(Tree {
        roots: &CARDS,
        path: "/tasks/{gid}/subtasks",
        parent: "parent",
        when: Condition::Positive("num_subtasks"),
        search: Some("/workspaces/{gid}/tasks/search?is_subtask=true"),
    }),
)
.moves("modified_at")
.deletions(DELETIONS)
.repeats(Repeats::AcrossListings);

static REMARKS: Stream = Stream::of::<Story>(
    "remarks",
    Listing::Each(&[
        Each::of(&CARDS, "/tasks/{gid}/stories").change_signal(ChangeSignal::MovesParent),
        Each::of(&CARDS_BELOW, "/tasks/{gid}/stories").change_signal(ChangeSignal::MovesParent),
    ]),
)
.follows_parents("created_at")
.deletions(Deletions::Events {
    feed: &EVENTS,
    events: DeletionEvents { resource: "story", actions: &["deleted", "removed"] },
    path: "/stories/{gid}",
});

/// Sections, as a tree that has only roots.
static COLUMNS: Stream = Stream::of::<Section>(
    "columns",
    Listing::Each(&[Each::of(&projects::STREAM, "/projects/{gid}/sections")]),
)
.follows_parents("created_at")
.deletions(COLUMNS_DELETED);

static COLUMNS_BELOW: Stream = Stream::of::<Subtask>(
    "columns_below",
    Listing::Tree(Tree {
        roots: &COLUMNS,
        path: "/tasks/{gid}/subtasks",
        parent: "parent",
        when: Condition::Empty("name"),
        search: None,
    }),
)
.moves("modified_at")
.deletions(COLUMNS_DELETED);

const COLUMNS_DELETED: Deletions = Deletions::Events {
    feed: &EVENTS,
    events: DeletionEvents { resource: "section", actions: &["deleted"] },
    path: "/sections/{gid}",
};

/// A task that is in a project: one row for each of its projects.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Place {
    gid: String,
    modified_at: Timestamp,
    projects: Vec<Reference>,
    project_gid: ParentGid,
}

static PLACES: Stream =
    Stream::of::<Place>("places", Listing::Each(&[Each::of(&projects::STREAM, "/tasks?project={gid}")]))
        .key(&["project_gid", "gid"])
        .follows_parents("modified_at")
        .deletions(Deletions::Absence { path: "/tasks/{gid}" });

/// The same, with the events of the project.
static REPORTED_PLACES: Stream = Stream::of::<Place>(
    "reported_places",
    Listing::Each(&[Each::of(&projects::STREAM, "/tasks?project={gid}")]),
)
.key(&["project_gid", "gid"])
.follows_parents("modified_at")
.deletions(Deletions::Events {
    feed: &Feed { of: &projects::STREAM, path: "/events?resource={gid}" },
    events: DeletionEvents { resource: "task", actions: &["deleted"] },
    path: "/tasks/{gid}",
});

static TABLE: &[&Stream] = &[
    &workspaces::STREAM,
    &users::STREAM,
    &projects::STREAM,
    &tasks::STREAM,
    &subtasks::STREAM,
    &stories::STREAM,
    &COLUMNS,
    &COLUMNS_BELOW,
    &CARDS,
    &CARDS_BELOW,
    &REMARKS,
    &PLACES,
    &REPORTED_PLACES,
];

fn read(account: &Account, catalog: &Value, state: Option<&Value>) -> Run {
    let mut reader = InProcess::new(&account.simulator.base_url());
    reader.table = TABLE;
    reader.read(catalog, state).expect_success()
}

/// An incremental catalog of the table's streams of these names.
fn selected(names: &[&str]) -> Value {
    let discovered = serde_json::to_value(catalog::of(TABLE)).unwrap();
    let streams = discovered["streams"].as_array().unwrap().iter();
    let streams = streams.filter(|stream| names.contains(&stream["name"].as_str().unwrap()));
    let configured = streams.map(|stream| {
        json!({"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"})
    });
    json!({"streams": configured.collect::<Vec<_>>()})
}

fn scale() -> Scale {
    Scale { subtasks: 40, ..Scale::tiny() }
}

#[test]
fn a_second_tree_is_read_searched_and_compared_like_the_first() {
    for plan in [Plan::Paid, Plan::Free] {
        let account = Account::new(&scale(), plan);
        let catalog = selected(&["tasks", "subtasks", "stories", "cards", "cards_below", "remarks"]);
        let of = |run: &Run, names: [&str; 3]| names.map(|stream| delivered_and_deleted(run, stream));
        let both = |run: &Run| {
            let first = of(run, ["tasks", "subtasks", "stories"]);
            (first, of(run, ["cards", "cards_below", "remarks"]))
        };
        let run = read(&account, &catalog, None);
        let (first, second) = both(&run);
        // A listing of projects shows no task that is in none.
        assert!(second[0].0.is_subset(&first[0].0) && second[0].0.len() > 10, "{plan:?}");
        assert!(second[1].0.is_subset(&first[1].0) && second[1].0.len() > 10, "{plan:?}");

        account.simulator.advance(Duration::from_secs(60 * 60));
        let changed = account.simulator.edit(|edit| {
            let subtask = second[1].0.first().unwrap().parse().unwrap();
            edit.rename_task(subtask, "renamed").unwrap();
            subtask
        });
        let run = read(&account, &catalog, Some(&run.state()));
        let (first, second_sync) = both(&run);
        for streams in [&first, &second_sync] {
            assert_eq!(streams[1].0, [changed.to_string()].into(), "{plan:?}");
        }

        account.simulator.advance(DAY);
        let gone = account.simulator.edit(|edit| {
            let world = edit.world();
            let in_both = |task: &Gid| {
                second[0].0.contains(&task.to_string()) && !world.subtasks_of_task(*task).is_empty()
            };
            let task = world.visible(Kind::Task, world.main_viewer()).find(in_both).unwrap();
            edit.delete_task(task).unwrap();
            task
        });
        let run = read(&account, &catalog, Some(&run.state()));
        let (first, second) = both(&run);
        assert!(first[0].1.contains(&gone.to_string()), "{plan:?}");
        assert!(!first[1].1.is_empty() && !first[2].1.is_empty(), "{plan:?}");
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.1, second.1, "{plan:?}");
        }
    }
}

/// A record that no listing shows is asked for in its own tree, whichever the table names first.
#[test]
fn what_another_tree_does_not_know_is_not_deleted() {
    for gap in [Duration::from_secs(60 * 60), DAY] {
        let account = Account::new(&scale(), Plan::Free);
        let catalog = selected(&["columns", "columns_below", "cards", "cards_below"]);
        let run = read(&account, &catalog, None);
        let cards = delivered_and_deleted(&run, "cards").0;
        account.simulator.advance(gap);
        let (left, gone, section) = account.simulator.edit(|edit| {
            let is_in_one = |task: &&String| edit.world().projects_of_task(task.parse().unwrap()).len() == 1;
            let tasks: Vec<Gid> = cards.iter().filter(is_in_one).map(|task| task.parse().unwrap()).collect();
            let project = edit.world().projects_of_task(tasks[0])[0];
            edit.remove_from_project(tasks[0], project).unwrap();
            edit.delete_task(tasks[1]).unwrap();
            let section = *edit.world().sections_of_project(project).last().unwrap();
            edit.delete_section(section).unwrap();
            (tasks[0], tasks[1], section)
        });
        let run = read(&account, &catalog, Some(&run.state()));
        let deleted = |stream| delivered_and_deleted(&run, stream).1;
        assert!(deleted("cards").contains(&gone.to_string()), "{gap:?}");
        assert!(!deleted("cards").contains(&left.to_string()), "{gap:?}");
        assert_eq!(deleted("columns"), [section.to_string()].into(), "{gap:?}");
    }
}

/// The rows and tombstones of a stream whose key is project and task.
fn rows(run: &Run, stream: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let key = |record: &&Value| format!("{} {}", record["project_gid"], record["gid"]).replace('"', "");
    let (deleted, there): (Vec<&Value>, Vec<&Value>) =
        run.records(stream).into_iter().partition(|record| record[DELETED_AT].is_string());
    (there.iter().map(key).collect(), deleted.iter().map(key).collect())
}

#[test]
fn a_tombstone_has_each_column_of_its_key() {
    for stream in ["places", "reported_places"] {
        for gap in [Duration::from_secs(60 * 60), DAY] {
            let account = Account::new(&scale(), Plan::Paid);
            let catalog = selected(&[stream]);
            let (left, gone) = account.simulator.edit(|edit| {
                let viewer = edit.world().main_viewer();
                let projects: Vec<Gid> = edit.world().visible(Kind::Project, viewer).collect();
                let workspace = edit.world().workspace_of(projects[0]).unwrap();
                let is_near = |project: &Gid| edit.world().workspace_of(*project) == Some(workspace);
                let homes: Vec<Gid> = projects.into_iter().filter(is_near).take(2).collect();
                let mut create = |name| edit.create_task(workspace, name, &homes).unwrap();
                (create("left"), create("gone"))
            });
            let run = read(&account, &catalog, None);
            let (before, _) = rows(&run, stream);
            account.simulator.advance(gap);
            account.simulator.edit(|edit| {
                let project = edit.world().projects_of_task(left)[0];
                edit.remove_from_project(left, project).unwrap();
                edit.delete_task(gone).unwrap();
            });
            let run = read(&account, &catalog, Some(&run.state()));
            let (there, deleted) = rows(&run, stream);
            let expected: BTreeSet<String> = before.difference(&there).cloned().collect();
            assert_eq!(deleted, expected, "{stream}, {gap:?}");
            assert_eq!(deleted.len(), 3, "{deleted:?}");
        }
    }
}
