//! What a sync must emit for a world, by stream. Only this file maps streams to the simulator's kinds.

use std::collections::{BTreeMap, BTreeSet};

use asana_simulator::{Gid, Kind, Viewer, World};

/// Each stream's keys: the columns of the primary key, joined by `/`.
pub fn keys(world: &World, viewer: Viewer) -> BTreeMap<&'static str, BTreeSet<String>> {
    let visible = |kind| world.visible(kind, viewer).map(|gid| gid.to_string()).collect::<BTreeSet<String>>();
    let (subtasks, tasks): (Vec<Gid>, Vec<Gid>) =
        reachable_tasks(world, viewer).into_iter().partition(|task| world.parent_of_task(*task).is_some());
    let all_tasks: BTreeSet<Gid> = tasks.iter().chain(&subtasks).copied().collect();
    let projects: Vec<Gid> = world.visible(Kind::Project, viewer).collect();
    let portfolios: Vec<Gid> = world
        .visible(Kind::Portfolio, viewer)
        .filter(|portfolio| {
            matches!(viewer, Viewer::ServiceAccount(_))
                || world.owner_of_portfolio(*portfolio) == viewer.user()
        })
        .collect();
    let goals: Vec<Gid> = world.visible(Kind::Goal, viewer).collect();
    let teams: Vec<Gid> = world.visible(Kind::Team, viewer).collect();
    let below = |parents: &[Gid], children: &dyn Fn(Gid) -> Vec<Gid>| -> BTreeSet<String> {
        parents.iter().flat_map(|parent| children(*parent)).map(|gid| gid.to_string()).collect()
    };
    let with_status: Vec<Gid> = [&projects[..], &portfolios[..], &goals[..]].concat();
    let with_settings: Vec<Gid> = [&with_status[..], &teams[..]].concat();
    let with_files: Vec<Gid> = all_tasks.iter().copied().chain(projects.iter().copied()).collect();
    let all_tasks: Vec<Gid> = all_tasks.into_iter().collect();
    let text = |gids: &[Gid]| gids.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    BTreeMap::from([
        ("workspaces", visible(Kind::Workspace)),
        ("users", visible(Kind::User)),
        ("teams", text(&teams)),
        ("team_memberships", below(&teams, &|team| world.memberships_of_team(team))),
        ("workspace_memberships", visible(Kind::WorkspaceMembership)),
        ("projects", text(&projects)),
        ("sections", below(&projects, &|project| world.sections_of_project(project))),
        ("tasks", text(&tasks)),
        ("subtasks", text(&subtasks)),
        ("stories", below(&all_tasks, &|task| world.stories_of_task(task))),
        ("attachments", below(&with_files, &|parent| world.attachments(parent))),
        ("tags", visible(Kind::Tag)),
        ("custom_fields", {
            let workspaces: Vec<Gid> = world.visible(Kind::Workspace, viewer).collect();
            below(&workspaces, &|workspace| world.custom_fields_of_workspace(workspace))
        }),
        ("custom_field_settings", below(&with_settings, &|parent| world.custom_field_settings(parent))),
        ("webhooks", visible(Kind::Webhook)),
        ("project_templates", visible(Kind::ProjectTemplate)),
        ("task_templates", below(&projects, &|project| world.task_templates_of_project(project))),
        ("status_updates", below(&with_status, &|parent| world.status_updates(parent))),
        ("portfolios", text(&portfolios)),
        ("portfolio_items", {
            let items = portfolios.iter().flat_map(|portfolio| {
                let items = world.items_of_portfolio(*portfolio).into_iter();
                items.filter(|item| world.sees(viewer, *item)).map(move |item| format!("{portfolio}/{item}"))
            });
            items.collect()
        }),
        ("goals", text(&goals)),
        ("goal_relationships", below(&goals, &|goal| world.relationships_of_goal(goal))),
        ("time_periods", visible(Kind::TimePeriod)),
        ("audit_log_events", {
            if matches!(viewer, Viewer::ServiceAccount(_)) {
                visible(Kind::AuditLogEvent)
            } else {
                BTreeSet::new()
            }
        }),
    ])
}

/// Tasks of the visible projects, tasks in no project (those without assignee only by the search of paid plans), and
/// everything below them.
fn reachable_tasks(world: &World, viewer: Viewer) -> BTreeSet<Gid> {
    let mut found: BTreeSet<Gid> = BTreeSet::new();
    let mut pending: Vec<Gid> =
        world.visible(Kind::Project, viewer).flat_map(|project| world.tasks_of_project(project)).collect();
    for workspace in world.visible(Kind::Workspace, viewer) {
        for user in world.users_of_workspace(workspace) {
            let assigned = world.tasks_assigned(user, workspace);
            pending.extend(assigned.into_iter().filter(|task| world.projects_of_task(*task).is_empty()));
        }
    }
    pending.extend(world.visible(Kind::Task, viewer).filter(|task| {
        world.parent_of_task(*task).is_none()
            && world.projects_of_task(*task).is_empty()
            && world.assignee_of_task(*task).is_none()
    }));
    while let Some(task) = pending.pop() {
        if world.sees(viewer, task) && found.insert(task) {
            pending.extend(world.subtasks_of_task(task));
        }
    }
    found
}
