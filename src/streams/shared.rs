//! Shapes that several streams use: times, dates, references, custom field values.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::schema::{ORIGIN, Origin};

/// A time in UTC with milliseconds, as Asana writes its `*_at` fields: `2012-02-22T02:06:58.147Z`.
pub struct Timestamp;

/// A calendar date without a zone, as Asana writes its `*_on` fields: `2012-02-22`.
pub struct Date;

/// An object whose keys Asana does not document.
pub struct OpenObject;

/// The gid of the object for which this record was listed. Asana does not send it under this name.
pub struct ParentGid;

/// Implements `JsonSchema` for a type that exists only for its schema.
macro_rules! shape {
    ($type:ident, $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

shape!(Timestamp, json_schema!({"type": "string", "format": "date-time"}));
shape!(Date, json_schema!({"type": "string", "format": "date"}));
shape!(OpenObject, json_schema!({"type": "object"}));
shape!(ParentGid, json_schema!({"type": "string", ORIGIN: Origin::Parent.name()}));

/// Another object of which Asana sends only the gid.
#[derive(JsonSchema)]
pub struct Gid {
    /// The object's gid.
    pub gid: String,
}

/// Another object of which Asana sends only gid and type.
#[derive(JsonSchema)]
pub struct TypedGid {
    /// The object's gid.
    pub gid: String,
    /// The object's type, such as `user`.
    pub resource_type: String,
}

/// Another object, by gid and name.
#[derive(JsonSchema)]
pub struct Reference {
    /// The object's gid.
    pub gid: String,
    /// The object's name.
    pub name: String,
}

/// Another object of one of several types.
#[derive(JsonSchema)]
pub struct TypedReference {
    /// The object's gid.
    pub gid: String,
    /// The object's type, such as `task` or `project`.
    pub resource_type: String,
    /// The object's name.
    pub name: String,
}

/// Another task.
#[derive(JsonSchema)]
pub struct TaskReference {
    /// The task's gid.
    pub gid: String,
    /// The task's name.
    pub name: String,
    /// The task's type: `default_task`, `milestone`, `approval`, `custom` or one that Asana adds later.
    pub resource_subtype: String,
    /// Who created the task.
    pub created_by: Gid,
}

/// An object that Asana's OpenAPI types as a task although it can have another type.
#[derive(JsonSchema)]
pub struct TypedTaskReference {
    /// The object's gid.
    pub gid: String,
    /// The object's type, such as `task` or `project`.
    pub resource_type: String,
    /// The object's name.
    pub name: String,
    /// The subtype, such as `milestone` among tasks.
    pub resource_subtype: String,
    /// Who created the object.
    pub created_by: Gid,
}

/// The newest status update of a project, portfolio or goal.
#[derive(JsonSchema)]
pub struct StatusUpdateReference {
    /// The status update's gid.
    pub gid: String,
    /// The status update's title.
    pub title: String,
    /// What the update is about: `project_status_update`, `portfolio_status_update` or `goal_status_update`.
    pub resource_subtype: String,
}

/// A period for goals, such as a quarter.
#[derive(JsonSchema)]
pub struct TimePeriodReference {
    /// The time period's gid.
    pub gid: String,
    /// The period's display name: its cadence and fiscal year, such as `Q1 FY22`.
    pub display_name: String,
    /// The cadence and its index: `FY`, `H1`, `H2` or `Q1` to `Q4`.
    pub period: String,
    /// The period's first day.
    pub start_on: Date,
    /// The period's last day.
    pub end_on: Date,
}

/// One person's like.
#[derive(JsonSchema)]
pub struct Like {
    /// The like's own gid.
    pub gid: String,
    /// Who likes it.
    pub user: Reference,
}

/// The number of reactions with one emoji.
#[derive(JsonSchema)]
pub struct Reaction {
    /// The emoji without skin tone or other variation.
    pub emoji_base: String,
    /// The emoji with its variation.
    pub variant: String,
    /// How many reactions there are with this variant.
    pub count: f64,
    /// Whether the token's user reacted with this variant.
    pub reacted: bool,
}

/// A custom field that is enabled for a project, portfolio, goal or team. The `custom_field_settings` stream has the
/// complete setting and the definition of the field.
#[derive(JsonSchema)]
pub struct CustomFieldSettingReference {
    /// The setting's gid.
    pub gid: String,
    /// Whether Asana shows the field in the list of the project or portfolio.
    pub is_important: bool,
    /// The field.
    pub custom_field: Reference,
}

/// One option of an `enum` or `multi_enum` custom field.
#[derive(JsonSchema)]
pub struct EnumOption {
    /// The option's gid.
    pub gid: String,
    /// The option's name.
    pub name: String,
    /// The option's colour; `none` if it has none.
    pub color: String,
    /// Whether the option can still be chosen. Options are never deleted, only disabled.
    pub enabled: bool,
}

/// The value of a `date` custom field.
#[derive(JsonSchema)]
pub struct DateValue {
    /// The date.
    pub date: Date,
    /// The time, null if only a date was chosen.
    pub date_time: Timestamp,
}

/// A custom field with its value on one object. The field's type decides which `*_value` is set; `display_value` is
/// always set.
//
// `enum_options` is left out on purpose: it would repeat the field's whole list of options on every record. The
// definitions carry it. OpenAPI lists the last three values for tasks alone; by Asana's path syntax they can be
// asked for wherever a custom field is nested, and a value must not be lost.
#[derive(JsonSchema)]
pub struct CustomFieldValue {
    /// The custom field's gid: a value has no gid.
    pub gid: String,
    /// The custom field's name.
    pub name: String,
    /// Deprecated by Asana in favour of `resource_subtype`: the field's type, such as `text` or `enum`.
    pub r#type: String,
    /// The field's displayed type: its type, or `formula` or `custom_id`.
    pub representation_type: String,
    /// Whether the field is still enabled for the object. Absent from definitions.
    pub enabled: bool,
    /// The prefix of the number of a `custom_id` field.
    pub id_prefix: String,
    /// The types of object that a `reference` field accepts, such as `task`.
    pub input_restrictions: Vec<String>,
    /// Whether a formula computes the value.
    pub is_formula_field: bool,
    /// The value of any type as text for display.
    pub display_value: String,
    /// The value of a `text` field.
    pub text_value: String,
    /// The value of a `number` field. A percentage of 25 % is 0.25.
    pub number_value: f64,
    /// The value of an `enum` field.
    pub enum_value: EnumOption,
    /// The values of a `multi_enum` field.
    pub multi_enum_values: Vec<EnumOption>,
    /// The value of a `date` field.
    pub date_value: DateValue,
    /// The value of a `text` field with its formatting, as HTML.
    pub html_text_value: String,
    /// The value of a `people` field.
    pub people_value: Vec<Reference>,
    /// The value of a `reference` field.
    pub reference_value: Vec<TypedReference>,
}

/// The definition of a custom field.
#[derive(JsonSchema)]
pub struct CustomFieldTraits {
    /// The field's type: `text`, `number`, `enum`, `multi_enum`, `date`, `people`, `reference` or one that Asana
    /// adds later.
    pub resource_subtype: String,
    /// The field's description.
    pub description: String,
    /// How many decimals a number is shown with, 0 to 6. It does not round what is stored.
    pub precision: i64,
    /// How a number is shown: `currency`, `identifier`, `percentage`, `custom`, `duration` or `none`.
    pub format: String,
    /// The currency by ISO 4217, null unless `format` is `currency`.
    pub currency_code: String,
    /// The text beside the value, null unless `format` is `custom`.
    pub custom_label: String,
    /// Whether `custom_label` is before (`prefix`) or after (`suffix`) the value.
    pub custom_label_position: String,
    /// Whether every project and portfolio of the workspace can use the field.
    pub is_global_to_workspace: bool,
    /// Whether followers of a task are notified when the field changes.
    pub has_notifications_enabled: bool,
    /// The name that Asana gives a field that came with one of its own templates.
    pub asana_created_field: String,
    /// Whether the value cannot be edited.
    pub is_value_read_only: bool,
    /// Who created the field.
    pub created_by: Reference,
    /// Who sees the field: `public_with_guests`, `public` or `private`.
    pub privacy_setting: String,
    /// What a new member of the field may do: `admin`, `editor` or `user`.
    pub default_access_level: String,
}

/// The definition of a custom field. Asana documents `*_value` fields here too; in a definition they are null or
/// absent.
#[derive(JsonSchema)]
pub struct CustomFieldDefinition {
    #[schemars(flatten)]
    pub value: CustomFieldValue,
    #[schemars(flatten)]
    pub traits: CustomFieldTraits,
    /// The options of an `enum` or `multi_enum` field.
    pub enum_options: Vec<EnumOption>,
}
