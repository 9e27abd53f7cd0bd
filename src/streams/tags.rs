//! The tags of every workspace.

use schemars::JsonSchema;

use super::shared::{Reference, Timestamp};
use super::workspaces;
use crate::stream::{Deletions, Each, Listing, Stream};

pub static STREAM: Stream =
    Stream::of::<Tag>("tags", Listing::Each(&[Each::of(&workspaces::STREAM, "/tags?workspace={gid}")]))
        .scope("tags:read")
        // A tag carries no time of change, so all of them are emitted every time.
        .follows_parents("created_at")
        .deletions(Deletions::Absence { path: "/tags/{gid}" });

/// A label that any task of the workspace can carry.
#[derive(JsonSchema)]
pub struct Tag {
    /// Globally unique identifier of the tag, a string of digits.
    pub gid: String,
    /// Always `tag`.
    pub resource_type: String,
    /// The tag's name.
    pub name: String,
    /// The tag's colour, such as `dark-pink`.
    pub color: String,
    /// The tag's description.
    pub notes: String,
    /// When the tag was created.
    pub created_at: Timestamp,
    /// The people who follow the tag.
    pub followers: Vec<Reference>,
    /// The workspace that the tag is in.
    pub workspace: Reference,
    /// The tag's URL in Asana.
    pub permalink_url: String,
}
