//! The world: every record's compact form, the relations between them, and who may see what.

use std::collections::HashMap;

use crate::event_log::EventLog;
use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::scale::Scale;
use crate::time::Timestamp;

/// All of Asana's data of the account under test.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) seed: u64,
    /// No generated record is newer.
    pub(crate) end: Timestamp,
    pub(crate) workspaces: Vec<Workspace>,
    pub(crate) users: Vec<User>,
    pub(crate) workspace_memberships: Vec<WorkspaceMembership>,
    pub(crate) teams: Vec<Team>,
    pub(crate) team_memberships: Vec<TeamMembership>,
    pub(crate) projects: Vec<Project>,
    pub(crate) sections: Vec<Section>,
    pub(crate) tasks: Vec<Task>,
    /// Stories with an index below this are derived from their task's seed.
    pub(crate) generated_stories: Index,
    /// Stories that edits added; their index begins at `generated_stories`.
    pub(crate) added_stories: Vec<Story>,
    pub(crate) added_stories_of: HashMap<Index, Vec<Index>>,
    /// Stories that edits deleted, or whose text they changed.
    pub(crate) changed_stories: HashMap<Index, ChangedStory>,
    /// Values of custom fields that were set by edits; `None` for an emptied one.
    pub(crate) field_values: HashMap<(Gid, Index), Option<FieldValue>>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) custom_fields: Vec<CustomField>,
    pub(crate) enum_options: Vec<EnumOption>,
    pub(crate) custom_field_settings: Vec<CustomFieldSetting>,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) project_templates: Vec<ProjectTemplate>,
    pub(crate) task_templates: Vec<TaskTemplate>,
    pub(crate) status_updates: Vec<StatusUpdate>,
    pub(crate) portfolios: Vec<Portfolio>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) goal_relationships: Vec<GoalRelationship>,
    pub(crate) time_periods: Vec<TimePeriod>,
    pub(crate) audit_log_events: Vec<AuditLogEvent>,
    pub(crate) custom_types: Vec<CustomType>,
    pub(crate) next_rank: u64,
    pub(crate) events: EventLog,
    /// Tasks that edits created or modified, and when, in that order.
    pub(crate) touched: Vec<(Timestamp, Index)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChangedStory {
    Deleted,
    Reworded(String),
}

/// The viewer of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// A person; sees public projects and those that the person is a member of, and lists only own portfolios.
    User(Gid),
    /// A service account, which sees everything. It acts as this user.
    ServiceAccount(Gid),
}

impl Viewer {
    /// The user that the viewer is or acts as.
    pub fn user(self) -> Gid {
        match self {
            Viewer::User(user) | Viewer::ServiceAccount(user) => user,
        }
    }
}

impl World {
    /// Generates the world of a seed. The same seed and scale always give the same world.
    pub fn generate(seed: u64, scale: &Scale) -> Self {
        crate::generate::world(seed, scale)
    }

    /// The user that tokens act as by default: the first, an administrator who belongs to every workspace.
    pub fn main_user(&self) -> Gid {
        Gid::new(Kind::User, 0)
    }

    /// The view of the main user.
    pub fn main_viewer(&self) -> Viewer {
        Viewer::User(self.main_user())
    }

    /// No generated record has a later time.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Every record of a kind that is not deleted, seen or not, in the order of their gids.
    pub fn gids(&self, kind: Kind) -> impl Iterator<Item = Gid> + '_ {
        (0..self.length(kind)).map(move |index| Gid::new(kind, index)).filter(|gid| self.exists(*gid))
    }

    /// Every record of a kind that the viewer's listings reach or could open by its gid.
    pub fn visible(&self, kind: Kind, viewer: Viewer) -> impl Iterator<Item = Gid> + '_ {
        self.gids(kind).filter(move |gid| self.sees(viewer, *gid))
    }

    /// How many records of a kind are not deleted.
    pub fn count(&self, kind: Kind) -> usize {
        self.gids(kind).count()
    }

    fn length(&self, kind: Kind) -> Index {
        let length = match kind {
            Kind::Workspace => self.workspaces.len(),
            Kind::User => self.users.len(),
            Kind::Team => self.teams.len(),
            Kind::TeamMembership => self.team_memberships.len(),
            Kind::WorkspaceMembership | Kind::UserTaskList => self.workspace_memberships.len(),
            Kind::Project | Kind::ProjectBrief => self.projects.len(),
            Kind::Section => self.sections.len(),
            Kind::Task => self.tasks.len(),
            Kind::Story => self.generated_stories as usize + self.added_stories.len(),
            Kind::Attachment => self.attachments.len(),
            Kind::Tag => self.tags.len(),
            Kind::CustomField => self.custom_fields.len(),
            Kind::CustomFieldSetting => self.custom_field_settings.len(),
            Kind::Webhook => self.webhooks.len(),
            Kind::ProjectTemplate => self.project_templates.len(),
            Kind::TaskTemplate => self.task_templates.len(),
            Kind::StatusUpdate | Kind::ProjectStatus => self.status_updates.len(),
            Kind::Portfolio => self.portfolios.len(),
            Kind::Goal | Kind::GoalMetric => self.goals.len(),
            Kind::GoalRelationship => self.goal_relationships.len(),
            Kind::TimePeriod => self.time_periods.len(),
            Kind::AuditLogEvent => self.audit_log_events.len(),
            Kind::EnumOption => self.enum_options.len(),
            Kind::CustomType => self.custom_types.len(),
            Kind::CustomTypeStatusOption => self.custom_types.len() * 2,
            Kind::TemplateRole => self.project_templates.len() * 2,
        };
        length as Index
    }

    /// Whether the record exists, visible or not.
    pub fn exists(&self, gid: Gid) -> bool {
        let index = gid.index();
        if index >= self.length(gid.kind()) {
            return false;
        }
        let at = index as usize;
        match gid.kind() {
            Kind::Project => self.projects[at].presence != Presence::Deleted,
            Kind::ProjectBrief => self.projects[at].brief && self.projects[at].presence != Presence::Deleted,
            Kind::Section => {
                self.sections[at].presence != Presence::Deleted
                    && self.projects[self.sections[at].project as usize].presence != Presence::Deleted
            }
            Kind::Task => self.tasks[at].presence != Presence::Deleted,
            Kind::Story => {
                self.changed_stories.get(&index) != Some(&ChangedStory::Deleted)
                    && self.exists(Gid::new(Kind::Task, self.task_of_story(index)))
            }
            Kind::Attachment => {
                self.attachments[at].presence != Presence::Deleted && self.exists(self.attachments[at].parent)
            }
            Kind::Tag => self.tags[at].presence != Presence::Deleted,
            Kind::CustomFieldSetting => self.exists(self.custom_field_settings[at].parent),
            Kind::TaskTemplate => self.exists(Gid::new(Kind::Project, self.task_templates[at].project)),
            Kind::StatusUpdate => self.exists(self.status_updates[at].parent),
            Kind::GoalRelationship => self.exists(self.goal_relationships[at].supporting),
            Kind::Webhook => self.exists(self.webhooks[at].resource),
            _ => true,
        }
    }

    /// Whether the viewer may open the record: it exists, and the viewer may open what contains it.
    pub fn sees(&self, viewer: Viewer, gid: Gid) -> bool {
        if !self.exists(gid) {
            return false;
        }
        let index = gid.index();
        let at = index as usize;
        let open = |kind: Kind, index: Index| self.sees(viewer, Gid::new(kind, index));
        match gid.kind() {
            Kind::Project | Kind::ProjectBrief => self.sees_project(viewer, index),
            Kind::Section => open(Kind::Project, self.sections[at].project),
            Kind::Task => self.sees_task(viewer, index),
            Kind::Story => open(Kind::Task, self.task_of_story(index)),
            Kind::Attachment => self.sees(viewer, self.attachments[at].parent),
            Kind::CustomFieldSetting => self.sees(viewer, self.custom_field_settings[at].parent),
            Kind::TaskTemplate => open(Kind::Project, self.task_templates[at].project),
            Kind::StatusUpdate => self.sees(viewer, self.status_updates[at].parent),
            Kind::GoalRelationship => self.sees(viewer, self.goal_relationships[at].supporting),
            Kind::Webhook => self.sees(viewer, self.webhooks[at].resource),
            Kind::AuditLogEvent => matches!(viewer, Viewer::ServiceAccount(_)),
            _ => true,
        }
    }

    fn sees_project(&self, viewer: Viewer, project: Index) -> bool {
        let project = &self.projects[project as usize];
        match (project.presence, project.privacy, viewer) {
            (Presence::Present, Privacy::PublicToWorkspace, _) => true,
            (Presence::Present, Privacy::Private, Viewer::ServiceAccount(_)) => true,
            (Presence::Present, Privacy::Private, Viewer::User(user)) => {
                project.members.contains(&user.index())
            }
            (Presence::Hidden | Presence::Deleted, _, _) => false,
        }
    }

    /// A task is visible to viewers of one of its projects or of its parent. A task with neither is visible to
    /// everyone.
    fn sees_task(&self, viewer: Viewer, task: Index) -> bool {
        let task = &self.tasks[task as usize];
        if task.presence != Presence::Present {
            return false;
        }
        if task.memberships.is_empty() && task.parent.is_none() {
            return true;
        }
        task.memberships.iter().any(|membership| self.sees_project(viewer, membership.project))
            || task.parent.is_some_and(|parent| self.sees_task(viewer, parent))
    }

    pub(crate) fn task_of_story(&self, story: Index) -> Index {
        if story >= self.generated_stories {
            return self.added_stories[(story - self.generated_stories) as usize].task;
        }
        // The last task that begins at or before the story: tasks without stories begin where the next one does.
        (self.tasks.partition_point(|task| task.first_story <= story) - 1) as Index
    }

    /// The indices of a task's stories in the order of their creation, from an index on.
    pub(crate) fn stories_from(&self, task: Index, from: Index) -> impl Iterator<Item = Index> + '_ {
        let record = &self.tasks[task as usize];
        let generated = record.first_story.max(from)..record.first_story + record.generated_stories;
        let added = self.added_stories_of.get(&task).map_or(&[][..], Vec::as_slice);
        let added = &added[added.partition_point(|story| *story < from)..];
        generated
            .chain(added.iter().copied())
            .filter(|story| self.changed_stories.get(story) != Some(&ChangedStory::Deleted))
    }

    /// The status updates of a project, portfolio or goal, oldest first.
    pub(crate) fn statuses_of(&self, parent: Gid) -> &[Index] {
        let at = parent.index() as usize;
        match parent.kind() {
            Kind::Project => &self.projects[at].statuses,
            Kind::Portfolio => &self.portfolios[at].statuses,
            Kind::Goal => &self.goals[at].statuses,
            _ => &[],
        }
    }

    /// The custom field settings of a project, portfolio, goal or team.
    pub(crate) fn settings_of(&self, parent: Gid) -> &[Index] {
        let at = parent.index() as usize;
        match parent.kind() {
            Kind::Project => &self.projects[at].settings,
            Kind::Portfolio => &self.portfolios[at].settings,
            Kind::Goal => &self.goals[at].settings,
            Kind::Team => &self.teams[at].settings,
            _ => &[],
        }
    }

    /// The attachments of a task, a project or a project brief.
    pub(crate) fn attachments_of(&self, parent: Gid) -> &[Index] {
        let at = parent.index() as usize;
        match parent.kind() {
            Kind::Task => &self.tasks[at].attachments,
            Kind::Project => &self.projects[at].attachments,
            _ => &[],
        }
    }

    /// The user's membership of the workspace.
    pub(crate) fn membership(&self, workspace: Index, user: Index) -> Option<Index> {
        self.users[user as usize]
            .memberships
            .iter()
            .copied()
            .find(|membership| self.workspace_memberships[*membership as usize].workspace == workspace)
    }
}
