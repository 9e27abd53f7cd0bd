//! The configured schema is the selection of columns: only these are requested, key and cursor stay, and an incremental
//! sync works with them.

use std::collections::BTreeSet;

use asana_simulator::{Options, Scale, Simulator, Token, World};
use serde_json::{Value, json};

use crate::harness::{Connector, TOKEN, catalog_of};

fn simulator() -> Simulator {
    let options = Options { tokens: vec![Token::service_account(TOKEN)], ..Options::default() };
    Simulator::start_blocking(World::generate(1, &Scale::tiny()), options).unwrap()
}

/// A configured catalog of one stream with only these columns.
fn selecting(stream: &str, columns: &[&str], sync_mode: &str) -> Value {
    let mut catalog = catalog_of(&[stream], sync_mode);
    let properties = catalog["streams"][0]["stream"]["json_schema"]["properties"].as_object_mut().unwrap();
    properties.retain(|column, _| columns.contains(&column.as_str()));
    assert_eq!(properties.len(), columns.len(), "the catalog of {stream} lacks one of {columns:?}");
    catalog
}

/// The fields in the requests to an endpoint for one kind of parent, which are all the same.
fn asked(simulator: &Simulator, endpoint: &str, parent: &str) -> BTreeSet<String> {
    let lists: BTreeSet<String> = simulator
        .requests()
        .iter()
        .filter(|request| request.endpoint == endpoint && request.parameter(parent).is_some())
        .map(|request| request.parameter("opt_fields").unwrap().to_owned())
        .collect();
    assert_eq!(lists.len(), 1, "{endpoint}: {lists:?}");
    lists.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect()
}

fn columns_of(records: &[&Value]) -> BTreeSet<String> {
    records.iter().flat_map(|record| record.as_object().unwrap().keys().cloned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn asana_is_asked_for_the_chosen_columns_and_for_what_the_walk_needs() {
    // The read path needs the parent to distinguish tasks from subtasks, and `modified_at` for the cursor.
    let needed = ["modified_at", "parent.gid"];
    for (columns, fields) in [
        (&["name"][..], &["name"][..]),
        (&["gid", "name"], &["name"]),
        (&["assignee", "due_on"], &["assignee.name", "due_on"]),
        (&["memberships"], &["memberships.project.name", "memberships.section.name"]),
    ] {
        let simulator = simulator();
        let run = Connector::new(&simulator.base_url())
            .read(&selecting("tasks", columns, "full_refresh"), None)
            .expect_success();
        assert_eq!(asked(&simulator, "/tasks", "project"), set(&[fields, &needed].concat()), "{columns:?}");
        assert_eq!(
            columns_of(&run.records("tasks")),
            set(&[columns, &["gid", "modified_at"]].concat()),
            "{columns:?}"
        );
    }
}

#[test]
fn a_stream_without_a_cursor_costs_nothing_but_its_columns() {
    let simulator = simulator();
    let connector = Connector::new(&simulator.base_url());
    let run = connector.read(&selecting("portfolios", &["color"], "full_refresh"), None).expect_success();
    assert_eq!(asked(&simulator, "/portfolios", "workspace"), set(&["color"]));
    assert_eq!(columns_of(&run.records("portfolios")), set(&["gid", "color"]));
    // Workspaces are not selected, so only the fields for their children are requested.
    assert_eq!(asked(&simulator, "/workspaces", "limit"), set(&["gid"]));
}

#[test]
fn an_incremental_sync_goes_on_without_the_cursor_column_among_the_chosen() {
    let simulator = simulator();
    let connector = Connector::new(&simulator.base_url());
    let catalog = selecting("tasks", &["name"], "incremental");
    let first = connector.read(&catalog, None).expect_success();
    let task = simulator.world(|world| {
        let gid: String = first.records("tasks")[0]["gid"].as_str().unwrap().into();
        world.gids(asana_simulator::Kind::Task).find(|task| task.to_string() == gid).unwrap()
    });
    simulator.advance(std::time::Duration::from_secs(3600));
    simulator.edit(|editor| editor.rename_task(task, "another name")).unwrap();
    let second = connector.read(&catalog, Some(&first.state())).expect_success();
    let renamed = second.records("tasks");
    assert_eq!(renamed.len(), 1, "{renamed:?}");
    assert_eq!(columns_of(&renamed), set(&["gid", "name", "modified_at"]));
    assert_eq!(renamed[0]["name"], "another name");
}

/// A platform that selects no columns, or leaves the schema out, means all of them.
#[test]
fn an_empty_selection_is_the_whole_stream() {
    let simulator = simulator();
    let connector = Connector::new(&simulator.base_url());
    let whole = connector.read(&catalog_of(&["tags"], "full_refresh"), None).expect_success();
    for schema in [json!({}), json!({"type": "object", "properties": {}})] {
        let mut catalog = catalog_of(&["tags"], "full_refresh");
        catalog["streams"][0]["stream"]["json_schema"] = schema;
        let run = connector.read(&catalog, None).expect_success();
        assert_eq!(columns_of(&run.records("tags")), columns_of(&whole.records("tags")));
    }
}
