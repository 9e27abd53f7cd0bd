#!/usr/bin/env python3
"""Drives the simulator with Asana's official Python client and compares every answer with the ground truth.

The client is an independent reader of Asana's protocol: what it cannot read, or reads differently from what the
simulator meant, is a fault of the simulator.

Run it from anywhere, with cargo and Python 3.9 or later at hand:

    python3 crates/asana-simulator/checks/official_client.py

It builds the simulator, makes a virtual environment in the build directory, installs the client there from PyPI
(the only step that needs a network), and exits non-zero if anything does not match.
"""

import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request
import venv

CLIENT = "asana==5.4.0"
ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ENVIRONMENT = TARGET / "official-client"
TOKEN = "a-service-account"


def enter_environment():
    """Starts this file again under the environment's Python, unless that is what runs it."""
    python = ENVIRONMENT / "bin" / "python"
    if pathlib.Path(sys.prefix) == ENVIRONMENT:
        return
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", CLIENT], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


class Simulator:
    """The simulator's program, and its control endpoints."""

    def __init__(self, *arguments):
        subprocess.run(["cargo", "build", "--quiet", "-p", "asana-simulator"], cwd=ROOT, check=True)
        program = [TARGET / "debug" / "asana-simulator", "--control", "--token", TOKEN, *arguments]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        self.base_url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def control(self, method, path, body=None):
        url = self.base_url.removesuffix("/api/1.0") + "/control" + path
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method)) as answer:
            return json.load(answer)

    def truth(self, collection, opt_fields=None):
        query = "" if opt_fields is None else "?" + urllib.parse.urlencode({"opt_fields": opt_fields})
        return self.control("GET", f"/truth/{collection}{query}")["data"]

    def edit(self, kind, **arguments):
        return self.control("POST", "/edits", {"kind": kind, **arguments})["gid"]


class Check:
    """Counts what was compared, and what did not match."""

    def __init__(self):
        self.compared = 0
        self.failures = []

    def equal(self, name, found, expected):
        self.compared += 1
        if isinstance(found, dict) and isinstance(expected, dict):
            # Only what differs is worth printing.
            keys = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)]
            found, expected = ({key: side.get(key) for key in keys} for side in (found, expected))
        if found != expected:
            self.failures.append(f"{name}: found {str(found)[:1500]}, expected {str(expected)[:1500]}")

    def refused(self, name, status, call):
        import asana.rest

        self.compared += 1
        try:
            call()
        except asana.rest.ApiException as error:
            if error.status != status or not json.loads(error.body)["errors"][0]["message"]:
                self.failures.append(f"{name}: {error.status} {error.body[:200]}, expected {status}")
            return error
        self.failures.append(f"{name}: answered, expected {status}")


def by_gid(rows):
    return {row["gid"]: row for row in rows}


def connect(simulator, token, page_size):
    import asana

    configuration = asana.Configuration()
    configuration.host = simulator.base_url
    configuration.access_token = token
    configuration.page_limit = page_size
    # The client's own retries would hide what it is answered.
    configuration.retry_strategy = False
    return asana.ApiClient(configuration)


def whole_collections(check, simulator, client):
    """Every collection through its listings, with all of the fields that the client's documents name."""
    import asana

    user, task, project = asana.UsersApi(client), asana.TasksApi(client), asana.ProjectsApi(client)
    workspaces = list(asana.WorkspacesApi(client).get_workspaces({"opt_fields": "name,is_organization,email_domains"}))
    found = {"workspaces": workspaces}

    def collect(name, rows):
        found.setdefault(name, []).extend(rows)

    fields = {
        "users": "name,email,photo.image_60x60,workspaces.name",
        "tasks": "name,notes,html_notes,completed,completed_at,assignee.name,memberships.(project|section).name,"
        "custom_fields.(name|display_value|number_value),num_subtasks,parent.name,tags.name,due_on,modified_at",
        "stories": "created_at,text,html_text,resource_subtype,old_name,new_number_value,task.name,target",
        "projects": "name,archived,notes,owner.name,team.name,current_status_update.title,custom_field_settings",
    }
    for workspace in workspaces:
        gid = workspace["gid"]
        collect("users", user.get_users({"workspace": gid, "opt_fields": fields["users"]}))
        collect("projects", project.get_projects({"workspace": gid, "opt_fields": fields["projects"]}))
        collect("tags", asana.TagsApi(client).get_tags({"workspace": gid, "opt_fields": "name,color,notes,created_at"}))
        collect("webhooks", asana.WebhooksApi(client).get_webhooks(gid, {"opt_fields": "active,target,filters"}))
        collect("goals", asana.GoalsApi(client).get_goals({"workspace": gid, "opt_fields": "name,metric,time_period,likes"}))
        collect("portfolios", asana.PortfoliosApi(client).get_portfolios(gid, {"opt_fields": "name,archived,members"}))
        collect("time_periods", asana.TimePeriodsApi(client).get_time_periods(gid, {"opt_fields": "period,parent"}))
        templates = asana.ProjectTemplatesApi(client).get_project_templates({"workspace": gid, "opt_fields": "name,team"})
        collect("project_templates", templates)
        memberships = asana.WorkspaceMembershipsApi(client).get_workspace_memberships_for_workspace(
            gid, {"opt_fields": "is_active,user_task_list.name,vacation_dates"}
        )
        collect("workspace_memberships", memberships)
        if workspace["is_organization"]:
            collect("teams", asana.TeamsApi(client).get_teams_for_workspace(gid, {"opt_fields": "name,visibility"}))
        for person in user.get_users({"workspace": gid}):
            collect("tasks", task.get_tasks({"assignee": person["gid"], "workspace": gid, "opt_fields": fields["tasks"]}))
    for team in found["teams"]:
        collect(
            "team_memberships",
            asana.TeamMembershipsApi(client).get_team_memberships_for_team(team["gid"], {"opt_fields": "user,is_admin"}),
        )
    for record in found["projects"]:
        gid = record["gid"]
        collect("tasks", task.get_tasks_for_project(gid, {"opt_fields": fields["tasks"]}))
        collect("sections", asana.SectionsApi(client).get_sections_for_project(gid, {"opt_fields": "name,project"}))
        collect("attachments", asana.AttachmentsApi(client).get_attachments_for_object(gid, {"opt_fields": "name,size"}))
        collect("status_updates", asana.StatusUpdatesApi(client).get_statuses_for_object(gid, {"opt_fields": "title,text"}))
        collect("task_templates", asana.TaskTemplatesApi(client).get_task_templates({"project": gid, "opt_fields": "template"}))
    for record in found["portfolios"] + found["goals"]:
        collect(
            "status_updates",
            asana.StatusUpdatesApi(client).get_statuses_for_object(record["gid"], {"opt_fields": "title,text"}),
        )
    for record in found["goals"]:
        relationships = asana.GoalRelationshipsApi(client).get_goal_relationships(record["gid"], {"opt_fields": "supporting_resource"})
        collect("goal_relationships", relationships)
    level = list(by_gid(found["tasks"]).values())
    while level:
        parents, level = [record["gid"] for record in level if record["num_subtasks"]], []
        for parent in parents:
            level.extend(task.get_subtasks_for_task(parent, {"opt_fields": fields["tasks"]}))
        collect("tasks", level)
    for gid in by_gid(found["tasks"]):
        collect("stories", asana.StoriesApi(client).get_stories_for_task(gid, {"opt_fields": fields["stories"]}))
        collect("attachments", asana.AttachmentsApi(client).get_attachments_for_object(gid, {"opt_fields": "name,size"}))
    queries = {
        "workspaces": "name,is_organization,email_domains",
        "tags": "name,color,notes,created_at",
        "webhooks": "active,target,filters",
        "goals": "name,metric,time_period,likes",
        "portfolios": "name,archived,members",
        "time_periods": "period,parent",
        "project_templates": "name,team",
        "workspace_memberships": "is_active,user_task_list.name,vacation_dates",
        "teams": "name,visibility",
        "team_memberships": "user,is_admin",
        "sections": "name,project",
        "attachments": "name,size",
        "status_updates": "title,text",
        "task_templates": "template",
        "goal_relationships": "supporting_resource",
        **fields,
    }
    # Tasks of no project and no one are found by search alone, which this client offers too.
    for workspace in workspaces:
        search = asana.TasksApi(client).search_tasks_for_workspace(
            workspace["gid"], {"assignee.any": "null", "opt_fields": fields["tasks"], "limit": 100}
        )
        lone = [record for record in search if record["gid"] not in by_gid(found["tasks"])]
        collect("tasks", lone)
        for record in lone:
            collect("stories", asana.StoriesApi(client).get_stories_for_task(record["gid"], {"opt_fields": fields["stories"]}))
            collect("attachments", asana.AttachmentsApi(client).get_attachments_for_object(record["gid"], {"opt_fields": "name,size"}))
    for collection, opt_fields in queries.items():
        expected = by_gid(simulator.truth(collection, opt_fields))
        check.equal(f"{collection}: gids", sorted(by_gid(found[collection])), sorted(expected))
        check.equal(f"{collection}: records", by_gid(found[collection]), expected)
        print(f"{collection}: {len(expected)} records")


def settings_and_fields(check, simulator, client):
    import asana

    api = asana.CustomFieldSettingsApi(client)
    settings = simulator.truth("custom_field_settings", "parent,custom_field.name")
    calls = {
        "project": api.get_custom_field_settings_for_project,
        "portfolio": api.get_custom_field_settings_for_portfolio,
        "goal": api.get_custom_field_settings_for_goal,
        "team": api.get_custom_field_settings_for_team,
    }
    parents = {(setting["parent"]["resource_type"], setting["parent"]["gid"]) for setting in settings}
    found = []
    for kind, gid in sorted(parents):
        found.extend(calls[kind](gid, {"opt_fields": "parent,custom_field.name"}))
    check.equal("custom_field_settings", by_gid(found), by_gid(settings))
    fields = []
    for workspace in simulator.truth("workspaces"):
        fields.extend(asana.CustomFieldsApi(client).get_custom_fields_for_workspace(workspace["gid"], {}))
    expected = {field["gid"] for field in simulator.truth("custom_fields") if field["is_global_to_workspace"]}
    check.equal("custom_fields", set(by_gid(fields)), expected)
    items = []
    for portfolio in simulator.truth("portfolios", "name"):
        rows = asana.PortfoliosApi(client).get_items_for_portfolio(portfolio["gid"], {})
        items.extend({"portfolio": portfolio["gid"], "gid": row["gid"]} for row in rows)
    check.equal("portfolio_items", items, simulator.truth("portfolio_items"))


def single_records(check, simulator, client):
    import asana

    calls = {
        "tasks": asana.TasksApi(client).get_task,
        "projects": asana.ProjectsApi(client).get_project,
        "stories": asana.StoriesApi(client).get_story,
        "users": asana.UsersApi(client).get_user,
        "attachments": asana.AttachmentsApi(client).get_attachment,
        "goals": asana.GoalsApi(client).get_goal,
    }
    for collection, call in calls.items():
        expected = simulator.truth(collection, "name,created_at,created_by.name")[0]
        check.equal(f"one of {collection}", call(expected["gid"], {"opt_fields": "name,created_at,created_by.name"}), expected)
    me = asana.UsersApi(client).get_user("me", {})
    check.equal("users/me", me["name"], "Greg Sanchez")


def errors(check, simulator, client):
    import asana

    tasks = asana.TasksApi(client)
    project = simulator.truth("projects", "name")[0]["gid"]
    check.refused("no container", 400, lambda: list(tasks.get_tasks({})))
    check.refused("unknown task", 404, lambda: tasks.get_task("1299999999999999", {}))
    check.refused("no id", 400, lambda: tasks.get_task("abc", {}))
    check.refused("large page", 400, lambda: list(tasks.get_tasks_for_project(project, {"limit": 101})))
    stranger = connect(simulator, "another-token", 100)
    check.refused("wrong token", 401, lambda: asana.UsersApi(stranger).get_user("me", {}))
    pages = tasks.get_tasks_for_project(project, {"limit": 10}, full_payload=True)
    offset = pages["next_page"]["offset"]
    simulator.control("POST", "/clock", {"advance_seconds": 16 * 60})
    error = check.refused("expired offset", 400, lambda: list(tasks.get_tasks_for_project(project, {"limit": 10, "offset": offset})))
    check.equal("its words", json.loads(error.body)["errors"][0]["message"], "offset: Your pagination token has expired.")
    for status in (402, 403, 429, 500, 503):
        simulator.control("POST", "/faults", {"pattern": "/users/*", "status": status, "retry_after": 1, "times": 1})
        error = check.refused(f"status {status}", status, lambda: asana.UsersApi(client).get_user("me", {}))
        check.equal("Retry-After", error.headers.get("Retry-After"), "1")


def events(check, simulator, client):
    import asana

    api = asana.EventsApi(client)
    task = simulator.truth("tasks", "projects.gid,parent.gid")
    task = next(row for row in task if row["projects"] and not row["parent"])
    project = task["projects"][0]["gid"]
    error = check.refused("first sync", 412, lambda: api.get_events(project, {}, full_payload=True))
    sync = json.loads(error.body)["sync"]
    simulator.edit("rename_task", task=task["gid"], name="renamed by the check")
    comment = simulator.edit("comment", task=task["gid"], text="a comment")
    answer = api.get_events(project, {"sync": sync}, full_payload=True)
    told = [(event["resource"]["resource_type"], event["action"]) for event in answer["data"]]
    check.equal("events", told, [("task", "changed"), ("story", "added"), ("story", "added")])
    check.equal("the comment", answer["data"][2]["resource"]["gid"], comment)
    answer = api.get_events(project, {"sync": answer["sync"]}, full_payload=True)
    check.equal("no more events", (answer["data"], answer["has_more"]), ([], False))
    # The client's own iterator asks for a token and then for what came after it.
    check.equal("iterated events", [event for page in [api.get_events(project, {})] for event in page], [])


def audit_log(check, simulator, client):
    import asana

    workspace = simulator.truth("workspaces", "name")[0]["gid"]
    found = []
    for event in asana.AuditLogAPIApi(client).get_audit_log_events(workspace, {}, item_limit=60):
        found.append(event["gid"])
        if len(found) == len(simulator.truth("audit_log_events", "event_type")):
            break
    check.equal("audit log", found, [event["gid"] for event in simulator.truth("audit_log_events", "event_type")])


def main():
    check = Check()
    with Simulator("--scale", "small", "--plan", "enterprise", "--service-account") as simulator:
        # Small pages, so that every listing is paged.
        client = connect(simulator, TOKEN, 20)
        for part in (whole_collections, settings_and_fields, single_records, errors, events, audit_log):
            part(check, simulator, client)
    for failure in check.failures:
        print(f"MISMATCH {failure}", file=sys.stderr)
    print(f"{check.compared} comparisons, {len(check.failures)} mismatches")
    return 1 if check.failures else 0


if __name__ == "__main__":
    enter_environment()
    sys.exit(main())
