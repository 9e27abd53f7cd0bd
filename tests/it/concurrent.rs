//! Objects that are edited while a sync runs: whenever it happens, the next sync emits the change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asana_simulator::{EditError, Editor, Gid, Kind, Options, Plan, Scale, Simulator, Token, World};
use proptest::prelude::*;
use serde_json::Value;

use crate::harness::{Run, TOKEN, whole_catalog};
use crate::in_process::InProcess;
use crate::incremental::delivered_and_deleted;
use crate::truth;

/// One change of an object that the numbers choose; impossible changes are skipped.
#[derive(Clone, Copy, Debug)]
struct Change {
    kind: u8,
    object: usize,
    other: usize,
}

fn change() -> impl Strategy<Value = Change> {
    (0_u8..9, any::<u16>(), any::<u16>()).prop_map(|(kind, object, other)| Change {
        kind,
        object: object.into(),
        other: other.into(),
    })
}

fn pick(gids: Vec<Gid>, number: usize) -> Option<Gid> {
    if gids.is_empty() { None } else { Some(gids[number % gids.len()]) }
}

impl Change {
    fn make(self, edit: &mut Editor<'_>) -> Result<Gid, EditError> {
        let viewer = edit.world().main_viewer();
        let task = pick(edit.world().visible(Kind::Task, viewer).collect(), self.object).unwrap();
        let project = pick(edit.world().visible(Kind::Project, viewer).collect(), self.other).unwrap();
        let workspace = edit.world().workspace_of(project).unwrap();
        match self.kind {
            0 => edit.rename_task(task, &format!("renamed {}", self.other)),
            1 => edit.comment(task, "news"),
            2 => edit.create_task(workspace, "new", &[project]),
            3 => edit.create_subtask(task, "new below"),
            4 => edit.add_to_project(task, project),
            5 => edit.remove_from_project(task, project),
            6 => edit.add_attachment(task, "file.txt"),
            7 => edit.complete_task(task),
            _ => edit.rename_project(project, &format!("renamed {}", self.object)),
        }
    }
}

/// The last version of each task that was delivered.
fn versions(runs: &[&Run]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for record in
        runs.iter().flat_map(|run| ["tasks", "subtasks"].map(|stream| run.records(stream))).flatten()
    {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        found.insert(text("gid"), text("modified_at"));
    }
    found
}

fn truth_of(simulator: &Simulator, stream: &str) -> BTreeSet<String> {
    simulator.world(|world| truth::keys(world, simulator.viewer(TOKEN).unwrap()))[stream].clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_is_edited_while_a_sync_runs_is_known_after_the_next(
        seed in 0_u64..1000,
        plan in prop_oneof![Just(Plan::Paid), Just(Plan::Free)],
        changes in prop::collection::vec(change(), 1..40),
        is_first_sync: bool,
    ) {
        // The search index is not updated before the sync ends.
        let search_lag = Duration::from_secs(50);
        let tokens = vec![Token::new(TOKEN, plan)];
        let options = Options { tokens, search_lag, ..Options::default() };
        let simulator = Simulator::start_blocking(World::generate(seed, &Scale::tiny()), options).unwrap();
        let simulator = Arc::new(simulator);
        let reader = InProcess::new(&simulator.base_url());
        let catalog = whole_catalog("incremental");
        let mut runs = Vec::new();
        let mut state: Option<Value> = None;
        if !is_first_sync {
            runs.push(reader.read(&catalog, None).expect_success());
            state = runs.last().map(Run::state);
        }
        let waiting = Arc::new(Mutex::new(changes));
        let edited = Arc::clone(&simulator);
        let watched = reader.read_watched(&catalog, state.as_ref(), move |_| {
            if let Some(change) = waiting.lock().unwrap().pop() {
                drop(edited.edit(|edit| change.make(edit)));
            }
        });
        let watched = watched.expect_success();
        simulator.advance(Duration::from_secs(60));
        let last = reader.read(&catalog, Some(&watched.state())).expect_success();
        runs.extend([watched, last]);
        let runs: Vec<&Run> = runs.iter().collect();
        let versions = versions(&runs);
        let current = simulator.world(|world| {
            let tasks = world.visible(Kind::Task, simulator.viewer(TOKEN).unwrap());
            tasks.map(|task| (task.to_string(), world.task_modified_at(task).to_string())).collect::<BTreeMap<_, _>>()
        });
        let mut reachable = truth_of(&simulator, "tasks");
        reachable.extend(truth_of(&simulator, "subtasks"));
        if plan == Plan::Free {
            // Only a search would find tasks that are in no listing any more.
            reachable.retain(|gid| is_listed(&simulator, gid));
        }
        for task in reachable {
            prop_assert_eq!(versions.get(&task), current.get(&task), "{}", task);
        }
        if plan == Plan::Paid {
            for stream in ["stories", "attachments", "projects", "sections"] {
                let delivered: BTreeSet<String> =
                    runs.iter().flat_map(|run| delivered_and_deleted(run, stream).0).collect();
                let lost: Vec<_> = truth_of(&simulator, stream).difference(&delivered).cloned().collect();
                prop_assert!(lost.is_empty(), "{}: {:?}", stream, lost);
            }
        }
    }
}

/// Whether the task, or its parent, is in a listing; the others are found by search alone.
fn is_listed(simulator: &Simulator, gid: &str) -> bool {
    simulator.world(|world| {
        let mut task: Gid = gid.parse().unwrap();
        loop {
            let is_listed =
                world.assignee_of_task(task).is_some() || !world.projects_of_task(task).is_empty();
            match world.parent_of_task(task) {
                _ if is_listed && world.parent_of_task(task).is_none() => return true,
                None => return false,
                Some(parent) => task = parent,
            }
        }
    })
}
