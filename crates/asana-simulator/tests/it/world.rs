//! The situations that every world holds, however small, and the size of the others.

use asana_simulator::{Gid, Kind, Scale, World};
use serde_json::Value;

/// Gids of a kind that fit.
fn those<'w>(
    world: &'w World,
    kind: Kind,
    fits: impl Fn(Gid) -> bool + 'w,
) -> impl Iterator<Item = Gid> + 'w {
    world.gids(kind).filter(move |gid| fits(*gid))
}

fn depth(world: &World, task: Gid) -> usize {
    world.parent_of_task(task).map_or(0, |parent| 1 + depth(world, parent))
}

/// Every situation by name, and whether the world holds it.
fn situations(world: &World) -> Vec<(&'static str, bool)> {
    let tasks = |fits: &dyn Fn(Gid) -> bool| world.gids(Kind::Task).any(fits);
    let projects = |fits: &dyn Fn(Gid) -> bool| world.gids(Kind::Project).any(fits);
    let text = |kind: Kind, fits: &dyn Fn(&str) -> bool| {
        world.objects(kind).any(|record| record["name"].as_str().is_some_and(fits))
    };
    let record = |gid: Gid| world.object(gid).unwrap_or_default();
    let flags: [Value; 2] = [true.into(), false.into()];
    let user = world.main_user();
    let updates = |kind: Kind| {
        let [with, without] = [true, false].map(|wanted| {
            those(world, kind, move |gid| world.status_updates(gid).is_empty() != wanted).next()
        });
        let consistent = world.gids(kind).all(|gid| {
            let current = record(gid)["current_status_update"]["gid"].clone();
            let last = world.status_updates(gid).last().map(Gid::to_string);
            current.as_str() == last.as_deref()
        });
        with.is_some() && without.is_some() && consistent
    };
    vec![
        (
            "an organization and a plain workspace",
            world.organizations().len() == 1 && world.count(Kind::Workspace) > 1,
        ),
        (
            "archived and active projects",
            flags.iter().all(|flag| projects(&|gid| &record(gid)["archived"] == flag)),
        ),
        ("a project without tasks", projects(&|gid| world.tasks_of_project(gid).is_empty())),
        ("a project that the main user does not see", projects(&|gid| !world.sees(world.main_viewer(), gid))),
        (
            "a section without tasks",
            world.gids(Kind::Section).any(|section| {
                !tasks(&|task| record(task)["memberships"].to_string().contains(&section.to_string()))
            }),
        ),
        ("a task in several projects", tasks(&|gid| world.projects_of_task(gid).len() > 1)),
        (
            "an assigned task in no project",
            tasks(&|gid| {
                world.projects_of_task(gid).is_empty()
                    && world.parent_of_task(gid).is_none()
                    && world.assignee_of_task(gid).is_some()
            }),
        ),
        ("a subtask of the deepest level", tasks(&|gid| depth(world, gid) == 5)),
        ("no deeper subtask", !tasks(&|gid| depth(world, gid) > 5)),
        (
            "a subtask in a project",
            tasks(&|gid| world.parent_of_task(gid).is_some() && !world.projects_of_task(gid).is_empty()),
        ),
        (
            "a subtask in no project",
            tasks(&|gid| world.parent_of_task(gid).is_some() && world.projects_of_task(gid).is_empty()),
        ),
        ("attachments of tasks, subtasks and projects", {
            let parents: Vec<Gid> =
                world.gids(Kind::Attachment).map(|gid| world.parent_of_attachment(gid)).collect();
            let subtask = |gid: &&Gid| gid.kind() == Kind::Task && world.parent_of_task(**gid).is_some();
            parents.iter().any(|gid| gid.kind() == Kind::Project)
                && parents.iter().any(|gid| gid.kind() == Kind::Task && world.parent_of_task(*gid).is_none())
                && parents.iter().find(subtask).is_some()
        }),
        (
            "a task without and one with many stories",
            tasks(&|gid| world.stories_of_task(gid).is_empty())
                && tasks(&|gid| world.stories_of_task(gid).len() > 50),
        ),
        ("many subtypes of stories", {
            let subtypes = world.objects(Kind::Story).map(|story| story["resource_subtype"].to_string());
            subtypes.collect::<std::collections::BTreeSet<_>>().len() > 30
        }),
        ("status updates on some projects", updates(Kind::Project)),
        ("status updates on some portfolios", updates(Kind::Portfolio)),
        ("status updates on some goals", updates(Kind::Goal)),
        ("portfolios of the main user and of others", {
            let own = those(world, Kind::Portfolio, |gid| world.owner_of_portfolio(gid) == user).count();
            own > 0 && own < world.count(Kind::Portfolio)
        }),
        ("a portfolio in a portfolio, and an empty one", {
            let items = |fits: &dyn Fn(Vec<Gid>) -> bool| {
                world.gids(Kind::Portfolio).any(|gid| fits(world.items_of_portfolio(gid)))
            };
            items(&|items| items.iter().any(|item| item.kind() == Kind::Portfolio))
                && items(&|items| items.is_empty())
        }),
        ("custom fields of every type", {
            let kinds =
                world.objects(Kind::CustomField).map(|field| field["representation_type"].to_string());
            kinds.collect::<std::collections::BTreeSet<_>>().len() == 9
        }),
        ("fields of a workspace and of one container", {
            flags.iter().all(|flag| {
                world.gids(Kind::CustomField).any(|gid| &record(gid)["is_global_to_workspace"] == flag)
            })
        }),
        ("settings on projects, portfolios, goals and teams", {
            [Kind::Project, Kind::Portfolio, Kind::Goal, Kind::Team].into_iter().all(|kind| {
                world.gids(Kind::CustomFieldSetting).any(|gid| world.parent_of_setting(gid).kind() == kind)
            })
        }),
        ("a goal with and one without relationships", {
            let goals = |empty: bool| {
                world.gids(Kind::Goal).any(|gid| world.relationships_of_goal(gid).is_empty() == empty)
            };
            goals(false) && goals(true)
        }),
        ("names with line ends", text(Kind::Task, &|name| name.contains('\n'))),
        ("names with quotes", text(Kind::Task, &|name| name.contains('"'))),
        ("names with emoji", text(Kind::Task, &|name| name.contains(['🚀', '👩']))),
        ("names from right to left", text(Kind::Task, &|name| name.contains(['ת', 'ت', '\u{202e}']))),
    ]
}

#[test]
fn a_small_world_holds_every_situation() {
    for seed in [1, 2, 3] {
        let world = World::generate(seed, &Scale::small());
        let lacking: Vec<_> =
            situations(&world).into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect();
        assert!(lacking.is_empty(), "seed {seed}: {lacking:?}");
    }
}

#[test]
fn worlds_have_the_size_they_are_said_to_have() {
    let world = World::generate(1, &Scale::medium());
    for (kind, expected) in [
        (Kind::Workspace, 2..=2),
        (Kind::User, 55..=65),
        (Kind::Team, 12..=12),
        (Kind::Project, 75..=85),
        (Kind::Task, 14_000..=16_000),
        (Kind::Story, 80_000..=100_000),
    ] {
        let count = world.count(kind);
        assert!(expected.contains(&count), "{kind:?}: {count}");
    }
    assert_eq!(World::generate(1, &Scale::small()).count(Kind::Workspace), 2);
    for name in ["tiny", "small", "medium", "large"] {
        assert!(Scale::named(name).is_some(), "{name}");
    }
    assert!(Scale::named("huge").is_none());
}
