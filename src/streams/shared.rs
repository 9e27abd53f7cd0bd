//! Shapes that several streams use: times, dates, references, custom field values. Knows no stream.

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

/// Implements `JsonSchema` for a type that is nothing but its schema.
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

/// Another object of which nothing but the gid is told.
#[derive(JsonSchema)]
pub struct Gid {
    /// The object's gid.
    pub gid: String,
}

/// Another object, by gid and name.
#[derive(JsonSchema)]
pub struct Reference {
    /// The object's gid.
    pub gid: String,
    /// The object's name.
    pub name: String,
}

/// Another object that can be of several kinds.
#[derive(JsonSchema)]
pub struct TypedReference {
    /// The object's gid.
    pub gid: String,
    /// The object's kind, such as `task` or `project`.
    pub resource_type: String,
    /// The object's name.
    pub name: String,
}
