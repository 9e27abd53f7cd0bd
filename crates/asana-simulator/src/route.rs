//! Which path is which endpoint: the API's table of contents.

use crate::gid::Kind;

/// The handler of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// One record by its gid.
    Record(Kind),
    List(Source),
    TaskCounts,
    Search,
    Events,
    WorkspaceEvents,
}

/// Which listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Workspaces,
    Users,
    Teams,
    TeamsOfOrganization,
    UsersOfTeam,
    TeamMemberships,
    WorkspaceMemberships,
    Projects,
    ProjectsOfTeam,
    Sections,
    Tasks,
    TasksOfProject,
    TasksOfSection,
    TasksOfTag,
    TasksOfUserTaskList,
    Subtasks,
    Stories,
    Attachments,
    Tags,
    CustomFields,
    CustomFieldSettings(Kind),
    Webhooks,
    ProjectTemplates,
    TaskTemplates,
    StatusUpdates,
    Portfolios,
    PortfolioItems,
    Goals,
    GoalRelationships,
    TimePeriods,
    AuditLogEvents,
}

const fn list(source: Source) -> Endpoint {
    Endpoint::List(source)
}

/// Every path below `/api/1.0`, as Asana's OpenAPI writes it but with plain `{gid}`. `/organizations/{gid}/teams` is an
/// older path, which Asana still answers.
pub(crate) const ENDPOINTS: [(&str, Endpoint); 66] = [
    ("/organizations/{gid}/teams", list(Source::TeamsOfOrganization)),
    ("/workspaces", list(Source::Workspaces)),
    ("/workspaces/{gid}", Endpoint::Record(Kind::Workspace)),
    ("/workspaces/{gid}/teams", list(Source::Teams)),
    ("/workspaces/{gid}/users", list(Source::Users)),
    ("/workspaces/{gid}/projects", list(Source::Projects)),
    ("/workspaces/{gid}/tags", list(Source::Tags)),
    ("/workspaces/{gid}/workspace_memberships", list(Source::WorkspaceMemberships)),
    ("/workspaces/{gid}/custom_fields", list(Source::CustomFields)),
    ("/workspaces/{gid}/audit_log_events", list(Source::AuditLogEvents)),
    ("/workspaces/{gid}/tasks/search", Endpoint::Search),
    ("/workspaces/{gid}/events", Endpoint::WorkspaceEvents),
    ("/users", list(Source::Users)),
    ("/users/{gid}", Endpoint::Record(Kind::User)),
    ("/teams/{gid}", Endpoint::Record(Kind::Team)),
    ("/teams/{gid}/projects", list(Source::ProjectsOfTeam)),
    ("/teams/{gid}/users", list(Source::UsersOfTeam)),
    ("/teams/{gid}/team_memberships", list(Source::TeamMemberships)),
    ("/teams/{gid}/custom_field_settings", list(Source::CustomFieldSettings(Kind::Team))),
    ("/team_memberships", list(Source::TeamMemberships)),
    ("/team_memberships/{gid}", Endpoint::Record(Kind::TeamMembership)),
    ("/workspace_memberships/{gid}", Endpoint::Record(Kind::WorkspaceMembership)),
    ("/projects", list(Source::Projects)),
    ("/projects/{gid}", Endpoint::Record(Kind::Project)),
    ("/projects/{gid}/tasks", list(Source::TasksOfProject)),
    ("/projects/{gid}/task_counts", Endpoint::TaskCounts),
    ("/projects/{gid}/sections", list(Source::Sections)),
    ("/projects/{gid}/custom_field_settings", list(Source::CustomFieldSettings(Kind::Project))),
    ("/projects/{gid}/events", Endpoint::Events),
    ("/sections/{gid}", Endpoint::Record(Kind::Section)),
    ("/sections/{gid}/tasks", list(Source::TasksOfSection)),
    ("/tasks", list(Source::Tasks)),
    ("/tasks/{gid}", Endpoint::Record(Kind::Task)),
    ("/tasks/{gid}/subtasks", list(Source::Subtasks)),
    ("/tasks/{gid}/stories", list(Source::Stories)),
    ("/stories/{gid}", Endpoint::Record(Kind::Story)),
    ("/attachments", list(Source::Attachments)),
    ("/attachments/{gid}", Endpoint::Record(Kind::Attachment)),
    ("/tags", list(Source::Tags)),
    ("/tags/{gid}", Endpoint::Record(Kind::Tag)),
    ("/tags/{gid}/tasks", list(Source::TasksOfTag)),
    ("/user_task_lists/{gid}", Endpoint::Record(Kind::UserTaskList)),
    ("/user_task_lists/{gid}/tasks", list(Source::TasksOfUserTaskList)),
    ("/custom_fields/{gid}", Endpoint::Record(Kind::CustomField)),
    ("/webhooks", list(Source::Webhooks)),
    ("/webhooks/{gid}", Endpoint::Record(Kind::Webhook)),
    ("/project_templates", list(Source::ProjectTemplates)),
    ("/project_templates/{gid}", Endpoint::Record(Kind::ProjectTemplate)),
    ("/project_briefs/{gid}", Endpoint::Record(Kind::ProjectBrief)),
    ("/project_statuses/{gid}", Endpoint::Record(Kind::ProjectStatus)),
    ("/task_templates", list(Source::TaskTemplates)),
    ("/task_templates/{gid}", Endpoint::Record(Kind::TaskTemplate)),
    ("/status_updates", list(Source::StatusUpdates)),
    ("/status_updates/{gid}", Endpoint::Record(Kind::StatusUpdate)),
    ("/portfolios", list(Source::Portfolios)),
    ("/portfolios/{gid}", Endpoint::Record(Kind::Portfolio)),
    ("/portfolios/{gid}/items", list(Source::PortfolioItems)),
    ("/portfolios/{gid}/custom_field_settings", list(Source::CustomFieldSettings(Kind::Portfolio))),
    ("/goals", list(Source::Goals)),
    ("/goals/{gid}", Endpoint::Record(Kind::Goal)),
    ("/goals/{gid}/custom_field_settings", list(Source::CustomFieldSettings(Kind::Goal))),
    ("/goal_relationships", list(Source::GoalRelationships)),
    ("/goal_relationships/{gid}", Endpoint::Record(Kind::GoalRelationship)),
    ("/time_periods", list(Source::TimePeriods)),
    ("/time_periods/{gid}", Endpoint::Record(Kind::TimePeriod)),
    ("/events", Endpoint::Events),
];

/// The endpoint of a path: its template, its handler, and the gid in the path if there is one.
pub(crate) fn endpoint(path: &str) -> Option<(&'static str, Endpoint, Option<&str>)> {
    ENDPOINTS.iter().find_map(|(template, endpoint)| {
        let mut gid = None;
        let mut given = path.split('/');
        for expected in template.split('/') {
            let segment = given.next()?;
            if expected == "{gid}" && !segment.is_empty() {
                gid = Some(segment);
            } else if expected != segment {
                return None;
            }
        }
        given.next().is_none().then_some((*template, *endpoint, gid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_leads_to_itself() {
        for (template, expected) in ENDPOINTS {
            let path = template.replace("{gid}", "1200000000000017");
            let (found, endpoint, gid) = endpoint(&path).unwrap();
            assert_eq!((found, endpoint), (template, expected));
            assert_eq!(gid.is_some(), template.contains("{gid}"));
        }
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in ["", "/", "/task", "/tasks/", "/tasks//stories", "/tasks/1/stories/2", "tasks"] {
            assert_eq!(endpoint(path), None, "{path}");
        }
    }
}
