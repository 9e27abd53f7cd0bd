//! The projects of every workspace.

use schemars::JsonSchema;

use super::shared::Timestamp;
use super::workspaces;
use crate::stream::{Each, Listing, Stream};

pub static STREAM: Stream = Stream::of::<Project>(
    "projects",
    Listing::Each(&[Each::of(&workspaces::STREAM, "/projects?workspace={gid}")]),
)
.moves("modified_at")
.scope("projects:read");

/// A prioritized list of tasks.
#[derive(JsonSchema)]
pub struct Project {
    /// Globally unique identifier of the project, a string of digits.
    pub gid: String,
    /// When the project's own attributes last changed; tasks and comments do not move it.
    pub modified_at: Timestamp,
}
