"""The rows of each table of an embedded catalog's warehouse, as DuckDB and PyIceberg count them.

    rows.py <warehouse> [milliseconds since 1970]

With a moment, also what a reader finds changed since the last snapshot before it: rows that are new, that say
something else, that are gone. Fails if the two readers disagree, or if a table has an equality delete.
"""

import pathlib
import sys

from tables import AIRBYTE, Warehouse

KEYS = ["portfolio_gid", "gid"]


def content(table, snapshot):
    """Each row by its key, without the destination's own columns."""
    if snapshot is None:
        return {}
    arrow = table.scan(snapshot_id=snapshot.snapshot_id).to_arrow()
    key = [name for name in KEYS if name in arrow.column_names]
    names = [name for name in arrow.column_names if name not in AIRBYTE]
    columns = [arrow[name].to_pylist() for name in names]
    keys = zip(*(arrow[name].to_pylist() for name in key))
    return dict(zip(keys, zip(*columns)))


def changes(table, since):
    older = [snapshot for snapshot in table.metadata.snapshots if snapshot.timestamp_ms < since]
    before = content(table, max(older, key=lambda snapshot: snapshot.sequence_number, default=None))
    now = content(table, table.current_snapshot())
    new = len(now.keys() - before.keys())
    gone = len(before.keys() - now.keys())
    changed = sum(before[key] != now[key] for key in now.keys() & before.keys())
    return [new, changed, gone]


def main():
    folder = pathlib.Path(sys.argv[1])
    since = int(sys.argv[2]) if len(sys.argv) > 2 else None
    warehouse = Warehouse(folder / "catalog.db")
    titles = ["DuckDB", "PyIceberg"] + (["new", "changed", "gone"] if since else [])
    print(f"\n{'table':<26}" + "".join(f"{title:>11}" for title in titles))
    total = [0] * len(titles)
    for _, name in sorted(warehouse.catalog.list_tables("airbyte")):
        counts = warehouse.counts(name)
        if counts["duckdb"] != counts["pyiceberg"]:
            sys.exit(f"the readers disagree on {name}: {counts}")
        if warehouse.equality_deletes(name):
            sys.exit(f"{name} has equality deletes")
        row = [counts["duckdb"], counts["pyiceberg"]]
        if since:
            row += changes(warehouse.table(name), since)
        total = [sum(pair) for pair in zip(total, row)]
        print(f"{name:<26}" + "".join(f"{count:>11}" for count in row))
    print(f"{'':<26}" + "".join(f"{count:>11}" for count in total))


main()
