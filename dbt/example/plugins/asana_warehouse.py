"""A plugin of dbt-duckdb: shows the tables of `destination-iceberg`'s embedded catalog as views of one schema.

The views are made anew for each run of dbt, since each sync writes another metadata file.
"""

import glob
import os
import sqlite3
import sysconfig

from dbt.adapters.duckdb.plugins import BasePlugin


def load_extension(connection, name):
    """From the wheel `duckdb-extension-<name>` if it is installed; otherwise DuckDB downloads it."""
    wheels = glob.glob(f"{sysconfig.get_paths()['purelib']}/**/{name}.duckdb_extension", recursive=True)
    if wheels:
        connection.execute(f"LOAD '{wheels[0]}'")
    else:
        connection.execute(f"INSTALL {name}")
        connection.execute(f"LOAD {name}")


def tables(warehouse):
    """The name and the newest metadata file of each table."""
    database = os.path.join(warehouse, "catalog.db")
    if not os.path.exists(database):
        raise FileNotFoundError(f"{database} does not exist: set ASANA_WAREHOUSE to the folder that "
                                "destination-iceberg writes to")
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT table_name, metadata_location FROM iceberg_tables").fetchall()
    finally:
        connection.close()


def show_tables(connection, warehouse, schema):
    """Makes a view of each table, and drops those of an earlier run whose table is gone."""
    for extension in ("avro", "iceberg"):
        load_extension(connection, extension)
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    found = dict(tables(warehouse))
    shown = connection.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = ? AND NOT internal", [schema])
    for (name,) in shown.fetchall():
        if name not in found:
            connection.execute(f'DROP VIEW "{schema}"."{name}"')
    for name, metadata in found.items():
        location = metadata.removeprefix("file://").replace("'", "''")
        connection.execute(f'CREATE OR REPLACE VIEW "{schema}"."{name}" AS SELECT * FROM iceberg_scan(\'{location}\')')


class Plugin(BasePlugin):
    def initialize(self, plugin_config):
        self.warehouse = plugin_config["warehouse"]
        self.schema = plugin_config.get("schema", "airbyte")

    def configure_connection(self, connection):
        show_tables(connection, self.warehouse, self.schema)
