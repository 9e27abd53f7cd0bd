#!/usr/bin/env python3
"""Compares source-asana with the two connectors on PyPI: requests, completeness, CPU and memory of two syncs.

Each connector reads its own copy of the same simulated account, once in full and once after the same changes. Nothing in
the comparison waits for a quota, so the times are those of the programs. `--write` puts the results into
docs/BENCHMARKS.md and docs/images/compare.svg.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
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
OAUTH = {"client_id": "app", "client_secret": "secret-of-the-app", "refresh_token": "refresh-token-of-the-app"}
REDIRECT = {"PYTHONPATH": str(HERE / "redirect")}

# The collections of the account that this connector and at least one of the others read, and the streams with their records.
COLLECTIONS = {
    "workspaces": ["workspaces"],
    "users": ["users"],
    "teams": ["teams"],
    "team_memberships": ["team_memberships"],
    "tags": ["tags"],
    "portfolios": ["portfolios"],
    "projects": ["projects"],
    "sections": ["sections"],
    "tasks": ["tasks", "subtasks"],
    "stories": ["stories"],
    "attachments": ["attachments"],
}
STREAMS = [stream for streams in COLLECTIONS.values() for stream in streams]


@dataclasses.dataclass
class Run:
    """What a connector emitted, and what the operating system says about its process."""

    records: list[tuple[str, dict]]
    exit_code: int
    cpu_seconds: float
    peak_mebibytes: float
    requests: int = 0


@dataclasses.dataclass
class Changes:
    """What differs in the second sync."""

    names: dict[str, str]
    deleted: set[str]


@dataclasses.dataclass
class Result:
    name: str
    version: str
    streams: set[str]
    truth: dict[str, set[str]]
    first: Run
    changes: Changes
    second: Run
    keeps_state: bool

    def found(self, collection: str) -> int:
        """The distinct records of the collection that the first sync emitted."""
        return len(self.gids(collection).keys() & self.truth[collection])

    def unknown(self) -> int:
        """Distinct records that the account does not have."""
        return sum(len(self.gids(name).keys() - self.truth[name]) for name in COLLECTIONS)

    def repeated(self) -> int:
        """Records beyond the first of their gid."""
        return sum(sum(count - 1 for count in self.gids(name).values()) for name in COLLECTIONS)

    def gids(self, collection: str) -> collections.Counter:
        streams = COLLECTIONS[collection]
        return collections.Counter(data["gid"] for stream, data in self.first.records if stream in streams)

    def renamed(self) -> int:
        emitted = {data["gid"]: data.get("name") for stream, data in self.second.records
                   if stream in COLLECTIONS["tasks"]}
        return sum(emitted.get(gid) == name for gid, name in self.changes.names.items())

    def reported_deletions(self) -> int:
        return len({data["gid"] for _, data in self.second.records
                    if data.get("_ab_cdc_deleted_at")} & self.changes.deleted)


class Simulator:
    """A simulated account, on a port of its own."""

    def __init__(self, scale: str, programs: Path):
        binary = programs / "asana-simulator"
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
    if process.returncode != 0:
        lines = (folder / "stderr.txt").read_text(errors="replace").splitlines()[-10:]
        print(f"{command[0]} ended with exit code {process.returncode}. The end of its log:", *lines, sep="\n", file=sys.stderr)
    return output, process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class SourceAsana:
    name = "source-asana (this project)"
    keeps_state = True

    def __init__(self, programs: Path):
        self.program = programs / "source-asana"
        version = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True)
        self.version = version.stdout.split()[-1]
        self.streams: set[str] = set()
        self.states: list = []

    def sync(self, simulator: Simulator, folder: Path) -> Run:
        catalog = json.loads((ROOT / "catalogs" / "incremental.json").read_text())
        catalog["streams"] = [s for s in catalog["streams"] if s["stream"]["name"] in STREAMS]
        self.streams = {s["stream"]["name"] for s in catalog["streams"]}
        files = {"config": {"token": "simulator-token", "rate_limit": {"mode": "fixed", "requests_per_minute": 1000000}},
                 "catalog": catalog, "state": self.states}
        arguments: list = [self.program, "read"]
        for name, content in files.items():
            arguments += [f"--{name}", written(folder, name, content)]
        return self.read(*run(arguments, {"ASANA_BASE_URL": simulator.api}, folder))

    def read(self, output: Path, code: int, cpu: float, memory: float) -> Run:
        records, states = [], {}
        for line in output.open():
            message = json.loads(line)
            if message["type"] == "RECORD":
                records.append((message["record"]["stream"], message["record"]["data"]))
            elif message["type"] == "STATE":
                states[json.dumps(message["state"].get("stream", {}).get("stream_descriptor"))] = message
        self.states = list(states.values())
        return Run(records, code, cpu, memory)


class AirbyteSourceAsana(SourceAsana):
    name = "airbyte-source-asana"
    # Its streams are full refreshes only.
    keeps_state = False

    def __init__(self, programs: Path):
        folder, self.version = installed("airbyte-source-asana")
        self.program = folder / "source-asana"
        self.streams = set()
        self.states = []

    def sync(self, simulator: Simulator, folder: Path) -> Run:
        environment = REDIRECT | {"ASANA_STAND_IN": simulator.origin}
        credentials = {"option_title": "PAT Credentials", "personal_access_token": "simulator-token"}
        config = written(folder, "config", {"credentials": credentials})
        discovered = stdout_of([self.program, "discover", "--config", config], environment)
        catalog = next(json.loads(line)["catalog"] for line in discovered.splitlines() if '"CATALOG"' in line)
        streams = [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
                   for stream in catalog["streams"] if stream["name"] in STREAMS]
        self.streams = {stream["stream"]["name"] for stream in streams}
        command = [self.program, "read", "--config", config, "--catalog", written(folder, "catalog", {"streams": streams})]
        simulator.requests()
        return self.read(*run(command, environment, folder))


class TapAsana:
    name = "tap-asana"
    keeps_state = True

    def __init__(self, programs: Path):
        folder, self.version = installed("tap-asana")
        self.program = folder / "tap-asana"
        self.streams: set[str] = set()
        self.state: dict = {}

    def sync(self, simulator: Simulator, folder: Path) -> Run:
        environment = REDIRECT | {"ASANA_STAND_IN": simulator.origin}
        config = OAUTH | {"redirect_uri": "https://localhost", "start_date": "2000-01-01T00:00:00Z"}
        command = [self.program, "--config", written(folder, "config", config)]
        catalog = json.loads(stdout_of([*command, "--discover"], environment))
        catalog["streams"] = [stream for stream in catalog["streams"] if stream["stream"] in STREAMS]
        self.streams = {stream["stream"] for stream in catalog["streams"]}
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                entry["metadata"]["selected"] = True
        command += ["--catalog", written(folder, "catalog", catalog), "--state", written(folder, "state", self.state)]
        simulator.requests()
        output, code, cpu, memory = run(command, environment, folder)
        records = []
        for line in output.open():
            message = json.loads(line)
            if message["type"] == "RECORD":
                records.append((message["stream"], message["record"]))
            elif message["type"] == "STATE":
                self.state = message["value"]
        return Run(records, code, cpu, memory)


def written(folder: Path, name: str, content) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def stdout_of(command: list, environment: dict[str, str]) -> str:
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True).stdout


def installed(package: str) -> tuple[Path, str]:
    """The newest version from PyPI in an environment of its own: its folder of programs, and the version."""
    folder = TARGET / "compare" / package
    if not (folder / "bin" / "pip").exists():
        venv.create(folder, with_pip=True)
    pip = folder / "bin" / "pip"
    subprocess.run([pip, "install", "--quiet", "--upgrade", package], check=True)
    shown = subprocess.run([pip, "show", package], capture_output=True, text=True, check=True).stdout
    return folder / "bin", re.search(r"^Version: (.*)$", shown, re.MULTILINE)[1]


def change(simulator: Simulator) -> Changes:
    """Renames 1 % of the tasks, at least one task and one subtask, and deletes one task without subtasks."""
    tasks = simulator.control("GET", "truth/tasks?opt_fields=parent,projects,num_subtasks")["data"]
    top = [task["gid"] for task in tasks if not task["parent"] and task["projects"]]
    subtasks = [task["gid"] for task in tasks if task["parent"] and not task["projects"]]
    deleted = [task["gid"] for task in tasks if not task["parent"] and task["projects"] and not task["num_subtasks"]][-1]
    count = max(1, round(len(tasks) / 100) - 1)
    renamed = [gid for gid in top if gid != deleted][:: max(1, len(top) // count)][:count] + subtasks[:1]
    names = {gid: f"renamed {number}" for number, gid in enumerate(renamed)}
    for gid, name in names.items():
        simulator.control("POST", "edits", {"kind": "rename_task", "task": gid, "name": name})
    simulator.control("POST", "edits", {"kind": "delete_task", "task": deleted})
    return Changes(names, {deleted})


def measured(connector, simulator: Simulator) -> Run:
    """One sync, and the requests that it sent."""
    simulator.requests()
    with tempfile.TemporaryDirectory() as folder:
        sync = connector.sync(simulator, Path(folder))
    sync.requests = simulator.requests()
    return sync


@contextlib.contextmanager
def account(scale: str, programs: Path):
    simulator = Simulator(scale, programs)
    try:
        yield simulator
    finally:
        simulator.stop()


def compare(connector_type: type, scale: str, programs: Path) -> Result:
    connector = connector_type(programs)
    with account(scale, programs) as simulator, account(scale, programs) as other:
        truth = simulator.truth()
        if connector.keeps_state:
            first = measured(connector, simulator)
            changes = change(simulator)
            second = measured(connector, simulator)
        else:
            # Nothing leads from the first sync to the second, so both run at once, each on a copy of the account.
            changes = change(other)
            with concurrent.futures.ThreadPoolExecutor() as pool:
                both = [pool.submit(measured, connector, copy) for copy in (simulator, other)]
            first, second = (future.result() for future in both)
    return Result(connector.name, connector.version, connector.streams, truth, first, changes, second,
                  connector.keeps_state)


def table(results: list[Result]) -> str:
    rows = [["", *(f"{result.name} {result.version}" for result in results)], ["---"] * (len(results) + 1)]

    def row(title: str, value) -> None:
        rows.append([title, *(str(value(result)) for result in results)])

    def found(result: Result, collection: str) -> str:
        if not result.streams & set(COLLECTIONS[collection]):
            return "no such stream"
        return f"{result.found(collection):,} of {len(result.truth[collection]):,}"

    row("**First sync**: requests", lambda r: f"{r.first.requests:,}")
    for collection in COLLECTIONS:
        title = "tasks and subtasks" if collection == "tasks" else collection
        row(f"{title} found", lambda r, c=collection: found(r, c))
    row("records emitted more than once", lambda r: f"{r.repeated():,}")
    row("records that do not exist", lambda r: f"{r.unknown():,}")
    row("CPU seconds", lambda r: f"{r.first.cpu_seconds:.1f}")
    row("peak memory, MiB", lambda r: round(r.first.peak_mebibytes))
    row("exit code", lambda r: r.first.exit_code)
    row("**Second sync**: requests", lambda r: f"{r.second.requests:,}")
    row("records emitted", lambda r: f"{len(r.second.records):,}")
    row("changed tasks found", lambda r: f"{r.renamed()} of {len(r.changes.names)}")
    row("deleted tasks reported", lambda r: f"{r.reported_deletions()} of {len(r.changes.deleted)}"
        if r.keeps_state else "none; the new rows replace the table")
    row("CPU seconds", lambda r: f"{r.second.cpu_seconds:.1f}")
    row("peak memory, MiB", lambda r: round(r.second.peak_mebibytes))
    row("exit code", lambda r: r.second.exit_code)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def title(results: list[Result]) -> str:
    changes, tasks = results[0].changes, len(results[0].truth["tasks"])
    changed = len(changes.names) + len(changes.deleted)
    return f"Requests of a first sync, and of a second one after {changed} of {tasks:,} tasks changed"


def chart(results: list[Result]) -> str:
    """Bars of requests, first and second sync, drawn with the colours of either theme of a code host."""
    most = max(sync.requests for result in results for sync in (result.first, result.second))
    lines, y = [], 58
    for result in results:
        found = sum(result.found(collection) for collection in COLLECTIONS)
        share = 100 * found // sum(len(gids) for gids in result.truth.values())
        lines.append(f'<text x="20" y="{y}"><tspan class="name">{result.name} {result.version}</tspan>'
                     f' finds {share} % of the records</text>')
        for kind, sync in (("first", result.first), ("second", result.second)):
            y += 24
            width = max(1, round(460 * sync.requests / most))
            lines.append(f'<text x="20" y="{y}">{kind} sync</text>')
            lines.append(f'<rect x="120" y="{y - 13}" width="{width}" height="16" class="{kind}"/>')
            lines.append(f'<text x="{128 + width}" y="{y}">{sync.requests:,}</text>')
        y += 36
    style = ("text{font:14px sans-serif;fill:#57606a}.name{font-weight:600}.title{font-size:16px;font-weight:600}"
             ".first{fill:#4573d2}.second{fill:#f06a6a}@media(prefers-color-scheme:dark){text{fill:#b1bac4}}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{y - 20}" role="img" '
            f'aria-label="{title(results)}"><style>{style}</style>'
            f'<text x="20" y="26" class="title">{title(results)}</text>\n'
            + "\n".join(lines) + "\n</svg>\n")


def write(results: list[Result], scale: str, build: str) -> None:
    page = ROOT / "docs" / "BENCHMARKS.md"
    truth = results[0].truth
    conditions = (f"Measured on {datetime.date.today()} with the simulator's `{scale}` account "
                  f"({len(truth['tasks'])} tasks, {len(truth['stories']):,} stories) on {os.cpu_count()} cores "
                  f"({platform.machine()}, {platform.system()}; load average at the end {os.getloadavg()[0]:.0f}), Python {platform.python_version()}, and a {build} build "
                  "of this project.")
    text = page.read_text()
    generated = f"<!-- results -->\n![{title(results)}](images/compare.svg)\n\n{table(results)}\n\n{conditions}\n<!-- end of results -->"
    text = re.sub(r"<!-- results -->.*<!-- end of results -->", lambda _: generated, text, flags=re.DOTALL)
    page.write_text(text)
    picture = ROOT / "docs" / "images" / "compare.svg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(chart(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="tiny",
                        help="the simulated account: tiny (the default), small or medium")
    parser.add_argument("--release", action="store_true", help="compile this project as a release, which takes minutes more")
    parser.add_argument("--write", action="store_true", help="write docs/BENCHMARKS.md and its chart")
    arguments = parser.parse_args()
    build = "release" if arguments.release else "debug"
    # The whole workspace, as every command builds it: other feature sets would compile the dependencies again.
    command = ["cargo", "build", "--workspace", "--bins"]
    subprocess.run(command + (["--release"] if arguments.release else []), cwd=ROOT, check=True)
    results = []
    for connector_type in (SourceAsana, TapAsana, AirbyteSourceAsana):
        print(f"{connector_type.name}: two syncs …", file=sys.stderr, flush=True)
        results.append(compare(connector_type, arguments.scale, TARGET / build))
    print(table(results))
    if arguments.write:
        write(results, arguments.scale, build)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        command = " ".join(str(word) for word in error.cmd)
        sys.exit(f"{error.stderr or ''}`{command}` failed with exit code {error.returncode}, so there is no comparison.")
