"""Runs the suites against a simulated account each, and, with `--prove`, against a connector broken on purpose."""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import sabotage  # noqa: E402
from acceptance import World  # noqa: E402

SUITES = {
    "protocol": "every message by Airbyte's models, closed against unknown keys",
    "platform": "the way in which Airbyte's platform starts a connector",
    "cdk": "the standard test suites of Airbyte's CDK",
    "sign_in": "the official connector's OAuth, and AWS Secrets Manager by moto's server",
    "pyairbyte": "PyAirbyte into DuckDB, twice, against the account's ground truth",
    "image": "the images of the connector and of the destination: built, run as uid 1000, and the CDK's image suite",
    "runners": "the image as Meltano, airbyte_serverless, Pathway, Jitsu, Faros and a pipe of grep call it",
}
# These two judge what is around the connector: a connector that is broken inside is for the others. The runner suite
# breaks each call itself.
PROVABLE = [name for name in SUITES if name not in ("image", "runners")]


# The exit code of a suite that has printed why it cannot run on this machine.
CANNOT = 75


def run_suite(name: str, broken_by: str | None = None) -> tuple[int, str]:
    """The suite's exit code (0 green, 1 red) and what it printed."""
    with World() as world, tempfile.TemporaryDirectory(prefix="acceptance-") as directory:
        recordings = pathlib.Path(directory) / "recordings"
        recordings.mkdir()
        environment = {
            **os.environ,
            "ASANA_BASE_URL": world.base_url,
            "RECORDINGS": str(recordings),
            "SUITE_DIRECTORY": directory,
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        environment.pop("SABOTAGE", None)
        if broken_by:
            environment["SABOTAGE"] = broken_by
        done = subprocess.run(
            [sys.executable, HERE / "suites" / f"{name}_suite.py"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        return done.returncode, done.stdout


def test(names: list[str]) -> int:
    """The exit code: 1 if a suite is red, 75 if this machine could run none of them."""
    red, skipped, cannot = [], 0, 0
    for name in names:
        print(f"\n{name}: {SUITES[name]}", flush=True)
        start = time.monotonic()
        code, output = run_suite(name)
        print(output, end="")
        outcome = {0: "green", CANNOT: "skipped"}.get(code, "RED")
        print(f"{name}: {outcome}, {time.monotonic() - start:.0f} s", flush=True)
        skipped += sum(line.lstrip().startswith("SKIPPED") for line in output.splitlines())
        if code == CANNOT:
            cannot += 1
        elif code != 0:
            red.append(name)
    print(f"\nAcceptance tests: {len(names) - len(red) - cannot} of {len(names)} suites green, {skipped} skips"
          + (f"; RED: {', '.join(red)}" if red else ""))
    return 1 if red else CANNOT if cannot == len(names) else 0


def prove(names: list[str]) -> bool:
    """A suite has to be red, by a check of its own and not by breaking down, under each sabotage."""
    blind = []
    for name in names:
        for broken_by in sabotage.ALL:
            code, output = run_suite(name, broken_by)
            reds = [line.strip().removeprefix("RED").strip() for line in output.splitlines()
                    if line.lstrip().startswith("RED")]
            noticed = code == 1 and bool(reds)
            print(f"  {'caught' if noticed else 'MISSED'}  {name} under {broken_by}", flush=True)
            for line in reds:
                print(f"            {line}")
            if not noticed:
                print(output)
                blind.append(f"{name} under {broken_by}")
    print(f"\nSabotages: {'all caught by every suite' if not blind else 'MISSED: ' + ', '.join(blind)}")
    return not blind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"any of {', '.join(SUITES)}; all without any")
    parser.add_argument("--prove", action="store_true", help="run each suite against each sabotage")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.suites if name not in SUITES]
    if unknown:
        parser.error(f"no suite is called {', '.join(unknown)}")
    if arguments.prove:
        sys.exit(not prove([name for name in arguments.suites or PROVABLE if name in PROVABLE]))
    sys.exit(test(arguments.suites or list(SUITES)))


main()
