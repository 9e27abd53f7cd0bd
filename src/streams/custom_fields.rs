//! The custom fields that a whole workspace shares.

use schemars::JsonSchema;

use super::shared::{CustomFieldDefinition, ParentGid};
use super::workspaces;
use crate::stream::{Each, Listing, Plan, Stream};

// Custom fields need a paid plan in Asana's product, and other connectors report 402; Asana's OpenAPI documents no 402
// here.
pub static STREAM: Stream = Stream::of::<CustomField>(
    "custom_fields",
    Listing::Each(&[Each::of(&workspaces::STREAM, "/workspaces/{gid}/custom_fields")]),
)
.plan(Plan::Starter)
.scope("custom_fields:read");

/// A field that the workspace added to Asana's own. Fields that belong to a single project, portfolio or goal are not
/// listed here; the stream `custom_field_settings` carries them. The `*_value` columns are there because Asana
/// documents them; in a definition they are null or absent.
#[derive(JsonSchema)]
pub struct CustomField {
    #[schemars(flatten)]
    pub definition: CustomFieldDefinition,
    /// Always `custom_field`.
    pub resource_type: String,
    /// The gid of the workspace for which the field was listed.
    pub workspace_gid: ParentGid,
}
