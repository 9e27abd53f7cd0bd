"""What every suite shares: the simulated account, runs of the connector, and the printed verdicts."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = HERE / "configs"
CONFIG = CONFIGS / "config.json"

# Asana's listing of which a stream's records are, where it is not the stream's own name.
COLLECTIONS = {"subtasks": "tasks"}


class World:
    """A simulated Asana account of its own, with its ground truth."""

    def __init__(self, port: int = 0):
        command = [os.environ["ASANA_SIMULATOR"], "--scale", "tiny", "--control", "--plan", "enterprise"]
        self.process = subprocess.Popen(
            [*command, "--service-account", "--port", str(port)], stdout=subprocess.PIPE, text=True
        )
        self.base_url = self.process.stdout.readline().strip()
        if not self.base_url:
            raise SystemExit("the simulator did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def control(path: str, body=None, base_url: str | None = None):
    """A request to the simulator's control endpoints, which are beside Asana's API."""
    base_url = base_url or os.environ["ASANA_BASE_URL"]
    url = base_url.removesuffix("/api/1.0") + "/control" + path
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data)) as answer:
        return json.loads(answer.read())


def truth(stream: str, fields: str | None = None) -> list[dict]:
    """Every record of the stream that the account holds, in full or with these of Asana's field paths."""
    query = "" if fields is None else f"?opt_fields={fields}"
    records = control(f"/truth/{COLLECTIONS.get(stream, stream)}{query}")["data"]
    if stream == "tasks":
        return [record for record in records if record["parent"] is None]
    if stream == "subtasks":
        return [record for record in records if record["parent"] is not None]
    return records


@dataclass
class Run:
    """One run of the connector: what was asked, what it printed, how it ended."""

    arguments: list[str]
    lines: list[str]
    exit_code: int
    stderr: str = ""

    @property
    def verb(self) -> str:
        return self.arguments[0]

    def file(self, option: str):
        """The content of the JSON file that an option names; `None` without the option."""
        if option not in self.arguments:
            return None
        return json.loads(pathlib.Path(self.arguments[self.arguments.index(option) + 1]).read_text())

    @property
    def messages(self) -> list[dict]:
        return [json.loads(line) for line in self.lines]

    def payloads(self, kind: str) -> list[dict]:
        key = {"CONNECTION_STATUS": "connectionStatus"}.get(kind, kind.lower())
        return [message[key] for message in self.messages if message["type"] == kind]


class Verdict:
    """Prints each check's outcome and remembers whether all were well."""

    def __init__(self, suite: str):
        self.suite = suite
        self.reds = 0

    def check(self, what: str, problems) -> None:
        """`problems` is a list of sentences, or a truth value."""
        if problems is True:
            problems = []
        elif problems is False:
            problems = ["it is not so"]
        if not problems:
            print(f"  ok      {self.suite}: {what}", flush=True)
            return
        self.reds += 1
        print(f"  RED     {self.suite}: {what}", flush=True)
        for problem in problems[:5]:
            print(f"            {str(problem).strip()[:600]}", flush=True)
        if len(problems) > 5:
            print(f"            and {len(problems) - 5} more", flush=True)

    def skip(self, what: str, why: str) -> None:
        print(f"  SKIPPED {self.suite}: {what}: {why}", flush=True)

    def end(self) -> None:
        sys.exit(1 if self.reds else 0)


def lines_of(text: str) -> list[str]:
    """What a line is to the protocol: `splitlines` would also split at U+2028 and others, which texts may hold."""
    return text.rstrip("\n").split("\n") if text else []


def run_connector(arguments: list[str], cwd=None) -> Run:
    """Runs the connector as a plain process, through the sabotage that is asked for, if any."""
    import sabotage

    done = subprocess.run(
        [os.environ["SOURCE_ASANA"], *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd
    )
    run = Run([str(argument) for argument in arguments], lines_of(done.stdout), done.returncode, done.stderr)
    run.lines = list(sabotage.apply(run.lines, run.arguments))
    return run


def configured_catalog(catalog: dict, **changes) -> dict:
    """Every discovered stream, incremental where it can be."""
    streams = []
    for stream in catalog["streams"]:
        mode = "incremental" if "incremental" in stream["supported_sync_modes"] else "full_refresh"
        streams.append({"stream": stream, "sync_mode": mode, "destination_sync_mode": "append", **changes})
    return {"streams": streams}


UNKNOWN_STREAM = {
    "streams": [
        {
            "stream": {
                "name": "a_stream_that_does_not_exist",
                "json_schema": {"type": "object", "properties": {"gid": {"type": "string"}}},
                "supported_sync_modes": ["full_refresh"],
            },
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }
    ]
}
