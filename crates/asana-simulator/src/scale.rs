//! How many records of each kind a world has.

/// Counts of a world's parts. Numbers are for the organization unless they say otherwise; every further workspace is a
/// plain one (no teams) and gets `plain_share` percent of projects, tasks and users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Plain workspaces besides the one organization.
    pub plain_workspaces: u32,
    /// Size of each plain workspace, in percent of the organization.
    pub plain_share: u32,
    pub users: u32,
    pub teams: u32,
    pub projects: u32,
    /// Named sections of a project besides its first, untitled one: at most this many.
    pub sections: u32,
    /// Tasks that are not subtasks.
    pub tasks: u32,
    /// Subtasks on all five levels.
    pub subtasks: u32,
    /// Subtasks of the parent that has most of them, at least; 0 for no special parent.
    pub widest_parent: u32,
    /// Top-level tasks in the project that has most of them, in percent of all.
    pub largest_project: u32,
    /// Stories of a task, on average.
    pub stories: u32,
    /// Stories of the task that has most of them.
    pub longest_history: u32,
    /// Tasks with attachments, in percent.
    pub attachments: u32,
    /// Tasks in no project, in percent of top-level tasks.
    pub orphans: u32,
    /// Whether some tasks in no project also have no assignee. Only search finds those.
    pub unassigned_orphans: UnassignedOrphans,
    pub tags: u32,
    /// Custom fields of the whole workspace.
    pub custom_fields: u32,
    pub portfolios: u32,
    pub goals: u32,
    pub project_templates: u32,
    pub task_templates: u32,
    pub webhooks: u32,
    pub audit_log_events: u32,
}

/// Tasks with neither project nor assignee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnassignedOrphans {
    Absent,
    Present,
}

impl Scale {
    /// About 40 tasks: for tests that start many worlds. Every situation still occurs.
    pub fn tiny() -> Self {
        Self {
            plain_workspaces: 1,
            plain_share: 40,
            users: 5,
            teams: 2,
            projects: 5,
            sections: 3,
            tasks: 20,
            subtasks: 10,
            widest_parent: 0,
            largest_project: 30,
            stories: 8,
            longest_history: 60,
            attachments: 30,
            orphans: 15,
            unassigned_orphans: UnassignedOrphans::Present,
            tags: 4,
            custom_fields: 14,
            portfolios: 4,
            goals: 4,
            project_templates: 2,
            task_templates: 2,
            webhooks: 2,
            audit_log_events: 12,
        }
    }

    /// About 150 tasks in two workspaces and eight projects, one of which needs two pages.
    pub fn small() -> Self {
        Self {
            plain_workspaces: 1,
            plain_share: 15,
            users: 12,
            teams: 3,
            projects: 7,
            sections: 5,
            tasks: 155,
            subtasks: 40,
            widest_parent: 12,
            largest_project: 80,
            stories: 6,
            longest_history: 230,
            attachments: 20,
            orphans: 8,
            unassigned_orphans: UnassignedOrphans::Present,
            tags: 9,
            custom_fields: 14,
            portfolios: 5,
            goals: 6,
            project_templates: 3,
            task_templates: 4,
            webhooks: 3,
            audit_log_events: 40,
        }
    }

    /// About 15,000 tasks, 90,000 stories, 80 projects and 60 users.
    pub fn medium() -> Self {
        Self {
            plain_workspaces: 1,
            plain_share: 8,
            users: 56,
            teams: 12,
            projects: 74,
            sections: 8,
            tasks: 10_600,
            subtasks: 3_300,
            widest_parent: 130,
            largest_project: 8,
            stories: 6,
            longest_history: 450,
            attachments: 15,
            orphans: 4,
            unassigned_orphans: UnassignedOrphans::Present,
            tags: 120,
            custom_fields: 24,
            portfolios: 15,
            goals: 40,
            project_templates: 10,
            task_templates: 30,
            webhooks: 12,
            audit_log_events: 2_500,
        }
    }

    /// About 150,000 tasks and 900,000 stories.
    pub fn big() -> Self {
        Self {
            users: 300,
            teams: 40,
            projects: 500,
            tasks: 106_000,
            subtasks: 33_000,
            largest_project: 3,
            orphans: 2,
            tags: 300,
            portfolios: 40,
            goals: 150,
            task_templates: 100,
            audit_log_events: 10_000,
            ..Self::medium()
        }
    }

    /// About a million tasks and six million stories.
    pub fn large() -> Self {
        Self {
            users: 2_000,
            teams: 150,
            projects: 3_000,
            tasks: 720_000,
            subtasks: 205_000,
            largest_project: 2,
            orphans: 2,
            tags: 800,
            portfolios: 120,
            goals: 600,
            project_templates: 60,
            task_templates: 400,
            audit_log_events: 50_000,
            ..Self::medium()
        }
    }

    /// The scale of that name: `tiny`, `small`, `medium`, `big` or `large`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "tiny" => Some(Self::tiny()),
            "small" => Some(Self::small()),
            "medium" => Some(Self::medium()),
            "big" => Some(Self::big()),
            "large" => Some(Self::large()),
            _ => None,
        }
    }

    /// The counts of a plain workspace.
    pub(crate) fn of_plain_workspace(&self) -> Self {
        let part = |count: u32, least: u32| (count * self.plain_share / 100).max(least);
        Self {
            users: part(self.users, 3),
            teams: 0,
            projects: part(self.projects, 2),
            tasks: part(self.tasks, 12),
            subtasks: part(self.subtasks, 6),
            widest_parent: 0,
            largest_project: 40,
            longest_history: 12,
            tags: part(self.tags, 3),
            custom_fields: part(self.custom_fields, 2),
            portfolios: part(self.portfolios, 1),
            goals: part(self.goals, 1),
            project_templates: 0,
            task_templates: part(self.task_templates, 1),
            webhooks: part(self.webhooks, 1),
            audit_log_events: 0,
            ..self.clone()
        }
    }
}
