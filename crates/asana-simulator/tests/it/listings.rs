//! Listings, pages, fields and errors over real HTTP, against the world's own relations.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Account, gids};
use asana_simulator::{
    DEFAULT_TOKEN, Gid, Kind, Options, Plan, Scale, Token, UnassignedOrphans, Unpaged, World,
};

fn texts(gids: &[Gid]) -> Vec<String> {
    gids.iter().map(Gid::to_string).collect()
}

/// The paths of every listing that the main user may read, with what they must hold.
fn listings(world: &World) -> Vec<(String, Vec<Gid>)> {
    let viewer = world.main_viewer();
    let user = world.main_user();
    let mut listings = vec![("/workspaces".to_owned(), world.gids(Kind::Workspace).collect())];
    for workspace in world.gids(Kind::Workspace) {
        let own: Vec<Gid> = world
            .portfolios_of_workspace(workspace)
            .into_iter()
            .filter(|portfolio| world.owner_of_portfolio(*portfolio) == user)
            .collect();
        for portfolio in &own {
            listings.push((format!("/portfolios/{portfolio}/items"), world.items_of_portfolio(*portfolio)));
            listings.push((
                format!("/portfolios/{portfolio}/custom_field_settings"),
                world.custom_field_settings(*portfolio),
            ));
            listings.push((format!("/status_updates?parent={portfolio}"), world.status_updates(*portfolio)));
        }
        listings.extend([
            (format!("/users?workspace={workspace}"), world.users_of_workspace(workspace)),
            (format!("/projects?workspace={workspace}"), world.projects_of_workspace(workspace)),
            (format!("/tags?workspace={workspace}"), world.tags_of_workspace(workspace)),
            (format!("/webhooks?workspace={workspace}"), world.webhooks_of_workspace(workspace)),
            (format!("/portfolios?workspace={workspace}&owner=me"), own),
            (format!("/goals?workspace={workspace}"), world.goals_of_workspace(workspace)),
            (format!("/time_periods?workspace={workspace}"), world.time_periods_of_workspace(workspace)),
            (
                format!("/project_templates?workspace={workspace}"),
                world.project_templates_of_workspace(workspace),
            ),
            (
                format!("/workspaces/{workspace}/workspace_memberships"),
                world.memberships_of_workspace(workspace),
            ),
            (format!("/workspaces/{workspace}/custom_fields"), world.custom_fields_of_workspace(workspace)),
            (format!("/tasks?assignee=me&workspace={workspace}"), world.tasks_assigned(user, workspace)),
        ]);
        if world.is_organization(workspace) {
            for path in ["workspaces", "organizations"] {
                let teams = world.teams_of_workspace(workspace);
                listings.push((format!("/{path}/{workspace}/teams"), teams));
            }
        }
        for goal in world.goals_of_workspace(workspace) {
            listings.extend([
                (format!("/goal_relationships?supported_goal={goal}"), world.relationships_of_goal(goal)),
                (format!("/goals/{goal}/custom_field_settings"), world.custom_field_settings(goal)),
                (format!("/status_updates?parent={goal}"), world.status_updates(goal)),
            ]);
        }
    }
    for team in world.gids(Kind::Team) {
        listings.push((format!("/teams/{team}/team_memberships"), world.memberships_of_team(team)));
        listings.push((format!("/teams/{team}/users"), world.users_of_team(team)));
    }
    for project in world.visible(Kind::Project, viewer) {
        listings.extend([
            (format!("/tasks?project={project}"), world.tasks_of_project(project)),
            (format!("/projects/{project}/tasks"), world.tasks_of_project(project)),
            (format!("/projects/{project}/sections"), world.sections_of_project(project)),
            (format!("/projects/{project}/custom_field_settings"), world.custom_field_settings(project)),
            (format!("/attachments?parent={project}"), world.attachments(project)),
            (format!("/status_updates?parent={project}"), world.status_updates(project)),
            (format!("/task_templates?project={project}"), world.task_templates_of_project(project)),
        ]);
    }
    for task in world.visible(Kind::Task, viewer) {
        listings.extend([
            (format!("/tasks/{task}/subtasks"), world.subtasks_of_task(task)),
            (format!("/tasks/{task}/stories"), world.stories_of_task(task)),
            (format!("/attachments?parent={task}"), world.attachments(task)),
        ]);
    }
    for (_, expected) in &mut listings {
        expected.retain(|gid| world.sees(viewer, *gid));
    }
    listings
}

#[test]
fn every_listing_holds_what_the_world_says_in_its_order_page_by_page() {
    let account = Account::new(World::generate(3, &Scale::tiny()), Options::default());
    let listings = account.simulator.world(listings);
    assert!(listings.len() > 150);
    for (path, expected) in listings {
        for limit in [3, 100] {
            assert_eq!(gids(&account.all(&path, limit)), texts(&expected), "{path} limit {limit}");
        }
    }
}

#[test]
fn the_small_world_needs_several_pages_in_places() {
    let account = Account::small();
    let listings = account.simulator.world(listings);
    let paged: Vec<_> = listings.into_iter().filter(|(_, expected)| expected.len() > 100).collect();
    assert!(paged.iter().any(|(path, _)| path.starts_with("/tasks?project=")));
    assert!(paged.iter().any(|(path, _)| path.ends_with("/stories")));
    for (path, expected) in paged {
        assert_eq!(gids(&account.all(&path, 100)), texts(&expected), "{path}");
    }
}

#[test]
fn every_record_opens_by_its_gid_and_equals_the_world_s() {
    let account = Account::new(World::generate(4, &Scale::tiny()), Options::default());
    let resources = [
        (Kind::Workspace, "workspaces"),
        (Kind::User, "users"),
        (Kind::Team, "teams"),
        (Kind::TeamMembership, "team_memberships"),
        (Kind::WorkspaceMembership, "workspace_memberships"),
        (Kind::Project, "projects"),
        (Kind::Section, "sections"),
        (Kind::Task, "tasks"),
        (Kind::Story, "stories"),
        (Kind::Attachment, "attachments"),
        (Kind::Tag, "tags"),
        (Kind::CustomField, "custom_fields"),
        (Kind::Webhook, "webhooks"),
        (Kind::ProjectTemplate, "project_templates"),
        (Kind::TaskTemplate, "task_templates"),
        (Kind::StatusUpdate, "status_updates"),
        (Kind::Portfolio, "portfolios"),
        (Kind::Goal, "goals"),
        (Kind::GoalRelationship, "goal_relationships"),
        (Kind::TimePeriod, "time_periods"),
    ];
    for (kind, plural) in resources {
        assert_eq!(Kind::from_plural(plural), Some(kind));
        let records = account.simulator.world(|world| {
            let viewer = world.main_viewer();
            let records = world
                .visible(kind, viewer)
                .map(|gid| (gid, world.record(gid, viewer, asana_simulator::Selection::standard()).unwrap()));
            records.collect::<Vec<_>>()
        });
        assert!(!records.is_empty(), "{plural}");
        for (gid, record) in records {
            assert_eq!(account.get(&format!("/{plural}/{gid}")).body["data"], record);
        }
    }
}

#[test]
fn lists_are_compact_and_fields_are_sent_only_when_asked_for() {
    let account = Account::small();
    let project = account.simulator.world(|world| world.gids(Kind::Project).next().unwrap());
    let keys = |path: &str| -> BTreeSet<String> {
        account.get(path).rows()[0].as_object().unwrap().keys().cloned().collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let tasks = format!("/tasks?project={project}&limit=5");
    assert_eq!(keys(&tasks), set(&["gid", "resource_type", "name", "resource_subtype"]));
    assert_eq!(keys(&format!("{tasks}&opt_fields=notes,nonsense")), set(&["gid", "notes"]));
    let row =
        account.get(&format!("{tasks}&opt_fields=this.(parent|workspace).name,memberships.section.name"));
    let row = &row.rows()[0];
    assert_eq!(row["workspace"].as_object().unwrap().len(), 2);
    assert_eq!(row["memberships"][0].as_object().unwrap().len(), 1);
    assert!(row["memberships"][0]["section"]["name"].is_string());
    let bare = account.get(&format!("{tasks}&opt_fields=workspace"));
    let workspace: BTreeSet<_> = bare.rows()[0]["workspace"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(workspace, set(&["gid", "resource_type", "name"]));
    let full = account.get(&format!("/projects/{project}"));
    assert!(full.body["data"].get("notes").is_some() && full.body["data"].get("html_notes").is_none());
}

#[test]
fn next_page_exists_only_with_a_limit() {
    let account = Account::small();
    let project = account.simulator.world(|world| world.gids(Kind::Project).next().unwrap());
    let whole = account.get(&format!("/tasks?project={project}"));
    assert!(whole.rows().len() > 100);
    assert!(whole.body.get("next_page").is_none());
    let page = account.get(&format!("/tasks?project={project}&limit=100"));
    let next = &page.body["next_page"];
    let uri = format!("{}{}", account.simulator.base_url(), next["path"].as_str().unwrap());
    assert_eq!(next["uri"], uri.as_str());
    let last = account.get(next["path"].as_str().unwrap());
    assert!(last.body.get("next_page").is_some_and(serde_json::Value::is_null));
    for limit in ["0", "101", "-1", "x"] {
        assert_eq!(account.get(&format!("/tasks?project={project}&limit={limit}")).status, 400, "{limit}");
    }
}

#[test]
fn without_a_limit_a_long_listing_is_truncated_or_refused() {
    let scale = Scale { tasks: 1400, largest_project: 95, stories: 0, longest_history: 0, ..Scale::small() };
    let account = Account::new(World::generate(1, &scale), Options::default());
    let path = account
        .simulator
        .world(|world| format!("/tasks?project={}", world.gids(Kind::Project).next().unwrap()));
    assert_eq!(account.get(&path).rows().len(), 1000);
    let options = Options { unpaged: Unpaged::Refuse, ..Options::default() };
    let refusing = Account::new(World::generate(1, &scale), options);
    let answer = refusing.get(&path);
    assert_eq!(answer.status, 400);
    assert!(answer.message().starts_with("The result is too large. You should use pagination"));
}

#[test]
fn an_offset_expires_and_belongs_to_its_listing() {
    let account = Account::small();
    let projects: Vec<Gid> = account.simulator.world(|world| world.gids(Kind::Project).collect());
    let page = account.get(&format!("/tasks?project={}&limit=50", projects[0]));
    let offset = page.body["next_page"]["offset"].as_str().unwrap();
    let with = |project: Gid| format!("/tasks?project={project}&limit=50&offset={offset}");
    assert_eq!(account.get(&with(projects[0])).status, 200);
    assert_eq!(account.get(&with(projects[1])).status, 400);
    account.simulator.advance(Duration::from_secs(15 * 60 + 1));
    let expired = account.get(&with(projects[0]));
    assert_eq!((expired.status, expired.message()), (400, "offset: Your pagination token has expired."));
}

#[test]
fn tasks_need_exactly_one_container() {
    let account = Account::small();
    let (workspace, project, user) = account.simulator.world(|world| {
        (
            world.gids(Kind::Workspace).next().unwrap(),
            world.gids(Kind::Project).next().unwrap(),
            world.main_user(),
        )
    });
    for (query, message) in [
        (String::new(), "You should specify one of workspace, project, tag, section, user_task_list"),
        (format!("workspace={workspace}"), "assignee: Missing input"),
        (format!("assignee={user}"), "workspace: Missing input"),
        (
            format!("project={project}&assignee={user}&workspace={workspace}"),
            "Must specify exactly one of project, tag, section, user task list, or assignee + workspace",
        ),
        ("project=abc".to_owned(), "project: Not a recognized ID: abc"),
    ] {
        let answer = account.get(&format!("/tasks?{query}"));
        assert_eq!((answer.status, answer.message()), (400, message), "{query}");
    }
    assert_eq!(account.get("/tasks?project=1200000000000000").status, 404);
}

#[test]
fn modified_since_and_completed_since_filter_on_the_server() {
    let account = Account::small();
    let (project, expected) = account.simulator.world(|world| {
        let project = world.gids(Kind::Project).next().unwrap();
        let mut tasks = world.tasks_of_project(project);
        tasks.sort_by_key(|task| world.task_modified_at(*task));
        (project, tasks[tasks.len() - 4..].iter().map(Gid::to_string).collect::<BTreeSet<_>>())
    });
    let since = account.simulator.world(|world| {
        expected.iter().map(|gid| world.task_modified_at(gid.parse().unwrap())).min().unwrap()
    });
    let rows = account.all(&format!("/tasks?project={project}&modified_since={since}"), 100);
    assert_eq!(gids(&rows).into_iter().collect::<BTreeSet<_>>(), expected);
    let open =
        account.all(&format!("/tasks?project={project}&completed_since=now&opt_fields=completed"), 100);
    assert!(!open.is_empty() && open.iter().all(|task| task["completed"] == false));
    assert_eq!(account.get(&format!("/tasks?project={project}&modified_since=yesterday")).status, 400);
}

#[test]
fn tokens_paths_and_rights_are_checked() {
    let options = Options {
        tokens: vec![
            Token::new(DEFAULT_TOKEN, Plan::Paid),
            Token::new("free", Plan::Free),
            Token::service_account("service"),
        ],
        ..Options::default()
    };
    let account = Account::new(World::generate(1, &Scale::small()), options);
    for token in ["", "wrong"] {
        let answer = account.get_as(token, "/users/me");
        assert_eq!((answer.status, answer.message()), (401, "Not Authorized"));
    }
    assert_eq!(account.get("/users/me").body["data"]["name"], "Greg Sanchez");
    assert_eq!(account.get("/nothing").status, 404);
    assert_eq!(account.get("/tasks/1/2/3").status, 404);
    let (workspace, plain, secret) = account.simulator.world(|world| {
        let workspaces: Vec<Gid> = world.gids(Kind::Workspace).collect();
        let secret =
            world.gids(Kind::Project).find(|project| !world.sees(world.main_viewer(), *project)).unwrap();
        (workspaces[0], workspaces[1], secret)
    });
    assert_eq!(account.get(&format!("/projects/{secret}")).status, 403);
    assert_eq!(account.get_as("service", &format!("/projects/{secret}")).status, 200);
    assert_eq!(account.get(&format!("/workspaces/{plain}/teams")).status, 400);
    assert_eq!(account.get(&format!("/organizations/{plain}/teams")).status, 404);
    for path in ["/portfolios?owner=me&workspace=", "/goals?workspace=", "/time_periods?workspace="] {
        assert_eq!(account.get_as("free", &format!("{path}{workspace}")).status, 402, "{path}");
        assert_eq!(account.get(&format!("{path}{workspace}")).status, 200, "{path}");
    }
    let listed =
        |token: &str| account.get_as(token, &format!("/portfolios?workspace={workspace}")).rows().len();
    assert!(listed("service") > listed(DEFAULT_TOKEN));
    let log = format!("/workspaces/{workspace}/audit_log_events?limit=100");
    assert_eq!(account.get(&log).status, 403);
    assert_eq!(account.get_as("service", &log).status, 200);
}

#[test]
fn the_audit_log_never_ends_while_it_matches_anything() {
    let options = Options { tokens: vec![Token::service_account(DEFAULT_TOKEN)], ..Options::default() };
    let account = Account::new(World::generate(1, &Scale::small()), options);
    let (workspace, expected) = account.simulator.world(|world| {
        let workspace = world.gids(Kind::Workspace).next().unwrap();
        (workspace, texts(&world.audit_log_events_of_workspace(workspace)))
    });
    let mut path = format!("/workspaces/{workspace}/audit_log_events?limit=15");
    let mut found = Vec::new();
    loop {
        let page = account.get(&path);
        let next = page.body["next_page"]["path"].as_str();
        path = next.expect("there is always a next page").to_owned();
        if page.rows().is_empty() {
            break;
        }
        found.extend(page.gids());
    }
    assert_eq!(found, expected);
    let none = account.get(&format!("/workspaces/{workspace}/audit_log_events?event_type=nothing&limit=15"));
    assert!(none.rows().is_empty() && none.body["next_page"].is_null());
}

#[test]
fn a_project_s_tasks_are_counted_and_only_as_far_as_asked_for() {
    let account = Account::small();
    let projects: Vec<Gid> =
        account.simulator.world(|world| world.visible(Kind::Project, world.main_viewer()).collect());
    for project in projects {
        let all =
            account.get(&format!("/tasks?project={project}&limit=100&opt_fields=completed,resource_subtype"));
        assert!(all.body["next_page"].is_null() || all.rows().len() == 100);
        if !all.body["next_page"].is_null() {
            continue;
        }
        let count = |is: &dyn Fn(&Value) -> bool| all.rows().iter().filter(|row| is(row)).count();
        let is_completed = |row: &Value| row["completed"] == true;
        let is_milestone = |row: &Value| row["resource_subtype"] == "milestone";
        let path = format!("/projects/{project}/task_counts");
        let counts = account
            .get(&format!("{path}?opt_fields=num_tasks,num_completed_tasks,num_incomplete_milestones"));
        let expected = json!({
            "num_tasks": all.rows().len(),
            "num_completed_tasks": count(&is_completed),
            "num_incomplete_milestones": count(&|row| is_milestone(row) && !is_completed(row)),
        });
        assert_eq!(counts.body["data"], expected);
        assert_eq!(account.get(&path).body, json!({"data": {}}));
    }
    assert_eq!(account.get("/projects/1/task_counts").status, 404);
}

#[test]
fn every_request_is_recorded() {
    let account = Account::small();
    let project = account.simulator.world(|world| world.gids(Kind::Project).next().unwrap());
    account.get(&format!("/tasks?project={project}&limit=7&opt_fields=name"));
    account.get_as("", "/users/me");
    account.get("/nothing");
    let requests = account.simulator.requests();
    let seen: Vec<_> =
        requests.iter().map(|record| (record.sequence, record.endpoint, record.status)).collect();
    assert_eq!(seen, [(0, "/tasks", 200), (1, "/users/{gid}", 401), (2, "", 404)]);
    assert_eq!(requests[0].parameter("opt_fields"), Some("name"));
    assert_eq!((requests[0].rows, &*requests[0].token), (7, DEFAULT_TOKEN));
    assert_eq!(&*requests[0].user_agent, "simulator-tests");
    account.simulator.clear_requests();
    account.get("/workspaces");
    assert_eq!(account.simulator.requests()[0].sequence, 3);
}

#[test]
fn the_same_seed_gives_the_same_world_and_another_seed_another() {
    let records = |seed: u64| -> Vec<String> {
        let world = World::generate(seed, &Scale::tiny());
        Kind::RESOURCES
            .iter()
            .flat_map(|kind| world.objects(*kind))
            .map(|record| record.to_string())
            .collect()
    };
    assert_eq!(records(5), records(5));
    assert_ne!(records(5), records(6));
}

#[test]
fn unassigned_orphans_can_be_switched_off() {
    for (orphans, expected) in [(UnassignedOrphans::Absent, false), (UnassignedOrphans::Present, true)] {
        let world = World::generate(1, &Scale { unassigned_orphans: orphans, ..Scale::small() });
        let found = world.gids(Kind::Task).any(|task| {
            world.projects_of_task(task).is_empty()
                && world.parent_of_task(task).is_none()
                && world.assignee_of_task(task).is_none()
        });
        assert_eq!(found, expected);
    }
}
