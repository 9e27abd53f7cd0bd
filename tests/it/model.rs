//! Random histories of an account and of syncs: after each complete sync, a replica that is kept as a destination keeps it
//! that removes duplicates equals the account.
//!
//! What docs/STATE.md names as invisible is left out, and nothing else:
//!
//! - on the free plan, tasks of no project and of nobody, and what is below them: nothing lists them;
//! - records that are out of sight, and what was deleted in them: they stay as they were;
//! - tasks of no project have no events: that one is deleted is found by the comparison once a day, and so it is with a
//!   project that was out of sight;
//! - records that were undeleted where no event says so: in a gap, or in no project.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use asana_simulator::{
    Clock, Editor, Fault, FaultRule, Gid, Kind, Options, Plan, Scale, Timestamp, Token, World,
};
use serde_json::Value;

use crate::harness::{Run, TOKEN};
use crate::in_process::InProcess;
use crate::incremental::{Account, DELETED_AT, all_keys};
use crate::replica::{REPORTING, Replica, catalog, selected};
use crate::resume::{cut, merged};

const HISTORIES: u64 = 30;
const SYNCS: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Numbers that depend on a seed alone.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn is_one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len())])
    }
}

/// One account, what a destination has of it, and what was done.
struct History {
    account: Account,
    numbers: Numbers,
    catalog: Value,
    replica: Replica,
    /// The last `modified_at` of each row.
    times: BTreeMap<(String, String), String>,
    state: Option<Value>,
    log: Vec<String>,
    deleted: Vec<Gid>,
    hidden: Vec<Gid>,
    /// What has no event that tells of its deletion, or may be deleted out of sight.
    quiet: BTreeSet<String>,
    /// What was undeleted since the last sync, and whether an event says so.
    undeleted: Vec<Gid>,
    /// What came back without an event.
    unnoticed: BTreeSet<String>,
    /// Asana refuses this token all events. Each sync is then a day after the last one, when the comparison is due.
    is_refused_events: bool,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let plan = if seed.is_multiple_of(2) { Plan::Paid } else { Plan::Free };
        let skew = MINUTE * numbers.below(61) as u32;
        let here = Timestamp(
            i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis())
                .unwrap(),
        );
        let there = if numbers.is_one_in(2) { here.plus(skew) } else { here.minus(skew) };
        let options = Options {
            tokens: vec![Token::new(TOKEN, plan)],
            clock: Some(Clock::running(there)),
            ..Options::default()
        };
        let scale = Scale { subtasks: 25, longest_history: 12, stories: 3, ..Scale::tiny() };
        let account = Account::with(&scale, options);
        let mut modes = [Vec::new(), Vec::new()];
        for stream in REPORTING {
            match numbers.below(6) {
                0 => {}
                1 => modes[1].push(stream),
                _ => modes[0].push(stream),
            }
        }
        if modes[0].is_empty() {
            modes[0].push(REPORTING[numbers.below(REPORTING.len())]);
            let incremental = modes[0].clone();
            modes[1].retain(|stream| !incremental.contains(stream));
        }
        let catalog = catalog(&modes[0], &modes[1]);
        let log = vec![format!(
            "seed {seed}, {plan:?}, skew {skew:?}, incremental {:?}, whole {:?}",
            modes[0], modes[1]
        )];
        Self {
            account,
            numbers,
            catalog,
            replica: Replica::default(),
            times: BTreeMap::new(),
            state: None,
            log,
            deleted: Vec::new(),
            hidden: Vec::new(),
            quiet: BTreeSet::new(),
            undeleted: Vec::new(),
            unnoticed: BTreeSet::new(),
            is_refused_events: seed % 5 == 4,
        }
    }

    /// Changes something.
    fn edit(&mut self) {
        let Self { account, numbers, log, deleted, hidden, quiet, undeleted, .. } = self;
        account.simulator.edit(|edit| {
            let world = edit.world();
            let viewer = world.main_viewer();
            let tasks: Vec<Gid> = world.visible(Kind::Task, viewer).collect();
            let projects: Vec<Gid> = world.visible(Kind::Project, viewer).collect();
            let (Some(task), Some(project)) = (numbers.pick(&tasks), numbers.pick(&projects)) else { return };
            let other = numbers.pick(&tasks).unwrap_or(task);
            let is_near = |project: &Gid| world.workspace_of(*project) == world.workspace_of(task);
            let near: Vec<Gid> = projects.iter().copied().filter(is_near).collect();
            let before = deleted.len();
            let done = match numbers.below(17) {
                0 => edit.rename_task(task, "renamed").map(|_| format!("rename {task}")),
                1 => edit.comment(task, "a comment").map(|story| format!("comment {story} on {task}")),
                2 => {
                    let workspace = edit.world().workspace_of(task).unwrap();
                    let homes: Vec<Gid> = numbers.pick(&near).into_iter().collect();
                    edit.create_task(workspace, "new", &homes).map(|new| format!("create {new} in {homes:?}"))
                }
                3 => edit.create_subtask(task, "new below").map(|new| format!("create {new} below {task}")),
                4 => edit.add_attachment(task, "file.txt").map(|file| format!("attach {file} to {task}")),
                5 => {
                    let stories = edit.world().stories_of_task(task);
                    match numbers.pick(&stories) {
                        Some(story) => {
                            edit.delete_story(story).map(|_| format!("delete story {story} of {task}"))
                        }
                        None => return,
                    }
                }
                6 => match numbers.pick(&edit.world().attachments(task)) {
                    Some(file) => {
                        edit.delete_attachment(file).map(|_| format!("delete file {file} of {task}"))
                    }
                    None => return,
                },
                7 | 8 => {
                    note_quiet(edit.world(), task, quiet);
                    edit.delete_task(task).map(|_| {
                        deleted.push(task);
                        format!("delete {task}")
                    })
                }
                9 => match numbers.pick(deleted) {
                    Some(back) if edit.undelete_task(back).is_ok() => {
                        undeleted.push(back);
                        Ok(format!("undelete {back}"))
                    }
                    _ => return,
                },
                10 => match numbers.pick(&near) {
                    Some(home) => edit.add_to_project(task, home).map(|_| format!("add {task} to {home}")),
                    None => return,
                },
                11 => match numbers.pick(&edit.world().projects_of_task(task)) {
                    Some(home) => {
                        edit.remove_from_project(task, home).map(|_| format!("remove {task} from {home}"))
                    }
                    None => return,
                },
                12 if edit.world().workspace_of(task) == edit.world().workspace_of(other) => {
                    edit.set_parent(task, Some(other)).map(|_| format!("put {task} below {other}"))
                }
                13 if edit.world().parent_of_task(task).is_some() => {
                    edit.set_parent(task, None).map(|_| format!("take {task} from its parent"))
                }
                14 if projects.len() > 2 => {
                    for task in edit.world().tasks_of_project(project) {
                        if edit.world().projects_of_task(task).len() == 1
                            && !edit.world().sees(viewer, project)
                        {
                            note_quiet(edit.world(), task, quiet);
                        }
                    }
                    edit.delete_project(project).map(|_| format!("delete project {project}"))
                }
                15 if projects.len() > 2 => {
                    hidden.push(project);
                    quiet.insert(project.to_string());
                    edit.hide_project(project).map(|_| format!("hide {project}"))
                }
                16 => match hidden.pop() {
                    Some(project) => edit.show_project(project).map(|_| format!("show {project}")),
                    None => return,
                },
                _ => return,
            };
            if done.is_err() {
                deleted.truncate(before);
            }
            log.extend(done.ok());
        });
    }

    /// Syncs until everything was read, with faults and kills on the way.
    fn sync(&mut self) {
        let gaps: &[u32] =
            if self.is_refused_events { &[26 * 60, 50 * 60] } else { &[10, 60, 60, 26 * 60, 50 * 60] };
        let gap = gaps[self.numbers.below(gaps.len())];
        self.account.simulator.advance(MINUTE * gap);
        self.log.push(format!("{gap} minutes later"));
        let is_gap = gap > 23 * 60;
        let seed = self.numbers.next();
        if self.is_refused_events {
            let refused = Fault::Status { status: 403, retry_after: None };
            self.account.simulator.faults().add(FaultRule::new("/events", refused));
        }
        for (index, fault) in [
            Fault::Status { status: 500, retry_after: None },
            Fault::Status { status: 429, retry_after: Some(0) },
            Fault::ResetBeforeHeaders,
        ]
        .into_iter()
        .enumerate()
        {
            let rule = FaultRule::new("*", fault).probability(0.01, seed.wrapping_add(index as u64));
            self.account.simulator.faults().add(rule);
        }
        let mut reader = InProcess::new(&self.account.simulator.base_url());
        reader.checkpoint_every = Some(Duration::ZERO);
        for attempt in 0..6 {
            let run = reader.read(&self.catalog, self.state.as_ref());
            let is_killed = attempt < 2 && self.numbers.is_one_in(3);
            let share = if is_killed { self.numbers.below(1000) as f64 / 1000.0 } else { 1.0 };
            let seen = Run { messages: cut(&run, share).to_vec(), exit_code: None };
            match attempt {
                0 => self.replica.write(&seen, &self.catalog),
                _ => self.replica.write_more(&seen, &self.catalog),
            }
            self.note_times(&seen);
            self.state = merged(self.state.take(), &seen.messages);
            self.log.push(format!("sync, {share} of it"));
            if !is_killed && run.exit_code == Some(0) {
                break;
            }
        }
        self.account.simulator.faults().clear();
        let Self { account, undeleted, unnoticed, .. } = self;
        account.simulator.world(|world| {
            for task in undeleted.drain(..) {
                if is_gap || !has_events(world, task) {
                    note_below(world, task, unnoticed);
                }
            }
        });
    }

    fn note_times(&mut self, run: &Run) {
        for (stream, _) in selected(&self.catalog) {
            for record in run.records(&stream) {
                if let (Value::Null, Some(time)) = (&record[DELETED_AT], record["modified_at"].as_str()) {
                    let gid = record["gid"].as_str().unwrap().to_owned();
                    self.times.insert((stream.clone(), gid), time.to_owned());
                }
            }
        }
    }

    /// Asserts that the replica is the account.
    fn check(&self, is_last: bool) {
        let log = || self.log.join("\n");
        let account = &self.account;
        let ghosts: Vec<_> = self.replica.ghosts(account, &self.catalog).into_iter().collect();
        let is_excused = |gid: &String| {
            account.simulator.world(|world| {
                let gid: Gid = gid.parse().unwrap();
                let is_quiet = self.quiet.contains(&gid.to_string())
                    || above(world, gid).iter().any(|above| self.quiet.contains(&above.to_string()));
                !is_last && is_quiet || is_out_of_sight(world, gid)
            })
        };
        let ghosts: Vec<_> = ghosts.iter().filter(|(_, gid)| !is_excused(gid)).collect();
        assert!(ghosts.is_empty(), "stay although they are deleted: {ghosts:?}\n{}", log());
        let invisible = account.simulator.world(|world| match account.plan {
            Plan::Free => unlisted(world),
            _ => BTreeSet::new(),
        });
        let missing = self.replica.missing(account, &self.catalog);
        let is_excused = |gid: &String| invisible.contains(gid) || self.unnoticed.contains(gid);
        let missing: Vec<_> = missing.iter().filter(|(_, gid)| !is_excused(gid)).collect();
        assert!(missing.is_empty(), "missing: {missing:?}\n{}", log());
        for stream in ["tasks", "subtasks"] {
            for gid in self.replica.rows(stream).intersection(&all_keys(account, stream)) {
                if invisible.contains(gid) || self.unnoticed.contains(gid) {
                    continue;
                }
                let task: Gid = gid.parse().unwrap();
                let time = account.simulator.world(|world| world.task_modified_at(task).to_string());
                let known = &self.times[&(stream.to_owned(), gid.clone())];
                assert_eq!(*known, time, "{stream} {gid} is not as it was read last\n{}", log());
            }
        }
    }
}

/// A task, everything below it, and what is on them.
fn note_below(world: &World, task: Gid, noted: &mut BTreeSet<String>) {
    noted.insert(task.to_string());
    let on_it = [world.stories_of_task(task), world.attachments(task)].concat();
    noted.extend(on_it.iter().map(ToString::to_string));
    world.subtasks_of_task(task).into_iter().for_each(|subtask| note_below(world, subtask, noted));
}

/// Whether the events of a project tell of a task.
fn has_events(world: &World, task: Gid) -> bool {
    let viewer = world.main_viewer();
    world.projects_of_task(task).iter().any(|project| world.sees(viewer, *project))
        || world.parent_of_task(task).is_some_and(|parent| has_events(world, parent))
}

/// Notes a task that no event tells of, with everything below.
fn note_quiet(world: &World, task: Gid, quiet: &mut BTreeSet<String>) {
    if !has_events(world, task) {
        note_below(world, task, quiet);
    }
}

/// Whether a record may not be seen, or was deleted and what it was in may not be seen.
fn is_out_of_sight(world: &World, gid: Gid) -> bool {
    if world.exists(gid) {
        return !world.sees(world.main_viewer(), gid);
    }
    above(world, gid).into_iter().any(|above| is_out_of_sight(world, above))
}

/// What a record is on, in or below.
fn above(world: &World, gid: Gid) -> Vec<Gid> {
    match gid.kind() {
        Kind::Story => vec![world.task_of(gid)],
        Kind::Attachment => vec![world.parent_of_attachment(gid)],
        Kind::Task => world.projects_of_task(gid).into_iter().chain(world.parent_of_task(gid)).collect(),
        _ => Vec::new(),
    }
}

/// What no listing of the free plan shows.
fn unlisted(world: &World) -> BTreeSet<String> {
    let viewer = world.main_viewer();
    let is_unlisted = |task: &Gid| {
        world.parent_of_task(*task).is_none()
            && !world.projects_of_task(*task).iter().any(|project| world.sees(viewer, *project))
            && world.assignee_of_task(*task).is_none()
    };
    let mut found = BTreeSet::new();
    for task in world.visible(Kind::Task, viewer).filter(is_unlisted) {
        note_below(world, task, &mut found);
    }
    found
}

/// Two tests, so that two cores share the histories.
#[test]
fn after_every_complete_sync_the_replica_is_the_account() {
    (0..HISTORIES).step_by(2).for_each(live_through);
}

#[test]
fn after_every_complete_sync_of_other_histories_the_replica_is_the_account() {
    (1..HISTORIES).step_by(2).for_each(live_through);
}

fn live_through(seed: u64) {
    let only = std::env::var("MODEL_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    if only.is_some_and(|only| only != seed) {
        return;
    }
    let mut history = History::new(seed);
    history.sync();
    history.check(false);
    for _ in 0..SYNCS {
        for _ in 0..1 + history.numbers.below(8) {
            history.edit();
        }
        history.sync();
        history.check(false);
    }
    // Everything is in sight again, and a day goes by.
    while let Some(project) = history.hidden.pop() {
        let shown = history.account.simulator.edit(|edit: &mut Editor<'_>| edit.show_project(project));
        shown.unwrap();
    }
    for _ in 0..2 {
        history.account.simulator.advance(DAY);
        history.sync();
    }
    history.check(true);
}
