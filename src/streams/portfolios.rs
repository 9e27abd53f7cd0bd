//! The portfolios of every workspace.

use schemars::JsonSchema;

use super::shared::{
    CustomFieldSettingReference, CustomFieldValue, Date, Reference, StatusUpdateReference, Timestamp,
};
use super::workspaces;
use crate::stream::{Each, Listing, Plan, Stream};

// Without an owner in the query, Asana returns the user's own portfolios, and to a service account all (Asana's
// OpenAPI). Other connectors report 402 here, which Asana does not document. According to a public report the owner is
// required, so it is added if Asana refuses the request.
pub static STREAM: Stream = Stream::of::<Portfolio>(
    "portfolios",
    Listing::Each(&[Each::of(&workspaces::STREAM, "/portfolios?workspace={gid}").fallback("owner", "me")]),
)
.plan(Plan::Advanced)
.scope("portfolios:read");

/// A collection of projects and other portfolios. A regular user's token lists only the user's own portfolios; a
/// service account's token lists all.
#[derive(JsonSchema)]
pub struct Portfolio {
    /// Globally unique identifier of the portfolio, a string of digits.
    pub gid: String,
    /// Always `portfolio`.
    pub resource_type: String,
    /// The portfolio's name.
    pub name: String,
    /// Whether the portfolio is archived.
    pub archived: bool,
    /// The portfolio's colour, such as `dark-pink`.
    pub color: String,
    /// The day on which work on the portfolio starts.
    pub start_on: Date,
    /// The day on which the portfolio is due.
    pub due_on: Date,
    /// What a new member may do: `admin`, `editor` or `viewer`.
    pub default_access_level: String,
    /// When the portfolio was created.
    pub created_at: Timestamp,
    /// Who created the portfolio.
    pub created_by: Reference,
    /// The custom fields that items of the portfolio can have. They contain no values.
    pub custom_field_settings: Vec<CustomFieldSettingReference>,
    /// The values of the custom fields of the portfolio itself.
    pub custom_fields: Vec<CustomFieldValue>,
    /// The newest status update; null if there has never been one.
    pub current_status_update: StatusUpdateReference,
    /// The people who are members of the portfolio.
    pub members: Vec<Reference>,
    /// The portfolio's owner.
    pub owner: Reference,
    /// The workspace that the portfolio is in.
    pub workspace: Reference,
    /// The portfolio's URL in Asana.
    pub permalink_url: String,
    /// Whether every member of the workspace sees the portfolio.
    pub public: bool,
    /// Who sees the portfolio: `public_to_domain` or `members_only`.
    pub privacy_setting: String,
    /// The project templates in the portfolio.
    pub project_templates: Vec<Reference>,
}
