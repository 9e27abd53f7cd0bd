"""What a platform relies on in any run of the connector, whoever started it. The other software checks a part of
this each; the judge is told of every run and checks all of it."""

import json
import os
import pathlib
import signal
from collections import Counter

import jsonschema

from acceptance import CONFIG, OFFICIAL_OAUTH, Run, lines_of, run_connector
from sabotage import secrets

# How a run ends whose caller has seen enough of it.
ENDED_BY_CALLER = -signal.SIGTERM
WORKING_TOKEN = json.loads(CONFIG.read_text())["token"]
WORKING_APP = secrets(["--config", str(OFFICIAL_OAUTH)])


def recorded() -> list[Run]:
    """The runs that `recorder` has kept, oldest first."""
    runs = []
    for directory in sorted(pathlib.Path(os.environ["RECORDINGS"]).iterdir()):
        told = directory / "run.json"
        if told.exists():
            run = json.loads(told.read_text())
            runs.append(Run(run["arguments"], lines_of((directory / "stdout").read_text()), run["exit_code"]))
    return runs


def problems_of_all(runs: list[Run]) -> list[str]:
    """The problems of each run, and too few runs is one."""
    if not runs:
        return ["no run of the connector was recorded"]
    return [f"{run.verb}: {problem}" for run in runs for problem in problems(run)]


def problems(run: Run) -> list[str]:
    """Why a platform could not work with this run; empty if it could."""
    for line in run.lines:
        try:
            if not isinstance(json.loads(line), dict):
                raise ValueError
        except ValueError:
            return ["a line of stdout is no JSON object"]
    found = [f"a secret of the config was printed: {kind}" for kind in leaks(run)]
    by_verb = {"spec": of_spec, "check": of_check, "discover": of_discover, "read": of_read}
    found.extend(by_verb[run.verb](run))
    errors = [trace for trace in run.payloads("TRACE") if trace["type"] == "ERROR"]
    if run.exit_code not in (0, ENDED_BY_CALLER) and not errors:
        found.append(f"exit code {run.exit_code} without an ERROR trace: nobody is told why")
    return found


def leaks(run: Run) -> list[str]:
    """Secrets outside of the one message that has to hold them: the config that the platform is to keep."""
    told = [line for line, message in zip(run.lines, run.messages, strict=True) if message["type"] != "CONTROL"]
    known = {*secrets(run.arguments), WORKING_TOKEN}
    return ["in stdout or stderr" for secret in known if secret in "\n".join([*told, run.stderr])]


def of_spec(run: Run) -> list[str]:
    is_right = len(run.payloads("SPEC")) == 1 and run.exit_code in (0, ENDED_BY_CALLER)
    return [] if is_right else ["not one SPEC and exit code 0"]


def of_discover(run: Run) -> list[str]:
    told = len(run.payloads("CATALOG"))
    right = 1 if run.exit_code in (0, ENDED_BY_CALLER) else 0
    return [] if told == right else [f"{told} CATALOG and exit code {run.exit_code}"]


def of_check(run: Run) -> list[str]:
    """The simulated account has one working token and one app, so the right answer is known from the config."""
    statuses = [status["status"] for status in run.payloads("CONNECTION_STATUS")]
    is_right = secrets(run.arguments) in ([WORKING_TOKEN], WORKING_APP)
    right = run.right_status or ("SUCCEEDED" if is_right else "FAILED")
    has_ended = run.exit_code in (0, ENDED_BY_CALLER)
    return [] if statuses == [right] and has_ended else [f"said {statuses} where {right} is right"]


def of_read(run: Run) -> list[str]:
    configured = [entry["stream"]["name"] for entry in run.file("--catalog")["streams"]]
    found = schema_problems(run)
    since_state: Counter = Counter()
    states: Counter = Counter()
    statuses: dict[str, list[str]] = {}
    for message in run.messages:
        if message["type"] == "RECORD":
            since_state[message["record"]["stream"]] += 1
        elif message["type"] == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            states[name] += 1
            count = message["state"].get("sourceStats", {}).get("recordCount")
            if count != since_state[name]:
                found.append(f"{name}: a STATE counts {count} records where {since_state[name]} were printed")
            since_state[name] = 0
        elif message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            statuses.setdefault(status["stream_descriptor"]["name"], []).append(status["status"])
    found.extend(f"{name}: {count} records after the last STATE" for name, count in since_state.items() if count)
    for name, told in statuses.items():
        if name not in configured:
            found.append(f"{name}: a status of a stream that was not asked for")
        middle_is_running = set(told[1:-1]) == {"RUNNING"}
        if told[0] != "STARTED" or not middle_is_running or told[-1] not in ("COMPLETE", "INCOMPLETE"):
            found.append(f"{name}: statuses {told}")
    complete = all(statuses.get(name, [""])[-1] == "COMPLETE" for name in configured)
    if complete != (run.exit_code == 0):
        found.append(f"exit code {run.exit_code}, though {'all' if complete else 'not all'} streams are complete")
    if complete:
        found.extend(f"{name}: complete without a STATE" for name in configured if not states[name])
    return found


def schema_problems(run: Run) -> list[str]:
    """Records against what `discover` promises: what a caller's catalog says may be a selection of it."""
    discovered = run_connector(["discover", "--config", CONFIG]).payloads("CATALOG")[0]
    validators = {
        stream["name"]: jsonschema.Draft7Validator(stream["json_schema"], format_checker=jsonschema.FormatChecker())
        for stream in discovered["streams"]
    }
    found = []
    for record in run.payloads("RECORD"):
        for error in validators[record["stream"]].iter_errors(record["data"]):
            found.append(f"{record['stream']}: {error.json_path}: {error.message[:120]}")
    return found
