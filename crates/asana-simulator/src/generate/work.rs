//! Projects, sections, tasks, subtasks and attachments.

use super::draw::{instant, placed, subject, users};
use super::people::{custom_field, setting};
use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::random::{Random, mix};
use crate::scale::{Scale, UnassignedOrphans};
use crate::time::{HOUR, MINUTE, Timestamp};
use crate::vocabulary;
use crate::world::World;

/// Asana's own limit on the depth of subtasks.
pub(crate) const DEEPEST: u8 = 5;

/// Projects with sections and settings. The last one stays empty; in organizations the one before it is private
/// to others.
pub(super) fn projects(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let first = world.projects.len() as Index;
    let everyone = users(world, workspace);
    let teams = world.workspaces[workspace as usize].teams.clone();
    let templates = world.workspaces[workspace as usize].project_templates.clone();
    for place in 0..scale.projects as usize {
        let project = world.projects.len() as Index;
        let secret = !teams.is_empty() && place + 2 == scale.projects as usize;
        let size = random.between(2, 8.min(everyone.len() as u64)) as usize;
        let mut members = random.sample(&everyone, size);
        members.retain(|user| !secret || *user != 0);
        if !secret && !members.contains(&0) {
            members.insert(0, 0);
        }
        if members.is_empty() {
            members.push(everyone[everyone.len() - 1]);
        }
        let created_at = instant(world, random, 0, 300);
        let modified_at = instant(world, random, 300, 1000);
        let completed = (place % 5 == 1).then(|| (modified_at, *random.pick(&everyone)));
        let name = subject(random, place);
        let notes = if place % 4 == 3 { String::new() } else { vocabulary::prose(random) };
        world.projects.push(Project {
            workspace,
            team: (!teams.is_empty()).then(|| *random.pick(&teams)),
            name,
            notes,
            archived: place % 4 == 2,
            privacy: if secret || place % 6 == 4 { Privacy::Private } else { Privacy::PublicToWorkspace },
            owner: (place % 7 != 6).then(|| members[0]),
            members,
            created_at,
            modified_at,
            completed,
            template: (place % 3 == 1).then(|| templates.first().copied()).flatten(),
            brief: place % 3 == 0,
            sections: Vec::new(),
            tasks: Vec::new(),
            settings: Vec::new(),
            statuses: Vec::new(),
            attachments: Vec::new(),
            task_templates: Vec::new(),
            seed: placed(random, place),
            presence: Presence::Present,
        });
        world.workspaces[workspace as usize].projects.push(project);
        let sections = random.between(1, u64::from(scale.sections.max(1)));
        for section in 0..=sections {
            let name =
                if section == 0 { "Untitled section".to_owned() } else { subject(random, section as usize) };
            add_section(world, project, name, created_at);
        }
        settings(world, project, place, random);
        if place % 2 == 0 {
            attach(world, Gid::new(Kind::Project, project), created_at, random);
        }
    }
    world.workspaces[workspace as usize].generated.projects = first..world.projects.len() as Index;
}

/// Enables custom fields for a project: none for every fifth one, else some of the workspace's and at times one
/// of its own.
fn settings(world: &mut World, project: Index, place: usize, random: &mut Random) {
    if place % 5 == 4 {
        return;
    }
    let workspace = world.projects[project as usize].workspace;
    let shared = world.workspaces[workspace as usize].generated.fields.clone();
    let count = if place == 0 { shared.len().min(14) } else { random.between(1, 5) as usize };
    for field in random.sample(&shared, count) {
        setting(world, Gid::new(Kind::Project, project), field);
    }
    if place.is_multiple_of(2) {
        let shape = if place.is_multiple_of(4) { FieldShape::Text } else { FieldShape::Enum };
        let field = custom_field(world, workspace, shape, FieldScope::Local, place, random);
        setting(world, Gid::new(Kind::Project, project), field);
    }
}

/// Adds a section at the end of a project.
pub(crate) fn add_section(world: &mut World, project: Index, name: String, created_at: Timestamp) -> Index {
    let section = world.sections.len() as Index;
    let place = world.projects[project as usize].sections.len() as u32;
    world.sections.push(Section { project, name, created_at, place, presence: Presence::Present });
    world.projects[project as usize].sections.push(section);
    section
}

/// Adds a task at the end of a section.
pub(crate) fn add_to_section(world: &mut World, task: Index, project: Index, section: Index) {
    let rank = u64::from(world.sections[section as usize].place) << 40 | world.next_rank;
    world.next_rank += 1;
    world.tasks[task as usize].memberships.push(Membership { project, section, rank });
    let tasks = &mut world.projects[project as usize].tasks;
    let position = tasks.partition_point(|(other, _)| *other < rank);
    tasks.insert(position, (rank, task));
}

/// Attaches a new file to a task, project or project brief.
pub(crate) fn attach(world: &mut World, parent: Gid, after: Timestamp, random: &mut Random) -> Index {
    const NAMES: [&str; 6] = [
        "Screenshot.png",
        "Angebot \"final\" (2).pdf",
        "データ.csv",
        "notes\nwith newline.txt",
        "clip 🎬.mp4",
        "design.fig",
    ];
    let attachment = world.attachments.len() as Index;
    world.attachments.push(Attachment {
        parent,
        name: NAMES[attachment as usize % NAMES.len()].to_owned(),
        created_at: Timestamp(after.0 + random.below(MINUTE as u64) as i64),
        seed: random.next(),
        presence: Presence::Present,
    });
    let at = parent.index() as usize;
    match parent.kind() {
        Kind::Task => world.tasks[at].attachments.push(attachment),
        Kind::Project => world.projects[at].attachments.push(attachment),
        _ => {}
    }
    attachment
}

/// All tasks of a workspace: top-level ones first, then subtasks level by level.
pub(super) fn tasks(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let first = world.tasks.len() as Index;
    let everyone = users(world, workspace);
    for place in 0..scale.tasks {
        let part = u64::from(place) * 900 / u64::from(scale.tasks);
        top_level_task(world, workspace, scale, part, place, &everyone, random);
    }
    for place in 0..scale.subtasks {
        let parent = parent_for(world, first, place, scale, random);
        subtask(world, parent, place, &everyone, random);
    }
    let last = world.tasks.len() as Index;
    world.workspaces[workspace as usize].generated.tasks = first..last;
    let longest = first + (last - first) / 3;
    for task in first..last {
        let mean = u64::from(scale.stories);
        let stories =
            if task == longest { u64::from(scale.longest_history) } else { random.between(0, mean * 2) };
        give_history(world, task, stories as u32);
        if random.below(100) < u64::from(scale.attachments) {
            for _ in 0..random.between(1, 3) {
                let after = world.tasks[task as usize].created_at;
                attach(world, Gid::new(Kind::Task, task), after, random);
            }
        }
    }
}

/// Reserves a task's generated stories and sets its last modification to the youngest of them.
fn give_history(world: &mut World, task: Index, stories: u32) {
    let first_story = world.generated_stories;
    world.generated_stories += stories;
    let end = world.end;
    let record = &mut world.tasks[task as usize];
    record.first_story = first_story;
    record.generated_stories = stories;
    let youngest = record.created_at.0 + story_step(record.seed) * i64::from(stories);
    let completed = record.completed_at.map_or(0, |completed| completed.0);
    record.modified_at = Timestamp(youngest.max(completed).max(record.modified_at.0).min(end.0));
}

/// The time between two generated stories of a task.
pub(crate) fn story_step(seed: u64) -> i64 {
    MINUTE + (mix(seed ^ 0x57e9) % HOUR as u64) as i64
}

/// A task without project and assignee, with everything that depends only on its seed.
pub(crate) fn blank_task(workspace: Index, seed: u64, created_at: Timestamp) -> Task {
    Task {
        name: None,
        notes: None,
        workspace,
        parent: None,
        assignee: None,
        created_at,
        modified_at: created_at,
        completed_at: None,
        memberships: Vec::new(),
        subtasks: Vec::new(),
        tags: Vec::new(),
        attachments: Vec::new(),
        first_story: 0,
        generated_stories: 0,
        seed,
        subtype: match seed & 0xff {
            place if place % 10 == 2 => TaskSubtype::Milestone,
            place if place % 10 == 5 => TaskSubtype::Approval,
            place if place % 20 == 9 => TaskSubtype::Custom,
            _ => TaskSubtype::Default,
        },
        depth: 0,
        presence: Presence::Present,
    }
}

/// One top-level task: in one to five projects, or in none.
fn top_level_task(
    world: &mut World,
    workspace: Index,
    scale: &Scale,
    part: u64,
    place: u32,
    everyone: &[Index],
    random: &mut Random,
) {
    let task = world.tasks.len() as Index;
    // Every ninth task has the same time as its predecessor, like imported tasks.
    let created_at = match world.tasks.last() {
        Some(previous) if place % 9 == 8 => previous.created_at,
        _ => instant(world, random, part, part + 1),
    };
    let seed = placed(random, place as usize);
    world.tasks.push(blank_task(workspace, seed, created_at));
    let orphan = random.below(100) < u64::from(scale.orphans) || place == 3 || place == 7;
    let unassigned = orphan && place != 3 && (place == 7 || random.percent(30));
    match scale.unassigned_orphans {
        UnassignedOrphans::Present if unassigned => {}
        _ if orphan || random.percent(65) => assign(world, task, *random.pick(everyone)),
        _ => {}
    }
    finish(world, task, random);
    if !orphan {
        let count = match random.below(100) {
            _ if place == 1 => 5,
            0..=79 => 1,
            80..=91 => 2,
            92..=95 => 3,
            96..=98 => 4,
            _ => 5,
        };
        let mut chosen: Vec<Index> = Vec::new();
        for _ in 0..count {
            let project = some_project(world, workspace, scale, random);
            if !chosen.contains(&project) {
                chosen.push(project);
            }
        }
        for project in chosen {
            add_to_project(world, task, project, random);
        }
    }
}

/// The first project gets the scale's share of tasks, the others but the last share the rest.
fn some_project(world: &World, workspace: Index, scale: &Scale, random: &mut Random) -> Index {
    let projects = &world.workspaces[workspace as usize].generated.projects;
    let others = (projects.len() as u64).saturating_sub(2);
    if others == 0 || random.below(100) < u64::from(scale.largest_project) {
        return projects.start;
    }
    projects.start + 1 + random.below(others) as Index
}

/// Adds a task to a section of a project. If there are three, the last one stays empty.
fn add_to_project(world: &mut World, task: Index, project: Index, random: &mut Random) {
    let sections = world.projects[project as usize].sections.clone();
    let used = if sections.len() > 2 { &sections[..sections.len() - 1] } else { &sections[..] };
    let section = *random.pick(used);
    add_to_section(world, task, project, section);
}

/// Assigns a task to a user of its workspace.
pub(crate) fn assign(world: &mut World, task: Index, user: Index) {
    let workspace = world.tasks[task as usize].workspace;
    if let Some(membership) = world.membership(workspace, user) {
        let assigned = &mut world.workspace_memberships[membership as usize].assigned;
        let position = assigned.partition_point(|other| *other < task);
        assigned.insert(position, task);
        world.tasks[task as usize].assignee = Some(user);
    }
}

/// Completion and tags.
fn finish(world: &mut World, task: Index, random: &mut Random) {
    let end = world.end;
    let tags = world.workspaces[world.tasks[task as usize].workspace as usize].generated.tags.clone();
    let record = &mut world.tasks[task as usize];
    if random.percent(40) {
        let later = random.below(30 * 24 * HOUR as u64) as i64;
        record.completed_at = Some(Timestamp((record.created_at.0 + later).min(end.0)));
    }
    if random.percent(25) {
        let all: Vec<Index> = tags.collect();
        let count = random.between(1, 3) as usize;
        for tag in random.sample(&all, count) {
            world.tasks[task as usize].tags.push(tag);
            world.tags[tag as usize].tasks.push(task);
        }
    }
}

/// The first subtasks of a workspace form one chain to the deepest level; then come the widest parent's.
fn parent_for(world: &World, first: Index, place: u32, scale: &Scale, random: &mut Random) -> Index {
    let count = world.tasks.len() as Index - first;
    let deepest = u32::from(DEEPEST);
    if place == 0 {
        return first + 1;
    }
    if place < deepest {
        return first + count - 1;
    }
    if place < deepest + scale.widest_parent {
        return first + 2;
    }
    loop {
        // Parents are few: a quarter of the tasks take all subtasks.
        let candidate = first + (random.below(u64::from(count / 4).max(1)) * 4) as Index;
        if candidate - first < count && world.tasks[candidate as usize].depth < DEEPEST {
            return candidate;
        }
    }
}

fn subtask(world: &mut World, parent: Index, place: u32, everyone: &[Index], random: &mut Random) {
    let task = world.tasks.len() as Index;
    let above = &world.tasks[parent as usize];
    let (workspace, depth) = (above.workspace, above.depth + 1);
    let created_at = Timestamp((above.created_at.0 + random.below(48 * HOUR as u64) as i64).min(world.end.0));
    let homes: Vec<Index> = above.memberships.iter().map(|membership| membership.project).collect();
    let mut record = blank_task(workspace, placed(random, place as usize), created_at);
    record.parent = Some(parent);
    record.depth = depth;
    world.tasks.push(record);
    world.tasks[parent as usize].subtasks.push(task);
    if random.percent(50) {
        assign(world, task, *random.pick(everyone));
    }
    finish(world, task, random);
    if let Some(home) = homes.first().filter(|_| place % 15 == 2 || place == 5) {
        add_to_project(world, task, *home, random);
    } else if place == 1 {
        let project = world.workspaces[workspace as usize].generated.projects.start;
        add_to_project(world, task, project, random);
    }
}
