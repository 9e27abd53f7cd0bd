"""The standard test suites of Airbyte's Python CDK, which every connector in Airbyte's registry has to pass. The
warnings about a catalog, which will be failures in a later CDK, are failures here."""

import os
import pathlib
import re
import subprocess
import sys

import judge
import yaml
from acceptance import HERE, Verdict


def expected() -> int:
    """How many tests acceptance-test-config.yml asks for; fewer would mean that some were not collected."""
    sections = yaml.safe_load((HERE.parent / "acceptance-test-config.yml").read_text())["acceptance_tests"]
    configs = {name: {test["config_path"] for test in section["tests"]} for name, section in sections.items()}
    # Each config that is read is read with a bad catalog too; `spec` itself needs no config.
    reads = configs["basic_read"] | configs["full_refresh"]
    return 1 + len(configs["spec"]) + len(configs["connection"]) + len(configs["discovery"]) + 2 * len(reads)


def main() -> None:
    verdict = Verdict("cdk")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=line", "-rA", "-p", "no:cacheprovider",
         "-p", "airbyte_cdk.test.standard_tests.pytest_hooks", "-W", "error",
         # Of a library that the CDK loads, about itself.
         "-W", "ignore::DeprecationWarning",
         "-m", "not image_tests", "--rootdir", HERE.parent, HERE / "cdk" / "test_source_asana.py"],
        capture_output=True, text=True, check=False, cwd=os.environ["SUITE_DIRECTORY"],
    )
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) (?:\S*::)?(\S+)(.*)", done.stdout, re.MULTILINE)
    for outcome, test, why in outcomes:
        if outcome == "PASSED":
            verdict.check(test, True)
        elif outcome != "SKIPPED":
            verdict.check(test, [why.removeprefix(" - ") or outcome])
    passed = sum(outcome == "PASSED" for outcome, *_ in outcomes)
    print(f"          pytest: {done.stdout.strip().splitlines()[-1]}")
    if done.returncode not in (0, 1) or not outcomes:
        print(done.stdout[-3000:], done.stderr[-3000:])
        sys.exit(2)
    verdict.check("pytest says so too", (done.returncode == 0) == (not verdict.reds))
    if not verdict.reds:
        verdict.check(f"{passed} tests ran, {expected()} are expected", passed == expected())
    verdict.check("what a platform relies on, in every run", judge.problems_of_all(judge.recorded()))
    verdict.end()


main()
