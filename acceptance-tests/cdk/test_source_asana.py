"""The CDK's standard suite for sources. It would call a Python connector in its own process; ours is a program, so
the one function in which the suite starts a connector starts the program instead. Everything else is the CDK's."""

import os
import pathlib
import subprocess
import sys

from airbyte_cdk.test import entrypoint_wrapper
from airbyte_cdk.test.standard_tests.source_base import SourceTestSuiteBase

RECORDER = pathlib.Path(__file__).resolve().parent.parent / "recorder"


class Program:
    """Stands for the connector; the suite asks a connector object for no more than to be one."""

    def spec(self, logger):
        raise NotImplementedError("the program is asked, not this object")


def run_program(source, args, expecting_exception=None, *, expected_outcome=None):
    """As the CDK's own way to run an image: a non-zero exit code is an uncaught exception."""
    done = subprocess.run([sys.executable, RECORDER, *args], capture_output=True, text=True, check=False)
    failure = subprocess.CalledProcessError(done.returncode, args) if done.returncode else None
    lines = [line for line in done.stdout.split("\n") if line]
    return entrypoint_wrapper.EntrypointOutput(messages=lines, uncaught_exception=failure, stderr=done.stderr)


entrypoint_wrapper._run_command = run_program


class TestSuite(SourceTestSuiteBase):
    """Every test of `SourceTestSuiteBase`."""

    @classmethod
    def create_connector(cls, scenario):
        assert os.environ["SOURCE_ASANA"]
        return Program()
