//! Who is in which workspace.

use schemars::JsonSchema;

use super::shared::{Date, ParentGid, Reference, Timestamp};
use super::workspaces;
use crate::stream::{Each, Listing, Stream};

// Asana defines no granular OAuth scope for workspace memberships, so they need full permission.
pub static STREAM: Stream = Stream::of::<WorkspaceMembership>(
    "workspace_memberships",
    Listing::Each(&[Each::of(&workspaces::STREAM, "/workspaces/{gid}/workspace_memberships")]),
);

/// A person's membership in a workspace.
#[derive(JsonSchema)]
pub struct WorkspaceMembership {
    /// Globally unique identifier of the membership, a string of digits.
    pub gid: String,
    /// Always `workspace_membership`.
    pub resource_type: String,
    /// The person.
    pub user: Reference,
    /// The workspace.
    pub workspace: Reference,
    /// The person's My Tasks list in the workspace.
    pub user_task_list: UserTaskList,
    /// Whether the person is an active member of the workspace. That includes invited people who have not accepted yet.
    pub is_active: bool,
    /// Whether the person administers the workspace.
    pub is_admin: bool,
    /// Whether the person is a guest of the workspace.
    pub is_guest: bool,
    /// Whether the person's license is view-only.
    pub is_view_only: bool,
    /// Deprecated by Asana in favour of out-of-office entries: the person's current or coming vacation, null without
    /// one.
    pub vacation_dates: VacationDates,
    /// When the membership was created.
    pub created_at: Timestamp,
    /// The gid of the workspace for which the membership was listed.
    pub workspace_gid: ParentGid,
}

/// The list of all tasks that are assigned to one person in one workspace.
#[derive(JsonSchema)]
pub struct UserTaskList {
    /// The list's gid.
    pub gid: String,
    /// The list's name.
    pub name: String,
    /// The person to whom the tasks are assigned.
    pub owner: Reference,
    /// The workspace of the tasks.
    pub workspace: Reference,
}

/// A vacation.
#[derive(JsonSchema)]
pub struct VacationDates {
    /// The first day.
    pub start_on: Date,
    /// The last day, null if it is open.
    pub end_on: Date,
}
