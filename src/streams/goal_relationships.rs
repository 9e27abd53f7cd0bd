//! What supports every goal.

use schemars::JsonSchema;

use super::goals;
use super::shared::{ParentGid, Reference, TypedReference};
use crate::stream::{Each, Listing, Plan, Stream};

// Asana defines no granular OAuth scope for goal relationships, so they need full permission. The plan is that of
// goals; Asana's OpenAPI documents no 402 here.
pub static STREAM: Stream = Stream::of::<GoalRelationship>(
    "goal_relationships",
    Listing::Each(&[Each::of(&goals::STREAM, "/goal_relationships?supported_goal={gid}")]),
)
.plan(Plan::Advanced);

/// One goal, project, task or portfolio that supports a goal.
#[derive(JsonSchema)]
pub struct GoalRelationship {
    /// Globally unique identifier of the relationship, a string of digits.
    pub gid: String,
    /// Always `goal_relationship`.
    pub resource_type: String,
    /// What supports the goal: `subgoal` or `supporting_work`.
    pub resource_subtype: String,
    /// The goal, project, task or portfolio that supports.
    pub supporting_resource: TypedReference,
    /// How much the supporting object's progress counts for the goal's, from 0 to 1.
    pub contribution_weight: f64,
    /// The goal that is supported.
    pub supported_goal: GoalReference,
    /// The gid of the supported goal, for which the relationship was listed.
    pub supported_goal_gid: ParentGid,
}

/// A goal.
#[derive(JsonSchema)]
pub struct GoalReference {
    /// The goal's gid.
    pub gid: String,
    /// The goal's name.
    pub name: String,
    /// The goal's owner; null without one.
    pub owner: Reference,
}
