"""Builds the package with dbt's Snowflake adapter over an emulator, and compares each model with DuckDB's.

`fakesnow` runs Snowflake's SQL by translating it, so the statements are those that Snowflake gets; Snowflake itself is
not asked.
"""

import collections
import datetime
import json
import logging
import os
import pathlib

from account import BINARIES, ROOT, TARGET, Pipe
from building import ANSWERS, build, open_database, say, shown
from world import World

PROFILE = """asana_example:
  target: snowflake
  outputs:
    snowflake: {type: snowflake, account: emulator, user: nobody, password: none, role: none, warehouse: none,
                database: analytics, schema: main, threads: 1}
"""


def load_tables(connection, warehouse):
    """The connector's tables in the emulator, with names in upper case as `identifier_case: upper` writes them."""
    source = shown(warehouse)
    emulated = connection._duck_conn
    cursor = connection.cursor()
    cursor.execute("create database if not exists analytics")
    cursor.execute("create schema if not exists analytics.airbyte")
    cursor.execute("use schema analytics.airbyte")
    tables = [row[0] for row in source.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = 'airbyte' AND NOT internal").fetchall()]
    for table in tables:
        arrow = source.execute(f'SELECT * FROM airbyte."{table}"').arrow()
        arrow = arrow.read_all() if hasattr(arrow, "read_all") else arrow
        described = source.execute(f'DESCRIBE airbyte."{table}"').fetchall()
        types = {"BIGINT": "bigint", "DOUBLE": "double", "BOOLEAN": "boolean", "DATE": "date",
                 "TIMESTAMP WITH TIME ZONE": "timestamp_tz"}
        kept = [(row[0], types.get(row[1], "varchar")) for row in described if not row[1].startswith("STRUCT(sync_id")]
        columns = ", ".join(f"{name} {type_}" for name, type_ in kept)
        cursor.execute(f"create table analytics.airbyte.{table} ({columns})")
        emulated.register("loaded", arrow)
        selected = ", ".join(f'"{name}"' for name, _ in kept)
        emulated.execute(f'INSERT INTO analytics.airbyte.{table} SELECT {selected} FROM loaded')
        emulated.unregister("loaded")
    return tables


def plain(value):
    """A cell for comparing between two drivers."""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hasattr(value, "as_integer_ratio") and not isinstance(value, bool):
        return float(value)
    return value


def rows_of(execute, table, columns):
    selected = ", ".join(columns)
    return collections.Counter(tuple(map(plain, row)) for row in execute(f"SELECT {selected} FROM {table}").fetchall())


def verify_snowflake(folder):
    folder = pathlib.Path(folder) / "snowflake"
    folder.mkdir()
    with World(BINARIES, "tiny") as world:
        pipe = Pipe(folder / "tables", world, "append")
        pipe.sync()
        deleted = next(task["gid"] for task in world.records("tasks", ["gid", "projects.gid", "num_subtasks"])
                       if task["projects"] and not task["num_subtasks"])
        world.control("POST", "/edits", {"kind": "delete_task", "task": deleted})
        pipe.sync()
    say("tiny world with tombstones, by dbt's Snowflake adapter on an emulator:")
    variables = ANSWERS
    database, _ = build(folder, pipe.warehouse, command="run")

    import fakesnow
    import snowflake.connector
    from dbt.cli.main import dbtRunner
    (folder / "profiles").mkdir()
    (folder / "profiles/profiles.yml").write_text(PROFILE)
    os.environ["DBT_LOG_PATH"] = str(folder / "logs")
    # It tells of each transient table that it has no such thing.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    with fakesnow.patch():
        connection = snowflake.connector.connect(database="analytics", schema="airbyte")
        load_tables(connection, pipe.warehouse)
        os.chdir(ROOT / "dbt/example")
        result = dbtRunner().invoke([
            "--quiet", "run", "--project-dir", str(ROOT / "dbt/example"), "--profiles-dir", str(folder / "profiles"),
            "--target-path", str(TARGET / "dbt-snowflake"), "--vars", json.dumps(variables)])
        failed = [f"{one.node.name}: {one.message}" for one in (result.result or []) if str(one.status) not in (
            "success", "pass")] if result.result is not None else [str(result.exception)]
        assert result.success, "dbt build for Snowflake failed:\n" + "\n".join(failed[:20])
        cursor = connection.cursor()
        compared = rows = 0
        with open_database(database) as duck:
            tables = duck.execute("SELECT table_schema, table_name FROM information_schema.tables "
                                  "WHERE table_schema LIKE 'main_%' ORDER BY ALL").fetchall()
            for schema, table in tables:
                columns = [row[0] for row in duck.execute(f'DESCRIBE {schema}."{table}"').fetchall()]
                wanted = rows_of(duck.execute, f'{schema}."{table}"', [f'"{name}"' for name in columns])
                found = rows_of(cursor.execute, f"analytics.{schema}.{table}", columns)
                if found != wanted:
                    raise SystemExit(f"{table} differs on the emulator:\nonly on Snowflake: {list((found - wanted))[:2]}\n"
                                     f"only on DuckDB: {list((wanted - found))[:2]}")
                compared, rows = compared + 1, rows + wanted.total()
        say(f"  {len(result.result)} models made; {compared} tables with {rows} rows are the same as on DuckDB")
