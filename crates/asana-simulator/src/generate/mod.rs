//! Makes a world from a seed: workspace after workspace, and in each what others refer to first. Knows neither
//! JSON nor HTTP.

mod people;
mod plans;
mod work;

pub(crate) use plans::add_status;
pub(crate) use work::{add_section, add_to_section, assign, attach, blank_task, story_step};

use std::collections::HashMap;

use crate::events::EventLog;
use crate::gid::Index;
use crate::model::*;
use crate::random::Random;
use crate::scale::Scale;
use crate::time::{DAY, Day, Timestamp};
use crate::vocabulary;
use crate::world::World;

/// How long before its end a world's history begins.
const HISTORY: i64 = 900 * DAY;

pub(crate) fn world(seed: u64, scale: &Scale) -> World {
    let mut world = empty(seed);
    workspace(&mut world, scale, WorkspaceForm::Organization);
    for _ in 0..scale.plain_workspaces {
        workspace(&mut world, &scale.of_plain_workspace(), WorkspaceForm::Plain);
    }
    world
}

fn workspace(world: &mut World, scale: &Scale, form: WorkspaceForm) {
    let mut random = Random::keyed(world.seed, 0x5eed + world.workspaces.len() as u64);
    let workspace = people::workspace(world, scale, form, &mut random);
    people::teams(world, workspace, scale, &mut random);
    people::custom_fields(world, workspace, scale, &mut random);
    people::tags(world, workspace, scale, &mut random);
    people::time_periods(world, workspace);
    plans::project_templates(world, workspace, scale, &mut random);
    work::projects(world, workspace, scale, &mut random);
    work::tasks(world, workspace, scale, &mut random);
    plans::task_templates(world, workspace, scale, &mut random);
    plans::portfolios(world, workspace, scale, &mut random);
    plans::goals(world, workspace, scale, &mut random);
    plans::project_statuses(world, workspace, &mut random);
    plans::webhooks(world, workspace, scale, &mut random);
    plans::audit_log(world, workspace, scale, &mut random);
}

fn empty(seed: u64) -> World {
    World {
        seed,
        end: Day::of(2025, 6, 30).start(),
        workspaces: Vec::new(),
        users: Vec::new(),
        workspace_memberships: Vec::new(),
        teams: Vec::new(),
        team_memberships: Vec::new(),
        projects: Vec::new(),
        sections: Vec::new(),
        tasks: Vec::new(),
        generated_stories: 0,
        added_stories: Vec::new(),
        added_stories_of: HashMap::new(),
        changed_stories: HashMap::new(),
        field_values: HashMap::new(),
        attachments: Vec::new(),
        tags: Vec::new(),
        custom_fields: Vec::new(),
        enum_options: Vec::new(),
        custom_field_settings: Vec::new(),
        webhooks: Vec::new(),
        project_templates: Vec::new(),
        task_templates: Vec::new(),
        status_updates: Vec::new(),
        portfolios: Vec::new(),
        goals: Vec::new(),
        goal_relationships: Vec::new(),
        time_periods: Vec::new(),
        audit_log_events: Vec::new(),
        custom_types: Vec::new(),
        next_rank: 1,
        events: EventLog::default(),
        touched: Vec::new(),
    }
}

/// An instant in the world's history, at a part of it given in thousandths, and up to a part later.
fn instant(world: &World, random: &mut Random, from: u64, to: u64) -> Timestamp {
    let span = HISTORY as u64;
    let offset = span * from / 1000 + random.below((span * (to - from) / 1000).max(1));
    Timestamp(world.end.0 - HISTORY + offset as i64)
}

/// A seed whose last byte is the record's place among its kind. What every world must show, however small, hangs
/// on that byte; the rest is chance.
fn placed(random: &mut Random, place: usize) -> u64 {
    random.next() & !0xff | (place as u64 & 0xff)
}

/// The workspace's users, as they were generated.
fn users(world: &World, workspace: Index) -> Vec<Index> {
    world.workspaces[workspace as usize].generated.users.clone()
}

/// A name, or at the first places of a kind one of the awkward ones, so that every world holds those.
fn subject(random: &mut Random, place: usize) -> String {
    let subject = vocabulary::subject(random);
    if place % 3 == 2 { format!("{subject} {}", vocabulary::awkward(place / 3)) } else { subject }
}
