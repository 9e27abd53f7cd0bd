//! The task search: what it finds, in which order, and how late.

use std::collections::BTreeSet;
use std::time::Duration;

use asana_simulator::{DEFAULT_TOKEN, Fault, FaultRule, Gid, Kind, Options, Plan, Scale, Token, World};

use crate::client::Account;

fn workspace(account: &Account) -> Gid {
    account.simulator.world(|world| world.gids(Kind::Workspace).next().unwrap())
}

/// The tasks of a workspace that the main user may see and that fit.
fn expected(account: &Account, workspace: Gid, fits: impl Fn(&World, Gid) -> bool) -> BTreeSet<String> {
    account.simulator.world(|world| {
        let tasks = world.visible(Kind::Task, world.main_viewer());
        let tasks = tasks.filter(|task| world.workspace_of(*task) == Some(workspace) && fits(world, *task));
        tasks.map(|task| task.to_string()).collect()
    })
}

/// Every task that a filter finds, stepping through creation times as callers must.
fn sweep(account: &Account, workspace: Gid, filter: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut after = String::from("2000-01-01T00:00:00.000Z");
    loop {
        let path = format!(
            "/workspaces/{workspace}/tasks/search?sort_by=created_at&sort_ascending=true&limit=100\
             &opt_fields=created_at&created_at.after={after}&{filter}"
        );
        let answer = account.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        found.extend(answer.gids());
        match answer.rows().last() {
            Some(last) if answer.rows().len() == 100 => {
                let last = asana_simulator::Timestamp::parse(last["created_at"].as_str().unwrap()).unwrap();
                after = last.minus(Duration::from_millis(1)).to_string();
            }
            _ => return found,
        }
    }
}

#[test]
fn a_sweep_finds_every_task_subtasks_and_orphans_too() {
    let account = Account::small();
    let workspace = workspace(&account);
    assert_eq!(sweep(&account, workspace, ""), expected(&account, workspace, |_, _| true));
}

#[test]
fn filters_select() {
    let account = Account::small();
    let workspace = workspace(&account);
    let (project, user) =
        account.simulator.world(|world| (world.gids(Kind::Project).nth(1).unwrap(), world.main_user()));
    let check = |filter: &str, fits: &dyn Fn(&World, Gid) -> bool| {
        let found = sweep(&account, workspace, filter);
        assert!(!found.is_empty(), "{filter}");
        assert_eq!(found, expected(&account, workspace, fits), "{filter}");
    };
    check("is_subtask=true", &|world, task| world.parent_of_task(task).is_some());
    check("is_subtask=false", &|world, task| world.parent_of_task(task).is_none());
    check("has_attachment=true", &|world, task| !world.attachments(task).is_empty());
    check(&format!("projects.any={project}"), &|world, task| world.projects_of_task(task).contains(&project));
    check(&format!("assignee.any={user}"), &|world, task| world.assignee_of_task(task) == Some(user));
    check("assignee.any=me", &|world, task| world.assignee_of_task(task) == Some(user));
    check("assignee.any=null", &|world, task| world.assignee_of_task(task).is_none());
    check("completed=true", &|world, task| world.object(task).unwrap()["completed"] == true);
    check("resource_subtype=milestone", &|world, task| {
        world.object(task).unwrap()["resource_subtype"] == "milestone"
    });
    let unknown = account.get(&format!("/workspaces/{workspace}/tasks/search?followers.any={user}"));
    assert_eq!(unknown.status, 400);
}

#[test]
fn an_edit_is_found_only_after_the_lag() {
    let options = Options { search_lag: Duration::from_secs(30), ..Options::default() };
    let account = Account::new(World::generate(1, &Scale::small()), options);
    let workspace = workspace(&account);
    let task = account.simulator.world(|world| world.gids(Kind::Task).next().unwrap());
    let since = account.simulator.world(World::end);
    let found = || {
        let path =
            format!("/workspaces/{workspace}/tasks/search?modified_at.after={since}&sort_ascending=true");
        account.get(&path).gids()
    };
    let made = account.simulator.edit(|edit| {
        edit.rename_task(task, "renamed").unwrap();
        edit.create_task(workspace, "made", &[]).unwrap()
    });
    assert!(found().is_empty());
    account.simulator.advance(Duration::from_secs(31));
    let found: BTreeSet<String> = found().into_iter().collect();
    assert_eq!(found, BTreeSet::from([task.to_string(), made.to_string()]));
}

#[test]
fn an_attachment_is_found_only_after_the_lag_and_not_while_its_task_is_hidden() {
    let options = Options { search_lag: Duration::from_secs(30), ..Options::default() };
    let account = Account::new(World::generate(1, &Scale::small()), options);
    let workspace = workspace(&account);
    let task = account.simulator.world(|world| {
        world
            .visible(Kind::Task, world.main_viewer())
            .find(|task| world.attachments(*task).is_empty())
            .unwrap()
    });
    let is_found = || {
        account
            .get(&format!("/workspaces/{workspace}/tasks/search?has_attachment=true"))
            .gids()
            .contains(&task.to_string())
    };
    account.simulator.edit(|edit| edit.add_attachment(task, "file.txt")).unwrap();
    assert!(!is_found());
    account.simulator.advance(Duration::from_secs(31));
    assert!(is_found());
    let hidden = FaultRule::new("/workspaces/{gid}/tasks/search", Fault::HideFromSearch(vec![task]));
    account.simulator.faults().add(hidden.query_contains("has_attachment=true"));
    assert!(!is_found());
    account.simulator.faults().clear();
    assert!(is_found());
}

#[test]
fn equal_times_come_in_another_order_each_time() {
    let account = Account::small();
    let workspace = workspace(&account);
    account.simulator.edit(|edit| {
        for number in 0..20 {
            edit.create_task(workspace, &format!("imported {number}"), &[]).unwrap();
        }
    });
    let path = format!("/workspaces/{workspace}/tasks/search?text=imported&sort_by=created_at");
    let orders: BTreeSet<Vec<String>> = (0..5).map(|_| account.get(&path).gids()).collect();
    assert!(orders.len() > 1);
    let sets: BTreeSet<BTreeSet<String>> =
        orders.into_iter().map(|order| order.into_iter().collect()).collect();
    assert_eq!(sets.len(), 1);
}

#[test]
fn search_is_not_for_free_plans_and_has_no_pages() {
    let options = Options {
        tokens: vec![Token::new(DEFAULT_TOKEN, Plan::Paid), Token::new("free", Plan::Free)],
        ..Options::default()
    };
    let account = Account::new(World::generate(1, &Scale::small()), options);
    let path = format!("/workspaces/{}/tasks/search?limit=100", workspace(&account));
    assert_eq!(account.get_as("free", &path).status, 402);
    let answer = account.get(&path);
    assert_eq!(answer.rows().len(), 100);
    assert!(answer.body.get("next_page").is_none());
}
