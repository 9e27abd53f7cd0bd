//! Attachments on paid plans: a search shows which tasks have any, and the others are not asked. The search is checked,
//! and nothing is lost where it is wrong, late or refused.

use std::collections::BTreeSet;
use std::time::Duration;

use asana_simulator::{
    Fault, FaultRule, Gid, Kind, Options, Plan, RequestRecord, Scale, Token, UnassignedOrphans,
};
use serde_json::{Value, json};

use crate::harness::{Run, TOKEN, catalog_of};
use crate::in_process::InProcess;
use crate::incremental::{Account, delivered_and_deleted};
use crate::resume::{cut, merged};
use crate::truth;

const SEARCH: &str = "/workspaces/{gid}/tasks/search";

/// One workspace, in which so many percent of the tasks have attachments.
fn scale(percent: u32) -> Scale {
    Scale { plain_workspaces: 0, attachments: percent, ..Scale::small() }
}

fn account(scale: &Scale, search_lag: Duration) -> Account {
    let tokens = vec![Token::new(TOKEN, Plan::Paid)];
    Account::with(scale, Options { tokens, search_lag, ..Options::default() })
}

/// A sync of the attachments, and its requests.
fn read(account: &Account, mode: &str, state: Option<&Value>) -> (Run, Vec<RequestRecord>) {
    account.simulator.clear_requests();
    let mut reader = InProcess::new(&account.simulator.base_url());
    reader.checkpoint_every = Some(Duration::ZERO);
    let run = reader.read(&catalog_of(&["attachments"], mode), state).expect_success();
    (run, account.simulator.requests())
}

fn delivered(run: &Run) -> BTreeSet<String> {
    delivered_and_deleted(run, "attachments").0
}

fn existing(account: &Account) -> BTreeSet<String> {
    account.simulator.world(|world| truth::keys(world, world.main_viewer()).remove("attachments").unwrap())
}

fn tasks(account: &Account, has_attachments: impl Fn(bool) -> bool) -> Vec<Gid> {
    account.simulator.world(|world| {
        let tasks = world.visible(Kind::Task, world.main_viewer());
        tasks.filter(|task| has_attachments(!world.attachments(*task).is_empty())).collect()
    })
}

fn searches(requests: &[RequestRecord]) -> usize {
    requests.iter().filter(|request| request.parameter("has_attachment").is_some()).count()
}

/// How many tasks were asked.
fn asked(account: &Account, requests: &[RequestRecord]) -> usize {
    let projects = account.simulator.world(|world| world.visible(Kind::Project, world.main_viewer()).count());
    requests.iter().filter(|request| request.endpoint == "/attachments").count() - projects
}

/// The search does not show these tasks.
fn hide(account: &Account, tasks: &[Gid]) {
    let rule = FaultRule::new(SEARCH, Fault::HideFromSearch(tasks.to_vec()));
    account.simulator.faults().add(rule.query_contains("has_attachment"));
}

fn warnings(run: &Run) -> Vec<&Value> {
    let warnings = run.of_type("LOG").filter(|message| message["log"]["level"] == "WARN");
    warnings.filter(|message| message.to_string().contains("is not relied on")).collect()
}

#[test]
fn tasks_without_attachments_are_not_asked_but_for_a_sample() {
    let account = account(&scale(20), Duration::ZERO);
    let all = tasks(&account, |_| true).len();
    let with = tasks(&account, |has| has).len();
    for mode in ["full_refresh", "incremental"] {
        let (run, requests) = read(&account, mode, None);
        assert_eq!(delivered(&run), existing(&account), "{mode}");
        assert_eq!(searches(&requests), 1, "{mode}");
        let asked = asked(&account, &requests);
        assert!(
            with < asked && asked < (with + all) / 2,
            "{mode}: {asked} of {all}; {with} have attachments"
        );
    }
}

#[test]
fn few_tasks_a_free_plan_or_the_option_mean_no_search() {
    // The free plan does not show tasks of no project and no one.
    let unassigned_orphans = UnassignedOrphans::Absent;
    let free = Account::new(&Scale { unassigned_orphans, ..scale(20) }, Plan::Free);
    let tiny = account(&Scale::tiny(), Duration::ZERO);
    let mut off = account(&scale(20), Duration::ZERO);
    off.connector = off.connector.config(json!({"attachment_search": false}));
    for account in [free, tiny, off] {
        account.simulator.clear_requests();
        let run =
            account.connector.read(&catalog_of(&["attachments"], "full_refresh"), None).expect_success();
        let requests = account.simulator.requests();
        assert_eq!(delivered(&run), existing(&account));
        assert_eq!(searches(&requests), 0);
    }
}

/// If every task has attachments, all that the search does not show are asked, because they are few.
#[test]
fn a_search_that_misses_tasks_of_the_sample_is_not_relied_on() {
    for mode in ["full_refresh", "incremental"] {
        let account = account(&scale(100), Duration::ZERO);
        hide(&account, &tasks(&account, |_| true)[..5]);
        let (run, requests) = read(&account, mode, None);
        assert_eq!(delivered(&run), existing(&account), "{mode}");
        assert_eq!(warnings(&run).len(), 1, "{mode}: {:#?}", run.logs());
        let keys = account.simulator.world(|world| truth::keys(world, world.main_viewer()));
        let all = keys["tasks"].len() + keys["subtasks"].len();
        assert_eq!(asked(&account, &requests), all, "{mode}: each once");
    }
}

/// The sample is another one in each sync, and so few tasks that one task is seldom in it.
#[test]
fn a_single_task_that_the_search_misses_is_asked_when_it_changes() {
    let account = account(&scale(20), Duration::ZERO);
    let task = tasks(&account, |has| has)[0];
    hide(&account, &[task]);
    let files: BTreeSet<String> =
        account.simulator.world(|world| world.attachments(task).iter().map(ToString::to_string).collect());
    let first = (0..20)
        .map(|_| read(&account, "incremental", None).0)
        .find(|run| delivered(run).is_disjoint(&files))
        .expect("a sync without the task in its sample");
    assert_eq!(warnings(&first).len(), 0);
    account.simulator.advance(Duration::from_secs(60 * 60));
    account.simulator.edit(|edit| edit.rename_task(task, "changed")).unwrap();
    account.simulator.advance(Duration::from_secs(60 * 60));
    let (second, requests) = read(&account, "incremental", Some(&first.state()));
    assert!(delivered(&second).is_superset(&files));
    assert_eq!(searches(&requests), 0, "one changed task is asked");
}

/// The index is behind by minutes. A task that changed since is asked, whatever the search shows.
#[test]
fn an_attachment_that_the_search_does_not_know_yet_is_read() {
    let account = account(&scale(20), Duration::from_secs(4 * 60));
    let changed = tasks(&account, |has| !has);
    read(&account, "full_refresh", None);
    let files: BTreeSet<String> = account.simulator.edit(|edit| {
        let files = changed[..10].iter().map(|task| edit.add_attachment(*task, "new.txt").unwrap());
        files.map(|file| file.to_string()).collect()
    });
    let (run, requests) = read(&account, "full_refresh", None);
    assert_eq!(searches(&requests), 1);
    assert!(delivered(&run).is_superset(&files));
    assert_eq!(warnings(&run).len(), 0, "{:#?}", run.logs());
}

/// Events would report the deletion; here Asana refuses them.
#[test]
fn a_task_whose_attachments_were_all_deleted_is_asked_although_the_search_does_not_show_it() {
    let account = account(&scale(20), Duration::ZERO);
    let refused = Fault::Status { status: 403, retry_after: None };
    account.simulator.faults().add(FaultRule::new("/events", refused));
    let (first, _) = read(&account, "incremental", None);
    account.simulator.advance(Duration::from_secs(60 * 60));
    let task = tasks(&account, |has| has)[0];
    let files: BTreeSet<String> = account.simulator.edit(|edit| {
        let files = edit.world().attachments(task);
        files.iter().for_each(|file| assert!(edit.delete_attachment(*file).is_ok()));
        for task in edit.world().visible(Kind::Task, edit.world().main_viewer()).collect::<Vec<_>>() {
            edit.rename_task(task, "changed").unwrap();
        }
        files.iter().map(ToString::to_string).collect()
    });
    account.simulator.advance(Duration::from_secs(60 * 60));
    let (second, requests) = read(&account, "incremental", Some(&first.state()));
    assert_eq!(searches(&requests), 1);
    let all = tasks(&account, |_| true).len();
    assert!(asked(&account, &requests) < all / 2 + 20, "{} of {all}", asked(&account, &requests));
    let (delivered, deleted) = delivered_and_deleted(&second, "attachments");
    assert_eq!(deleted, files);
    let of_tasks = account.simulator.world(|world| {
        let projects = world.gids(Kind::Project).flat_map(|project| world.attachments(project));
        projects.map(|file| file.to_string()).collect::<BTreeSet<_>>()
    });
    let lost: Vec<_> =
        existing(&account).difference(&delivered).filter(|file| !of_tasks.contains(*file)).cloned().collect();
    assert_eq!(lost, Vec::<String>::new());
}

/// Cut off after any share of its lines, a sync goes on without losing an attachment, whether the search is right or not.
#[test]
fn an_interrupted_sync_loses_no_attachment() {
    for (percent, hidden) in [(20, 0), (100, 5)] {
        let account = account(&scale(percent), Duration::ZERO);
        hide(&account, &tasks(&account, |has| has)[..hidden]);
        for mode in ["full_refresh", "incremental"] {
            let (whole, requests) = read(&account, mode, None);
            assert!(searches(&requests) > 0);
            for share in [0.1, 0.3, 0.5, 0.7, 0.9, 0.99] {
                let seen = cut(&whole, share);
                let rest = read(&account, mode, merged(None, seen).as_ref()).0;
                let mut union = delivered(&Run { messages: seen.to_vec(), exit_code: None });
                union.extend(delivered(&rest));
                assert_eq!(union, existing(&account), "{mode} {share}");
            }
        }
    }
}
