//! The status updates of every project, portfolio and goal.

use schemars::JsonSchema;

use super::shared::{Like, ParentGid, Reaction, Reference, Timestamp, TypedReference};
use super::{goals, portfolios, projects};
use crate::stream::{Condition, Each, Listing, Stream};

const UPDATED: Condition = Condition::Filled("current_status_update");

// Asana defines no granular OAuth scope for status updates, so they need full permission. The listing itself needs no
// plan, but portfolios and goals do.
pub static STREAM: Stream = Stream::of::<StatusUpdate>(
    "status_updates",
    Listing::Each(&[
        Each::of(&projects::STREAM, "/status_updates?parent={gid}").when(UPDATED),
        Each::of(&portfolios::STREAM, "/status_updates?parent={gid}").when(UPDATED),
        Each::of(&goals::STREAM, "/status_updates?parent={gid}").when(UPDATED),
    ]),
)
.moves("modified_at");

/// A report on the status of a project, portfolio or goal.
#[derive(JsonSchema)]
pub struct StatusUpdate {
    /// Globally unique identifier of the status update, a string of digits.
    pub gid: String,
    /// Always `status_update`.
    pub resource_type: String,
    /// What the update is about: `project_status_update`, `portfolio_status_update` or `goal_status_update`.
    pub resource_subtype: String,
    /// The update's title.
    pub title: String,
    /// The update as plain text.
    pub text: String,
    /// The update with its formatting, as HTML.
    pub html_text: String,
    /// The status, such as `on_track`, `at_risk`, `off_track`, `complete` or, for goals, `achieved`.
    pub status_type: String,
    /// Who wrote the update.
    pub author: Reference,
    /// Who created the update.
    pub created_by: Reference,
    /// When the update was created.
    pub created_at: Timestamp,
    /// When the update itself last changed; comments and likes do not move it.
    pub modified_at: Timestamp,
    /// Whether the token's user likes the update.
    pub liked: bool,
    /// Who likes the update.
    pub likes: Vec<Like>,
    /// How many people like the update.
    pub num_likes: i64,
    /// Deprecated by Asana in favour of `liked`.
    pub hearted: bool,
    /// Deprecated by Asana in favour of `likes`.
    pub hearts: Vec<Like>,
    /// Deprecated by Asana in favour of `num_likes`.
    pub num_hearts: i64,
    /// The emoji reactions to the update.
    pub reaction_summary: Vec<Reaction>,
    /// What the update is about.
    pub parent: TypedReference,
    /// The gid of the project, portfolio or goal for which the update was listed.
    pub parent_gid: ParentGid,
}
