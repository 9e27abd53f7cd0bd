"""The connector as other runners call it: their exact command lines, read from their source code, against the image.
Each runner's quirk is also broken on purpose, and then its check has to be red.

What is used of an image is what `docker run` uses; where no engine runs, image.sh runs the image's file system."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from acceptance import CONFIG, HERE, Verdict, configured_catalog, control, lines_of, truth

IMAGE = f"source-asana:{re.search('dockerImageTag: (.*)', (HERE.parent / 'metadata.yaml').read_text())[1]}"
AIRBYTE = 1000
# A user of the host that the image does not know.
STRANGER = 4321
CANNOT = 75


@dataclass
class Called:
    """What a runner got from the connector: the lines that it reads, and the exit code."""

    lines: list[str]
    code: int
    stderr: str = ""

    def messages(self) -> list[dict]:
        return [json.loads(line) for line in self.lines]


def docker(*arguments, merged: bool = False, environment: dict[str, str] | None = None) -> Called:
    """`docker run` as a runner calls it. With `merged`, stderr goes into stdout."""
    stderr = subprocess.STDOUT if merged else subprocess.PIPE
    done = subprocess.run(["bash", HERE / "image.sh", "run", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=stderr, text=True, check=False, env={**os.environ, **(environment or {})})
    return Called(lines_of(done.stdout), done.returncode, done.stderr or "")


@contextlib.contextmanager
def folder(owner: int = AIRBYTE, mode: int = 0o700, **files):
    """A runner's temporary folder on the host, with these JSON files."""
    with tempfile.TemporaryDirectory(dir=os.environ["SUITE_DIRECTORY"]) as name:
        path = pathlib.Path(name)
        for file, content in files.items():
            (path / f"{file}.json").write_text(json.dumps(content))
            os.chown(path / f"{file}.json", owner, owner)
        os.chown(path, owner, owner)
        path.chmod(mode)
        yield path


@contextlib.contextmanager
def failing_users():
    """Asana refuses the users meanwhile, so that a read fails."""
    control("/faults", {"pattern": "/users", "status": 403})
    yield
    control("/faults", method="DELETE")


def messages_problems(lines: list[str]) -> list[str]:
    """Every line is a JSON object with a type: a runner that merges stderr reads that too."""
    found = []
    for line in lines:
        try:
            message = json.loads(line)
            if not isinstance(message, dict) or "type" not in message:
                found.append(f"not a message: {line[:100]}")
        except ValueError:
            found.append(f"not JSON: {line[:100]}")
    return found


def whole_read(called: Called, streams: set[str]) -> list[str]:
    """A read that came to its end, with records of these streams and a state of each."""
    found = messages_problems(called.lines)
    if called.code != 0:
        found.append(f"exit code {called.code}: {called.stderr[-300:]}{''.join(called.lines[-2:])[-300:]}")
    if found:
        return found
    messages = called.messages()
    records = {message["record"]["stream"] for message in messages if message["type"] == "RECORD"}
    states = {message["state"]["stream"]["stream_descriptor"]["name"]
              for message in messages if message["type"] == "STATE"}
    return [f"no {kind} of {sorted(streams - got)}"
            for kind, got in (("record", records), ("state", states)) if streams - got]


def first_of(called: Called, kind: str) -> list[str]:
    """`check` and `discover` take the first message that is neither LOG nor TRACE."""
    found = messages_problems(called.lines)
    if found:
        return found
    rest = [message["type"] for message in called.messages() if message["type"] not in ("LOG", "TRACE")]
    return [] if rest[:1] == [kind] else [f"the first message is {rest[:1]} and not {kind}"]


def until_first_error(called: Called) -> list[str]:
    """Three runners stop at the first ERROR trace, so nothing that counts may come after it."""
    found = messages_problems(called.lines)
    if found:
        return found
    kinds = ["ERROR" if message["type"] == "TRACE" and message["trace"]["type"] == "ERROR" else message["type"]
             for message in called.messages()]
    if "ERROR" not in kinds:
        return ["the read was to fail, and there is no ERROR trace"]
    late = [kind for kind in kinds[kinds.index("ERROR"):] if kind in ("RECORD", "STATE")]
    return [f"{len(late)} messages of {sorted(set(late))} come after the first ERROR trace"] if late else []


class Suite:
    """The verdict, and the catalog that every runner reads."""

    def __init__(self):
        self.verdict = Verdict("runners")
        self.config = json.loads(CONFIG.read_text())
        with folder(config=self.config) as path:
            discovered = docker("--rm", "-i", "-v", f"{path}:/data", IMAGE, "discover", "--config", "/data/config.json")
        catalogs = [message["catalog"] for message in discovered.messages() if message["type"] == "CATALOG"]
        if not catalogs:
            raise SystemExit(f"discover gave no catalog: {discovered}")
        wanted = {"projects", "tasks", "users"}
        catalog = configured_catalog(catalogs[0])
        catalog["streams"] = [each for each in catalog["streams"] if each["stream"]["name"] in wanted]
        self.streams, self.catalog = wanted, catalog
        self.states: list[dict] = []

    def right(self, what: str, problems: list[str]) -> None:
        self.verdict.check(what, problems)

    def broken(self, what: str, problems: list[str]) -> None:
        """The same check over a connector or a call that is broken on purpose: it has to find that."""
        self.verdict.check(f"{what}: the check is red", bool(problems))

    def meltano(self) -> None:
        """tap-airbyte-wrapper: its folder, of mode 0700, is mounted over /tmp."""
        def call(path, *arguments):
            return docker("--rm", "-i", "-v", f"{path}:/tmp", IMAGE, *arguments)

        def read(path, *state):
            return call(path, "read", "--config", "/tmp/config.json", "--catalog", "/tmp/catalog.json", *state)

        with folder(config=self.config, catalog=self.catalog) as path:
            self.right("meltano: spec", first_of(call(path, "spec"), "SPEC"))
            self.right("meltano: check", first_of(call(path, "check", "--config", "/tmp/config.json"),
                                                  "CONNECTION_STATUS"))
            first = read(path)
            self.right("meltano: read, with /tmp mounted over", whole_read(first, self.streams))
            self.states = list({message["state"]["stream"]["stream_descriptor"]["name"]: message["state"]
                                for message in first.messages() if message["type"] == "STATE"}.values())
            (path / "state.json").write_text(json.dumps(self.states[0]))
            again = read(path, "--state", "/tmp/state.json")
            self.right("meltano: read from one STATE message", [] if again.code == 0 else [again.stderr[-300:], *again.lines[-2:]])
        with folder(owner=STRANGER, config=self.config, catalog=self.catalog) as path:
            self.broken("meltano, with a folder that uid 1000 may not enter", whole_read(read(path), self.streams))

    def failing(self) -> None:
        """A read that fails on the way."""
        with failing_users(), folder(config=self.config, catalog=self.catalog) as path:
            failed = docker("--rm", "-i", "-v", f"{path}:/tmp", IMAGE, "read", "--config", "/tmp/config.json",
                            "--catalog", "/tmp/catalog.json")
        self.right("a read that fails: every record and state comes before the first ERROR trace", until_first_error(failed))
        self.right("a read that fails: exit code 1", [] if failed.code == 1 else [f"exit code {failed.code}"])
        early = [line for line in failed.lines if '"ERROR"' in line and '"trace"' in line]
        self.broken("an ERROR trace before the last state", until_first_error(
            Called([*early[:1], *[line for line in failed.lines if line not in early]], failed.code)))

    def serverless(self) -> None:
        """airbyte_serverless: a folder at /mnt/temp, and stderr in stdout."""
        with folder(mode=0o755, config=self.config, catalog=self.catalog) as path:
            def call(*arguments, environment=None):
                return docker("--rm", "-i", "--volume", f"{path}:/mnt/temp", IMAGE, *arguments, merged=True,
                              environment=environment)

            config = ("--config", "/mnt/temp/config.json")
            self.right("airbyte_serverless: check", first_of(call("check", *config), "CONNECTION_STATUS"))
            self.right("airbyte_serverless: discover", first_of(call("discover", *config), "CATALOG"))
            read = call("read", *config, "--catalog", "/mnt/temp/catalog.json")
            self.right("airbyte_serverless: read, stderr in stdout", whole_read(read, self.streams))
            self.broken("airbyte_serverless, with a word on stderr",
                        whole_read(Called(["starting", *read.lines], read.code), self.streams))

    def package(self, what: str, script: str, *arguments) -> Called | None:
        """A runner from PyPI, whose `docker` is a stand-in for `docker run`. `None` where PyPI is out of reach."""
        made = subprocess.run(["bash", HERE / "python.sh", "runners", HERE / "runners.txt"], stdout=subprocess.PIPE,
                              text=True, check=False)
        if made.returncode == CANNOT:
            self.verdict.skip(what, made.stdout.strip().removeprefix("SKIPPED "))
            return None
        done = subprocess.run(
            [made.stdout.strip(), HERE / script, IMAGE, CONFIG, *arguments], capture_output=True, text=True, check=False,
            env={**os.environ, "PATH": f"{HERE / 'stand-in'}:{os.environ['PATH']}"})
        return Called(lines_of(done.stdout), done.returncode, done.stderr)

    def serverless_itself(self) -> None:
        """The package from PyPI."""
        def read():
            return self.package("airbyte_serverless itself", "serverless.py", ",".join(sorted(self.streams)))

        whole = read()
        if whole is None:
            return
        self.right("airbyte_serverless itself: check, discover and read", whole_read(whole, self.streams))
        with failing_users():
            self.broken("airbyte_serverless itself, with a read that fails", whole_read(read(), self.streams))

    def pathway_itself(self) -> None:
        """The package from PyPI. It keeps the states to itself; what it resumes from them is what a second run reads."""
        with tempfile.TemporaryDirectory(dir=os.environ["SUITE_DIRECTORY"]) as kept:
            def read(stream, *state):
                return self.package("Pathway itself", "pathway_runner.py", stream, *state)

            def rows(called):
                return [message["record"]["data"]["gid"] for message in called.messages() if message["type"] == "RECORD"]

            first = read("tasks", kept)
            if first is None:
                return
            expected = sorted(record["gid"] for record in truth("tasks"))
            self.right(f"Pathway itself: a table of all {len(expected)} tasks", sorted(rows(first)) == expected
                       or [first.stderr[-600:]])
            again = read("tasks", kept)
            self.right("Pathway itself: a second run resumes, and reads no task again",
                       (again.code, rows(again)) == (0, []) or [str(rows(again)), again.stderr[-600:]])
            with failing_users():
                failed = read("users")
            self.broken("Pathway itself, with a read that fails",
                        [] if failed.code == 0 and rows(failed) else ["no user, or a failure"])

    def pathway(self) -> None:
        """Pathway: as airbyte_serverless, and the state is always a list of one GLOBAL message."""
        def read(state):
            with folder(mode=0o755, config=self.config, catalog=self.catalog, state=state) as path:
                return docker("--rm", "-i", "--volume", f"{path}:/mnt/temp", IMAGE, "read", "--config",
                              "/mnt/temp/config.json", "--catalog", "/mnt/temp/catalog.json", "--state",
                              "/mnt/temp/state.json", merged=True)

        empty = [{"type": "GLOBAL", "global": {"stream_states": []}}]
        self.right("pathway: read from an empty GLOBAL state", whole_read(read(empty), self.streams))
        kept = [{"type": "GLOBAL", "global": {"stream_states": [state["stream"] for state in self.states]}}]
        again = read(kept)
        self.right("pathway: read from the states of the last read", [] if again.code == 0 else again.lines[-2:])
        fewer = sum(message["type"] == "RECORD" for message in again.messages())
        whole = sum(message["type"] == "RECORD" for message in read(empty).messages())
        self.right(f"pathway: {fewer} records then, of {whole}", fewer < whole)
        self.broken("pathway, with a state that is none", whole_read(read("none"), self.streams))

    def jitsu(self) -> None:
        """sync-controller: `sh` evaluates AIRBYTE_ENTRYPOINT."""
        with folder(mode=0o755, config=self.config, catalog=self.catalog, state={}) as path:
            def read(entrypoint):
                script = (f'eval "{entrypoint} read --config /config/config.json --catalog /config/catalog.json '
                          '--state /config/state.json" 2>/tmp/stderr')
                return docker("--rm", "-i", "-v", f"{path}:/config", "--entrypoint", "sh", IMAGE, "-c", script)

            self.right("jitsu: read by eval of AIRBYTE_ENTRYPOINT", whole_read(read("$AIRBYTE_ENTRYPOINT"), self.streams))
            self.broken("jitsu, without AIRBYTE_ENTRYPOINT", whole_read(read("$NO_ENTRYPOINT"), self.streams))

    def faros(self) -> None:
        """airbyte-local-cli: as the host's user, whom the image does not know, and `{}` for no state."""
        def read(owner):
            with folder(owner=owner, config=self.config, catalog=self.catalog, state={}) as path:
                return docker("--init", "--rm", "-v", f"{path}:/configs:z", "-u", STRANGER, "-e", "LOG_LEVEL=info", IMAGE,
                              "read", "--config", "/configs/config.json", "--catalog", "/configs/catalog.json",
                              "--state", "/configs/state.json")

        self.right("faros: read as a user that the image does not know", whole_read(read(STRANGER), self.streams))
        self.broken("faros, with files of another user", whole_read(read(AIRBYTE), self.streams))

    def grep(self) -> None:
        """A pipe of `grep -E '"type":"(RECORD|STATE)"'`: JSON without a blank behind the colon."""
        with folder(mode=0o755, config=self.config, catalog=self.catalog) as path:
            read = docker("--rm", "-i", "-v", f"{path}:/secrets", IMAGE, "read", "--config", "/secrets/config.json",
                          "--catalog", "/secrets/catalog.json")

        def piped(lines):
            done = subprocess.run(["grep", "-E", '"type":"(RECORD|STATE)"'], input="\n".join(lines) + "\n",
                                  capture_output=True, text=True, check=False)
            return whole_read(Called(lines_of(done.stdout), read.code), self.streams)

        self.right("grep: records and states pass", piped(read.lines))
        self.broken("grep, with blanks behind colons", piped([json.dumps(json.loads(line)) for line in read.lines]))


def main() -> None:
    built = subprocess.run(["bash", HERE / "image.sh", "ready"], capture_output=True, text=True, check=False)
    if built.returncode != 0:
        built = subprocess.run(["bash", HERE / "image.sh", "build"], capture_output=True, text=True, check=False)
    if built.returncode == CANNOT:
        verdict = Verdict("runners")
        verdict.skip("there is no image", built.stdout.strip())
        sys.exit(CANNOT)
    if built.returncode != 0:
        raise SystemExit(built.stderr[-3000:])
    if os.getuid() != 0:
        verdict = Verdict("runners")
        verdict.skip("folders of other users", "this needs root")
        verdict.end()
    suite = Suite()
    for runner in (suite.meltano, suite.failing, suite.serverless, suite.serverless_itself, suite.pathway,
                   suite.pathway_itself, suite.jitsu, suite.faros, suite.grep):
        runner()
    suite.verdict.end()


main()
