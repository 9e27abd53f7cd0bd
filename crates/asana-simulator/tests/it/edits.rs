//! What each change does to stories, `modified_at`, listings and rights.

use std::time::Duration;

use asana_simulator::{EditError, Editor, Gid, Kind, Timestamp, World};
use serde_json::Value;

use crate::client::{Account, gids};

/// A task in a project, with a parent's rights and no awkwardness, and its project.
fn a_task(world: &World) -> (Gid, Gid) {
    let project = world.gids(Kind::Project).next().unwrap();
    let mut tasks = world.tasks_of_project(project).into_iter();
    let task = tasks.find(|task| {
        world.projects_of_task(*task).len() == 1
            && world.parent_of_task(*task).is_none()
            && world.assignee_of_task(*task).is_some()
            && world.subtasks_of_task(*task).is_empty()
    });
    (task.unwrap(), project)
}

fn modified(account: &Account, task: Gid) -> Timestamp {
    account.simulator.world(|world| world.task_modified_at(task))
}

fn detail(account: &Account, path: &str) -> Value {
    account.get(path).body["data"].clone()
}

fn last_story(account: &Account, task: Gid) -> Value {
    account
        .all(&format!("/tasks/{task}/stories?opt_fields=resource_subtype,text,is_edited"), 100)
        .pop()
        .unwrap()
}

/// Whether a change, made an hour after the last one, moves a task.
fn moves<T>(
    account: &Account,
    task: Gid,
    change: impl FnOnce(&mut Editor<'_>) -> Result<T, EditError>,
) -> (bool, T) {
    account.simulator.advance(Duration::from_secs(3600));
    let before = modified(account, task);
    let made = account.simulator.edit(change).unwrap();
    (modified(account, task) > before, made)
}

#[test]
fn what_moves_a_task_and_what_does_not() {
    let account = Account::small();
    let (task, project) = account.simulator.world(a_task);
    let (sections, user, tag) = account.simulator.world(|world| {
        let tag = world.gids(Kind::Tag).find(|tag| !world.tags_of_task(task).contains(tag)).unwrap();
        (world.sections_of_project(project), world.main_user(), tag)
    });
    assert!(moves(&account, task, |edit| edit.rename_task(task, "renamed \"twice\"\n🎈")).0);
    assert_eq!(detail(&account, &format!("/tasks/{task}"))["name"], "renamed \"twice\"\n🎈");
    assert_eq!(last_story(&account, task)["resource_subtype"], "name_changed");
    assert!(moves(&account, task, |edit| edit.set_task_notes(task, "new notes")).0);
    assert!(moves(&account, task, |edit| edit.complete_task(task)).0);
    assert_eq!(detail(&account, &format!("/tasks/{task}"))["completed"], true);
    assert!(moves(&account, task, |edit| edit.reopen_task(task)).0);
    assert!(moves(&account, task, |edit| edit.unassign_task(task)).0);
    assert!(moves(&account, task, |edit| edit.assign_task(task, user)).0);
    assert!(moves(&account, task, |edit| edit.tag_task(task, tag)).0);
    let (moved, comment) = moves(&account, task, |edit| edit.comment(task, "a comment"));
    assert!(moved);
    assert!(!moves(&account, task, |edit| edit.edit_comment(comment, "reworded")).0);
    let story = last_story(&account, task);
    assert_eq!((&story["text"], &story["is_edited"]), (&Value::from("reworded"), &Value::from(true)));
    assert!(moves(&account, task, |edit| edit.delete_story(comment)).0);
    assert_eq!(account.get(&format!("/stories/{comment}")).status, 404);
    let (moved, attachment) = moves(&account, task, |edit| edit.add_attachment(task, "file"));
    assert!(moved);
    assert!(moves(&account, task, |edit| edit.delete_attachment(attachment)).0);
    let target = *sections.last().unwrap();
    assert!(moves(&account, task, |edit| edit.move_to_section(task, target)).0);
    assert!(!moves(&account, task, |edit| edit.move_to_section_silently(task, sections[0])).0);
    let (moved, subtask) = moves(&account, task, |edit| edit.create_subtask(task, "a subtask"));
    assert!(moved);
    assert!(!moves(&account, task, |edit| edit.rename_task(subtask, "renamed")).0);
    assert!(!moves(&account, task, |edit| edit.comment(subtask, "about the subtask")).0);
    assert!(moves(&account, task, |edit| edit.delete_task(subtask)).0);
    assert!(!moves(&account, task, |edit| edit.rename_tag(tag, "renamed")).0);
    assert!(!moves(&account, task, |edit| edit.delete_tag(tag)).0);
    assert!(!moves(&account, task, |edit| edit.add_status_update(project, "t", "x")).0);
}

#[test]
fn an_edit_shows_in_modified_since_from_its_own_instant_on() {
    let account = Account::small();
    let (task, project) = account.simulator.world(a_task);
    account.simulator.edit(|edit| edit.comment(task, "now")).unwrap();
    let at = modified(&account, task);
    let changed =
        |since: Timestamp| account.all(&format!("/tasks?project={project}&modified_since={since}"), 100);
    assert_eq!(gids(&changed(at)), [task.to_string()]);
    assert!(changed(Timestamp(at.0 + 1)).is_empty());
}

#[test]
fn created_and_deleted_tasks_come_and_go_with_all_that_hangs_on_them() {
    let account = Account::small();
    let (workspace, project, user) = account.simulator.world(|world| {
        (
            world.gids(Kind::Workspace).next().unwrap(),
            world.gids(Kind::Project).next().unwrap(),
            world.main_user(),
        )
    });
    let (task, subtask, deeper, attachment, comment) = account.simulator.edit(|edit| {
        let task = edit.create_task(workspace, "new", &[project]).unwrap();
        edit.assign_task(task, user).unwrap();
        let subtask = edit.create_subtask(task, "below").unwrap();
        let deeper = edit.create_subtask(subtask, "deeper").unwrap();
        let attachment = edit.add_attachment(deeper, "file").unwrap();
        (task, subtask, deeper, attachment, edit.comment(subtask, "hello").unwrap())
    });
    let listed = |path: String| gids(&account.all(&path, 100));
    assert!(listed(format!("/tasks?project={project}")).contains(&task.to_string()));
    assert!(listed(format!("/tasks?assignee=me&workspace={workspace}")).contains(&task.to_string()));
    assert_eq!(listed(format!("/tasks/{task}/subtasks")), [subtask.to_string()]);
    assert_eq!(detail(&account, &format!("/tasks/{task}?opt_fields=num_subtasks"))["num_subtasks"], 1);
    assert_eq!(listed(format!("/attachments?parent={deeper}")), [attachment.to_string()]);
    account.simulator.edit(|edit| edit.delete_task(task)).unwrap();
    assert!(!listed(format!("/tasks?project={project}")).contains(&task.to_string()));
    assert!(!listed(format!("/tasks?assignee=me&workspace={workspace}")).contains(&task.to_string()));
    for path in [
        format!("/tasks/{task}"),
        format!("/tasks/{deeper}/stories"),
        format!("/attachments/{attachment}"),
        format!("/stories/{comment}"),
    ] {
        assert_eq!(account.get(&path).status, 404, "{path}");
    }
    let again = account.simulator.edit(|edit| edit.delete_task(task));
    assert_eq!(again, Err(EditError::NotThere(task)));
}

#[test]
fn a_page_is_not_shifted_by_what_happens_before_it() {
    let account = Account::small();
    let project = account.simulator.world(|world| world.gids(Kind::Project).next().unwrap());
    let all = gids(&account.all(&format!("/tasks?project={project}"), 100));
    let first = account.get(&format!("/tasks?project={project}&limit=50"));
    account.simulator.edit(|edit| {
        for gid in &all[..3] {
            edit.delete_task(gid.parse().unwrap()).unwrap();
        }
    });
    let second = account.get(first.body["next_page"]["path"].as_str().unwrap());
    assert_eq!(second.gids()[0], all[50]);
    // The last row that was sent may be gone itself.
    account.simulator.edit(|edit| edit.delete_task(all[49].parse().unwrap())).unwrap();
    assert_eq!(account.get(first.body["next_page"]["path"].as_str().unwrap()).gids()[0], all[50]);
}

#[test]
fn a_hidden_project_is_neither_listed_nor_open_and_may_come_back() {
    let account = Account::small();
    let (task, project) = account.simulator.world(a_task);
    let workspace = account.simulator.world(|world| world.workspace_of(project).unwrap());
    let listed = || {
        gids(&account.all(&format!("/projects?workspace={workspace}"), 100)).contains(&project.to_string())
    };
    assert!(listed());
    account.simulator.edit(|edit| edit.hide_project(project)).unwrap();
    assert!(!listed());
    for path in
        [format!("/projects/{project}"), format!("/tasks?project={project}"), format!("/tasks/{task}")]
    {
        assert_eq!(account.get(&path).status, 403, "{path}");
    }
    account.simulator.edit(|edit| edit.show_project(project)).unwrap();
    assert!(listed());
    assert_eq!(account.get(&format!("/tasks/{task}")).status, 200);
}

#[test]
fn projects_are_made_archived_and_deleted() {
    let account = Account::small();
    let (task, project) = account.simulator.world(a_task);
    let workspace = account.simulator.world(|world| world.workspace_of(project).unwrap());
    let made = account.simulator.edit(|edit| edit.create_project(workspace, "made")).unwrap();
    account.simulator.edit(|edit| edit.add_to_project(task, made)).unwrap();
    assert_eq!(gids(&account.all(&format!("/tasks?project={made}"), 100)), [task.to_string()]);
    let archived = |flag: bool| {
        gids(&account.all(&format!("/projects?workspace={workspace}&archived={flag}"), 100))
            .contains(&made.to_string())
    };
    assert!(archived(false) && !archived(true));
    account.simulator.edit(|edit| edit.archive_project(made)).unwrap();
    assert!(!archived(false) && archived(true));
    account.simulator.edit(|edit| edit.delete_project(made)).unwrap();
    assert_eq!(account.get(&format!("/projects/{made}")).status, 404);
    let homes = detail(&account, &format!("/tasks/{task}?opt_fields=projects"));
    assert_eq!(homes["projects"][0]["gid"], project.to_string());
    account.simulator.edit(|edit| edit.delete_project(project)).unwrap();
    // Someone's task stays without a project; nobody's goes.
    assert_eq!(detail(&account, &format!("/tasks/{task}"))["projects"], serde_json::json!([]));
}

#[test]
fn sections_tags_and_updates_change_what_refers_to_them() {
    let account = Account::small();
    let (task, project) = account.simulator.world(a_task);
    let section = account.simulator.edit(|edit| {
        let section = edit.create_section(project, "made").unwrap();
        edit.move_to_section(task, section).unwrap();
        edit.rename_section(section, "renamed").unwrap()
    });
    let home = || detail(&account, &format!("/tasks/{task}"))["memberships"][0]["section"]["name"].clone();
    assert_eq!(home(), "renamed");
    assert_eq!(gids(&account.all(&format!("/tasks?section={section}"), 100)), [task.to_string()]);
    account.simulator.edit(|edit| edit.delete_section(section)).unwrap();
    assert_ne!(home(), "renamed");
    assert_eq!(account.get(&format!("/sections/{section}")).status, 404);
    let current = || detail(&account, &format!("/projects/{project}"))["current_status_update"].clone();
    let update = account.simulator.edit(|edit| edit.add_status_update(project, "Latest", "text")).unwrap();
    assert_eq!(current()["gid"], update.to_string());
    let since = account.simulator.now();
    let listed =
        gids(&account.all(&format!("/status_updates?parent={project}&created_since=2025-12-31"), 100));
    assert_eq!(listed, [update.to_string()], "at {since}");
}

#[test]
fn records_that_do_not_go_together_are_refused() {
    let account = Account::small();
    let (task, project) = account.simulator.world(a_task);
    let (elsewhere, foreign) = account.simulator.world(|world| {
        let elsewhere = world.gids(Kind::Project).nth(1).unwrap();
        (world.sections_of_project(elsewhere)[0], world.gids(Kind::Workspace).nth(1).unwrap())
    });
    account.simulator.edit(|edit| {
        assert!(matches!(edit.move_to_section(task, elsewhere), Err(EditError::Unfit { .. })));
        assert!(matches!(edit.add_to_project(task, project), Err(EditError::Unfit { .. })));
        assert!(matches!(edit.create_task(foreign, "x", &[project]), Err(EditError::Unfit { .. })));
        assert_eq!(edit.rename_task(project, "x"), Err(EditError::NotThere(project)));
    });
}
