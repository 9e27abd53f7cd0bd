//! Deletions that no events report: after a day without a sync, in streams that were paused, of rows that only a search
//! showed. Whatever streams are selected, no row stays that Asana does not have any more.

use std::collections::BTreeSet;
use std::time::Duration;

use asana_simulator::{Gid, Kind, Plan, Scale, World};
use serde_json::Value;

use crate::harness::{Run, whole_catalog};
use crate::in_process::InProcess;
use crate::incremental::{Account, by_endpoint, change_one_percent, delivered_and_deleted};
use crate::replica::{REPORTING, Replica, catalog};

const HOUR: Duration = Duration::from_secs(60 * 60);
const GAP: Duration = Duration::from_secs(25 * 60 * 60);

/// The requests of the medium world's first sync where every task is asked for its attachments.
const WITHOUT_SEARCH: usize = 32_700;

/// A small account with many subtasks.
fn scale() -> Scale {
    Scale { subtasks: 40, ..Scale::tiny() }
}

fn read(account: &Account, catalog: &Value, state: Option<&Value>) -> Run {
    account.simulator.clear_requests();
    InProcess::new(&account.simulator.base_url()).read(catalog, state).expect_success()
}

/// A task of a project with subtasks, stories and files below it.
fn rich_task(world: &World) -> Gid {
    let is_rich = |task: &Gid| {
        world.parent_of_task(*task).is_none()
            && !world.projects_of_task(*task).is_empty()
            && !world.subtasks_of_task(*task).is_empty()
    };
    world.visible(Kind::Task, world.main_viewer()).find(is_rich).unwrap()
}

/// A project of which most goes with it.
fn rich_project(world: &World) -> Gid {
    let projects = world.visible(Kind::Project, world.main_viewer());
    projects.max_by_key(|project| world.tasks_of_project(*project).len()).unwrap()
}

/// Deletes one of everything: a task with all below it, a subtask, a project with its tasks, a section, a file.
fn delete(account: &Account) {
    account.simulator.edit(|edit| {
        let task = rich_task(edit.world());
        edit.delete_task(task).unwrap();
        let task = rich_task(edit.world());
        let subtask = edit.world().subtasks_of_task(task)[0];
        edit.delete_task(subtask).unwrap();
        let project = rich_project(edit.world());
        edit.delete_project(project).unwrap();
        let project = rich_project(edit.world());
        let section = *edit.world().sections_of_project(project).last().unwrap();
        edit.delete_section(section).unwrap();
    });
}

/// The selections of fault 13, and some more.
fn selections() -> Vec<Value> {
    vec![
        catalog(&["stories"], &[]),
        catalog(&["subtasks"], &[]),
        catalog(&["tasks"], &[]),
        catalog(&["attachments"], &[]),
        catalog(&["sections"], &[]),
        catalog(&["tasks", "stories", "attachments"], &[]),
        catalog(&["subtasks", "stories", "attachments"], &["tasks"]),
        catalog(&["tasks", "subtasks", "stories", "attachments"], &[]),
        catalog(&REPORTING, &[]),
    ]
}

/// Fault 13: with `stories` alone 29 rows stayed for good, with `subtasks` alone 3.
#[test]
fn after_a_gap_every_deletion_is_reported_whatever_is_selected() {
    for plan in [Plan::Paid, Plan::Free] {
        for catalog in selections() {
            for gap in [HOUR, GAP] {
                let account = Account::new(&scale(), plan);
                let mut replica = Replica::default();
                let first = read(&account, &catalog, None);
                replica.write(&first, &catalog);
                delete(&account);
                assert!(!replica.ghosts(&account, &catalog).is_empty(), "nothing was deleted");
                account.simulator.advance(gap);
                let second = read(&account, &catalog, Some(&first.state()));
                replica.write(&second, &catalog);
                let ghosts = replica.ghosts(&account, &catalog);
                assert!(ghosts.is_empty(), "{plan:?}, {gap:?}, {catalog}: {ghosts:?}");
            }
        }
    }
}

/// Fault 13: a stream that was not read for more than a day, while others were.
#[test]
fn a_paused_stream_reports_what_was_deleted_while_it_was_paused() {
    for paused in ["stories", "subtasks", "attachments", "tasks"] {
        let account = Account::new(&scale(), Plan::Paid);
        let others: Vec<&str> = REPORTING.into_iter().filter(|stream| *stream != paused).collect();
        let (all, others) = (catalog(&REPORTING, &[]), catalog(&others, &[]));
        let mut replica = Replica::default();
        let first = read(&account, &all, None);
        replica.write(&first, &all);
        let mut states = first.state();
        for hour in 0..30 {
            if hour == 3 {
                delete(&account);
            }
            account.simulator.advance(HOUR);
            let run = read(&account, &others, Some(&states));
            replica.write(&run, &others);
            states = crate::resume::merged(Some(states), &run.messages).unwrap();
        }
        let last = read(&account, &all, Some(&states));
        replica.write(&last, &all);
        assert_eq!(replica.ghosts(&account, &all), BTreeSet::new(), "{paused}");
    }
}

/// Fault 14: a subtask that only the search showed is deleted in a gap, with what is on it.
#[test]
fn rows_that_only_a_search_showed_are_remembered() {
    for plan in [Plan::Paid, Plan::Free] {
        let account = Account::new(&scale(), plan);
        let all = catalog(&REPORTING, &[]);
        let mut replica = Replica::default();
        let mut run = read(&account, &all, None);
        replica.write(&run, &all);
        let (subtask, orphan) = account.simulator.edit(|edit| {
            let parent = rich_task(edit.world());
            let subtask = edit.create_subtask(parent, "new").unwrap();
            edit.comment(subtask, "a comment").unwrap();
            let workspace = edit.world().workspace_of(parent).unwrap();
            let user = edit.world().users_of_workspace(workspace)[0];
            let orphan = edit.create_task(workspace, "in no project", &[]).unwrap();
            edit.assign_task(orphan, user).unwrap();
            (subtask, orphan)
        });
        for _ in 0..2 {
            account.simulator.advance(HOUR);
            run = read(&account, &all, Some(&run.state()));
            replica.write(&run, &all);
        }
        assert!(replica.rows("subtasks").contains(&subtask.to_string()));
        assert!(replica.rows("tasks").contains(&orphan.to_string()));
        account.simulator.edit(|edit| {
            edit.delete_task(subtask).unwrap();
            edit.delete_task(orphan).unwrap();
        });
        account.simulator.advance(GAP);
        run = read(&account, &all, Some(&run.state()));
        replica.write(&run, &all);
        assert_eq!(replica.ghosts(&account, &all), BTreeSet::new(), "{plan:?}");
    }
}

/// Fault 14: new and reparented subtasks, and their project is deleted with its tasks, with hourly syncs.
#[test]
fn new_and_moved_subtasks_go_with_their_project() {
    for plan in [Plan::Paid, Plan::Free] {
        let account = Account::new(&scale(), plan);
        let all = catalog(&REPORTING, &[]);
        let mut replica = Replica::default();
        let mut run = read(&account, &all, None);
        replica.write(&run, &all);
        let project = account.simulator.edit(|edit| {
            let workspace = edit.world().workspace_of(rich_project(edit.world())).unwrap();
            let project = edit.create_project(workspace, "short-lived").unwrap();
            let task = edit.create_task(workspace, "goes with it", &[project]).unwrap();
            edit.create_subtask(task, "new").unwrap();
            project
        });
        account.simulator.advance(HOUR);
        run = read(&account, &all, Some(&run.state()));
        replica.write(&run, &all);
        account.simulator.edit(|edit| {
            let task = edit.world().tasks_of_project(project)[0];
            let other = rich_task(edit.world());
            let moved = edit.world().subtasks_of_task(other)[0];
            edit.set_parent(moved, Some(task)).unwrap();
            edit.create_subtask(task, "newer").unwrap();
        });
        account.simulator.advance(HOUR);
        run = read(&account, &all, Some(&run.state()));
        replica.write(&run, &all);
        account.simulator.edit(|edit| edit.delete_project(project)).unwrap();
        assert!(replica.ghosts(&account, &all).len() > 4, "nothing was deleted");
        account.simulator.advance(HOUR);
        run = read(&account, &all, Some(&run.state()));
        replica.write(&run, &all);
        assert_eq!(replica.ghosts(&account, &all), BTreeSet::new(), "{plan:?}");
    }
}

/// Fault 15: 1 task, 3 subtasks and 29 stories stayed.
#[test]
fn a_task_that_was_moved_to_a_project_that_is_deleted_with_it_is_reported() {
    for (plan, selected) in [
        (Plan::Paid, &REPORTING[..]),
        (Plan::Free, &REPORTING[..]),
        (Plan::Paid, &["tasks", "subtasks", "stories", "attachments"]),
        (Plan::Paid, &["stories"]),
    ] {
        let account = Account::new(&scale(), plan);
        let all = catalog(selected, &[]);
        let mut replica = Replica::default();
        let first = read(&account, &all, None);
        replica.write(&first, &all);
        account.simulator.edit(|edit| {
            let task = rich_task(edit.world());
            edit.unassign_task(task).unwrap();
            let workspace = edit.world().workspace_of(task).unwrap();
            let new = edit.create_project(workspace, "short-lived").unwrap();
            edit.add_to_project(task, new).unwrap();
            for project in edit.world().projects_of_task(task) {
                if project != new {
                    edit.remove_from_project(task, project).unwrap();
                }
            }
            edit.delete_project(new).unwrap();
            assert!(!edit.world().exists(task));
        });
        assert!(!replica.ghosts(&account, &all).is_empty(), "nothing was deleted");
        account.simulator.advance(HOUR);
        let second = read(&account, &all, Some(&first.state()));
        replica.write(&second, &all);
        assert_eq!(replica.ghosts(&account, &all), BTreeSet::new(), "{plan:?} {selected:?}");
    }
}

/// Fault 17: 25 hours later, with nothing changed, 2,617 requests instead of 382, and everything came again.
#[test]
fn a_daily_sync_of_a_medium_world_takes_a_thousand_requests_and_sends_no_row_twice() {
    let account = Account::new(&Scale::medium(), Plan::Paid);
    let (first, requests) = account.sync(None);
    let budget = requests.len();
    account.simulator.advance(GAP);
    let (second, requests) = account.sync(Some(&first.state()));
    eprintln!("{budget} requests, and {} 25 hours later\n{}", requests.len(), by_endpoint(&requests));
    for stream in ["projects", "tasks", "subtasks", "stories", "status_updates"] {
        assert_eq!(second.records(stream).len(), 0, "{stream}");
    }
    assert!(requests.len() * 100 <= 3 * WITHOUT_SEARCH, "{} of {budget}", requests.len());
    let happened = change_one_percent(&account.simulator);
    account.simulator.advance(GAP);
    let (third, requests) = account.sync(Some(&second.state()));
    eprintln!("{} requests after changes to one percent\n{}", requests.len(), by_endpoint(&requests));
    let gone: BTreeSet<String> =
        ["tasks", "subtasks"].iter().flat_map(|stream| delivered_and_deleted(&third, stream).1).collect();
    let expected: BTreeSet<String> = happened.deleted.iter().map(ToString::to_string).collect();
    assert_eq!(gone, expected);
    assert!(requests.len() * 100 <= 5 * WITHOUT_SEARCH, "{} of {budget}", requests.len());
}

/// A record that is out of sight is not deleted; when it is back in sight, nothing of it is missing.
#[test]
fn what_is_out_of_sight_is_not_deleted_and_asked_for_only_once() {
    for selected in [&REPORTING[..], &["stories"], &["tasks", "stories"]] {
        let account = Account::new(&scale(), Plan::Paid);
        let all = catalog(selected, &[]);
        let mut replica = Replica::default();
        let mut run = read(&account, &all, None);
        replica.write(&run, &all);
        let before = replica.rows("stories");
        let project = account.simulator.world(rich_project);
        account.simulator.edit(|edit| edit.hide_project(project)).unwrap();
        let mut asked = Vec::new();
        for _ in 0..2 {
            account.simulator.advance(GAP);
            run = read(&account, &all, Some(&run.state()));
            replica.write(&run, &all);
            let requests = account.simulator.requests();
            asked.push(requests.iter().filter(|request| request.status == 403).count());
            assert_eq!(replica.rows("stories"), before, "{selected:?}");
        }
        assert!(asked[1] <= 100, "{selected:?}: {asked:?}");
        let deleted = account.simulator.edit(|edit| {
            edit.show_project(project).unwrap();
            let task = edit.world().tasks_of_project(project)[0];
            edit.delete_task(task).unwrap()
        });
        account.simulator.advance(GAP);
        run = read(&account, &all, Some(&run.state()));
        replica.write(&run, &all);
        assert_eq!(replica.ghosts(&account, &all), BTreeSet::new(), "{selected:?} {deleted}");
        assert_eq!(replica.missing(&account, &all), BTreeSet::new(), "{selected:?}");
    }
}

/// Only an answer decides: where nothing can be read for a while, a later sync reports the deletion.
#[test]
fn a_comparison_that_fails_is_made_again() {
    use asana_simulator::{Fault, FaultRule};
    for (pattern, text) in [("/tasks", "opt_fields=parent.gid"), ("/tasks/{gid}", "parent.gid")] {
        let account = Account::new(&scale(), Plan::Paid);
        let all = whole_catalog("incremental");
        let (first, _) = account.sync(None);
        let mut replica = Replica::default();
        replica.write(&first, &all);
        delete(&account);
        account.simulator.advance(GAP);
        let fault = Fault::Status { status: 500, retry_after: None };
        account.simulator.faults().add(FaultRule::new(pattern, fault).query_contains(text));
        let second = read(&account, &all, Some(&first.state()));
        replica.write(&second, &all);
        account.simulator.faults().clear();
        let third = read(&account, &all, Some(&second.state()));
        replica.write(&third, &all);
        assert_eq!(replica.ghosts(&account, &all), BTreeSet::new(), "{pattern}");
    }
}

/// A token that may read no events at all. The log says what that costs, and nothing that exists is taken for deleted.
#[test]
fn without_events_nothing_that_exists_is_reported_as_deleted() {
    use asana_simulator::{Fault, FaultRule};
    for plan in [Plan::Paid, Plan::Free] {
        let account = Account::new(&scale(), plan);
        let refused = Fault::Status { status: 403, retry_after: None };
        account.simulator.faults().add(FaultRule::new("/events", refused));
        let all = whole_catalog("incremental");
        let mut state = None;
        let mut replica = Replica::default();
        for _ in 0..3 {
            let run = read(&account, &all, state.as_ref());
            let said = "are found by the daily comparison, because the token has no access to it";
            assert!(run.logs().iter().any(|text| text.contains(said)), "{:#?}", run.logs());
            replica.write(&run, &all);
            let reported = REPORTING.map(|stream| delivered_and_deleted(&run, stream).1);
            assert!(reported.iter().all(BTreeSet::is_empty), "{plan:?}: {reported:?}");
            assert_eq!(replica.ghosts(&account, &all), BTreeSet::new(), "{plan:?}");
            state = Some(run.state());
            account.simulator.advance(GAP);
        }
    }
}

/// A token that may read no events at all: the daily comparison reports every deletion.
#[test]
fn without_events_every_deletion_is_reported_within_a_day() {
    use asana_simulator::{Fault, FaultRule};
    for plan in [Plan::Paid, Plan::Free] {
        for catalog in selections() {
            let account = Account::new(&scale(), plan);
            let refused = Fault::Status { status: 403, retry_after: None };
            account.simulator.faults().add(FaultRule::new("/events", refused));
            let mut replica = Replica::default();
            let first = read(&account, &catalog, None);
            replica.write(&first, &catalog);
            delete(&account);
            account.simulator.advance(GAP);
            let second = read(&account, &catalog, Some(&first.state()));
            replica.write(&second, &catalog);
            let ghosts = replica.ghosts(&account, &catalog);
            assert!(ghosts.is_empty(), "{plan:?}, {catalog}: {ghosts:?}");
        }
    }
}

/// A project that the token could not see any more when it was deleted.
#[test]
fn a_project_that_is_deleted_out_of_sight_is_reported_a_day_later() {
    let account = Account::new(&scale(), Plan::Paid);
    let catalog = catalog(&["projects"], &[]);
    let first = read(&account, &catalog, None);
    let project = account.simulator.edit(|edit| {
        let project = rich_project(edit.world());
        edit.hide_project(project).unwrap();
        project
    });
    account.simulator.advance(HOUR);
    let hidden = read(&account, &catalog, Some(&first.state()));
    assert_eq!(delivered_and_deleted(&hidden, "projects").1, BTreeSet::new());
    account.simulator.edit(|edit| edit.delete_project(project).unwrap());
    account.simulator.advance(GAP);
    let deleted = read(&account, &catalog, Some(&hidden.state()));
    assert_eq!(delivered_and_deleted(&deleted, "projects").1, [project.to_string()].into());
    account.simulator.advance(GAP);
    let last = read(&account, &catalog, Some(&deleted.state()));
    assert_eq!(delivered_and_deleted(&last, "projects").1, BTreeSet::new());
    assert!(!account.simulator.requests().iter().any(|request| request.path.contains("/projects/")));
}
