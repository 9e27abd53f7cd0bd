//! The request floor against a reader that does no more than it must.

use std::collections::{BTreeMap, BTreeSet};

use asana_simulator::{DEFAULT_TOKEN, Options, RequestFloor, Scale, Token, Viewer, World};
use serde_json::Value;

use crate::client::Account;

/// Reads everything the way the floor assumes, from what the API itself tells.
struct Reader<'a> {
    account: &'a Account,
}

impl Reader<'_> {
    fn rows(&self, path: String) -> Vec<Value> {
        self.account.all(&path, 100)
    }

    fn gids(&self, path: String) -> Vec<String> {
        crate::client::gids(&self.rows(path))
    }

    fn tree(&self, tasks: Vec<Value>, seen: &mut BTreeMap<String, u64>) {
        for task in tasks {
            let gid = task["gid"].as_str().unwrap().to_owned();
            let subtasks = task["num_subtasks"].as_u64().unwrap();
            if seen.insert(gid.clone(), subtasks).is_none() && subtasks > 0 {
                self.tree(self.rows(format!("/tasks/{gid}/subtasks?opt_fields=num_subtasks")), seen);
            }
        }
    }

    fn children(&self, parent: &Value, plural: &str) {
        let gid = parent["gid"].as_str().unwrap();
        if parent["custom_field_settings"].as_array().is_some_and(|settings| !settings.is_empty()) {
            match plural {
                "teams" => drop(self.account.get(&format!("/teams/{gid}/custom_field_settings"))),
                _ => drop(self.rows(format!("/{plural}/{gid}/custom_field_settings"))),
            }
        }
        if parent["current_status_update"].is_object() {
            self.rows(format!("/status_updates?parent={gid}"));
        }
    }

    fn read(&self, audit_log: Option<()>) {
        let (mut tasks, mut with_attachments) = (BTreeMap::new(), BTreeSet::new());
        let fields = "opt_fields=custom_field_settings,current_status_update";
        for workspace in self.rows("/workspaces?opt_fields=is_organization".to_owned()) {
            let gid = workspace["gid"].as_str().unwrap();
            let search = format!("/workspaces/{gid}/tasks/search?has_attachment=true");
            with_attachments.extend(self.account.get(&search).gids());
            for user in self.gids(format!("/users?workspace={gid}")) {
                self.tree(
                    self.rows(format!("/tasks?assignee={user}&workspace={gid}&opt_fields=num_subtasks")),
                    &mut tasks,
                );
            }
            for path in ["tags", "webhooks", "project_templates", "time_periods"] {
                self.rows(format!("/{path}?workspace={gid}"));
            }
            self.rows(format!("/workspaces/{gid}/workspace_memberships"));
            self.rows(format!("/workspaces/{gid}/custom_fields"));
            if workspace["is_organization"] == true {
                for team in self.rows(format!("/workspaces/{gid}/teams?{fields}")) {
                    self.rows(format!("/teams/{}/team_memberships", team["gid"].as_str().unwrap()));
                    self.children(&team, "teams");
                }
            }
            for project in self.rows(format!("/projects?workspace={gid}&{fields}")) {
                let gid = project["gid"].as_str().unwrap();
                self.tree(self.rows(format!("/tasks?project={gid}&opt_fields=num_subtasks")), &mut tasks);
                self.rows(format!("/projects/{gid}/sections"));
                self.rows(format!("/attachments?parent={gid}"));
                self.rows(format!("/task_templates?project={gid}"));
                self.children(&project, "projects");
            }
            for portfolio in self.rows(format!("/portfolios?workspace={gid}&{fields}")) {
                self.rows(format!("/portfolios/{}/items", portfolio["gid"].as_str().unwrap()));
                self.children(&portfolio, "portfolios");
            }
            for goal in self.rows(format!("/goals?workspace={gid}&{fields}")) {
                self.rows(format!("/goal_relationships?supported_goal={}", goal["gid"].as_str().unwrap()));
                self.children(&goal, "goals");
            }
            if audit_log.is_some() {
                let mut path = format!("/workspaces/{gid}/audit_log_events?limit=100");
                loop {
                    let page = self.account.get(&path);
                    match page.body["next_page"]["path"].as_str() {
                        Some(next) if !page.rows().is_empty() => path = next.to_owned(),
                        _ => break,
                    }
                }
            }
        }
        for task in tasks.keys() {
            self.rows(format!("/tasks/{task}/stories"));
            if with_attachments.contains(task) {
                self.rows(format!("/attachments?parent={task}"));
            }
        }
    }
}

/// What was requested, told apart as the floor does.
fn requested(account: &Account) -> BTreeMap<String, usize> {
    let mut requested = BTreeMap::new();
    for record in account.simulator.requests() {
        let parent = record.parameter("parent").and_then(|gid| gid.parse::<asana_simulator::Gid>().ok());
        let name = match (record.endpoint, parent) {
            ("/tasks", _) if record.parameter("project").is_some() => "/tasks?project".to_owned(),
            ("/tasks", _) => "/tasks?assignee".to_owned(),
            ("/attachments", Some(parent)) => {
                format!("/attachments?parent={}", parent.kind().resource_type())
            }
            (endpoint, _) => endpoint.to_owned(),
        };
        *requested.entry(name).or_default() += 1;
    }
    requested
}

fn floor(world: &World, viewer: Viewer) -> BTreeMap<String, usize> {
    let floor = RequestFloor::of_full_read(world, viewer);
    assert_eq!(floor.total(), floor.by_endpoint.values().sum::<usize>());
    floor
        .by_endpoint
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

#[test]
fn a_reader_that_wastes_nothing_sends_exactly_the_floor() {
    // Without tasks that only search finds, the listings lead to all.
    let scale = Scale { unassigned_orphans: asana_simulator::UnassignedOrphans::Absent, ..Scale::small() };
    for (token, audit_log) in [
        (Token::new(DEFAULT_TOKEN, asana_simulator::Plan::Paid), None),
        (Token::service_account(DEFAULT_TOKEN), Some(())),
    ] {
        let options = Options { tokens: vec![token], ..Options::default() };
        let account = Account::new(World::generate(1, &scale), options);
        Reader { account: &account }.read(audit_log);
        let viewer = account.simulator.viewer(DEFAULT_TOKEN).unwrap();
        assert_eq!(requested(&account), account.simulator.world(|world| floor(world, viewer)));
    }
}
