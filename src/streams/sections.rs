//! The sections of every project.

use schemars::JsonSchema;

use super::projects;
use super::shared::{ParentGid, Reference, Timestamp};
use crate::stream::{Each, Listing, Stream};

// Asana defines no granular OAuth scope for sections: they want full permission.
pub static STREAM: Stream = Stream::of::<Section>(
    "sections",
    Listing::Each(&[Each::of(&projects::STREAM, "/projects/{gid}/sections")]),
);

/// A subdivision of a project that groups tasks.
#[derive(JsonSchema)]
pub struct Section {
    /// Globally unique identifier of the section, a string of digits.
    pub gid: String,
    /// Always `section`.
    pub resource_type: String,
    /// The section's name.
    pub name: String,
    /// When the section was made.
    pub created_at: Timestamp,
    /// The project that the section belongs to.
    pub project: Reference,
    /// Deprecated by Asana in favour of `project`: a list of that one project.
    pub projects: Vec<Reference>,
    /// The gid of the project for which the section was listed.
    pub project_gid: ParentGid,
}
