//! The webhooks that the token's app and user registered in every workspace.

use schemars::JsonSchema;

use super::shared::{ParentGid, Timestamp, TypedReference};
use super::workspaces;
use crate::stream::{Each, Listing, Stream};

pub static STREAM: Stream = Stream::of::<Webhook>(
    "webhooks",
    Listing::Each(&[Each::of(&workspaces::STREAM, "/webhooks?workspace={gid}")]),
)
.scope("webhooks:read");

/// A subscription by which Asana tells a server of changes. Those of other apps are not listed.
#[derive(JsonSchema)]
pub struct Webhook {
    /// Globally unique identifier of the webhook, a string of digits.
    pub gid: String,
    /// Always `webhook`.
    pub resource_type: String,
    /// Whether Asana sends events at present.
    pub active: bool,
    /// The object whose changes are told.
    pub resource: TypedReference,
    /// The address that Asana sends events to.
    pub target: String,
    /// When the webhook was made.
    pub created_at: Timestamp,
    /// When sending an event last failed.
    pub last_failure_at: Timestamp,
    /// What the server answered at the last failure.
    pub last_failure_content: String,
    /// When sending an event last succeeded.
    pub last_success_at: Timestamp,
    /// How often sending was tried again since the last success.
    pub delivery_retry_count: i64,
    /// When Asana tries to send again at the earliest.
    pub next_attempt_after: Timestamp,
    /// When Asana deletes the webhook unless sending succeeds before.
    pub failure_deletion_timestamp: Timestamp,
    /// Which events are sent: those that pass any of these.
    pub filters: Vec<WebhookFilter>,
    /// The gid of the workspace for which the webhook was listed.
    pub workspace_gid: ParentGid,
}

/// A kind of event that a webhook lets through.
#[derive(JsonSchema)]
pub struct WebhookFilter {
    /// The kind of the changed object, such as `task`.
    pub resource_type: String,
    /// The kind within the kind, such as `milestone`.
    pub resource_subtype: String,
    /// What happened to the object, such as `changed` or `added`.
    pub action: String,
    /// Where the action is `changed`: the fields whose change is told.
    pub fields: Vec<String>,
}
