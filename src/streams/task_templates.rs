//! The task templates of every project.

use schemars::JsonSchema;

use super::projects;
use super::shared::{CustomFieldValue, ParentGid, Reference, Timestamp};
use crate::stream::{Each, Listing, Plan, Stream};

// Templates need a paid plan in Asana's product. Asana's OpenAPI document has no 402 here.
pub static STREAM: Stream = Stream::of::<TaskTemplate>(
    "task_templates",
    Listing::Each(&[Each::of(&projects::STREAM, "/task_templates?project={gid}")]),
)
.plan(Plan::Starter)
.scope("task_templates:read");

/// A template for tasks.
#[derive(JsonSchema)]
pub struct TaskTemplate {
    /// Globally unique identifier of the template, a string of digits.
    pub gid: String,
    /// Always `task_template`.
    pub resource_type: String,
    /// The template's name.
    pub name: String,
    /// The project that the template belongs to.
    pub project: Reference,
    /// The task that is created from the template.
    pub template: Recipe,
    /// Who created the template.
    pub created_by: Reference,
    /// When the template was created.
    pub created_at: Timestamp,
    /// The gid of the project for which the template was listed.
    pub project_gid: ParentGid,
}

/// The future task.
#[derive(JsonSchema)]
pub struct Recipe {
    /// The task's name.
    pub name: String,
    /// The task's type: `default_task`, `milestone_task` or `approval_task`.
    pub task_resource_subtype: String,
    /// The task's description as plain text.
    pub description: String,
    /// The task's description with its formatting, as HTML.
    pub html_description: String,
    /// The projects that the task will be in.
    pub memberships: Vec<Reference>,
    /// Days from the creation of the task to the start of work.
    pub relative_start_on: i64,
    /// Days from the creation of the task to its due date.
    pub relative_due_on: i64,
    /// The time of day at which the task is due, such as `13:15:00.000Z`.
    pub due_time: String,
    /// The templates whose tasks must be completed before this one.
    pub dependencies: Vec<RecipeReference>,
    /// The templates whose tasks wait for this one.
    pub dependents: Vec<RecipeReference>,
    /// The people who will be notified of changes.
    pub followers: Vec<Reference>,
    /// The files that will be on the task.
    pub attachments: Vec<AttachmentReference>,
    /// The subtasks that it will have.
    pub subtasks: Vec<RecipeReference>,
    /// The custom fields that the task will have.
    pub custom_fields: Vec<CustomFieldValue>,
}

/// Another future task, which has no gid.
#[derive(JsonSchema)]
pub struct RecipeReference {
    /// The task's name.
    pub name: String,
    /// The task's type: `default_task`, `milestone_task` or `approval_task`.
    pub task_resource_subtype: String,
}

/// A file on the template.
#[derive(JsonSchema)]
pub struct AttachmentReference {
    /// The attachment's gid.
    pub gid: String,
    /// The file's name.
    pub name: String,
    /// The service that stores the file, such as `asana` or `gdrive`.
    pub resource_subtype: String,
}
