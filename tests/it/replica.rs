//! What a destination keeps that removes duplicates: the rows of each stream by their key, as its records and tombstones
//! leave them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::{Run, catalog_of};
use crate::incremental::{Account, DELETED_AT, all_keys};

/// The streams that report deletions.
pub const REPORTING: [&str; 7] =
    ["projects", "sections", "tags", "tasks", "subtasks", "stories", "attachments"];

/// The keys of each stream.
#[derive(Default)]
pub struct Replica(BTreeMap<String, BTreeSet<String>>);

impl Replica {
    /// Writes what a run has emitted. A full refresh replaces the rows of its stream.
    pub fn write(&mut self, run: &Run, catalog: &Value) {
        for (stream, mode) in selected(catalog) {
            if mode == "full_refresh" {
                self.0.remove(&stream);
            }
        }
        self.write_more(run, catalog);
    }

    /// Writes what a run has emitted that goes on where another was killed.
    pub fn write_more(&mut self, run: &Run, catalog: &Value) {
        for (stream, _) in selected(catalog) {
            let held = self.0.entry(stream.clone()).or_default();
            for record in run.records(&stream) {
                let gid = record["gid"].as_str().unwrap().to_owned();
                match &record[DELETED_AT] {
                    Value::Null => held.insert(gid),
                    _ => held.remove(&gid),
                };
            }
        }
    }

    /// The rows of a stream.
    pub fn rows(&self, stream: &str) -> BTreeSet<String> {
        self.0.get(stream).cloned().unwrap_or_default()
    }

    /// The rows of the selected streams that Asana does not have any more.
    pub fn ghosts(&self, account: &Account, catalog: &Value) -> BTreeSet<(String, String)> {
        let reporting =
            selected(catalog).into_iter().filter(|(stream, _)| REPORTING.contains(&stream.as_str()));
        let ghosts = reporting.flat_map(|(stream, _)| {
            let there = all_keys(account, &stream);
            let ghosts: Vec<String> = self.rows(&stream).difference(&there).cloned().collect();
            ghosts.into_iter().map(move |gid| (stream.clone(), gid))
        });
        ghosts.collect()
    }

    /// The records of the selected streams that are missing.
    pub fn missing(&self, account: &Account, catalog: &Value) -> BTreeSet<(String, String)> {
        let missing = selected(catalog).into_iter().flat_map(|(stream, _)| {
            let there = all_keys(account, &stream);
            let missing: Vec<String> = there.difference(&self.rows(&stream)).cloned().collect();
            missing.into_iter().map(move |gid| (stream.clone(), gid))
        });
        missing.collect()
    }
}

/// A catalog of incremental streams and of full refreshes.
pub fn catalog(incremental: &[&str], full_refresh: &[&str]) -> Value {
    let of = |streams, mode| catalog_of(streams, mode)["streams"].as_array().unwrap().clone();
    let streams = [of(incremental, "incremental"), of(full_refresh, "full_refresh")].concat();
    json!({"streams": streams})
}

/// The streams of a catalog, and their modes.
pub fn selected(catalog: &Value) -> Vec<(String, String)> {
    let entries = catalog["streams"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries.map(|entry| (text(&entry["stream"]["name"]), text(&entry["sync_mode"]))).collect()
}
