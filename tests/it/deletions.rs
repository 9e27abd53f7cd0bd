//! Records that are gone: told with their key and the time, and never where they may only be out of sight.

use std::collections::BTreeSet;
use std::time::Duration;

use asana_simulator::{Fault, FaultRule, Gid, Kind, Plan, Scale, World};
use serde_json::json;

use crate::harness::{Connector, Run, catalog_of, whole_catalog};
use crate::in_process::InProcess;
use crate::incremental::{Account, delivered_and_deleted};

fn account() -> Account {
    Account::new(&Scale::tiny(), Plan::Paid)
}

fn deleted(run: &Run, stream: &str) -> BTreeSet<String> {
    delivered_and_deleted(run, stream).1
}

fn set(gids: &[Gid]) -> BTreeSet<String> {
    gids.iter().map(ToString::to_string).collect()
}

fn projects(world: &World) -> Vec<Gid> {
    let mut projects: Vec<Gid> = world.visible(Kind::Project, world.main_viewer()).collect();
    // The one with the most tasks first.
    projects.sort_by_key(|project| std::cmp::Reverse(world.tasks_of_project(*project).len()));
    projects
}

/// Streams that tell deletions, and how many of their records a run told as deleted.
fn all_deleted(run: &Run) -> Vec<(&'static str, usize)> {
    let streams = ["projects", "sections", "tags", "tasks", "subtasks", "stories", "attachments"];
    let counts = streams.map(|stream| (stream, deleted(run, stream).len()));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn what_is_deleted_is_told_with_its_key_its_time_and_nothing_else() {
    let account = account();
    let story = account.simulator.edit(|edit| {
        let tasks = edit.world().tasks_of_project(projects(edit.world())[0]);
        edit.comment(tasks[0], "to be regretted").unwrap()
    });
    let (first, _) = account.sync(None);
    assert_eq!(all_deleted(&first), []);
    let (task, file, section, tag) = account.simulator.edit(|edit| {
        let project = projects(edit.world())[0];
        let tasks = edit.world().tasks_of_project(project);
        let section = *edit.world().sections_of_project(project).last().unwrap();
        let tag = edit.world().visible(Kind::Tag, edit.world().main_viewer()).next().unwrap();
        edit.delete_story(story).unwrap();
        let file = edit.add_attachment(tasks[0], "short-lived.txt").unwrap();
        edit.delete_attachment(file).unwrap();
        edit.delete_task(tasks[1]).unwrap();
        edit.delete_section(section).unwrap();
        edit.delete_tag(tag).unwrap();
        (tasks[1], file, section, tag)
    });
    let (second, _) = account.sync(Some(&first.state()));
    assert!(deleted(&second, "tasks").contains(&task.to_string()));
    assert_eq!(deleted(&second, "stories"), set(&[story]));
    assert_eq!(deleted(&second, "attachments"), set(&[file]));
    assert_eq!(deleted(&second, "sections"), set(&[section]));
    assert_eq!(deleted(&second, "tags"), set(&[tag]));
    let told = second.records("tasks").into_iter().find(|record| record["gid"] == task.to_string()).unwrap();
    let columns: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(columns, ["_ab_cdc_deleted_at", "gid", "modified_at"]);
    assert_eq!(told["_ab_cdc_deleted_at"], told["modified_at"], "{told}");
    // Told once.
    let (third, _) = account.sync(Some(&second.state()));
    assert_eq!(all_deleted(&third), []);
}

/// A project becomes visible, one is archived, one is out of sight for want of permission, one is deleted.
#[test]
fn four_projects_each_get_what_is_right_for_them() {
    let account = account();
    let chosen = account.simulator.world(projects);
    let [shown, archived, hidden, gone] = chosen[..4] else { panic!("too few projects: {chosen:?}") };
    account.simulator.edit(|edit| edit.hide_project(shown)).unwrap();
    let (first, _) = account.sync(None);
    let of_project = |project: Gid| {
        account.simulator.world(|world| {
            let tasks = world.tasks_of_project(project);
            let tops = tasks.iter().filter(|task| world.parent_of_task(**task).is_none());
            tops.filter(|task| world.sees(world.main_viewer(), **task)).copied().collect::<Vec<_>>()
        })
    };
    let (of_shown_before, of_gone) = (delivered_and_deleted(&first, "tasks").0, of_project(gone));
    account.simulator.edit(|edit| {
        edit.show_project(shown).unwrap();
        edit.archive_project(archived).unwrap();
        edit.hide_project(hidden).unwrap();
        edit.delete_project(gone).unwrap();
    });
    let (second, _) = account.sync(Some(&first.state()));
    let (tasks, _) = delivered_and_deleted(&second, "tasks");
    // Old tasks of the project that became visible, which no filter by time would find.
    let of_shown: BTreeSet<String> = set(&of_project(shown));
    let new: Vec<_> = of_shown.difference(&of_shown_before).collect();
    assert!(!new.is_empty(), "it would prove nothing");
    assert!(new.iter().all(|task| tasks.contains(*task)), "{new:?} of {tasks:?}");
    let (projects, deleted_projects) = delivered_and_deleted(&second, "projects");
    assert!(projects.contains(&shown.to_string()) && projects.contains(&archived.to_string()));
    let record = second.records("projects").into_iter().find(|record| record["gid"] == archived.to_string());
    assert_eq!(record.unwrap()["archived"], true);
    assert_eq!(deleted_projects, set(&[gone]), "what is out of sight is not deleted");
    let hidden_tasks = set(&account.simulator.world(|world| world.tasks_of_project(hidden)));
    assert!(deleted(&second, "tasks").is_disjoint(&hidden_tasks));
    assert!(!of_gone.is_empty());
    // The hidden one comes back whole when it may be seen again.
    account.simulator.edit(|edit| edit.show_project(hidden)).unwrap();
    let (third, _) = account.sync(Some(&second.state()));
    let (tasks, _) = delivered_and_deleted(&third, "tasks");
    let back = set(&of_project(hidden));
    let missing: Vec<_> = back.difference(&tasks).collect();
    assert!(missing.iter().all(|task| is_elsewhere(&account, task)), "{missing:?}");
    assert_eq!(deleted(&third, "projects"), BTreeSet::new());
}

/// Whether a task is in another project too, which showed it all the time.
fn is_elsewhere(account: &Account, gid: &str) -> bool {
    account.simulator.world(|world| {
        let task: Gid = gid.parse().unwrap();
        world.projects_of_task(task).len() > 1
    })
}

/// A day later Asana does not tell what happened: the project is read again, and nothing is made up.
#[test]
fn where_the_events_do_not_reach_back_the_project_is_read_again() {
    let account = account();
    let (first, _) = account.sync(None);
    let project = account.simulator.world(projects)[0];
    let tasks = account.simulator.world(|world| world.tasks_of_project(project));
    account
        .simulator
        .edit(|edit| {
            edit.move_to_section_silently(
                tasks[0],
                *edit.world().sections_of_project(project).last().unwrap(),
            )
        })
        .unwrap();
    account.simulator.advance(Duration::from_secs(25 * 60 * 60));
    let (second, _) = account.sync(Some(&first.state()));
    let (delivered, gone) = delivered_and_deleted(&second, "tasks");
    let tops = account.simulator.world(|world| {
        let tops = tasks.iter().copied().filter(|task| world.parent_of_task(*task).is_none());
        tops.collect::<Vec<_>>()
    });
    assert!(set(&tops).is_subset(&delivered), "read whole, so that silent changes are seen too");
    assert_eq!(gone, BTreeSet::new());
    // From then on events are told again.
    account.simulator.edit(|edit| edit.delete_task(tops[0])).unwrap();
    let (third, _) = account.sync(Some(&second.state()));
    assert!(deleted(&third, "tasks").contains(&tops[0].to_string()));
}

#[test]
fn a_listing_that_loses_most_of_its_records_at_once_tells_no_deletions() {
    let account = Account::new(&Scale { tags: 40, ..Scale::tiny() }, Plan::Paid);
    let (first, _) = account.sync(None);
    let tags: Vec<Gid> =
        account.simulator.world(|world| world.visible(Kind::Tag, world.main_viewer()).collect());
    account.simulator.edit(|edit| {
        for tag in &tags[..30] {
            edit.delete_tag(*tag).unwrap();
        }
    });
    let (second, _) = account.sync(Some(&first.state()));
    assert_eq!(deleted(&second, "tags"), BTreeSet::new());
    assert!(
        second.logs().iter().any(|line| line.contains("too many to be taken for deletions")),
        "{:#?}",
        second.logs()
    );
    // A reset is what the message advises.
    let (third, _) = account.sync(None);
    assert_eq!(delivered_and_deleted(&third, "tags").0.len(), tags.len() - 30);
}

#[test]
fn a_listing_that_fails_or_a_record_that_is_refused_tells_no_deletions() {
    let answer = |status| Fault::Status { status, retry_after: None };
    let faults = [
        FaultRule::new("/tags", answer(500)),
        FaultRule::new("/tags", answer(403)),
        FaultRule::new("/tags/{gid}", answer(403)),
        FaultRule::new("/tags/{gid}", answer(500)),
    ];
    for fault in faults {
        let account = account();
        let (first, _) = account.sync(None);
        let tag =
            account.simulator.world(|world| world.visible(Kind::Tag, world.main_viewer()).next()).unwrap();
        account.simulator.edit(|edit| edit.delete_tag(tag)).unwrap();
        let is_refused = fault.target.pattern == "/tags/{gid}" && fault.fault == answer(403);
        let label = format!("{fault:?}");
        account.simulator.faults().add(fault);
        let reader = InProcess::new(&account.simulator.base_url());
        let catalog = whole_catalog("incremental");
        let second = reader.read(&catalog, Some(&first.state()));
        assert_eq!(deleted(&second, "tags"), BTreeSet::new(), "{label}");
        account.simulator.faults().clear();
        let third = reader.read(&catalog, Some(&second.state())).expect_success();
        // What may not be seen any more is not looked for again; what could not be asked for is.
        let expected = if is_refused { BTreeSet::new() } else { set(&[tag]) };
        assert_eq!(deleted(&third, "tags"), expected, "{label}");
    }
}

#[test]
fn deletions_are_not_told_where_no_one_wants_them() {
    let account = account();
    let delete = |account: &Account| {
        account.simulator.edit(|edit| {
            let tasks = edit.world().tasks_of_project(projects(edit.world())[0]);
            let tag = edit.world().visible(Kind::Tag, edit.world().main_viewer()).next().unwrap();
            edit.delete_task(tasks[0]).unwrap();
            edit.delete_tag(tag).unwrap();
        });
    };
    // By the config.
    let connector = Connector::new(&account.simulator.base_url()).config(json!({"deletions": false}));
    let catalog = whole_catalog("incremental");
    let first = connector.read(&catalog, None).expect_success();
    delete(&account);
    account.simulator.clear_requests();
    let second = connector.read(&catalog, Some(&first.state())).expect_success();
    assert_eq!(all_deleted(&second), []);
    assert!(account.simulator.requests().iter().all(|request| request.endpoint != "/events"));
    // By the columns: there would be nothing to tell it in.
    let mut catalog = catalog_of(&["tasks", "tags"], "incremental");
    for entry in catalog["streams"].as_array_mut().unwrap() {
        let properties = entry["stream"]["json_schema"]["properties"].as_object_mut().unwrap();
        properties.retain(|name, _| name == "gid" || name == "name");
    }
    let first = account.connector.read(&catalog, None).expect_success();
    delete(&account);
    let second = account.connector.read(&catalog, Some(&first.state())).expect_success();
    assert_eq!(all_deleted(&second), []);
    // By the mode: a full refresh replaces everything.
    let catalog = catalog_of(&["tasks", "tags"], "full_refresh");
    let first = account.connector.read(&catalog, None).expect_success();
    delete(&account);
    let second = account.connector.read(&catalog, Some(&first.state())).expect_success();
    assert_eq!(all_deleted(&second), []);
}
