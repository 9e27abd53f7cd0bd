//! The tasks of every project and those in no project.

use schemars::JsonSchema;

use super::shared::{
    CustomFieldTraits, CustomFieldValue, Date, Gid, Like, OpenObject, Reference, TaskReference, Timestamp,
    TypedGid,
};
use super::{projects, users};
use crate::stream::{Condition, Deletions, Each, Feed, Listing, Repeats, Stream, Told, Unlisted};

// A task in no project shows only in the list of its assignee, and one that has neither in no list, only in the search.
// The assignee's list holds the tasks of projects too; those are left to their project.
pub static STREAM: Stream = Stream::of::<Task>(
    "tasks",
    Listing::Each(&[
        Each::of(&projects::STREAM, "/tasks?project={gid}"),
        Each::of(&users::STREAM, "/tasks?assignee={gid}&workspace={workspace}")
            .rows(Condition::Empty("projects")),
    ]),
)
.moves_since("modified_at", "modified_since")
.scope("tasks:read")
.deletions(DELETIONS)
.unlisted(Unlisted {
    path: "/workspaces/{gid}/tasks/search?is_subtask=false&assignee.any=null&projects.any=null",
    rows: Condition::Empty("projects"),
    or_of_users: "/workspaces/{gid}/tasks/search?is_subtask=false&projects.any=null",
})
.repeats(Repeats::AcrossListings);

/// What happens in a project. Tasks in no project have no events but their own.
pub static EVENTS: Feed = Feed { of: &projects::STREAM, path: "/events?resource={gid}" };

// An event on a deleted task does not say whether it was below another, so both streams tell of it.
pub const DELETIONS: Deletions = Deletions::Events {
    feed: &EVENTS,
    told: Told { resource: "task", actions: &["deleted"] },
    path: "/tasks/{gid}",
};

/// A unit of work that is below no other: `parent` is null. A task that has a parent is in the stream `subtasks`,
/// even if it was put into a project of its own.
#[derive(JsonSchema)]
pub struct Task {
    /// Globally unique identifier of the task, a string of digits.
    pub gid: String,
    /// Always `task`.
    pub resource_type: String,
    /// The task's kind: `default_task`, `milestone`, `approval`, `custom` or one that Asana adds later.
    pub resource_subtype: String,
    /// The task's name.
    pub name: String,
    /// The task's description as plain text.
    pub notes: String,
    /// The task's description with its formatting, as HTML.
    pub html_notes: String,
    /// Who made the task, by gid and kind: it need not be a person.
    pub created_by: TypedGid,
    /// When the task was made.
    pub created_at: Timestamp,
    /// When the task last changed. Stories, assignment, completion, name, dates, description, custom field values and
    /// removed attachments move it; a move to another project or section, likes and changes of subtasks need not.
    pub modified_at: Timestamp,
    /// Where an approval stands: `pending`, `approved`, `rejected` or `changes_requested`. Absent from other kinds.
    pub approval_status: String,
    /// Whether the task is complete.
    pub completed: bool,
    /// When the task was completed; null while it is not.
    pub completed_at: Timestamp,
    /// Who completed the task; null while it is not.
    pub completed_by: Reference,
    /// Who is to do the task; null if nobody is.
    pub assignee: Reference,
    /// Who gave the task to its assignee.
    pub assigned_by: Reference,
    /// The section of the assignee's My Tasks that the task is in.
    pub assignee_section: Reference,
    /// Deprecated by Asana: when the assignee means to do the task, such as `today` or `later`.
    pub assignee_status: String,
    /// The day on which the task is due, also where it is due at a time of that day.
    pub due_on: Date,
    /// The time at which the task is due; null if it is due on a day.
    pub due_at: Timestamp,
    /// The day on which work on the task begins.
    pub start_on: Date,
    /// The time at which work on the task begins; null if it begins on a day.
    pub start_at: Timestamp,
    /// The sum of the task's time entries, in minutes; null if there are none.
    pub actual_time_minutes: f64,
    /// The tasks that have to be done before this one.
    pub dependencies: Vec<Gid>,
    /// The tasks that wait for this one.
    pub dependents: Vec<Gid>,
    /// What the app that the token belongs to stored on the task: `gid` and `data`, both chosen by the app. Other
    /// apps do not see it.
    pub external: OpenObject,
    /// Whether the task is shown as a line between others.
    pub is_rendered_as_separator: bool,
    /// Whether the token's user likes the task.
    pub liked: bool,
    /// Who likes the task.
    pub likes: Vec<Like>,
    /// How many people like the task.
    pub num_likes: i64,
    /// Deprecated by Asana in favour of `liked`.
    pub hearted: bool,
    /// Deprecated by Asana in favour of `likes`.
    pub hearts: Vec<Like>,
    /// Deprecated by Asana in favour of `num_likes`.
    pub num_hearts: i64,
    /// How many subtasks are directly below the task.
    pub num_subtasks: i64,
    /// The task that this one is below; null in the stream `tasks`.
    pub parent: TaskReference,
    /// The projects that the task is in.
    pub projects: Vec<Reference>,
    /// The projects that the task is in, each with the section.
    pub memberships: Vec<Membership>,
    /// The tags on the task.
    pub tags: Vec<Reference>,
    /// The people who are told of changes.
    pub followers: Vec<Reference>,
    /// The values of the custom fields on the task.
    pub custom_fields: Vec<CustomFieldOnTask>,
    /// The custom type of a task of the kind `custom`.
    pub custom_type: Reference,
    /// The status of a task of the kind `custom`.
    pub custom_type_status_option: Reference,
    /// The workspace that the task is in.
    pub workspace: Reference,
    /// The task's address in Asana.
    pub permalink_url: String,
}

/// A task's place in a project.
#[derive(JsonSchema)]
pub struct Membership {
    /// The project.
    pub project: Reference,
    /// The section of the project.
    pub section: Reference,
}

/// A custom field with its value on the task. Which `*_value` is filled follows from the field's type;
/// `display_value` is filled for every type.
#[derive(JsonSchema)]
pub struct CustomFieldOnTask {
    #[schemars(flatten)]
    pub value: CustomFieldValue,
    #[schemars(flatten)]
    pub traits: CustomFieldTraits,
}
