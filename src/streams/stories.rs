//! What happened on every task and what people said there.

use schemars::JsonSchema;

use super::shared::{
    CustomFieldValue, Date, EnumOption, Like, ParentGid, Reaction, Reference, TaskReference, Timestamp,
    TypedTaskReference,
};
use super::{subtasks, tasks};
use crate::stream::{ChangeSignal, DeletionEvents, Deletions, Each, Listing, Stream};

// A new or removed story moves the task's `modified_at`. An edited comment, a like or a pin alone does not, and Asana
// has no filter for those.
pub static STREAM: Stream = Stream::of::<Story>(
    "stories",
    Listing::Each(&[
        Each::of(&tasks::STREAM, "/tasks/{gid}/stories").change_signal(ChangeSignal::MovesParent),
        Each::of(&subtasks::STREAM, "/tasks/{gid}/stories").change_signal(ChangeSignal::MovesParent),
    ]),
)
.follows_parents("created_at")
// A story never moves to another task, so one that is removed from its task is deleted.
.deletions(Deletions::Events {
    feed: &tasks::EVENTS,
    events: DeletionEvents { resource: "story", actions: &["deleted", "removed"] },
    path: "/stories/{gid}",
})
.scope("stories:read");

/// A comment on a task, or Asana's own record of a change. `resource_subtype` decides which of the `old_*`, `new_*` and
/// reference fields are set.
#[derive(JsonSchema)]
pub struct Story {
    /// Globally unique identifier of the story, a string of digits.
    pub gid: String,
    /// Always `story`.
    pub resource_type: String,
    /// What happened, such as `comment_added` or `assigned`. Asana does not list the values.
    pub resource_subtype: String,
    /// Who wrote it: `comment` for people, `system` for Asana.
    pub r#type: String,
    /// When the story was created.
    pub created_at: Timestamp,
    /// Who caused the story.
    pub created_by: Reference,
    /// The story as plain text, in the language of the token's user.
    pub text: String,
    /// A comment with its formatting, as HTML, without its author's name.
    pub html_text: String,
    /// Whether the story is pinned on the task.
    pub is_pinned: bool,
    /// Whether a comment's text can be edited.
    pub is_editable: bool,
    /// Whether a comment's text has been edited.
    pub is_edited: bool,
    /// The comment's sticker; null without one.
    pub sticker_name: String,
    /// Whether the token's user likes the story.
    pub liked: bool,
    /// Who likes the story.
    pub likes: Vec<Like>,
    /// How many people like the story.
    pub num_likes: i64,
    /// Deprecated by Asana in favour of `liked`.
    pub hearted: bool,
    /// Deprecated by Asana in favour of `likes`.
    pub hearts: Vec<Like>,
    /// Deprecated by Asana in favour of `num_likes`.
    pub num_hearts: i64,
    /// The emoji reactions to the story.
    pub reaction_summary: Vec<Reaction>,
    /// Previews of what a comment links to.
    pub previews: Vec<Preview>,
    /// The client that caused the story: `web`, `email`, `mobile`, `api` or `unknown`.
    pub source: String,
    /// The object that the story is about.
    pub target: TypedTaskReference,
    /// The task's name before it changed.
    pub old_name: String,
    /// The task's name after it changed.
    pub new_name: String,
    /// The task's dates before they changed.
    pub old_dates: Dates,
    /// The task's dates after they changed.
    pub new_dates: Dates,
    /// The task's type before it changed.
    pub old_resource_subtype: String,
    /// The task's type after it changed.
    pub new_resource_subtype: String,
    /// The section that the task left.
    pub old_section: Reference,
    /// The section that the task went to.
    pub new_section: Reference,
    /// The approval's status before.
    pub old_approval_status: String,
    /// The approval's status after.
    pub new_approval_status: String,
    /// The custom field whose value changed.
    pub custom_field: CustomFieldValue,
    /// The value of a `text` custom field before it changed.
    pub old_text_value: String,
    /// The value of a `text` custom field after it changed.
    pub new_text_value: String,
    /// The value of a `number` custom field before it changed.
    pub old_number_value: f64,
    /// The value of a `number` custom field after it changed.
    pub new_number_value: f64,
    /// The value of an `enum` custom field before it changed.
    pub old_enum_value: EnumOption,
    /// The value of an `enum` custom field after it changed.
    pub new_enum_value: EnumOption,
    /// The values of a `multi_enum` custom field before they changed.
    pub old_multi_enum_values: Vec<EnumOption>,
    /// The values of a `multi_enum` custom field after they changed.
    pub new_multi_enum_values: Vec<EnumOption>,
    /// The value of a `date` custom field before it changed.
    pub old_date_value: Dates,
    /// The value of a `date` custom field after it changed.
    pub new_date_value: Dates,
    /// The value of a `people` custom field before it changed.
    pub old_people_value: Vec<Reference>,
    /// The value of a `people` custom field after it changed.
    pub new_people_value: Vec<Reference>,
    /// The person that the task was assigned to.
    pub assignee: Reference,
    /// The person who started to follow the task.
    pub follower: Reference,
    /// The project that the story mentions.
    pub project: Reference,
    /// The tag that the story mentions.
    pub tag: Reference,
    /// The task that the story mentions.
    pub task: TaskReference,
    /// The task that was added or removed as a dependency.
    pub dependency: TaskReference,
    /// The task of which this one is a duplicate.
    pub duplicate_of: TaskReference,
    /// The task that this one was copied from.
    pub duplicated_from: TaskReference,
    /// The story that this one is about, such as the comment that was liked.
    pub story: StoryReference,
    /// The gid of the task or subtask for which the story was listed.
    pub task_gid: ParentGid,
}

/// When work starts and when it is due.
#[derive(JsonSchema)]
pub struct Dates {
    /// The day on which work starts.
    pub start_on: Date,
    /// The day on which it is due.
    pub due_on: Date,
    /// The time at which it is due; null if only a day is set.
    pub due_at: Timestamp,
}

/// A preview of a linked object.
#[derive(JsonSchema)]
pub struct Preview {
    /// A fallback text for the preview.
    pub fallback: String,
    /// The footer.
    pub footer: String,
    /// The header.
    pub header: String,
    /// The link of the header.
    pub header_link: String,
    /// The body with its formatting, as HTML.
    pub html_text: String,
    /// The body as plain text.
    pub text: String,
    /// The title.
    pub title: String,
    /// The link of the title.
    pub title_link: String,
}

/// Another story.
#[derive(JsonSchema)]
pub struct StoryReference {
    /// The story's gid.
    pub gid: String,
    /// What happened, such as `comment_added`.
    pub resource_subtype: String,
    /// When the story was created.
    pub created_at: Timestamp,
    /// Who caused the story.
    pub created_by: Reference,
    /// The story as plain text.
    pub text: String,
}
