//! The audit log of every workspace.

use schemars::JsonSchema;

use super::shared::{OpenObject, ParentGid, Timestamp};
use super::workspaces;
use crate::stream::{Each, Fields, Listing, Paging, Plan, Stream};

// Asana's page on the audit log: for service accounts of Enterprise+, of legacy Enterprise, or of Enterprise with the
// compliance add-on; events in the order of their making, kept for 90 days; `next_page` never becomes null. Asana
// defines no granular OAuth scope for it.
pub static STREAM: Stream = Stream::of::<AuditLogEvent>(
    "audit_log_events",
    Listing::Each(&[
        Each::of(&workspaces::STREAM, "/workspaces/{gid}/audit_log_events").paging(Paging::UntilEmpty)
    ]),
)
.fixed_since("created_at", "start_at")
.plan(Plan::ServiceAccount)
.fields(Fields::Fixed);

/// Something that happened in an organization and matters to its security. Asana keeps events for 90 days.
#[derive(JsonSchema)]
pub struct AuditLogEvent {
    /// Globally unique identifier of the event, a string of digits.
    pub gid: String,
    /// When the event happened.
    pub created_at: Timestamp,
    /// What happened, such as `task_deleted`.
    pub event_type: String,
    /// The category of `event_type`, such as `deletion`.
    pub event_category: String,
    /// Who caused the event, usually a person.
    pub actor: AuditLogActor,
    /// The object that the event happened to.
    pub resource: AuditLogResource,
    /// More about the event, such as `old_value` and `new_value`; what is in it follows from `event_type`.
    pub details: OpenObject,
    /// How the event was caused.
    pub context: AuditLogContext,
    /// The gid of the workspace for which the event was listed.
    pub workspace_gid: ParentGid,
}

/// Who caused an event.
#[derive(JsonSchema)]
pub struct AuditLogActor {
    /// The actor's type: `user`, `asana`, `asana_support`, `anonymous` or `external_administrator`.
    pub actor_type: String,
    /// The gid of a user.
    pub gid: String,
    /// The name of a user.
    pub name: String,
    /// The mail address of a user.
    pub email: String,
}

/// The object that an event happened to.
#[derive(JsonSchema)]
pub struct AuditLogResource {
    /// The object's gid.
    pub gid: String,
    /// The object's type, such as `task`.
    pub resource_type: String,
    /// The subtype; most objects have none.
    pub resource_subtype: String,
    /// The object's name.
    pub name: String,
    /// The object's mail address, if it is one that has such.
    pub email: String,
}

/// How an event was caused.
#[derive(JsonSchema)]
pub struct AuditLogContext {
    /// The part of Asana: `web`, `desktop`, `mobile`, `asana_support`, `asana`, `email` or `api`.
    pub context_type: String,
    /// How a request to the API was authenticated: `cookie`, `oauth`, `personal_access_token` or `service_account`.
    pub api_authentication_method: String,
    /// The network address that the event came from.
    pub client_ip_address: String,
    /// The program that the event came from, as it names itself.
    pub user_agent: String,
    /// The app that made the request, if it used OAuth.
    pub oauth_app_name: String,
    /// The rule that caused the event.
    pub rule_name: String,
    /// The user for whom Asana's support made a change. A number, unlike every gid.
    pub on_behalf_of_user_id: i64,
}
