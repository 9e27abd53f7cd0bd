//! Custom fields: definitions, settings, and values on tasks and containers.

use super::View;
use crate::gid::{Gid, Index, Kind};
use crate::json::{Object, escape};
use crate::model::*;
use crate::opt_fields::{Level, Selection};
use crate::random::{Random, mix};
use crate::time::{DAY, HOUR, Timestamp, append};
use crate::vocabulary;

/// The first fields all have a default value, so that a small world has one of every type.
const FIELDS_WITH_DEFAULT: Index = 16;

impl View<'_> {
    /// The definition of a field. Asana's OpenAPI documents the value fields on definitions too; most
    /// definitions carry a default value there, the others have none of those fields.
    pub(super) fn custom_field(&self, out: &mut String, selection: &Selection, index: Index) {
        let field = &self.world.custom_fields[index as usize];
        let gid = Gid::new(Kind::CustomField, index);
        let with_default = index < FIELDS_WITH_DEFAULT || field.seed % 4 != 3;
        let value = with_default.then(|| self.drawn_value(index, mix(field.seed)));
        self.field(out, selection, index, if with_default { Some((gid, value)) } else { None });
    }

    /// A field with its value on an object: set by edits, or derived from the object's seed.
    pub(super) fn field_value(
        &self,
        out: &mut String,
        selection: &Selection,
        index: Index,
        on: Gid,
        seed: u64,
    ) {
        let set = self.world.field_values.get(&(on, index));
        let draw = mix(seed ^ u64::from(index) << 32 ^ 0xf1e1d);
        let value = match set {
            Some(value) => value.clone(),
            None => (!draw.is_multiple_of(5)).then(|| self.drawn_value(index, draw)),
        };
        self.field(out, selection, index, Some((on, value)));
    }

    fn drawn_value(&self, index: Index, draw: u64) -> FieldValue {
        let field = &self.world.custom_fields[index as usize];
        let generated = &self.world.workspaces[field.workspace as usize].generated;
        let mut random = Random::new(draw);
        match field.shape {
            FieldShape::Text => FieldValue::Text(vocabulary::name(&mut random)),
            FieldShape::CustomId => FieldValue::Text(format!("ID-{}", draw % 10_000)),
            FieldShape::Number(NumberFormat::Percentage) => {
                FieldValue::Number(random.below(101) as f64 / 100.0)
            }
            FieldShape::Number(NumberFormat::Plain) => FieldValue::Number(random.below(1000) as f64),
            FieldShape::Number(_) | FieldShape::Formula => {
                // Divided last, so that every reader gets the same decimal.
                FieldValue::Number((random.below(2_000_000) as f64 - 500_000.0) / 100.0)
            }
            FieldShape::Enum => FieldValue::Enum(*random.pick(&field.options)),
            FieldShape::MultiEnum => {
                let count = random.between(1, 3) as usize;
                FieldValue::MultiEnum(random.sample(&field.options, count))
            }
            FieldShape::Date => {
                let at = Timestamp(
                    self.world.end.0 - random.below(400) as i64 * DAY + random.below(24) as i64 * HOUR,
                );
                FieldValue::Date { day: at.day(), time: random.percent(40).then_some(at) }
            }
            FieldShape::People => {
                let count = random.between(1, 3);
                FieldValue::People(self.some_users(field.workspace, &mut random, count))
            }
            FieldShape::Reference => {
                let projects = &generated.projects;
                let project = projects.start + random.below(projects.len() as u64) as Index;
                FieldValue::Reference(Gid::new(Kind::Project, project))
            }
        }
    }

    /// A field; `value` is its value and object, or `None` for a definition.
    fn field(
        &self,
        out: &mut String,
        selection: &Selection,
        index: Index,
        value: Option<(Gid, Option<FieldValue>)>,
    ) {
        let field = &self.world.custom_fields[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::CustomField, index));
        object.text("name", Level::Compact, &field.name);
        object.word("type", Level::Compact, subtype(field.shape));
        object.word("resource_subtype", Level::Standard, subtype(field.shape));
        object.word("representation_type", Level::Compact, representation(field.shape));
        let prefix = (field.shape == FieldShape::CustomId).then_some("ID");
        object.optional_word("id_prefix", Level::Compact, prefix);
        object.flag("is_formula_field", Level::Compact, field.shape == FieldShape::Formula);
        if field.shape == FieldShape::Reference {
            object.each("input_restrictions", Level::Compact, ["task", "project"], |out, _, kind| {
                escape(out, kind)
            });
        }
        if !field.options.is_empty() {
            object.each("enum_options", Level::Compact, &field.options, |out, inner, option| {
                self.enum_option(out, inner, *option);
            });
        }
        self.definition(&mut object, field);
        if let Some((_, value)) = value {
            object.flag("enabled", Level::Compact, true);
            self.value(&mut object, field, value);
        }
        object.end();
    }

    fn definition(&self, object: &mut Object<'_, '_>, field: &CustomField) {
        object
            .made_text("description", Level::OptIn, || vocabulary::prose(&mut Random::keyed(field.seed, 1)));
        if let FieldShape::Number(format) = field.shape {
            object.integer("precision", Level::Standard, field.seed % 7);
            let (format, currency, label) = match format {
                NumberFormat::Plain => ("none", None, None),
                NumberFormat::Currency => ("currency", Some("EUR"), None),
                NumberFormat::Percentage => ("percentage", None, None),
                NumberFormat::Custom => ("custom", None, Some("gold pieces")),
                NumberFormat::Duration => ("duration", None, None),
                NumberFormat::Identifier => ("identifier", None, None),
            };
            object.word("format", Level::Standard, format);
            object.optional_word("currency_code", Level::Standard, currency);
            object.optional_word("custom_label", Level::Standard, label);
            object.optional_word("custom_label_position", Level::Standard, label.map(|_| "suffix"));
        }
        object.flag("is_global_to_workspace", Level::Standard, field.scope == FieldScope::Workspace);
        object.flag("has_notifications_enabled", Level::Standard, field.seed.is_multiple_of(2));
        let created = (field.seed % 3 == 1).then_some("priority");
        object.optional_word("asana_created_field", Level::Standard, created);
        let read_only = matches!(field.shape, FieldShape::Formula | FieldShape::CustomId);
        object.flag("is_value_read_only", Level::Standard, read_only);
        object.optional("created_by", Level::Standard, field.created_by, |out, inner, user| {
            self.user(out, inner, user);
        });
        let privacy = ["public_with_guests", "public", "private"][(field.seed % 3) as usize];
        object.word("privacy_setting", Level::Standard, privacy);
        let access = ["admin", "editor", "user"][(field.seed / 3 % 3) as usize];
        object.word("default_access_level", Level::Standard, access);
    }

    /// The value property of the field's type, and the display value that every type has. The code is long because
    /// there is one arm per type.
    fn value(&self, object: &mut Object<'_, '_>, field: &CustomField, value: Option<FieldValue>) {
        let display = value.as_ref().map(|value| self.displayed(value));
        object.optional_text("display_value", Level::Compact, display.as_deref());
        match field.shape {
            FieldShape::Text | FieldShape::CustomId => {
                let text = match value {
                    Some(FieldValue::Text(text)) => Some(text),
                    _ => None,
                };
                object.optional_text("text_value", Level::Compact, text.as_deref());
                let html = text.map(|text| vocabulary::html(&text));
                object.optional_text("html_text_value", Level::Standard, html.as_deref());
            }
            FieldShape::Number(_) | FieldShape::Formula => {
                let number = match value {
                    Some(FieldValue::Number(number)) => Some(number),
                    _ => None,
                };
                object.optional_number("number_value", Level::Compact, number);
            }
            FieldShape::Enum => {
                let option = match value {
                    Some(FieldValue::Enum(option)) => Some(option),
                    _ => None,
                };
                object.optional("enum_value", Level::Compact, option, |out, inner, option| {
                    self.enum_option(out, inner, option);
                });
            }
            FieldShape::MultiEnum => {
                let options = match value {
                    Some(FieldValue::MultiEnum(options)) => options,
                    _ => Vec::new(),
                };
                object.each("multi_enum_values", Level::Compact, options, |out, inner, option| {
                    self.enum_option(out, inner, option);
                });
            }
            FieldShape::Date => {
                let date = match value {
                    Some(FieldValue::Date { day, time }) => Some((day, time)),
                    _ => None,
                };
                object.optional("date_value", Level::Compact, date, |out, inner, (day, time)| {
                    let mut date = Object::begin(out, inner);
                    date.optional_day("date", Level::Compact, Some(day));
                    date.optional_time("date_time", Level::Compact, time);
                    date.end();
                });
            }
            FieldShape::People => {
                let people = match value {
                    Some(FieldValue::People(people)) => people,
                    _ => Vec::new(),
                };
                object.nested("people_value", Level::Standard, |out, inner| self.users(out, inner, &people));
            }
            FieldShape::Reference => {
                let reference = match value {
                    Some(FieldValue::Reference(gid)) => Some(gid),
                    _ => None,
                };
                object.each("reference_value", Level::Standard, reference, |out, inner, gid| {
                    self.write(out, inner, gid);
                });
            }
        }
    }

    fn displayed(&self, value: &FieldValue) -> String {
        let option = |index: &Index| self.world.enum_options[*index as usize].name.clone();
        match value {
            FieldValue::Text(text) => text.clone(),
            FieldValue::Number(number) => number.to_string(),
            FieldValue::Enum(index) => option(index),
            FieldValue::MultiEnum(options) => options.iter().map(option).collect::<Vec<_>>().join(", "),
            FieldValue::Date { day, time: None } => format!("{day}T00:00:00.000Z"),
            FieldValue::Date { time: Some(time), .. } => time.to_string(),
            FieldValue::People(people) => people
                .iter()
                .map(|user| self.world.users[*user as usize].name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            FieldValue::Reference(gid) => self.name_of(*gid),
        }
    }

    pub(super) fn enum_option(&self, out: &mut String, selection: &Selection, index: Index) {
        let option = &self.world.enum_options[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::EnumOption, index));
        object.text("name", Level::Compact, &option.name);
        object.flag("enabled", Level::Compact, option.enabled);
        object.word("color", Level::Compact, option.color);
        object.end();
    }

    pub(super) fn custom_field_setting(&self, out: &mut String, selection: &Selection, index: Index) {
        let setting = &self.world.custom_field_settings[index as usize];
        let mut object = Object::resource(out, selection, Gid::new(Kind::CustomFieldSetting, index));
        if setting.parent.kind() == Kind::Project {
            object.nested("project", Level::Standard, |out, inner| self.write(out, inner, setting.parent));
        }
        object.flag("is_important", Level::Standard, setting.important);
        object.nested("parent", Level::Standard, |out, inner| self.write(out, inner, setting.parent));
        object.nested("custom_field", Level::Standard, |out, inner| {
            self.custom_field(out, inner, setting.field)
        });
        object.end();
    }

    /// The values on a project, portfolio or goal itself: of the workspace's first fields.
    pub(super) fn values_of_container(
        &self,
        object: &mut Object<'_, '_>,
        workspace: Index,
        gid: Gid,
        seed: u64,
    ) {
        let fields =
            self.world.workspaces[workspace as usize].generated.fields.iter().take((seed % 4) as usize + 1);
        object.each("custom_fields", Level::Standard, fields, |out, inner, field| {
            self.field_value(out, inner, *field, gid, seed);
        });
    }

    /// A record's name; empty for kinds that have none.
    pub(crate) fn name_of(&self, gid: Gid) -> String {
        let at = gid.index() as usize;
        match gid.kind() {
            Kind::Workspace => self.world.workspaces[at].name.clone(),
            Kind::User => self.world.users[at].name.clone(),
            Kind::Team => self.world.teams[at].name.clone(),
            Kind::Project => self.world.projects[at].name.clone(),
            Kind::Section => self.world.sections[at].name.clone(),
            Kind::Task => self.world.tasks[at].displayed_name(),
            Kind::Attachment => self.world.attachments[at].name.clone(),
            Kind::Tag => self.world.tags[at].name.clone(),
            Kind::Portfolio => self.world.portfolios[at].name.clone(),
            Kind::Goal => self.world.goals[at].name.clone(),
            Kind::CustomField => self.world.custom_fields[at].name.clone(),
            Kind::StatusUpdate => self.world.status_updates[at].title.clone(),
            _ => String::new(),
        }
    }
}

/// Asana's type of a field; formulas are numbers and custom ids are texts there.
fn subtype(shape: FieldShape) -> &'static str {
    match shape {
        FieldShape::Text | FieldShape::CustomId => "text",
        FieldShape::Number(_) | FieldShape::Formula => "number",
        FieldShape::Enum => "enum",
        FieldShape::MultiEnum => "multi_enum",
        FieldShape::Date => "date",
        FieldShape::People => "people",
        FieldShape::Reference => "reference",
    }
}

fn representation(shape: FieldShape) -> &'static str {
    match shape {
        FieldShape::CustomId => "custom_id",
        FieldShape::Formula => "formula",
        other => subtype(other),
    }
}

/// A number in a story or a log, as text.
pub(super) fn number_text(number: f64) -> String {
    let mut text = String::new();
    append(&mut text, number);
    text
}
