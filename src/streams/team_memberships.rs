//! Who is in which team.

use schemars::JsonSchema;

use super::shared::{ParentGid, Reference};
use super::teams;
use crate::stream::{Each, Listing, Stream};

pub static STREAM: Stream = Stream::of::<TeamMembership>(
    "team_memberships",
    Listing::Each(&[Each::of(&teams::STREAM, "/teams/{gid}/team_memberships")]),
)
.scope("team_memberships:read");

/// A person's membership in a team.
#[derive(JsonSchema)]
pub struct TeamMembership {
    /// Globally unique identifier of the membership, a string of digits.
    pub gid: String,
    /// Always `team_membership`.
    pub resource_type: String,
    /// The person.
    pub user: Reference,
    /// The team.
    pub team: Reference,
    /// Whether the person is a guest of the team.
    pub is_guest: bool,
    /// Whether the person's access to the team is limited.
    pub is_limited_access: bool,
    /// Whether the person administers the team.
    pub is_admin: bool,
    /// The gid of the team for which the membership was listed.
    pub team_gid: ParentGid,
}
