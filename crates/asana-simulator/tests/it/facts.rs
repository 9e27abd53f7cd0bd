//! Every rendered record against the fields that Asana documents.

use std::collections::{BTreeMap, BTreeSet};

use asana_simulator::{Gid, Kind, Scale, Selection, World};
use serde_json::Value;

/// Fields that Asana sends although its document types them differently; each with the reason.
const DEPARTURES: [(&str, &str); 11] = [
    // The document types the parents of attachments, updates and settings as one kind; its prose names several.
    ("AttachmentResponse", "parent"),
    ("StatusUpdateResponse", "parent"),
    ("CustomFieldSettingResponse", "parent"),
    ("GoalRelationshipResponse", "supporting_resource"),
    // A webhook's resource and a reference may be of any kind, which is why they are only "named resources".
    ("WebhookResponse", "resource"),
    ("CustomFieldResponse", "reference_value"),
    // Number fields hold decimals, and so do the stories about them.
    ("StoryResponse", "old_number_value"),
    ("StoryResponse", "new_number_value"),
    // "`null` if there is no sticker", in words alone.
    ("StoryResponse", "sticker_name"),
    // A date without a time; Asana's guide to custom fields shows null there.
    ("CustomFieldCompact.date_value", "date_time"),
    ("CustomFieldResponse.date_value", "date_time"),
];

fn facts() -> Value {
    serde_json::from_str(include_str!("../../facts/fields.json")).unwrap()
}

/// What is wrong with a value, if anything, by its place.
struct Check<'a> {
    facts: &'a Value,
    complaints: BTreeSet<String>,
    seen: BTreeSet<(String, String)>,
    /// Whether the record at hand counts for `seen`.
    counts: bool,
}

impl Check<'_> {
    fn object(&mut self, schema: &str, value: &Value) {
        let fields = &self.facts["schemas"][schema];
        let Some(object) = value.as_object() else {
            self.complaints.insert(format!("{schema}: not an object: {value}"));
            return;
        };
        for (name, value) in object {
            let departs = DEPARTURES.contains(&(schema, name.as_str()));
            match fields.get(name) {
                None if fields.as_object().is_some_and(|fields| fields.is_empty()) => {}
                None => {
                    self.complaints.insert(format!("{schema}.{name}: not documented"));
                }
                Some(_) if departs && !value.is_object() && !value.is_array() => {
                    self.mark(schema, name, value)
                }
                Some(fact) => {
                    self.mark(schema, name, value);
                    self.value(schema, name, fact, value, departs);
                }
            }
        }
    }

    fn mark(&mut self, schema: &str, name: &str, value: &Value) {
        let empty = value.as_array().is_some_and(Vec::is_empty);
        if self.counts && !value.is_null() && !empty {
            self.seen.insert((schema.to_owned(), name.to_owned()));
        }
    }

    fn value(&mut self, schema: &str, name: &str, fact: &Value, value: &Value, departs: bool) {
        // Plain workspaces have no team, and projects in them none either.
        let nullable = fact["nullable"] == true || (schema, name) == ("ProjectResponse", "team");
        let fits = match (value, fact["type"].as_str().unwrap()) {
            (Value::Null, _) => nullable,
            (Value::String(text), "string") => {
                self.text(schema, name, fact, text);
                true
            }
            (Value::Bool(_), "boolean") | (Value::Number(_), "number") => true,
            (Value::Number(number), "integer") => number.is_u64(),
            (Value::Object(_), "object") => {
                if !departs {
                    self.object(fact["object"].as_str().unwrap(), value);
                }
                true
            }
            (Value::Array(items), "array") => {
                for item in items {
                    match (fact["items"].as_str().unwrap(), departs) {
                        ("object", false) => self.object(fact["object"].as_str().unwrap(), item),
                        ("object", true) => {}
                        _ => assert!(item.is_string()),
                    }
                }
                true
            }
            _ => false,
        };
        if !fits {
            self.complaints.insert(format!("{schema}.{name}: {value} is no {fact}"));
        }
    }

    fn text(&mut self, schema: &str, name: &str, fact: &Value, text: &str) {
        let allowed = fact["enum"].as_array();
        let shape = match fact["format"].as_str() {
            Some("date-time") => text.len() == 24 && text.ends_with('Z') && &text[10..11] == "T",
            Some("date") => text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2,
            Some("uri") => text.starts_with("https://"),
            Some("email") => text.contains('@'),
            _ => name != "gid" || text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with("crm:"),
        };
        let member = allowed.is_none_or(|allowed| allowed.iter().any(|allowed| allowed == text));
        if !shape || !member {
            self.complaints.insert(format!("{schema}.{name}: {text:?} is no {fact}"));
        }
    }
}

/// What counts as filled is what a person's token can list; the audit log is for service accounts alone.
fn listed_for_main_user(world: &World, gid: Gid) -> bool {
    match gid.kind() {
        Kind::AuditLogEvent => true,
        Kind::Portfolio => world.owner_of_portfolio(gid) == world.main_user(),
        _ => world.sees(world.main_viewer(), gid),
    }
}

fn check(world: &World) -> (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) {
    let facts = facts();
    let mut check = Check { facts: &facts, complaints: BTreeSet::new(), seen: BTreeSet::new(), counts: true };
    for kind in Kind::RESOURCES {
        let schema = facts["resources"][kind.resource_type()].as_str().unwrap();
        for gid in world.gids(kind) {
            let object = world.object(gid).unwrap();
            check.counts = listed_for_main_user(world, gid);
            check.object(schema, &object);
        }
    }
    let mut missing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for schema in facts["resources"].as_object().unwrap().values() {
        let schema = schema.as_str().unwrap();
        for name in facts["schemas"][schema].as_object().unwrap().keys() {
            if !check.seen.contains(&(schema.to_owned(), name.clone())) {
                missing.entry(schema.to_owned()).or_default().insert(name.clone());
            }
        }
    }
    (check.complaints, missing)
}

#[test]
fn every_record_has_documented_fields_of_fitting_types_and_every_field_occurs() {
    for (seed, scale) in [(1, Scale::small()), (2, Scale::small()), (99, Scale::small()), (1, Scale::tiny())]
    {
        let (complaints, missing) = check(&World::generate(seed, &scale));
        assert!(complaints.is_empty(), "seed {seed}: {complaints:#?}");
        assert!(missing.is_empty(), "seed {seed}: never filled: {missing:#?}");
    }
}

#[test]
fn each_field_asked_for_alone_comes_alone_and_as_in_the_whole_record() {
    let facts = facts();
    let world = World::generate(7, &Scale::tiny());
    for kind in Kind::RESOURCES {
        let schema = facts["resources"][kind.resource_type()].as_str().unwrap();
        for gid in world.gids(kind).step_by(3) {
            let whole = world.object(gid).unwrap();
            for name in facts["schemas"][schema].as_object().unwrap().keys() {
                let alone = world.record(gid, world.main_viewer(), &Selection::parse(name)).unwrap();
                let mut expected = serde_json::Map::from_iter([("gid".to_owned(), whole["gid"].clone())]);
                if let Some(value) = whole.get(name) {
                    expected.insert(name.clone(), value.clone());
                }
                assert_eq!(alone, Value::Object(expected), "{kind:?} {name}");
            }
        }
    }
}

#[test]
fn conditional_fields_are_absent_where_they_do_not_apply() {
    let world = World::generate(1, &Scale::small());
    for story in world.objects(Kind::Story) {
        let changed = story.as_object().unwrap().keys().filter(|name| name.starts_with("old_")).count();
        let subtype = story["resource_subtype"].as_str().unwrap();
        assert_eq!(changed > 0, subtype.ends_with("_changed") && subtype != "custom_type_changed", "{story}");
        assert_eq!(story.get("likes").is_some(), story["type"] == "comment", "{story}");
    }
    for task in world.objects(Kind::Task) {
        assert_eq!(task.get("approval_status").is_some(), task["resource_subtype"] == "approval");
    }
    for attachment in world.objects(Kind::Attachment) {
        assert_eq!(attachment.get("size").is_some(), attachment["resource_subtype"] == "asana");
    }
    for goal in world.objects(Kind::Goal) {
        let workspace: Gid = goal["workspace"]["gid"].as_str().unwrap().parse().unwrap();
        assert_eq!(goal.get("is_workspace_level").is_some(), world.is_organization(workspace));
    }
}
