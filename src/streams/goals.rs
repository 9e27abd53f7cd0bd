//! The goals of every workspace.

use schemars::JsonSchema;

use super::shared::{
    CustomFieldSettingReference, CustomFieldValue, Date, Like, Reference, StatusUpdateReference,
    TimePeriodReference,
};
use super::workspaces;
use crate::stream::{Each, Listing, Plan, Stream};

// Asana's OpenAPI documents 402 for goals; that the plan in question is Advanced is product knowledge.
pub static STREAM: Stream =
    Stream::of::<Goal>("goals", Listing::Each(&[Each::of(&workspaces::STREAM, "/goals?workspace={gid}")]))
        .plan(Plan::Advanced)
        .scope("goals:read");

/// Something that a workspace, a team or a person wants to achieve.
#[derive(JsonSchema)]
pub struct Goal {
    /// Globally unique identifier of the goal, a string of digits.
    pub gid: String,
    /// Always `goal`.
    pub resource_type: String,
    /// The goal's name.
    pub name: String,
    /// The goal's description as plain text.
    pub notes: String,
    /// The goal's description with its formatting, as HTML.
    pub html_notes: String,
    /// The day on which work on the goal starts.
    pub start_on: Date,
    /// The day on which the goal is due.
    pub due_on: Date,
    /// Whether the goal is the whole workspace's and not a team's. Only in organizations.
    pub is_workspace_level: bool,
    /// Whether the token's user likes the goal.
    pub liked: bool,
    /// Who likes the goal.
    pub likes: Vec<Like>,
    /// How many people like the goal.
    pub num_likes: i64,
    /// The team whose goal it is; null if it belongs to no team.
    pub team: Reference,
    /// The workspace that the goal is in.
    pub workspace: Reference,
    /// The people who are members of the goal.
    pub followers: Vec<Reference>,
    /// The period in which the goal is to be reached.
    pub time_period: TimePeriodReference,
    /// How progress is measured; null without a measure.
    pub metric: GoalMetric,
    /// The goal's owner; null without one.
    pub owner: Reference,
    /// The newest status update; null if there has never been one.
    pub current_status_update: StatusUpdateReference,
    /// The status of the goal: `green`, `yellow` or `red` while it is open, then `achieved`, `partial`, `missed` or
    /// `dropped`.
    pub status: String,
    /// Who sees the goal: `public_to_workspace` or `members_only`.
    pub privacy_setting: String,
    /// What a new member may do: `admin`, `editor`, `commenter` or `viewer`.
    pub default_access_level: String,
    /// The values of the custom fields of the goal itself.
    pub custom_fields: Vec<CustomFieldValue>,
    /// The custom fields that are enabled for the goal. They contain no values.
    pub custom_field_settings: Vec<CustomFieldSettingReference>,
}

/// The measure of a goal's progress.
#[derive(JsonSchema)]
pub struct GoalMetric {
    /// The metric's gid.
    pub gid: String,
    /// The metric's type: `number`.
    pub resource_subtype: String,
    /// How many decimals the numbers are shown with, 0 to 6. It does not round what is stored.
    pub precision: i64,
    /// The unit of the numbers: `none`, `currency` or `percentage`.
    pub unit: String,
    /// The currency by ISO 4217, null unless `unit` is `currency`.
    pub currency_code: String,
    /// The number at the start.
    pub initial_number_value: f64,
    /// The target.
    pub target_number_value: f64,
    /// The current number.
    pub current_number_value: f64,
    /// The number as text for display.
    pub current_display_value: String,
    /// Where progress comes from, such as `manual`, `subgoal_progress`, `project_task_completion` or `external`.
    pub progress_source: String,
    /// Whether supporting objects have different weights.
    pub is_custom_weight: bool,
    /// Whether the token may set the current number. Only if `progress_source` is `external`.
    pub can_manage: bool,
}
