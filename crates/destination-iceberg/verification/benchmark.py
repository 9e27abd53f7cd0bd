"""Tasks into a table, by the destination and by PyIceberg, on the same lines and the same machine.

    benchmark.py <the destination's binary> [records] [rows] [the binary of an earlier version]

Prints wall time, processor time, records a second and peak memory of the whole process, for a first load and for an
upsert of a tenth of the rows, scattered; for the destination also of joining the files afterwards. Then it prints what
20,000 scattered upserts into a million small rows cost with position deletes and with copy-on-write. With the binary of an
earlier version, it prints only how the two compare: they take turns, and each number is a ratio of one pair. No number fails it.
"""

import datetime
import json
import os
import pathlib
import random
import sys
import tempfile
import time

RECORDS = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
ROWS = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000_000
UPSERTS = 20_000
PAIRS = 3
WORDS = "review draft launch plan budget owner weekly customer sprint blocked design café 数据 🎉".split()
PROPERTIES = {
    "gid": {"type": "string"}, "name": {"type": "string"}, "notes": {"type": "string"},
    "resource_type": {"type": "string"}, "completed": {"type": "boolean"}, "num_likes": {"type": "integer"},
    "actual_time_minutes": {"type": "number"}, "due_on": {"type": "string", "format": "date"},
    "created_at": {"type": "string", "format": "date-time"}, "modified_at": {"type": "string", "format": "date-time"},
    "completed_at": {"type": ["null", "string"], "format": "date-time"}, "permalink_url": {"type": "string"},
    "assignee": {"type": "object"}, "parent": {"type": ["null", "object"]}, "workspace": {"type": "object"},
    "followers": {"type": "array"}, "projects": {"type": "array"}, "memberships": {"type": "array"},
    "custom_fields": {"type": "array"}, "tags": {"type": "array"},
}
JSON_TEXT = {name for name, schema in PROPERTIES.items() if {"object", "array"} & set(
    [schema["type"]] if isinstance(schema["type"], str) else schema["type"])}


def task(number, version, dice):
    gid = str(1_200_000_000_000_000 + number * 7919)
    words = lambda count: " ".join(dice.choices(WORDS, k=count))
    person = lambda: {"gid": str(dice.randrange(10**15)), "name": words(2), "resource_type": "user"}
    project = {"gid": str(dice.randrange(10**15)), "name": words(3), "resource_type": "project"}
    moment = f"2026-0{1 + version}-{1 + number % 28:02}T10:{number % 60:02}:00.000Z"
    return {
        "gid": gid, "name": words(6), "notes": words(50), "resource_type": "task", "completed": number % 3 == 0,
        "num_likes": dice.randrange(9), "actual_time_minutes": dice.randrange(900) / 4, "due_on": moment[:10],
        "created_at": "2025-05-05T05:05:05.000Z", "modified_at": moment,
        "completed_at": moment if number % 3 == 0 else None, "permalink_url": f"https://app.asana.com/0/0/{gid}",
        "assignee": person(), "parent": None, "workspace": {"gid": "1", "name": "All", "resource_type": "workspace"},
        "followers": [person() for _ in range(3)], "projects": [project],
        "memberships": [{"project": project, "section": {"gid": "5", "name": words(1), "resource_type": "section"}}],
        "custom_fields": [{"gid": str(field), "name": words(2), "type": "text", "text_value": words(3),
                           "display_value": words(3), "enabled": True} for field in range(4)],
        "tags": [],
    }


def item(number, version, dice):
    """A small row, of about 200 bytes."""
    return {"gid": str(1_200_000_000_000_000 + number * 7919), "name": " ".join(dice.choices(WORDS, k=6)), "num_likes": version,
            "modified_at": f"2026-0{1 + version}-{1 + number % 28:02}T10:{number % 60:02}:00.000Z"}


def write_lines(path, numbers, version, make=task):
    dice = random.Random(version)
    with path.open("w") as sink:
        for number in numbers:
            data = make(number, version, dice)
            sink.write(json.dumps({"type": "RECORD", "record": {"stream": "tasks", "data": data, "emitted_at": 1}},
                                  ensure_ascii=False, separators=(",", ":")) + "\n")
        status = {"stream_descriptor": {"name": "tasks"}, "status": "COMPLETE"}
        state = {"type": "STREAM", "stream": {"stream_descriptor": {"name": "tasks"}, "stream_state": {"v": version}}}
        sink.write(json.dumps({"type": "STATE", "state": state}) + "\n")
        sink.write(json.dumps({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "stream_status": status}}) + "\n")


def measured(what, count, run):
    """Prints what it took."""
    seconds, cpu, peak = timed(what, run)
    rate = f"{count / seconds:>9,.0f}" if count else f"{'':>9}"
    print(f"{what:<44}{seconds:>8.1f} s{cpu:>8.1f} s{rate}/s{peak:>8.0f} MB", flush=True)


def timed(what, run):
    """Runs in a process of its own, whose peak memory the kernel tells. Returns seconds, CPU seconds and megabytes."""
    started = time.time()
    child = os.fork()
    if child == 0:
        try:
            run()
        except BaseException as error:
            print(f"{what}: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    seconds = time.time() - started
    assert status == 0, what
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run_destination(binary, verb, lines):
    def run():
        if lines:
            os.dup2(os.open(lines, os.O_RDONLY), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(binary, [str(binary), *map(str, verb)])
    return run


def run_pyiceberg(folder, lines, mode):
    def run():
        import pyarrow as pa
        from pyiceberg.catalog.sql import SqlCatalog
        types = {"gid": pa.string(), "completed": pa.bool_(), "num_likes": pa.int64(), "actual_time_minutes": pa.float64(),
                 "due_on": pa.date32()}
        moments = {"created_at", "modified_at", "completed_at"}
        schema = pa.schema([pa.field(name, pa.timestamp("us", "UTC") if name in moments else types.get(name, pa.string()))
                            for name in PROPERTIES])
        catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/py.db", warehouse=f"file://{folder}/py")
        catalog.create_namespace_if_not_exists("airbyte")
        table = catalog.create_table_if_not_exists("airbyte.tasks", schema)

        def cell(name, value):
            if value is None:
                return None
            if name in JSON_TEXT:
                return json.dumps(value, ensure_ascii=False)
            if name in moments:
                return datetime.datetime.fromisoformat(value)
            return datetime.date.fromisoformat(value) if name == "due_on" else value

        def flush(rows):
            columns = {name: [cell(name, row[name]) for row in rows] for name in PROPERTIES}
            arrow = pa.table(columns, schema=schema)
            table.append(arrow) if mode == "append" else table.upsert(arrow, join_cols=["gid"])
            rows.clear()

        rows = []
        with open(lines) as source:
            for line in source:
                message = json.loads(line)
                if message["type"] == "RECORD":
                    rows.append(message["record"]["data"])
                if len(rows) == 50_000:
                    flush(rows)
        if rows:
            flush(rows)
    return run


def tasks_beside_pyiceberg(binary, folder):
    first, second = folder / "first.jsonl", folder / "second.jsonl"
    dice = random.Random(7)
    write_lines(first, range(RECORDS), 1)
    changed = sorted(dice.sample(range(RECORDS), RECORDS // 10))
    write_lines(second, changed, 2)
    bytes_a_record = first.stat().st_size / RECORDS
    print(f"{RECORDS:,} tasks of {bytes_a_record:,.0f} bytes, {len(changed):,} of them changed, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'':<44}{'wall':>10}{'cpu':>10}{'records':>11}{'peak':>11}")
    for mode in ("append", "append_dedup"):
        options = write_config(folder / mode, {}, mode)
        measured(f"destination, {mode}", RECORDS, run_destination(binary, ["write", *options], first))
        if mode == "append_dedup":
            measured("destination, upsert of a tenth", len(changed),
                     run_destination(binary, ["write", *options], second))
            measured("destination, all files joined (maintain)", 0,
                     run_destination(binary, ["maintain", *options[:2], "--small-file-percent=100"], None))
    measured("PyIceberg, append", RECORDS, run_pyiceberg(folder, first, "append"))
    measured("PyIceberg, upsert of a tenth", len(changed), run_pyiceberg(folder, second, "upsert"))


def both_kinds_of_deletes(binary, folder):
    first, second = folder / "first.jsonl", folder / "second.jsonl"
    write_lines(first, range(ROWS), 1, item)
    write_lines(second, sorted(random.Random(7).sample(range(ROWS), UPSERTS)), 2, item)
    print(f"\n{UPSERTS:,} upserts scattered over {ROWS:,} rows of {first.stat().st_size / ROWS:,.0f} bytes, "
          f"load {os.getloadavg()[0]:.1f}\n")
    for deletes in ("position_deletes", "copy_on_write"):
        warehouse = folder / deletes
        verb = ["write", *write_config(warehouse, {"deletes": deletes, "maintenance_percent": 0}, "append_dedup")]
        size = lambda: sum(file.stat().st_size for file in warehouse.rglob("*.parquet"))
        measured(f"{deletes}, first load", ROWS, run_destination(binary, verb, first))
        loaded = size()
        measured(f"{deletes}, upserts", UPSERTS, run_destination(binary, verb, second))
        print(f"{'':<44}{(size() - loaded) / 1e6:,.1f} MB written beside {loaded / 1e6:,.1f} MB")


def beside_an_earlier_version(binary, earlier, folder):
    tasks, items, changed = (folder / f"{name}.jsonl" for name in ("tasks", "items", "changed"))
    write_lines(tasks, range(RECORDS), 1)
    write_lines(items, range(ROWS), 1, item)
    write_lines(changed, sorted(random.Random(7).sample(range(ROWS), UPSERTS)), 2, item)
    cases = [
        (f"{RECORDS:,} tasks, append", "append", None, tasks, RECORDS),
        (f"{RECORDS:,} tasks by key, into an empty table", "append_dedup", None, tasks, RECORDS),
        (f"{UPSERTS:,} upserts into {ROWS:,} rows", "append_dedup", items, changed, UPSERTS),
    ]
    print(f"Each of {PAIRS} pairs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'':<46}{'earlier':>20}{'this version':>20}   this / earlier: wall, CPU, peak memory")
    for what, mode, before, lines, count in cases:
        for pair in range(PAIRS):
            taken = {}
            # The first of a pair finds colder caches, so they change places.
            for program in (binary, earlier)[::1 if pair % 2 else -1]:
                with tempfile.TemporaryDirectory(dir=folder) as name:
                    verb = ["write", *write_config(pathlib.Path(name) / "warehouse", {}, mode)]
                    if before:
                        timed(what, run_destination(program, verb, before))
                    taken[program] = timed(what, run_destination(program, verb, lines))
            rates = "".join(f"{count / taken[program][0]:>18,.0f}/s" for program in (earlier, binary))
            ratios = ", ".join(f"{now / then:.2f}" for now, then in zip(taken[binary], taken[earlier]))
            print(f"{what:<46}{rates}   {ratios}", flush=True)


def write_config(warehouse, fields, mode):
    """Returns the options of `write`: those of the config come first."""
    config, catalog = warehouse.with_suffix(".json"), warehouse.with_suffix(".catalog.json")
    config.write_text(json.dumps({"catalog": {"type": "embedded", "warehouse": str(warehouse)}, **fields}))
    catalog.write_text(json.dumps({"streams": [{
        "stream": {"name": "tasks", "json_schema": {"properties": PROPERTIES}}, "sync_mode": "incremental",
        "destination_sync_mode": mode, "primary_key": [["gid"]], "cursor_field": ["modified_at"]}]}))
    return ["--config", config, "--catalog", catalog]


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    if len(sys.argv) > 4:
        with tempfile.TemporaryDirectory() as name:
            return beside_an_earlier_version(binary, pathlib.Path(sys.argv[4]).resolve(), pathlib.Path(name))
    for part in (tasks_beside_pyiceberg, both_kinds_of_deletes):
        with tempfile.TemporaryDirectory() as name:
            part(binary, pathlib.Path(name))


main()
