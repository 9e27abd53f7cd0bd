"""Filters that engines answer by skipping files: DuckDB and PyIceberg must find what an unfiltered scan holds.

    filters.py <folder of binaries> [filters] [seed]

Knows the tables only through these readers. First the case in which rows were lost, then random records and filters.
"""

import datetime
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from pyiceberg.expressions import (EqualTo, GreaterThan, GreaterThanOrEqual, IsNull, LessThan, LessThanOrEqual, NotNull,
                                   StartsWith)

from tables import Warehouse

BINARIES = pathlib.Path(sys.argv[1]).resolve()
FILTERS = int(sys.argv[2]) if len(sys.argv) > 2 else 120
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
ALPHABETS = ["abcdefghijklmnopqrstuvwxyzABCXYZ 0189~", "абвгдежзийклмнопрстуфхцчшщъыьэюяАБЯё ", "数据表格项目管理任务客户一龥々",
             "😀🎉🚀👩‍💻\U0001F9FF\U0010FFFF", "\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000 a"]
COMPARISONS = {"=": (EqualTo, lambda a, b: a == b), "<": (LessThan, lambda a, b: a < b),
               "<=": (LessThanOrEqual, lambda a, b: a <= b), ">": (GreaterThan, lambda a, b: a > b),
               ">=": (GreaterThanOrEqual, lambda a, b: a >= b)}
PROPERTIES = {"gid": {"type": "string"}, "name": {"type": ["null", "string"]}, "tags": {"type": "array"},
              "notes": {"type": "string"}, "count": {"type": ["null", "integer"]}, "share": {"type": ["null", "number"]},
              "moment": {"type": ["null", "string"], "format": "date-time"},
              "day": {"type": ["null", "string"], "format": "date"}, "done": {"type": ["null", "boolean"]}}


def write(folder, stream, mode, records, **config):
    config = {"catalog": {"type": "embedded", "warehouse": str(folder / "warehouse")}, "maintenance_percent": 0, **config}
    catalog = {"streams": [{
        "stream": {"name": stream, "json_schema": {"properties": PROPERTIES}}, "sync_mode": "full_refresh",
        "destination_sync_mode": mode, "primary_key": [["gid"]], "cursor_field": []}]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "catalog.json").write_text(json.dumps(catalog))
    status = {"stream_descriptor": {"name": stream}, "status": "COMPLETE"}
    with (folder / "lines.jsonl").open("w") as sink:
        for data in records:
            record = {"stream": stream, "data": data, "emitted_at": 1}
            sink.write(json.dumps({"type": "RECORD", "record": record}, ensure_ascii=False) + "\n")
        sink.write(json.dumps({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "stream_status": status}}) + "\n")
    with (folder / "lines.jsonl").open() as lines:
        subprocess.run([BINARIES / "destination-iceberg", "write", "--config", folder / "config.json", "--catalog",
                        folder / "catalog.json"], stdin=lines, stdout=subprocess.DEVNULL, check=True)


def literal(value):
    """A value as SQL."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMPTZ '{value.isoformat()}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    return repr(value)


class Readers:
    def __init__(self, folder, stream):
        self.warehouse = Warehouse(folder / "warehouse/catalog.db")
        self.table = self.warehouse.table(stream)
        self.row_groups = [len(file.file.split_offsets) for file in self.table.scan().plan_files()]

    def by_duckdb(self, condition):
        sql = f"SELECT gid FROM iceberg_scan('{self.table.metadata_location}') WHERE {condition}"
        return sorted(row[0] for row in self.warehouse.duckdb.execute(sql).fetchall())

    def by_pyiceberg(self, expression):
        return sorted(self.table.scan(row_filter=expression, selected_fields=("gid",)).to_arrow()["gid"].to_pylist())


def noise(dice):
    return dice.randbytes(1500).hex()


def the_case_that_lost_rows(folder):
    dice = random.Random(1)
    names = [f"Позвонить клиенту и обсудить с ним договор поставки номер {number}" for number in range(14_000)]
    records = ({"gid": str(number), "notes": noise(dice), "tags": [] if number < 10_500 else [{"gid": "1"}],
                "name": f"Call client {number}" if number < 10_500 else names[number]} for number in range(14_000))
    write(folder, "calls", "overwrite", records)
    readers = Readers(folder, "calls")
    assert readers.row_groups == [2], readers.row_groups
    for condition, expression, expected in [
            ("tags LIKE '[{%'", StartsWith("tags", "[{"), 3500), ("name >= 'А'", GreaterThanOrEqual("name", "А"), 3500),
            (f"name = '{names[12_345]}'", EqualTo("name", names[12_345]), 1)]:
        found = len(readers.by_duckdb(condition)), len(readers.by_pyiceberg(expression))
        assert found == (expected, expected), f"{condition}: {found} instead of {expected}"
    print("The case that lost rows: 3,500, 3,500 and 1, by both readers")


def text(dice, alphabet):
    length, made = dice.choice([0, 1, 5, 60, 64, 65, 66, 70, 128, 300]), ""
    while len((made + (letter := dice.choice(alphabet))).encode()) <= length:
        made += letter
    return made


def record(dice, gid, part):
    """Each part of the records has values of its own, so that bounds of row groups and files differ."""
    maybe = lambda value: None if dice.random() < 0.1 else value
    second = dice.randrange(86_400) + part * 864_000
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=second)
    return {"gid": str(gid), "name": maybe(text(dice, ALPHABETS[part % len(ALPHABETS)])), "tags": [], "notes": noise(dice),
            "count": maybe(dice.randrange(100) + part * 1000 - 2000), "share": maybe(dice.uniform(-1, 1) * 10 ** (part * 3)),
            "moment": maybe(moment.isoformat()), "day": maybe((moment.date()).isoformat()), "done": maybe(part % 2 == 0)}


def random_filters(folder):
    dice = random.Random(SEED)
    # One file of several row groups, then smaller files that replace rows of it.
    write(folder, "items", "append_dedup", (record(dice, gid, gid // 4000) for gid in range(20_000)))
    for part in range(5):
        write(folder, "items", "append_dedup", [record(dice, dice.randrange(22_000), part) for _ in range(300)])
    for step in ("written", "maintained"):
        readers = Readers(folder, "items")
        assert max(readers.row_groups) > 2 and (len(readers.row_groups) == 6 or step == "maintained"), readers.row_groups
        columns = ("gid", "name", "count", "share", "moment", "day", "done")
        rows = readers.table.scan(selected_fields=columns).to_arrow().to_pylist()
        for number in range(FILTERS):
            column = dice.choice(columns)
            value = dice.choice(rows)[column]
            if isinstance(value, datetime.datetime):
                value = value.astimezone(datetime.timezone.utc)
            if value is None:
                if dice.random() < 0.5:
                    condition, expression, holds = f"{column} IS NULL", IsNull(column), lambda found: found is None
                else:
                    condition, expression, holds = f"{column} IS NOT NULL", NotNull(column), lambda found: found is not None
            elif isinstance(value, str) and value and dice.random() < 0.3:
                start = value[:dice.randrange(1, len(value) + 1)]
                condition, expression = f"starts_with({column}, {literal(start)})", StartsWith(column, start)
                holds = lambda found: found is not None and found.startswith(start)
            else:
                sign = "=" if isinstance(value, bool) else dice.choice(list(COMPARISONS))
                predicate, compares = COMPARISONS[sign]
                condition = f"{column} {sign} {literal(value)}"
                term = value.isoformat() if isinstance(value, datetime.date) else value
                expression = predicate(column, term)
                holds = lambda found: found is not None and compares(found, value)
            expected = sorted(row["gid"] for row in rows if holds(row[column]))
            for name, found in (("DuckDB", readers.by_duckdb(condition)), ("PyIceberg", readers.by_pyiceberg(expression))):
                assert found == expected, f"{name}: {condition!r} finds {len(found)} rows instead of {len(expected)}"
        print(f"{len(rows):,} random rows in row groups {readers.row_groups}, {step}: {FILTERS} filters, equal by both readers")
        if step == "written":
            subprocess.run([BINARIES / "destination-iceberg", "maintain", "--config", folder / "config.json",
                            "--small-file-percent=100"], check=True, stdout=subprocess.DEVNULL)


def main():
    with tempfile.TemporaryDirectory() as name:
        the_case_that_lost_rows(pathlib.Path(name))
        random_filters(pathlib.Path(name))


if __name__ == "__main__":
    main()
