"""Builds the package over tables that the connector filled, and fails at the first difference.

    verify.py <root> [demo small medium missing typed snowflake pictures]
"""

import collections
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import duckdb

from account import BINARIES, ROOT, Edits, Pipe
from building import ANSWERS, build, dbt, open_database, say, shown
from expected import choices, day, expected, time as to_time
from world import World

ALL = ["small", "missing", "typed", "snowflake", "medium", "demo"]
SECONDS_OF_MEDIUM = 60
# Kinds in the fact file, as DuckDB says its types.
DUCKDB_TYPES = {"text": "VARCHAR", "boolean": "BOOLEAN", "time": "TIMESTAMP", "integer": "BIGINT"}


def table_of(model):
    schema, _, table = model.rpartition(".")
    return f'main_asana{"_" + schema if schema else ""}."{table}"'


def plain(value, type_):
    """A cell for comparing: JSON lists as the gids and names of their items."""
    if type_ == "JSON" and value is not None:
        return choices(json.loads(value))
    return value


def frozen(row):
    return tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row)


def compare(connection, model, columns, wanted):
    """The model's rows against the wanted ones, as often as each is there."""
    selected = ", ".join(f'"{column}"' for column in columns)
    result = connection.execute(f"SELECT {selected} FROM {table_of(model)}")
    types = [str(column[1]) for column in result.description]
    found = collections.Counter(frozen(map(plain, row, types)) for row in result.fetchall())
    wanted = collections.Counter(map(frozen, wanted))
    if found != wanted:
        missing, extra = list((wanted - found).elements()), list((found - wanted).elements())
        sys.exit(f"{model}: {len(missing)} rows are missing and {len(extra)} are too many, of {wanted.total()}.\n"
                 f"columns: {columns}\nmissing: {sorted(missing, key=repr)[:3]}\ntoo many: {sorted(extra, key=repr)[:3]}")
    return wanted.total()


def catalog_streams():
    catalog = json.loads((ROOT / "catalogs/discovered.json").read_text())
    return {stream["name"]: stream["json_schema"]["properties"] for stream in catalog["streams"]}


def kind(schema):
    types = set(schema["type"] if isinstance(schema["type"], list) else [schema["type"]]) - {"null"}
    return "json" if types & {"object", "array"} else schema.get("format") or next(iter(types))


def cell(schema, value):
    """A record's value as its column holds it."""
    if value is None:
        return None
    convert = {"date-time": to_time, "date": day, "number": float}.get(kind(schema))
    return convert(value) if convert else value


def truth_of(world, connection):
    """Each stream's records in the world, of those that Asana shows; others count where a search found them."""
    truth = {}
    workspaces = world.workspace()
    for stream, properties in catalog_streams().items():
        must, may = world.truth(stream, properties)
        if may:
            there = {row for row in connection.execute(f"SELECT gid FROM {table_of('current_' + stream)}").fetchall()}
            must = {**must, **{key: record for key, record in may.items() if key in there}}
        truth[stream] = list(must.values())
    assert workspaces and truth["tasks"] and truth["stories"], "the world is empty"
    return truth


def compare_streams(connection, truth):
    """Every plain column of every current row that the world's record has."""
    rows = 0
    for stream, properties in catalog_streams().items():
        # A column that says what a row was listed below has no field in the record.
        columns = [name for name, schema in properties.items()
                   if kind(schema) != "json" and any(name in record for record in truth[stream])]
        wanted = [tuple(cell(properties[name], record.get(name)) for name in columns) for record in truth[stream]]
        if truth[stream]:
            rows += compare(connection, f"current_{stream}", columns, wanted)
        else:
            rows += compare(connection, f"current_{stream}", ["gid"], [])
    return rows


def compare_models(connection, truth):
    rows = 0
    empty = []
    for model, (columns, wanted) in expected(truth).items():
        rows += compare(connection, model, columns, wanted)
        if not wanted:
            empty.append(model)
    # A comparison of nothing with nothing proves nothing.
    assert not empty, f"the world has no row for {empty}"
    return rows


def all_models(connection):
    return sorted(connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE 'main_%'").fetchall())


def content(connection, schema, table):
    """A table's rows without what tells one sync from another."""
    columns = [row[0] for row in connection.execute(f'DESCRIBE {schema}."{table}"').fetchall()]
    columns = [column for column in columns if column not in ("_airbyte_extracted_at", "_fivetran_synced")
               and not column.startswith("_ab_cdc_")]
    selected = ", ".join(f'"{column}"' for column in columns)
    return collections.Counter(connection.execute(f'SELECT {selected} FROM {schema}."{table}"').fetchall())


def check_fivetran(connection):
    """The eleven views have exactly the columns and types of the fact file."""
    facts = json.loads((ROOT / "dbt/verification/fivetran.json").read_text())
    found = {}
    for view, column, type_ in connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'main_asana_fivetran'").fetchall():
        found.setdefault(view, {})[column] = type_
    wanted = {view: {column: DUCKDB_TYPES[type_] for column, type_ in columns.items()} for view, columns in facts.items()}
    assert found == wanted, f"the views of Fivetran's shape differ from the fact file:\n{found}\n{wanted}"
    say(f"  {len(found)} views of Fivetran's shape have exactly the columns and types of the fact file")


def verify_small(folder):
    """Three syncs with edits and deletions between them, into tables of both modes, against the world."""
    with World(BINARIES, "small") as world:
        pipes = {mode: Pipe(folder / mode, world, mode) for mode in ("append_dedup", "append")}
        edits = Edits(world)
        for round_ in range(3):
            for pipe in pipes.values():
                pipe.sync()
            if round_ < 2:
                edits.between_syncs()
        tables, databases, fields = {}, {}, chosen_fields(world)
        for mode, pipe in pipes.items():
            say(f"small world after 3 syncs and {edits.done} edits, {mode}:")
            # The tests of one mode hold for the other, whose tables have to be the same.
            command = "build" if mode == "append_dedup" else "run"
            databases[mode], _ = build(folder, pipe.warehouse, f"{mode}_models", command, {"task_fields": fields})
            with open_database(databases[mode]) as connection:
                truth = truth_of(world, connection)
                of_streams, of_models = compare_streams(connection, truth), compare_models(connection, truth)
                say(f"  {of_streams} rows of {len(catalog_streams())} streams and {of_models} rows of "
                    f"{len(expected(truth))} models equal to the world")
                check_fivetran(connection)
                tables[mode] = {table: content(connection, *table) for table in all_models(connection)}
        assert tables["append"].keys() == tables["append_dedup"].keys()
        for table, rows in tables["append"].items():
            assert rows == tables["append_dedup"][table], f"{table} differs between append and append_dedup"
        versions = raw_rows(pipes["append"].warehouse, "tasks"), raw_rows(pipes["append_dedup"].warehouse, "tasks")
        assert versions[0][0] > versions[1][0] and versions[0][1] > 0 == versions[1][1], f"append kept nothing: {versions}"
        say(f"  both modes: the same {len(tables['append'])} tables, though `tasks` has {versions[0][0]} rows with "
            f"{versions[0][1]} tombstones in one and {versions[1][0]} rows in the other")
        verify_renamed_fields(pipes["append_dedup"].warehouse, databases["append_dedup"], fields)


def raw_rows(warehouse, table):
    return shown(warehouse).execute(f"SELECT count(*), count(_ab_cdc_deleted_at) FROM airbyte.{table}").fetchone()


def chosen_fields(world):
    """A field of each kind that the wide table can show, as a project chooses them by gid."""
    fields = {}
    for task in world.records("tasks", ["custom_fields.gid", "custom_fields.type", "custom_fields.display_value"]):
        for field in task["custom_fields"]:
            if field["display_value"]:
                fields.setdefault(field["type"], field["gid"])
    assert {"text", "number", "enum", "multi_enum", "date", "people"} <= fields.keys(), fields
    return [{"gid": gid, "column": f"my_{type_}", "type": type_} for type_, gid in sorted(fields.items())]


def rename_fields(database, warehouse, fields):
    """The connector's tables once more, in the schema `renamed`, with other names of these fields in them."""
    from asana_warehouse import show_tables
    with duckdb.connect(str(database), config={"allow_unsigned_extensions": "true"}) as connection:
        show_tables(connection, str(warehouse), "airbyte_as_synced")
        connection.execute("CREATE SCHEMA renamed")
        for (table,) in connection.execute(
                "SELECT view_name FROM duckdb_views() WHERE schema_name = 'airbyte_as_synced'").fetchall():
            connection.execute(f"CREATE TABLE renamed.{table} AS SELECT * FROM airbyte_as_synced.{table}")
        connection.execute("DROP SCHEMA airbyte_as_synced CASCADE")
        for table in ("tasks", "subtasks"):
            connection.execute(
                f"UPDATE renamed.{table} SET custom_fields = (SELECT to_json(list(CASE WHEN f ->> 'gid' IN "
                "(SELECT unnest(?)) THEN json_merge_patch(f, '{\"name\": \"another name\"}') ELSE f END)) "
                "FROM (SELECT unnest(CAST(CAST(custom_fields AS JSON) AS JSON[])) AS f)) "
                "WHERE len(CAST(CAST(custom_fields AS JSON) AS JSON[])) > 0", [[field["gid"] for field in fields]])


def wide_table(database, fields):
    """The names that the fields have, and the wide table's columns and rows, each of which has to be right."""
    columns = {"text": "text_value", "number": "number_value", "date": "date_value", "enum": "enum_option_name",
               "multi_enum": "multi_enum_options", "people": "people", "reference": "reference_objects"}
    wide, values = "main_asana_answers.task_fields", table_of("task_custom_field_values")
    with open_database(database) as connection:
        names = connection.execute(f"SELECT DISTINCT custom_field_name FROM {values} WHERE custom_field_gid IN "
                                   "(SELECT unnest(?))", [[field["gid"] for field in fields]]).fetchall()
        for field in fields:
            column = columns[field["type"]]
            wanted = connection.execute(f"SELECT task_gid, CAST({column} AS VARCHAR) FROM {values} WHERE "
                                        f"custom_field_gid = ? AND {column} IS NOT NULL", [field["gid"]]).fetchall()
            found = connection.execute(f"SELECT task_gid, CAST({field['column']} AS VARCHAR) FROM {wide} "
                                       f"WHERE {field['column']} IS NOT NULL").fetchall()
            assert wanted and sorted(found) == sorted(wanted), f"{field}: {found[:3]} are not {wanted[:3]}"
        described = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {wide}").fetchall()}
        return names, described, content(connection, "main_asana_answers", "task_fields")


def verify_renamed_fields(warehouse, database, fields):
    """The wide table: each value in its field's column, also after every field was renamed in Asana."""
    names, columns, rows = wide_table(database, fields)
    assert len(names) == len(fields), names
    rename_fields(database, warehouse, fields)
    dbt(["run", "--select", "+task_fields"], database, warehouse, {"task_fields": fields, "asana_schema": "renamed"})
    renamed, *after = wide_table(database, fields)
    assert renamed == [("another name",)], renamed
    assert after == [columns, rows], "the wide table changed when fields were renamed"
    assert columns["my_number"] == "DOUBLE" and columns["my_date"] == "DATE", columns
    say(f"  a wide table of {len(fields)} fields: the same columns, types and values after all of them were renamed")


def verify_missing(folder):
    """Streams that were not synced are empty, and columns that were not selected are null."""
    with World(BINARIES, "tiny") as world:
        pipe = Pipe(folder / "missing", world, streams=["projects", "sections", "tasks", "users"],
                    drop_columns=["custom_fields", "due_on", "assignee"])
        pipe.sync()
        say("tiny world with four streams, three columns not selected:")
        database, _ = build(folder, pipe.warehouse, command="run")
        with open_database(database) as connection:
            count = lambda model, what="*": connection.execute(f"SELECT count({what}) FROM {table_of(model)}").fetchone()[0]
            assert count("all_tasks") == count("current_tasks") > 0 and count("task_projects") > 0
            assert count("all_tasks", "due_on") == count("all_tasks", "assignee_gid") == 0
            for model in ("current_stories", "current_subtasks", "task_custom_field_values", "goal_owners",
                          "task_date_changes", "fivetran.story"):
                assert count(model) == 0, model
            # Without stories, a task is where it is since it was made.
            assert count("task_section_history") == count("task_projects")
            check_fivetran(connection)


def verify_typed(folder):
    """Tables with typed nested values give the same models as tables with JSON text."""
    with World(BINARIES, "tiny") as world:
        pipe = Pipe(folder / "typed", world, nested="typed")
        pipe.sync()
        of_column = shown(pipe.warehouse).execute("DESCRIBE airbyte.tasks").fetchall()
        type_ = next(row[1] for row in of_column if row[0] == "memberships")
        assert type_.startswith("STRUCT"), type_
        say("tiny world, with typed nested values:")
        database, _ = build(folder, pipe.warehouse, command="run")
        with open_database(database) as connection:
            truth = truth_of(world, connection)
            of_streams, of_models = compare_streams(connection, truth), compare_models(connection, truth)
            say(f"  {of_streams} rows of streams and {of_models} rows of models equal to the world")


def verify_medium(folder):
    with World(BINARIES, "medium") as world:
        pipe = Pipe(folder / "medium", world)
        pipe.sync()
    say("medium world:")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    database, seconds = build(folder, pipe.warehouse)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    of_cores = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with open_database(database) as connection:
        tasks, stories = (connection.execute(f"SELECT count(*) FROM {table_of(model)}").fetchone()[0]
                          for model in ("all_tasks", "current_stories"))
    say(f"  {tasks} tasks and {stories} stories: {seconds:.1f} s, of which {of_cores:.1f} s on a core")
    assert tasks > 13_000 and stories > 80_000
    # What others do on the machine makes a build slower, and does not count.
    assert min(seconds, of_cores) < SECONDS_OF_MEDIUM, f"dbt build took {seconds:.0f} s, {of_cores:.0f} s on a core"


def demo_warehouse(folder):
    """The demo's own, after its two syncs."""
    output = folder / "demo"
    done = subprocess.run([BINARIES / "demo", "--scale", "small", "--output", output], cwd=ROOT, text=True,
                          env={key: value for key, value in os.environ.items() if key != "ASANA_TOKEN"},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"the demo failed:\n{done.stdout[-3000:]}")
    return output / "warehouse"


def verify_demo(folder):
    warehouse = demo_warehouse(folder)
    say("the demo's warehouse after both syncs:")
    database, _ = build(folder, warehouse)
    with open_database(database) as connection:
        for table in ("throughput_per_week", "cycle_time_by_section", "overdue_by_assignee", "workload_by_custom_field",
                      "stale_projects"):
            rows = connection.execute(f"SELECT count(*) FROM main_asana_answers.{table}").fetchone()[0]
            assert rows > 0, f"{table} has no rows"


def main():
    names = sys.argv[2:] or ALL
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        dbt(["deps"], folder / "none.duckdb", folder)
        for name in names:
            if name == "pictures":
                from pictures import draw
                database, _ = build(folder, demo_warehouse(folder))
                draw(database, ROOT / "docs/images/dbt", ANSWERS["as_of"])
                continue
            if name == "snowflake":
                from snowflake_emulator import verify_snowflake
                verify_snowflake(folder)
                continue
            verify = {"demo": verify_demo, "small": verify_small, "missing": verify_missing, "typed": verify_typed,
                      "medium": verify_medium}
            if name not in verify:
                sys.exit(f"there is no {name}: choose of {' '.join(ALL)} pictures")
            started = time.time()
            (folder / name).mkdir()
            verify[name](folder / name)
            say(f"  {name}: {time.time() - started:.0f} s")
    say("Everything is equal.")


if __name__ == "__main__":
    main()
