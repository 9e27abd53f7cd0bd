//! The table of all streams, parents before children.

use crate::stream::Stream;

pub mod shared;

pub mod attachments;
pub mod audit_log_events;
pub mod custom_field_settings;
pub mod custom_fields;
pub mod goal_relationships;
pub mod goals;
pub mod portfolio_items;
pub mod portfolios;
pub mod project_templates;
pub mod projects;
pub mod sections;
pub mod status_updates;
pub mod stories;
pub mod subtasks;
pub mod tags;
pub mod task_templates;
pub mod tasks;
pub mod team_memberships;
pub mod teams;
pub mod time_periods;
pub mod users;
pub mod webhooks;
pub mod workspace_memberships;
pub mod workspaces;

/// All streams. To add one, add a file and a line here.
pub static ALL: &[&Stream] = &[
    &workspaces::STREAM,
    &users::STREAM,
    &teams::STREAM,
    &team_memberships::STREAM,
    &workspace_memberships::STREAM,
    &tags::STREAM,
    &custom_fields::STREAM,
    &projects::STREAM,
    &sections::STREAM,
    &tasks::STREAM,
    &subtasks::STREAM,
    &stories::STREAM,
    &attachments::STREAM,
    &portfolios::STREAM,
    &portfolio_items::STREAM,
    &goals::STREAM,
    &goal_relationships::STREAM,
    &time_periods::STREAM,
    &custom_field_settings::STREAM,
    &status_updates::STREAM,
    &project_templates::STREAM,
    &task_templates::STREAM,
    &webhooks::STREAM,
    &audit_log_events::STREAM,
];
