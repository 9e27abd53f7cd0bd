"""The simulated account: what it holds, as the tables ought to have it, and what changes in it.

Knows nothing of tables. Its truth comes from the simulator's control endpoints, past the connector.
"""

import json
import signal
import subprocess
import urllib.error
import urllib.request

TOKEN = "token-of-the-verification"
# A row's column that names what it was listed below, and the object of the record that says the same.
PARENTS = {"task_gid": "target"}


def paths(properties, prefix=""):
    """The schema's fields, as Asana selects them."""
    for name, schema in properties.items():
        inner = schema.get("items", schema)
        below = inner.get("properties") if isinstance(inner, dict) else None
        yield from paths(below, f"{prefix}{name}.") if below else [prefix + name]


class World:
    def __init__(self, binaries, scale):
        self.simulator = subprocess.Popen(
            [binaries / "asana-simulator", "--scale", scale, "--token", TOKEN, "--service-account", "--plan",
             "enterprise", "--control"], stdout=subprocess.PIPE, text=True)
        self.base = self.simulator.stdout.readline().strip()
        # Tasks on which something happened.
        self.touched = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.simulator.send_signal(signal.SIGTERM)
        self.simulator.wait()

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base.split('/api/')[0]}/control{path}", data, method=method,
                                         headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def records(self, collection, fields):
        return self.control("GET", f"/truth/{collection}?opt_fields={','.join(sorted(fields))}")["data"]

    def unlisted_tasks(self):
        """Tasks that no listing of Asana's shows: in no project and nobody's, and what hangs below them."""
        tasks = {task["gid"]: task for task in self.records(
            "tasks", ["gid", "parent.gid", "projects.gid", "assignee.gid"])}
        unlisted = {gid for gid, task in tasks.items()
                    if not (task["projects"] or task["assignee"] or task["parent"])}
        while more := {gid for gid, task in tasks.items() if gid not in unlisted and task["parent"]
                       and task["parent"]["gid"] in unlisted}:
            unlisted |= more
        return unlisted

    def truth(self, stream, properties):
        """Every record that the stream's table has to hold, by key, and those it may hold."""
        fields = set(paths(properties))
        fields |= {f"{PARENTS.get(name, name.removesuffix('_gid'))}.gid" for name in properties if name.endswith("_gid")}
        if stream == "portfolio_items":
            items = {record["gid"]: record for kind in ("projects", "portfolios") for record in self.records(kind, fields)}
            pairs = [(item["portfolio"], item["gid"]) for item in self.records("portfolio_items", [])]
            return {pair: {**items[pair[1]], "portfolio": {"gid": pair[0]}} for pair in pairs}, {}
        collection = "tasks" if stream == "subtasks" else stream
        fields |= {"parent.gid"} if collection == "tasks" else set()
        fields |= {"is_global_to_workspace"} if stream == "custom_fields" else set()
        all_ = {(record["gid"],): record for record in self.records(collection, fields)}
        if collection == "tasks":
            is_sub = stream == "subtasks"
            all_ = {key: record for key, record in all_.items() if (record["parent"] is not None) == is_sub}
        # Asana lists neither what hangs on a task that it does not list, nor a workspace's fields of one project.
        if stream in ("tasks", "subtasks", "stories", "attachments"):
            unlisted = self.unlisted_tasks()
            task_of = {"stories": "target", "attachments": "parent"}.get(stream)
            gid = lambda key, record: record[task_of]["gid"] if task_of else key[0]
            hidden = {key for key, record in all_.items() if gid(key, record) in unlisted}
        elif stream == "custom_fields":
            hidden = {key for key, record in all_.items() if not record["is_global_to_workspace"]}
        else:
            hidden = set()
        must = {key: record for key, record in all_.items() if key not in hidden}
        return must, {key: all_[key] for key in hidden}

    def change(self, round_):
        """An hour passes in which tasks are written, completed, commented, made and deleted.

        Nothing is renamed, and nothing goes that others name: records that quote another are not modified with it, so
        no incremental sync reads them again. What was made here, or made something to happen on it, is not deleted
        here: of a sync that was killed, rows may be in the table that no state tells of, and then no later sync can
        know that they are gone.
        """
        tasks = self.records("tasks", ["gid", "name", "projects.gid", "parent.gid", "num_subtasks", "dependencies.gid",
                                       "dependents.gid"])
        listed = [task for task in tasks if task["projects"] and task["name"] != "made" and not (
            task["parent"] or task["num_subtasks"] or task["dependencies"] or task["dependents"])]
        pool = [task["gid"] for task in listed[round_ % 5::5] if task["gid"] not in self.touched]
        written, completed, commented, deleted = (pool[part::4][:10] for part in range(4))
        edits = [{"kind": "set_task_notes", "task": gid, "notes": f"written in {round_} 🎉"} for gid in written]
        edits += [{"kind": "complete_task", "task": gid} for gid in completed]
        edits += [{"kind": "comment", "task": gid, "text": "a comment"} for gid in commented]
        edits += [{"kind": "delete_task", "task": gid} for gid in deleted]
        edits += [{"kind": "create_task", "workspace": self.workspace(), "name": "made",
                   "projects": [listed[0]["projects"][0]["gid"]]}]
        self.touched.update(written, completed, commented)
        self.control("POST", "/clock", {"advance_seconds": 1800})
        for edit in edits:
            self.control("POST", "/edits", edit)
        self.control("POST", "/clock", {"advance_seconds": 1800})

    def workspace(self):
        project = self.records("projects", ["gid", "workspace.gid"])[0]
        return project["workspace"]["gid"]
