"""Starts the connector as Airbyte's platform does: by `sh`, which evaluates AIRBYTE_ENTRYPOINT, in a directory that
holds the arguments' files, as uid 1000 without any privilege, with stdout and stderr as named pipes in `read` and
stdout as a file otherwise. The platform ends a sync by a file of the name TERMINATED, which ends the shell around the
connector and never reaches the connector itself."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

import judge
import sabotage
from acceptance import CONFIG, CONFIGS, UNKNOWN_STREAM, Run, Verdict, configured_catalog, lines_of

HOME = pathlib.Path(os.environ["SUITE_DIRECTORY"])
AIRBYTE = 1000
# Seconds. Long enough for a busy machine; what is waited for comes at once or never.
PATIENCE = 60

# After the platform's two start scripts: one for `read`, one for the other verbs.
READ = """
test -n "$AIRBYTE_ENTRYPOINT" || { echo "AIRBYTE_ENTRYPOINT is not set" >&2; exit 127; }
mkfifo stdout stderr
if [ -f inputState.json ]; then state="--state $PWD/inputState.json"; else state=; fi
(eval "$AIRBYTE_ENTRYPOINT read --config $PWD/connectorConfig.json --catalog $PWD/catalog.json $state" \
    2>stderr >stdout) &
connector=$!
(until [ -f TERMINATED ]; do sleep 1; done; kill "$connector") 2>/dev/null &
watch=$!
wait "$connector"
code=$?
kill "$watch" 2>/dev/null
echo "$code" >TEMP_EXIT_CODE.txt
mv TEMP_EXIT_CODE.txt exitCode.txt
exit "$code"
"""
OTHER = """
test -n "$AIRBYTE_ENTRYPOINT" || { echo "AIRBYTE_ENTRYPOINT is not set" >&2; exit 127; }
(eval "$AIRBYTE_ENTRYPOINT $VERB" >jobOutput.json) &
wait "$!"
code=$?
echo "$code" >TEMP_EXIT_CODE.txt
mv TEMP_EXIT_CODE.txt exitCode.txt
exit "$code"
"""

# What the platform sets, of what could matter to a connector.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "ASANA_BASE_URL": os.environ["ASANA_BASE_URL"],
    "AIRBYTE_EDITION": "community",
    "AIRBYTE_VERSION": "2.0.0",
    "AIRBYTE_ENABLE_UNSAFE_CODE": "false",
    "CONCURRENT_SOURCE_STREAM_READ": "false",
    "DATA_CHANNEL_FORMAT": "JSONL",
    "DATA_CHANNEL_MEDIUM": "STDIO",
    "DEPLOYMENT_MODE": "OSS",
    "JAVA_OPTS": "-XX:MaxRAMPercentage=75.0",
    "LOG_LEVEL": "INFO",
    "USE_FILE_TRANSFER": "false",
    "USE_STREAM_CAPABLE_STATE": "true",
    "WORKER_CONNECTOR_IMAGE": "source-asana:0.1.0",
    "WORKER_JOB_ATTEMPT": "0",
    "WORKER_JOB_ID": "42",
}


class Pod:
    """A directory as the connector's container finds it, and the shell in it."""

    made = 0

    def __init__(self, script: str, verb: str = "", **files):
        Pod.made += 1
        self.directory = HOME / f"pod-{Pod.made}"
        self.directory.mkdir()
        for name, content in files.items():
            (self.directory / f"{name}.json").write_text(json.dumps(content))
        if os.geteuid() == 0:
            for path in [self.directory, *self.directory.iterdir()]:
                os.chown(path, AIRBYTE, AIRBYTE)
        self.verb = verb
        environment = {**ENVIRONMENT, "AIRBYTE_ENTRYPOINT": str(PROGRAM), "VERB": verb}
        with open(self.directory / "shell.log", "w", encoding="utf-8") as log:
            self.shell = subprocess.Popen(
                [*UNPRIVILEGED, "sh", "-c", script], cwd=self.directory, env=environment, stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def end(self) -> int:
        """The exit code, as the platform learns of it."""
        self.shell.wait(PATIENCE)
        return int((self.directory / "exitCode.txt").read_text())

    def processes(self) -> list[int]:
        """The connector's processes, by their arguments: the shell around them may be gone."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                arguments = (process / "cmdline").read_bytes().split(b"\0")
                if arguments[0] == bytes(PROGRAM) and any(bytes(self.directory) in part for part in arguments):
                    found.append(int(process.name))
        return found


def wait_until(truth) -> bool:
    end = time.monotonic() + PATIENCE
    while not truth() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(truth())


def open_pipe(pod: Pod, name: str):
    if not wait_until(lambda: (pod.directory / name).exists()):
        raise SystemExit(f"no pipe called {name}: {(pod.directory / 'shell.log').read_text()}")
    return open(pod.directory / name, encoding="utf-8", newline="\n")


def job(verb: str, config: pathlib.Path | None = None) -> Run:
    """`spec`, `check` or `discover`."""
    arguments = [verb]
    files = {}
    if config is not None:
        # The name is of a file in the directory that the script runs in.
        arguments += ["--config", "$PWD/connectionConfiguration.json"]
        files["connectionConfiguration"] = json.loads(config.read_text())
    pod = Pod(OTHER, " ".join(arguments), **files)
    exit_code = pod.end()
    told = [part.replace("$PWD", str(pod.directory)) for part in arguments]
    lines = lines_of((pod.directory / "jobOutput.json").read_text())
    return Run(told, list(sabotage.apply(lines, told)), exit_code)


def start_read(catalog: dict, states: list[dict] | None = None) -> tuple[Pod, list[str]]:
    files = {"connectorConfig": json.loads(CONFIG.read_text()), "catalog": catalog}
    if states is not None:
        files["inputState"] = states
    pod = Pod(READ, **files)
    arguments = ["read", "--config", f"{pod.directory}/connectorConfig.json", "--catalog", f"{pod.directory}/catalog.json"]
    return pod, arguments


def read(catalog: dict, states: list[dict] | None = None) -> tuple[Run, Pod]:
    pod, arguments = start_read(catalog, states)
    stderr: list[str] = []
    # Both pipes have to be open before the shell starts the connector.
    listener = threading.Thread(target=lambda: stderr.extend(open_pipe(pod, "stderr")))
    listener.start()
    with open_pipe(pod, "stdout") as stdout:
        lines = list(sabotage.apply(lines_of(stdout.read()), arguments))
    listener.join()
    return Run(arguments, lines, pod.end(), "".join(stderr)), pod


def kept_states(run: Run) -> list[dict]:
    """As the platform gives them back: each stream's last, rebuilt from its name and its content."""
    last = {state["stream"]["stream_descriptor"]["name"]: state["stream"] for state in run.payloads("STATE")}
    return [{"type": "STREAM", "stream": stream} for stream in last.values()]


def terminated(verdict: Verdict, catalog: dict) -> None:
    """The destination has failed: nobody reads the connector's stdout, and then nobody can any more."""
    pod, _ = start_read(catalog)
    stderr: list[str] = []
    listener = threading.Thread(target=lambda: stderr.extend(open_pipe(pod, "stderr")))
    listener.start()
    stdout = open_pipe(pod, "stdout")
    first = json.loads(stdout.readline())
    verdict.check("termination: it was reading", bool(first) and len(pod.processes()) == 1)
    (pod.directory / "TERMINATED").touch()
    verdict.check("termination: the shell reports 143", pod.end() == 143)
    verdict.check("termination: the connector has got no signal", len(pod.processes()) == 1)
    stdout.close()
    verdict.check("termination: it ends when its stdout is closed", wait_until(lambda: not pod.processes()))
    listener.join(PATIENCE)
    verdict.check("termination: it says nothing on stderr", stderr)


def main() -> None:
    verdict = Verdict("platform")
    if os.geteuid() != 0:
        verdict.skip("uid 1000 without privileges", f"only root can become it; this is uid {os.geteuid()}")

    def held(what: str, run: Run, exit_code: int) -> Run:
        verdict.check(f"{what}: what a platform relies on", judge.problems(run))
        verdict.check(f"{what}: exitCode.txt has {exit_code}", run.exit_code == exit_code)
        verdict.check(f"{what}: nothing on stderr, which would be errors of the platform's log",
                      [run.stderr] if run.stderr else [])
        return run

    held("spec", job("spec"), 0)
    held("check", job("check", CONFIG), 0)
    held("check of a refused token", job("check", CONFIGS / "refused-token.json"), 0)
    discovered = held("discover", job("discover", CONFIG), 0).payloads("CATALOG")[0]
    everything = configured_catalog(discovered)
    first, pod = read(everything)
    held("read", first, 0)
    if os.geteuid() == 0:
        owner = (pod.directory / "exitCode.txt").stat().st_uid
        verdict.check("read: it ran as uid 1000", owner == AIRBYTE)
    second, _ = read(everything, kept_states(first))
    held("read with inputState.json", second, 0)
    fewer = len(second.payloads("RECORD")) < len(first.payloads("RECORD"))
    verdict.check("read with inputState.json: fewer records than without", fewer)
    held("read of a stream that does not exist", read(UNKNOWN_STREAM)[0], 1)
    terminated(verdict, everything)
    verdict.end()


def unprivileged() -> list[str]:
    """What stands before the shell to run it as the platform's security context does."""
    if os.geteuid() != 0:
        return []
    user = [f"--reuid={AIRBYTE}", f"--regid={AIRBYTE}", "--clear-groups"]
    return ["setpriv", *user, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


UNPRIVILEGED = unprivileged()
# Where uid 1000 can read it, whatever this checkout's place is.
PROGRAM = HOME / "source-asana"
HOME.chmod(0o755)
shutil.copyfile(os.environ["SOURCE_ASANA"], PROGRAM)
PROGRAM.chmod(0o755)
main()
