"""Runs dbt on the example project, and shows the connector's tables in DuckDB. Knows no model."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import duckdb

from account import ROOT, TARGET

EXAMPLE = ROOT / "dbt/example"
# The simulated account was made on this day; what the demo edits is later.
ANSWERS = {"as_of": "2025-06-30", "stale_after_days": 7}

sys.path.append(str(EXAMPLE / "plugins"))


def say(text):
    print(text, flush=True)


def dbt(command, database, warehouse, variables=None):
    """Runs dbt on the example project, whose package is the one that is verified.

    Database and warehouse lie at the same place for every run: dbt parses a project again when its variables or its
    environment change.
    """
    place = TARGET / "dbt"
    place.mkdir(parents=True, exist_ok=True)
    work, link = place / "asana.duckdb", place / "warehouse"
    work.unlink(missing_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(warehouse)
    if database.exists():
        shutil.move(database, work)
    environment = {**os.environ, "ASANA_DUCKDB": str(work), "ASANA_WAREHOUSE": str(link),
                   "ASANA_PLUGINS": str(EXAMPLE / "plugins"), "DBT_LOG_PATH": str(place / "logs")}
    arguments = [*command, "--project-dir", EXAMPLE, "--profiles-dir", EXAMPLE]
    if command[0] != "deps":
        arguments += ["--target-path", place, "--warn-error", "--vars", json.dumps({**ANSWERS, **(variables or {})})]
    started = time.time()
    done = subprocess.run([pathlib.Path(sys.executable).parent / "dbt", *arguments], env=environment, cwd=EXAMPLE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"dbt {command[0]} failed:\n{done.stdout[-8000:]}")
    if work.exists():
        shutil.move(work, database)
    summary = [line.split("  ")[-1] for line in done.stdout.splitlines() if "Done. PASS=" in line]
    return (summary or [""])[0], time.time() - started


def build(folder, warehouse, name="built", command="build", variables=None):
    """`dbt build`, or `dbt run` without the tests, over a warehouse. Returns the database with the models."""
    # Views name the database that they are in, which is called like its file.
    (folder / name).mkdir(exist_ok=True)
    database = folder / name / "asana.duckdb"
    summary, seconds = dbt([command], database, warehouse, variables)
    say(f"  dbt {command} in {seconds:.1f} s: {summary}")
    return database, seconds


def open_database(database):
    return duckdb.connect(str(database), read_only=True)


def shown(warehouse):
    from asana_warehouse import show_tables
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    show_tables(connection, str(warehouse), "airbyte")
    return connection
