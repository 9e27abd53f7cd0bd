"""The ways in which a connector can be broken without anybody noticing. Each takes what the connector printed and
gives what a broken one would have printed."""

import json
import os
import pathlib


def secrets(arguments: list[str]) -> list[str]:
    """The secrets of the config that the connector was given."""
    if "--config" not in arguments:
        return []
    config = json.loads(pathlib.Path(arguments[arguments.index("--config") + 1]).read_text())
    fields = {**config, **(config.get("credentials") or {})}
    names = ("token", "personal_access_token", "client_secret", "refresh_token")
    return [fields[name] for name in names if fields.get(name)]


def wrong_type(message: dict, _):
    """A boolean column holds a text."""
    if message["type"] == "RECORD" and message["record"]["stream"] == "tasks":
        message["record"]["data"]["completed"] = "perhaps"
    yield message


def state_without_count(message: dict, _):
    """A STATE does not say how many records it covers."""
    if message["type"] == "STATE":
        message["state"].pop("sourceStats", None)
    yield message


def leaked_token(message: dict, found: list[str]):
    """The first secret of the config stands in a log line before each line that is not a record."""
    if message["type"] not in ("RECORD", "STATE") and found:
        yield {"type": "LOG", "log": {"level": "INFO", "message": f"signing in as {found[0]}"}}
    yield message


def failed_is_succeeded(message: dict, _):
    """`check` says that a token works which Asana refuses."""
    if message["type"] == "CONNECTION_STATUS":
        message["connectionStatus"]["status"] = "SUCCEEDED"
    yield message


def missing_error_trace(message: dict, _):
    """A failure is not told."""
    if not (message["type"] == "TRACE" and message["trace"]["type"] == "ERROR"):
        yield message


ALL = {
    "wrong-type": wrong_type,
    "state-without-count": state_without_count,
    "leaked-token": leaked_token,
    "failed-is-succeeded": failed_is_succeeded,
    "missing-error-trace": missing_error_trace,
}


def apply(lines, arguments: list[str]):
    """The lines after the sabotage that the environment names; as they are without one."""
    name = os.environ.get("SABOTAGE")
    if not name:
        yield from lines
        return
    found = secrets(arguments)
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            yield line
            continue
        for changed in ALL[name](message, found):
            yield json.dumps(changed, separators=(",", ":"))
