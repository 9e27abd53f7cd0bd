//! The sections of every project.

use schemars::JsonSchema;

use super::shared::{ParentGid, Reference, Timestamp};
use super::{projects, tasks};
use crate::stream::{DeletionEvents, Deletions, Each, Listing, Stream};

// Asana defines no granular OAuth scope for sections, so they need full permission.
pub static STREAM: Stream = Stream::of::<Section>(
    "sections",
    Listing::Each(&[Each::of(&projects::STREAM, "/projects/{gid}/sections")]),
)
// A section has no time of change, so every sync emits all of them.
.follows_parents("created_at")
.deletions(Deletions::Events {
    feed: &tasks::EVENTS,
    events: DeletionEvents { resource: "section", actions: &["deleted"] },
    path: "/sections/{gid}",
});

/// A subdivision of a project that groups tasks.
#[derive(JsonSchema)]
pub struct Section {
    /// Globally unique identifier of the section, a string of digits.
    pub gid: String,
    /// Always `section`.
    pub resource_type: String,
    /// The section's name.
    pub name: String,
    /// When the section was created.
    pub created_at: Timestamp,
    /// The project that the section belongs to.
    pub project: Reference,
    /// Deprecated by Asana in favour of `project`: a list of that one project.
    pub projects: Vec<Reference>,
    /// The gid of the project for which the section was listed.
    pub project_gid: ParentGid,
}
