"""The simulated account and the pipe that fills the tables: connector into destination, from state to state.

Knows nothing of dbt.
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1]).resolve()
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
BINARIES = TARGET / "debug"
sys.path.append(str(ROOT / "crates/destination-iceberg/verification"))

from world import TOKEN  # noqa: E402  (its folder is added just above)


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


class Pipe:
    """`source-asana read | destination-iceberg write` into a warehouse of its own."""

    def __init__(self, folder, world, mode="append_dedup", streams=None, drop_columns=(), **config):
        folder.mkdir(parents=True)
        self.folder, self.warehouse, self.states = folder, folder / "warehouse", {}
        catalog = json.loads((ROOT / "catalogs/incremental.json").read_text())
        for stream in catalog["streams"]:
            if stream["sync_mode"] == "incremental":
                stream["destination_sync_mode"] = mode
            for column in drop_columns:
                stream["stream"]["json_schema"]["properties"].pop(column, None)
        if streams is not None:
            catalog["streams"] = [stream for stream in catalog["streams"] if stream["stream"]["name"] in streams]
        catalog = write_json(folder / "catalog.json", catalog)
        source = write_json(folder / "source.json",
                            {"token": TOKEN, "rate_limit": {"mode": "fixed", "requests_per_minute": 1000000}})
        destination = write_json(folder / "destination.json",
                                 {"catalog": {"type": "embedded", "warehouse": str(self.warehouse)}, **config})
        self.environment = {**os.environ, "ASANA_BASE_URL": world.base}
        self.read = [BINARIES / "source-asana", "read", "--config", source, "--catalog", catalog]
        self.write = [BINARIES / "destination-iceberg", "write", "--config", destination, "--catalog", catalog]

    def sync(self):
        read = self.read
        if self.states:
            read = [*read, "--state", write_json(self.folder / "states.json", list(self.states.values()))]
        answers = self.folder / "answers.jsonl"
        with answers.open("wb") as output:
            source = subprocess.Popen(read, stdout=subprocess.PIPE, env=self.environment, stderr=subprocess.DEVNULL)
            destination = subprocess.Popen(self.write, stdin=source.stdout, stdout=output, stderr=subprocess.DEVNULL)
            source.stdout.close()
            ended = [source.wait(), destination.wait()]
        assert ended == [0, 0], f"a sync failed:\n{answers.read_text()[-3000:]}"
        for line in answers.read_bytes().split(b"\n")[:-1]:
            message = json.loads(line)
            if message["type"] == "STATE":
                self.states[message["state"]["stream"]["stream_descriptor"]["name"]] = message["state"]


class Edits:
    """What a team does between two syncs. Nothing is renamed or deleted that other records quote by name: a record
    that quotes another is not modified with it, so no incremental sync reads it again."""

    def __init__(self, world):
        self.world, self.done = world, 0
        self.made_sections, self.made_projects = [], []

    def edit(self, kind, **arguments):
        self.done += 1
        return self.world.control("POST", "/edits", {"kind": kind, **arguments})["gid"]

    def between_syncs(self):
        """The account's clock is the machine's: if it ran ahead, a record could be newer than the connector's own
        notice that it is gone, and a table would keep the newer of the two."""
        fields = ["gid", "name", "projects.gid", "parent.gid", "num_subtasks", "dependencies.gid", "dependents.gid",
                  "completed", "assignee.gid", "tags.gid", "workspace.gid", "memberships.section.gid",
                  "memberships.project.gid", "custom_fields.gid", "custom_fields.type", "custom_fields.is_formula_field"]
        tasks = self.world.records("tasks", fields)
        free = [task for task in tasks if task["projects"] and not (
            task["parent"] or task["num_subtasks"] or task["dependencies"] or task["dependents"])]

        def take(number, fits=lambda task: True):
            """So many tasks, each of which is edited once in a round."""
            some = [task for task in free if fits(task)][:number]
            for task in some:
                free.remove(task)
            assert some, "the world has no task of which this could be tried"
            return some

        projects, sections, tags = {}, {}, {}
        for project in self.world.records("projects", ["gid", "workspace.gid", "archived"]):
            projects.setdefault(project["workspace"]["gid"], []).append(project["gid"])
        for section in self.world.records("sections", ["gid", "project.gid"]):
            sections.setdefault(section["project"]["gid"], []).append(section["gid"])
        for tag in self.world.records("tags", ["gid", "workspace.gid"]):
            tags.setdefault(tag["workspace"]["gid"], []).append(tag["gid"])
        users = {}
        for task in tasks:
            if task["assignee"]:
                users.setdefault(task["workspace"]["gid"], set()).add(task["assignee"]["gid"])

        # Those that few tasks fit come first.
        for task in take(2, lambda task: len(task["projects"]) > 1):
            self.edit("remove_from_project", task=task["gid"], project=task["projects"][0]["gid"])
        for task in take(4, lambda task: not task["completed"]):
            self.edit("complete_task", task=task["gid"])
        for task in take(3, lambda task: not task["completed"]):
            self.edit("complete_task", task=task["gid"])
            self.edit("reopen_task", task=task["gid"])
            self.edit("complete_task", task=task["gid"])
        for task in take(3, lambda task: task["completed"]):
            self.edit("reopen_task", task=task["gid"])
        for task in take(4):
            others = sorted(users[task["workspace"]["gid"]] - {(task["assignee"] or {}).get("gid")})
            self.edit("assign_task", task=task["gid"], user=others[self.done % len(others)])
        for task in take(3, lambda task: task["assignee"]):
            self.edit("unassign_task", task=task["gid"])
        for task in take(3):
            self.edit("comment", task=task["gid"], text=f"a comment, the {self.done}th edit 🎉")
        number = lambda task: [field["gid"] for field in task["custom_fields"]
                               if field["type"] == "number" and not field.get("is_formula_field")]
        for task in take(3, number):
            self.edit("set_number", task=task["gid"], field=number(task)[0], number=self.done + 0.25)
        for task in take(4, lambda task: len(sections[task["projects"][0]["gid"]]) > 2):
            membership = task["memberships"][0]
            others = [gid for gid in sections[membership["project"]["gid"]] if gid != membership["section"]["gid"]]
            self.edit("move_to_section", task=task["gid"], section=others[0])
            self.edit("move_to_section", task=task["gid"], section=others[1])
        elsewhere = lambda task: sorted(set(projects[task["workspace"]["gid"]])
                                        - {project["gid"] for project in task["projects"]})
        for task in take(4, elsewhere):
            self.edit("add_to_project", task=task["gid"], project=elsewhere(task)[0])
        for task in take(2, elsewhere):
            other = elsewhere(task)[0]
            self.edit("add_to_project", task=task["gid"], project=other)
            self.edit("remove_from_project", task=task["gid"], project=other)
        untagged = lambda task: sorted(set(tags[task["workspace"]["gid"]]) - {tag["gid"] for tag in task["tags"]})
        for task in take(3, untagged):
            self.edit("tag_task", task=task["gid"], tag=untagged(task)[0])
        for task in take(2):
            self.edit("create_subtask", parent=task["gid"], name="a new subtask")
        for task in take(2):
            self.edit("add_attachment", parent=task["gid"], name="file.pdf")
        for task in take(5):
            self.edit("delete_task", task=task["gid"])
        (task,) = take(1)
        self.edit("create_task", workspace=task["workspace"]["gid"], name="a new task",
                  projects=[project["gid"] for project in task["projects"]])
        comments = [story for story in self.world.records("stories", ["gid", "type", "target.gid"])
                    if story["type"] == "comment" and story["target"]["gid"] in {task["gid"] for task in free}]
        for story in comments[:3]:
            self.edit("delete_story", story=story["gid"])
        attachments = [one for one in self.world.records("attachments", ["gid", "parent.gid"])
                       if one["parent"]["gid"] in {task["gid"] for task in free}]
        for attachment in attachments[:1]:
            self.edit("delete_attachment", attachment=attachment["gid"])
        project = task["projects"][0]["gid"]
        for section in self.made_sections:
            self.edit("delete_section", section=section)
        self.made_sections = [self.edit("create_section", project=project, name="a new section")]
        for made in self.made_projects:
            self.edit("delete_project", project=made)
        self.made_projects = [self.edit("create_project", workspace=task["workspace"]["gid"], name="a new project")]
        goal = self.world.records("goals", ["gid"])[0]["gid"]
        self.edit("add_status_update", parent=goal, title="on track", text="all is well")
