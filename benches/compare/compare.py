#!/usr/bin/env python3
"""Compares source-asana with the two connectors on PyPI: requests, completeness, CPU and memory of two syncs.

Each connector reads its own copy of the same simulated account, once in full and once after the same changes. Nothing in
the comparison waits for a quota, so the times are those of the programs. `--write` puts the results into
docs/BENCHMARKS.md and docs/images/compare.svg.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROFILE = os.environ.get("COMPARE_PROFILE", "release")
TITLE = "Requests of two syncs of the same account"
OAUTH = {"client_id": "app", "client_secret": "secret-of-the-app", "refresh_token": "refresh-token-of-the-app"}

# Collections of the simulator's truth, and the streams of each connector that hold their records.
COLLECTIONS = {
    "workspaces": ["workspaces"],
    "users": ["users"],
    "teams": ["teams"],
    "tags": ["tags"],
    "projects": ["projects"],
    "sections": ["sections"],
    "tasks": ["tasks", "subtasks"],
    "stories": ["stories"],
    "attachments": ["attachments"],
}
STREAMS = [stream for streams in COLLECTIONS.values() for stream in streams]


@dataclasses.dataclass
class Sync:
    """What one run of a connector did."""

    records: list[tuple[str, dict]]
    exit_code: int
    cpu_seconds: float
    peak_mebibytes: float
    requests: int = 0
    states: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Result:
    name: str
    version: str
    syncs: list[dict]


class Simulator:
    """A simulated account, on a port of its own."""

    def __init__(self, scale: str):
        binary = TARGET / PROFILE / "asana-simulator"
        options = ["--scale", scale, "--control", "--client-id", OAUTH["client_id"]]
        options += ["--client-secret", OAUTH["client_secret"], "--refresh-token", OAUTH["refresh_token"]]
        self.process = subprocess.Popen([binary, *options], stdout=subprocess.PIPE, text=True)
        self.api = self.process.stdout.readline().strip()
        self.origin = self.api.removesuffix("/api/1.0")

    def control(self, method: str, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.origin}/control/{path}", data=data, method=method)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def truth(self) -> dict[str, set[str]]:
        return {
            collection: {row["gid"] for row in self.control("GET", f"truth/{collection}?opt_fields=gid")["data"]}
            for collection in COLLECTIONS
        }

    def requests(self) -> int:
        """The requests since the last call."""
        count = len(self.control("GET", "requests")["data"])
        self.control("DELETE", "requests")
        return count

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def run(command: list, environment: dict[str, str], folder: Path) -> tuple[Path, int, float, float]:
    """Runs a connector and measures it by what the operating system says when it ends."""
    output = folder / "output.jsonl"
    with output.open("wb") as stdout, (folder / "stderr.txt").open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=os.environ | environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return output, process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class SourceAsana:
    name = "source-asana (this project)"

    def __init__(self, folder: Path):
        self.folder = folder
        self.binary = TARGET / PROFILE / "source-asana"
        version = subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True)
        self.version = version.stdout.split()[-1]
        self.states: list = []

    def sync(self, simulator: Simulator) -> Sync:
        catalog = json.loads((ROOT / "catalogs" / "incremental.json").read_text())
        catalog["streams"] = [s for s in catalog["streams"] if s["stream"]["name"] in STREAMS]
        files = {"config": {"token": "simulator-token", "rate_limit": {"mode": "fixed", "requests_per_minute": 1000000}},
                 "catalog": catalog, "state": self.states}
        arguments: list = [self.binary, "read"]
        for name, content in files.items():
            path = self.folder / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", path]
        output, code, cpu, memory = run(arguments, {"ASANA_BASE_URL": simulator.api}, self.folder)
        return self.read(output, code, cpu, memory)

    def read(self, output: Path, code: int, cpu: float, memory: float) -> Sync:
        records, states = [], {}
        for line in output.open():
            message = json.loads(line)
            if message["type"] == "RECORD":
                records.append((message["record"]["stream"], message["record"]["data"]))
            elif message["type"] == "STATE":
                states[json.dumps(message["state"].get("stream", {}).get("stream_descriptor"))] = message
        self.states = list(states.values())
        return Sync(records, code, cpu, memory)


class AirbyteSourceAsana(SourceAsana):
    name = "airbyte-source-asana"

    def __init__(self, folder: Path):
        self.folder = folder
        self.bin, self.version = installed("airbyte-source-asana")
        self.states = []

    def sync(self, simulator: Simulator) -> Sync:
        environment = {"ASANA_STAND_IN": simulator.origin, "PYTHONPATH": str(HERE / "redirect")}
        config = self.folder / "config.json"
        credentials = {"option_title": "PAT Credentials", "personal_access_token": "simulator-token"}
        config.write_text(json.dumps({"credentials": credentials}))
        program = self.bin / "source-asana"
        discover = subprocess.run([program, "discover", "--config", config], env=os.environ | environment,
                                  capture_output=True, text=True, check=True)
        catalog = next(json.loads(line)["catalog"] for line in discover.stdout.splitlines() if '"CATALOG"' in line)
        simulator.requests()
        streams = [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
                   for stream in catalog["streams"] if stream["name"] in STREAMS]
        path = self.folder / "catalog.json"
        path.write_text(json.dumps({"streams": streams}))
        output, code, cpu, memory = run([program, "read", "--config", config, "--catalog", path], environment, self.folder)
        return self.read(output, code, cpu, memory)


class TapAsana:
    name = "tap-asana"

    def __init__(self, folder: Path):
        self.folder = folder
        self.bin, self.version = installed("tap-asana")
        self.state: dict = {}

    def sync(self, simulator: Simulator) -> Sync:
        environment = {"ASANA_STAND_IN": simulator.origin, "PYTHONPATH": str(HERE / "redirect")}
        config = self.folder / "config.json"
        config.write_text(json.dumps(OAUTH | {"redirect_uri": "https://localhost", "start_date": "2000-01-01T00:00:00Z"}))
        program = self.bin / "tap-asana"
        discover = subprocess.run([program, "--config", config, "--discover"], env=os.environ | environment,
                                  capture_output=True, text=True, check=True)
        catalog = json.loads(discover.stdout)
        catalog["streams"] = [stream for stream in catalog["streams"] if stream["stream"] in STREAMS]
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                entry["metadata"]["selected"] = True
        catalog_file, state_file = self.folder / "catalog.json", self.folder / "state.json"
        catalog_file.write_text(json.dumps(catalog))
        state_file.write_text(json.dumps(self.state))
        simulator.requests()
        command = [program, "--config", config, "--catalog", catalog_file, "--state", state_file]
        output, code, cpu, memory = run(command, environment, self.folder)
        records = []
        for line in output.open():
            message = json.loads(line)
            if message["type"] == "RECORD":
                records.append((message["stream"], message["record"]))
            elif message["type"] == "STATE":
                self.state = message["value"]
        return Sync(records, code, cpu, memory)


def installed(package: str) -> tuple[Path, str]:
    """The newest version from PyPI in an environment of its own: its folder of programs, and the version."""
    folder = TARGET / "compare" / package
    if not (folder / "bin" / "pip").exists():
        venv.create(folder, with_pip=True)
    pip = folder / "bin" / "pip"
    subprocess.run([pip, "install", "--quiet", "--upgrade", package], check=True)
    shown = subprocess.run([pip, "show", package], capture_output=True, text=True, check=True).stdout
    return folder / "bin", re.search(r"^Version: (.*)$", shown, re.MULTILINE)[1]


def change(simulator: Simulator) -> tuple[dict[str, str], set[str]]:
    """Renames some tasks and subtasks and deletes some tasks. Returns the new names by gid, and what was deleted."""
    tasks = simulator.control("GET", "truth/tasks?opt_fields=parent,projects,num_subtasks")["data"]
    top = [task for task in tasks if not task["parent"] and task["projects"]]
    subtasks = [task for task in tasks if task["parent"]]
    leaves = [task for task in top if not task["num_subtasks"]]
    deleted = leaves[-2:]
    renamed = [task for task in top if task not in deleted][:: max(1, len(top) // 4)][:4] + subtasks[:2]
    names = {}
    for number, task in enumerate(renamed):
        names[task["gid"]] = f"renamed {number}"
        simulator.control("POST", "edits", {"kind": "rename_task", "task": task["gid"], "name": names[task["gid"]]})
    for task in deleted:
        simulator.control("POST", "edits", {"kind": "delete_task", "task": task["gid"]})
    return names, {task["gid"] for task in deleted}


def found(sync: Sync, truth: dict[str, set[str]]) -> dict[str, tuple[int, int]]:
    """By collection: the distinct records that the connector emitted, and those that exist."""
    result = {}
    for collection, streams in COLLECTIONS.items():
        gids = {data["gid"] for stream, data in sync.records if stream in streams}
        result[collection] = (len(gids & truth[collection]), len(truth[collection]))
    return result


def figures(sync: Sync) -> dict:
    return {"requests": sync.requests, "records": len(sync.records), "cpu_seconds": round(sync.cpu_seconds, 2),
            "peak_mebibytes": round(sync.peak_mebibytes), "exit_code": sync.exit_code}


def compare(connector_type: type, scale: str) -> Result:
    simulator = Simulator(scale)
    try:
        with tempfile.TemporaryDirectory() as folder:
            connector = connector_type(Path(folder))
            truth = simulator.truth()
            simulator.requests()
            first = connector.sync(simulator)
            first.requests = simulator.requests()
            names, deleted = change(simulator)
            # The overlap of five minutes would make every connector read the first sync's rows again.
            simulator.requests()
            second = connector.sync(simulator)
            second.requests = simulator.requests()
            seen = {data["gid"] for stream, data in second.records
                    if stream in COLLECTIONS["tasks"] and names.get(data["gid"], 0) == data.get("name")}
            reported = {data["gid"] for _, data in second.records if data.get("_ab_cdc_deleted_at")}
            is_whole = connector_type is AirbyteSourceAsana
            return Result(connector.name, connector.version, [
                figures(first) | {"found": found(first, truth)},
                figures(second) | {"changes": (len(seen), len(names)),
                                   "deletions": "none: it reads everything again" if is_whole
                                   else f"{len(reported & deleted)} of {len(deleted)}"},
            ])
    finally:
        simulator.stop()


def of(pair: tuple[int, int]) -> str:
    return f"{pair[0]} of {pair[1]}"


def table(results: list[Result]) -> str:
    rows = [["", *(f"{result.name} {result.version}" for result in results)], ["---"] * (len(results) + 1)]

    def row(title: str, value) -> None:
        rows.append([title, *(str(value(result)) for result in results)])

    row("**first sync**: requests", lambda r: r.syncs[0]["requests"])
    for collection in COLLECTIONS:
        title = "tasks with subtasks" if collection == "tasks" else collection
        row(f"{title} found", lambda r, c=collection: of(r.syncs[0]["found"][c]))
    row("records emitted", lambda r: r.syncs[0]["records"])
    row("CPU seconds", lambda r: r.syncs[0]["cpu_seconds"])
    row("peak memory, MiB", lambda r: r.syncs[0]["peak_mebibytes"])
    row("exit code", lambda r: r.syncs[0]["exit_code"])
    row("**second sync**: requests", lambda r: r.syncs[1]["requests"])
    row("records emitted", lambda r: r.syncs[1]["records"])
    row("changed tasks found", lambda r: of(r.syncs[1]["changes"]))
    row("deleted tasks reported", lambda r: r.syncs[1]["deletions"])
    row("CPU seconds", lambda r: r.syncs[1]["cpu_seconds"])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def chart(results: list[Result]) -> str:
    """Bars of requests, first and second sync, drawn with the colours of either theme of a code host."""
    most = max(sync["requests"] for result in results for sync in result.syncs)
    lines, y = [], 50
    for result in results:
        lines.append(f'<text x="20" y="{y}" class="name">{result.name} {result.version}</text>')
        for label, sync, kind in zip(["first sync", "second sync"], result.syncs, ["first", "second"]):
            y += 24
            width = max(1, round(440 * sync["requests"] / most))
            lines.append(f'<text x="20" y="{y}">{label}</text>')
            lines.append(f'<rect x="110" y="{y - 13}" width="{width}" height="16" class="{kind}"/>')
            lines.append(f'<text x="{118 + width}" y="{y}">{sync["requests"]:,}</text>')
        y += 36
    style = ("text{font:14px sans-serif;fill:#57606a}.name{font-weight:600}.title{font-size:16px;font-weight:600}"
             ".first{fill:#4573d2}.second{fill:#f06a6a}@media(prefers-color-scheme:dark){text{fill:#b1bac4}}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="660" height="{y - 20}" role="img" '
            f'aria-label="{TITLE}"><style>{style}</style>'
            f'<text x="20" y="24" class="title">{TITLE}</text>'
            + "".join(lines) + "</svg>\n")


def write(results: list[Result], scale: str) -> None:
    page = ROOT / "docs" / "BENCHMARKS.md"
    conditions = (f"Measured on {datetime.date.today()} with the simulator's `{scale}` account on {os.cpu_count()} cores "
                  f"({platform.machine()}, {platform.system()}), Python {platform.python_version()}, release build.")
    text = page.read_text()
    generated = f"<!-- results -->\n![{TITLE}](images/compare.svg)\n\n{table(results)}\n\n{conditions}\n<!-- end of results -->"
    text = re.sub(r"<!-- results -->.*<!-- end of results -->", lambda _: generated, text, flags=re.DOTALL)
    page.write_text(text)
    picture = ROOT / "docs" / "images" / "compare.svg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(chart(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="small", help="the simulated account: tiny, small or medium")
    parser.add_argument("--write", action="store_true", help="write docs/BENCHMARKS.md and its chart")
    arguments = parser.parse_args()
    build = ["cargo", "build", "--workspace", "--bin", "source-asana", "--bin", "asana-simulator"]
    subprocess.run(build + (["--release"] if PROFILE == "release" else []), cwd=ROOT, check=True)
    results = []
    for connector_type in (SourceAsana, AirbyteSourceAsana, TapAsana):
        print(f"{connector_type.name}: two syncs …", file=sys.stderr, flush=True)
        results.append(compare(connector_type, arguments.scale))
    print(table(results))
    if arguments.write:
        write(results, arguments.scale)


if __name__ == "__main__":
    main()
