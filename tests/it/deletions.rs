//! Deleted records are reported with their key and the time, and records that may only be inaccessible are not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use asana_simulator::{Clock, Fault, FaultRule, Gid, Kind, Options, Plan, Scale, Token, World};
use serde_json::json;
use source_asana::listed::Listed;

use crate::harness::{Connector, Run, TOKEN, catalog_of, whole_catalog};
use crate::in_process::InProcess;
use crate::incremental::{Account, DELETED_AT, all_keys, delivered_and_deleted};
use crate::resume::{cut, merged};

fn account() -> Account {
    Account::new(&Scale::tiny(), Plan::Paid)
}

fn deleted(run: &Run, stream: &str) -> BTreeSet<String> {
    delivered_and_deleted(run, stream).1
}

fn set(gids: &[Gid]) -> BTreeSet<String> {
    gids.iter().map(ToString::to_string).collect()
}

fn projects(world: &World) -> Vec<Gid> {
    let mut projects: Vec<Gid> = world.visible(Kind::Project, world.main_viewer()).collect();
    // The one with the most tasks first.
    projects.sort_by_key(|project| std::cmp::Reverse(world.tasks_of_project(*project).len()));
    projects
}

/// The streams that report deletions.
const TELLING: [&str; 7] = ["projects", "sections", "tags", "tasks", "subtasks", "stories", "attachments"];

/// The number of their records that a run reported as deleted.
fn all_deleted(run: &Run) -> Vec<(&'static str, usize)> {
    let counts = TELLING.map(|stream| (stream, deleted(run, stream).len()));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// The keys in a destination that writes records and deletes those that are reported as deleted.
#[derive(Default)]
struct Replica(BTreeMap<&'static str, BTreeSet<String>>);

impl Replica {
    fn write(&mut self, run: &Run) {
        for stream in TELLING {
            let held = self.0.entry(stream).or_default();
            for record in run.records(stream) {
                let gid = record["gid"].as_str().unwrap().to_owned();
                match &record[DELETED_AT] {
                    serde_json::Value::Null => held.insert(gid),
                    _ => held.remove(&gid),
                };
            }
        }
    }

    #[track_caller]
    fn assert_is(&self, account: &Account, when: &str) {
        for stream in TELLING {
            let expected = all_keys(account, stream);
            let stale: Vec<_> = self.0[stream].difference(&expected).collect();
            assert!(stale.is_empty(), "{when}: {stream} that are gone and not told: {stale:?}");
            let missing: Vec<_> = expected.difference(&self.0[stream]).collect();
            // Only the search of paid plans finds tasks that are in no listing.
            assert!(
                account.plan == Plan::Free || missing.is_empty(),
                "{when}: {stream} that are missing: {missing:?}"
            );
        }
    }
}

/// Deletes some of everything in a project, the project that follows it, and a tag.
fn delete_some_of_everything(account: &Account) {
    account.simulator.edit(|edit| {
        let chosen = projects(edit.world());
        let (project, next) = (chosen[0], chosen[1]);
        let tasks = edit.world().tasks_of_project(project);
        let world = edit.world();
        let parent = *tasks.iter().find(|task| !world.subtasks_of_task(**task).is_empty()).unwrap();
        let (subtask, rest) =
            (world.subtasks_of_task(parent)[0], tasks.iter().filter(|task| **task != parent));
        let others: Vec<Gid> = rest.copied().collect();
        // Two that are deleted with everything below, and one that moves.
        let ([gone, gone_too, moved], quiet) = others.split_first_chunk().unwrap();
        let story = quiet.iter().find_map(|task| world.stories_of_task(*task).first().copied()).unwrap();
        let file = quiet.iter().find_map(|task| world.attachments(*task).first().copied()).unwrap();
        edit.delete_task(subtask).unwrap();
        edit.delete_task(*gone).unwrap();
        edit.delete_task(*gone_too).unwrap();
        edit.delete_story(story).unwrap();
        edit.delete_attachment(file).unwrap();
        if !edit.world().projects_of_task(*moved).contains(&chosen[2]) {
            edit.add_to_project(*moved, chosen[2]).unwrap();
        }
        edit.remove_from_project(*moved, project).unwrap();
        let section = *edit.world().sections_of_project(project).last().unwrap();
        edit.delete_section(section).unwrap();
        edit.delete_project(next).unwrap();
        let tag = edit.world().visible(Kind::Tag, edit.world().main_viewer()).next().unwrap();
        edit.delete_tag(tag).unwrap();
    });
}

/// By events, by absence after a day without events, with a project, and by a parent's time of change.
#[test]
fn what_is_left_of_a_destination_is_the_account() {
    for plan in [Plan::Paid, Plan::Free] {
        let account = Account::new(&Scale::small(), plan);
        let mut replica = Replica::default();
        let (first, _) = account.sync(None);
        replica.write(&first);
        replica.assert_is(&account, "at first");
        delete_some_of_everything(&account);
        let (second, _) = account.sync(Some(&first.state()));
        replica.write(&second);
        replica.assert_is(&account, "by events");
        account.simulator.advance(Duration::from_secs(60 * 60));
        delete_some_of_everything(&account);
        account.simulator.advance(Duration::from_secs(25 * 60 * 60));
        let (third, _) = account.sync(Some(&second.state()));
        replica.write(&third);
        replica.assert_is(&account, "a day later");
        // Tasks in no project have no events.
        account.simulator.edit(|edit| {
            let world = edit.world();
            let alone = |task: &Gid| {
                world.projects_of_task(*task).is_empty()
                    && world.assignee_of_task(*task).is_some()
                    && world.parent_of_task(*task).is_none()
            };
            let tasks: Vec<Gid> = world.visible(Kind::Task, world.main_viewer()).filter(alone).collect();
            let story = tasks.iter().find_map(|task| world.stories_of_task(*task).first().copied()).unwrap();
            let file = tasks.iter().find_map(|task| world.attachments(*task).first().copied()).unwrap();
            edit.delete_story(story).unwrap();
            edit.delete_attachment(file).unwrap();
        });
        let (fourth, _) = account.sync(Some(&third.state()));
        replica.write(&fourth);
        replica.assert_is(&account, "without events");
        assert_eq!(all_deleted(&fourth), [("stories", 1), ("attachments", 1)]);
        let (fifth, _) = account.sync(Some(&fourth.state()));
        assert_eq!(all_deleted(&fifth), [], "told once");
    }
}

/// Fault 16: a destination that keeps marked rows and lets the highest cursor win, and one that keeps what came last.
#[test]
fn a_restored_row_wins_over_its_tombstone_in_both_kinds_of_destination() {
    for (plan, hours) in [(Plan::Paid, 0), (Plan::Paid, 1), (Plan::Free, 1)] {
        let clock = Some(Clock::frozen(Clock::system().now()));
        let options = Options { tokens: vec![Token::new(TOKEN, plan)], clock, ..Options::default() };
        let account = Account::with(&Scale::tiny(), options);
        let catalog = whole_catalog("incremental");
        let mut highest: BTreeMap<(String, String), (String, bool)> = BTreeMap::new();
        let mut last: BTreeMap<(String, String), bool> = BTreeMap::new();
        let mut state = None;
        let mut sync = || {
            account.simulator.advance(Duration::from_secs(hours * 60 * 60));
            let run =
                InProcess::new(&account.simulator.base_url()).read(&catalog, state.as_ref()).expect_success();
            for entry in catalog["streams"].as_array().unwrap() {
                let stream = entry["stream"]["name"].as_str().unwrap();
                let Some(cursor) = entry["stream"]["default_cursor_field"][0].as_str() else { continue };
                for record in run.records(stream) {
                    let key = (stream.to_owned(), record["gid"].as_str().unwrap().to_owned());
                    let version = (record[cursor].as_str().unwrap().to_owned(), record[DELETED_AT].is_null());
                    last.insert(key.clone(), version.1);
                    let kept = highest.entry(key).or_insert_with(|| version.clone());
                    if version.0 >= kept.0 {
                        *kept = version;
                    }
                }
            }
            state = Some(run.state());
            let of_highest =
                highest.iter().filter(|(_, (_, is_there))| *is_there).map(|(key, _)| key.clone());
            let of_last = last.iter().filter(|(_, is_there)| **is_there).map(|(key, _)| key.clone());
            (of_highest.collect::<BTreeSet<_>>(), of_last.collect::<BTreeSet<_>>())
        };
        let before = sync();
        let task = account.simulator.edit(|edit| {
            let tasks = edit.world().tasks_of_project(projects(edit.world())[0]);
            edit.delete_task(tasks[0]).unwrap()
        });
        let deleted = sync();
        let key = ("tasks".to_owned(), task.to_string());
        assert!(before.0.contains(&key) && !deleted.0.contains(&key) && !deleted.1.contains(&key));
        account.simulator.edit(|edit| edit.undelete_task(task)).unwrap();
        let after = sync();
        let lost =
            |before: &BTreeSet<_>, after: &BTreeSet<_>| before.difference(after).cloned().collect::<Vec<_>>();
        assert_eq!(lost(&before.0, &after.0), [], "{plan:?}: the highest cursor wins");
        assert_eq!(lost(&before.1, &after.1), [], "{plan:?}: the last one wins");
    }
}

/// Wherever a sync is interrupted, the next one reports all missing deletions.
#[test]
fn a_sync_that_is_cut_off_tells_the_rest_of_the_deletions_when_it_goes_on() {
    for hours in [1, 25] {
        let account = Account::new(&Scale::tiny(), Plan::Paid);
        let mut reader = InProcess::new(&account.simulator.base_url());
        reader.checkpoint_every = Some(Duration::ZERO);
        let catalog = whole_catalog("incremental");
        let first = reader.read(&catalog, None).expect_success();
        delete_some_of_everything(&account);
        account.simulator.advance(Duration::from_secs(hours * 60 * 60));
        let second = reader.read(&catalog, Some(&first.state())).expect_success();
        for percent in (0..100).step_by(4) {
            let seen = cut(&second, f64::from(percent) / 100.0);
            let mut replica = Replica::default();
            replica.write(&first);
            replica.write(&Run { messages: seen.to_vec(), exit_code: None });
            let third = reader.read(&catalog, merged(Some(first.state()), seen).as_ref()).expect_success();
            replica.write(&third);
            replica.assert_is(&account, &format!("{hours} hours later, cut off after {percent} %"));
        }
    }
}

#[test]
fn what_is_deleted_is_told_with_its_key_its_time_and_nothing_else() {
    let account = account();
    let story = account.simulator.edit(|edit| {
        let tasks = edit.world().tasks_of_project(projects(edit.world())[0]);
        edit.comment(tasks[0], "to be regretted").unwrap()
    });
    let (first, _) = account.sync(None);
    assert_eq!(all_deleted(&first), []);
    let (task, hung_on_it, file, section, tag) = account.simulator.edit(|edit| {
        let project = projects(edit.world())[0];
        let tasks = edit.world().tasks_of_project(project);
        let section = *edit.world().sections_of_project(project).last().unwrap();
        let tag = edit.world().visible(Kind::Tag, edit.world().main_viewer()).next().unwrap();
        edit.delete_story(story).unwrap();
        let file = edit.add_attachment(tasks[0], "short-lived.txt").unwrap();
        edit.delete_attachment(file).unwrap();
        let mut hung_on_it = (vec![story], vec![file]);
        let mut gone = vec![tasks[1]];
        while let Some(task) = gone.pop() {
            gone.extend(edit.world().subtasks_of_task(task));
            hung_on_it.0.extend(edit.world().stories_of_task(task));
            hung_on_it.1.extend(edit.world().attachments(task));
        }
        edit.delete_task(tasks[1]).unwrap();
        edit.delete_section(section).unwrap();
        edit.delete_tag(tag).unwrap();
        (tasks[1], hung_on_it, file, section, tag)
    });
    let (second, _) = account.sync(Some(&first.state()));
    assert!(deleted(&second, "tasks").contains(&task.to_string()));
    assert!(hung_on_it.0.len() > 1 && hung_on_it.1.contains(&file), "{hung_on_it:?}");
    assert_eq!(deleted(&second, "stories"), set(&hung_on_it.0));
    assert_eq!(deleted(&second, "attachments"), set(&hung_on_it.1));
    assert_eq!(deleted(&second, "sections"), set(&[section]));
    assert_eq!(deleted(&second, "tags"), set(&[tag]));
    let told = second.records("tasks").into_iter().find(|record| record["gid"] == task.to_string()).unwrap();
    let columns: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(columns, ["_ab_cdc_deleted_at", "_ab_cdc_updated_at", "gid", "modified_at"]);
    assert_eq!(told["_ab_cdc_deleted_at"], told["modified_at"], "{told}");
    // Reported once.
    let (third, _) = account.sync(Some(&second.state()));
    assert_eq!(all_deleted(&third), []);
}

/// A project becomes visible, one is archived, one is inaccessible, one is deleted.
#[test]
fn four_projects_each_get_what_is_right_for_them() {
    let account = account();
    let chosen = account.simulator.world(projects);
    let [shown, archived, hidden, gone] = chosen[..4] else { panic!("too few projects: {chosen:?}") };
    account.simulator.edit(|edit| edit.hide_project(shown)).unwrap();
    let (first, _) = account.sync(None);
    let of_project = |project: Gid| {
        account.simulator.world(|world| {
            let tasks = world.tasks_of_project(project);
            let tops = tasks.iter().filter(|task| world.parent_of_task(**task).is_none());
            tops.filter(|task| world.sees(world.main_viewer(), **task)).copied().collect::<Vec<_>>()
        })
    };
    let (of_shown_before, of_gone) = (delivered_and_deleted(&first, "tasks").0, of_project(gone));
    account.simulator.edit(|edit| {
        edit.show_project(shown).unwrap();
        edit.archive_project(archived).unwrap();
        edit.hide_project(hidden).unwrap();
        edit.delete_project(gone).unwrap();
    });
    let (second, _) = account.sync(Some(&first.state()));
    let (tasks, _) = delivered_and_deleted(&second, "tasks");
    // Old tasks of the project that became visible, which no filter by time would find.
    let of_shown: BTreeSet<String> = set(&of_project(shown));
    let new: Vec<_> = of_shown.difference(&of_shown_before).collect();
    assert!(!new.is_empty(), "it would prove nothing");
    assert!(new.iter().all(|task| tasks.contains(*task)), "{new:?} of {tasks:?}");
    let (projects, deleted_projects) = delivered_and_deleted(&second, "projects");
    assert!(projects.contains(&shown.to_string()) && projects.contains(&archived.to_string()));
    let record = second.records("projects").into_iter().find(|record| record["gid"] == archived.to_string());
    assert_eq!(record.unwrap()["archived"], true);
    assert_eq!(deleted_projects, set(&[gone]), "what is out of sight is not deleted");
    let hidden_tasks = set(&account.simulator.world(|world| world.tasks_of_project(hidden)));
    assert!(deleted(&second, "tasks").is_disjoint(&hidden_tasks));
    assert!(!of_gone.is_empty());
    // The hidden project is read completely when it is accessible again.
    account.simulator.edit(|edit| edit.show_project(hidden)).unwrap();
    let (third, _) = account.sync(Some(&second.state()));
    let (tasks, _) = delivered_and_deleted(&third, "tasks");
    let back = set(&of_project(hidden));
    let missing: Vec<_> = back.difference(&tasks).collect();
    assert!(missing.iter().all(|task| is_elsewhere(&account, task)), "{missing:?}");
    assert_eq!(deleted(&third, "projects"), BTreeSet::new());
}

/// Whether a task is also in another project, which remained visible.
fn is_elsewhere(account: &Account, gid: &str) -> bool {
    account.simulator.world(|world| {
        let task: Gid = gid.parse().unwrap();
        world.projects_of_task(task).len() > 1
    })
}

/// A day later Asana does not tell what happened: nothing is sent again, and nothing is made up.
#[test]
fn where_the_events_do_not_reach_back_nothing_is_made_up() {
    let account = account();
    let (first, _) = account.sync(None);
    let project = account.simulator.world(projects)[0];
    let tasks = account.simulator.world(|world| world.tasks_of_project(project));
    account
        .simulator
        .edit(|edit| {
            edit.move_to_section_silently(
                tasks[0],
                *edit.world().sections_of_project(project).last().unwrap(),
            )
        })
        .unwrap();
    account.simulator.advance(Duration::from_secs(25 * 60 * 60));
    let (second, _) = account.sync(Some(&first.state()));
    let (delivered, gone) = delivered_and_deleted(&second, "tasks");
    let tops = account.simulator.world(|world| {
        let tops = tasks.iter().copied().filter(|task| world.parent_of_task(*task).is_none());
        tops.collect::<Vec<_>>()
    });
    assert_eq!((delivered, gone), (BTreeSet::new(), BTreeSet::new()));
    // From then on, events are reported again.
    account.simulator.edit(|edit| edit.delete_task(tops[0])).unwrap();
    let (third, _) = account.sync(Some(&second.state()));
    assert!(deleted(&third, "tasks").contains(&tops[0].to_string()));
}

#[test]
fn a_listing_that_loses_most_of_its_records_at_once_tells_no_deletions() {
    let account = Account::new(&Scale { tags: 40, ..Scale::tiny() }, Plan::Paid);
    let (first, _) = account.sync(None);
    let tags: Vec<Gid> =
        account.simulator.world(|world| world.visible(Kind::Tag, world.main_viewer()).collect());
    account.simulator.edit(|edit| {
        for tag in &tags[..30] {
            edit.delete_tag(*tag).unwrap();
        }
    });
    let (second, _) = account.sync(Some(&first.state()));
    assert_eq!(deleted(&second, "tags"), BTreeSet::new());
    assert!(
        second.logs().iter().any(|line| line.contains("too many to be real deletions")),
        "{:#?}",
        second.logs()
    );
    // The message recommends a reset.
    let (third, _) = account.sync(None);
    assert_eq!(delivered_and_deleted(&third, "tags").0.len(), tags.len() - 30);
}

/// A full state drops the children of the oldest tasks, and the log says so.
#[test]
fn what_the_state_has_no_room_for_is_said() {
    let account = account();
    let (first, _) = account.sync(None);
    let mut states = first.state();
    let stories = states
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|state| state["stream"]["stream_descriptor"]["name"] == "stories");
    let state = &mut stories.unwrap()["stream"]["stream_state"]["listed"];
    let mut listed: Listed = serde_json::from_value(state.clone()).unwrap();
    let gid = |number: u64| source_asana::gid::Gid::Number(1_100_000_000_000_000 + number * 100_000_000);
    for task in 0..30_000_u64 {
        listed.set(&gid(20 * task), (1..6).map(|story| gid(20 * task + story)).collect());
    }
    *state = json!(listed);
    let task = account.simulator.world(|world| world.tasks_of_project(projects(world)[0])[0]);
    account.simulator.edit(|edit| edit.comment(task, "news")).unwrap();
    let (second, _) = account.sync(Some(&states));
    assert!(second.logs().iter().any(|line| line.contains("the state is full")), "{:#?}", second.logs());
    let states = second.state();
    let sizes =
        states.as_array().unwrap().iter().map(|state| state["stream"]["stream_state"].to_string().len());
    let size = sizes.max().unwrap();
    assert!((800_000..=900_000).contains(&size), "{size} bytes");
    // The newest are kept.
    account.simulator.edit(|edit| edit.delete_task(task)).unwrap();
    let (third, _) = account.sync(Some(&states));
    assert!(!deleted(&third, "stories").is_empty());
    // Dropped children stay unknown, and each sync logs it.
    assert!(third.logs().iter().any(|line| line.contains("the state is full")), "{:#?}", third.logs());
}

#[test]
fn of_a_deleted_project_with_very_many_tasks_each_is_reported() {
    let scale = Scale { tasks: 800, largest_project: 700, stories: 1, longest_history: 2, ..Scale::tiny() };
    let account = Account::new(&scale, Plan::Paid);
    let (first, _) = account.sync(None);
    let project = account.simulator.world(projects)[0];
    account.simulator.edit(|edit| edit.delete_project(project)).unwrap();
    let (second, requests) = account.sync(Some(&first.state()));
    assert_eq!(deleted(&second, "projects"), set(&[project]));
    let left = all_keys(&account, "tasks");
    let gone: BTreeSet<String> =
        delivered_and_deleted(&first, "tasks").0.difference(&left).cloned().collect();
    assert!(gone.len() > 200, "{}", gone.len());
    assert_eq!(deleted(&second, "tasks"), gone);
    assert!(requests.len() < gone.len() + 200, "{} requests for {}", requests.len(), gone.len());
}

#[test]
fn a_listing_that_fails_or_a_record_that_is_refused_tells_no_deletions() {
    let answer = |status| Fault::Status { status, retry_after: None };
    let faults = [
        FaultRule::new("/tags", answer(500)),
        FaultRule::new("/tags", answer(403)),
        FaultRule::new("/tags/{gid}", answer(403)),
        FaultRule::new("/tags/{gid}", answer(500)),
        FaultRule::new("/tags/{gid}", answer(401)),
    ];
    for fault in faults {
        let account = account();
        let (first, _) = account.sync(None);
        let tag =
            account.simulator.world(|world| world.visible(Kind::Tag, world.main_viewer()).next()).unwrap();
        account.simulator.edit(|edit| edit.delete_tag(tag)).unwrap();
        let is_refused = fault.target.pattern == "/tags/{gid}" && fault.fault == answer(403);
        let label = format!("{fault:?}");
        account.simulator.faults().add(fault);
        let reader = InProcess::new(&account.simulator.base_url());
        let catalog = whole_catalog("incremental");
        let second = reader.read(&catalog, Some(&first.state()));
        assert_eq!(deleted(&second, "tags"), BTreeSet::new(), "{label}");
        account.simulator.faults().clear();
        let third = reader.read(&catalog, Some(&second.state())).expect_success();
        // Inaccessible records are not checked again on the same day; those whose request failed are.
        let expected = if is_refused { BTreeSet::new() } else { set(&[tag]) };
        assert_eq!(deleted(&third, "tags"), expected, "{label}");
    }
}

#[test]
fn deletions_are_not_told_where_no_one_wants_them() {
    let account = account();
    let delete = |account: &Account| {
        account.simulator.edit(|edit| {
            let tasks = edit.world().tasks_of_project(projects(edit.world())[0]);
            let tag = edit.world().visible(Kind::Tag, edit.world().main_viewer()).next().unwrap();
            edit.delete_task(tasks[0]).unwrap();
            edit.delete_tag(tag).unwrap();
        });
    };
    // By the config.
    let connector = Connector::new(&account.simulator.base_url()).config(json!({"deletions": false}));
    let catalog = whole_catalog("incremental");
    let first = connector.read(&catalog, None).expect_success();
    delete(&account);
    account.simulator.clear_requests();
    let second = connector.read(&catalog, Some(&first.state())).expect_success();
    assert_eq!(all_deleted(&second), []);
    assert!(account.simulator.requests().iter().all(|request| request.endpoint != "/events"));
    let states = second.state();
    let of_tasks = states.as_array().unwrap().iter().filter(|state| {
        let stream = &state["stream"]["stream_descriptor"]["name"];
        ["tasks", "subtasks", "stories", "attachments", "sections"].iter().any(|name| stream == name)
    });
    for state in of_tasks {
        assert_eq!(state["stream"]["stream_state"].get("listed"), None, "nothing is kept for it: {state}");
    }
    // By the columns: the column for deletions is not selected.
    let mut catalog = catalog_of(&["tasks", "tags"], "incremental");
    for entry in catalog["streams"].as_array_mut().unwrap() {
        let properties = entry["stream"]["json_schema"]["properties"].as_object_mut().unwrap();
        properties.retain(|name, _| name == "gid" || name == "name");
    }
    let first = account.connector.read(&catalog, None).expect_success();
    delete(&account);
    let second = account.connector.read(&catalog, Some(&first.state())).expect_success();
    assert_eq!(all_deleted(&second), []);
    // By the mode: a full refresh replaces everything.
    let catalog = catalog_of(&["tasks", "tags"], "full_refresh");
    let first = account.connector.read(&catalog, None).expect_success();
    delete(&account);
    let second = account.connector.read(&catalog, Some(&first.state())).expect_success();
    assert_eq!(all_deleted(&second), []);
}

/// Whatever its characters are by chance: here it ends as the access token begins, when a character is escaped.
#[test]
fn every_sync_token_is_stored() {
    let account = Account::new(&Scale::tiny(), Plan::Paid);
    let sync_token = "de4774f6915eae04714ca93b2f5e1234";
    assert!(TOKEN.starts_with("2/1234"), "or this proves nothing");
    let body = json!({"errors": [{"message": "Sync token invalid or too old."}], "sync": sync_token});
    let expired = Fault::Respond { status: 412, headers: Vec::new(), body: body.to_string() };
    account.simulator.faults().add(FaultRule::new("/events", expired));
    let (first, _) = account.sync(None);
    assert!(first.state().to_string().contains(sync_token), "the token is not in the state");
}
