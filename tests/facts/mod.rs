//! Reads `asana_paths.json`: what Asana's OpenAPI says of the listings that streams read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// What Asana's OpenAPI says. A value of `schemas` is a type as `about` in the file tells.
#[derive(Deserialize)]
pub struct Facts {
    same_resource: BTreeMap<String, String>,
    pub counts: BTreeMap<String, BTreeSet<String>>,
    pub listings: BTreeMap<String, DocumentedListing>,
    schemas: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub struct DocumentedListing {
    pub operations: BTreeMap<String, Operation>,
    pub schema: String,
    pub opt_fields: BTreeSet<String>,
}

#[derive(Deserialize)]
pub struct Operation {
    pub scopes: Vec<String>,
    pub parameters: BTreeSet<String>,
}

impl Facts {
    pub fn load() -> Self {
        serde_json::from_str(include_str!("asana_paths.json")).expect("the file has this shape")
    }

    pub fn of(&self, stream: &str) -> &DocumentedListing {
        self.listings.get(stream).unwrap_or_else(|| panic!("no facts about {stream}"))
    }

    /// The name and properties of the schema that a type leads to, if it is one.
    pub fn schema(&self, documented: &str) -> Option<(&str, &BTreeMap<String, String>)> {
        let name = documented.trim_matches(['[', ']']);
        let name = self.same_resource.get(name).map_or(name, String::as_str);
        self.schemas.get_key_value(name).map(|(name, properties)| (name.as_str(), properties))
    }

    /// Whether a path goes through documented properties only.
    fn leads_on(&self, documented: &str, path: &str) -> bool {
        let (field, rest) = path.split_once('.').map_or((path, None), |(field, rest)| (field, Some(rest)));
        let Some((_, properties)) = self.schema(documented) else { return false };
        properties.get(field).is_some_and(|next| rest.is_none_or(|rest| self.leads_on(next, rest)))
    }

    /// Whether a listing may be asked for a path: it is enumerated, it continues an enumerated field through
    /// documented properties, or it ends in what every resource has.
    pub fn is_documented(&self, listing: &DocumentedListing, path: &str) -> bool {
        let first = path.split('.').next().unwrap_or(path);
        let is_listed = listing.opt_fields.is_empty() || listing.opt_fields.contains(first);
        listing.opt_fields.contains(path)
            || path == "resource_type"
            || (is_listed && self.leads_on(&listing.schema, path))
            || [".gid", ".resource_type"]
                .iter()
                .any(|end| path.strip_suffix(end).is_some_and(|prefix| self.is_documented(listing, prefix)))
    }

    /// What can be had of a listing's records: the enumerated paths, or where there are none the schema's leaves.
    pub fn available(&self, listing: &DocumentedListing) -> BTreeSet<String> {
        if listing.opt_fields.is_empty() {
            self.leaves(&listing.schema, "")
        } else {
            listing.opt_fields.clone()
        }
    }

    fn leaves(&self, documented: &str, before: &str) -> BTreeSet<String> {
        let Some((_, properties)) = self.schema(documented) else {
            return BTreeSet::from([before.trim_end_matches('.').to_owned()]);
        };
        let others = properties.iter().filter(|(name, _)| *name != "gid");
        others.flat_map(|(name, next)| self.leaves(next, &format!("{before}{name}."))).collect()
    }
}
