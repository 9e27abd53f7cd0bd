//! The table does not depend on where commits and syncs fall: any cuts of a history give the same rows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Destination, catalog, record, state, status, task, tasks, tombstone, versions, whole};

/// What happens to one of a few keys, and where the history is cut after it.
#[derive(Debug, Clone)]
struct Step {
    gid: u64,
    /// Which content, to tell rows apart that have the same cursor.
    content: u64,
    cursor: Option<u64>,
    deleted: bool,
    cut: Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nothing,
    /// A STATE, at which the destination commits.
    Commit,
    Sync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cut = prop_oneof![3 => Just(Cut::Nothing), 1 => Just(Cut::Commit), 1 => Just(Cut::Sync)];
    let step = (0..4_u64, prop::option::weighted(0.8, 0..6_u64), prop::bool::weighted(0.3), cut);
    let numbered = |(content, (gid, cursor, deleted, cut))| Step { gid, content, cursor, deleted, cut };
    prop::collection::vec(step, 1..24).prop_map(move |steps| (1..).zip(steps).map(numbered).collect())
}

fn data(step: &Step) -> Value {
    let mut data = if step.deleted { tombstone(step.gid) } else { task(step.gid, step.content) };
    data["modified_at"] = match step.cursor {
        Some(hour) => json!(format!("2026-01-01T{hour:02}:00:00Z")),
        None => Value::Null,
    };
    data
}

/// One arrival after the other, as the documentation says.
fn model(steps: &[Step]) -> BTreeMap<String, Value> {
    let mut rows: BTreeMap<u64, (Option<u64>, u64)> = BTreeMap::new();
    for step in steps {
        // A deletion without a cursor happened when it arrived.
        let is_untimed_deletion = step.deleted && step.cursor.is_none();
        // No cursor is older than every cursor.
        let is_older = rows.get(&step.gid).is_some_and(|(cursor, _)| step.cursor < *cursor);
        match step.deleted {
            _ if is_older && !is_untimed_deletion => {}
            true => drop(rows.remove(&step.gid)),
            false => drop(rows.insert(step.gid, (step.cursor, step.content))),
        }
    }
    rows.into_iter().map(|(gid, (_, content))| (gid.to_string(), json!(content))).collect()
}

/// How each sync deletes rows, one after the other.
type Deletes = &'static [&'static str];
const POSITION_DELETES: Deletes = &["position_deletes"];
const COPY_ON_WRITE: Deletes = &["copy_on_write"];
const CHANGING: Deletes = &["position_deletes", "copy_on_write"];

fn run(steps: &[Step], mode: &str, is_cut: bool, deletes: Deletes) -> BTreeMap<String, Value> {
    let mut destination = Destination::new().config(json!({"maintenance_percent": 100}));
    let catalog = catalog(&[tasks(mode)]);
    let mut lines = Vec::new();
    let mut kinds = deletes.iter().cycle();
    let mut sync = |lines: &mut Vec<String>| {
        lines.push(status("tasks", "COMPLETE"));
        destination.config["deletes"] = json!(kinds.next());
        destination.write(&catalog, &std::mem::take(lines)).succeeded();
        let table = destination.table("tasks").unwrap();
        assert!(deletes != COPY_ON_WRITE || table.position_delete_files == 0, "a delete file");
        versions(&table)
    };
    for (number, step) in (1..).zip(steps) {
        lines.push(record("tasks", &data(step)));
        match step.cut {
            Cut::Commit if is_cut => lines.push(state("tasks", number)),
            Cut::Sync if is_cut => {
                lines.push(state("tasks", number));
                sync(&mut lines);
            }
            Cut::Nothing | Cut::Commit | Cut::Sync => {}
        }
    }
    sync(&mut lines)
}

#[test]
fn any_history_gives_the_same_table_however_it_is_cut() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            let expected = model(&steps);
            for deletes in [POSITION_DELETES, COPY_ON_WRITE] {
                let run = |mode, is_cut| run(&steps, mode, is_cut, deletes);
                prop_assert_eq!(&run("append_dedup", false), &expected, "in one commit, {:?}", deletes);
                prop_assert_eq!(&run("append_dedup", true), &expected, "cut, {:?}", deletes);
                prop_assert_eq!(&run("overwrite_dedup", false), &expected, "as a refresh, {:?}", deletes);
            }
            prop_assert_eq!(&run(&steps, "append_dedup", true, CHANGING), &expected, "{:?}", CHANGING);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_row_made_again_after_its_deletion_replaces_the_tables_newer_row() {
    for cursor in [json!("2026-01-01T00:00:00Z"), Value::Null] {
        let destination = Destination::new();
        let catalog = catalog(&[tasks("append_dedup")]);
        destination.write(&catalog, &whole("tasks", [task(1, 9)])).succeeded();
        let mut again = task(1, 2);
        again["modified_at"] = cursor;
        destination.write(&catalog, &whole("tasks", [tombstone(1), again])).succeeded();
        let found = versions(&destination.table("tasks").unwrap());
        assert_eq!(found, BTreeMap::from([("1".into(), json!(2))]));
    }
}
