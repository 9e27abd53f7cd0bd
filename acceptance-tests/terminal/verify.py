"""Reads the simulated account with a pseudo-terminal on stderr, and checks the screen that pyte draws."""

import collections
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import tempfile
import termios
import threading

import pyte
from acceptance import CONFIG, Run, Verdict, World, configured_catalog, control, lines_of, run_connector

COLUMNS, LINES = 120, 60
STORIES = "/tasks/{gid}/stories"


class Screen:
    """A pseudo-terminal, and every screen that was seen on it."""

    def __init__(self):
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.seen = []
        self.written = b""
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))

    def follow(self, until: str | None = None) -> bool:
        """Draws what is written, until a screen has this text or nobody can write any more. Says whether it has."""
        while True:
            try:
                written = os.read(self.ours, 1024)
            except OSError:  # What Linux answers when the other side is closed.
                return False
            if not written:
                return False
            self.written += written
            self.stream.feed(written)
            self.seen.append("\n".join(line.rstrip() for line in self.screen.display).rstrip())
            if until is not None and until in self.seen[-1]:
                return True

    @property
    def last(self) -> str:
        return self.seen[-1] if self.seen else ""


@contextlib.contextmanager
def reading(arguments: list[str], at_terminal: Screen, stdout_too: bool = False):
    """A read whose stderr is the terminal. Yields the process, and the bytes of its stdout as they come."""
    stdout = at_terminal.theirs if stdout_too else subprocess.PIPE
    process = subprocess.Popen(
        [os.environ["SOURCE_ASANA"], *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=stdout,
        stderr=at_terminal.theirs,
    )
    os.close(at_terminal.theirs)
    printed = []
    # Somebody has to read stdout meanwhile, or the connector waits.
    reader = threading.Thread(target=lambda: printed.append(process.stdout.read() if process.stdout else b""))
    reader.start()
    try:
        yield process, printed
    finally:
        at_terminal.follow()
        process.wait()
        reader.join()


def run_of(arguments: list[str], process: subprocess.Popen, printed: list[bytes]) -> Run:
    return Run([str(argument) for argument in arguments], lines_of(printed[0].decode()), process.returncode)


def table(screen: str) -> dict[str, list[str]]:
    """The rows of the table at the end, by their first column."""
    lines = screen.splitlines()
    heads = [number for number, line in enumerate(lines) if line.startswith("stream ")]
    if not heads:
        return {}
    rows = {}
    for line in lines[heads[-1] + 1:]:
        cells = re.split(r"\s{2,}", line)
        rows[cells[0]] = cells[1:]
        if cells[0] == "all":
            break
    return rows


def whole_read(verdict: Verdict, arguments: list[str], streams: list[str]) -> None:
    screen = Screen()
    with reading(arguments, screen) as (process, printed):
        pass
    run = run_of(arguments, process, printed)
    verdict.check("a read at a terminal: exit code 0", run.exit_code == 0)
    protocol(verdict, "a read at a terminal", run)
    for number, name in [(1, "listings"), (2, "per task")]:
        ended = re.search(rf"^{number} of 2  {name}  \[=+\] 100 %  ", screen.last, re.MULTILINE)
        verdict.check(f"the bar of phase {number} is full at the end", [] if ended else [screen.last])
    verdict.check("requests, rate and records stand below the bars",
                  [] if re.search(r"\d requests, \d+ a minute; [\d,]+ records; \d+ of \d+ streams done", screen.last)
                  else [screen.last])
    rows = table(screen.last)
    counts = collections.Counter(record["stream"] for record in run.payloads("RECORD"))
    wrong = [f"{stream}: {rows.get(stream)} for {counts[stream]} records" for stream in streams
             if rows.get(stream, [""])[0] != f"{counts[stream]:,}"]
    verdict.check("the table has the records of each stream", wrong)
    requests = len(control("/requests")["data"])
    verdict.check("the table has the sum of records and requests",
                  [] if rows.get("all", [])[:3:2] == [f"{counts.total():,}", f"{requests:,}"]
                  else [f"{rows.get('all')} for {counts.total()} records in {requests} requests"])
    verdict.check("nothing failed", "Failed:" not in screen.last)


def stopped_read(verdict: Verdict, arguments: list[str]) -> None:
    """Asana asks for a wait of ten minutes; then the person has enough."""
    control("/faults", {"pattern": STORIES, "status": 429, "retry_after": 600})
    screen = Screen()
    with reading(arguments, screen) as (process, printed):
        waits = screen.follow(until="s for Asana's quota")
        process.send_signal(signal.SIGTERM)
    control("/faults", method="DELETE")
    run = run_of(arguments, process, printed)
    waiting = re.search(r"waiting \d+ s for Asana's quota", "\n".join(screen.seen)) if waits else None
    verdict.check("the wait for the quota is shown", [] if waiting else [screen.last])
    protocol(verdict, "a read that was stopped", run)
    errors = [trace for trace in run.payloads("TRACE") if trace["type"] == "ERROR"]
    verdict.check("a stop is one failure on stdout", [] if len(errors) == 1 else [json.dumps(errors)])
    failed = [line for line in screen.last.splitlines() if line.startswith("Failed:")]
    verdict.check("a stop is one failure on the screen, which says that it was stopped",
                  [] if len(failed) == 1 and "SIGTERM" in failed[0] else [screen.last])
    verdict.check("the table says which stream is incomplete",
                  [] if table(screen.last).get("stories", [""])[-1] == "INCOMPLETE" else [screen.last])


def protocol(verdict: Verdict, what: str, run: Run) -> None:
    def problem(line: str) -> str | None:
        try:
            return None if "type" in json.loads(line) else line
        except ValueError:
            return line

    problems = [line for line in run.lines if problem(line)]
    verdict.check(f"{what}: all {len(run.lines)} lines of stdout are messages", problems if run.lines else False)


def without_terminal(verdict: Verdict, arguments: list[str]) -> None:
    run = run_connector(arguments)
    verdict.check("without a terminal nothing is written to stderr", [run.stderr] if run.stderr else [])
    screen = Screen()
    with reading(arguments, screen, stdout_too=True) as (process, _):
        pass
    lines = [line.rstrip("\r") for line in lines_of(screen.written.decode())]
    shared = Run([str(argument) for argument in arguments], lines, process.returncode)
    protocol(verdict, "stdout and stderr on one terminal", shared)


def main() -> None:
    verdict = Verdict("terminal")
    with World() as world, tempfile.TemporaryDirectory() as directory:
        os.environ["ASANA_BASE_URL"] = world.base_url
        catalog = run_connector(["discover", "--config", CONFIG]).payloads("CATALOG")[0]
        path = pathlib.Path(directory) / "catalog.json"
        path.write_text(json.dumps(configured_catalog(catalog)))
        arguments = ["read", "--config", CONFIG, "--catalog", path]
        whole_read(verdict, arguments, [stream["name"] for stream in catalog["streams"]])
        without_terminal(verdict, arguments)
        stopped_read(verdict, arguments)
    verdict.end()


main()
