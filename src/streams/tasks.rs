//! The tasks of every project and those in no project.

use schemars::JsonSchema;

use super::shared::{
    CustomFieldTraits, CustomFieldValue, Date, Gid, Like, OpenObject, Reference, TaskReference, Timestamp,
    TypedGid,
};
use super::{projects, users};
use crate::stream::{Condition, DeletionEvents, Deletions, Each, Feed, Listing, Repeats, Stream, Unlisted};

// A task in no project is only in the list of its assignee. A task with neither is in no list, and only the search
// returns it. The assignee's list also contains tasks in projects; they are emitted from the project's list.
pub static STREAM: Stream = Stream::of::<Task>(
    "tasks",
    Listing::Each(&[
        Each::of(&projects::STREAM, "/tasks?project={gid}")
            .counted("/projects/{gid}/task_counts", "num_tasks"),
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

/// The events of a project. Tasks in no project are not covered.
pub static EVENTS: Feed = Feed { of: &projects::STREAM, path: "/events?resource={gid}" };

// The event of a deleted task does not say whether it was a subtask, so both streams report it.
pub const DELETIONS: Deletions = Deletions::Events {
    feed: &EVENTS,
    events: DeletionEvents { resource: "task", actions: &["deleted"] },
    path: "/tasks/{gid}",
};

/// A task without a parent. Tasks with a parent are in the stream `subtasks`, even if they were added to a project
/// themselves.
#[derive(JsonSchema)]
pub struct Task {
    /// Globally unique identifier of the task, a string of digits.
    pub gid: String,
    /// Always `task`.
    pub resource_type: String,
    /// The task's type: `default_task`, `milestone`, `approval`, `custom` or one that Asana adds later.
    pub resource_subtype: String,
    /// The task's name.
    pub name: String,
    /// The task's description as plain text.
    pub notes: String,
    /// The task's description with its formatting, as HTML.
    pub html_notes: String,
    /// Who created the task, by gid and type, because it need not be a person.
    pub created_by: TypedGid,
    /// When the task was created.
    pub created_at: Timestamp,
    /// When the task last changed. Changes of stories, assignment, completion, name, dates, description and custom
    /// field values move it, and so do removed attachments. Likes, changes of subtasks, and a move to another project
    /// or section may not.
    pub modified_at: Timestamp,
    /// The status of an approval: `pending`, `approved`, `rejected` or `changes_requested`. Absent for other types.
    pub approval_status: String,
    /// Whether the task is complete.
    pub completed: bool,
    /// When the task was completed; null if it is not completed.
    pub completed_at: Timestamp,
    /// Who completed the task; null if it is not completed.
    pub completed_by: Reference,
    /// The assignee; null if there is none.
    pub assignee: Reference,
    /// Who assigned the task.
    pub assigned_by: Reference,
    /// The section of the assignee's My Tasks that the task is in.
    pub assignee_section: Reference,
    /// Deprecated by Asana: when the assignee plans to do the task, such as `today` or `later`.
    pub assignee_status: String,
    /// The day on which the task is due, even if it also has a time.
    pub due_on: Date,
    /// The time at which the task is due; null if only a day is set.
    pub due_at: Timestamp,
    /// The day on which work on the task starts.
    pub start_on: Date,
    /// The time at which work on the task starts; null if only a day is set.
    pub start_at: Timestamp,
    /// The sum of the task's time entries, in minutes; null if there are none.
    pub actual_time_minutes: f64,
    /// The tasks that must be completed before this one.
    pub dependencies: Vec<Gid>,
    /// The tasks that wait for this one.
    pub dependents: Vec<Gid>,
    /// Data that the token's app stored on the task: `gid` and `data`, both chosen by the app. It is not visible to
    /// other apps.
    pub external: OpenObject,
    /// Whether Asana shows the task as a separator.
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
    /// The number of direct subtasks.
    pub num_subtasks: i64,
    /// The parent task; null in the stream `tasks`.
    pub parent: TaskReference,
    /// The projects that the task is in.
    pub projects: Vec<Reference>,
    /// The projects that the task is in, each with the section.
    pub memberships: Vec<Membership>,
    /// The tags on the task.
    pub tags: Vec<Reference>,
    /// The people who are notified of changes.
    pub followers: Vec<Reference>,
    /// The values of the custom fields of the task.
    pub custom_fields: Vec<CustomFieldOnTask>,
    /// The custom type of a task of type `custom`.
    pub custom_type: Reference,
    /// The status of a task of type `custom`.
    pub custom_type_status_option: Reference,
    /// The workspace that the task is in.
    pub workspace: Reference,
    /// The task's URL in Asana.
    pub permalink_url: String,
}

/// A task's membership in a project.
#[derive(JsonSchema)]
pub struct Membership {
    /// The project.
    pub project: Reference,
    /// The section of the project.
    pub section: Reference,
}

/// A custom field with its value on the task. The field's type decides which `*_value` is set; `display_value` is
/// always set.
#[derive(JsonSchema)]
pub struct CustomFieldOnTask {
    #[schemars(flatten)]
    pub value: CustomFieldValue,
    #[schemars(flatten)]
    pub traits: CustomFieldTraits,
}
