//! The periods for goals, of every workspace.

use schemars::JsonSchema;

use super::shared::{Date, ParentGid, TimePeriodReference};
use super::workspaces;
use crate::stream::{Each, Listing, Plan, Stream};

// Asana's OpenAPI document requires full permission: it uses `time_periods:read` for nested periods, but does not
// declare that scope. The plan is that of goals; no 402 is documented here.
pub static STREAM: Stream = Stream::of::<TimePeriod>(
    "time_periods",
    Listing::Each(&[Each::of(&workspaces::STREAM, "/time_periods?workspace={gid}")]),
)
.plan(Plan::Advanced);

/// A fiscal year, half-year or quarter of a workspace.
#[derive(JsonSchema)]
pub struct TimePeriod {
    /// Globally unique identifier of the time period, a string of digits.
    pub gid: String,
    /// Always `time_period`.
    pub resource_type: String,
    /// The period's display name: its cadence and fiscal year, such as `Q1 FY22`.
    pub display_name: String,
    /// The cadence and its index: `FY`, `H1`, `H2` or `Q1` to `Q4`.
    pub period: String,
    /// The period's first day.
    pub start_on: Date,
    /// The period's last day.
    pub end_on: Date,
    /// The longer period that this one is part of; null for a year.
    pub parent: TimePeriodReference,
    /// The gid of the workspace for which the period was listed.
    pub workspace_gid: ParentGid,
}
