//! Which custom fields are switched on for which project, portfolio, goal and team.

use schemars::JsonSchema;

use super::shared::{CustomFieldDefinition, ParentGid, Reference, TypedReference};
use super::{goals, portfolios, projects, teams};
use crate::stream::{Condition, Each, Listing, Paging, Plan, Stream};

const SWITCHED_ON: Condition = Condition::Filled("custom_field_settings");

// Each of the four listings has the scope of its parent. That custom fields want a paid plan is product knowledge;
// Asana's OpenAPI documents no 402 here.
pub static STREAM: Stream = Stream::of::<CustomFieldSetting>(
    "custom_field_settings",
    Listing::Each(&[
        Each::of(&projects::STREAM, "/projects/{gid}/custom_field_settings").when(SWITCHED_ON),
        Each::of(&portfolios::STREAM, "/portfolios/{gid}/custom_field_settings").when(SWITCHED_ON),
        Each::of(&goals::STREAM, "/goals/{gid}/custom_field_settings").when(SWITCHED_ON),
        Each::of(&teams::STREAM, "/teams/{gid}/custom_field_settings")
            .when(SWITCHED_ON)
            .paging(Paging::Whole),
    ]),
)
.plan(Plan::Starter)
.scope("projects:read portfolios:read goals:read teams:read");

/// One custom field on one project, portfolio, goal or team.
#[derive(JsonSchema)]
pub struct CustomFieldSetting {
    /// Globally unique identifier of the setting, a string of digits.
    pub gid: String,
    /// Always `custom_field_setting`.
    pub resource_type: String,
    /// Deprecated by Asana in favour of `parent`: the project, where the setting is on one.
    pub project: Reference,
    /// What the field is switched on for.
    pub parent: TypedReference,
    /// Whether Asana shows the field in the list of the project or portfolio.
    pub is_important: bool,
    /// The field's definition, also of fields that belong to this parent alone.
    pub custom_field: CustomFieldDefinition,
    /// The gid of the project, portfolio, goal or team for which the setting was listed.
    pub parent_gid: ParentGid,
}
