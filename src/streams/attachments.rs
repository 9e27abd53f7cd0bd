//! The files on tasks, subtasks and projects. The files' contents are not read.

use schemars::JsonSchema;

use super::shared::{ParentGid, Timestamp, TypedTaskReference};
use super::{projects, subtasks, tasks};
use crate::stream::{ChangeSignal, DeletionEvents, Deletions, Each, Listing, Stream};

// A file that is added to or removed from a task moves the task's time; nothing says so of projects. Asana documents
// 402 for an attachment's own page and none for the listing.
pub static STREAM: Stream = Stream::of::<Attachment>(
    "attachments",
    Listing::Each(&[
        Each::of(&tasks::STREAM, "/attachments?parent={gid}")
            .change_signal(ChangeSignal::MovesParent)
            .parents_search(PARENTS),
        Each::of(&subtasks::STREAM, "/attachments?parent={gid}")
            .change_signal(ChangeSignal::MovesParent)
            .parents_search(PARENTS),
        Each::of(&projects::STREAM, "/attachments?parent={gid}"),
    ]),
)
.follows_parents("created_at")
.deletions(Deletions::Events {
    feed: &tasks::EVENTS,
    events: DeletionEvents { resource: "attachment", actions: &["deleted"] },
    path: "/attachments/{gid}",
})
.scope("attachments:read");

/// The tasks and subtasks that have attachments.
const PARENTS: &str = "/workspaces/{gid}/tasks/search?has_attachment=true";

/// A file on a task or project, kept by Asana or by another service.
#[derive(JsonSchema)]
pub struct Attachment {
    /// Globally unique identifier of the attachment, a string of digits.
    pub gid: String,
    /// Always `attachment`.
    pub resource_type: String,
    /// The service that stores the file: `asana`, `dropbox`, `gdrive`, `onedrive`, `box`, `vimeo` or `external`.
    pub resource_subtype: String,
    /// The file's name.
    pub name: String,
    /// When the attachment was created.
    pub created_at: Timestamp,
    /// Where the content can be had for about two minutes after it was listed; null for some services.
    pub download_url: String,
    /// A lasting address that leads people who are signed in and may see the parent to the file.
    pub permanent_url: String,
    /// Where the file can be viewed in a browser; null for some services.
    pub view_url: String,
    /// The service that stores the file, as in `resource_subtype`.
    pub host: String,
    /// The task, project or project brief that the file is on.
    pub parent: TypedTaskReference,
    /// The file's size in bytes. Only of files that Asana keeps.
    pub size: i64,
    /// Whether the app that the token belongs to shows a widget for the file. Only of `external` and `gdrive` files.
    pub connected_to_app: bool,
    /// The gid of the task, subtask or project for which the attachment was listed.
    pub parent_gid: ParentGid,
}
