//! What the task search of paid plans finds: changed subtasks whose parents did not change, and tasks in no listing;
//! with a lagging index, no pages, and many rows with one time.

use std::collections::BTreeSet;
use std::time::Duration;

use asana_simulator::{Fault, FaultRule, Gid, Kind, Options, Plan, Scale, Simulator, Token, World};
use proptest::prelude::*;
use serde_json::Value;

use crate::harness::{TOKEN, catalog_of, whole_catalog};
use crate::in_process::InProcess;
use crate::incremental::{Account, delivered_and_deleted};

const SEARCH: &str = "/workspaces/{gid}/tasks/search";

fn account(scale: &Scale, search_lag: Duration) -> Account {
    let tokens = vec![Token::new(TOKEN, Plan::Paid)];
    Account::with(scale, Options { tokens, search_lag, ..Options::default() })
}

fn subtasks(simulator: &Simulator) -> Vec<Gid> {
    simulator.world(subtasks_of)
}

fn subtasks_of(world: &World) -> Vec<Gid> {
    let tasks = world.visible(Kind::Task, world.main_viewer());
    tasks.filter(|task| world.parent_of_task(*task).is_some()).collect()
}

fn text(gids: &[Gid]) -> BTreeSet<String> {
    gids.iter().map(ToString::to_string).collect()
}

/// As after a bulk edit: hundreds of subtasks with one time of change, which is more than an answer holds.
#[test]
fn hundreds_of_subtasks_that_changed_in_one_instant_are_all_found() {
    let account = account(&Scale { subtasks: 450, widest_parent: 130, ..Scale::small() }, Duration::ZERO);
    let (first, _) = account.sync(None);
    let changed = subtasks(&account.simulator);
    assert!(changed.len() > 300, "{}", changed.len());
    account.simulator.edit(|edit| {
        for task in &changed {
            edit.rename_task(*task, "bulk").unwrap();
        }
    });
    let (second, requests) = account.sync(Some(&first.state()));
    let found = delivered_and_deleted(&second, "subtasks").0;
    let lost: Vec<_> = text(&changed).difference(&found).cloned().collect();
    assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), changed.len());
    let searches = requests.iter().filter(|request| request.endpoint == SEARCH).count();
    assert!(searches >= 4, "{searches} searches");
    assert!(
        requests.iter().all(|request| request.endpoint != "/tasks/{gid}/subtasks"),
        "the search sufficed"
    );
    assert_eq!(second.records("subtasks").len(), found.len(), "each once");
}

/// Asana was founded in 2008, and may refuse a search for earlier times.
#[test]
fn no_search_asks_for_times_before_asana_existed() {
    let account = account(&Scale { subtasks: 450, widest_parent: 130, ..Scale::small() }, Duration::ZERO);
    let (first, mut requests) = account.sync(None);
    account.simulator.edit(|edit| {
        for task in subtasks_of(edit.world()) {
            edit.rename_task(task, "bulk").unwrap();
        }
    });
    requests.extend(account.sync(Some(&first.state())).1);
    let times: Vec<(&str, &str)> = requests
        .iter()
        .filter(|request| request.endpoint == SEARCH)
        .flat_map(|request| &request.query)
        .filter(|(name, _)| name.ends_with(".after"))
        .map(|(name, value)| (&**name, &**value))
        .collect();
    for name in ["modified_at.after", "created_at.after"] {
        assert!(times.iter().any(|(other, _)| *other == name), "no {name}: this would prove nothing");
    }
    let early: Vec<_> = times.iter().filter(|(_, time)| *time < "2008").collect();
    assert!(early.is_empty(), "{early:?}");
}

/// A change that is indexed late is found by the next sync, because each goes back further than the lag.
#[test]
fn what_the_index_does_not_know_yet_is_found_by_the_next_sync() {
    let account = account(&Scale::tiny(), Duration::from_secs(50));
    let (first, _) = account.sync(None);
    let task = subtasks(&account.simulator)[0];
    account.simulator.edit(|edit| edit.rename_task(task, "not indexed yet")).unwrap();
    let (second, _) = account.sync(Some(&first.state()));
    assert!(
        !delivered_and_deleted(&second, "subtasks").0.contains(&task.to_string()),
        "it would prove nothing"
    );
    account.simulator.advance(Duration::from_secs(60));
    let (third, _) = account.sync(Some(&second.state()));
    assert!(delivered_and_deleted(&third, "subtasks").0.contains(&task.to_string()));
}

/// The children of subtasks that a search found are read after the projects' slices. If that fails, the next search
/// must start at the same time, although the cursors of all projects have moved.
#[test]
fn what_could_not_be_read_below_a_found_subtask_comes_with_the_next_sync() {
    let account = account(&Scale::tiny(), Duration::ZERO);
    let (first, _) = account.sync(None);
    let task = subtasks(&account.simulator)[0];
    let story = account.simulator.edit(|edit| edit.comment(task, "a comment")).unwrap();
    let fault = Fault::Status { status: 500, retry_after: None };
    account.simulator.faults().add(FaultRule::new(&format!("/tasks/{task}/stories"), fault));
    let reader = InProcess::new(&account.simulator.base_url());
    let second = reader.read(&whole_catalog("incremental"), Some(&first.state()));
    assert_eq!(second.statuses("stories").last(), Some(&"INCOMPLETE"));
    account.simulator.faults().clear();
    // Days go by, and the cursors that the second sync has moved are past the comment.
    let before = cursors(&first.state());
    let mut state = second.state().to_string();
    for cursor in cursors(&second.state()).difference(&before) {
        state = state.replace(cursor.as_str(), "2999-01-01T00:00:00.000Z");
    }
    let (third, _) = account.sync(Some(&serde_json::from_str(&state).unwrap()));
    assert!(delivered_and_deleted(&third, "stories").0.contains(&story.to_string()));
}

fn cursors(state: &Value) -> BTreeSet<String> {
    let states = state.as_array().unwrap().iter();
    states
        .filter_map(|state| state["stream"]["stream_state"]["slices"].as_object())
        .flat_map(|slices| slices.keys().cloned())
        .collect()
}

#[test]
fn a_search_that_is_refused_is_replaced_by_listing_every_parent() {
    for status in [402, 403, 400] {
        let account = account(&Scale::tiny(), Duration::ZERO);
        let (first, _) = account.sync(None);
        let task = *subtasks(&account.simulator).last().unwrap();
        account.simulator.edit(|edit| edit.rename_task(task, "renamed")).unwrap();
        let fault = FaultRule::new(SEARCH, Fault::Status { status, retry_after: None });
        account.simulator.faults().add(fault.query_contains("is_subtask=true"));
        let (second, requests) = account.sync(Some(&first.state()));
        assert!(delivered_and_deleted(&second, "subtasks").0.contains(&task.to_string()), "{status}");
        assert!(requests.iter().any(|request| request.endpoint == "/tasks/{gid}/subtasks"), "{status}");
    }
}

/// Nothing replaces this search, so a refusal after it could be read is not an empty result.
#[test]
fn tasks_that_no_listing_shows_are_not_lost_without_a_word() {
    let fault = |status| FaultRule::new(SEARCH, Fault::Status { status, retry_after: None });
    let catalog = catalog_of(&["tasks"], "full_refresh");
    for (status, ends) in [(400, ["INCOMPLETE"; 2]), (402, ["COMPLETE", "INCOMPLETE"])] {
        let account = account(&Scale::tiny(), Duration::ZERO);
        let good = account.connector.read(&catalog, None).expect_success();
        account.simulator.faults().add(fault(status));
        for (state, end) in [None, Some(good.state())].iter().zip(ends) {
            let run = account.connector.read(&catalog, state.as_ref());
            assert_eq!(run.statuses("tasks").last(), Some(&end), "{status}: {:#?}", run.logs());
            let is_told = run.of_type("LOG").any(|line| {
                line["log"]["level"] == "WARN"
                    && line.to_string().contains("that no listing shows are left out")
            });
            assert_eq!(is_told, end == "COMPLETE", "{status}: {:#?}", run.logs());
        }
    }
}

#[test]
fn a_task_of_no_project_and_no_one_is_found_with_what_is_below_it() {
    let account = account(&Scale::tiny(), Duration::ZERO);
    let (first, _) = account.sync(None);
    let (task, below, story) = account.simulator.edit(|edit| {
        let workspace = edit.world().gids(Kind::Workspace).next().unwrap();
        let task = edit.create_task(workspace, "nobody's", &[]).unwrap();
        let below = edit.create_subtask(task, "below").unwrap();
        (task, below, edit.comment(below, "a comment").unwrap())
    });
    for state in [None, Some(first.state())] {
        let (run, _) = account.sync(state.as_ref());
        assert!(delivered_and_deleted(&run, "tasks").0.contains(&task.to_string()));
        assert!(delivered_and_deleted(&run, "subtasks").0.contains(&below.to_string()));
        assert!(delivered_and_deleted(&run, "stories").0.contains(&story.to_string()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// However many records change at one time, and however many times there are.
    #[test]
    fn any_bulk_edits_are_found_whole(groups in prop::collection::vec(1_usize..230, 1..6)) {
        let account = account(&Scale { subtasks: 500, ..Scale::tiny() }, Duration::ZERO);
        let (first, _) = account.sync(None);
        let all = subtasks(&account.simulator);
        let mut rest = all.iter().copied().cycle();
        let mut changed = BTreeSet::new();
        for size in groups {
            account.simulator.edit(|edit| {
                for task in rest.by_ref().take(size) {
                    edit.rename_task(task, "bulk").unwrap();
                    changed.insert(task.to_string());
                }
            });
            account.simulator.advance(Duration::from_millis(1));
        }
        let (second, _) = account.sync(Some(&first.state()));
        let found = delivered_and_deleted(&second, "subtasks").0;
        let lost: Vec<_> = changed.difference(&found).collect();
        prop_assert!(lost.is_empty(), "{} of {}: {:?}", lost.len(), changed.len(), lost);
    }
}
