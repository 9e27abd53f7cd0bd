//! Which custom fields are enabled for which project, portfolio, goal and team.

use schemars::JsonSchema;

use super::shared::{CustomFieldDefinition, ParentGid, Reference, TypedReference};
use super::{goals, portfolios, projects, teams};
use crate::stream::{Condition, Each, Listing, Paging, Plan, Stream};

const SWITCHED_ON: Condition = Condition::Filled("custom_field_settings");

// Each of the four listings has the scope of its parent. Custom fields need a paid plan in Asana's product; Asana's
// OpenAPI documents no 402 here.
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
    /// Deprecated by Asana in favour of `parent`: the project, if the setting belongs to one.
    pub project: Reference,
    /// What the field is enabled for.
    pub parent: TypedReference,
    /// Whether Asana shows the field in the list of the project or portfolio.
    pub is_important: bool,
    /// The field's definition, also for fields that belong only to this parent.
    pub custom_field: CustomFieldDefinition,
    /// The gid of the project, portfolio, goal or team for which the setting was listed.
    pub parent_gid: ParentGid,
}
