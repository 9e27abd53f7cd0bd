//! Turns the leaves of a schema into the dotted paths of Asana's `opt_fields` parameter.

use serde_json::Value;

use crate::schema::{ORIGIN, properties};

/// The paths for the chosen columns of `schema`, in the order of the schema.
///
/// `gid` is omitted next to other fields, because Asana always sends it.
pub fn paths(schema: &Value, is_chosen: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, property) in properties(schema).into_iter().flatten() {
        if name != "gid" && property.get(ORIGIN).is_none() && is_chosen(name) {
            leaves(property, name, &mut found);
        }
    }
    found
}

/// The parameter's value.
pub fn parameter(paths: &[String]) -> String {
    if paths.is_empty() { "gid".to_owned() } else { paths.join(",") }
}

/// The shortest path that shows whether `field` is empty.
pub fn probe_path(schema: &Value, field: &str) -> String {
    let property = properties(schema).and_then(|fields| fields.get(field));
    let nested = property.map(|property| property.get("items").unwrap_or(property)).and_then(properties);
    match nested {
        Some(nested) if nested.contains_key("gid") => format!("{field}.gid"),
        Some(_) | None => field.to_owned(),
    }
}

fn leaves(schema: &Value, path: &str, found: &mut Vec<String>) {
    let schema = schema.get("items").unwrap_or(schema);
    let Some(fields) = properties(schema).filter(|fields| !fields.is_empty()) else {
        found.push(path.to_owned());
        return;
    };
    let others: Vec<_> = fields.iter().filter(|(name, _)| *name != "gid").collect();
    if others.is_empty() {
        found.push(format!("{path}.gid"));
    }
    for (name, field) in others {
        leaves(field, &format!("{path}.{name}"), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_are_dotted_and_gid_is_omitted_next_to_other_fields() {
        let schema = json!({"properties": {
            "gid": {"type": "string"},
            "name": {"type": "string"},
            "project_gid": {"type": "string", "x-origin": "parent"},
            "dependencies": {"type": "array", "items": {"type": "object", "properties": {"gid": {}}}},
            "memberships": {"type": "array", "items": {"type": "object", "properties": {
                "section": {"type": "object", "properties": {"gid": {}, "name": {}}}}}},
            "external": {"type": "object"}}});
        let all = paths(&schema, |_| true);
        assert_eq!(
            all,
            ["name", "dependencies.gid", "memberships.section.name", "external"]
                .map(String::from)
                .to_vec()
                .sorted()
        );
        assert_eq!(parameter(&paths(&schema, |column| column == "external")), "external");
        assert_eq!(parameter(&paths(&schema, |column| column == "gid")), "gid");
    }

    trait Sorted {
        fn sorted(self) -> Self;
    }

    impl Sorted for Vec<String> {
        // A JSON object's keys are sorted in memory.
        fn sorted(mut self) -> Self {
            self.sort();
            self
        }
    }
}
