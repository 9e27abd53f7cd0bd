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

/// A subscription with which Asana sends changes to a server. Those of other apps are not listed.
#[derive(JsonSchema)]
pub struct Webhook {
    /// Globally unique identifier of the webhook, a string of digits.
    pub gid: String,
    /// Always `webhook`.
    pub resource_type: String,
    /// Whether Asana currently sends events.
    pub active: bool,
    /// The object whose changes are reported.
    pub resource: TypedReference,
    /// The URL to which Asana sends events.
    pub target: String,
    /// When the webhook was created.
    pub created_at: Timestamp,
    /// When sending an event last failed.
    pub last_failure_at: Timestamp,
    /// The server's answer at the last failure.
    pub last_failure_content: String,
    /// When sending an event last succeeded.
    pub last_success_at: Timestamp,
    /// How often sending was retried since the last success.
    pub delivery_retry_count: i64,
    /// The earliest time at which Asana retries.
    pub next_attempt_after: Timestamp,
    /// When Asana deletes the webhook unless sending succeeds first.
    pub failure_deletion_timestamp: Timestamp,
    /// The filters: Asana sends events that match any of them.
    pub filters: Vec<WebhookFilter>,
    /// The gid of the workspace for which the webhook was listed.
    pub workspace_gid: ParentGid,
}

/// A filter for the events of a webhook.
#[derive(JsonSchema)]
pub struct WebhookFilter {
    /// The type of the changed object, such as `task`.
    pub resource_type: String,
    /// The subtype, such as `milestone`.
    pub resource_subtype: String,
    /// What happened to the object, such as `changed` or `added`.
    pub action: String,
    /// For the action `changed`: the fields whose changes are reported.
    pub fields: Vec<String>,
}
