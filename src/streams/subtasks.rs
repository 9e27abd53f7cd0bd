//! The tasks below tasks, to any depth.

use schemars::JsonSchema;

use super::shared::ParentGid;
use super::tasks::{self, Task};
use crate::stream::{Condition, Listing, Repeats, Stream, Tree};

// A change of a subtask moves its own time and not its parent's, and Asana's listing of subtasks has no filter by
// time. A subtask in a project of its own is listed there as well.
pub static STREAM: Stream = Stream::of::<Subtask>(
    "subtasks",
    Listing::Tree(Tree {
        roots: &tasks::STREAM,
        path: "/tasks/{gid}/subtasks",
        parent: "parent",
        when: Condition::Positive("num_subtasks"),
        search: Some("/workspaces/{gid}/tasks/search?is_subtask=true"),
    }),
)
.moves("modified_at")
.deletions(tasks::DELETIONS)
.scope("tasks:read")
.repeats(Repeats::AcrossListings);

/// A unit of work below another: `parent` is set. Tasks without a parent are in the stream `tasks`.
#[derive(JsonSchema)]
pub struct Subtask {
    #[schemars(flatten)]
    pub task: Task,
    /// The gid of the task that this one is directly below.
    pub parent_gid: ParentGid,
}
