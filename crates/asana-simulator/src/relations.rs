//! Relations by gid: the ground truth of tests.
//!
//! Lists here omit deleted records and include those that a viewer may not see; filter with [`World::sees`].

use std::collections::BTreeSet;

use crate::gid::{Gid, Index, Kind};
use crate::model::WorkspaceForm;
use crate::world::World;

impl World {
    /// The workspaces that are organizations. Only those have teams.
    pub fn organizations(&self) -> Vec<Gid> {
        self.gids(Kind::Workspace).filter(|gid| self.is_organization(*gid)).collect()
    }

    pub fn is_organization(&self, workspace: Gid) -> bool {
        self.workspaces[workspace.index() as usize].form == WorkspaceForm::Organization
    }

    /// The workspace that a task, project, tag, team, portfolio or goal is in; `None` for other kinds.
    pub fn workspace_of(&self, gid: Gid) -> Option<Gid> {
        let at = gid.index() as usize;
        let workspace = match gid.kind() {
            Kind::Workspace => gid.index(),
            Kind::Project => self.projects[at].workspace,
            Kind::Task => self.tasks[at].workspace,
            Kind::Tag => self.tags[at].workspace,
            Kind::Team => self.teams[at].workspace,
            Kind::Portfolio => self.portfolios[at].workspace,
            Kind::Goal => self.goals[at].workspace,
            Kind::ProjectTemplate => self.project_templates[at].workspace,
            Kind::CustomField => self.custom_fields[at].workspace,
            Kind::WorkspaceMembership => self.workspace_memberships[at].workspace,
            _ => return None,
        };
        Some(Gid::new(Kind::Workspace, workspace))
    }

    /// Users of a workspace.
    pub fn users_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::User, &self.workspaces[workspace.index() as usize].users)
    }

    /// Projects of a workspace, archived ones too.
    pub fn projects_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::Project, &self.workspaces[workspace.index() as usize].projects)
    }

    /// Tasks that a project lists: its top-level tasks and the subtasks that were added to it, in its order.
    pub fn tasks_of_project(&self, project: Gid) -> Vec<Gid> {
        self.projects[project.index() as usize]
            .tasks
            .iter()
            .map(|(_, task)| Gid::new(Kind::Task, *task))
            .filter(|gid| self.exists(*gid))
            .collect()
    }

    pub fn sections_of_project(&self, project: Gid) -> Vec<Gid> {
        self.present(Kind::Section, &self.projects[project.index() as usize].sections)
    }

    /// The projects that a task is in.
    pub fn projects_of_task(&self, task: Gid) -> Vec<Gid> {
        self.tasks[task.index() as usize]
            .memberships
            .iter()
            .map(|membership| Gid::new(Kind::Project, membership.project))
            .filter(|gid| self.exists(*gid))
            .collect()
    }

    /// The task that a subtask belongs to.
    pub fn parent_of_task(&self, task: Gid) -> Option<Gid> {
        self.tasks[task.index() as usize].parent.map(|parent| Gid::new(Kind::Task, parent))
    }

    pub fn subtasks_of_task(&self, task: Gid) -> Vec<Gid> {
        self.present(Kind::Task, &self.tasks[task.index() as usize].subtasks)
    }

    pub fn assignee_of_task(&self, task: Gid) -> Option<Gid> {
        self.tasks[task.index() as usize].assignee.map(|user| Gid::new(Kind::User, user))
    }

    /// Tasks assigned to a user in a workspace, subtasks too.
    pub fn tasks_assigned(&self, user: Gid, workspace: Gid) -> Vec<Gid> {
        match self.membership(workspace.index(), user.index()) {
            Some(membership) => {
                self.present(Kind::Task, &self.workspace_memberships[membership as usize].assigned)
            }
            None => Vec::new(),
        }
    }

    pub fn tags_of_task(&self, task: Gid) -> Vec<Gid> {
        self.present(Kind::Tag, &self.tasks[task.index() as usize].tags)
    }

    /// Stories of a task, oldest first.
    pub fn stories_of_task(&self, task: Gid) -> Vec<Gid> {
        self.stories_from(task.index(), 0).map(|story| Gid::new(Kind::Story, story)).collect()
    }

    pub fn task_of(&self, story: Gid) -> Gid {
        Gid::new(Kind::Task, self.task_of_story(story.index()))
    }

    /// Attachments of a task, a project or a project brief.
    pub fn attachments(&self, parent: Gid) -> Vec<Gid> {
        self.present(Kind::Attachment, self.attachments_of(parent))
    }

    pub fn parent_of_attachment(&self, attachment: Gid) -> Gid {
        self.attachments[attachment.index() as usize].parent
    }

    /// Settings of a project, portfolio, goal or team.
    pub fn custom_field_settings(&self, parent: Gid) -> Vec<Gid> {
        self.present(Kind::CustomFieldSetting, self.settings_of(parent))
    }

    pub fn parent_of_setting(&self, setting: Gid) -> Gid {
        self.custom_field_settings[setting.index() as usize].parent
    }

    pub fn field_of_setting(&self, setting: Gid) -> Gid {
        Gid::new(Kind::CustomField, self.custom_field_settings[setting.index() as usize].field)
    }

    /// Fields of the whole workspace, which its listing contains.
    pub fn custom_fields_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::CustomField, &self.workspaces[workspace.index() as usize].custom_fields)
    }

    /// Status updates of a project, portfolio or goal, oldest first.
    pub fn status_updates(&self, parent: Gid) -> Vec<Gid> {
        self.present(Kind::StatusUpdate, self.statuses_of(parent))
    }

    pub fn parent_of_status_update(&self, status_update: Gid) -> Gid {
        self.status_updates[status_update.index() as usize].parent
    }

    pub fn portfolios_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::Portfolio, &self.workspaces[workspace.index() as usize].portfolios)
    }

    pub fn owner_of_portfolio(&self, portfolio: Gid) -> Gid {
        Gid::new(Kind::User, self.portfolios[portfolio.index() as usize].owner)
    }

    /// The projects and portfolios in a portfolio.
    pub fn items_of_portfolio(&self, portfolio: Gid) -> Vec<Gid> {
        let items = &self.portfolios[portfolio.index() as usize].items;
        items.iter().copied().filter(|gid| self.exists(*gid)).collect()
    }

    pub fn goals_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::Goal, &self.workspaces[workspace.index() as usize].goals)
    }

    /// The relationships in which a goal is the supported one.
    pub fn relationships_of_goal(&self, goal: Gid) -> Vec<Gid> {
        self.present(Kind::GoalRelationship, &self.goals[goal.index() as usize].relationships)
    }

    pub fn teams_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::Team, &self.workspaces[workspace.index() as usize].teams)
    }

    /// Users of a team in the order of their gids.
    pub fn users_of_team(&self, team: Gid) -> Vec<Gid> {
        let memberships = self.memberships_of_team(team).into_iter();
        let users = memberships.map(|membership| self.team_memberships[membership.index() as usize].user);
        let users: BTreeSet<Index> = users.collect();
        users.into_iter().map(|user| Gid::new(Kind::User, user)).collect()
    }

    pub fn memberships_of_team(&self, team: Gid) -> Vec<Gid> {
        self.present(Kind::TeamMembership, &self.teams[team.index() as usize].memberships)
    }

    pub fn memberships_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::WorkspaceMembership, &self.workspaces[workspace.index() as usize].memberships)
    }

    pub fn tags_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::Tag, &self.workspaces[workspace.index() as usize].tags)
    }

    pub fn webhooks_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::Webhook, &self.workspaces[workspace.index() as usize].webhooks)
    }

    pub fn time_periods_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::TimePeriod, &self.workspaces[workspace.index() as usize].time_periods)
    }

    pub fn project_templates_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::ProjectTemplate, &self.workspaces[workspace.index() as usize].project_templates)
    }

    pub fn task_templates_of_project(&self, project: Gid) -> Vec<Gid> {
        self.present(Kind::TaskTemplate, &self.projects[project.index() as usize].task_templates)
    }

    pub fn audit_log_events_of_workspace(&self, workspace: Gid) -> Vec<Gid> {
        self.present(Kind::AuditLogEvent, &self.workspaces[workspace.index() as usize].audit_log_events)
    }

    /// When a task was last modified.
    pub fn task_modified_at(&self, task: Gid) -> crate::time::Timestamp {
        self.tasks[task.index() as usize].modified_at
    }

    fn present(&self, kind: Kind, indices: &[Index]) -> Vec<Gid> {
        indices.iter().map(|index| Gid::new(kind, *index)).filter(|gid| self.exists(*gid)).collect()
    }
}
