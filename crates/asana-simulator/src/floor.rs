//! The fewest requests that a full read of a world can take, endpoint by endpoint.
//!
//! Assumptions, each a fact about Asana's API:
//! - A listing of n rows takes one request per page of 100, and one when it is empty.
//! - Stories, attachments and subtasks are only in their own listings. No field shows whether a task has stories, so each
//!   task and subtask costs a request. A search in each workspace shows the tasks that have attachments, so only these
//!   have a listing. `num_subtasks` shows whether a task has subtasks, so only parents have a listing.
//! - Each project costs one attachment listing, because no field shows which have files.
//! - `current_status_update` of projects, portfolios and goals is null if there are no status updates, and the settings
//!   embedded in their lists show where there are custom field settings. Other listings of these are not needed.
//! - Only organizations have teams.
//! - Tasks come from the listing of each project, and those in no project from the listing of each user in each
//!   workspace. Tasks that only search finds are not counted, and neither is the search for them.
//! - Each project costs a task template listing, each portfolio an item listing, each goal a relationship listing,
//!   because no field shows which are empty.
//! - Only service accounts read the audit log. It costs one more page, the empty one at its end.
//!
//! A reader can go below this floor only if it finds the same rows in another way.

use std::collections::BTreeMap;

use crate::gid::{Gid, Kind};
use crate::world::{Viewer, World};

/// Rows of a full page.
const PAGE: usize = 100;

/// Requests by endpoint template, such as `/tasks/{gid}/stories`. Listings that take their container as a
/// parameter are told apart by it, such as `/tasks?project` and `/tasks?assignee`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFloor {
    pub by_endpoint: BTreeMap<&'static str, usize>,
}

/// Whether a task is in a listing of tasks or below one that is.
fn is_listed(world: &World, viewer: Viewer, task: Gid) -> bool {
    let projects = world.projects_of_task(task);
    let is_in_project = projects.iter().any(|project| world.sees(viewer, *project));
    is_in_project
        || (projects.is_empty() && world.assignee_of_task(task).is_some())
        || world.parent_of_task(task).is_some_and(|parent| is_listed(world, viewer, parent))
}

impl RequestFloor {
    /// The floor of a full read of every stream by a viewer whose plan opens everything.
    pub fn of_full_read(world: &World, viewer: Viewer) -> Self {
        let mut floor = Self::default();
        let workspaces: Vec<Gid> = world
            .gids(Kind::Workspace)
            .filter(|workspace| world.membership(workspace.index(), viewer.user().index()).is_some())
            .collect();
        floor.add("/workspaces", workspaces.len());
        for workspace in workspaces {
            floor.add_workspace(world, viewer, workspace);
        }
        for project in world.visible(Kind::Project, viewer) {
            let tasks = world.tasks_of_project(project);
            floor.add("/tasks?project", tasks.len());
            floor.add("/projects/{gid}/sections", world.sections_of_project(project).len());
            floor.add("/attachments?parent=project", world.attachments(project).len());
            floor.add("/task_templates", world.task_templates_of_project(project).len());
            floor.add_if_any(
                "/projects/{gid}/custom_field_settings",
                world.custom_field_settings(project).len(),
            );
            floor.add_if_any("/status_updates", world.status_updates(project).len());
        }
        for task in world.visible(Kind::Task, viewer).filter(|task| is_listed(world, viewer, *task)) {
            floor.add("/tasks/{gid}/stories", world.stories_from(task.index(), 0).count());
            floor.add_if_any("/attachments?parent=task", world.attachments(task).len());
            floor.add_if_any("/tasks/{gid}/subtasks", world.subtasks_of_task(task).len());
        }
        floor
    }

    /// What is listed per workspace, team, portfolio and goal.
    fn add_workspace(&mut self, world: &World, viewer: Viewer, workspace: Gid) {
        let has_attachments =
            |task: &Gid| world.workspace_of(*task) == Some(workspace) && !world.attachments(*task).is_empty();
        let parents = world.visible(Kind::Task, viewer).filter(has_attachments).count();
        self.add("/workspaces/{gid}/tasks/search", parents);
        let users = world.users_of_workspace(workspace);
        self.add("/users", users.len());
        for user in users {
            self.add("/tasks?assignee", seen(world, viewer, world.tasks_assigned(user, workspace)));
        }
        self.add("/projects", seen(world, viewer, world.projects_of_workspace(workspace)));
        self.add("/tags", world.tags_of_workspace(workspace).len());
        self.add("/webhooks", seen(world, viewer, world.webhooks_of_workspace(workspace)));
        self.add("/workspaces/{gid}/workspace_memberships", world.memberships_of_workspace(workspace).len());
        self.add("/workspaces/{gid}/custom_fields", world.custom_fields_of_workspace(workspace).len());
        self.add("/project_templates", world.project_templates_of_workspace(workspace).len());
        self.add("/time_periods", world.time_periods_of_workspace(workspace).len());
        if world.is_organization(workspace) {
            let teams = world.teams_of_workspace(workspace);
            self.add("/workspaces/{gid}/teams", teams.len());
            for team in teams {
                self.add("/teams/{gid}/team_memberships", world.memberships_of_team(team).len());
                if !world.custom_field_settings(team).is_empty() {
                    self.count("/teams/{gid}/custom_field_settings", 1);
                }
            }
        }
        if let Viewer::ServiceAccount(_) = viewer {
            let events = world.audit_log_events_of_workspace(workspace).len();
            let ending = usize::from(events > 0);
            self.count("/workspaces/{gid}/audit_log_events", events.div_ceil(PAGE).max(1 - ending) + ending);
        }
        let portfolios = world.portfolios_listed(workspace, viewer);
        self.add("/portfolios", portfolios.len());
        for portfolio in portfolios {
            self.add("/portfolios/{gid}/items", seen(world, viewer, world.items_of_portfolio(portfolio)));
            self.add_if_any(
                "/portfolios/{gid}/custom_field_settings",
                world.custom_field_settings(portfolio).len(),
            );
            self.add_if_any("/status_updates", world.status_updates(portfolio).len());
        }
        let goals = world.goals_of_workspace(workspace);
        self.add("/goals", goals.len());
        for goal in goals {
            self.add("/goal_relationships", seen(world, viewer, world.relationships_of_goal(goal)));
            self.add_if_any("/goals/{gid}/custom_field_settings", world.custom_field_settings(goal).len());
            self.add_if_any("/status_updates", world.status_updates(goal).len());
        }
    }

    /// All requests.
    pub fn total(&self) -> usize {
        self.by_endpoint.values().sum()
    }

    /// A listing that has to be asked for.
    fn add(&mut self, endpoint: &'static str, rows: usize) {
        self.count(endpoint, rows.div_ceil(PAGE).max(1));
    }

    /// A listing of which the parent's record tells whether it is empty.
    fn add_if_any(&mut self, endpoint: &'static str, rows: usize) {
        self.count(endpoint, rows.div_ceil(PAGE));
    }

    fn count(&mut self, endpoint: &'static str, requests: usize) {
        *self.by_endpoint.entry(endpoint).or_default() += requests;
    }
}

fn seen(world: &World, viewer: Viewer, gids: Vec<Gid>) -> usize {
    gids.into_iter().filter(|gid| world.sees(viewer, *gid)).count()
}

impl World {
    /// The portfolios that a viewer's listing holds: a person's own, or all for a service account.
    pub fn portfolios_listed(&self, workspace: Gid, viewer: Viewer) -> Vec<Gid> {
        let mut portfolios = self.portfolios_of_workspace(workspace);
        if let Viewer::User(user) = viewer {
            portfolios.retain(|portfolio| self.owner_of_portfolio(*portfolio) == user);
        }
        portfolios
    }
}
