//! The projects of every workspace.

use schemars::JsonSchema;

use super::shared::{
    CustomFieldSettingReference, CustomFieldValue, Date, Gid, Reference, StatusUpdateReference, Timestamp,
};
use super::workspaces;
use crate::stream::{Deletions, Each, Listing, Stream};

// Without the `archived` parameter Asana lists archived and active projects alike.
pub static STREAM: Stream = Stream::of::<Project>(
    "projects",
    Listing::Each(&[Each::of(&workspaces::STREAM, "/projects?workspace={gid}").archived("archived")]),
)
.moves("modified_at")
.scope("projects:read")
.deletions(Deletions::Absence { path: "/projects/{gid}" });

/// A list, board, timeline or calendar of tasks in one workspace.
#[derive(JsonSchema)]
pub struct Project {
    /// Globally unique identifier of the project, a string of digits.
    pub gid: String,
    /// The record's type: `project`. An item of a portfolio can also be a `portfolio`.
    pub resource_type: String,
    /// The project's name.
    pub name: String,
    /// Whether the project is archived.
    pub archived: bool,
    /// The project's colour, such as `dark-pink`.
    pub color: String,
    /// The project's icon, such as `rocket`.
    pub icon: String,
    /// When the project was created.
    pub created_at: Timestamp,
    /// When the project's own attributes last changed; tasks and comments do not move it.
    pub modified_at: Timestamp,
    /// Deprecated by Asana in favour of `current_status_update`: the newest status in the old form.
    pub current_status: ProjectStatus,
    /// The newest status update; null if there has never been one.
    pub current_status_update: StatusUpdateReference,
    /// The custom fields that tasks of the project can have. They contain no values.
    pub custom_field_settings: Vec<CustomFieldSettingReference>,
    /// The values of the custom fields of the project itself.
    pub custom_fields: Vec<CustomFieldValue>,
    /// The view in which the project opens: `list`, `board`, `calendar` or `timeline`.
    pub default_view: String,
    /// Deprecated by Asana in favour of `due_on`: the day on which the project is due.
    pub due_date: Date,
    /// The day on which the project is due.
    pub due_on: Date,
    /// The day on which work on the project starts.
    pub start_on: Date,
    /// The project's description as plain text.
    pub notes: String,
    /// The project's description with its formatting, as HTML.
    pub html_notes: String,
    /// The people who are members of the project.
    pub members: Vec<Reference>,
    /// The members who chose to be notified of new tasks.
    pub followers: Vec<Reference>,
    /// Deprecated by Asana in favour of `privacy_setting`: whether everyone in the workspace sees the project.
    pub public: bool,
    /// Who sees the project: `public_to_workspace`, `private` or the deprecated `private_to_team`.
    pub privacy_setting: String,
    /// What a new member may do: `admin`, `editor`, `commenter` or `viewer`.
    pub default_access_level: String,
    /// What a member must be to change the project's workflow and look: `admin` or `editor`.
    pub minimum_access_level_for_customization: String,
    /// What a member must be to share the project and manage its members: `admin` or `editor`.
    pub minimum_access_level_for_sharing: String,
    /// Whether the project is marked complete.
    pub completed: bool,
    /// When the project was completed; null if it is not completed.
    pub completed_at: Timestamp,
    /// Who completed the project; null if it is not completed.
    pub completed_by: Reference,
    /// The project's owner; null without one.
    pub owner: Reference,
    /// The team that the project is shared with.
    pub team: Reference,
    /// The project's URL in Asana.
    pub permalink_url: String,
    /// The project's brief; null without one.
    pub project_brief: Gid,
    /// The template that the project was created from; null if there was none.
    pub created_from_template: Reference,
    /// The workspace that the project is in.
    pub workspace: Reference,
}

/// A project's status in the form that status updates replaced.
#[derive(JsonSchema)]
pub struct ProjectStatus {
    /// The status's gid.
    pub gid: String,
    /// The status's title.
    pub title: String,
    /// The status as plain text.
    pub text: String,
    /// The status with its formatting, as HTML.
    pub html_text: String,
    /// The status of the project: `green`, `yellow`, `red`, `blue` or `complete`.
    pub color: String,
    /// Who wrote the status.
    pub author: Reference,
    /// Who created the status.
    pub created_by: Reference,
    /// When the status was created.
    pub created_at: Timestamp,
    /// When the status last changed; comments on it do not move it.
    pub modified_at: Timestamp,
}
