"""The standard test suites of Airbyte's Python CDK, which every connector in Airbyte's registry has to pass. The
warnings about a catalog, which will be failures in a later CDK, are failures here."""

import os
import pathlib
import re
import subprocess
import sys

import judge
from acceptance import HERE, Verdict

# The suite's tests with the scenarios of acceptance-test-config.yml; fewer would mean that some were not collected.
EXPECTED = 13


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
        verdict.check(f"{passed} tests ran, {EXPECTED} are expected", passed == EXPECTED)
    verdict.check("what a platform relies on, in every run", judge.problems_of_all(judge.recorded()))
    verdict.end()


main()
