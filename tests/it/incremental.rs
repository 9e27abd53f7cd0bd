//! What the second sync of an account delivers and costs after some of it has changed. Knows no cursor: the world says
//! what changed.

use std::collections::{BTreeMap, BTreeSet};

use asana_simulator::{Gid, Kind, Options, Plan, RequestRecord, Scale, Simulator, Token, World};
use serde_json::Value;

use crate::harness::{Connector, Run, TOKEN, whole_catalog};

/// The column by which a record is told as deleted.
const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// An account and the connector that reads it.
pub struct Account {
    pub simulator: Simulator,
    pub connector: Connector,
}

impl Account {
    pub fn new(scale: &Scale, plan: Plan) -> Self {
        Self::with(scale, Options { tokens: vec![Token::new(TOKEN, plan)], ..Options::default() })
    }

    pub fn with(scale: &Scale, options: Options) -> Self {
        let simulator = Simulator::start_blocking(World::generate(1, scale), options).unwrap();
        let connector = Connector::new(&simulator.base_url());
        Self { simulator, connector }
    }

    /// An incremental sync of every stream, and its requests.
    pub fn sync(&self, state: Option<&Value>) -> (Run, Vec<RequestRecord>) {
        self.simulator.clear_requests();
        let run = self.connector.read(&whole_catalog("incremental"), state).expect_success();
        (run, self.simulator.requests())
    }

    /// When each task was last changed.
    fn times(&self) -> BTreeMap<Gid, String> {
        self.simulator.world(|world| {
            let tasks =
                world.gids(Kind::Task).map(|task| (task, format!("{:?}", world.task_modified_at(task))));
            tasks.collect()
        })
    }
}

/// The keys of the records that a run delivered of a stream, and of those that it told as deleted.
pub fn delivered_and_deleted(run: &Run, stream: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (deleted, delivered): (Vec<&Value>, Vec<&Value>) =
        run.records(stream).into_iter().partition(|record| record[DELETED_AT].is_string());
    let gids = |records: Vec<&Value>| -> BTreeSet<String> {
        records.iter().map(|record| record["gid"].as_str().unwrap().to_owned()).collect()
    };
    (gids(delivered), gids(deleted))
}

/// What happened to an account between two syncs.
#[derive(Default)]
pub struct Happened {
    pub stories: BTreeSet<Gid>,
    pub attachments: BTreeSet<Gid>,
    pub deleted: BTreeSet<Gid>,
    pub count: usize,
}

/// Changes every hundredth task, in every way in which tasks change.
pub fn change_one_percent(simulator: &Simulator) -> Happened {
    let chosen: Vec<Gid> = simulator.world(|world| {
        let viewer = world.main_viewer();
        let in_project = |task: &Gid| {
            let mut top = *task;
            while let Some(parent) = world.parent_of_task(top) {
                top = parent;
            }
            world.projects_of_task(top).iter().any(|project| world.sees(viewer, *project))
        };
        world.visible(Kind::Task, viewer).filter(in_project).step_by(100).collect()
    });
    let mut happened = Happened { count: chosen.len(), ..Happened::default() };
    for (index, task) in chosen.iter().copied().enumerate() {
        if happened.deleted.contains(&task) {
            continue;
        }
        let edited = simulator.edit(|edit| match index % 8 {
            0 => edit.rename_task(task, "renamed"),
            1 => edit.comment(task, "a comment").inspect(|story| happened.stories.extend([*story])),
            2 => edit.complete_task(task).or_else(|_| edit.reopen_task(task)),
            3 => {
                let project = edit.world().projects_of_task(task).first().copied();
                match project.map(|project| *edit.world().sections_of_project(project).last().unwrap()) {
                    Some(section) => edit.move_to_section(task, section),
                    None => edit.set_task_notes(task, "moved nowhere"),
                }
            }
            4 => {
                let workspace = edit.world().workspace_of(task).unwrap();
                let projects = edit.world().projects_of_task(task);
                edit.create_task(workspace, "new", &projects[..projects.len().min(1)])
            }
            5 => edit.create_subtask(task, "new below"),
            6 => edit.add_attachment(task, "file.txt").inspect(|file| happened.attachments.extend([*file])),
            _ => {
                let mut gone = vec![task];
                while let Some(next) = gone.pop() {
                    gone.extend(edit.world().subtasks_of_task(next));
                    happened.deleted.insert(next);
                }
                edit.delete_task(task)
            }
        });
        edited.unwrap();
    }
    happened
}

/// Holds a second sync against what happened: everything that changed is delivered, everything that is gone is told,
/// and nothing else comes.
fn assert_told(account: &Account, before: &BTreeMap<Gid, String>, happened: &Happened, run: &Run) {
    let after = account.times();
    let changed: BTreeSet<Gid> =
        after.iter().filter(|(task, time)| before.get(*task) != Some(*time)).map(|(task, _)| *task).collect();
    assert!(changed.len() > 5 && !happened.deleted.is_empty(), "too little happened to prove anything");
    let text = |gids: &BTreeSet<Gid>| gids.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let (mut came, mut gone) = delivered_and_deleted(run, "tasks");
    let (subtasks, gone_below) = delivered_and_deleted(run, "subtasks");
    came.extend(subtasks);
    gone.extend(gone_below);
    let lost: Vec<_> = text(&changed).difference(&came).cloned().collect();
    assert!(lost.is_empty(), "changed and not delivered: {lost:?}");
    let idle: Vec<_> = came.difference(&text(&changed)).cloned().collect();
    assert!(idle.is_empty(), "delivered and not changed: {idle:?}");
    assert_eq!(gone, text(&happened.deleted), "deleted tasks");
    let (stories, _) = delivered_and_deleted(run, "stories");
    let lost: Vec<_> = text(&happened.stories).difference(&stories).cloned().collect();
    assert!(lost.is_empty(), "stories that are new and not delivered: {lost:?}");
    let (attachments, _) = delivered_and_deleted(run, "attachments");
    let lost: Vec<_> = text(&happened.attachments).difference(&attachments).cloned().collect();
    assert!(lost.is_empty(), "attachments that are new and not delivered: {lost:?}");
}

fn by_endpoint(requests: &[RequestRecord]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests {
        *counts.entry(request.endpoint).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.iter().map(|(endpoint, count)| format!("{endpoint} {count}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn after_one_percent_of_changes_a_paid_plans_second_sync_costs_three_percent_of_the_first() {
    let account = Account::new(&Scale::medium(), Plan::Paid);
    let (first, requests) = account.sync(None);
    let before = account.times();
    let happened = change_one_percent(&account.simulator);
    let (second, again) = account.sync(Some(&first.state()));
    eprintln!(
        "paid plan: {} requests, then {} after changes to {} of {} tasks: {:.2} %\n{}",
        requests.len(),
        again.len(),
        happened.count,
        before.len(),
        100.0 * again.len() as f64 / requests.len() as f64,
        by_endpoint(&again)
    );
    assert_told(&account, &before, &happened, &second);
    assert!(again.len() * 100 <= requests.len() * 3, "{} requests after {}", again.len(), requests.len());
}
