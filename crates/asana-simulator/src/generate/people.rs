//! Workspaces, users, teams, custom fields, tags and time periods.

use super::draw::{instant, subject, users};
use crate::gid::{Gid, Index, Kind};
use crate::model::*;
use crate::random::Random;
use crate::scale::Scale;
use crate::time::Day;
use crate::vocabulary;
use crate::world::World;

/// A workspace, its users and their memberships. The first user belongs to every workspace, and so does every
/// third of the others.
pub(super) fn workspace(world: &mut World, scale: &Scale, form: WorkspaceForm, random: &mut Random) -> Index {
    let workspace = world.workspaces.len() as Index;
    let mut generated = Generated::default();
    let shared: Vec<Index> = (0..world.users.len() as Index)
        .filter(|user| user % 3 == 0)
        .take(1 + scale.users as usize / 2)
        .collect();
    generated.users.extend(shared);
    while generated.users.len() < scale.users as usize {
        let user = world.users.len() as Index;
        let name = if user == 0 { "Greg Sanchez".to_owned() } else { vocabulary::person(random) };
        let local: String = name.to_lowercase().chars().filter(char::is_ascii_alphabetic).collect();
        world.users.push(User {
            email: format!("{local}.{user}@example.com"),
            name,
            photo: user % 4 != 3,
            memberships: Vec::new(),
            seed: random.next(),
        });
        generated.users.push(user);
    }
    let memberships = memberships(world, workspace, &generated.users, random);
    let (name, email_domains) = match form {
        WorkspaceForm::Organization => (
            "Example \"Größe\" GmbH & Co. 🏢".to_owned(),
            vec!["example.com".to_owned(), "example.org".to_owned()],
        ),
        WorkspaceForm::Plain => (format!("Side projects {workspace}"), Vec::new()),
    };
    world.workspaces.push(Workspace {
        name,
        form,
        email_domains,
        memberships,
        users: generated.users.clone(),
        teams: Vec::new(),
        projects: Vec::new(),
        tags: Vec::new(),
        custom_fields: Vec::new(),
        project_templates: Vec::new(),
        webhooks: Vec::new(),
        portfolios: Vec::new(),
        goals: Vec::new(),
        time_periods: Vec::new(),
        audit_log_events: Vec::new(),
        custom_types: Vec::new(),
        generated,
    });
    for place in 0..2 {
        let custom_type = world.custom_types.len() as Index;
        world.custom_types.push(CustomType {
            name: ["Bug ticket", "Change request ⚙️"][place].to_owned(),
            first_status: custom_type * 2,
        });
        world.workspaces[workspace as usize].custom_types.push(custom_type);
    }
    workspace
}

/// The memberships of a workspace's users, in the users' order.
fn memberships(world: &mut World, workspace: Index, users: &[Index], random: &mut Random) -> Vec<Index> {
    let mut memberships = Vec::new();
    for (place, user) in users.iter().enumerate() {
        let membership = world.workspace_memberships.len() as Index;
        let start = Day(world.end.day().0 - random.below(60) as i32);
        let created_at = instant(world, random, 0, 100);
        world.workspace_memberships.push(WorkspaceMembership {
            workspace,
            user: *user,
            active: place % 11 != 10,
            admin: place == 0 || place % 9 == 8,
            guest: place % 7 == 4,
            view_only: place % 13 == 3,
            vacation: (place % 5 == 1).then(|| (start, Day(start.0 + 14))),
            created_at,
            assigned: Vec::new(),
        });
        world.users[*user as usize].memberships.push(membership);
        memberships.push(membership);
    }
    memberships
}

/// Teams with their members; the main user is in every team but each third.
pub(super) fn teams(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let everyone = users(world, workspace);
    for place in 0..scale.teams as usize {
        let team = world.teams.len() as Index;
        let size = random.between(2, (everyone.len() as u64 / 2).max(3)) as usize;
        let mut members = random.sample(&everyone, size);
        if place % 3 == 2 {
            members.retain(|user| *user != 0);
        } else if !members.contains(&0) {
            members.insert(0, 0);
        }
        let mut memberships = Vec::new();
        for (rank, user) in members.iter().enumerate() {
            memberships.push(world.team_memberships.len() as Index);
            world.team_memberships.push(TeamMembership {
                team,
                user: *user,
                guest: rank % 5 == 3,
                limited_access: rank % 6 == 4,
                admin: rank == 0,
            });
        }
        let name = subject(random, place);
        world.teams.push(Team { workspace, name, memberships, settings: Vec::new(), seed: random.next() });
        world.workspaces[workspace as usize].teams.push(team);
    }
    if let Some(first) = world.workspaces[workspace as usize].teams.first().copied() {
        let field = custom_field(world, workspace, FieldShape::Enum, FieldScope::Local, 90, random);
        setting(world, Gid::new(Kind::Team, first), field);
    }
}

const SHAPES: [FieldShape; 14] = [
    FieldShape::Text,
    FieldShape::Number(NumberFormat::Plain),
    FieldShape::Enum,
    FieldShape::MultiEnum,
    FieldShape::Date,
    FieldShape::People,
    FieldShape::Reference,
    FieldShape::Formula,
    FieldShape::CustomId,
    FieldShape::Number(NumberFormat::Currency),
    FieldShape::Number(NumberFormat::Percentage),
    FieldShape::Number(NumberFormat::Custom),
    FieldShape::Number(NumberFormat::Duration),
    FieldShape::Number(NumberFormat::Identifier),
];

/// Fields of the whole workspace, of each type in turn.
pub(super) fn custom_fields(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    for place in 0..scale.custom_fields as usize {
        let shape = SHAPES[place % SHAPES.len()];
        custom_field(world, workspace, shape, FieldScope::Workspace, place, random);
    }
}

/// Adds a field; a workspace-wide one also to the workspace's list.
pub(super) fn custom_field(
    world: &mut World,
    workspace: Index,
    shape: FieldShape,
    scope: FieldScope,
    place: usize,
    random: &mut Random,
) -> Index {
    const COLORS: [&str; 6] = ["none", "red", "blue-green", "yellow-orange", "purple", "cool-gray"];
    let field = world.custom_fields.len() as Index;
    let mut options = Vec::new();
    if matches!(shape, FieldShape::Enum | FieldShape::MultiEnum) {
        for option in 0..random.between(3, 6) as usize {
            options.push(world.enum_options.len() as Index);
            world.enum_options.push(EnumOption {
                name: if option == 1 {
                    vocabulary::awkward(place).to_owned()
                } else {
                    vocabulary::subject(random)
                },
                color: COLORS[option % COLORS.len()],
                enabled: option != 2,
            });
        }
    }
    let everyone = users(world, workspace);
    world.custom_fields.push(CustomField {
        workspace,
        name: subject(random, place),
        shape,
        scope,
        options,
        created_by: (place % 6 != 5).then(|| *random.pick(&everyone)),
        seed: random.next(),
    });
    let home = &mut world.workspaces[workspace as usize];
    if scope == FieldScope::Workspace {
        home.custom_fields.push(field);
        home.generated.fields.push(field);
    }
    field
}

/// Enables a field for the tasks, projects or goals in a container.
pub(super) fn setting(world: &mut World, parent: Gid, field: Index) {
    let setting = world.custom_field_settings.len() as Index;
    world.custom_field_settings.push(CustomFieldSetting {
        parent,
        field,
        important: setting.is_multiple_of(2),
    });
    let at = parent.index() as usize;
    match parent.kind() {
        Kind::Project => world.projects[at].settings.push(setting),
        Kind::Portfolio => world.portfolios[at].settings.push(setting),
        Kind::Goal => world.goals[at].settings.push(setting),
        Kind::Team => world.teams[at].settings.push(setting),
        _ => {}
    }
}

pub(super) fn tags(world: &mut World, workspace: Index, scale: &Scale, random: &mut Random) {
    let first = world.tags.len() as Index;
    for place in 0..scale.tags as usize {
        let name = subject(random, place);
        let created_at = instant(world, random, 0, 500);
        world.workspaces[workspace as usize].tags.push(world.tags.len() as Index);
        world.tags.push(Tag {
            workspace,
            name,
            created_at,
            tasks: Vec::new(),
            seed: random.next(),
            presence: Presence::Present,
        });
    }
    world.workspaces[workspace as usize].generated.tags = first..world.tags.len() as Index;
}

/// The fiscal years of the world's history with their halves and quarters.
pub(super) fn time_periods(world: &mut World, workspace: Index) {
    let last = world.end.day().year();
    for year in last - 1..=last {
        let mut add = |period: &'static str, from: u32, months: u32, parent: Option<Index>| {
            let index = world.time_periods.len() as Index;
            let next = from + months;
            let end = if next > 12 { Day::of(year + 1, 1, 1) } else { Day::of(year, next, 1) };
            let display_name = match period {
                "FY" => format!("FY{}", year % 100),
                part => format!("{part} FY{}", year % 100),
            };
            world.time_periods.push(TimePeriod {
                period,
                start: Day::of(year, from, 1),
                end: Day(end.0 - 1),
                display_name,
                parent,
            });
            world.workspaces[workspace as usize].time_periods.push(index);
            index
        };
        let full = add("FY", 1, 12, None);
        for (half, from, quarters) in [("H1", 1, ["Q1", "Q2"]), ("H2", 7, ["Q3", "Q4"])] {
            let half = add(half, from, 6, Some(full));
            add(quarters[0], from, 3, Some(half));
            add(quarters[1], from + 3, 3, Some(half));
        }
    }
}
