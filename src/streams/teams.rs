//! The teams of every organization.

use schemars::JsonSchema;

use super::shared::{CustomFieldSettingReference, Reference};
use super::workspaces;
use crate::stream::{Condition, Each, Listing, Stream};

pub static STREAM: Stream = Stream::of::<Team>(
    "teams",
    Listing::Each(&[
        Each::of(&workspaces::STREAM, "/workspaces/{gid}/teams").when(Condition::True("is_organization"))
    ]),
)
.scope("teams:read");

/// A group of people and projects within an organization. A workspace that is no organization has none.
#[derive(JsonSchema)]
pub struct Team {
    /// Globally unique identifier of the team, a string of digits.
    pub gid: String,
    /// Always `team`.
    pub resource_type: String,
    /// The team's name.
    pub name: String,
    /// The team's description as plain text.
    pub description: String,
    /// The team's description with its formatting, as HTML.
    pub html_description: String,
    /// The organization that the team belongs to.
    pub organization: Reference,
    /// The team's URL in Asana.
    pub permalink_url: String,
    /// Who in the organization sees the team: `secret`, `request_to_join` or `public`.
    pub visibility: String,
    /// Who may change the team's name and description: `all_team_members` or `only_team_admins`.
    pub edit_team_name_or_description_access_level: String,
    /// Who may change the team's visibility or delete it: `all_team_members` or `only_team_admins`.
    pub edit_team_visibility_or_trash_team_access_level: String,
    /// Who may accept or refuse the invitation of a member: `all_team_members` or `only_team_admins`.
    pub member_invite_management_access_level: String,
    /// Who may accept or refuse the invitation of a guest: `all_team_members` or `only_team_admins`.
    pub guest_invite_management_access_level: String,
    /// Who may accept or refuse a request to join: `all_team_members` or `only_team_admins`. It matters where
    /// `visibility` is `request_to_join`.
    pub join_request_management_access_level: String,
    /// Who may remove members: `all_team_members` or `only_team_admins`.
    pub team_member_removal_access_level: String,
    /// Who may make and share the team's content: `no_restriction` or `only_team_admins`.
    pub team_content_management_access_level: String,
    /// Whether the team is endorsed.
    pub endorsed: bool,
    /// The custom fields that are enabled for the team.
    pub custom_field_settings: Vec<CustomFieldSettingReference>,
}
