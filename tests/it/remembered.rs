//! What a sync must store for the next one: its time by Asana's clock, and the stream of each record.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use asana_simulator::{Clock, Fault, FaultRule, Gid, Kind, Options, Plan, Scale, Timestamp, Token};
use serde_json::{Value, json};

use crate::harness::TOKEN;
use crate::incremental::{Account, delivered_and_deleted};

const QUARTER: Duration = Duration::from_secs(15 * 60);

fn account(plan: Plan) -> Account {
    Account::new(&Scale::tiny(), plan)
}

/// An account whose clock is set to `clock`.
fn account_at(clock: Timestamp) -> Account {
    let tokens = vec![Token::new(TOKEN, Plan::Paid)];
    let clock = Some(Clock::running(clock));
    Account::with(&Scale::tiny(), Options { tokens, clock, ..Options::default() })
}

fn local_time() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since_1970.as_millis()).unwrap())
}

/// Tasks of projects, the oldest first.
fn tasks(account: &Account) -> Vec<Gid> {
    account.simulator.world(|world| {
        let tasks = world.visible(Kind::Task, world.main_viewer());
        tasks
            .filter(|task| world.parent_of_task(*task).is_none() && !world.projects_of_task(*task).is_empty())
            .collect()
    })
}

fn latest_cursor(state: &Value) -> Timestamp {
    let states = state.as_array().unwrap().iter();
    let cursors = states.filter_map(|state| state["stream"]["stream_state"]["slices"].as_object());
    let cursors = cursors.flat_map(|slices| slices.keys()).map(|cursor| Timestamp::parse(cursor).unwrap());
    cursors.max().unwrap()
}

/// Fault 5: the machine's clock is fifteen minutes fast, the overlap of two syncs is five minutes.
#[test]
fn an_edit_between_two_syncs_is_delivered_however_wrong_the_clock_is() {
    let hours = Duration::from_secs(50 * 60 * 60);
    for asana in [
        local_time().minus(QUARTER),
        local_time().plus(QUARTER),
        local_time().minus(hours),
        local_time().plus(hours),
    ] {
        let account = account_at(asana);
        let task = tasks(&account)[0];
        let (first, _) = account.sync(None);
        assert!(latest_cursor(&first.state()) <= account.simulator.now(), "a cursor from the future");
        account.simulator.edit(|edit| edit.rename_task(task, "renamed")).unwrap();
        let (second, _) = account.sync(Some(&first.state()));
        let delivered = delivered_and_deleted(&second, "tasks").0;
        assert!(delivered.contains(&task.to_string()), "{asana}: {delivered:?}");
    }
}

/// A destination that keeps the row with the highest cursor would keep the deleted project otherwise.
#[test]
fn a_record_that_is_missing_is_deleted_in_asanas_time_however_wrong_the_clock_is() {
    for asana in [local_time().minus(QUARTER), local_time().plus(QUARTER)] {
        let account = account_at(asana);
        let project = account
            .simulator
            .world(|world| world.visible(Kind::Project, world.main_viewer()).next().unwrap());
        account.simulator.edit(|edit| edit.rename_project(project, "renamed")).unwrap();
        let renamed = account.simulator.now();
        let (first, _) = account.sync(None);
        account.simulator.edit(|edit| edit.delete_project(project)).unwrap();
        let (second, _) = account.sync(Some(&first.state()));
        let deleted =
            second.records("projects").into_iter().find(|record| record["gid"] == project.to_string());
        let deleted = deleted.expect("the deletion is reported")["_ab_cdc_deleted_at"].clone();
        let deleted = Timestamp::parse(deleted.as_str().expect("it is a tombstone")).unwrap();
        assert!(deleted >= renamed, "{deleted} is earlier than the last change, {renamed}");
        let soon = account.simulator.now().plus(Duration::from_secs(2));
        assert!(deleted <= soon, "{deleted} is later than Asana's time, {soon}");
    }
}

/// Asana's time within a quarter of an hour: a cursor is no older than the overlap asks for.
#[test]
fn a_slow_clock_costs_no_second_reading() {
    let account = account_at(local_time().plus(QUARTER));
    let (first, _) = account.sync(None);
    let cursor = latest_cursor(&first.state());
    let six_minutes_ago = account.simulator.now().minus(Duration::from_secs(6 * 60));
    assert!(cursor > six_minutes_ago, "{cursor} is older than {six_minutes_ago}");
}

fn events(events: &Value) -> Fault {
    let body = json!({"data": events, "sync": "0".repeat(32), "has_more": false}).to_string();
    Fault::Respond { status: 200, headers: Vec::new(), body }
}

/// Fault 6: an event `sync_error` without a resource stands for events that Asana has lost.
#[test]
fn deletions_under_a_lost_event_are_reported() {
    let account = account(Plan::Paid);
    let gone: Vec<Gid> = tasks(&account).into_iter().take(2).collect();
    let (first, _) = account.sync(None);
    account.simulator.edit(|edit| {
        for task in &gone {
            edit.delete_task(*task).unwrap();
        }
    });
    let lost = json!([{"action": "sync_error", "message": "There was an error with the event queue",
        "created_at": "2026-01-01T00:00:00.000Z"}]);
    account.simulator.faults().add(FaultRule::new("/events", events(&lost)));
    let (second, _) = account.sync(Some(&first.state()));
    let expected: BTreeSet<String> = gone.iter().map(ToString::to_string).collect();
    assert!(delivered_and_deleted(&second, "tasks").1.is_superset(&expected), "{expected:?}");
}

/// Events are optional: whatever Asana answers, the sync succeeds, and the next one reports what this one could not.
#[test]
fn odd_answers_to_events_fail_no_stream_and_lose_no_deletion() {
    let errors = json!({"errors": [{"message": "no"}]}).to_string();
    let respond = |status, body: &str| Fault::Respond { status, headers: Vec::new(), body: body.to_owned() };
    for fault in [
        respond(412, &errors),
        respond(400, &errors),
        respond(403, &errors),
        respond(404, &errors),
        respond(409, &errors),
        respond(418, &errors),
        respond(500, &errors),
        respond(200, "[]"),
        respond(200, "{\"data\":[{}],\"sync\":7}"),
        respond(403, "<html>"),
        Fault::ResetBeforeHeaders,
    ] {
        let account = account(Plan::Paid);
        let task = tasks(&account)[0];
        let (first, _) = account.sync(None);
        account.simulator.edit(|edit| edit.delete_task(task)).unwrap();
        account.simulator.faults().add(FaultRule::new("/events", fault.clone()));
        let (second, _) = account.sync(Some(&first.state()));
        account.simulator.faults().clear();
        let (third, _) = account.sync(Some(&second.state()));
        let reported = [&second, &third]
            .iter()
            .any(|run| delivered_and_deleted(run, "tasks").1.contains(&task.to_string()));
        assert!(reported, "{fault:?}");
    }
}

/// Fault 12: a record that becomes a subtask leaves the tasks, and the other way round.
#[test]
fn a_converted_task_leaves_the_stream_that_it_was_in() {
    for plan in [Plan::Free, Plan::Paid] {
        let account = account(plan);
        let (first, _) = account.sync(None);
        let all = tasks(&account);
        let (parent, task) = (all[0], all[1]);
        let subtask = account.simulator.world(|world| {
            let tasks = world.visible(Kind::Task, world.main_viewer());
            let mut subtasks = tasks.filter(|subtask| {
                world.parent_of_task(*subtask).is_some_and(|above| !world.projects_of_task(above).is_empty())
            });
            subtasks.next().unwrap()
        });
        account.simulator.edit(|edit| {
            edit.set_parent(task, Some(parent)).unwrap();
            edit.set_parent(subtask, None).unwrap();
            let project = edit.world().projects_of_task(parent)[0];
            edit.add_to_project(subtask, project).unwrap();
        });
        let (second, _) = account.sync(Some(&first.state()));
        let (task, subtask) = (task.to_string(), subtask.to_string());
        let (of_tasks, gone_tasks) = delivered_and_deleted(&second, "tasks");
        let (of_subtasks, gone_subtasks) = delivered_and_deleted(&second, "subtasks");
        assert!(of_subtasks.contains(&task) && gone_tasks.contains(&task), "{plan:?}: {gone_tasks:?}");
        assert!(
            of_tasks.contains(&subtask) && gone_subtasks.contains(&subtask),
            "{plan:?}: {gone_subtasks:?}"
        );
        assert!(!gone_subtasks.contains(&task) && !gone_tasks.contains(&subtask));
    }
}

/// Fault 8: Asana's document calls `owner` optional; a public report says that it is required.
#[test]
fn portfolios_are_asked_for_again_with_an_owner() {
    let account = account(Plan::Paid);
    let (whole, _) = account.sync(None);
    let missing = json!({"errors": [{"message": "owner: Missing input"}]}).to_string();
    let without = Fault::Respond { status: 400, headers: Vec::new(), body: missing };
    // The first matching rule is used: requests with an owner are answered normally.
    let as_ever = FaultRule::new("/portfolios", Fault::ShortPage(100)).query_contains("owner=me");
    account.simulator.faults().add(as_ever);
    account.simulator.faults().add(FaultRule::new("/portfolios", without));
    let (run, requests) = account.sync(None);
    assert!(requests.iter().any(|request| request.parameter("owner") == Some("me")));
    assert_eq!(delivered_and_deleted(&run, "portfolios").0, delivered_and_deleted(&whole, "portfolios").0);
}
