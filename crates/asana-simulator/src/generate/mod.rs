//! Generates a world from a seed, workspace by workspace. Within one, records come after those that they refer to.

mod draw;
mod people;
mod plans;
mod work;

pub(crate) use plans::add_status;
pub(crate) use work::{add_section, add_to_section, assign, attach, blank_task, story_step};

use std::collections::HashMap;

use crate::event_log::EventLog;
use crate::model::*;
use crate::random::Random;
use crate::scale::Scale;
use crate::time::Day;
use crate::world::World;

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
