"""PyAirbyte, Airbyte's library for Python, reads every stream into DuckDB, and once more after changes. What stands in
its tables is held against the account's ground truth: every row, every column."""

import contextlib
import datetime
import decimal
import io
import json
import os
import pathlib
import warnings

import judge
from acceptance import CONFIG, CONFIGS, HERE, Verdict, control, truth

warnings.filterwarnings("ignore")
DIRECTORY = pathlib.Path(os.environ["SUITE_DIRECTORY"])
os.environ |= {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1"}
# PyAirbyte would leave logs and files in the user's directories.
PLACES = ("PROJECT_DIR", "CACHE_ROOT", "TEMP_DIR", "LOGGING_ROOT")
os.environ |= {f"AIRBYTE_{place}": str(DIRECTORY / "pyairbyte") for place in PLACES}
(DIRECTORY / "pyairbyte").mkdir()

import airbyte  # noqa: E402

# Asana gives these records in full, whatever is asked for.
WHOLE = {"audit_log_events"}
# By this column Airbyte's destinations know a record that was deleted; Asana has none such.
DELETED_AT = "_ab_cdc_deleted_at"


def source(config: pathlib.Path):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return airbyte.get_source(
            "source-asana", config=json.loads(config.read_text()), local_executable=HERE / "recorder"
        )


def outcome(call) -> tuple[object, str | None]:
    """What a call gives, and why it failed, if it did. PyAirbyte's accounts of its progress are left out."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return call(), None
    except Exception as failure:  # PyAirbyte's, DuckDB's, SQLAlchemy's: all of them are findings here.
        return None, f"{type(failure).__name__}: {failure}"


def leaves(schema: dict) -> list[str]:
    """The paths below which a schema names nothing more: what was promised of each record. An object's gid is not
    asked for beside its other fields: Asana adds it by itself where the object is a resource."""
    paths = []
    for name, column in schema.get("properties", {}).items():
        if name == DELETED_AT:
            continue
        below = leaves(column.get("items", column))
        below = [path for path in below if path != "gid"] or below
        paths.extend([f"{name}.{path}" for path in below] or [name])
    return paths


def reached(stream: str, record: dict) -> bool:
    """Whether Asana lists the record anywhere. It does not list the custom fields of a single project."""
    return stream != "custom_fields" or record["is_global_to_workspace"]


def expected_rows(stream: dict) -> dict[tuple, dict]:
    """The ground truth of a stream, by key, with the fields that its schema names."""
    name = stream["name"]
    whole = {key_of(stream, record): record for record in truth(name) if reached(name, record)}
    fields = None if name in WHOLE else ",".join(leaves(stream["json_schema"]))
    promised = {key_of(stream, record): record for record in truth(name, fields)}
    return {key: promised[key] for key in whole}


def key_of(stream: dict, record: dict) -> tuple:
    # The truth calls a portfolio's place in its item by Asana's word.
    return tuple(record.get(path[0], record.get(path[0].removesuffix("_gid")))
                 for path in stream["source_defined_primary_key"])


def in_database(value, column: dict):
    """A value as PyAirbyte's table for DuckDB is to hold it."""
    if value is None:
        return None
    types = [kind for kind in column["type"] if kind != "null"] if isinstance(column["type"], list) else [column["type"]]
    match types[0], column.get("format"):
        case "string", "date-time":
            return datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).replace(tzinfo=None)
        case "string", "date":
            return datetime.date.fromisoformat(value)
        case "number", _:
            return round(decimal.Decimal(str(value)), 9)
    return value


def from_database(value, column: dict):
    kinds = column["type"] if isinstance(column["type"], list) else [column["type"]]
    if isinstance(value, str) and {"object", "array"} & set(kinds):
        return json.loads(value)
    return value


def table(cache, stream: dict) -> tuple[list[tuple], dict[tuple, dict]]:
    """The keys of all rows, and the rows by key."""
    columns = stream["json_schema"]["properties"]
    with cache.processor.get_sql_connection() as connection:
        rows = connection.exec_driver_sql(f'SELECT * FROM "{cache.schema_name}"."{stream["name"]}"').mappings().all()
    records = [{name: from_database(row[name], column) for name, column in columns.items()} for row in rows]
    keys = [key_of(stream, record) for record in records]
    return keys, dict(zip(keys, records, strict=True))


class Changes:
    """Edits of the account, and which rows have to show it."""

    def __init__(self):
        # Gids of what was made or changed.
        self.moved: set[str] = set()
        # Gids of what was deleted, by itself or with what it hung on: the sync has to tell of all.
        self.deleted: set[str] = set()

    def edit(self, kind: str, **arguments) -> str:
        gid = control("/edits", {"kind": kind, **arguments})["gid"]
        self.moved.add(gid)
        return gid

    def delete(self, kind: str, gid: str) -> None:
        control("/edits", {"kind": f"delete_{kind}", kind: gid})
        self.deleted.add(gid)

    def make(self) -> None:
        tasks = [task for task in truth("tasks") if task["projects"]]
        renamed, completed, commented, deleted = tasks[:4]
        below = [record for record in truth("stories") + truth("attachments")
                 if (record.get("target") or record.get("parent"))["gid"] == deleted["gid"]]
        self.deleted |= {record["gid"] for record in below}
        project = renamed["projects"][0]["gid"]
        workspace = renamed["workspace"]["gid"]
        self.moved |= {task["gid"] for task in (renamed, completed, commented)}
        self.edit("rename_task", task=renamed["gid"], name="A new name – \"ünïcödé\" \\ ✓")
        self.edit("reopen_task" if completed["completed"] else "complete_task", task=completed["gid"])
        self.edit("comment", task=commented["gid"], text="a comment\nin two lines")
        created = self.edit("create_task", workspace=workspace, name="Made between the syncs", projects=[project])
        self.edit("create_subtask", parent=created, name="Below it")
        self.edit("add_attachment", parent=created, name="plan.pdf")
        self.edit("create_section", project=project, name="A section made between the syncs")
        self.edit("create_project", workspace=workspace, name="A project made between the syncs")
        self.edit("add_status_update", parent=project, title="On track", text="All is well")
        self.delete("task", deleted["gid"])
        self.delete("tag", truth("tags")[0]["gid"])
        comment = next(story for story in truth("stories") if story["type"] == "comment" and in_project(story, tasks[4:]))
        self.delete("story", comment["gid"])


def in_project(story: dict, tasks: list[dict]) -> bool:
    return story["target"]["gid"] in {task["gid"] for task in tasks}


def differences(cache, stream: dict, changes: Changes | None = None) -> list[str]:
    """How a table differs from the account. After changes, what an incremental stream did not have to read again may
    have columns of an earlier time."""
    is_whole = changes is None or stream["supported_sync_modes"] == ["full_refresh"]
    keys, rows = table(cache, stream)
    expected = expected_rows(stream)
    found = [f"row {key} is there twice" for key in set(keys) if keys.count(key) > 1]
    found += [f"row {key} is missing" for key in expected.keys() - rows.keys()]
    for key in rows.keys() - expected.keys():
        is_told = rows[key].get(DELETED_AT) is not None
        if is_whole or not changes.deleted & set(key):
            found.append(f"row {key} is of nothing")
        elif not is_told:
            found.append(f"row {key} is not told to be deleted")
    for key in expected.keys() & rows.keys():
        if not is_whole and not changes.moved & set(key):
            continue
        for name, column in stream["json_schema"]["properties"].items():
            # What the account itself does not say is the parent that a record was listed under.
            if name not in expected[key]:
                if name.endswith("_gid") and not rows[key][name]:
                    found.append(f"row {key}: {name} is empty")
                if name == DELETED_AT and rows[key][name] is not None:
                    found.append(f"row {key} is told to be deleted")
                continue
            wanted = in_database(expected[key][name], column)
            if rows[key][name] != wanted:
                found.append(f"row {key}: {name} is {rows[key][name]!r:.200}, not {wanted!r:.200}")
    return found


def main() -> None:
    verdict = Verdict("pyairbyte")
    asana = source(CONFIG)
    _, failure = outcome(asana.check)
    verdict.check("check", [failure] if failure else [])
    _, failure = outcome(source(CONFIGS / "refused-token.json").check)
    verdict.check("check of a refused token fails", failure is not None)

    catalog, failure = outcome(lambda: asana.discovered_catalog)
    verdict.check("discover", [failure] if failure else [])
    streams = [json.loads(stream.model_dump_json()) for stream in catalog.streams] if catalog else []
    asana.select_all_streams()
    cache = airbyte.DuckDBCache(db_path=str(DIRECTORY / "asana.duckdb"))

    result, failure = outcome(lambda: asana.read(cache=cache))
    verdict.check(f"read: {result.processed_records if result else 'no'} records", [failure] if failure else [])
    if not failure:
        for stream in streams:
            verdict.check(f"read: {stream['name']} is as in the account", differences(cache, stream))
        again(verdict, asana, cache, streams, result.processed_records)

    refuse(verdict, source(CONFIG))
    verdict.check("what a platform relies on, in every run", judge.problems_of_all(judge.recorded()))
    verdict.end()


def again(verdict: Verdict, asana, cache, streams: list[dict], first: int) -> None:
    # The connector reads a little of the past again, in which the whole of a young account would lie.
    control("/clock", {"advance_seconds": 3600})
    changes = Changes()
    changes.make()
    result, failure = outcome(lambda: asana.read(cache=cache))
    records = result.processed_records if result else 0
    verdict.check(f"read after changes: {records} records", [failure] if failure else [])
    if failure:
        return
    verdict.check(f"read after changes: fewer than {first}", records < first)
    told = {key for stream in streams for key, row in table(cache, stream)[1].items() if row.get(DELETED_AT)}
    unheard = [f"{gid} was deleted, and nothing tells it" for gid in changes.deleted if not any(gid in key for key in told)]
    verdict.check(f"read after changes: {len(told)} deletions are told", unheard)
    for stream in streams:
        found = differences(cache, stream, changes)
        verdict.check(f"read after changes: {stream['name']} is as in the account", found)


def refuse(verdict: Verdict, asana) -> None:
    """A token that is revoked while the sync runs."""
    control("/faults", {"pattern": "/tasks", "status": 401})
    asana.select_streams(["projects", "tasks"])
    cache = airbyte.DuckDBCache(db_path=str(DIRECTORY / "refused.duckdb"))
    _, failure = outcome(lambda: asana.read(cache=cache))
    verdict.check("a read that Asana refuses is no success", failure is not None)


main()
