//! The project templates of every workspace.

use schemars::JsonSchema;

use super::shared::{ParentGid, Reference};
use super::workspaces;
use crate::stream::{Each, Listing, Plan, Stream};

// Templates need a paid plan in Asana's product. Asana's OpenAPI document has no 402 here.
pub static STREAM: Stream = Stream::of::<ProjectTemplate>(
    "project_templates",
    Listing::Each(&[Each::of(&workspaces::STREAM, "/project_templates?workspace={gid}")]),
)
.plan(Plan::Starter)
.scope("project_templates:read");

/// A template for projects.
#[derive(JsonSchema)]
pub struct ProjectTemplate {
    /// Globally unique identifier of the template, a string of digits.
    pub gid: String,
    /// Always `project_template`.
    pub resource_type: String,
    /// The template's name.
    pub name: String,
    /// The template's description as plain text.
    pub description: String,
    /// The template's description with its formatting, as HTML.
    pub html_description: String,
    /// Whether the whole team sees the template.
    pub public: bool,
    /// The template's owner; null without one.
    pub owner: Reference,
    /// The team that the template belongs to.
    pub team: Reference,
    /// The dates that are required when a project is created.
    pub requested_dates: Vec<DateVariable>,
    /// The template's colour, such as `dark-pink`.
    pub color: String,
    /// The roles that can be assigned when a project is created.
    pub requested_roles: Vec<Reference>,
    /// The gid of the workspace for which the template was listed.
    pub workspace_gid: ParentGid,
}

/// A date that is set when the template is used.
#[derive(JsonSchema)]
pub struct DateVariable {
    /// The variable's gid, not unique beyond the template: `1` is the start of the project, `2` its due date.
    pub gid: String,
    /// The variable's name.
    pub name: String,
    /// What the date is for.
    pub description: String,
}
