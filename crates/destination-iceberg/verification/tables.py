"""Tables of a warehouse as Arrow, read by PyIceberg and by DuckDB, and compared with the records that went in.

Knows nothing of how the destination works: only the Iceberg format, through other people's readers.
"""

import datetime
import glob
import json
import sysconfig

import duckdb
from pyiceberg.catalog.sql import SqlCatalog

from world import PARENTS

AIRBYTE = {"_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id"}


def duckdb_connection(extensions=("avro", "httpfs", "iceberg")):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for extension in extensions:
        site = sysconfig.get_paths()["purelib"]
        (path,) = glob.glob(f"{site}/**/{extension}.duckdb_extension", recursive=True)
        connection.execute(f"LOAD '{path}'")
    return connection


class Warehouse:
    def __init__(self, database, properties=None, setup=()):
        self.catalog = SqlCatalog("default", uri=f"sqlite:///{database}", **(properties or {}))
        self.duckdb = duckdb_connection()
        for statement in setup:
            self.duckdb.execute(statement)

    def table(self, stream):
        return self.catalog.load_table(("airbyte", stream))

    def readings(self, stream):
        """The table's rows, once by each reader."""
        table = self.table(stream)
        # A query's result is a reader or a table, by DuckDB's version.
        found = self.duckdb.execute(f"SELECT * FROM iceberg_scan('{table.metadata_location}')").arrow()
        found = found.read_all() if hasattr(found, "read_all") else found
        return {"pyiceberg": table.scan().to_arrow(), "duckdb": found}

    def counts(self, stream):
        """The number of the table's rows, once by each reader."""
        table = self.table(stream)
        scan = f"SELECT count(*) FROM iceberg_scan('{table.metadata_location}')"
        return {"pyiceberg": table.scan().count(), "duckdb": self.duckdb.execute(scan).fetchone()[0]}

    def equality_deletes(self, stream):
        files = self.table(stream).inspect.delete_files()
        return sum(content == 2 for content in files["content"].to_pylist())


def expected_cell(schema, value):
    """A record's value as its column holds it; objects and arrays as they are, to be compared as JSON."""
    if value is None:
        return None
    types = schema.get("type", [])
    types = {types} if isinstance(types, str) else set(types)
    types.discard("null")
    if types == {"string"} and schema.get("format") == "date-time":
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if types == {"string"} and schema.get("format") == "date":
        return datetime.date.fromisoformat(value)
    if types == {"number"}:
        return float(value)
    return value


def is_json_text(schema):
    types = schema.get("type", [])
    types = {types} if isinstance(types, str) else set(types)
    return len(types - {"null"}) != 1 or bool(types & {"object", "array"})


def keys_of(arrow, key):
    return list(zip(*(arrow[part].to_pylist() for part in key)))


def compare(stream, arrow, properties, key, records):
    """Every cell of every row against the records, which are unique by key. Returns the number of cells."""
    wanted = {tuple(record.get(part) for part in key): record for record in records}
    assert AIRBYTE | set(properties) == set(arrow.column_names), f"{stream}: other columns"
    assert arrow.num_rows == len(wanted), f"{stream}: {arrow.num_rows} rows, {len(wanted)} records"
    assert set(keys_of(arrow, key)) == set(wanted), f"{stream}: other keys"
    return compare_cells(stream, arrow, properties, key, wanted)


def compare_cells(stream, arrow, properties, key, wanted):
    """Every cell of the rows that `wanted` has a record for, by key. Returns the number of cells."""
    keys = keys_of(arrow, key)
    assert len(set(keys)) == len(keys), f"{stream}: a key is there twice"
    assert len(set(arrow["_airbyte_raw_id"].to_pylist())) == arrow.num_rows
    cells = 0
    for name, schema in properties.items():
        as_json = is_json_text(schema)
        for found_key, found in zip(keys, arrow[name].to_pylist()):
            if found_key not in wanted:
                continue
            value = wanted[found_key].get(name)
            if as_json:
                same = (found is None and value is None) or (found is not None and json.loads(found) == value)
            else:
                same = found == expected_cell(schema, value)
            assert same, f"{stream}.{name} of {found_key}: {found!r} is not {value!r}"
            cells += 1
    assert all(not meta["changes"] for meta in arrow["_airbyte_meta"].to_pylist()), f"{stream}: nulled values"
    return cells


def is_part(found, wanted):
    """Whether JSON says nothing else; an object of it may say less, since a stream selects fields."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(name in wanted and is_part(value, wanted[name]) for name, value in found.items())
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(is_part, found, wanted))
    return found == wanted


def compare_with_world(stream, arrow, properties, key, must, may, workspaces):
    """Every row and every cell against what the account holds. Returns the number of cells."""
    keys = keys_of(arrow, key)
    assert len(set(keys)) == len(keys), f"{stream}: a key is there twice"
    missing, extra = set(must) - set(keys), set(keys) - set(must) - set(may)
    assert not missing and not extra, f"{stream}: {len(missing)} missing {sorted(missing)[:3]}, " \
                                      f"{len(extra)} too many {sorted(extra)[:3]}"
    truth = {**may, **must}
    cells = 0
    for name, schema in properties.items():
        if name == "_ab_cdc_deleted_at":
            assert arrow[name].null_count == arrow.num_rows, f"{stream}: a deleted row is there"
            continue
        if name == "_ab_cdc_updated_at":
            # When the connector emitted the row: the account does not say.
            assert arrow[name].null_count == 0, f"{stream}: a row without the time of its emission is there"
            continue
        as_json = is_json_text(schema)
        for found_key, found in zip(keys, arrow[name].to_pylist()):
            record = truth[found_key]
            if name in record:
                value = record[name]
                same = is_part(None if found is None else json.loads(found), value) if as_json \
                    else found == expected_cell(schema, value)
            elif name.endswith("_gid"):
                # What the row was listed below: the record says it too, or it is the workspace.
                value = record.get(PARENTS.get(name, name.removesuffix("_gid")))
                same = found == value["gid"] if value else found in workspaces
            else:
                value, same = None, found is None
            assert same, f"{stream}.{name} of {found_key}: {found!r} is not the world's {value!r}"
            cells += 1
    return cells
