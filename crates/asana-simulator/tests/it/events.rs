//! The events endpoints: tokens, their expiry, bubbling, pages.

use std::time::Duration;

use asana_simulator::{DEFAULT_TOKEN, Gid, Kind, Options, Scale, Token, World};
use serde_json::Value;

use crate::client::{Account, Answer};

fn start(account: &Account, resource: Gid) -> String {
    let answer = account.get(&format!("/events?resource={resource}"));
    assert_eq!(answer.status, 412);
    answer.body["sync"].as_str().unwrap().to_owned()
}

fn read(account: &Account, resource: Gid, sync: &str) -> Answer {
    account.get(&format!("/events?resource={resource}&sync={sync}"))
}

/// Every event after a token, and the token after them.
fn drain(account: &Account, resource: Gid, sync: &str) -> (Vec<Value>, String) {
    let (mut events, mut sync) = (Vec::new(), sync.to_owned());
    loop {
        let answer = read(account, resource, &sync);
        assert_eq!(answer.status, 200, "{}", answer.text);
        events.extend_from_slice(answer.rows());
        sync = answer.body["sync"].as_str().unwrap().to_owned();
        if answer.body["has_more"] == false {
            return (events, sync);
        }
    }
}

fn told(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .map(|event| {
            let field = event["change"]["field"].as_str().unwrap_or("");
            format!(
                "{} {} {field}",
                event["resource"]["resource_type"].as_str().unwrap(),
                event["action"].as_str().unwrap()
            )
        })
        .map(|text| text.trim_end().to_owned())
        .collect()
}

#[test]
fn a_first_call_gives_a_token_and_later_calls_what_happened_since() {
    let account = Account::small();
    let (project, task) = account.simulator.world(|world| {
        let project = world.gids(Kind::Project).next().unwrap();
        (project, world.tasks_of_project(project)[0])
    });
    let sync = start(&account, project);
    assert!(drain(&account, project, &sync).0.is_empty());
    account.simulator.edit(|edit| edit.rename_task(task, "renamed")).unwrap();
    let (events, after) = drain(&account, project, &sync);
    assert_eq!(told(&events), ["task changed name", "story added"]);
    assert_eq!(events[0]["resource"]["name"], "renamed");
    assert_eq!(events[1]["parent"]["gid"], task.to_string());
    assert_eq!(drain(&account, project, &sync).0, events, "the same token may be asked again");
    assert!(drain(&account, project, &after).0.is_empty());
}

#[test]
fn events_bubble_up_from_subtasks_of_any_depth_but_not_sideways() {
    let account = Account::small();
    let (project, other, task) = account.simulator.world(|world| {
        let mut projects = world.gids(Kind::Project);
        let project = projects.next().unwrap();
        let task =
            world.tasks_of_project(project).into_iter().find(|task| world.projects_of_task(*task).len() == 1);
        (project, projects.next().unwrap(), task.unwrap())
    });
    let deep = account.simulator.edit(|edit| {
        let below = edit.create_subtask(task, "below").unwrap();
        edit.create_subtask(below, "deep").unwrap()
    });
    let (of_project, of_other, of_task) =
        (start(&account, project), start(&account, other), start(&account, task));
    account.simulator.edit(|edit| edit.comment(deep, "down here")).unwrap();
    for (resource, sync, expected) in [(project, of_project, 1), (other, of_other, 0), (task, of_task, 1)] {
        assert_eq!(drain(&account, resource, &sync).0.len(), expected);
    }
}

#[test]
fn deletions_and_removals_are_told_apart() {
    let account = Account::small();
    let (project, tasks) = account.simulator.world(|world| {
        let project = world.gids(Kind::Project).next().unwrap();
        let mut tasks = world.tasks_of_project(project);
        tasks
            .retain(|task| world.subtasks_of_task(*task).is_empty() && world.parent_of_task(*task).is_none());
        (project, tasks)
    });
    let sync = start(&account, project);
    account.simulator.edit(|edit| edit.delete_task(tasks[0])).unwrap();
    account.simulator.edit(|edit| edit.remove_from_project(tasks[1], project)).unwrap();
    let (events, _) = drain(&account, project, &sync);
    assert_eq!(told(&events), ["task deleted", "task removed"]);
    assert_eq!(events[1]["parent"]["gid"], project.to_string());
    assert!(events[0]["resource"]["name"].is_string());
}

#[test]
fn tokens_expire_after_a_day_and_belong_to_one_resource() {
    let account = Account::small();
    let projects: Vec<Gid> = account.simulator.world(|world| world.gids(Kind::Project).take(2).collect());
    let sync = start(&account, projects[0]);
    let foreign = read(&account, projects[1], &sync);
    assert_eq!(foreign.status, 412);
    account.simulator.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(read(&account, projects[0], &sync).status, 200);
    account.simulator.advance(Duration::from_secs(2));
    let expired = read(&account, projects[0], &sync);
    assert_eq!(expired.status, 412);
    assert!(expired.message().starts_with("Sync token invalid or too old."));
    let fresh = expired.body["sync"].as_str().unwrap();
    assert_eq!(read(&account, projects[0], fresh).status, 200);
}

#[test]
fn an_answer_holds_a_hundred_events_and_says_whether_more_follow() {
    let account = Account::small();
    let (project, task) = account.simulator.world(|world| {
        let project = world.gids(Kind::Project).next().unwrap();
        (project, world.tasks_of_project(project)[0])
    });
    let sync = start(&account, project);
    account.simulator.edit(|edit| {
        for number in 0..250 {
            edit.comment(task, &number.to_string()).unwrap();
        }
    });
    let first = read(&account, project, &sync);
    assert_eq!((first.rows().len(), &first.body["has_more"]), (100, &Value::from(true)));
    assert_eq!(drain(&account, project, &sync).0.len(), 250);
}

#[test]
fn workspace_events_are_for_service_accounts() {
    let options = Options {
        tokens: vec![
            Token::service_account(DEFAULT_TOKEN),
            Token::new("person", asana_simulator::Plan::Enterprise),
        ],
        ..Options::default()
    };
    let account = Account::new(World::generate(1, &Scale::small()), options);
    let (workspace, task) = account
        .simulator
        .world(|world| (world.gids(Kind::Workspace).next().unwrap(), world.gids(Kind::Task).next().unwrap()));
    let path = format!("/workspaces/{workspace}/events");
    assert_eq!(account.get_as("person", &path).status, 403);
    let sync = account.get(&path).body["sync"].as_str().unwrap().to_owned();
    account.simulator.edit(|edit| edit.complete_task(task)).unwrap();
    assert_eq!(
        told(account.get(&format!("{path}?sync={sync}")).rows()),
        ["task changed completed", "story added"]
    );
}
