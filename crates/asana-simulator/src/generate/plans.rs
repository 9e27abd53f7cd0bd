//! Templates, portfolios, goals, status updates, webhooks and the audit log.

use super::draw::{instant, placed, subject, users};
use super::people::{custom_field, setting};
use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::random::Random;
use crate::scale::Scale;
use crate::time::Timestamp;
use crate::vocabulary;
use crate::world::World;

pub(super) fn project_templates(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let teams = world.workspaces[workspace as usize].teams.clone();
    let everyone = users(world, workspace);
    if teams.is_empty() {
        return;
    }
    for place in 0..scale.project_templates as usize {
        let template = world.project_templates.len() as Index;
        world.project_templates.push(ProjectTemplate {
            workspace,
            team: *random.pick(&teams),
            name: subject(random, place),
            owner: (place % 3 != 2).then(|| *random.pick(&everyone)),
            first_role: template * 2,
            seed: random.next(),
        });
        world.workspaces[workspace as usize].project_templates.push(template);
    }
}

/// Task templates of some projects.
pub(super) fn task_templates(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let projects: Vec<Index> = world.workspaces[workspace as usize].generated.projects.clone().collect();
    let everyone = users(world, workspace);
    for place in 0..scale.task_templates as usize {
        let template = world.task_templates.len() as Index;
        let project = projects[(place * 2) % projects.len()];
        let created_at = instant(world, random, 300, 900);
        world.task_templates.push(TaskTemplate {
            project,
            name: subject(random, place),
            created_by: *random.pick(&everyone),
            created_at,
            seed: random.next(),
        });
        world.projects[project as usize].task_templates.push(template);
    }
}

/// Portfolios: the main user owns every second one; the first contains the second, and one stays empty.
pub(super) fn portfolios(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let everyone = users(world, workspace);
    let projects: Vec<Index> = world.workspaces[workspace as usize].generated.projects.clone().collect();
    let templates = world.workspaces[workspace as usize].project_templates.clone();
    let count = scale.portfolios as usize;
    for place in 0..count {
        let portfolio = world.portfolios.len() as Index;
        let owner = if place % 2 == 0 { 0 } else { everyone[1 + place % (everyone.len() - 1)] };
        let mut items: Vec<Gid> = Vec::new();
        if place == 0 && count > 1 {
            items.push(Gid::new(Kind::Portfolio, portfolio + 1));
        }
        if place + 1 < count || count == 1 {
            let size = random.between(2, 6) as usize;
            items.extend(
                random.sample(&projects, size).into_iter().map(|project| Gid::new(Kind::Project, project)),
            );
        }
        let size = random.between(1, 4) as usize;
        let members = random.sample(&everyone, size);
        let created_at = instant(world, random, 100, 600);
        world.portfolios.push(Portfolio {
            workspace,
            name: subject(random, place),
            owner,
            members,
            created_at,
            items,
            settings: Vec::new(),
            statuses: Vec::new(),
            project_templates: if place == 0 { templates.clone() } else { Vec::new() },
            seed: random.next(),
        });
        world.workspaces[workspace as usize].portfolios.push(portfolio);
        let gid = Gid::new(Kind::Portfolio, portfolio);
        if place % 2 == 0 {
            enable_fields(world, workspace, gid, place, random);
        }
        if place % 2 == 0 && place + 1 < count {
            statuses(world, workspace, gid, random);
        }
    }
}

/// Goals of the workspace and of teams, each with a different kind of supporter.
pub(super) fn goals(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let everyone = users(world, workspace);
    let home = &world.workspaces[workspace as usize];
    let (teams, periods) = (home.teams.clone(), home.time_periods.clone());
    let projects = home.generated.projects.clone();
    let tasks = home.generated.tasks.clone();
    let portfolios = home.portfolios.clone();
    let first = world.goals.len() as Index;
    for place in 0..scale.goals as usize {
        let goal = world.goals.len() as Index;
        let size = random.between(1, 5) as usize;
        let followers = random.sample(&everyone, size);
        world.goals.push(Goal {
            workspace,
            team: (place % 2 == 1).then(|| teams.first().copied()).flatten(),
            name: subject(random, place),
            notes: if place % 3 == 2 { String::new() } else { vocabulary::prose(random) },
            owner: (place % 5 != 4).then(|| *random.pick(&everyone)),
            followers,
            time_period: (place % 4 != 3).then(|| *random.pick(&periods)),
            relationships: Vec::new(),
            settings: Vec::new(),
            statuses: Vec::new(),
            seed: placed(random, place),
        });
        world.workspaces[workspace as usize].goals.push(goal);
        let gid = Gid::new(Kind::Goal, goal);
        if place % 3 == 0 {
            statuses(world, workspace, gid, random);
            enable_fields(world, workspace, gid, place, random);
        }
        if place % 6 == 5 {
            continue;
        }
        let supporting = match place % 4 {
            1 => Gid::new(Kind::Project, projects.start),
            2 if !portfolios.is_empty() => Gid::new(Kind::Portfolio, portfolios[0]),
            3 => Gid::new(Kind::Task, tasks.start + 5),
            _ if goal > first => Gid::new(Kind::Goal, goal - 1),
            _ => Gid::new(Kind::Project, projects.start),
        };
        for (supporting, weight) in [(supporting, 1.0), (Gid::new(Kind::Project, projects.start + 1), 0.25)] {
            let relationship = world.goal_relationships.len() as Index;
            world.goal_relationships.push(GoalRelationship { goal, supporting, weight });
            world.goals[goal as usize].relationships.push(relationship);
        }
    }
}

/// One of the workspace's fields and one of its own.
fn enable_fields(world: &mut World, workspace: Index, parent: Gid, place: usize, random: &mut Random) {
    let shared = world.workspaces[workspace as usize].generated.fields.clone();
    for field in random.sample(&shared, 2) {
        setting(world, parent, field);
    }
    let field = custom_field(world, workspace, FieldShape::MultiEnum, FieldScope::Local, place, random);
    setting(world, parent, field);
}

pub(super) fn project_statuses(world: &mut World, workspace: Index, random: &mut Random) {
    for project in world.workspaces[workspace as usize].generated.projects.clone() {
        if project % 5 < 2 {
            statuses(world, workspace, Gid::new(Kind::Project, project), random);
        }
    }
}

/// One to three status updates of a project, portfolio or goal, oldest first.
fn statuses(world: &mut World, workspace: Index, parent: Gid, random: &mut Random) {
    const OF_PROJECT: [&str; 5] = ["on_track", "at_risk", "off_track", "on_hold", "complete"];
    const OF_GOAL: [&str; 7] =
        ["on_track", "at_risk", "off_track", "achieved", "partial", "missed", "dropped"];
    let everyone = users(world, workspace);
    let mut created_at = instant(world, random, 500, 800);
    for _ in 0..random.between(1, 3) {
        let status = match parent.kind() {
            Kind::Goal => *random.pick(&OF_GOAL),
            _ => *random.pick(&OF_PROJECT),
        };
        let title = format!("Status Update - {}", created_at.day());
        let text = vocabulary::prose(random);
        add_status(world, parent, title, text, status, *random.pick(&everyone), created_at, random.next());
        created_at = Timestamp(created_at.0 + random.below(50 * crate::time::DAY as u64) as i64);
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one record, each given once by its two callers")]
pub(crate) fn add_status(
    world: &mut World,
    parent: Gid,
    title: String,
    text: String,
    status: &'static str,
    author: Index,
    created_at: Timestamp,
    seed: u64,
) -> Index {
    let index = world.status_updates.len() as Index;
    world.status_updates.push(StatusUpdate {
        parent,
        title,
        text,
        status,
        author,
        created_at,
        modified_at: created_at,
        seed,
    });
    let at = parent.index() as usize;
    match parent.kind() {
        Kind::Project => world.projects[at].statuses.push(index),
        Kind::Portfolio => world.portfolios[at].statuses.push(index),
        Kind::Goal => world.goals[at].statuses.push(index),
        _ => {}
    }
    index
}

/// Webhooks on projects and tasks.
pub(super) fn webhooks(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let generated = world.workspaces[workspace as usize].generated.clone();
    for place in 0..scale.webhooks {
        let resource = if place % 3 == 2 {
            Gid::new(Kind::Task, generated.tasks.start + place)
        } else {
            Gid::new(Kind::Project, generated.projects.start + place % 2)
        };
        let created_at = instant(world, random, 600, 900);
        world.workspaces[workspace as usize].webhooks.push(world.webhooks.len() as Index);
        world.webhooks.push(Webhook { resource, created_at, seed: random.next() });
    }
}

/// Audit log events in the order of their time; the log reaches back 90 days.
pub(super) fn audit_log(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    const TYPES: [(&str, &str); 10] = [
        ("task_deleted", "deletion"),
        ("user_login_succeeded", "logins"),
        ("project_deleted", "deletion"),
        ("team_member_added", "access_control"),
        ("user_login_failed", "logins"),
        ("attachment_deleted", "deletion"),
        ("custom_field_created", "content_update"),
        ("workspace_export_started", "admin_settings"),
        ("user_division_admin_role_changed", "roles"),
        ("task_undeleted", "deletion"),
    ];
    let everyone = users(world, workspace);
    let tasks = world.workspaces[workspace as usize].generated.tasks.clone();
    let count = u64::from(scale.audit_log_events);
    for place in 0..count {
        let (event_type, category) = TYPES[place as usize % TYPES.len()];
        let resource = if category == "logins" {
            Gid::new(Kind::User, *random.pick(&everyone))
        } else {
            Gid::new(Kind::Task, tasks.start + random.below(tasks.len() as u64) as Index)
        };
        let created_at =
            instant(world, random, 900 + 100 * place / count, 900 + 100 * (place + 1) / count + 1);
        let previous = world.audit_log_events.last().map_or(Timestamp(0), |event| event.created_at);
        let resource_name = vocabulary::subject(random);
        world.workspaces[workspace as usize].audit_log_events.push(world.audit_log_events.len() as Index);
        world.audit_log_events.push(AuditLogEvent {
            created_at: created_at.max(previous).min(world.end),
            event_type,
            category,
            actor: *random.pick(&everyone),
            resource,
            resource_name,
            seed: random.next(),
        });
    }
}
