"""The connector into the destination: `source-asana read | destination-iceberg write`, from state to state."""

import json
import os
import pathlib
import subprocess
import time

from tables import AIRBYTE, Warehouse, compare_cells, compare_with_world
from world import TOKEN

ROOT = pathlib.Path(__file__).resolve().parents[3]


def say(text):
    print(text, flush=True)


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


def lines_of(path):
    """Split at line feeds alone: other line separators are part of values."""
    with path.open(newline="\n") as source:
        yield from (json.loads(line) for line in source)


class Pipe:
    """Both programs with their configs and catalog, and the last STATE of each stream."""

    def __init__(self, binaries, folder, world, catalog, streams=None, source=None, **config):
        """Of the catalog's streams only `streams`, if there are any. `source` and `config` are further fields of the
        configs of the source and of the destination."""
        self.folder = folder
        self.database = folder / "warehouse/catalog.db"
        self.catalog = json.loads((ROOT / f"catalogs/{catalog}.json").read_text())
        if streams:
            self.catalog["streams"] = [one for one in self.catalog["streams"] if one["stream"]["name"] in streams]
        self.states = {}
        self.messages, self.answers = folder / "messages.jsonl", folder / "answers.jsonl"
        self.environment = {**os.environ, "ASANA_BASE_URL": world.base}
        catalog = write_json(folder / "catalog.json", self.catalog)
        source = write_json(folder / "source.json", {
            "token": TOKEN, "rate_limit": {"mode": "fixed", "requests_per_minute": 1000000}, **(source or {})})
        self.destination_config = write_json(
            folder / "destination.json", {"catalog": {"type": "embedded", "warehouse": str(folder / "warehouse")}, **config})
        self.read = [binaries / "source-asana", "read", "--config", source, "--catalog", catalog]
        self.write = [binaries / "destination-iceberg", "write", "--config", self.destination_config, "--catalog", catalog]

    def sync(self, kill=None, after=None):
        """Runs both, and kills "source", "destination" or "both" so many seconds later. Returns whether they ended."""
        read = self.read
        if self.states:
            read = [*read, "--state", write_json(self.folder / "states.json", list(self.states.values()))]
        with self.answers.open("wb") as answers:
            source = subprocess.Popen(read, stdout=subprocess.PIPE, env=self.environment, stderr=subprocess.DEVNULL)
            # Kept on the way, to be compared with the tables.
            tee = subprocess.Popen(["tee", self.messages], stdin=source.stdout, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
            destination = subprocess.Popen(self.write, stdin=tee.stdout, stdout=answers, stderr=subprocess.DEVNULL)
            source.stdout.close()
            tee.stdout.close()
            if kill:
                time.sleep(after)
                for name, process in (("source", source), ("destination", destination)):
                    if kill in (name, "both"):
                        process.kill()
            ended = [process.wait() for process in (source, tee, destination)] == [0, 0, 0]
        states = 0
        for line in self.answers.read_bytes().split(b"\n")[:-1]:
            message = json.loads(line)
            if message["type"] == "STATE":
                self.states[message["state"]["stream"]["stream_descriptor"]["name"]] = message["state"]
                states += 1
        assert ended or kill, self.answers.read_text()[-3000:]
        return ended, states

    def records(self):
        """The records of the last sync, the last of each key, by stream; and how many deletions came."""
        keys = {stream["stream"]["name"]: stream_key(stream) for stream in self.catalog["streams"]}
        records, count, deletions = {name: {} for name in keys}, 0, 0
        for message in lines_of(self.messages):
            if message["type"] != "RECORD":
                continue
            name, data = message["record"]["stream"], message["record"]["data"]
            key = tuple(data[part] for part in keys[name])
            count += 1
            if data.get("_ab_cdc_deleted_at"):
                deletions += 1
                records[name].pop(key, None)
            else:
                records[name][key] = data
        return records, count, deletions

    def check(self, world, records=None):
        """The tables against the world, and against the records of the last sync, by both readers."""
        warehouse = Warehouse(self.database)
        workspaces = {workspace["gid"] for workspace in world.records("workspaces", ["gid"])}
        cells = rows = 0
        for stream in self.catalog["streams"]:
            name, key = stream["stream"]["name"], stream_key(stream)
            properties = stream["stream"]["json_schema"]["properties"]
            must, may = world.truth(name, properties)
            for arrow in warehouse.readings(name).values():
                assert AIRBYTE | set(properties) == set(arrow.column_names), f"{name}: other columns"
                cells += compare_with_world(name, arrow, properties, key, must, may, workspaces)
                if records:
                    compare_cells(name, arrow, properties, key, records[name])
                rows += arrow.num_rows
            assert warehouse.equality_deletes(name) == 0
        say(f"  {len(self.catalog['streams'])} tables, {rows // 2} rows and {cells // 2} cells equal to the world, "
            "by both readers; no equality delete")


def stream_key(stream):
    return [path[0] for path in stream["primary_key"] or stream["stream"]["source_defined_primary_key"]]
