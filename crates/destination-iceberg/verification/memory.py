"""What the destination holds in memory and how many files it makes, where there is a lot of one thing.

    memory.py <the destination's binary> [kind …]

Prints peak memory, wall and processor time, files and snapshots for each kind, and fails above 200 MB, above two files
for a stream, or with more than one commit of an interleaved stream. Needs a few GB in the folder for temporary files.
"""

import itertools
import json
import os
import pathlib
import random
import sys
import tempfile
import time

MOST_BYTES = 200 << 20
MOST_FILES = 2
TEXT = {"type": ["null", "string"]}
PROPERTIES = {
    "gid": TEXT, "name": TEXT, "notes": TEXT, "completed": {"type": "boolean"}, "num_likes": {"type": "integer"},
    "created_at": {"type": "string", "format": "date-time"}, "modified_at": {"type": "string", "format": "date-time"},
    "due_on": {"type": "string", "format": "date"}, "assignee": {"type": "object"}, "followers": {"type": "array"},
    "projects": {"type": "array"}, "memberships": {"type": "array"}, "custom_fields": {"type": "array"},
}
WORDS = "review draft launch plan budget owner weekly customer sprint blocked design café 数据 🎉".split()


def tasks():
    """Endless tasks of about 2 kB, of which only the number differs after the first thousand."""
    dice = random.Random(7)
    words = lambda count: " ".join(dice.choices(WORDS, k=count))
    person = lambda: {"gid": str(dice.randrange(10**15)), "name": words(2), "resource_type": "user"}
    pool = [{
        "name": words(6), "notes": words(80), "completed": number % 3 == 0, "num_likes": dice.randrange(9),
        "created_at": "2025-05-05T05:05:05.000Z", "modified_at": "2026-01-01T10:00:00.000Z", "due_on": "2026-02-03",
        "assignee": person(), "followers": [person() for _ in range(4)], "projects": [person()],
        "memberships": [{"project": person(), "section": person()}],
        "custom_fields": [{"gid": str(field), "name": words(2), "text_value": words(4)} for field in range(4)],
    } for number in range(1000)]
    for number in itertools.count():
        yield {"gid": str(10**15 + number * 7919), **pool[number % 1000]}


def line(kind, **body):
    return json.dumps({"type": kind, **body}, ensure_ascii=False, separators=(",", ":")) + "\n"


def record(stream, data):
    return line("RECORD", record={"stream": stream, "data": data, "emitted_at": 1})


def state(stream, value):
    descriptor = {"stream_descriptor": {"name": stream}, "stream_state": {"value": value}}
    return line("STATE", state={"type": "STREAM", "stream": descriptor})


def complete(stream):
    status = {"stream_descriptor": {"name": stream}, "status": "COMPLETE"}
    return line("TRACE", trace={"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status})


def interleaved(streams, rows):
    names = [f"stream_{number}" for number in range(streams)]
    for number, task in zip(range(rows), tasks()):
        for name in names:
            yield record(name, task)
            if number % 1000 == 999:
                yield state(name, number)
    yield from map(complete, names)


def withheld_states():
    for number, task in zip(range(10_000), tasks()):
        yield record("stream_0", task)
        yield state("stream_0", f"{number} " + "x" * 100_000)
    yield complete("stream_0")


def wide():
    for number in range(20_000):
        cells = {f"column_{place}": f"cell {place} of row {number}" for place in range(1000)}
        yield record("stream_0", {"gid": str(number), **cells})
    yield complete("stream_0")


WIDE = {"gid": TEXT, **{f"column_{place}": TEXT for place in range(1000)}}
KINDS = {
    # Lines, streams, columns, mode, and whether each stream has to come in one commit.
    "one stream of a million tasks": (lambda: interleaved(1, 1_000_000), 1, PROPERTIES, "append", True),
    "a million tasks by key": (lambda: interleaved(1, 1_000_000), 1, PROPERTIES, "append_dedup", False),
    "24 interleaved streams of 20,000 tasks by key":
        (lambda: interleaved(24, 20_000), 24, PROPERTIES, "append_dedup", True),
    "500 streams of 100 tasks by key": (lambda: interleaved(500, 100), 500, PROPERTIES, "append_dedup", True),
    "1,000 columns": (wide, 1, WIDE, "append_dedup", True),
    "1 GB of withheld states": (withheld_states, 1, PROPERTIES, "overwrite", True),
}


def run(binary, kind):
    lines, streams, properties, mode, one_commit = KINDS[kind]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "config.json").write_text(json.dumps(
            {"catalog": {"type": "embedded", "warehouse": str(folder / "warehouse")}, "commit_interval_seconds": 86400}))
        (folder / "catalog.json").write_text(json.dumps({"streams": [{
            "stream": {"name": f"stream_{number}", "json_schema": {"properties": properties}},
            "sync_mode": "incremental", "destination_sync_mode": mode, "primary_key": [["gid"]],
            "cursor_field": ["modified_at"] if "modified_at" in properties else []} for number in range(streams)]}))
        reader, writer = os.pipe()
        started = time.time()
        child = os.fork()
        if child == 0:
            os.dup2(reader, 0)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.close(writer)
            verb = ["write", "--config", folder / "config.json", "--catalog", folder / "catalog.json"]
            os.execv(binary, [str(binary), *map(str, verb)])
        os.close(reader)
        with os.fdopen(writer, "w", buffering=1 << 20) as sink:
            sink.writelines(lines())
        _, status, usage = os.wait4(child, 0)
        peak = usage.ru_maxrss << 10
        files = len(list(folder.glob("warehouse/**/data/*.parquet")))
        commits = len(list(folder.glob("warehouse/**/metadata/snap-*.avro")))
        print(f"{kind:<48}{peak >> 20:>5} MB{time.time() - started:>8.1f} s{usage.ru_utime + usage.ru_stime:>8.1f} s cpu"
              f"{files:>6} files{commits:>6} commits", flush=True)
        faults = []
        if status != 0:
            faults.append(f"it ended with {status}")
        if peak > MOST_BYTES:
            faults.append(f"it took more than {MOST_BYTES >> 20} MB")
        if one_commit and commits != streams:
            faults.append("a stream was committed more than once")
        if one_commit and not "million" in kind and files > MOST_FILES * streams:
            faults.append(f"a stream has more than {MOST_FILES} files")
        return [f"{kind}: {fault}" for fault in faults]


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    faults = [fault for kind in sys.argv[2:] or KINDS for fault in run(binary, kind)]
    sys.exit("\n".join(faults) if faults else 0)


main()
